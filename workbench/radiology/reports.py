"""Reports: how long they take, open ones included, and how completely they describe.

No text of a report is read: only its times, and whether a coded element is there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from workbench.errors import SiteError, show, suggest
from workbench.summaries.risk_table import CENSORED, EVENT

STARTS = ("acquired_time", "exam_end_time")
"""When the wait for a report starts: the first of these columns that is there."""
STAGES = {"preliminary": ("preliminary_time", "final_time"), "final": ("final_time",)}
"""Stage of a report -> the columns of which the earliest ends the wait for it: a final report that
has no preliminary one is the first that is known."""
LONGEST_H = 24.0 * 365
"""Hours after which a report is taken for a wrong date (assumed: a year)."""
STATES = ("lacking", "stated")
"""Whether an element is there."""
RULES = {
    "no_start": "it is not known when the exam was acquired",
    "after_extract": "the exam was acquired after the tables were made",
    "before_exam": "the report is older than the exam",
    "too_late": "the report came more than a year after the exam",
}
"""Rules by which a report's time is kept out."""


@dataclass(frozen=True)
class Element:
    """Say when an element of a structured description is there.

    Parameters
    ----------
    name
        Name of the element, a code of the study's codelist.
    columns
        Columns that must all hold a value.
    where
        Column -> the values for which the element is expected at all; without it, always.
    """

    name: str
    columns: tuple[str, ...]
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def expected(self) -> pl.Expr:
        """Whether the element is expected of a row."""
        parts = [pl.col(c).cast(pl.String).is_in(list(v)) for c, v in self.where.items()]
        always = pl.lit(value=True)
        return pl.all_horizontal(*parts).fill_null(value=False) if parts else always

    @property
    def stated(self) -> pl.Expr:
        """Whether a row has it: every column holds more than blanks."""
        return pl.all_horizontal(*(_held(c) for c in self.columns))


TEMPLATE = (
    Element("body_part", ("body_part_code",)),
    Element("procedure", ("procedure_code",)),
    Element("finding", ("finding_code",)),
    Element("category", ("rads_category",), {"modality": ("MG",)}),
    Element("measurement", ("measurement_value", "measurement_unit")),
)
"""Elements of a structured description. A category of an assessment system is expected of
mammography, where BI-RADS requires it (ACR BI-RADS Atlas, 5th edition, 2013); a study may expect
more."""


@dataclass(frozen=True)
class Turnaround:
    """Hold how long reports took.

    Parameters
    ----------
    rows
        The columns of the reports, and `hours` from acquisition to the report or, where there is
        none yet, to the extract; `outcome`, "event" or "censored", as a risk table has it;
        `in_time`, whether it came within `promised_hours` (null where it is open and may still, or
        nothing was promised).
    attrition
        rule, reports: those kept out, by rule.
    """

    rows: pl.LazyFrame
    attrition: pl.DataFrame


