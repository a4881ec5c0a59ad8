"""What may be packed, and every way in which a received release can be wrong."""

import dataclasses
import datetime as dt
import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import stat
import threading

import numpy as np
import pytest
from pydantic import ValidationError

from tests.conftest import ROOT
from tests.released import (
    STUDY,
    TODAY,
    Hospital,
    flip,
    make_hospital,
    make_rows,
    pin,
    summarise,
    write_study,
)
from workbench.disclosure.ledger import Ledger
from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError, ReleaseError, WorkbenchError
from workbench.exchange.envelope import RefusedError, canonical
from workbench.exchange.keys import key_id, make_key, read_key
from workbench.exchange.manifest import ENVELOPE, MANIFEST
from workbench.exchange.places import pooled_of, received_of
from workbench.exchange.received import Received
from workbench.exchange.verification import Release
from workbench.pooling import pool, write_pooled
from workbench.release import (
    check_release,
    find_releases,
    open_ledger,
    pack,
    verify,
    verify_all,
    withdraw,
)
from workbench.running.disk import remove
from workbench.study import read_study
from workbench.summaries import counts
from workbench.summaries.summary import Summary, labelled
from workbench.summaries.table import parse_summary, render_summary


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A packed hospital that no test changes."""
    folder = tmp_path_factory.mktemp("packed")
    study = write_study(folder / "study")
    hospital = make_hospital(folder, study, "north", 1)
    hospital.pack()
    return folder


@pytest.fixture
def north(packed, tmp_path):
    """A copy of the packed hospital."""
    from workbench.site import read_site

    shutil.copytree(packed, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*"):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    study = read_study(tmp_path / "copy/study")
    site = read_site(tmp_path / "copy/sites/north")
    return Hospital(study, site, summarise(study, make_rows(1)), tmp_path / "copy/runs")


def refused(hospital, *, study=None, received=None, **options):
    with pytest.raises(RefusedError) as error:
        verify(hospital.out, study or hospital.study, received, **options)
    return error.value.reason


def withdrawn(hospital):
    """Withdraw a hospital's release, and return the manifest that says so."""
    return withdraw(
        hospital.study,
        hospital.site,
        out=hospital.out,
        approver="A. Person",
        reason="A wrong filter",
        date=TODAY,
        today=TODAY,
        runs=hospital.runs,
    )


def table(hospital, name):
    return parse_summary((hospital.out / f"{name}.csv").read_bytes())


def changed(view, field, value, status=None, **at):
    """Return a view in which one cell says something else."""
    data, states = view.data.copy(deep=True), view.status.copy(deep=True)
    data[field].loc[at] = value
    states[field].loc[at] = status or states[field].sel(at).item()
    return Summary(view.kind, data, view.dimensions, view.attributes, states)


# ---- packing


def test_a_release_holds_tables_manifest_and_envelope_and_verifies(north):
    release = verify(north.out, north.study)
    assert sorted(path.name for path in north.out.iterdir()) == [
        "dose.csv",
        "exams.csv",
        "images.csv",
        "makers.csv",
        ENVELOPE,
        MANIFEST,
    ]
    assert list(release.tables) == ["dose", "exams", "images", "makers"]
    assert not any(view.exact for view in release.tables.values())
    assert (release.site, release.kind, release.verdict) == (
        "north",
        "demo",
        "integrity, not origin",
    )
    manifest = release.manifest
    assert (manifest.counter, manifest.supersedes, manifest.created) == (1, None, TODAY)
    assert manifest.policy.model_dump() == {"threshold": 10, "rounding": 5, "digits": 3}
    assert manifest.run.parameters == {"years": 3}
    assert manifest.tables["exams"].suppressed > 0


def test_a_manifest_holds_no_path_host_user_or_exact_number(north):
    text = (north.out / MANIFEST).read_text()
    strange = [str(north.runs), os.uname().nodename + '"', "PLATFORM-MARKER", "pip", "T01:02"]
    assert [word for word in strange if word in text] == []
    assert "+00:00" not in text


def test_the_outputs_that_are_not_declared_for_release_stay(north):
    assert not (north.out / "rows.csv").exists()


def test_packing_again_changes_nothing(north):
    before = {path.name: path.read_bytes() for path in north.out.iterdir()}
    entries = len(open_ledger(north.site, north.runs).entries())
    again = north.pack(today=TODAY + dt.timedelta(days=9))
    assert (again.manifest.counter, again.manifest.created) == (1, TODAY)
    assert {path.name: path.read_bytes() for path in north.out.iterdir()} == before
    assert len(open_ledger(north.site, north.runs).entries()) == entries


def test_packing_again_without_the_ledger_changes_nothing(north):
    before = (north.out / MANIFEST).read_bytes()
    shutil.rmtree(north.runs)
    north.pack(today=TODAY + dt.timedelta(days=9))
    assert (north.out / MANIFEST).read_bytes() == before


def test_other_tables_supersede(north):
    first = verify(north.out, north.study)
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    second = north.pack()
    assert (second.manifest.counter, second.manifest.supersedes) == (2, first.id)
    assert second.id != first.id
    shutil.rmtree(north.out)
    north.summaries = summarise(north.study, make_rows(3, patients=900))
    assert north.pack().manifest.counter == 3  # the ledger knows what the folder forgot


@pytest.mark.parametrize("loss", ["folder", "table", "manifest"])
def test_what_was_lost_is_packed_again_as_it_was(north, tmp_path, loss):
    log = tmp_path / "received.jsonl"
    first = verify(north.out, north.study, log)
    before = {path.name: path.read_bytes() for path in north.out.iterdir()}
    if loss == "folder":
        shutil.rmtree(north.out)
    elif loss == "table":
        (north.out / "exams.csv").write_text("")
    else:
        (north.out / ENVELOPE).unlink()
    again = north.pack(today=TODAY + dt.timedelta(days=9))
    assert (again.id, again.manifest.counter, again.manifest.supersedes) == (first.id, 1, None)
    assert {path.name: path.read_bytes() for path in north.out.iterdir()} == before
    assert list(open_ledger(north.site, north.runs).releases()) == [f"small:1:{first.id}"]
    assert verify(north.out, north.study, log).id == first.id  # no replay: it is the same


