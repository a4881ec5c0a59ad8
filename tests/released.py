"""A study of four tables, sites that answer it, and their runs, made without notebooks."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.toy import write_notebook
from workbench.disclosure.cells import protect
from workbench.disclosure.policy import Policy
from workbench.exchange import verification
from workbench.exchange.contents import write_folder
from workbench.exchange.envelope import seal
from workbench.exchange.keys import Key, make_key, read_key
from workbench.exchange.manifest import (
    ENVELOPE,
    MANIFEST,
    Manifest,
    PolicyMark,
    RunMark,
    SiteMark,
    StudyMark,
    TableMark,
)
from workbench.exchange.verification import Release
from workbench.provenance import OutputRecord, RunRecord, StepRecord, write_record
from workbench.release import pack
from workbench.site import Site, read_site
from workbench.study import Study, read_study
from workbench.summaries import counts, histogram, moments
from workbench.summaries.summary import Summary
from workbench.summaries.table import render_summary

TODAY = dt.date(2026, 11, 22)
EDGES = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
STUDY = """\
[study]
id = "small"
title = "A small study"
question = "What is done?"
version = "1.0"
status = "open"
lead = "A. Researcher"
licence = "CC-BY-4.0"
languages = ["en"]

[parameters.years]
type = "int"
default = 3
minimum = 1
maximum = 9

[dimensions.modality]
label = "Modality"
codelist = "codelists/modality.csv"
one_per = "none"

[dimensions.sex]
label = "Sex"
codelist = "codelists/sex.csv"
one_per = "patient"
zeros = "public"

[[step]]
id = "count"
notebook = "01_count.ipynb"

[[step.output]]
name = "exams"
kind = "counts"
dimensions = ["modality", "sex"]
release = true

[[step.output]]
name = "dose"
kind = "moments"
dimensions = ["sex"]
unit = "mGy"
resolution = 0.01
release = true

[[step.output]]
name = "images"
kind = "histogram"
dimensions = ["sex"]
unit = "1"
edges = [0, 1, 2, 4, 8, 16, 32, 64]
release = true

[[step.output]]
name = "makers"
kind = "counts"
dimensions = ["modality"]
requires = ["manufacturer"]
release = true

