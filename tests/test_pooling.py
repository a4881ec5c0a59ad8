"""Every pooled interval is held against the unreleased truth."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.released import make_hospital, make_release, make_rows, summarise, write_study
from workbench.disclosure.policy import Policy
from workbench.errors import PoolingError
from workbench.exchange.envelope import RefusedError
from workbench.exchange.verification import verify_all
from workbench.pooled.file import POOLED
from workbench.pooled.histogram import QUANTILES
from workbench.pooling import list_used, pool, read_pooled, write_pooled
from workbench.statistics.meta_analysis import random_effects
from workbench.summaries import counts
from workbench.summaries.grid import BIN
from workbench.summaries.moments import finish
from workbench.summaries.summary import combine


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("pooling") / "study")


def three(study, **options):
    rows = [make_rows(seed, patients) for seed, patients in ((1, 150), (2, 300), (3, 60))]
    exact = [summarise(study, r) for r in rows]
    releases = [
        make_release(study, name, tables, **options)
        for name, tables in zip(("north", "south", "west"), exact, strict=True)
    ]
    return rows, exact, releases


def quantile_of(rows, sex, q):
    """The percentile of all exams, as nobody who pools can know it."""
    values = []
    for r in rows:
        first = np.unique(r.exam, return_index=True)[1]
        held = np.ones(first.size, bool) if sex == "all" else r.sex[first] == "FM".index(sex)
        values.append(r.images[first][held])
    return np.percentile(np.concatenate(values), 100 * q)


def holds(figure, truth):
    return figure.low.item() - 1e-9 <= truth <= figure.high.item() + 1e-9


def assert_truth_is_held(study, rows, exact, releases):
    pooled = pool(releases, study)
    for name in ("exams", "makers", "images"):
        truth = combine(*(tables[name] for tables in exact))
        data = pooled.tables[name].data
        for field in ("exams", "patients"):
            figure = data.sel(quantity=field)
            told = figure.how.values != ""
            numbers = truth.data[field].values[told]
            assert (figure.low.values[told] <= numbers).all()
            assert (numbers <= figure.high.values[told]).all()
            exactly = (figure.how.values == "exact")[told]
            assert (figure.value.values[told][exactly] == numbers[exactly]).all()
            assert (figure.low.values[told] <= figure.high.values[told]).all()
    truth = finish(combine(*(tables["dose"] for tables in exact)))
    data = pooled.tables["dose"].data
    for field in ("mean", "sd"):
        for sex in data.sex.values:
            figure = data.sel(sex=sex, quantity=field)
            number = truth[field].sel(sex=sex).item()
            assert figure.how.item() == "" or np.isnan(number) or holds(figure, number)
    data = pooled.tables["images"].data
    for name, q in QUANTILES.items():
        for sex in ("all", "F", "M"):
            figure = data.sel(sex=sex, quantity=name).isel({BIN: 0})
            if figure.how.item():
                assert holds(figure, quantile_of(rows, sex, q))
    return pooled


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.integers(1, 160),
            st.integers(0, 12),
            st.sampled_from([Policy(), Policy(20, 10), Policy(15, 7, 2)]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_truth_lies_in_every_interval(study, sites):
    rows = [make_rows(seed, patients, rare=rare) for seed, patients, rare, _ in sites]
    exact = [summarise(study, r) for r in rows]
    releases = [
        make_release(study, f"site{i}", tables, policy=policy)
        for i, (tables, (*_, policy)) in enumerate(zip(exact, sites, strict=True))
    ]
    assert_truth_is_held(study, rows, exact, releases)


def test_the_truth_lies_in_every_interval_of_packed_releases(tmp_path):
    study = write_study(tmp_path / "study")
    sizes = {"north": 150, "south": 300, "west": 60}
    hospitals = [
        make_hospital(tmp_path, study, name, seed, patients=size)
        for seed, (name, size) in enumerate(sizes.items())
    ]
    for hospital in hospitals:
        hospital.pack()
    found = verify_all([h.out for h in hospitals], study)
    rows = [make_rows(seed, size) for seed, size in enumerate(sizes.values())]
    exact = [h.summaries for h in hospitals]
    pooled = assert_truth_is_held(study, rows, exact, found.releases)
    assert [used.site for used in pooled.releases] == ["north", "south", "west"]
    assert {used.verdict for used in pooled.releases} == {"integrity, not origin"}


def test_intervals_are_narrow_where_nothing_is_hidden(study):
    _, _, releases = three(study)
    figure = pool(releases, study).tables["exams"].data.sel(modality="CT", sex="F")
    for name in ("exams", "patients"):
        one = figure.sel(quantity=name)
        assert one.high.item() - one.low.item() <= 3 * 4
        assert (one.how.item(), one.n_sites.item(), one.n_suppressed.item()) == ("rounded", 3, 0)
    mean = pool(releases, study).tables["dose"].data.sel(sex="all", quantity="mean")
    assert mean.high.item() - mean.low.item() < 0.1


def test_each_figure_says_how_it_came_about(study):
    _, _, releases = three(study)
    data = pool(releases, study).tables["exams"].data.sel(quantity="patients")
    assert data.how.sel(modality="all", sex="missing").item() == "exact"
    assert data.value.sel(modality="all", sex="missing").item() == 0
    assert data.how.sel(modality="CT", sex="all").item() == "rounded"
    small = data.sel(modality="other", sex="M")
    assert (small.how.item(), small.n_suppressed.item()) == ("estimated", 3)
    assert np.isnan(small.value.item())  # nobody tells it, so it has no value
    assert 0 <= small.low.item() <= small.high.item() <= 27


def test_a_cell_that_one_site_hides_is_estimated(study):
    _, _, (north, south, west) = three(study)
    whole = pool([north, south], study).tables["exams"].data
    hidden = west.tables["exams"].status.patients.values == "suppressed"
    told = north.tables["exams"].status.patients.values == "rounded"
    at = tuple(np.argwhere(hidden & told)[0])
    both = pool([north, west], study).tables["exams"].data
    assert both.how.values[(*at, 1)] == "estimated"
    assert both.n_suppressed.values[(*at, 1)] == 1
    assert both.value.values[(*at, 1)] > north.tables["exams"].data.patients.values[at]
    assert whole.n_sites.values[(*at, 1)] == 2


def test_an_unknown_mean_has_no_bounds(study):
    _, _, (north, _, _) = three(study)
    few = make_release(study, "few", summarise(study, make_rows(9, patients=12, rare=0)))
    assert few.tables["dose"].status["mean"].sel(sex="M").item() == "suppressed"
    figure = pool([north, few], study).tables["dose"].data.sel(sex="M", quantity="mean")
    assert (figure.low.item(), figure.high.item()) == (-np.inf, np.inf)
    assert figure.value.item() == north.tables["dose"].data["mean"].sel(sex="M").item()
    assert (figure.how.item(), figure.n_suppressed.item()) == ("estimated", 1)


def test_bins_are_the_finest_that_every_site_tells(study):
    _, _, releases = three(study)
    data = pool(releases, study).tables["images"].data.sel(sex="all", quantity="exams")
    told = [str(b) for b in data[BIN].values[data.how.values != ""]][1:]
    edges = [label[1:-1].split(",") for label in told]
    assert edges[0][0] == "-inf"
    assert edges[-1][1] == "inf"
    assert [high for _, high in edges[:-1]] == [low for low, _ in edges[1:]]
    assert len(told) >= 3


def test_a_quantile_needs_the_threshold_on_both_sides(study):
    few = make_release(study, "few", summarise(study, make_rows(9, patients=40, rare=0)))
    data = pool([few], study).tables["images"].data.sel(sex="all").isel({BIN: 0})
    assert data.how.sel(quantity="median").item()
    assert not data.how.sel(quantity="p95").item()


def test_what_would_be_used_is_what_was_pooled(study):
    _, _, releases = three(study)
    assert list_used(reversed(releases), study) == pool(releases, study).releases
    real = make_release(study, "east", three(study)[1][1], kind="real")
    assert pool([real], study).keys == "real"


def test_the_order_of_releases_makes_no_difference(study, tmp_path):
    _, _, releases = three(study)
    write_pooled(pool(releases, study), tmp_path / "one")
    write_pooled(pool(releases[::-1], study), tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_heterogeneity_is_that_of_the_logits(study):
    _, _, releases = three(study)
    rows = pool(releases, study).heterogeneity
    row = next(
        r
        for r in rows
        if (r.table, r.dimension, r.label, r.quantity) == ("exams", "modality", "CT", "patients")
    )
    part, whole = (
        np.array([r.tables["exams"].data.patients.sel(modality=m, sex="all") for r in releases])
        for m in ("CT", "all")
    )
    y = np.log(part / (whole - part))
    found = random_effects(y, 1 / part + 1 / (whole - part), hksj=True)
    assert row.sites == 3
    assert row.estimate == pytest.approx(1 / (1 + np.exp(-found.estimate)), rel=1e-5)
    assert row.tau2 == pytest.approx(found.tau2, rel=1e-5, abs=1e-9)
    assert 0 <= row.prediction_low <= row.low <= row.estimate <= row.high <= row.prediction_high
    mean = next(r for r in rows if (r.table, r.label, r.quantity) == ("dose", "F", "mean"))
    assert mean.low < mean.estimate < mean.high
    assert not [r for r in rows if r.table == "images"]


def test_one_site_alone_has_no_heterogeneity(study):
    _, _, (north, *_) = three(study)
    assert pool([north], study).heterogeneity == ()


# ---- what is refused


@pytest.mark.parametrize("pool", [pool, list_used])
def test_only_verified_releases_of_one_kind_are_pooled(study, pool):
    _, exact, (north, south, _) = three(study)
    with pytest.raises(PoolingError, match="no release"):
        pool([], study)
    with pytest.raises(PoolingError, match="Only verified"):
        pool([north, exact[1]["exams"]], study)
    with pytest.raises(PoolingError, match="two releases of north"):
        pool([north, south, north], study)
    real = make_release(study, "east", exact[1], kind="real")
    with pytest.raises(PoolingError, match="demo"):
        pool([north, real], study)
    pool([real], study)
    with pytest.raises(PoolingError, match="parameters"):
        pool([north, make_release(study, "east", exact[1], years=5)], study)


def test_a_release_of_another_study_is_refused(study, tmp_path):
    _, exact, (north, *_) = three(study)
    text = (study.folder / "study.toml").read_text().replace('version = "1.0"', 'version = "2"')
    other = write_study(tmp_path / "other", text)
    with pytest.raises(PoolingError, match="not of"):
        pool([north, make_release(other, "east", exact[1])], study)


def test_a_release_that_contradicts_itself_is_refused(study):
    _, _, (north, *_) = three(study)
    view = north.tables["makers"]
    view.data["patients"].loc[{"modality": "CT"}] = 100_000
    view.data["exams"].loc[{"modality": "CT"}] = 100_000
    with pytest.raises(RefusedError, match="contradicts") as refused:
        pool([north], study)
    assert refused.value.reason == "contradiction"


# ---- files


def test_pooled_tables_are_written_and_read_back(study, tmp_path):
    _, _, releases = three(study)
    pooled = pool(releases, study)
    write_pooled(pooled, tmp_path)
    again = read_pooled(tmp_path)
    assert again.study == pooled.study
    assert again.releases == pooled.releases
    assert again.heterogeneity == pooled.heterogeneity
    for name, table in pooled.tables.items():
        assert again.tables[name].dimensions == table.dimensions
        for column in ("low", "high", "value", "n_sites", "n_suppressed", "how"):
            told = table.data.how.values != ""
            left, right = (t.data[column].values[told] for t in (table, again.tables[name]))
            assert ((left == right) | ((left != left) & (right != right))).all()
    write_pooled(again, tmp_path / "again")
    for path in tmp_path.glob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_tables_of_an_earlier_pooling_are_removed(study, tmp_path):
    (tmp_path / "old.csv").write_text("x")
    write_pooled(pool(three(study)[2], study), tmp_path)
    assert not (tmp_path / "old.csv").exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("exams.csv", lambda b: b.replace(b"rounded", b"exact", 1)),
        ("exams.csv", lambda b: b[:-5]),
        ("exams.csv", None),
        ("heterogeneity.csv", lambda b: b + b"x"),
        (POOLED, None),
        (POOLED, lambda b: b" " + b),
        (POOLED, lambda b: b"{}\n"),
        (POOLED, lambda b: b"\xff"),
    ],
)
def test_changed_pooled_files_are_refused(study, tmp_path, name, change):
    write_pooled(pool(three(study)[2], study), tmp_path)
    path = tmp_path / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(PoolingError):
        read_pooled(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("all,all,exams", "all,all,weight", 1),
        lambda t: t.replace(",rounded,", ",guessed,", 1),
        lambda t: t.replace("quantity", "variable", 1),
        lambda t: t + t.splitlines()[-1] + "\n",
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t + "CT,F\n",
    ],
)
def test_pooled_tables_are_read_strictly_even_if_the_digest_fits(study, tmp_path, change):
    import hashlib

    write_pooled(pool(three(study)[2], study), tmp_path)
    path = tmp_path / "exams.csv"
    path.write_bytes(change(path.read_text()).encode())
    about = json.loads((tmp_path / POOLED).read_bytes())
    about["tables"]["exams"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps(about, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (tmp_path / POOLED).write_text(text + "\n")
    with pytest.raises(PoolingError):
        read_pooled(tmp_path)


def test_pooling_cannot_open_patient_data():
    import subprocess
    import sys

    code = (
        "import workbench.pooling, workbench.release, sys\n"
        "names = ('imaging', 'clinical', 'radiology', 'execution', 'notebook')\n"
        "print([n for n in names if f'workbench.{n}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(PoolingError, match="opened"):
        read_pooled(tmp_path / "nothing")
    shutil.rmtree(tmp_path)


def test_a_table_without_margins_bounds_no_other(study):
    _, exact, _ = three(study)
    tables = dict(exact[0])
    plain = tables["makers"]
    tables["makers"] = counts.summarise(
        plain.dimensions,
        {"modality": make_rows(1).modality},
        make_rows(1).exam,
        make_rows(1).patient,
        margins=False,
    )
    pooled = pool([make_release(study, "north", tables)], study)
    assert "all" not in pooled.tables["makers"].data.modality.values
    figure = pooled.tables["dose"].data.sel(sex="all", quantity="exams")
    assert figure.low.item() <= exact[0]["dose"].data.exams.sel(sex="all").item()
    with pytest.raises(PoolingError, match="other margins"):
        pool([make_release(study, "north", tables), make_release(study, "south", exact[1])], study)