def test_the_same_views_of_other_values_are_the_same_release(north):
    """What left is what counts: a value changed below the digits that are told."""
    before = (north.out / MANIFEST).read_bytes()
    rows = make_rows(1)
    rows.value[np.argmin(rows.value)] += 0.01
    other = summarise(north.study, rows)
    assert not other["dose"].equals(north.summaries["dose"])
    north.summaries = other
    shutil.rmtree(north.out)
    north.pack(today=TODAY + dt.timedelta(days=9))
    assert (north.out / MANIFEST).read_bytes() == before
    assert len(open_ledger(north.site, north.runs).releases()) == 1


def test_a_second_release_that_was_lost_still_supersedes_the_first(north):
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    north.pack()
    before = (north.out / MANIFEST).read_bytes()
    shutil.rmtree(north.out)
    assert north.pack(today=TODAY + dt.timedelta(days=9)).manifest.counter == 2
    assert (north.out / MANIFEST).read_bytes() == before


def test_what_was_recorded_and_not_written_is_written_next(north, tmp_path):
    shutil.copytree(north.out, tmp_path / "old")
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    second = north.pack()
    shutil.rmtree(north.out)
    shutil.copytree(tmp_path / "old", north.out)  # as if it had only been recorded
    again = north.pack()
    assert (again.id, again.digest) == (second.id, second.digest)
    assert len(open_ledger(north.site, north.runs).releases()) == 2


def test_a_broken_folder_without_a_ledger_is_recorded_anew(north):
    shutil.rmtree(north.runs)
    (north.out / "exams.csv").write_text("")
    release = north.pack(today=TODAY + dt.timedelta(days=9))
    assert (release.manifest.counter, release.manifest.created) == (1, TODAY)
    assert open_ledger(north.site, north.runs).releases() == {f"small:1:{release.id}": str(TODAY)}


def test_no_release_supersedes_itself(north):
    manifest = verify(north.out, north.study).manifest
    fields = manifest.model_dump()
    with pytest.raises(ValidationError, match="supersede itself"):
        type(manifest)(**(fields | {"counter": 2, "supersedes": manifest.id}))
    assert type(manifest)(**(fields | {"counter": 2, "supersedes": "0" * 16})).counter == 2


def test_a_few_patients_more_are_refused_by_the_ledger(north):
    rows = make_rows(1)
    kept = rows.patient < rows.patient.max() - 3
    fewer = type(rows)(*(column[kept] for column in vars(rows).values()))
    north.summaries = summarise(north.study, fewer)
    with pytest.raises(DisclosureError, match="differ by"):
        north.pack()
    assert verify(north.out, north.study).manifest.counter == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sample": 100}, "sample"),
        ({"status": "failed"}, "failed"),
        ({"study_digest": "d" * 64}, "as it is defined now"),
        ({"study": "other"}, "as it is defined now"),
        ({"site": "south"}, "south"),
    ],
)
def test_a_run_that_cannot_be_released(north, changes, said):
    with pytest.raises(ReleaseError, match=said):
        pack(north.run(**changes), north.study, north.site, out=north.out)


def test_an_output_changed_after_the_run_is_refused(north):
    run = north.run()
    other = summarise(north.study, make_rows(5))["exams"]
    (run / "count/exams.csv").write_bytes(render_summary(other))
    with pytest.raises(ReleaseError, match="changed after the run"):
        pack(run, north.study, north.site, out=north.out)


def test_an_output_the_study_does_not_declare_is_refused(north):
    north.summaries["extra"] = north.summaries["rows"]
    with pytest.raises(ReleaseError, match="extra"):
        north.pack()


def test_a_released_view_cannot_be_offered_as_an_output(north):
    north.summaries["exams"] = table(north, "exams")
    with pytest.raises(ReleaseError, match="released view"):
        north.pack()


def test_what_cannot_be_answered_is_named_and_not_packed(tmp_path):
    study = write_study(tmp_path / "study")
    more = '[[cannot_answer]]\ncolumn = "manufacturer"\nreason = { en = "Not kept", ru = "Нет" }\n'
    hospital = make_hospital(tmp_path, study, "north", 1, more=more)
    release = hospital.pack()
    assert release.not_answered == {"makers": {"en": "Not kept", "ru": "Нет"}}
    assert "makers" not in release.tables
    assert not (hospital.out / "makers.csv").exists()


def test_the_stricter_policy_is_in_force_and_written(tmp_path):
    study = write_study(tmp_path / "study", STUDY + "\n[policy]\nrounding = 10\n")
    hospital = make_hospital(tmp_path, study, "north", 1, more="[policy]\nthreshold = 20\n")
    release = hospital.pack()
    assert release.manifest.policy.model_dump() == {"threshold": 20, "rounding": 10, "digits": 3}
    assert all(n % 10 == 0 for n in release.tables["exams"].data.patients.values.ravel())