def measure_turnaround(
    reports: pl.LazyFrame, stage: str, as_of: dt.datetime, *, start: str | None = None
) -> Turnaround:
    """Measure the time from acquisition to a stage of the report.

    Parameters
    ----------
    reports
        One row an exam: a column of `STARTS`, and one of the stage.
    stage
        "preliminary" for the first report, be it preliminary or final, or "final".
    as_of
        When the tables were made, by the same clock: what is open is known to be open until then.
    start
        Column to start from, in place of the first of `STARTS` that is there.

    Returns
    -------
    Turnaround

    Raises
    ------
    SiteError
        If a column is missing, or there is no such stage.

    Examples
    --------
    >>> t = dt.datetime(2024, 3, 1, 8)
    >>> reports = pl.LazyFrame({"acquired_time": [t, t, t],
    ...     "final_time": [t + dt.timedelta(hours=5), None, t - dt.timedelta(hours=1)]})
    >>> found = measure_turnaround(reports, "final", t + dt.timedelta(hours=48))
    >>> found.rows.select("hours", "outcome").collect().rows()
    [(5.0, 'event'), (48.0, 'censored')]
    >>> found.attrition.filter(pl.col("reports") > 0).rows()
    [('before_exam', 1)]
    """
    if stage not in STAGES:
        raise SiteError(
            f"There is no stage {show(stage)!r} of a report",
            where="stage",
            todo=suggest(stage, STAGES),
        )
    schema = reports.collect_schema()
    from_ = start or next((name for name in STARTS if name in schema), STARTS[0])
    ends = [name for name in STAGES[stage] if name in schema]
    for name in (from_, ends[0] if ends else STAGES[stage][0]):
        if name not in schema:
            raise SiteError(
                f"The reports have no column {name!r}",
                where=", ".join(show(n) for n in list(schema)[:8]),
                todo="Measure the turnaround where both times are known",
            )
    begin, end = pl.col(from_), pl.min_horizontal(ends)
    # A report later than the extract is not known yet: at the extract the exam was open.
    there = end.is_not_null() & (end <= as_of)
    until = pl.when(there).then(end).otherwise(pl.lit(as_of))
    hours = (until - begin).dt.total_microseconds() / 3.6e9
    outcome = pl.when(there).then(pl.lit(EVENT)).otherwise(pl.lit(CENSORED))
    rule = (
        pl.when(begin.is_null()).then(pl.lit("no_start"))
        .when(begin > as_of).then(pl.lit("after_extract"))
        .when(there & (end < begin)).then(pl.lit("before_exam"))
        .when(there & (hours > LONGEST_H)).then(pl.lit("too_late"))
    )  # fmt: skip
    judged = reports.with_columns(hours=hours, outcome=outcome, _rule=rule)
    wrong = [(pl.col("_rule") == name).sum().alias(name) for name in RULES]
    found = judged.select(wrong).collect(engine="streaming").row(0, named=True)
    rows = judged.filter(pl.col("_rule").is_null()).drop("_rule")
    if "promised_hours" in schema:
        promised = pl.col("promised_hours")
        late = pl.when(pl.col("hours") > promised).then(pl.lit(value=False))
        rows = rows.with_columns(
            in_time=pl.when(promised.is_null() | promised.is_nan())
            .then(None)
            .when(pl.col("outcome") == EVENT)
            .then(pl.col("hours") <= promised)
            .otherwise(late)
        )
    return Turnaround(
        rows,
        pl.DataFrame(
            [{"rule": r, "reports": int(found.get(r, 0))} for r in RULES],
            {"rule": pl.String(), "reports": pl.Int64()},
        ),
    )


def describe_reports(reports: pl.LazyFrame, template: Sequence[Element] = TEMPLATE) -> pl.LazyFrame:
    """Return which elements of a structured description each report states, and which it lacks.

    Parameters
    ----------
    reports
        One row an exam, with the columns of the template.
    template
        The elements; one of which a column is missing is left out: it cannot be answered.

    Returns
    -------
    polars.LazyFrame
        The reports with `element` and `state` ("stated" or "lacking"), one row for each element
        that is expected of a report.

    Raises
    ------
    SiteError
        If a column that says what is expected is missing.

    Examples
    --------
    >>> reports = pl.LazyFrame({"modality": ["MG", "CT"], "rads_category": ["BI-RADS 2", None],
    ...                         "body_part_code": ["", "51185008"]})
    >>> described = describe_reports(reports).select("modality", "element", "state").collect()
    >>> described.sort("modality", "element").rows()
    [('CT', 'body_part', 'stated'), ('MG', 'body_part', 'lacking'), ('MG', 'category', 'stated')]
    """
    schema = reports.collect_schema()
    answered = [e for e in template if all(c in schema for c in e.columns)]
    if not answered:
        lacking = [pl.lit(None, pl.String).alias(name) for name in ("element", "state")]
        return reports.with_columns(lacking).filter(pl.lit(value=False))
    for element in answered:
        for column in element.where:
            if column not in schema:
                raise SiteError(
                    f"The reports have no column {column!r}",
                    where=f"element {element.name}",
                    todo="It says of which exams the element is expected",
                )
    held, number = list(schema), pl.col("_number")
    each = {
        f"_number {place}": pl.when(e.expected).then(2 * place + e.stated.cast(pl.UInt8))
        for place, e in enumerate(answered)
    }
    return (
        reports.with_columns(**each)
        .unpivot(list(each), index=held, variable_name="_name", value_name="_number")
        .filter(number.is_not_null())
        .with_columns(
            element=(number // 2).cat.to(pl.Enum([e.name for e in answered])),
            state=(number % 2).cat.to(pl.Enum(STATES)),
        )
        .drop("_name", "_number")
    )


def _held(column: str) -> pl.Expr:
    text = pl.col(column).cast(pl.String)
    return ((text.str.strip_chars() != "") & (text != "NaN")).fill_null(value=False)