[[step.output]]
name = "rows"
kind = "counts"
dimensions = ["sex"]
"""
CODES = "code,system,label_en,label_ru,label_zh\n"
ENDS = "other,,Other,Другое,其他\nmissing,,Not stated,Не указано,未说明\n"


@dataclass
class Rows:
    """Exams of one site: whole patients with 1 to 4 exams, each of 1 or 2 modalities."""

    exam: np.ndarray
    patient: np.ndarray
    modality: np.ndarray
    sex: np.ndarray
    value: np.ndarray

    @property
    def images(self) -> np.ndarray:
        return np.floor(self.value)


def make_rows(seed: int, patients: int = 150, rare: int = 6) -> Rows:
    """Return random rows; the last `rare` patients are the only ones of sex M with modality US."""
    random = np.random.default_rng(seed)
    of_exam = np.repeat(np.arange(patients), random.integers(1, 4, patients))
    sex = (random.random(patients) < 0.4).astype(int)
    value = np.round(random.lognormal(1.5, 1.0, of_exam.size), 2)
    modality = random.integers(0, 2, of_exam.size)
    few = of_exam >= patients - rare
    modality[few] = 2
    twice = random.random(of_exam.size) < 0.1
    exam = np.arange(of_exam.size)
    return Rows(
        np.concatenate([exam, exam[twice]]),
        np.concatenate([of_exam, of_exam[twice]]),
        np.concatenate([modality, (modality[twice] + 1) % 3]),
        np.concatenate([sex[of_exam], sex[of_exam][twice]]),
        np.concatenate([value, value[twice]]),
    )


def summarise(study: Study, rows: Rows) -> dict[str, Summary]:
    """Return the exact Summary of each output."""
    modality, sex = (study.dimension(name).dimension for name in ("modality", "sex"))
    of_sex = ([sex], {"sex": rows.sex}, rows.exam, rows.patient)
    return {
        "exams": counts.summarise(
            [modality, sex], {"modality": rows.modality, "sex": rows.sex}, rows.exam, rows.patient
        ),
        "dose": moments.summarise(*of_sex, rows.value, unit="mGy", resolution=0.01),
        "images": histogram.summarise(*of_sex, rows.images, edges=EDGES, unit="1"),
        "makers": counts.summarise(
            [modality], {"modality": rows.modality}, rows.exam, rows.patient
        ),
        "rows": counts.summarise(*of_sex),
    }


def write_study(folder: Path, text: str = STUDY) -> Study:
    """Write the study with an empty sites.toml."""
    folder.mkdir(parents=True)
    codes = {"modality": ("CT", "MR", "US"), "sex": ("F", "M")}
    write_codelists(
        folder, {name: [(c, c, c, c) for c in labels] for name, labels in codes.items()}
    )
    (folder / "study.toml").write_text(text)
    write_notebook(folder / "01_count.ipynb", "How many?")
    (folder / "sites.toml").write_text("")
    return read_study(folder)


def write_codelists(folder: Path, codelists: dict[str, list[tuple[str, str, str, str]]]) -> None:
    """Write the codelists of a study: code and labels in English, Russian and Chinese."""
    (folder / "codelists").mkdir()
    for name, codes in codelists.items():
        lines = "".join(f'{c},DCM,"{en}",{ru},{zh}\n' for c, en, ru, zh in codes)
        (folder / f"codelists/{name}.csv").write_text(CODES + lines + ENDS, encoding="utf-8")


def write_site(
    folder: Path, study: Study, name: str, *, kind: str = "pretend", more: str = ""
) -> Site:
    """Write a site with a key, and pin the key in the study."""
    key_kind = "real" if kind == "real" else "demo"
    folder.mkdir(parents=True)
    public = make_key(folder / "site.key", key_kind).public
    (folder / "site.toml").write_text(
        f'[site]\nid = "{name}"\nname = "Site {name}"\nkind = "{kind}"\n'
        '[archive]\nkind = "table"\npath = "exams.csv"\n'
        f'[key]\nfile = "site.key"\nkind = "{key_kind}"\n{more}'
    )
    pin(study, name, public, key_kind)
    return read_site(folder)


def pin(study: Study, name: str, public: str, kind: str, more: str = "", title: str = "") -> None:
    """Add a key to the study's sites.toml."""
    title = json.dumps(title or f"Site {name}", ensure_ascii=False)
    with (study.folder / "sites.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'[[site]]\nid = "{name}"\nname = {title}\npublic_key = "{public}"\n'
            f'kind = "{kind}"\nvalid_from = 2026-01-01\n{more}'
        )


def write_run(
    runs: Path,
    study: Study,
    site: Site,
    summaries: dict[str, Summary],
    changes: dict[str, object],
) -> Path:
    """Write the folder of a finished run that holds these Summaries."""
    folder = runs / study.id / site.id / "0123456789ab"
    (folder / "count").mkdir(parents=True, exist_ok=True)
    outputs = {}
    for name, summary in summaries.items():
        content = render_summary(summary)
        (folder / "count" / f"{name}.csv").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        outputs[name] = OutputRecord(
            path=f"{name}.csv", sha256=sha256, size=len(content), stamp="0"
        )
    step = StepRecord(
        step="count",
        key="a" * 64,
        parts={},
        outputs=outputs,
        input_digest="b" * 64,
        started="2026-11-22T01:02:03+00:00",
        ended="2026-11-22T01:02:04+00:00",
        seconds=1.0,
    )
    record = RunRecord(
        run_id="0123456789ab",
        status="finished",
        study=study.id,
        study_version=study.version,
        study_digest=study.digest,
        site=site.id,
        site_digest=site.digest,
        parameters={"years": 3},
        sample=None,
        steps=[step],
        started=step.started,
        ended=step.ended,
        seconds=1.0,
        workbench_version="0.1.0",
        workbench_digest="c" * 64,
        software={"python": "3.11.9", "numpy": "2.4.6", "pip": "25"},
        platform="Linux 6.1 x86_64 on PLATFORM-MARKER",
    )
    write_record(folder, record.model_copy(update=changes))
    return folder