@pytest.fixture
def doubtful(north):
    """A hospital whose release needs review: most of a table is suppressed."""
    from workbench.disclosure import check as module
    from workbench.findings import Finding

    finding = Finding("review", "doubt", "It holds 4711 exact", "exams: modality=CT", 4711, 10)
    original = module.check

    def check(summaries, policy, earlier=()):
        checked = original(summaries, policy, earlier)
        return type(checked)(checked.views, [*checked.findings, finding], checked.classes)

    shutil.rmtree(north.out)
    shutil.rmtree(north.runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.exchange.checked.check", check)
        yield north


@pytest.mark.parametrize(
    "missing",
    [
        {"approver": None},
        {"reason": None},
        {"date": None},
        {"approver": " "},
        {"reason": "\x1b[31m"},
        {"date": TODAY + dt.timedelta(days=30)},
    ],
)
def test_a_review_needs_a_person_a_reason_and_a_date(doubtful, missing):
    with pytest.raises(DisclosureError):
        doubtful.pack(**missing)
    assert not doubtful.out.exists()
    assert open_ledger(doubtful.site, doubtful.runs).entries() == []


def test_an_approval_is_signed_in_without_the_numbers_it_judged(doubtful):
    (review,) = doubtful.pack(approver="B. Person", reason="All public").manifest.reviews
    assert (review.rule, review.where) == ("doubt", "exams: modality=CT")
    assert (review.approver, review.reason, review.date) == ("B. Person", "All public", TODAY)
    assert "4711" not in (doubtful.out / MANIFEST).read_text()


def test_a_failing_finding_cannot_be_approved(north, monkeypatch):
    from workbench.disclosure.check import Checked
    from workbench.findings import Finding

    failing = Finding("fail", "exposed", "A cell is given away", "exams")
    monkeypatch.setattr(
        "workbench.exchange.checked.check", lambda *_: Checked({}, [failing, failing])
    )
    with pytest.raises(DisclosureError, match="1 more"):
        north.pack()


def test_check_release_shows_what_would_leave(north):
    checked = check_release(north.run(), north.study, north.site)
    assert checked.verdict == "pass"
    for name, view in checked.views.items():
        assert render_summary(view) == (north.out / f"{name}.csv").read_bytes()


def test_keys_must_fit_the_site(north, tmp_path):
    path = north.site.folder / "site.toml"
    text = path.read_text()
    path.write_text(text.replace('[key]\nfile = "site.key"\nkind = "demo"\n', ""))
    from workbench.site import read_site

    with pytest.raises(ReleaseError, match="no key"):
        pack(north.run(), north.study, read_site(path), out=north.out)
    make_key(north.site.folder / "real.key", "real")
    path.write_text(text.replace("site.key", "real.key"))
    with pytest.raises(ReleaseError, match="cannot sign"):
        pack(north.run(), north.study, read_site(path), out=north.out)


def test_the_ledger_of_a_real_site_lies_beside_it_and_outside_of_git(tmp_path):
    study = write_study(tmp_path / "study")
    hospital = make_hospital(tmp_path, study, "south", 2, kind="real")
    release = hospital.pack()
    assert (release.kind, release.verdict) == ("real", "integrity and origin")
    assert stat.S_IMODE((hospital.site.folder / "ledger.jsonl").stat().st_mode) == 0o600
    assert not (hospital.runs / ".ledgers").exists()
    (hospital.site.folder / ".git").mkdir()
    with pytest.raises(ReleaseError, match="work tree"):
        hospital.pack()


def test_a_folder_that_holds_something_else_is_left_alone(north):
    shutil.rmtree(north.out)
    north.out.mkdir()
    (north.out / "thesis.txt").write_text("years of work")
    with pytest.raises(ReleaseError):
        north.pack()
    assert (north.out / "thesis.txt").read_text() == "years of work"


def test_no_one_makes_a_release_by_hand(north):
    manifest = verify(north.out, north.study).manifest
    with pytest.raises(ReleaseError, match="by hand"):
        Release(manifest, {}, "real", "0" * 64)


def test_no_one_makes_a_release_out_of_another(north):
    release = verify(north.out, north.study)
    for change in ({"kind": "real"}, {"tables": {}}, {}):
        with pytest.raises(ReleaseError, match="by hand"):
            dataclasses.replace(release, **change)


# ---- what was checked is what is packed


def test_what_was_shown_is_packed_whatever_became_of_the_run(north):
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    checked = check_release(north.run(), north.study, north.site)
    shown = {name: render_summary(view) for name, view in checked.views.items()}
    north.summaries = summarise(north.study, make_rows(3, patients=900))
    north.run()  # the same folder, with other outputs and a record that fits them
    pack(checked, north.study, north.site, out=north.out, today=TODAY)
    assert {path.stem: path.read_bytes() for path in north.out.glob("*.csv")} == shown


def test_a_view_changed_after_the_check_is_not_packed(north):
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    checked = check_release(north.run(), north.study, north.site)
    checked.views["makers"].data["patients"].values[0] += 5
    with pytest.raises(ReleaseError, match="changed since"):
        pack(checked, north.study, north.site, out=north.out)
    assert verify(north.out, north.study).manifest.counter == 1


def test_what_was_checked_is_packed_for_its_own_study_and_site_alone(north, tmp_path):
    checked = check_release(north.run(), north.study, north.site)
    south = make_hospital(tmp_path, north.study, "south", 2)
    with pytest.raises(ReleaseError, match="another study or site"):
        pack(checked, north.study, south.site, out=south.out)
    assert not south.out.exists()


def test_no_one_makes_a_check_by_hand(north):
    checked = check_release(north.run(), north.study, north.site)
    with pytest.raises(ReleaseError, match="by hand"):
        type(checked)(
            views=checked.views,
            findings=(),
            offer=checked.offer,
            site=north.site.digest,
            after="",
            digest=checked.digest,
        )


def test_no_one_makes_a_check_out_of_another(north):
    checked = check_release(north.run(), north.study, north.site)
    for change in ({"findings": ()}, {"views": {}}, {"after": ""}, {}):
        with pytest.raises(ReleaseError, match="by hand"):
            dataclasses.replace(checked, **change)


@pytest.mark.parametrize(
    "change",
    [
        lambda checked: object.__setattr__(checked, "findings", ()),
        lambda checked: object.__setattr__(checked.offer, "policy", Policy(11)),
        lambda checked: checked.offer.not_answered.update(makers={"en": "Not kept"}),
        lambda checked: checked.views.pop("makers"),
    ],
)
def test_the_seal_covers_all_that_was_decided(doubtful, change):
    checked = check_release(doubtful.run(), doubtful.study, doubtful.site)
    assert isinstance(checked.findings, tuple)  # nothing is taken out of it
    change(checked)
    with pytest.raises(ReleaseError, match="changed since"):
        pack(checked, doubtful.study, doubtful.site, out=doubtful.out)
    assert not doubtful.out.exists()


@pytest.mark.parametrize(
    "more",
    [
        "[policy]\nthreshold = 40\n",
        '[[cannot_answer]]\ncolumn = "manufacturer"\nreason = "Not kept"\n',
    ],
)
def test_what_the_site_declares_after_the_check_is_heeded(north, more):
    from workbench.site import read_site

    checked = check_release(north.run(), north.study, north.site)
    path = north.site.folder / "site.toml"
    path.write_text(path.read_text() + more)
    before = {p.name: p.read_bytes() for p in north.out.iterdir()}
    with pytest.raises(ReleaseError, match="changed since this was checked") as refused:
        pack(checked, north.study, read_site(path), out=north.out, today=TODAY)
    assert refused.value.todo == "Run the command again"
    assert {p.name: p.read_bytes() for p in north.out.iterdir()} == before


def test_a_check_reads_the_ledger_as_it_is_at_one_moment(north, monkeypatch):
    """What another study adds between two readings of the ledger is not half seen."""
    ledger = open_ledger(north.site, north.runs)
    waiting = threading.Thread(target=lambda: ledger.withdraw("other:1:0", "2026-11-22"))
    whole = Ledger.entries

    def entries(self):
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()  # it waits for the check
        return whole(self)

    monkeypatch.setattr(Ledger, "entries", entries)
    checked = check_release(north.run(), north.study, north.site)
    waiting.join(10)
    assert checked.after != ledger.last()
    assert len(ledger.releases()) == 2


def test_a_check_is_of_no_use_once_the_ledger_grew(north):
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    checked = check_release(north.run(), north.study, north.site)
    ledger = open_ledger(north.site, north.runs)
    entries = [e for e in ledger.entries() if e.table == "makers"]
    exact, views = ({"t": getattr(entries[0], part)} for part in ("exact", "view"))
    ledger.append("other:1:0", exact, views, entries[0].policy, "2026-11-22")
    before = (north.out / MANIFEST).read_bytes()
    with pytest.raises(DisclosureError, match="grew since") as refused:
        pack(checked, north.study, north.site, out=north.out)
    assert refused.value.todo == "Run the command again"
    assert (north.out / MANIFEST).read_bytes() == before


def _pack_at_once(folder, site, run, barrier, told):
    """Check one study's run, wait until the other is checked too, and pack."""
    from workbench.site import read_site

    study, site = read_study(folder), read_site(site)
    checked = check_release(run, study, site)
    barrier.wait(50)
    try:
        told.put(pack(checked, study, site, out=folder / "releases/north", today=TODAY).site)
    except DisclosureError as error:
        told.put(error.what)


@pytest.mark.timeout(120)
def test_of_two_studies_released_at_once_one_must_be_checked_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(2), context.Queue()
    hospital = make_hospital(tmp_path, write_study(tmp_path / "a"), "north", 1)
    text = STUDY.replace('id = "small"', 'id = "large"')
    other = write_study(tmp_path / "b", text)
    summaries = summarise(other, make_rows(4, patients=500))
    twin = Hospital(other, hospital.site, summaries, hospital.runs)
    processes = [
        context.Process(
            target=_pack_at_once,
            args=(one.study.folder, one.site.folder, one.run(), barrier, told),
        )
        for one in (hospital, twin)
    ]
    for process in processes:
        process.start()
    said = sorted(told.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert said == ["The ledger grew since this was checked", "north"]
    assert len(open_ledger(hospital.site, hospital.runs).releases()) == 1


# ---- folders that cannot be used


@pytest.fixture
def small_disk():
    """A disk on which no file can be larger than some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size=200: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_release_ledger_and_list_as_they_were(north, tmp_path, small_disk):
    log = tmp_path / "received.jsonl"
    release = verify(north.out, north.study, log)
    before = log.read_bytes()
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    checked = check_release(north.run(), north.study, north.site)
    small_disk()
    with pytest.raises(WorkbenchError, match=r"cannot be written|No space") as full:
        pack(checked, north.study, north.site, out=north.out)
    assert full.value.todo
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert len(open_ledger(north.site, north.runs).releases()) == 1
    assert verify(north.out, north.study, log).id == release.id
    assert pack(checked, north.study, north.site, out=north.out).manifest.counter == 2
    small_disk(len(before) + 50)  # within the line
    with pytest.raises(WorkbenchError, match="No space"):
        verify(north.out, north.study, log)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert log.read_bytes() == before
    assert verify(north.out, north.study, log).manifest.counter == 2


def _find(north, _):
    shutil.rmtree(north.out.parent)
    north.out.parent.write_text("x")
    find_releases(north.study)


def _withdraw(north, inside):
    north.runs = inside
    withdrawn(north)


IN_THE_WAY = {
    "find": _find,
    "pack": lambda north, inside: pack(north.run(), north.study, north.site, out=inside),
    "pool": lambda north, inside: write_pooled(
        pool([verify(north.out, north.study)], north.study), inside
    ),
    "receive": lambda north, inside: verify(north.out, north.study, inside),
    "verify": lambda north, inside: verify(inside.parent, north.study),
    "withdraw": _withdraw,
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_a_file_in_the_place_of_a_folder_is_named(north, tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkbenchError) as refused:
        IN_THE_WAY[name](north, tmp_path / "file" / "inside")
    assert type(refused.value) is not WorkbenchError
    assert refused.value.where
    assert refused.value.todo


def test_a_deep_folder_in_a_release_is_refused_and_left(north):
    deep = north.out / "a"
    deep.mkdir()
    here = os.getcwd()  # noqa: PTH109
    os.chdir(deep)
    for _ in range(1200):
        os.mkdir("a")  # noqa: PTH102
        os.chdir("a")
    os.chdir(here)
    assert refused(north) == "added_file"
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    with pytest.raises(ReleaseError, match="something besides"):
        north.pack()
    assert deep.is_dir()
    remove(deep)


def test_an_old_release_that_was_kept_beside_the_new_one_stays(north):
    shutil.copytree(north.out, north.out.with_name("north.old"))
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    north.pack()
    assert verify(north.out.with_name("north.old"), north.study).manifest.counter == 1
    assert sorted(p.name for p in north.out.parent.iterdir()) == ["north", "north.old"]


# ---- tampering: each is refused with its own reason


def _edit(name, change):
    def tamper(hospital):
        path = hospital.out / name
        path.write_bytes(change(path.read_bytes()))

    return tamper


def _signed(change):
    return lambda hospital: hospital.sign(change)


def _resigned(name, *args, **at):
    def tamper(hospital):
        view = changed(table(hospital, name), *args, **at)
        hospital.sign(tables={name: render_summary(view)})

    return tamper


def _as_text(name, old, new):
    def tamper(hospital):
        content = (hospital.out / f"{name}.csv").read_bytes()
        assert old in content
        hospital.sign(tables={name: content.replace(old, new, 1)})

    return tamper


def _set(path, value):
    def change(manifest):
        *keys, last = path.split(".")
        for key in keys:
            manifest = manifest[key]
        manifest[last] = value

    return change


def _repin(**more):
    def tamper(hospital):
        path = hospital.study.folder / "sites.toml"
        path.write_text(path.read_text() + "".join(f"{k} = {v}\n" for k, v in more.items()))

    return tamper


def _other_site_key(hospital):
    key = make_key(hospital.site.folder / "south.key", "demo")
    pin(hospital.study, "south", key.public, "demo")
    hospital.sign(key=key)


def _unpinned_key(hospital):
    hospital.sign(key=make_key(hospital.site.folder / "new.key", "demo"))


def _named_other_key(hospital):
    hospital.sign(_set("key", "0" * 16), name_key=False)


def _forged(hospital):
    """Sign with an own key, but name the site's."""
    forger = make_key(hospital.site.folder / "forger.key", "demo")
    hospital.sign(key=forger, name_key=False)
    envelope = json.loads((hospital.out / ENVELOPE).read_bytes())
    envelope["signatures"][0]["keyid"] = read_key(hospital.site.key_path).id
    (hospital.out / ENVELOPE).write_bytes(canonical(envelope))


def _signature_bit(hospital):
    envelope = json.loads((hospital.out / ENVELOPE).read_bytes())
    envelope["signatures"][0]["sig"] = flip(envelope["signatures"][0]["sig"])
    (hospital.out / ENVELOPE).write_bytes(canonical(envelope))


def _payload_type(hospital):
    envelope = json.loads((hospital.out / ENVELOPE).read_bytes())
    envelope["payloadType"] = "application/vnd.in-toto+json"
    (hospital.out / ENVELOPE).write_bytes(canonical(envelope))


def _spaced(hospital):
    manifest = json.loads((hospital.out / MANIFEST).read_bytes())
    hospital.seal(json.dumps(manifest, indent=1).encode())


def _raw(change):
    def tamper(hospital):
        manifest = json.loads((hospital.out / MANIFEST).read_bytes())
        change(manifest)
        hospital.seal(canonical(manifest))

    return tamper


def _exact(hospital):
    hospital.sign(tables={"exams": render_summary(hospital.summaries["exams"])})


def _undeclared(hospital):
    view = table(hospital, "makers")
    hospital.sign(tables={"rows": render_summary(view)})


def _other_table(hospital):
    hospital.sign(tables={"makers": (hospital.out / "exams.csv").read_bytes()})


def _other_labels(hospital):
    from workbench.disclosure.cells import protect
    from workbench.disclosure.policy import Policy
    from workbench.summaries.dimension import Dimension

    names = Dimension("modality", ("CT", "DOE^JOHN"), one_per="none")
    exact = counts.summarise([names], {"modality": [0, 1] * 20}, range(40), range(40))
    hospital.sign(tables={"makers": render_summary(protect(exact, Policy()))})


def _other_kind(hospital):
    hospital.sign(tables={"makers": (hospital.out / "dose.csv").read_bytes()})


def _other_unit(hospital):
    content = (hospital.out / "dose.csv").read_bytes().replace(b'"mGy"', b'"Gy"')
    hospital.sign(tables={"dose": content})


def _link(hospital):
    (hospital.out / "real.csv").unlink(missing_ok=True)
    (hospital.out / "exams.csv").rename(hospital.out.parent / "elsewhere.csv")
    (hospital.out / "exams.csv").symlink_to(hospital.out.parent / "elsewhere.csv")


def _drop(name):
    def change(manifest):
        del manifest["tables"][name]

    def tamper(hospital):
        (hospital.out / f"{name}.csv").unlink()
        hospital.sign(change)

    return tamper


def _all_the_same(hospital):
    """Say that a small cell is a published zero."""
    view = table(hospital, "exams")
    for field in ("exams", "patients"):
        view = changed(view, field, 0, "ok", modality="US", sex="M")
    hospital.sign(tables={"exams": render_summary(view)})


def _contradiction(hospital):
    """Say that far more patients had a CT than another table of the site leaves room for."""
    view = table(hospital, "makers")
    for field in ("exams", "patients"):
        view = changed(view, field, 100_000, modality="CT")
        view = changed(view, field, 100_000, modality="all")
    hospital.sign(tables={"makers": render_summary(view)})


US_M = {"modality": "US", "sex": "M"}
TAMPERINGS = {
    "a table that contradicts another": ("contradiction", _contradiction),
    "changed file": ("changed_file", _edit("exams.csv", lambda b: b.replace(b"CT", b"MR", 1))),
    "appended to a file": ("changed_file", _edit("dose.csv", lambda b: b + b"\n")),
    "added file": ("added_file", lambda h: (h.out / "notes.txt").write_text("x")),
    "added folder": ("added_file", lambda h: (h.out / "more").mkdir()),
    "missing table": ("missing_file", lambda h: (h.out / "exams.csv").unlink()),
    "missing manifest": ("missing_file", lambda h: (h.out / MANIFEST).unlink()),
    "missing envelope": ("missing_file", lambda h: (h.out / ENVELOPE).unlink()),
    "a link in the place of a file": ("not_a_file", _link),
    "manifest changed beside its envelope": (
        "envelope_mismatch",
        _edit(MANIFEST, lambda b: b.replace(b'"counter":1', b'"counter":2')),
    ),
    "broken envelope": ("envelope_unreadable", _edit(ENVELOPE, lambda b: b[:-9])),
    "another payload type": ("other_payload", _payload_type),
    "one bit of the signature": ("bad_signature", _signature_bit),
    "signed by another in the site's name": ("bad_signature", _forged),
    "unknown key": ("unknown_key", _unpinned_key),
    "key of another site": ("wrong_key", _other_site_key),
    "another key named inside": ("wrong_key", _named_other_key),
    "expired key": ("key_expired", _repin(until="2026-02-01")),
    "key not yet valid": ("key_not_yet_valid", _signed(_set("created", "2025-12-31"))),
    "revoked key": ("key_revoked", _repin(revoked="2026-12-01")),
    "real site, demo key": ("wrong_kind_of_key", _signed(_set("site.kind", "real"))),
    "made in the future": ("from_the_future", _signed(_set("created", "2126-01-01"))),
    "spaces in the JSON": ("not_canonical", _spaced),
    "unknown key in the manifest": ("manifest_invalid", _raw(lambda m: m.update(note="x"))),
    "wrong type in the manifest": ("manifest_invalid", _raw(_set("counter", "1"))),
    "another identifier": ("other_content", _raw(_set("id", "0" * 16))),
    "another study": ("other_study", _signed(_set("study.id", "large"))),
    "another version": ("other_study_version", _signed(_set("study.version", "2.0"))),
    "another definition": ("other_study_version", _signed(_set("study.digest", "e" * 64))),
    "a parameter out of range": ("other_parameters", _signed(_set("run.parameters.years", 77))),
    "policy below the floor": ("policy_looser", _signed(_set("policy.threshold", 3))),
    "policy with more digits": ("policy_looser", _signed(_set("policy.digits", 9))),
    "exact counts": ("exact_table", _exact),
    "undeclared output": ("undeclared_output", _undeclared),
    "undeclared dimension": ("undeclared_dimension", _other_table),
    "undeclared label": ("undeclared_label", _other_labels),
    "another kind": ("other_kind", _other_kind),
    "another unit": ("other_measure", _other_unit),
    "a table left out": ("incomplete", _drop("makers")),
    "carriage returns": ("table_unreadable", _as_text("makers", b"\n", b"\r\n")),
    "a table not written canonically": (
        "table_unreadable",
        _as_text("makers", b"CT,exams,", b"CT,exams,0"),
    ),
    "a value beside suppressed": (
        "table_unreadable",
        _as_text("exams", b"US,M,patients,,suppressed", b"US,M,patients,6,suppressed"),
    ),
    "a count that is not rounded": (
        "not_rounded",
        _resigned("makers", "exams", 147, modality="CT"),
    ),
    "an exact count that says ok": (
        "not_rounded",
        _resigned("makers", "exams", 145, "ok", modality="CT"),
    ),
    "a count below the threshold": (
        "below_threshold",
        _resigned("exams", "patients", 5, "rounded", **US_M),
    ),
    "exams of a suppressed cell": (
        "below_threshold",
        _resigned("exams", "exams", 10, "rounded", **US_M),
    ),
    "a small cell as zero": ("not_rounded", _all_the_same),
    "a mean with many digits": ("too_many_digits", _resigned("dose", "mean", 7.1234, sex="F")),
    "more patients than exams": (
        "table_unreadable",
        _as_text("makers", b"CT,patients,95", b"CT,patients,500"),
    ),
    "a negative count": (
        "table_unreadable",
        _as_text("makers", b"CT,exams,145", b"CT,exams,-145"),
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_release_is_refused_with_its_reason(north, name):
    reason, tamper = TAMPERINGS[name]
    verify(north.out, north.study)
    tamper(north)
    with pytest.raises(RefusedError) as error:
        verify(north.out, north.study)
    assert error.value.reason == reason
    assert error.value.todo


def test_there_are_many_ways_to_be_wrong():
    assert len(TAMPERINGS) >= 40
    assert len({reason for reason, _ in TAMPERINGS.values()}) >= 26


def test_a_release_of_no_pinned_site(north):
    (north.study.folder / "sites.toml").unlink()
    assert refused(north) == "unknown_key"


def test_a_key_that_expired_later_still_verifies(north):
    _repin(until="2026-11-30")(north)
    assert verify(north.out, north.study).id


# ---- the centre's list


def test_a_release_is_received_once(north, tmp_path):
    log = tmp_path / "received.jsonl"
    first = verify(north.out, north.study, log)
    again = verify(north.out, north.study, log)
    assert first.digest == again.digest
    (entry,) = Received(log).read()
    assert (entry.site, entry.release, entry.counter) == ("north", first.id, 1)


def test_superseded_and_replayed_releases(north, tmp_path):
    log = tmp_path / "received.jsonl"
    verify(north.out, north.study, log)
    old = tmp_path / "old"
    shutil.copytree(north.out, old)
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    north.pack()
    verify(north.out, north.study, log)
    assert [e.counter for e in Received(log).read()] == [1, 2]
    shutil.rmtree(north.out)
    shutil.copytree(old, north.out)
    assert refused(north, received=log) == "superseded"
    north.sign(_set("created", "2026-11-23"))  # the same counter, signed anew
    assert refused(north, received=log) == "replay"
    verify(north.out, north.study)  # which only the list can know


def test_a_withdrawn_release(north, tmp_path):
    log = tmp_path / "received.jsonl"
    release = verify(north.out, north.study, log)
    old = tmp_path / "old"
    shutil.copytree(north.out, old)
    manifest = withdrawn(north)
    assert (manifest.counter, manifest.supersedes) == (2, release.id)
    assert sorted(path.name for path in north.out.iterdir()) == [ENVELOPE, MANIFEST]
    with pytest.raises(RefusedError, match="A wrong filter") as error:
        verify(north.out, north.study, log)
    assert error.value.reason == "withdrawn"
    shutil.rmtree(north.out)
    shutil.copytree(old, north.out)
    assert refused(north, received=log) == "withdrawn"
    shutil.rmtree(north.out)
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    north.pack()


def test_a_withdrawal_can_be_followed_by_a_release(north):
    withdrawn(north)
    assert north.pack().manifest.counter == 3


def _rotate(hospital):
    """Give the site a new key, pinned beside the old one."""
    hospital.site.key_path.unlink()
    new = make_key(hospital.site.key_path, "demo")
    pin(hospital.study, hospital.site.id, new.public, "demo")
    return new


def _new_version(hospital):
    """Define the study anew, under a stricter policy."""
    path = hospital.study.folder / "study.toml"
    text = path.read_text().replace('version = "1.0"', 'version = "2.0"')
    path.write_text(text + "\n[policy]\nthreshold = 30\n")
    hospital.study = read_study(hospital.study.folder)
    assert refused(hospital) == "other_study_version"


def test_a_release_is_withdrawn_after_key_version_and_tables_changed(north, tmp_path):
    log = tmp_path / "received.jsonl"
    release = verify(north.out, north.study, log)
    new = _rotate(north)
    _new_version(north)
    (north.out / "exams.csv").unlink()
    shutil.rmtree(north.runs)  # and the ledger with it: the old key's signature is enough
    manifest = withdrawn(north)
    assert (manifest.supersedes, manifest.counter, manifest.key) == (release.id, 2, new.id)
    assert refused(north, received=log) == "withdrawn"
    assert [(e.what, e.withdraws) for e in Received(log).read()] == [
        ("release", None),
        ("withdrawal", release.id),
    ]
    assert refused(north, received=log) == "withdrawn"
    assert len(Received(log).read()) == 2


def test_verify_all_receives_a_withdrawal_before_the_release_it_names(north, tmp_path):
    log = tmp_path / "received.jsonl"
    verify(north.out, north.study, log)
    old = tmp_path / "aaa"
    shutil.copytree(north.out, old)
    withdrawn(north)
    found = verify_all([old, north.out], north.study, log)
    assert found.releases == ()
    assert {name: e.reason for name, e in found.refusals.items()} == {
        "aaa": "withdrawn",
        "north": "withdrawn",
    }
    assert [e.counter for e in Received(log).read()] == [1, 2]


def test_the_ledger_vouches_for_a_release_whose_key_is_forgotten(north):
    _rotate(north)
    path = north.study.folder / "sites.toml"
    path.write_text("")  # neither the old key nor the new one is pinned
    assert withdrawn(north).counter == 2


def test_what_the_site_did_not_release_is_not_withdrawn(north):
    north.sign(_set("policy.threshold", 11), key=make_key(north.site.folder / "x.key", "demo"))
    with pytest.raises(RefusedError) as error:
        withdrawn(north)
    assert error.value.reason == "unknown_key"
    north.sign(_set("study.id", "large"))
    with pytest.raises(RefusedError) as error:
        withdrawn(north)
    assert error.value.reason == "other_release"
    shutil.rmtree(north.out)
    with pytest.raises(RefusedError) as error:
        withdrawn(north)
    assert error.value.reason == "missing_file"


def test_a_release_is_withdrawn_once(north):
    before = withdrawn(north)
    with pytest.raises(RefusedError, match="was withdrawn"):
        withdrawn(north)
    assert (north.out / MANIFEST).read_bytes() == before.render()


def test_a_withdrawal_that_was_interrupted_is_made_again(north, tmp_path):
    shutil.copytree(north.out, tmp_path / "old")
    first = withdrawn(north)
    shutil.rmtree(north.out)
    shutil.copytree(tmp_path / "old", north.out)  # as if it had only been recorded
    second = withdrawn(north)
    assert (first.counter, second.counter, second.supersedes) == (2, 3, first.supersedes)


def test_the_counter_of_a_withdrawal_is_never_given_again(north, tmp_path):
    log = tmp_path / "received.jsonl"
    verify(north.out, north.study, log)
    manifest = withdrawn(north)
    assert refused(north, received=log) == "withdrawn"
    shutil.rmtree(north.out)
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    release = north.pack()
    assert (release.manifest.counter, release.manifest.supersedes) == (3, manifest.id)
    assert verify(north.out, north.study, log).id == release.id


def test_a_release_that_comes_long_after_its_key_is_refused(north, tmp_path):
    log = tmp_path / "received.jsonl"
    north.sign(_set("created", "2026-02-01"))  # as the holder of an old key may write
    verify(north.out, north.study, log)
    _repin(until="2026-03-01")(north)
    assert verify(north.out, north.study, log).site == "north"  # known from before
    assert verify(north.out, north.study).site == "north"  # only a list can tell
    assert refused(north, received=tmp_path / "new.jsonl") == "key_expired"
    assert not (tmp_path / "new.jsonl").exists()


@pytest.mark.parametrize(("days", "late"), [(30, False), (31, True)])
def test_a_release_may_be_on_its_way_for_thirty_days(north, tmp_path, days, late):
    today = dt.datetime.now(dt.UTC).date()
    north.sign(_set("created", "2026-02-01"))
    _repin(until=today - dt.timedelta(days=days))(north)
    log = tmp_path / "received.jsonl"
    if late:
        assert refused(north, received=log) == "key_expired"
    else:
        assert verify(north.out, north.study, log).site == "north"


def test_what_was_received_before_a_revocation_stays(north, tmp_path):
    log = tmp_path / "received.jsonl"
    verify(north.out, north.study, log)
    _repin(revoked="2999-01-01")(north)
    assert verify(north.out, north.study, log).site == "north"
    assert refused(north) == "key_revoked"


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0].replace(b'"counter":1', b'"counter":0'), *lines[1:]],
        lambda lines: [*lines, b"{}\n"],
        lambda lines: [lines[0][:-20]],
    ],
)
def test_a_changed_list_is_noticed(north, tmp_path, change):
    log = tmp_path / "received.jsonl"
    verify(north.out, north.study, log)
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    north.pack()
    verify(north.out, north.study, log)
    log.write_bytes(b"".join(change(log.read_bytes().splitlines(keepends=True))))
    assert refused(north, received=log) == "received_broken"


