"""Progress: a log that survives a kill, and a display that is plain in a pipe."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from workbench.errors import ExecutionError
from workbench.running.progress import Display, Event, EventLog


def test_each_event_is_one_line_and_is_told(tmp_path):
    told = []
    log = EventLog(tmp_path / "events.jsonl", told.append)
    log.log(Event("step ended", "north", "counts", seconds=1.5))
    log.tell(Event("cell started", "north", "counts", 1, 2))
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {"name": "step ended", "site": "north", "step": "counts", "seconds": 1.5}
    assert [event.name for event in told] == ["step ended", "cell started"]


def test_half_a_line_spoils_no_other(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"time": "2026')
    EventLog(path).log(Event("run started", "north"))
    first, second = path.read_text().splitlines()
    assert first == '{"time": "2026'
    assert json.loads(second)["name"] == "run started"


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(ExecutionError, match="No space"):
        EventLog(Path("/dev/full")).log(Event("run started", "north"))


EVENTS = [
    Event("run started", "north", total=2),
    Event("step started", "north", "a"),
    Event("cell started", "north", "a", 1, 4),
    Event("step ended", "north", "a", seconds=2.0),
    Event("step explained", "north", "b", detail="parameter x: 1 -> 2\x1b[31m"),
    Event("step failed", "north", "b", detail="ValueError"),
]


def test_a_pipe_gets_plain_lines(capsys):
    with Display() as display:
        for event in EVENTS:
            display(event)
    assert capsys.readouterr().out == (
        "north   a   2.0 s\n"
        "north   b   parameter x: 1 -> 2\\x1b[31m\n"
        "north   b   failed: ValueError\n"
    )


def test_a_terminal_gets_a_bar_for_each_site(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console",
        lambda **options: Console(file=out, force_terminal=True, width=100, **options),
    )
    with Display() as display:
        for event in EVENTS:
            display(event)
        (task,) = display._bars.tasks
        assert (task.total, task.completed) == (2, 1)
        display(Event("cell started", "north", "b", 1, 4))
        assert display._bars.tasks[0].completed == 1.25
    assert "b failed" in out.getvalue() or "b 1" in out.getvalue()
