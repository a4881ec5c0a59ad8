"""Progress: events of runs, and how a terminal shows them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal, Self, TypeAlias

from workbench.errors import show
from workbench.running.disk import writing

if TYPE_CHECKING:
    from rich.progress import TaskID

EventName = Literal[
    "run started",
    "lock taken over",
    "publication finished",
    "step reused",
    "step explained",
    "step started",
    "kernel started",
    "cell started",
    "step ended",
    "step failed",
    "run ended",
    "run failed",
    "run interrupted",
]


@dataclass(frozen=True)
class Event:
    """Say what happened in a run; holds no value of the site's data.

    Parameters
    ----------
    name
        What happened.
    site
        Id of the site.
    step
        Id of the step, or "".
    done, total
        Cells of a step, or steps of a run.
    seconds
        Wall-clock time of what ended.
    detail
        Words for a person: a reason, or the class of an exception.
    """

    name: EventName
    site: str
    step: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    detail: str = ""


Listener: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True)
class EventLog:
    """Append events to a file, one JSON object a line, and tell who listens.

    Parameters
    ----------
    path
        The file.
    listener
        Called with each event, if there is one.
    """

    path: Path
    listener: Listener | None = None

    def log(self, event: Event) -> None:
        """Append an event, and tell it."""
        entry = {k: v for k, v in asdict(event).items() if v or k == "step"}
        line = json.dumps({"time": now(), **entry}, ensure_ascii=False)
        with writing(self.path), _open_plain(self.path) as file:
            # A killed process can leave half a line.
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            torn = file.read(1) not in (b"", b"\n")
            file.write(("\n" * torn + line + "\n").encode())
        self.tell(event)

    def tell(self, event: Event) -> None:
        """Tell an event that is not worth a line."""
        if self.listener is not None:
            self.listener(event)


def _open_plain(path: Path) -> BinaryIO:
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return path.open("ab+")


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Display:
    """Show the events of runs: a line a step; on a terminal one bar a site below them.

    Examples
    --------
    >>> with Display() as display:
    ...     display(Event("step ended", "north", "counts", seconds=1.25))
    north   counts   1.2 s
    """

    _tasks: dict[str, TaskID] = field(default_factory=dict)
    _ended: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start to show."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._bars = Progress(
            TextColumn("{task.fields[site]}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[step]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bars as they are."""
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self._line(event)
        if self._console.is_terminal:
            self._bar(event)

    def _line(self, event: Event) -> None:
        texts = {
            "step ended": f"{event.seconds:.1f} s",
            "step reused": "unchanged",
            "step failed": f"failed: {event.detail}",
            "step explained": event.detail,
        }
        if event.name in texts:
            self._console.print(f"{event.site}   {event.step}   {show(texts[event.name], 200)}")

    def _bar(self, event: Event) -> None:
        if event.name == "run started":
            self._ended[event.site] = 0
            self._tasks[event.site] = self._bars.add_task(
                "", total=event.total, site=event.site, step=""
            )
        task = self._tasks.get(event.site)
        if task is None:
            return
        if event.name in ("step ended", "step reused"):
            self._ended[event.site] += 1
            self._bars.update(task, completed=self._ended[event.site])
        elif event.name == "cell started":
            part = event.done / max(event.total, 1)
            self._bars.update(
                task, completed=self._ended[event.site] + part, step=f"{event.step} {event.done}"
            )
        elif event.name == "step started":
            self._bars.update(task, step=event.step)
        elif event.name == "step failed":
            self._bars.update(task, step=f"{event.step} failed")
        elif event.name == "run ended":
            self._bars.update(task, step="done")