def _two_lines(north, log):
    verify(north.out, north.study, log)
    north.summaries = summarise(north.study, make_rows(2, patients=400))
    north.pack()
    verify(north.out, north.study, log)
    return log.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("kept", [0, 1, None])
def test_lines_cut_from_the_end_of_the_list_are_noticed(north, tmp_path, kept):
    log = tmp_path / "received.jsonl"
    lines = _two_lines(north, log)
    log.unlink() if kept is None else log.write_bytes(b"".join(lines[:kept]))
    assert refused(north, received=log) == "received_broken"
    log.write_bytes(b"".join(lines))
    assert verify(north.out, north.study, log).manifest.counter == 2


def test_a_stop_between_line_and_head_is_taken_up(north, tmp_path):
    log = tmp_path / "received.jsonl"
    verify(north.out, north.study, log)
    before = Received(log).head.read_bytes()
    _two_lines(north, log)
    Received(log).head.write_bytes(before)
    assert verify(north.out, north.study, log).manifest.counter == 2
    assert len(Received(log).read()) == 2


def test_a_list_can_be_read_while_a_line_is_written(north, tmp_path):
    log = tmp_path / "received.jsonl"
    lines = _two_lines(north, log)
    heads = [hashlib.sha256(line).hexdigest() + "\n" for line in lines]
    found = []
    with Received(log)._chain.writing():  # as another process would hold it
        log.write_bytes(lines[0] + lines[1][:40])
        Received(log).head.write_text(heads[0])
        reader = threading.Thread(target=lambda: found.append(len(Received(log).read())))
        reader.start()
        reader.join(0.3)
        assert reader.is_alive()
        log.write_bytes(b"".join(lines))
        Received(log).head.write_text(heads[1])
    reader.join(10)
    assert found == [2]


