"""What a command prints: tables that fit a terminal, tabs in a pipe, JSON where it is asked."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from rich.cells import cell_len

from tests.test_conventions import ROOT
from workbench.disclosure.cells import Hold, protect
from workbench.disclosure.policy import Policy
from workbench.findings import Finding
from workbench.summaries import moments
from workbench.summaries.counts import summarise
from workbench.summaries.dimension import Dimension
from workbench.terminal import (
    counting,
    print_findings,
    print_json,
    print_legend,
    print_table,
    print_view,
)

DRIVER = "from workbench.terminal import *\nfrom workbench.display import Card\n"
ROWS = [
    ["north", "The hospital of the north, with a long name", "datasets/north_of_all/site.toml"],
    ["юг", "中文医院 with words", "datasets/south/site.toml"],
]
TABLE = f"print_table(['site', 'name', 'declaration'], {ROWS!r}, title='Sites')"


def on_terminal(code: str, width: int = 80, **environment: str) -> str:
    """Return what Python code prints to a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    kept = {k: v for k, v in os.environ.items()
            if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-c", DRIVER + code], stdout=theirs, cwd=ROOT,
        env={**kept, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    os.close(theirs)
    found = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        found += part
    os.close(ours)
    assert child.wait() == 0
    return found.decode()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_a_table_fits_and_breaks_no_word(width):
    text = plain(on_terminal(TABLE, width))
    assert "Sites" in text
    for row in ROWS:
        for word in " ".join(row).split():
            assert word in text, word
    if width >= 80:
        assert max(map(cell_len, text.splitlines())) <= width


def test_a_wide_table_has_one_line_a_row_and_a_narrow_one_a_line_a_cell():
    wide = plain(on_terminal(TABLE, 200)).splitlines()
    assert sum("site.toml" in line for line in wide) == 2
    assert any(line.startswith("site") and "name" in line for line in wide)
    narrow = plain(on_terminal(TABLE, 45)).splitlines()
    assert any(line.split() == ["declaration", "datasets/south/site.toml"] for line in narrow)


def test_no_colour_where_none_is_wanted():
    code = "Console = console()\nConsole.print('x', style='red')\n" + TABLE
    assert "\x1b[31m" in on_terminal(code)
    assert "\x1b[3" not in on_terminal(code, NO_COLOR="1")
    assert "\x1b" not in on_terminal(code, TERM="dumb")


def test_no_cell_acts_on_the_terminal():
    hostile = r"print_table(['a'], [['\x1b]0;evil\x07 [red]x[/] \u202e']])"
    text = on_terminal(hostile, NO_COLOR="1", TERM="dumb")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]x[/]" in text


def test_a_card_is_wrapped_to_the_terminal():
    text = plain(on_terminal("print_card(Card('North', {'about': 'word ' * 50}))", 60))
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("word") == 50


def test_a_pipe_gets_tabs_and_all_of_each_line(capsys):
    print_table(["site", "name"], [["a", "b" * 150], ["x\ty", "z"]], title="Sites")
    assert capsys.readouterr().out == f"Sites\nsite\tname\na\t{'b' * 150}\nx\\ty\tz\n"


def test_json_is_one_document_of_ascii(capsys):
    document = {"name": "中文 \u202e\x9b", "share": 0.5, "none": None}
    print_json(document)
    text = capsys.readouterr().out
    assert json.loads(text) == document
    assert text.isascii()
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"share": float("nan")})


