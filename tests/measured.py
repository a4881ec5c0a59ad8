"""Run a program with some packages out of reach; measure what it starts, and see it end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

BLOCKER = """\
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def without(*packages: str, folder: Path) -> dict[str, str]:
    """Return an environment in which these packages cannot be imported, in kernels neither."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(BLOCKER.format(names=packages))
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def jupyter_folders(folder: Path) -> dict[str, str]:
    """Return variables that keep Jupyter from reading and writing what is this user's."""
    return {
        name: str(folder / name.lower())
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "IPYTHONDIR",
        )
    }


class Watch(threading.Thread):
    """Look ten times a second at how much memory a process and its children hold."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.peak = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            self.peak = max(self.peak, self.now())

    def now(self) -> int:
        """Return the bytes held now: shared pages count once for each process."""
        total = 0
        try:
            for process in (self.process, *self.process.children(recursive=True)):
                total += process.memory_info().rss
        except psutil.NoSuchProcess:
            pass
        return total


def all_gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Return whether processes end within some seconds.

    One whose parent is gone stays in the list, ended, until the machine's first process has
    looked; where that is a program of its own, it never does.
    """
    end = time.monotonic() + seconds
    while not all(_ended(process) for process in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def run_measured(command: list[str], cwd: Path, env: dict[str, str]) -> tuple[str, int]:
    """Run a program that must end well; return what it says, and its peak memory in bytes."""
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        watch = Watch(process.pid)
        watch.start()
        said = process.communicate()[0]
    watch.over.set()
    assert process.returncode == 0, said[-3000:]
    return said, watch.peak


def papermill(notebook: Path, executed: Path, env: dict[str, str], *words: str) -> int:
    """Execute a notebook in its folder; return the peak memory in bytes."""
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(notebook)]
    return run_measured([*command, str(executed), *words], notebook.parent, env)[1]