def test_a_list_without_a_head_is_read_and_gets_one(north, tmp_path):
    log = tmp_path / "received.jsonl"
    verify(north.out, north.study, log)
    Received(log).head.unlink()
    lines = _two_lines(north, log)
    assert Received(log).head.read_text() == hashlib.sha256(lines[-1]).hexdigest() + "\n"


def test_a_list_that_lacks_what_was_pooled_is_noticed(north):
    log = received_of(north.study)
    release = verify(north.out, north.study, log)
    lines = log.read_bytes()
    write_pooled(pool([release], north.study), pooled_of(north.study))
    assert verify(north.out, north.study, log).id == release.id
    log.unlink()
    Received(log).head.unlink()  # list and head are lost together
    assert refused(north, received=log) == "received_broken"
    log.write_bytes(lines)
    assert verify(north.out, north.study, log).id == release.id


def test_to_look_is_not_to_receive(north, tmp_path):
    log = tmp_path / "received.jsonl"
    old = tmp_path / "aaa"
    shutil.copytree(north.out, old)
    withdrawn(north)
    found = verify_all([old, north.out], north.study, log, record=False)
    assert {error.reason for error in found.refusals.values()} == {"withdrawn"}
    assert len(found.refusals) == 2
    assert list(tmp_path.glob("received*")) == []


