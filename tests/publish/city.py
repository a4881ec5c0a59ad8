"""A study of hours, waiting times, doses and months, with signed releases of made-up districts."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import numpy as np

from tests.publish.releases import write_dashboard
from tests.released import make_manifest, pin, write_codelists, write_release
from tests.toy import write_notebook
from workbench.disclosure.policy import Policy
from workbench.exchange.keys import make_key
from workbench.exchange.manifest import SiteMark
from workbench.study import Study, read_study
from workbench.summaries import counts, histogram, moments
from workbench.summaries.summary import Summary

STUDY = """\
[study]
id = "city"
title = { en = "A made-up city", ru = "Выдуманный город", zh = "虚构城市" }
question = { en = "When, how soon, at what dose?", ru = "Когда и как скоро?", zh = "何时、多快？" }
version = "1.0"
status = "open"
lead = { en = "A. Researcher", ru = "А. Исследователь", zh = "研究者" }
limits = { en = "Made up: no patient is behind it.", ru = "Выдумано.", zh = "纯属虚构。" }
licence = "CC-BY-4.0"

[dimensions.weekday]
codelist = "codelists/weekday.csv"
one_per = "exam"
label = { en = "Weekday", ru = "День недели", zh = "星期" }

[dimensions.hour]
codelist = "codelists/hour.csv"
one_per = "exam"
label = { en = "Hour", ru = "Час", zh = "小时" }

[dimensions.reader_group]
codelist = "codelists/reader_group.csv"
one_per = "exam"
label = { en = "Read by", ru = "Кто описывает", zh = "阅片方" }

[dimensions.outcome]
codelist = "codelists/outcome.csv"
one_per = "exam"
zeros = "public"
label = { en = "Outcome", ru = "Исход", zh = "结局" }

[dimensions.protocol]
codelist = "codelists/protocol.csv"
one_per = "exam"
label = { en = "Protocol", ru = "Протокол", zh = "方案" }

[dimensions.facility]
codelist = "codelists/facility.csv"
names = true
one_per = "exam"
zeros = "public"
label = { en = "Facility", ru = "Учреждение", zh = "机构" }

[dimensions.month]
calendar = "month"
first = "2020-01"
last = "2023-12"
zeros = "public"
label = { en = "Month", ru = "Месяц", zh = "月份" }

[dimensions.modality]
codelist = "codelists/modality.csv"
one_per = "exam"
label = { en = "Modality", ru = "Модальность", zh = "检查模态" }

[[step]]
id = "count"
notebook = "01_count.ipynb"

[[step.output]]
name = "exams_by_hour"
kind = "counts"
release = true
dimensions = ["weekday", "hour"]

[[step.output]]
name = "use_of_hours"
kind = "moments"
release = true
dimensions = ["weekday", "hour"]
population = "device_hours"
unit = "%"
resolution = 0.01

[[step.output]]
name = "turnaround"
kind = "histogram"
release = true
zeros = "public"
dimensions = ["reader_group", "outcome"]
unit = "h"
edges = [0, 0.25, 0.5, 1, 2, 4, 8, 12, 24, 48, 72]

[[step.output]]
name = "dlp"
kind = "histogram"
release = true
zeros = "public"
dimensions = ["protocol", "facility"]
unit = "mGy.cm"
edges = [
  0, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600,
  700, 800, 900, 1000, 1200, 1500, 2000,
]

[[step.output]]
name = "exams_by_month"
kind = "counts"
release = true
dimensions = ["month", "modality"]

[dashboard]

[[dashboard.section]]
id = "hours"
table = "exams_by_hour"
figure = "heatmap"
dimensions = ["weekday", "hour"]
title = { en = "When", ru = "Когда", zh = "何时" }
question = { en = "When are they done?", ru = "Когда их выполняют?", zh = "检查在何时进行？" }

[[dashboard.section]]
id = "use"
table = "use_of_hours"
figure = "heatmap"
measure = "mean"
dimensions = ["weekday", "hour"]
title = { en = "How used", ru = "Как загружено", zh = "使用情况" }
question = { en = "When are they in use?", ru = "Когда загружены?", zh = "设备何时在使用？" }

[[dashboard.section]]
id = "waiting"
table = "turnaround"
figure = "curves"
measure = "median"
dimension = "reader_group"
within = [1, 24]
axis = { en = "Hours until the report", ru = "Часы до заключения", zh = "至报告的小时数" }
title = { en = "How soon", ru = "Как скоро", zh = "多快" }
question = { en = "How long does it take?", ru = "Сколько ждать?", zh = "报告需要多久？" }

[[dashboard.section]]
id = "dose"
table = "dlp"
figure = "dots"
measure = "median"
dimensions = ["protocol", "facility"]
title = { en = "At what dose", ru = "С какой дозой", zh = "多大剂量" }
question = { en = "Which dose is given?", ru = "Какова доза?", zh = "剂量是多少？" }

[[dashboard.section]]
id = "growth"
table = "exams_by_month"
figure = "fan"
dimensions = ["month", "modality"]
title = { en = "How many", ru = "Сколько", zh = "多少" }
question = { en = "How many are to come?", ru = "Сколько впереди?", zh = "未来有多少？" }

[[dashboard.section.target]]
label = "all"
year = 2024
value = 44000
source = { en = "Plan of the city", ru = "План города", zh = "城市规划" }

[[dashboard.section.target]]
label = "CT"
year = 2025
value = 30000
source = { en = "Plan of the city", ru = "План города", zh = "城市规划" }

