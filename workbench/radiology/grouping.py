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
                # Bytes are integers: their sum does not depend on the order of the series.
                bytes=(pl.col("megabytes") * 1e6).round().cast(pl.Int64).sum(),
                bytes_unknown=pl.col("megabytes").null_count(),
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
            pl.col("images_unknown").sum(),
            pl.col("bytes").sum(),
            pl.col("bytes_unknown").sum(),
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
        images=pl.when(pl.col("images_unknown") == 0).then(pl.col("images")),
        megabytes=pl.when(pl.col("bytes_unknown") == 0).then(pl.col("bytes") / 1e6),
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