def test_what_contradicts_itself_is_not_received(north, tmp_path):
    _contradiction(north)
    assert refused(north, received=tmp_path / "received.jsonl") == "contradiction"
    assert list(tmp_path.glob("received*")) == []


def test_a_known_release_is_verified_where_nothing_can_be_written(north, tmp_path, small_disk):
    log = tmp_path / "received.jsonl"
    verify(north.out, north.study, log)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("received*")}
    small_disk()
    assert verify(north.out, north.study, log).site == "north"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("received*")} == before


# ---- several releases


def test_folders_of_one_name_are_told_apart(north, tmp_path):
    twin = tmp_path / "elsewhere" / "north"
    shutil.copytree(north.out, twin)
    (twin / "exams.csv").unlink()
    found = verify_all([north.out, twin], north.study)
    assert [release.site for release in found.releases] == ["north"]
    assert {name: e.reason for name, e in found.refusals.items()} == {str(twin): "missing_file"}


def test_all_releases_of_a_study(north, tmp_path):
    make_hospital(tmp_path, north.study, "south", 2).pack()
    (north.study.folder / "releases/pooled").mkdir()
    folders = find_releases(north.study)
    assert [folder.name for folder in folders] == ["north", "south"]
    found = verify_all(folders, north.study)
    assert ([r.site for r in found.releases], found.refusals) == (["north", "south"], {})