@dataclass
class Hospital:
    """A site of a study, with its run and its release."""

    study: Study
    site: Site
    summaries: dict[str, Summary]
    runs: Path

    @property
    def out(self) -> Path:
        return self.study.folder / "releases" / self.site.id

    def run(self, **changes: object) -> Path:
        return write_run(self.runs, self.study, self.site, self.summaries, changes)

    def pack(self, **options: object):
        given = {"approver": "A. Person", "reason": "Nothing real", "date": TODAY, "today": TODAY}
        return pack(self.run(), self.study, self.site, out=self.out, **(given | options))

    def sign(self, change=None, *, tables=None, key=None, name_key=True) -> None:
        """Sign the release again, as a site that means harm, or has a broken program, would."""
        manifest = json.loads((self.out / MANIFEST).read_bytes())
        for name, content in (tables or {}).items():
            (self.out / f"{name}.csv").write_bytes(content)
            about = manifest["tables"].setdefault(name, {"kind": "counts", "suppressed": 0})
            about |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if change is not None:
            change(manifest)
        key = key or read_key(self.site.key_path)
        if name_key:
            manifest["key"] = key.id
        model = Manifest.model_validate_json(json.dumps(manifest))
        model = model.model_copy(update={"id": model.content})
        self.seal(model.render(), key)

    def seal(self, content: bytes, key=None) -> None:
        key = key or read_key(self.site.key_path)
        (self.out / MANIFEST).write_bytes(content)
        (self.out / ENVELOPE).write_bytes(seal(content, key.id, key.sign))


def make_hospital(
    folder: Path,
    study: Study,
    name: str,
    seed: int,
    *,
    kind: str = "pretend",
    more: str = "",
    **rows,
) -> Hospital:
    """Return a site with random exams; nothing is packed yet."""
    site = write_site(folder / "sites" / name, study, name, kind=kind, more=more)
    return Hospital(study, site, summarise(study, make_rows(seed, **rows)), folder / "runs")


def make_manifest(
    study: Study,
    name: str,
    policy: Policy,
    *,
    run: str = "0" * 12,
    parameters: dict[str, object] | None = None,
    **changes: object,
) -> Manifest:
    """Return the manifest of a pretend site's first release, which names no tables yet."""
    none = {"steps": {}, "inputs": {}, "software": {}}
    fields = {
        "what": "release",
        "id": "0" * 16,
        "counter": 1,
        "supersedes": None,
        "created": TODAY,
        "key": "0" * 16,
        "study": StudyMark(id=study.id, version=study.version, digest=study.digest),
        "site": SiteMark(id=name, name=f"Site {name}", kind="pretend"),
        "policy": PolicyMark(**policy.as_dict()),
        "tables": {},
        "not_answered": {},
        "reviews": [],
        "run": RunMark(id=run, workbench="0" * 64, parameters=parameters or {}, **none),
    }
    return Manifest(**(fields | changes))


def make_release(
    study: Study,
    name: str,
    summaries: dict[str, Summary],
    *,
    kind: str = "demo",
    policy: Policy | None = None,
    years: int = 3,
) -> Release:
    """Return a release of exact Summaries as `verify` would, without check, files or signature."""
    policy = policy or Policy()
    views = {o.name: protect(summaries[o.name], policy) for o in study.released}
    manifest = make_manifest(study, name, policy, parameters={"years": years})
    return Release(manifest, views, kind, "0" * 64, _seal=verification._SEAL)


def write_release(
    folder: Path, manifest: Manifest, key: Key, summaries: dict[str, Summary]
) -> None:
    """Write a signed release of exact Summaries, protected each alone and not checked together."""
    policy = Policy(**manifest.policy.model_dump())
    views = {name: protect(summary, policy) for name, summary in summaries.items()}
    files = {name: render_summary(view) for name, view in views.items()}
    tables = {
        name: TableMark(
            kind=views[name].kind,
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            suppressed=int((views[name].status["patients"] == "suppressed").sum()),
        )
        for name, content in files.items()
    }
    manifest = manifest.model_copy(update={"tables": tables, "key": key.id})
    write_folder(folder, manifest.model_copy(update={"id": manifest.content}), key, files)


def flip(text: str) -> str:
    """Return base64 with one bit changed."""
    raw = bytearray(base64.b64decode(text))
    raw[0] ^= 1
    return base64.b64encode(bytes(raw)).decode()
