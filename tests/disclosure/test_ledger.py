import json
import os
import resource
import stat
import subprocess
import sys
import time

import pytest

from tests.disclosure.tables import SEX, by, tables
from workbench.disclosure.check import check
from workbench.disclosure.ledger import Ledger
from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError

POLICY = Policy(12)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.jsonl")


def record(ledger, release, site):
    ledger.append(release, site, check(site, POLICY).views, POLICY, "2026-11-22")


def test_what_was_recorded_is_read_again(ledger):
    assert ledger.entries() == []
    first, second = tables(80, 1), {"sex": by(SEX, [60, 40, 3])}
    record(ledger, "r1", first)
    record(ledger, "r2", second)
    entries = ledger.entries()
    assert [e.release for e in entries] == ["r1"] * 5 + ["r2"]
    assert {e.table for e in entries[:5]} == set(first)
    for entry in entries[:5]:
        assert entry.exact.equals(first[entry.table])
        assert not entry.view.exact
        assert (entry.policy, entry.date) == (POLICY, "2026-11-22")


def test_everything_is_private_to_the_user(ledger):
    record(ledger, "r1", tables(80, 1))
    for path in (ledger.path, ledger.head, *ledger.folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.folder.stat().st_mode) == 0o700
    ledger.path.chmod(0o644)
    with pytest.raises(DisclosureError, match="other users"):
        ledger.entries()


def test_the_same_release_is_recorded_once_and_another_under_its_id_refused(ledger):
    site = {"sex": by(SEX, [60, 40, 30])}
    record(ledger, "r1", site)
    record(ledger, "r1", site)
    assert len(ledger.entries()) == 1
    with pytest.raises(DisclosureError, match="recorded with other tables"):
        record(ledger, "r1", {"sex": by(SEX, [90, 40, 30])})


def cut_line(path):
    path.write_bytes(path.read_bytes()[:-7])


def drop_last(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def drop_first(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def change_date(path):
    path.write_bytes(path.read_bytes().replace(b"2026-11-22", b"2020-11-22", 1))


def swap(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))


def nonsense(path):
    path.write_bytes(path.read_bytes() + b"[" * 5000 + b"\n")


@pytest.mark.parametrize("damage", [cut_line, drop_last, drop_first, change_date, swap, nonsense])
def test_a_damaged_ledger_is_refused(ledger, damage):
    for i in (0, 20, 40):
        record(ledger, f"r{i}", {"sex": by(SEX, [60 + i, 40, 30])})
    damage(ledger.path)
    with pytest.raises(DisclosureError):
        ledger.entries()
    with pytest.raises(DisclosureError):
        record(ledger, "r99", {"sex": by(SEX, [200, 40, 30])})


def test_a_lost_ledger_is_refused(ledger):
    record(ledger, "r1", {"sex": by(SEX, [60, 40, 30])})
    ledger.path.unlink()
    with pytest.raises(DisclosureError, match="missing"):
        ledger.entries()


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_text("x\n")])
def test_a_lost_or_changed_summary_is_refused(ledger, damage):
    record(ledger, "r1", {"sex": by(SEX, [60, 40, 30])})
    path = next(ledger.folder.iterdir())
    damage(path)
    with pytest.raises(DisclosureError):
        ledger.entries()


def test_a_stop_between_line_and_head_is_taken_up(ledger):
    record(ledger, "r1", {"sex": by(SEX, [60, 40, 30])})
    before = ledger.head.read_bytes()
    record(ledger, "r2", {"sex": by(SEX, [90, 40, 30])})
    ledger.head.write_bytes(before)  # the head of the line before
    assert [e.release for e in ledger.entries()] == ["r1", "r2"]
    record(ledger, "r3", {"sex": by(SEX, [120, 40, 30])})
    assert len(ledger.entries()) == 3


def test_lines_are_canonical_json(ledger):
    record(ledger, "r1", {"sex": by(SEX, [60, 40, 30])})
    (line,) = ledger.path.read_text().splitlines()
    assert json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")) == line


def test_a_full_disk_does_not_stop_the_ledger_for_good(ledger):
    site = {"sex": by(SEX, [60, 40, 30])}
    record(ledger, "r1", site)
    before = ledger.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 60, hard))  # within the line
    try:
        with pytest.raises(DisclosureError, match="cannot be written"):
            ledger.withdraw("r2", "2026-11-22")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ledger.path.read_bytes() == before
    record(ledger, "r2", site)
    assert ledger.releases() == {"r1": "2026-11-22", "r2": "2026-11-22"}


def test_to_look_at_a_ledger_makes_none(ledger):
    with ledger.reading():
        assert (ledger.entries(), ledger.releases()) == ([], {})
    assert list(ledger.path.parent.iterdir()) == []


def test_a_line_of_another_kind_is_refused(ledger):
    record(ledger, "r1", {"sex": by(SEX, [60, 40, 30])})
    ledger._chain.append({"release": "r2"})
    with pytest.raises(DisclosureError, match="Line 2"):
        ledger.entries()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DisclosureError, match="cannot be written"):
        record(Ledger(tmp_path / "file" / "ledger.jsonl"), "r1", {"s": by(SEX, [60, 40, 30])})


def test_a_line_is_added_only_to_the_ledger_that_was_seen(ledger):
    site = {"sex": by(SEX, [60, 40, 30])}
    views = check(site, POLICY).views
    seen = ledger.last()
    ledger.append("r1", site, views, POLICY, "2026-11-22", after=seen)
    assert ledger.last() != seen
    with pytest.raises(DisclosureError, match="grew since this was checked") as refused:
        ledger.append("r2", site, views, POLICY, "2026-11-22", after=seen)
    assert refused.value.todo == "Run the command again"
    ledger.append("r2", site, views, POLICY, "2026-11-22", after=ledger.last())
    assert list(ledger.releases()) == ["r1", "r2"]


def test_another_process_waits_while_the_ledger_is_held(ledger):
    code = (
        "import sys; from workbench.disclosure.ledger import Ledger\n"
        "ledger = Ledger(sys.argv[1]); print('ready', flush=True)\n"
        "ledger.withdraw('other:1:0', '2026-11-22')"
    )
    with ledger.locked():
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(ledger.path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        record(ledger, "r1", {"sex": by(SEX, [60, 40, 30])})  # it may enter again itself
        assert list(ledger.releases()) == ["r1"]
    process.communicate(timeout=30)
    assert list(ledger.releases()) == ["r1", "other:1:0"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", ["pipe", "folder"])
def test_what_is_no_plain_file_is_refused(ledger, what):
    os.mkfifo(ledger.path) if what == "pipe" else ledger.path.mkdir()
    with pytest.raises(DisclosureError, match="cannot be read"):
        ledger.entries()
