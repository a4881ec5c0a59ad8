import numpy as np
import polars as pl
import pytest

from workbench.errors import DefinitionError
from workbench.radiology.reference_levels import (
    WEIGHT_BANDS,
    band,
    find_rooms_above,
    reference_levels,
    summarise_rooms,
)

MEDIANS = [300.0, 320, 350, 400, 410, 450, 480, 500, 520, 610]


def exams(medians=MEDIANS, n=21, protocol="head"):
    """Return exams of rooms with these medians."""
    rows = [
        (f"room {r:02}", protocol, m + d)
        for r, m in enumerate(medians)
        for d in np.linspace(-50, 50, n)
    ]
    return pl.DataFrame(rows, schema=["station", "protocol", "dlp_total_mgy_cm"], orient="row")


@pytest.mark.parametrize(
    ("method", "level"),
    [("linear", 495.0), ("hazen", 500.0), ("median_unbiased", 501.67), ("weibull", 505.0)],
)
def test_the_level_is_the_upper_quartile_of_the_medians_of_rooms(method, level):
    rooms = summarise_rooms(exams(), "dlp_total_mgy_cm")
    assert rooms["median"].round(9).to_list() == MEDIANS
    made = reference_levels(rooms, method=method).row(0, named=True)
    assert round(made["level"], 2) == level
    assert made["method"] == method
    assert (made["n_rooms"], made["n_exams"], made["kind"]) == (10, 210, "reference level")
    assert made["achievable_dose"] == pytest.approx(430.0)


def test_under_ten_rooms_there_is_a_typical_value_and_no_level():
    made = reference_levels(summarise_rooms(exams(MEDIANS[:9]), "dlp_total_mgy_cm"))
    assert made.select("kind", "level", "n_rooms").row(0) == ("typical value", None, 9)
    assert made["achievable_dose"].item() == pytest.approx(410.0)


def test_a_room_of_few_exams_is_told_and_not_used():
    rooms = summarise_rooms(
        pl.concat([exams(), exams([9000.0], n=19).with_columns(station=pl.lit("small"))]),
        "dlp_total_mgy_cm",
    )
    assert rooms.filter(~pl.col("used"))["station"].to_list() == ["small"]
    assert reference_levels(rooms)["level"].item() == pytest.approx(495.0)


def test_kinds_of_exams_are_judged_apart():
    both = pl.concat([exams(), exams([m * 2 for m in MEDIANS], protocol="trunk")])
    rooms = summarise_rooms(both, "dlp_total_mgy_cm", by=["protocol"])
    made = reference_levels(rooms, by=["protocol"])
    assert made["protocol"].to_list() == ["head", "trunk"]
    assert made["level"].to_list() == pytest.approx([495.0, 990.0])


def test_what_is_missing_is_no_exam():
    rows = exams().with_columns(
        dlp_total_mgy_cm=pl.when(pl.col("station") == "room 00").then(None)
        .otherwise(pl.col("dlp_total_mgy_cm"))
    )  # fmt: skip
    assert len(summarise_rooms(rows, "dlp_total_mgy_cm")) == 9
    empty = reference_levels(summarise_rooms(rows.clear(), "dlp_total_mgy_cm"))
    assert empty.is_empty()


def test_an_unknown_column_or_method_gets_the_nearest():
    with pytest.raises(DefinitionError, match="dlp_total_mgy_cm"):
        summarise_rooms(exams(), "dlp_total_mgy")
    with pytest.raises(DefinitionError, match="linear"):
        reference_levels(summarise_rooms(exams(), "dlp_total_mgy_cm"), method="linaer")


def test_bands_hold_their_lower_end():
    weights = pl.DataFrame({"kg": [4.9, 5.0, 79.9, 80.0]})
    assert weights.select(band("kg", WEIGHT_BANDS))["kg"].to_list() == [
        "<5 kg", "5-<15 kg", "50-<80 kg", ">=80 kg",
    ]  # fmt: skip


LEVEL = pl.DataFrame({"quantity": ["dlp_total_mgy_cm"], "level": [400]})


def test_a_room_whose_median_is_above_the_level_is_told():
    """The median of 410 is above, and so are 12 of its 21 exams: that may be chance."""
    found = find_rooms_above(exams(), LEVEL)
    assert found["median"].to_list() == pytest.approx([610, 520, 500, 480, 450])
    assert found.columns == [
        "station", "quantity", "n_exams", "median", "level", "share_above",
    ]  # fmt: skip


def test_a_room_of_few_exams_is_not_told():
    assert find_rooms_above(exams([9000.0], n=19), LEVEL).is_empty()
    assert len(find_rooms_above(exams([9000.0], n=19), LEVEL, fewest_exams=19)) == 1


@pytest.mark.parametrize("n", [20, 100, 1000])
def test_chance_alone_puts_few_rooms_above_a_level(n):
    random = np.random.default_rng(n)
    table = pl.DataFrame(
        {
            "station": np.repeat(np.arange(2000), n),
            "dlp_total_mgy_cm": 400 * random.lognormal(0, 0.4, 2000 * n),
        }
    )
    assert len(find_rooms_above(table, LEVEL)) <= 10  # 3 are expected
    higher = table.with_columns(pl.col("dlp_total_mgy_cm") * (1 + 4 / n**0.5))
    assert len(find_rooms_above(higher, LEVEL)) > 1800


def test_without_a_level_no_room_is_told():
    assert find_rooms_above(exams(), LEVEL.clear()).is_empty()
    assert find_rooms_above(exams().clear(), LEVEL).is_empty()


def test_rooms_are_held_against_the_level_of_their_kind():
    both = pl.concat([exams(), exams([m * 2 for m in MEDIANS], protocol="trunk")])
    levels = pl.DataFrame({"protocol": ["head", "trunk", "other"], "level": [540, 5000, 1]})
    found = find_rooms_above(
        both, levels.with_columns(quantity=pl.lit("dlp_total_mgy_cm")), by=["protocol"]
    )
    assert found.select("protocol", "station").rows() == [("head", "room 09")]
    with pytest.raises(DefinitionError, match="protocol"):
        find_rooms_above(both, levels, by=["protocl"])
