"""The limit that counts is the least, wherever it is set."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.capacity import read_cores, read_memory


def memory(root: Path, free: int, **limits: str) -> tuple[int, int]:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "meminfo").write_text(
        f"MemTotal:       8000000 kB\nMemFree: 5 kB\nMemAvailable:  {free} kB\n"
    )
    (root / "sys/fs/cgroup").mkdir(parents=True, exist_ok=True)
    for name, text in limits.items():
        (root / "sys/fs/cgroup" / name.replace("_", ".")).write_text(text)
    return read_memory(root)


def test_the_limit_of_a_container_counts(tmp_path):
    assert memory(tmp_path, 4_000_000) == (4_096_000_000, 8_192_000_000)
    assert memory(tmp_path, 4_000_000, memory_max="max\n", memory_current="5\n")[0] == 4_096_000_000
    limited = memory(tmp_path, 4_000_000, memory_max="2000000000\n", memory_current="500000000\n")
    assert limited == (1_500_000_000, 2_000_000_000)


def test_the_limit_of_a_job_counts_wherever_it_is_set(tmp_path):
    memory(tmp_path, 4_000_000)
    job = tmp_path / "sys/fs/cgroup/jobs/17"
    (job / "step").mkdir(parents=True)
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/cgroup").write_text("0::/jobs/17/step\n")
    (job / "memory.max").write_text("3000000000")
    (job / "memory.current").write_text("1000000000")
    assert read_memory(tmp_path) == (2_000_000_000, 3_000_000_000)
    cores = len(os.sched_getaffinity(0))
    assert read_cores(tmp_path) == cores
    (job / "cpu.max").write_text("max 100000")
    assert read_cores(tmp_path) == cores
    (job / "cpu.max").write_text("150000 100000")
    assert read_cores(tmp_path) == 1
    (job / "step" / "cpu.max").write_text("20000 100000")
    assert read_cores(tmp_path) == 1