def test_two_releases_of_one_site_are_both_refused(north, tmp_path):
    shutil.copytree(north.out, tmp_path / "twin")
    found = verify_all([north.out, tmp_path / "twin"], north.study, tmp_path / "received.jsonl")
    assert found.releases == ()
    assert Received(tmp_path / "received.jsonl").read() == ()
    assert {e.reason for e in found.refusals.values()} == {"duplicate_site"}


def test_demo_among_real_is_refused(north, tmp_path):
    make_hospital(tmp_path, north.study, "south", 2, kind="real").pack()
    log = tmp_path / "received.jsonl"
    found = verify_all(find_releases(north.study), north.study, log)
    assert [r.site for r in found.releases] == ["south"]
    assert found.refusals["north"].reason == "demo_among_real"
    assert [e.site for e in Received(log).read()] == ["south"]


def test_one_bad_release_does_not_stop_the_others(north, tmp_path):
    make_hospital(tmp_path, north.study, "south", 2).pack()
    (north.out / "exams.csv").unlink()
    found = verify_all(find_releases(north.study), north.study)
    assert [r.site for r in found.releases] == ["south"]
    assert found.refusals["north"].reason == "missing_file"


def test_a_rotated_key(north):
    old = read_key(north.site.key_path)
    north.site.key_path.unlink()
    new = make_key(north.site.key_path, "demo")
    pin(north.study, "north", new.public, "demo")
    assert verify(north.out, north.study).manifest.key == old.id
    release = north.pack()
    assert (release.manifest.key, release.manifest.counter) == (key_id(new.public), 2)
    assert (release.id, release.manifest.supersedes) == (release.manifest.content, None)
    assert north.pack().digest == release.digest
    shutil.rmtree(north.out)
    assert north.pack().digest == release.digest
    assert verify(north.out, north.study).id == release.id


