"""A preview tells what would leave, and no more than would leave."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from tests.released import make_hospital, make_rows, summarise, write_study
from workbench.disclosure.check import Checked, check
from workbench.disclosure.policy import Policy
from workbench.errors import ReleaseError
from workbench.exchange.preview import preview_release
from workbench.findings import Finding
from workbench.release import check_release, open_ledger, pack

NO_MAKERS = '[[cannot_answer]]\ncolumn = "manufacturer"\nreason = "The table has none."\n'


@dataclasses.dataclass
class Folder:
    folder: object


@pytest.fixture
def north(tmp_path):
    return make_hospital(tmp_path, write_study(tmp_path / "study"), "north", 3, more=NO_MAKERS)


def preview(hospital, **changes):
    return preview_release(Folder(hospital.run(**changes)), hospital.study, hospital.site)


def test_the_numbers_are_those_of_the_release(north):
    found = preview(north)
    released = north.pack()
    assert {table.name for table in found.tables} == set(released.tables)
    for table in found.tables:
        mark = released.manifest.tables[table.name]
        view = released.tables[table.name]
        assert table.suppressed == mark.suppressed
        assert table.cells == int((view.statuses["patients"] != "not_applicable").sum())
        if table.kind == "counts":
            whole = view.data.isel(dict.fromkeys(view.data.sizes, 0))
            assert (table.exams, table.patients) == (int(whole["exams"]), int(whole["patients"]))


def test_gaps_are_shares_of_what_would_leave(north):
    found = preview(north)
    released = north.pack()
    for gap in found.gaps:
        view = released.tables[gap.table]
        at = dict.fromkeys(view.data.sizes, "all") | {gap.dimension: gap.label}
        hidden = str(view.statuses["exams"].sel(at).item()) == "suppressed"
        assert (gap.share is None) == hidden
        if not hidden:
            total = view.data["exams"].sel(at | {gap.dimension: "all"}).item()
            assert gap.share == pytest.approx(view.data["exams"].sel(at).item() / total, abs=1e-4)
    assert found.gaps


def test_nothing_is_packed_written_or_signed(north):
    north.site.key_path.unlink()
    run = north.run()
    before = sorted(north.runs.parent.rglob("*"))
    preview_release(Folder(run), north.study, north.site)
    assert sorted(north.runs.parent.rglob("*")) == before


def test_what_cannot_be_answered_is_named_with_its_reason(north):
    found = preview(north)
    assert found.not_answered == {"makers": "The table has none."}
    assert found.cannot_answer == {"manufacturer": "The table has none."}
    assert "makers" not in {table.name for table in found.tables}


def test_a_sample_can_be_looked_at_and_never_released(north):
    assert preview(north, sample=20).sample == 20
    with pytest.raises(ReleaseError, match="sample"):
        check_release(north.run(sample=20), north.study, north.site)
    with pytest.raises(ReleaseError, match="sample"):
        pack(north.run(sample=20), north.study, north.site, out=north.out)
    assert not north.out.exists()


def test_a_sample_is_not_held_against_earlier_releases(north):
    north.pack()
    assert preview(north, sample=20).verdict != "fail"


def lose_a_patient(hospital):
    rows = make_rows(3)
    keep = rows.patient != rows.patient.max()
    fewer = type(rows)(**{f.name: getattr(rows, f.name)[keep] for f in dataclasses.fields(rows)})
    hospital.summaries = summarise(hospital.study, fewer)


def test_a_table_that_could_not_leave_says_so(north):
    north.pack()
    lose_a_patient(north)
    found = preview(north)
    assert found.verdict == "fail"
    assert any(table.refused for table in found.tables)
    assert any(finding.rule == "differencing" for finding in found.findings)


def test_the_document_is_json_without_a_small_count(north):
    document = json.loads(json.dumps(preview(north).document(), allow_nan=False, default=str))
    assert set(document) == {f.name if f.name != "run_id" else "run" for f in
                             dataclasses.fields(preview(north))}  # fmt: skip
    numbers = [v for table in document["tables"] for k, v in table.items()
               if k in ("exams", "patients") and v is not None]  # fmt: skip
    assert all(number == 0 or number >= 10 for number in numbers)


def numbers_in(value, path=()):
    """Yield every number in a document, those written in its texts among them."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from numbers_in(part, (*path, key))
    elif isinstance(value, list):
        for part in value:
            yield from numbers_in(part, path)
    elif isinstance(value, str):
        yield from ((path, float(number)) for number in re.findall(r"\d+(?:\.\d+)?", value))
    elif value is not None and not isinstance(value, bool):
        yield path, float(value)


