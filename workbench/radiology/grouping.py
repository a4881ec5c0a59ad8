"""Grouping: the rules by which series become exams, and what they leave out."""

from __future__ import annotations

from typing import Any

import polars as pl

from workbench.archive.archive import tidy
from workbench.radiology.counting import ELEMENTS, PARTS
from workbench.radiology.quality import QualityTally

DERIVED = (
    *("ANN", "ASMT", "DOC", "FID", "FUSION", "KO", "M3D", "PLAN", "PR", "REG", "RTDOSE", "RTPLAN"),
    *("RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SMR", "SR", "STAIN", "TEXTUREMAP"),
)
"""Modalities of objects that are made from images: neither exams nor devices.

DICOM PS3.3, C.7.3.1.1.1; FUSION is no term of the standard, and is used for fused images.
"""
AGE_SPREAD = 1.0
"""Ages of one exam may differ by this many years: a birthday between two of its series."""
STEPS = (
    "in the archive",
    "with exam and patient identifier",
    "of one patient each",
    "with images, not derived objects alone",
    "of no more images than allowed",
)
"""What is counted on the way from the archive to the exams."""
ONCE = "with rows that are repeated exactly counted once"
"""The step behind the first, where there are such rows."""
LARGEST = 10_000_000
"""Images or megabytes of an exam beyond which nobody believes them; assumed: ten terabytes."""
SIZES = ("instances", "megabytes")
WHO = ("exam_uid", "patient_id")
STORED = (*PARTS, "exam_description", "age_years", "sex")


class Tally:
    """Add up, over the passes, what is left after each step and what could not be believed.

    Parameters
    ----------
    shared
        Hashes of the exams that more than one patient claims; a pass sees only one of them.
    repeated
        Rows that the archive left out because they repeat another exactly.
    """

    def __init__(self, shared: list[int], repeated: int = 0) -> None:
        self.shared = shared
        self.repeated = repeated
        self.quality = QualityTally()
        self.left = {step: dict.fromkeys(("series", "exams", "patients"), 0) for step in STEPS}
        self.unclear: dict[str, int] = {}
        for step in STEPS[:2]:
            self.left[step]["exams"] = len(shared)

    def add(self, step: str, rows: pl.DataFrame) -> None:
        """Add the series that are left after a step."""
        claimed = claimed_twice(self.shared)
        found = rows.lazy().select(
            series=pl.col("series").sum(),
            exams=pl.col("exam_uid").filter(~claimed).drop_nulls().hash().n_unique(),
            patients=pl.col("patient_id").drop_nulls().hash().n_unique(),
        )
        for name, number in found.collect().row(0, named=True).items():
            self.left[step][name] += number

    def note(self, rule: str, number: Any) -> None:  # noqa: ANN401 - a polars sum
        """Add to what one rule found unclear."""
        self.unclear[rule] = self.unclear.get(rule, 0) + int(number or 0)

    def table(self) -> list[dict[str, Any]]:
        """Return one row a step."""
        rows: list[dict[str, Any]] = [{"step": step} | left for step, left in self.left.items()]
        if self.repeated:
            rows.insert(1, rows[0] | {"step": ONCE})
            rows[0] = rows[0] | {"series": rows[0]["series"] + self.repeated}
        return rows


def claimed_twice(shared: list[int]) -> pl.Expr:
    """Return whether more than one patient claims the exam of a row."""
    if not shared:
        return pl.lit(value=False)
    return pl.col("exam_uid").hash().is_in(shared).fill_null(value=False)


def find_shared(series: pl.LazyFrame) -> list[int]:
    """Return the hashes of the exams that more than one patient claims."""
    named = series.drop_nulls(WHO).select(
        exam=pl.col("exam_uid").hash(), patient=pl.col("patient_id").hash()
    )
    claims = named.group_by("exam").agg(first=pl.col("patient").min(), last=pl.col("patient").max())
    several = claims.filter(pl.col("first") != pl.col("last")).select("exam")
    return sorted(several.collect(engine="streaming")["exam"].to_list())