def test_labels_of_a_view_are_never_data(north):
    # a label smuggled into the header of a table that is signed properly
    view = table(north, "makers")
    dimension = type(view.dimensions[0])("modality", ("CT", "MR", "Smith"), one_per="none")
    data = labelled(
        [dimension],
        {name: np.array([20, 20, 20, 20]) for name in ("exams", "patients")},
        margins=["modality"],
    )
    status = data.map(lambda v: v.copy(data=np.full(v.shape, "rounded", "U14")))
    forged = Summary("counts", data, (dimension,), view.attributes, status)
    north.sign(tables={"makers": render_summary(forged)})
    assert refused(north) == "undeclared_label"


def test_a_manifest_must_say_what_the_table_says(north):
    def lie(manifest):
        manifest["tables"]["exams"]["suppressed"] += 1

    north.sign(lie)
    with pytest.raises(RefusedError) as refused:
        verify(north.out, north.study)
    assert refused.value.reason == "manifest_invalid"


def test_a_folder_without_a_manifest_is_named(north):
    (north.out / MANIFEST).unlink()
    found = verify_all(find_releases(north.study), north.study)
    assert found.refusals["north"].reason == "missing_file"


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(north, tmp_path):
    os.mkfifo(tmp_path / "received.jsonl")
    with pytest.raises(RefusedError) as refused:
        verify(north.out, north.study, tmp_path / "received.jsonl")
    assert refused.value.reason == "received_broken"
    os.mkfifo(tmp_path / "site.key")
    with pytest.raises(ReleaseError, match="cannot be opened"):
        read_key(tmp_path / "site.key")


def test_a_real_site_without_its_ledger_releases_nothing(tmp_path):
    study = write_study(tmp_path / "study")
    hospital = make_hospital(tmp_path, study, "north", 1, kind="real")
    hospital.pack()
    for path in hospital.site.folder.glob("ledger*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ReleaseError, match="ledger does not know"):
        hospital.pack()