def in_numbers(numbers, *path):
    return {number for at, number in numbers if at == path}


@pytest.mark.parametrize("state", ["passes", "fails", "sample"])
def test_each_number_of_the_document_would_leave_or_counts_cells(north, state):
    if state == "fails":
        north.pack()
        lose_a_patient(north)
    found = preview(north, sample=20 if state == "sample" else None)
    document = json.loads(json.dumps(found.document(), allow_nan=False, default=str))
    del document["run"]  # a digest
    numbers = list(numbers_in(document))
    views = check(
        {table.name: north.summaries[table.name] for table in found.tables},
        Policy(),
        open_ledger(north.site, north.runs).entries() if state == "fails" else (),
    ).views
    assert (found.verdict == "fail") == (state == "fails")
    leaving, shares, most = {0.0}, set(), 0
    for view in views.values():
        told = (
            view.data["exams"].values[view.statuses["exams"].values != "suppressed"].astype(float)
        )
        leaving |= set(told) | set(view.data["patients"].values.ravel().astype(float))
        shares |= {round(a / b, 4) for a in told for b in told if b}
        most = max(most, view.data["patients"].size)
    cells = set(map(float, range(most + 1)))
    assert in_numbers(numbers, "tables", "exams") <= leaving
    assert in_numbers(numbers, "tables", "patients") <= leaving
    assert in_numbers(numbers, "gaps", "share") <= shares
    assert in_numbers(numbers, "threshold") == {10.0}
    assert in_numbers(numbers, "sample") == ({20.0} if state == "sample" else set())
    counts = {("tables", "cells"), ("tables", "suppressed"), ("findings", "message")}
    assert {number for at, number in numbers if at in counts} <= cells
    named = counts | {("tables", "exams"), ("tables", "patients"), ("gaps", "share"),
                      ("threshold",), ("sample",)}  # fmt: skip
    assert {at for at, _ in numbers} <= named
    told = [f["message"] for f in document["findings"] if f["rule"] != "threshold"]
    assert list(numbers_in(told)) == []


RULES = ["differencing", "exposed", "consistent", "readable", "dominance", "exams_per_patient"]


@pytest.mark.parametrize("rule", [*RULES, "new"])
def test_a_finding_is_told_without_what_it_judged(north, monkeypatch, rule):
    said = "" if rule in ("dominance", "exams_per_patient") else ": only 4711 patients"
    finding = Finding(
        "fail", rule, f"A cell{said}", f"exams: age=4711{said}", 4711, 10, f"See{said}"
    )
    if not said:
        finding = dataclasses.replace(finding, where="exams")
    monkeypatch.setattr(
        "workbench.exchange.checked.check", lambda *_: Checked({}, [finding, finding])
    )
    found = preview(north)
    assert [(f.rule, f.level, f.where) for f in found.findings] == [(rule, "fail", "exams")] * 2
    assert all(f.message for f in found.findings)
    assert "4711" not in json.dumps(found.document()) + str(found.findings)


def test_the_run_of_another_site_is_refused(north, tmp_path):
    south = make_hospital(tmp_path / "b", north.study, "south", 4)
    with pytest.raises(ReleaseError, match="north"):
        preview_release(Folder(north.run()), north.study, south.site)
