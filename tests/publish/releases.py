"""A small study with signed releases of six sites, made in seconds without running a notebook."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from tests.released import make_manifest, pin, write_codelists, write_release
from tests.toy import write_notebook
from workbench.disclosure.policy import Policy
from workbench.exchange.keys import make_key
from workbench.exchange.manifest import SiteMark
from workbench.study import Study, read_study
from workbench.summaries import counts, histogram
from workbench.summaries.summary import Summary

STUDY = """\
[study]
id = "small"
title = { en = "A small imaging service", ru = "Небольшая служба", zh = "小型影像检查服务" }
question = { en = "What is done, for whom, on which devices, and how large is it?" }
version = "1.2"
status = "open"
lead = { en = "A. Researcher", ru = "А. Исследователь" }
limits = { en = "Made up: no patient is behind it.", ru = "Выдумано.", zh = "纯属虚构。" }
licence = "CC-BY-4.0"

[dimensions.modality]
codelist = "codelists/modality.csv"
one_per = "none"
zeros = "public"
label = { en = "Modality", ru = "Модальность", zh = "检查模态" }

[dimensions.manufacturer]
codelist = "codelists/manufacturer.csv"
names = true
one_per = "exam"
zeros = "public"
label = { en = "Manufacturer", ru = "Производитель", zh = "制造商" }

[dimensions.age_band]
edges = [0, 18, 40, 60, 80]
unit = "a"
one_per = "exam"
label = { en = "Age at the exam", ru = "Возраст", zh = "检查时年龄" }

[dimensions.sex]
codelist = "codelists/sex.csv"
one_per = "patient"
zeros = "public"
label = { en = "Sex", ru = "Пол", zh = "性别" }

[dimensions.element]
codelist = "codelists/element.csv"
one_per = "none"
zeros = "public"
label = { en = "Element", ru = "Элемент", zh = "要素" }

[[step]]
id = "count"
notebook = "01_count.ipynb"

[[step.output]]
name = "exams_by_modality"
kind = "counts"
release = true
dimensions = ["modality"]

[[step.output]]
name = "devices"
kind = "counts"
release = true
dimensions = ["manufacturer"]
requires = ["manufacturer"]

[[step.output]]
name = "patients_by_age_sex"
kind = "counts"
release = true
dimensions = ["age_band", "sex"]

[[step.output]]
name = "images_per_exam"
kind = "histogram"
release = true
dimensions = ["modality"]
unit = "1"
edges = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]

[[step.output]]
name = "completeness"
kind = "counts"
release = true
dimensions = ["element"]

[dashboard]

[[dashboard.section]]
id = "activity"
table = "exams_by_modality"
figure = "bars"
dimension = "modality"
title = { en = "What is done", ru = "Что выполняется", zh = "做了哪些检查" }
question = { en = "How many exams does each modality account for?" }

[[dashboard.section]]
id = "patients"
table = "patients_by_age_sex"
figure = "grouped_bars"
measure = "patients"
dimensions = ["age_band", "sex"]
title = "For whom"
question = "How old are the patients, and of which sex?"

[[dashboard.section]]
id = "devices"
table = "devices"
figure = "bars"
dimension = "manufacturer"
top = 5
title = "On which devices"
question = "Whose devices make the exams, and how concentrated are they?"

[[dashboard.section]]
id = "images"
table = "images_per_exam"
figure = "histogram"
measure = "median"
dimension = "modality"
title = "How many images"
question = "How many images does an exam hold?"

[[dashboard.section]]
id = "description"
table = "completeness"
figure = "shares"
dimension = "element"
title = "How completely described"
question = "Which share of the exams states each element?"

