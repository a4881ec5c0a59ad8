"""Run the toy study as a command that a test may kill: STUDY SITE RUNS [NUMBER].

With NUMBER the process kills itself before its NUMBERth call that syncs or renames.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import cache
from workbench.errors import WorkbenchError
from workbench.execution import run_study
from workbench.site import read_site
from workbench.study import read_study

SOURCE = "0" * 64
"""Stands for the digest of the package's source."""


def die_at(number: int) -> None:
    """Kill this process before the given call of fsync, rename or replace."""
    calls = 0

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return call

    for name in ("fsync", "rename", "replace"):
        setattr(os, name, wrapped(getattr(os, name)))


def main() -> None:
    """Run the study; print what ended and how."""
    study, site, runs = map(Path, sys.argv[1:4])
    # An edit of the package while a test runs must not make finished steps run again.
    cache.workbench_digest = lambda: SOURCE
    if len(sys.argv) > 4:
        die_at(int(sys.argv[4]))
    try:
        run_study(read_study(study), read_site(site), runs=runs, explain=True)
    except WorkbenchError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
