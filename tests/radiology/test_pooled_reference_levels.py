import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import DefinitionError
from workbench.radiology.pooled_reference_levels import pool_reference_levels
from workbench.radiology.reference_levels import METHODS, reference_levels, summarise_rooms
from workbench.summaries import histogram
from workbench.summaries.dimension import Dimension
from workbench.summaries.summary import combine

EDGES = tuple(float(e) for e in range(0, 1001, 25))
PROTOCOLS = ("head", "trunk")


def institution(first, doses, edges=EDGES, *, margins=True):
    """Return the exams of an institution's rooms, and their histogram."""
    rooms = tuple(f"room {first + r:02}" for r in range(len(doses)))
    rows = [(rooms[r], p, d) for r, of_room in enumerate(doses) for p, d in of_room]
    table = pl.DataFrame(rows, schema=["room", "protocol", "dlp"], orient="row", schema_overrides={
        "dlp": pl.Float64})  # fmt: skip
    columns = {
        "room": np.array([rooms.index(r) for r in table["room"]], np.int32),
        "protocol": np.array([PROTOCOLS.index(p) for p in table["protocol"]], np.int32),
    }
    one = np.arange(len(table)) + 10_000 * first
    summary = histogram.summarise(
        [Dimension("room", rooms), Dimension("protocol", PROTOCOLS)], columns, one, one,
        table["dlp"].to_numpy(), edges=edges, unit="mGy.cm", margins=margins,
    )  # fmt: skip
    return table, summary


def exact(table, method, fewest):
    rooms = summarise_rooms(table, "dlp", room="room", by=["protocol"], fewest_exams=fewest)
    return reference_levels(rooms, by=["protocol"], method=method)


doses = st.lists(
    st.lists(st.tuples(st.sampled_from(PROTOCOLS), st.floats(0, 999)), min_size=1, max_size=9),
    min_size=1,
    max_size=9,
)


@settings(max_examples=60)
@given(doses, doses, st.sampled_from(METHODS), st.integers(1, 3))
def test_the_exact_level_lies_between_the_ends(first, second, method, fewest):
    (here, a), (there, b) = institution(0, first), institution(20, second)
    pooled = pool_reference_levels(combine(a, b), method=method, fewest_exams=fewest)
    wanted = exact(pl.concat([here, there]), method, fewest)
    both = pooled.filter(pl.col("protocol") != "all").join(wanted, on="protocol", suffix="_exact")
    assert len(both) == len(wanted)
    for row in both.iter_rows(named=True):
        assert (row["n_rooms"], row["n_exams"]) == (row["n_rooms_exact"], row["n_exams_exact"])
        assert row["kind"] == row["kind_exact"]
        for figure in ("level", "achievable_dose"):
            held = row[f"{figure}_exact"]
            if held is None:
                assert row[f"{figure}_low"] is None
                continue
            ends = row[f"{figure}_low"], row[f"{figure}_high"]
            assert ends[0] - 1e-9 <= held <= ends[1] + 1e-9
            assert ends[0] <= row[figure] <= ends[1]


def test_the_ends_are_no_further_apart_than_a_bin():
    dice = np.random.default_rng(7)
    of_room = [[("head", float(d)) for d in dice.gamma(9, 50, 60)] for _ in range(24)]
    (here, a), (there, b) = institution(0, of_room[:12]), institution(20, of_room[12:])
    made = pool_reference_levels(combine(a, b)).filter(protocol="head").row(0, named=True)
    wanted = exact(pl.concat([here, there]), "linear", 20).row(0, named=True)
    assert (made["n_rooms"], made["kind"]) == (24, "reference level")
    assert made["level_high"] - made["level_low"] <= 25.0
    assert made["level"] == pytest.approx(wanted["level"], abs=25.0)
    assert (made["method"], made["unit"]) == ("linear", "mGy.cm")


def test_the_end_is_infinite_where_a_median_lies_in_an_open_bin():
    _, summary = institution(0, [[("head", 5000.0)]] * 12)
    made = pool_reference_levels(summary, fewest_exams=1).filter(protocol="head")
    assert made.select("level", "level_low", "level_high").row(0) == (None, 1000.0, float("inf"))


def test_a_histogram_without_rooms_is_refused():
    _, summary = institution(0, [[("head", 50.0)]])
    with pytest.raises(DefinitionError, match="room"):
        pool_reference_levels(summary, room="rom")
