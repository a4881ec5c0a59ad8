"""A preview tells what would leave, and no more than would leave."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.released import make_hospital, make_rows, summarise, write_study
from workbench.errors import ReleaseError
from workbench.exchange.preview import preview_release
from workbench.release import check_release, pack

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


def test_a_table_that_could_not_leave_says_so(north):
    north.pack()
    rows = make_rows(3)
    keep = rows.patient != rows.patient.max()  # one patient fewer than was released
    fewer = type(rows)(**{f.name: getattr(rows, f.name)[keep] for f in dataclasses.fields(rows)})
    north.summaries = summarise(north.study, fewer)
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


def test_the_run_of_another_site_is_refused(north, tmp_path):
    south = make_hospital(tmp_path / "b", north.study, "south", 4)
    with pytest.raises(ReleaseError, match="north"):
        preview_release(Folder(north.run()), north.study, south.site)