[[dashboard.section]]
id = "concentration"
table = "devices"
figure = "forest"
dimension = "manufacturer"
title = "How concentrated"
question = "How concentrated are the devices at each site?"
"""
HOSTILE = "<img src=x onerror=alert(1)>"
CODELISTS = {
    "modality": [
        ("CT", "CT", "КТ", "计算机断层扫描"),
        ("MR", "Magnetic resonance", "МРТ", "磁共振成像"),
        ("DX", "Digital radiography", "Рентгенография", "数字化X线摄影"),
        ("US", "Ultrasound", "УЗИ", "超声"),
        ("PT", "Positron emission tomography", "ПЭТ", "正电子发射断层显像"),
    ],
    "manufacturer": [
        ("ALPHA", "Alpha Imaging", "Альфа", "阿尔法"),
        ("BETA", "Beta Medical", "Бета", "贝塔"),
        ("GAMMA", HOSTILE, "Гамма", "伽马"),
        ("DELTA", "Delta", "Дельта", "德尔塔"),
    ],
    "sex": [("F", "Female", "Женский", "女"), ("M", "Male", "Мужской", "男")],
    "element": [
        ("body_part", "Body part", "Область тела", "部位"),
        ("description", "Description", "Описание", "描述"),
        ("age", "Age", "Возраст", "年龄"),
        ("sex", "Sex", "Пол", "性别"),
    ],
}
SITES = {
    "north": ("Northern University Hospital", 4000),
    "south": ("Southern Regional Hospital", 1500),
    "east": ("东方医院", 900),
    "west": (f"West {HOSTILE}", 700),
    "small": ("A small practice", 60),
    "broken": ("Broken Hospital", 300),
}
DASHBOARD = (
    'study = "."',
    "from workbench.publish.dashboard import show",
    "show(study)",
)


def write_study(
    folder: Path,
    sites: dict[str, tuple[str, int]] | None = None,
    reason_of: str = "west",
    policies: Mapping[str, Policy] = MappingProxyType({}),
) -> Path:
    """Write the study, its keys and a release of every site; return its folder."""
    sites = SITES if sites is None else sites
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    (folder / "sites.toml").write_text("")
    write_codelists(folder, CODELISTS)
    write_notebook(folder / "01_count.ipynb", "How many?")
    write_dashboard(folder / "dashboard.ipynb")
    study = read_study(folder)
    for seed, (site, (name, exams)) in enumerate(sites.items()):
        key = make_key(folder / f"{site}.key", "demo")
        pin(study, site, key.public, "demo", title=name)
        tables = summarise(study, exams, seed)
        reasons = {}
        if site == reason_of:
            del tables["devices"]
            reasons = {"devices": {"en": "the archive does not keep the manufacturer"}}
        manifest = make_manifest(
            study,
            site,
            policies.get(site, Policy()),
            site=SiteMark(id=site, name=name, kind="pretend"),
            created=dt.date(2026, 11, 1 + seed % 20),
            not_answered=reasons,
            run=hashlib.sha256(site.encode()).hexdigest()[:12],
        )
        write_release(folder / "releases" / site, manifest, key, tables)
    changed = folder / "releases" / "broken" / "devices.csv"
    if changed.exists():
        changed.chmod(0o644)
        changed.write_text(changed.read_text().replace("rounded", "ok", 1))
    return folder


LONG = (
    "University Hospital of the Faculty of Medicine, Department of Diagnostic Radiology No. {n}",
    "Областная клиническая больница имени первого председателя, отделение рентгенологии № {n}",
    "大学第一附属医院放射诊断科与远程医学中心第{n}院区",
)


def many_sites(folder: Path, number: int = 35) -> Path:
    """Write the study with releases of many sites, their names long and in three scripts."""
    names = {f"site_{n:02}": (LONG[n % 3].format(n=n), 300 + 37 * n) for n in range(number)}
    return write_study(folder, names, reason_of="site_05")


def summarise(study: Study, exams: int, seed: int) -> dict[str, Summary]:
    """Return the exact Summaries of a pretend site."""
    rng = np.random.default_rng(seed)
    exam = np.arange(exams)
    patient = rng.integers(0, max(1, int(exams * 0.8)), exams)
    sex = (np.arange(exams) * 7 % 11 < 5 + seed % 2).astype(int)[patient]
    age = np.minimum(4, (rng.gamma(6, 9, exams) / 20).astype(int))
    modality = rng.choice(5, exams, p=[0.42, 0.27, 0.25, 0.055, 0.005])
    both = np.flatnonzero(modality == 4)  # a PET exam has a CT as well
    maker = rng.choice(4, exams, p=np.roll([0.55, 0.3, 0.12, 0.03], seed))
    images = np.round(np.exp(rng.normal(4 + 0.2 * (seed % 7), 1.4, exams))).clip(1, 20000)
    dims = {name: d.dimension for name, d in study.dimensions.items()}
    stated = [
        (i, np.flatnonzero(rng.random(exams) < p))
        for i, p in enumerate((0.7 - 0.1 * (seed % 7), 0.95, 0.99, 0.98))
    ]
    element = np.concatenate([np.full(len(at), i) for i, at in stated])
    of = np.concatenate([at for _, at in stated])
    # The margin is all exams, so exams that state nothing are rows as well.
    rest = np.setdiff1d(exam, of)
    missing = dims["element"].labels.index("missing")
    element, of = np.concatenate([element, np.full(len(rest), missing)]), np.concatenate([of, rest])
    long = np.concatenate([exam, both])
    return {
        "exams_by_modality": counts.summarise(
            [dims["modality"]],
            {"modality": np.concatenate([modality, np.zeros(len(both), int)])},
            long,
            patient[long],
        ),
        "devices": counts.summarise([dims["manufacturer"]], {"manufacturer": maker}, exam, patient),
        "patients_by_age_sex": counts.summarise(
            [dims["age_band"], dims["sex"]], {"age_band": age, "sex": sex}, exam, patient
        ),
        "images_per_exam": histogram.summarise(
            [dims["modality"]],
            {"modality": modality},
            exam,
            patient,
            images,
            edges=study.output("images_per_exam").edges,
            unit="1",
        ),
        "completeness": counts.summarise([dims["element"]], {"element": element}, of, patient[of]),
    }


def write_dashboard(path: Path) -> None:
    """Write the notebook of a dashboard."""
    code = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {"tags": ["parameters"]} if i == 0 else {},
            "execution_count": None,
            "outputs": [],
            "source": text,
        }
        for i, text in enumerate(DASHBOARD)
    ]
    kernel = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "title": "A small imaging service",
    }
    path.write_text(
        json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
    )
