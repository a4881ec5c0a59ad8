"""Capacity: memory and cores that this process may use, in a container or a cluster job too."""

from __future__ import annotations

import os
from pathlib import Path


def read_memory(root: Path = Path("/")) -> tuple[int, int]:
    """Return the bytes of memory that are free, and in all, within the limit of a container.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` lie.
    """
    lines = (root / "proc/meminfo").read_text("ascii").splitlines()
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    total, free = kilobytes["MemTotal"] * 1024, kilobytes["MemAvailable"] * 1024
    for group in _groups(root):
        for most, used in (
            ("memory.max", "memory.current"),
            ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
        ):
            try:
                limit = int((group / most).read_text())  # "max" where there is none
                free = min(free, max(limit - int((group / used).read_text()), 0))
                total = min(total, limit)
            except (OSError, ValueError):
                continue
    return free, total


def read_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may use, within the limit of a container.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` lie.
    """
    cores = len(os.sched_getaffinity(0))
    for group in _groups(root):
        try:
            quota, period = map(int, (group / "cpu.max").read_text().split())  # or "max 100000"
            cores = min(cores, max(quota // period, 1))
        except (OSError, ValueError):
            continue
    return cores


def _groups(root: Path) -> list[Path]:
    """Return the control groups of this process: its own, and those that it lies in."""
    top = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    own = top / next((x[3:].strip("/") for x in lines if x.startswith("0::")), "")
    return [group for group in (own, *own.parents) if group.is_relative_to(top)]