def test_findings_come_worst_first_and_passes_not_at_all(capsys):
    print_findings(Finding(level, "rule", f"seen {level}") for level in ("pass", "review", "fail"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["level", "fail", "review"]
    print_findings([Finding("pass", "rule", "seen")])
    assert capsys.readouterr().out == ""


def view_of(sizes, held=()):
    """Return the released view of some labels, each with so many patients of one exam."""
    labels = tuple(f"label_{i}" for i in range(len(sizes)))
    dimension = Dimension("part", labels, one_per="patient", zeros="public")
    column = [i for i, size in enumerate(sizes) for _ in range(size)]
    summary = summarise([dimension], {"part": column}, range(len(column)), range(len(column)))
    hold = Hold.nothing(summary)
    hold.cells[[1 + i for i in held]] = True
    return protect(summary, Policy(), hold)


def test_rows_that_tell_nothing_are_counted_and_not_shown(capsys):
    used = print_view(view_of([40, 3, 30, 0, 25], held=[2]), title="North")
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("North; rows not shown: ")
    assert title.endswith("1 suppressed, 1 held back")
    assert head == "part\texams\tpatients"
    assert [row.split("\t")[0] for row in rows] == ["all", "label_0", "label_4"]
    assert used == {"suppressed", "not_applicable"}
    assert print_view(view_of([40, 30]), title="North") == set()
    assert capsys.readouterr().out.startswith("North\npart\t")


def test_a_mean_of_nobody_needs_no_legend(capsys):
    part = Dimension("part", ("a", "b"), one_per="patient", zeros="public")
    summary = moments.summarise(
        [part], {"part": [0] * 12}, range(12), range(12), range(12), unit="1", resolution=1.0
    )
    assert print_view(protect(summary, Policy()), title="North") == set()
    assert "rows not shown: 1 of zeros" in capsys.readouterr().out


def test_a_table_that_tells_nothing_is_one_line(capsys):
    print_view(view_of([4, 3]), title="North")
    assert capsys.readouterr().out == "North; rows not shown: 3 suppressed\n\n"


def test_the_legend_names_the_threshold_and_what_is_used_alone(capsys):
    print_legend(set(), 10)
    assert capsys.readouterr().out == ""
    print_legend({"suppressed"}, 20)
    (line,) = capsys.readouterr().out.splitlines()[:-1]
    assert line.startswith("— suppressed: fewer than 20 patients")
    print_legend({"suppressed", "not_applicable"}, 10)
    assert "· held back though large enough" in capsys.readouterr().out


def test_a_long_line_is_wrapped_between_words_where_it_may_be():
    text = plain(on_terminal("say('word ' * 30 + 'folder/' * 12, wrap=True)", 60))
    assert max(map(len, text.splitlines()[:-1])) <= 60
    assert "folder/" * 12 in text


COUNTED = "with counting('drawing') as done:\n    for i in range(3):\n        done(i, 3)"


def test_work_is_counted_on_a_terminal_and_not_in_a_pipe():
    assert re.search(
        r"drawing.*2/3", on_terminal("import os\nos.dup2(1, 2)\n" + COUNTED), re.DOTALL
    )
    piped = subprocess.run(
        [sys.executable, "-c", DRIVER + COUNTED], capture_output=True, text=True, check=False
    )
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, "", "")


def test_a_log_hears_now_and_then_how_much_is_done(monkeypatch, capsys):
    clock = iter([0.0, 3.0, 11.0, 11.0, 15.0, 21.5, 21.5])
    monkeypatch.setattr("workbench.terminal.time.monotonic", lambda: next(clock))
    with counting("drawing") as tell:
        for done in range(4):
            tell(done, 39)
    said = capsys.readouterr()
    assert said.err == "drawing: 1 of 39 parts\ndrawing: 3 of 39 parts\n"
    assert said.out == ""


def test_tables_with_nothing_left_are_one_line(capsys):
    empty = [
        Finding("review", "nothing_left", "No cell", f"table_{i}", 0, 10, "…") for i in range(5)
    ]
    print_findings([*empty, Finding("fail", "readable", "seen", "table_9")])
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.startswith("fail\treadable")
    assert "\ttable_0, table_1, table_2 and 2 more\t5 tables: no cell can be told\t" in second
    print_findings(empty[:1])
    assert "\tNo cell\t" in capsys.readouterr().out
