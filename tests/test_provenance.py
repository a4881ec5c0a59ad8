"""Provenance: a run says what it was made from, and nothing of what a patient is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toy import FIRST, SECOND, write_notebook, write_toy_site, write_toy_study
from workbench.cache import digest_path
from workbench.errors import ExecutionError
from workbench.execution import run_study
from workbench.provenance import RunRecord, read_record, read_step_record, write_record
from workbench.running.crate import PROFILES
from workbench.site import read_site
from workbench.study import read_study

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    study = read_study(write_toy_study(folder / "studies"))
    site = read_site(write_toy_site(folder / "sites"))
    return run_study(study, site, {"factor": 4}, runs=folder / "runs")


def test_a_record_says_what_was_run(finished):
    record = read_record(finished.folder)
    assert record.status == "finished"
    assert (record.study, record.study_version) == ("toy", "1.0")
    assert record.study_digest == finished.study.digest
    assert (record.site, record.site_digest) == ("north", finished.site.digest)
    assert record.parameters == {"factor": 4, "words": ["a", "b"], "since": "2020-02-29"}
    assert record.sample is None
    assert [step.step for step in record.steps] == ["first", "second", "third"]
    assert all(step.seconds > 0 for step in record.steps)
    assert len(record.steps[0].input_digest) == 64
    assert record.software["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record.software["numpy"]
    assert os.uname().machine in record.platform.split()
    assert os.uname().nodename not in record.platform.split()


def test_digests_in_a_record_are_those_of_the_files(finished):
    for step in finished.record.steps:
        for name, output in step.outputs.items():
            assert digest_path(finished.output(name)) == output.sha256
            assert finished.record.output_path(name) == Path(step.step, output.path)
        assert read_step_record(finished.folder / step.step) == step
    with pytest.raises(ExecutionError, match="no output 'x'"):
        finished.record.output_path("x")


def test_a_record_comes_back_as_it_was(finished, tmp_path):
    write_record(tmp_path, finished.record)
    assert read_record(tmp_path) == finished.record


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1}', b"\xff", b'{"format": 2}'])
def test_an_unreadable_record_is_refused(tmp_path, content):
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(ExecutionError, match="cannot be read"):
        read_record(tmp_path)


def test_a_missing_record_is_refused(tmp_path):
    with pytest.raises(ExecutionError, match="no finished run"):
        read_record(tmp_path)


def test_keys_hold_no_wall_clock_time(finished):
    times = {step.started for step in finished.record.steps}
    times |= {step.ended for step in finished.record.steps} | {finished.record.started}
    for step in finished.record.steps:
        assert not any(time[:16] in json.dumps(step.parts) for time in times)


def test_the_crate_is_a_workflow_run_crate(finished):
    from rocrate.rocrate import ROCrate

    crate = ROCrate(finished.folder)
    root = crate.root_dataset
    assert {profile.id for profile in root["conformsTo"]} == set(PROFILES)
    assert "https://w3id.org/ro/wfrun/workflow/0.6" in PROFILES
    workflow = crate.mainEntity
    assert set(workflow.type) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert (finished.folder / workflow.id).read_bytes() == finished.study.path.read_bytes()
    run, *steps = root["mentions"]
    assert run["instrument"] is workflow
    assert [step["name"] for step in steps] == ["Step first", "Step second", "Step third"]
    assert all(step["startTime"] <= step["endTime"] for step in steps)
    results = {entity.id: entity for entity in run["result"]}
    assert set(results) == {
        "first/numbers.json", "second/parts/", "second/tables/total.csv", "third/report.txt",
    }  # fmt: skip
    for identifier, entity in results.items():
        assert (finished.folder / identifier).exists()
        assert entity["sha256"] == digest_path(finished.folder / identifier)
        assert entity["exampleOfWork"]["name"] in finished.study.outputs
    assert results["first/numbers.json"] in steps[1]["object"]
    given = {e["name"]: e["value"] for e in run["object"]}
    assert given["factor"] == "4"
    assert given["site declaration"] == finished.site.digest
    listed = {entity.id for entity in crate.data_entities}
    assert not any(".step" in identifier or "notebook.ipynb" in identifier for identifier in listed)
    assert all(root[name] for name in ("datePublished", "license", "description", "name"))


def test_the_crate_is_complete_json_ld(finished):
    data = json.loads((finished.folder / "ro-crate-metadata.json").read_text())
    graph = {entity["@id"]: entity for entity in data["@graph"]}
    assert len(graph) == len(data["@graph"])

    def references(value):
        if isinstance(value, dict):
            if set(value) == {"@id"}:
                yield value["@id"]
            else:
                for inner in value.values():
                    yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    known = {*graph, "https://w3id.org/ro/crate/1.3"}
    assert set(references(data["@graph"])) <= known


# ---------------------------------------------------------------- nothing of a patient

NAMES = [f"IVANOVA{i}^OLGA" for i in range(8)]
IDS = [f"MRN-77{i}03" for i in range(8)]
UIDS = [f"1.2.840.99999.{i}.20261122" for i in range(8)]
PATHS = [f"/pacs/ward{i}/petrov_ivan" for i in range(8)]
TEXTS = [f"liver lesion no {i}, see letter to Dr Sidorov" for i in range(8)]
MARKERS = [*NAMES, *IDS, *UIDS, *PATHS, *TEXTS]


def markers_in(text):
    escaped = {marker: json.dumps(marker)[1:-1] for marker in MARKERS}
    return [m for m, e in escaped.items() if m in text or e in text]


@pytest.fixture
def planted(tmp_path):
    """A toy study whose site, tables, headers, notebooks and exceptions hold all markers."""
    study = write_toy_study(tmp_path / "studies")
    site = write_toy_site(tmp_path / "sites")
    table = site.parent / f"{IDS[0]}.csv"
    rows = [f'{UIDS[i]},"{NAMES[i]}",{IDS[i]},{PATHS[i]},"{TEXTS[i]}"' for i in range(8)]
    header = f'exam_uid,"{NAMES[1]}","{IDS[1]}","{PATHS[1]}","{TEXTS[1]}"'
    table.write_text("\n".join([header, *rows]) + "\n")
    site.write_text(
        site.read_text().replace("Toy north", f"Clinic of {NAMES[2]}")
        + f'\n[tables]\nreports = "{table.name}"\n'
    )
    show = (
        f"text = (Path(site).parent / '{table.name}').read_text()",
        "print(text); print(text, file=__import__('sys').stderr)",
        "import logging, warnings",
        "logging.getLogger().warning(text); warnings.warn(text); os.system('echo ' + repr(text))",
        "(Path(output_dir) / '.fingerprint').write_text(text)",
        "text",
    )
    write_notebook(study / "01_first.ipynb", "What leaks?", *FIRST, *show)
    return study, site, show, tmp_path / "runs"


def run_planted(planted):
    study, site, _, runs = planted
    command = [sys.executable, "-m", "tests.toy_command", str(study), str(site), str(runs)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def public_files(runs):
    """Return what may be shown: all in a run folder but outputs and executed notebooks."""
    folder = next(runs.glob("toy/north/*"))
    found = [p for p in folder.iterdir() if p.is_file()]
    return [*found, *folder.glob("*/.step/record.json")]


@pytest.mark.slow
def test_no_marker_leaves_a_run_that_ends_well(planted):
    assert len(set(MARKERS)) == 40
    done = run_planted(planted)
    assert done.returncode == 0, done.stderr
    files = public_files(planted[3])
    assert {p.name for p in files} >= {
        "record.json", "ro-crate-metadata.json", "events.jsonl", "params.yaml", "study.toml",
    }  # fmt: skip
    for path in files:
        assert markers_in(path.read_text()) == [], path.name
    assert markers_in(done.stdout + done.stderr) == []
    # The search can find: the notebook that stays at the site holds all of them.
    kept = next(planted[3].glob("toy/north/*/first/.step/notebook.ipynb")).read_text()
    assert len(markers_in(kept)) == 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "raising",
    [
        "raise ValueError(text)",
        "raise type(text.replace(chr(0), ''), (Exception,), {})(text)",
        "raise OSError(28, text, text)",
        "open(text)",
        "raise SystemExit(text)",
        "from workbench.unreadable import UnreadableError; raise UnreadableError(text, row=3)",
        (
            "from workbench.unreadable import UnreadableError, FAULTS;"
            " raise UnreadableError(FAULTS[0], row=3, column=text, file=text)"
        ),
        (
            "from workbench.errors import SiteError;"
            " UnreadableError = type('UnreadableError', (SiteError,), {});"
            " raise UnreadableError('Row 3 of archive.path: ' + text, where=text, todo=text)"
        ),
        "import ctypes; print(text, flush=True); ctypes.string_at(0)",
    ],
)
def test_no_marker_leaves_a_run_that_fails(planted, raising):
    study, _, show, runs = planted
    write_notebook(study / "02_second.ipynb", "What leaks?", *SECOND, *show[:1], raising)
    done = run_planted(planted)
    assert done.returncode == 12, done.stderr
    for path in public_files(runs):
        assert markers_in(path.read_text()) == [], path.name
    assert markers_in(done.stdout + done.stderr) == []
    assert "02_second" not in done.stdout
    assert (
        RunRecord.model_validate_json(
            next(runs.glob("toy/north/*/record.json")).read_bytes()
        ).status
        == "failed"
    )


@pytest.mark.slow
def test_a_row_that_cannot_be_read_is_told_without_its_value(planted):
    study, site, _, runs = planted
    table = site.parent / "exams.csv"
    rows = [f"1.2.3.{i},P{i},CT,{i}" for i in range(4)] + [f'{UIDS[0]},{IDS[0]},CT,"{NAMES[0]}"']
    table.write_text("\n".join(["exam_uid,patient_id,modality,instances", *rows]) + "\n")
    opening = "from workbench import open_archive; open_archive(site).series().collect()"
    write_notebook(study / "02_second.ipynb", "What is read?", *SECOND, opening)
    done = run_planted(planted)
    assert done.returncode == 11
    told = "Row 5 of archive.path, column instances: no whole number of 0 or more"
    assert f": {told}\n" in done.stderr
    assert "Correct the table" in done.stderr
    assert markers_in(done.stdout + done.stderr) == []
    for path in public_files(runs):
        assert markers_in(path.read_text()) == [], path.name
    table.write_text("exam_uid,patient_id,modality,instances\n1,p,CT,2\n1,p,CT\n")
    done = run_planted(planted)
    assert ": Row 2 of archive.path: not as many cells as the header\n" in done.stderr