def find_size_faults(exams: pl.LazyFrame) -> pl.DataFrame:
    """Return the exams whose size cannot be believed: a number below 0, or beyond `LARGEST`.

    Parameters
    ----------
    exams
        One row an exam: exam_uid, patient_id, and instances and megabytes as far as they are known.

    Returns
    -------
    polars.DataFrame
        exam_uid, patient_id and rule, "negative_value" or "absurd_value".

    Examples
    --------
    >>> rows = pl.LazyFrame({"exam_uid": ["1", "2", "3"], "patient_id": ["a", "a", "b"],
    ...                      "instances": [7, -1, None], "megabytes": [3e7, 1.0, 1e300]})
    >>> find_size_faults(rows).rows()
    [('2', 'a', 'negative_value'), ('1', 'a', 'absurd_value'), ('3', 'b', 'absurd_value')]
    """
    held = [name for name in SIZES if name in exams.collect_schema()]
    if not held:
        return pl.DataFrame(schema=dict.fromkeys((*WHO, "rule"), pl.String()))
    sizes = [pl.col(name).cast(pl.Float64).fill_nan(None) for name in held]
    bad = {
        "negative_value": pl.any_horizontal(size < 0 for size in sizes),
        "absurd_value": pl.any_horizontal(size > LARGEST for size in sizes),
    }
    found = [
        exams.drop_nulls(WHO).filter(is_so).select(pl.col(WHO).cast(pl.String), rule=pl.lit(rule))
        for rule, is_so in bad.items()
    ]
    return pl.concat(pl.collect_all(found, engine="streaming")).unique(maintain_order=True)


