"""Repeated: exams that were stored twice under two UIDs, told by the UIDs of their events."""

from __future__ import annotations

import polars as pl

MOST_EXAMS = 10
"""A UID that more exams claim tells nothing: some devices give one to all they do."""


def drop_repeated(
    exams: pl.DataFrame, events: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Return exams and events without exams whose events another exam of the patient holds.

    Of two exams with the same events the one with the lower UID is kept. An exam that shares some
    of its events with another is kept and flagged `event_in_two_exams`.

    Parameters
    ----------
    exams, events
        With the columns of `tables.EXAMS` and `tables.EVENTS`.

    Returns
    -------
    exams, events
        What is left.
    dropped
        Number of exams that were left out.
    """
    known = events.select("exam_uid", "event_uid").drop_nulls().unique()
    known = known.filter(pl.len().over("event_uid") <= MOST_EXAMS)
    known = known.join(exams.select("exam_uid", "patient_id", "n_events"), on="exam_uid")
    pairs = (
        known.join(known, on="event_uid", suffix="_other")
        .filter(pl.col("exam_uid") != pl.col("exam_uid_other"))
        .group_by("exam_uid", "exam_uid_other")
        .agg(
            pl.len().alias("shared"),
            pl.col("n_events", "n_events_other").first(),
            pl.col("patient_id").eq_missing(pl.col("patient_id_other")).first().alias("own"),
        )
    )
    if pairs.is_empty():
        return exams, events, 0
    smaller = pl.col("n_events") < pl.col("n_events_other")
    equal = pl.col("n_events") == pl.col("n_events_other")
    later = pl.col("exam_uid") > pl.col("exam_uid_other")
    held = pl.col("own") & (pl.col("shared") == pl.col("n_events")) & (smaller | (equal & later))
    gone = pairs.filter(held)["exam_uid"].unique()
    left = ~pl.col("exam_uid").is_in(gone.implode())
    shared = pairs.filter(left & ~pl.col("exam_uid_other").is_in(gone.implode()))["exam_uid"]
    flag = pl.col("flags").list.concat([pl.lit("event_in_two_exams")]).list.sort()
    flagged = pl.when(pl.col("exam_uid").is_in(shared.unique().implode())).then(flag)
    kept = exams.filter(left).with_columns(flagged.otherwise(pl.col("flags")).alias("flags"))
    return kept, events.filter(left), len(gone)