[[dashboard.section]]
id = "months"
table = "exams_by_month"
figure = "fan"
dimension = "month"
title = { en = "How many, in all", ru = "Сколько всего", zh = "总数" }
question = { en = "How many are to come?", ru = "Сколько впереди?", zh = "未来有多少？" }
"""
DAYS = (
    ("Monday", "Понедельник", "星期一"),
    ("Tuesday", "Вторник", "星期二"),
    ("Wednesday", "Среда", "星期三"),
    ("Thursday", "Четверг", "星期四"),
    ("Friday", "Пятница", "星期五"),
    ("Saturday", "Суббота", "星期六"),
    ("Sunday", "Воскресенье", "星期日"),
)
FACILITIES = 48
CODELISTS = {
    "weekday": [(str(i), *names) for i, names in enumerate(DAYS, start=1)],
    "hour": [(str(h), *[f"{h:02}:00"] * 3) for h in range(24)],
    "reader_group": [
        ("facility", "The facility", "Само учреждение", "本机构"),
        ("centre", "The reading centre", "Референс-центр", "阅片中心"),
        ("on_call", "On call", "Дежурный врач", "值班医生"),
    ],
    "outcome": [
        ("event", "Reported", "Описано", "已报告"),
        ("censored", "Still open", "Ещё не описано", "未报告"),
    ],
    "protocol": [
        ("chest", "HRCT", "КТ лёгких высокого разрешения", "胸部高分辨CT"),
        ("head", "Head", "Голова", "头部"),
        ("rare", "Rare", "Редкий", "罕见"),
    ],
    "facility": [
        (f"F{n:03}", f"Facility {n}", f"Учреждение {n}", f"机构{n}")
        for n in range(1, FACILITIES + 1)
    ],
    "modality": [
        ("CT", "CT", "КТ", "计算机断层扫描"),
        ("MR", "Magnetic resonance", "МРТ", "磁共振成像"),
        ("MG", "Mammography", "Маммография", "乳腺X线摄影"),
    ],
}
DISTRICTS = {
    "north": ("North district", 40_000),
    "south": ("Южный округ", 22_000),
    "east": ("东区", 9_000),
    "tiny": ("A tiny district", 120),
}


def write_city(folder: Path, sites: dict[str, tuple[str, int]] | None = None, **given: int) -> Path:
    """Write the study, its keys and a release of every district; return its folder."""
    sites = DISTRICTS if sites is None else sites
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
        manifest = make_manifest(
            study,
            site,
            Policy(),
            site=SiteMark(id=site, name=name, kind="pretend"),
            created=dt.date(2026, 11, 1),
            run=hashlib.sha256(site.encode()).hexdigest()[:12],
        )
        tables = summarise(study, make_rows(exams, seed, len(sites), **given))
        write_release(folder / "releases" / site, manifest, key, tables)
    return folder


def make_rows(exams: int, seed: int, sites: int, months: int = 48) -> dict[str, np.ndarray]:
    """Return the exams of a district, of the first `months`; labels are positions."""
    random = np.random.default_rng(seed)
    weekday = random.choice(7, exams, p=[0.19, 0.18, 0.18, 0.17, 0.16, 0.08, 0.04])
    hour = np.clip(random.normal(12.5, 3.6, exams), 0, 23.9).astype(int)
    use = 80 * np.exp(-(((hour - 12) / 5) ** 2)) * (1 - 0.1 * weekday)
    group = random.choice(3, exams, p=[0.6, 0.3, 0.1])
    times = np.round(random.lognormal(np.array([1.6, 0.6, -0.6])[group], 0.9), 3)
    broken = np.round(random.uniform(0, 96, exams), 3)
    protocol = random.choice(3, exams, p=[0.62, 0.379, 0.001])
    share = FACILITIES // sites
    own = np.arange(seed * share, (seed + 1) * share)
    facility = random.choice(own, exams, p=random.dirichlet(np.full(share, 1.5)))
    level = random.lognormal(np.log(300), 0.3, FACILITIES)[facility]
    dose = level * np.array([1, 2.2, 1])[protocol] * random.lognormal(0, 0.35, exams)
    growth = 1.012 ** np.arange(48) * (1 + 0.1 * np.sin(np.arange(48) * np.pi / 6))
    growth[3:5] *= 0.6
    growth[months:] = 0
    return {
        "exam": np.arange(exams),
        "patient": random.integers(0, max(1, int(exams * 0.7)), exams),
        "weekday": weekday,
        "hour": hour,
        "use": np.round(np.clip(use + random.normal(0, 8, exams), 0, 100), 2),
        "reader_group": group,
        "times": np.minimum(times, broken),
        "outcome": np.where(times <= broken, 0, 1),
        "protocol": protocol,
        "facility": facility,
        "dose": np.round(dose, 1),
        "month": random.choice(48, exams, p=growth / growth.sum()),
        "modality": random.choice(3, exams, p=[0.6, 0.39, 0.01]),
    }


def summarise(study: Study, rows: dict[str, np.ndarray]) -> dict[str, Summary]:
    """Return the exact Summary of each output."""

    def of(*names: str) -> tuple[object, ...]:
        dimensions = [study.dimensions[name].dimension for name in names]
        return dimensions, {name: rows[name] for name in names}, rows["exam"], rows["patient"]

    def binned(name: str, values: np.ndarray, *names: str) -> Summary:
        edges = study.output(name).edges
        unit = study.output(name).unit
        return histogram.summarise(*of(*names), values, edges=edges, unit=unit, zeros="public")

    hours = of("weekday", "hour")
    used = {"unit": "%", "resolution": 0.01, "population": "device_hours"}
    return {
        "exams_by_hour": counts.summarise(*hours),
        "use_of_hours": moments.summarise(*hours, rows["use"], **used),
        "turnaround": binned("turnaround", rows["times"], "reader_group", "outcome"),
        "dlp": binned("dlp", rows["dose"], "protocol", "facility"),
        "exams_by_month": counts.summarise(*of("month", "modality")),
    }