def sum_sizes(series: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row an exam with the sum of its instances and megabytes.

    A number below 0 is not summed away: it stands for all.

    Parameters
    ----------
    series
        Columns of `WHO` and `SIZES`, one row a series.
    """
    each = [pl.col(name).cast(pl.Float64).fill_nan(None).alias(name) for name in SIZES]
    summed = [
        pl.when(pl.col(n).min() < 0).then(pl.col(n).min()).otherwise(pl.col(n).sum()).alias(n)
        for n in SIZES
    ]
    return series.select(*WHO, *each).drop_nulls(WHO).group_by(WHO).agg(summed)


def group_series(
    series: pl.LazyFrame, tally: Tally, largest_images: int | None = None
) -> pl.DataFrame:
    """Return one row an exam, sorted by patient and exam.

    Parameters
    ----------
    series
        Series as `Archive.scan` returns them, all of every patient.
    tally
        Adds up what was left out.
    largest_images
        An exam of more images is left out, or None for no limit.

    Returns
    -------
    polars.DataFrame
        exam_uid, patient_id, age_years, sex, images, megabytes; element, what the exam states;
        parts, the combinations of modality, manufacturer, model and body_part.
    """
    megabytes = pl.col("megabytes").fill_nan(None)
    whole = megabytes.is_between(0, LARGEST)
    modality = pl.col("modality").str.strip_chars().str.to_uppercase()
    derived = modality.is_in(DERIVED).fill_null(value=False)
    # Grouped as stored and made tidy afterwards: a third of the rows, the same result.
    images, objects = pl.collect_all(
        [
            series.filter(~derived)
            .group_by(*WHO, *STORED)
            .agg(
                series=pl.len(),
                images=pl.col("instances").sum(),
                images_unknown=pl.col("instances").null_count(),
                images_refused=(pl.col("instances") < 0).sum(),
                # Bytes are integers: their sum does not depend on the order of the series.
                bytes=(megabytes.filter(whole) * 1e6).round().cast(pl.Int64).sum(),
                bytes_unknown=megabytes.null_count(),
                bytes_refused=(~whole).sum(),
            ),
            series.filter(derived).group_by(WHO).agg(series=pl.len()),
        ],
        engine="streaming",
    )
    everything = pl.concat([images.select(*WHO, "series"), objects])
    good = pl.all_horizontal(pl.col(WHO).is_not_null())
    for step in STEPS[:3]:
        if step == STEPS[2]:
            good &= ~claimed_twice(tally.shared)
        tally.add(step, everything if step == STEPS[0] else everything.filter(good))
    images = _make_tidy(images.filter(good), tally)
    tally.add(STEPS[3], images)
    exams = _make_exams(images, tally)
    if largest_images is not None:
        exams = exams.filter(pl.col("images").le(largest_images).fill_null(value=True))
    tally.add(STEPS[4], exams)
    exams = _drop_absurd_sizes(exams, tally)
    return _give_one_sex(exams, tally)


def _make_tidy(images: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    clean = tidy(images.lazy()).collect()
    for column in ("age_years", "sex"):
        stated = images[column].str.strip_chars().str.len_bytes() > 0
        lost = stated.fill_null(value=False) & clean[column].is_null()
        tally.note(f"series whose {column} is not believed", images["series"].filter(lost).sum())
    tally.quality.add_stored(images, clean)
    return clean.sort("patient_id", "exam_uid", *PARTS)


def _make_exams(images: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    exams = (
        images.lazy()
        .group_by("patient_id", "exam_uid", maintain_order=True)
        .agg(
            pl.col("series").sum(),
            pl.col("images").sum(),
            pl.col("images_unknown", "images_refused").sum(),
            pl.col("bytes", "bytes_unknown", "bytes_refused").sum(),
            age=pl.col("age_years").min(),
            oldest=pl.col("age_years").max(),
            sex=pl.col("sex").min(),
            other_sex=pl.col("sex").max(),
            described=pl.col("exam_description").is_not_null().any(),
            located=pl.col("body_part").is_not_null().any(),
            parts=pl.struct(PARTS),
            aged=pl.col("series").filter(pl.col("age_years").is_not_null()).sum(),
            sexed=pl.col("series").filter(pl.col("sex").is_not_null()).sum(),
        )
        .collect()
    )
    two_ages = pl.col("oldest") - pl.col("age") > AGE_SPREAD
    two_sexes = pl.col("sex") != pl.col("other_sex")
    tally.note("exams of two ages", exams.select(two_ages.sum()).item())
    tally.note("exams of two sexes", exams.select(two_sexes.sum()).item())
    aged, sexed = (pl.col(name).filter(two).sum() for name, two in
                   (("aged", two_ages), ("sexed", two_sexes)))  # fmt: skip
    tally.quality.add("age_years", bad=exams.select(aged).item())
    tally.quality.add("sex", bad=exams.select(sexed).item())
    exams = exams.with_columns(
        images=_known("images"),
        megabytes=_known("bytes") / 1e6,
        age_years=pl.when(~two_ages).then(pl.col("age")),
        sex=pl.when(~two_sexes).then(pl.col("sex")),
    )
    stated = (
        pl.col("located"),
        pl.col("described"),
        pl.col("age_years").is_not_null(),
        pl.col("sex").is_not_null(),
    )
    # Which are stated is a number of four bits, and names a row of the table of all subsets.
    bits = sum((s.cast(pl.Int64) * 2**i for i, s in enumerate(stated)), start=pl.lit(0))
    subsets = [[e for i, e in enumerate(ELEMENTS) if n >> i & 1] for n in range(2 ** len(ELEMENTS))]
    stated_elements = pl.Series(subsets, dtype=pl.List(pl.String)).gather(
        exams.select(bits).to_series()
    )
    return exams.with_columns(element=stated_elements)


def _known(what: str) -> pl.Expr:
    """Return the sum of an exam, null if one of its series does not say, or is not believed."""
    lacking = pl.col(f"{what}_unknown") + pl.col(f"{what}_refused")
    return pl.when(lacking == 0).then(pl.col(what))


def _drop_absurd_sizes(exams: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """Take out sizes beyond `LARGEST`, and count what was not believed."""
    for column, size, what in (
        ("instances", "images", "images"),
        ("megabytes", "megabytes", "bytes"),
    ):
        absurd = (pl.col(size) > LARGEST).fill_null(value=False)
        refused = pl.col(f"{what}_refused")
        bad = exams.select(
            exams=(absurd | (refused > 0)).sum(),
            series=pl.when(absurd).then(pl.col("series")).otherwise(refused).sum(),
        ).row(0, named=True)
        tally.note(f"exams whose {size} are not believed", bad["exams"])
        tally.quality.add(column, bad=bad["series"])
        exams = exams.with_columns(pl.when(~absurd).then(pl.col(size)))
    return exams


def _give_one_sex(exams: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    patients = exams.group_by("patient_id", maintain_order=True).agg(
        known=pl.col("sex").min(), other=pl.col("sex").max()
    )
    two = pl.col("known") != pl.col("other")
    tally.note("patients of two sexes", patients.select(two.sum()).item())
    known = patients.select("patient_id", two=two, sex=pl.when(~two).then(pl.col("known")))
    exams = exams.rename({"sex": "stated_sex"})
    joined = exams.join(known, on="patient_id", how="left", maintain_order="left")
    contradicted = pl.col("two") & pl.col("stated_sex").is_not_null()
    tally.quality.add("sex", bad=joined.select(pl.col("sexed").filter(contradicted).sum()).item())
    return joined.select(*WHO, "age_years", "sex", "images", "megabytes", "element", "parts")
