"""Every word and number a reader of a dashboard sees, in one place."""

from __future__ import annotations

import math
from collections.abc import Callable

THIN = "\u202f"
"""Narrow no-break space: between groups of three digits, and before a unit."""
MINUS = "\u2212"

WORDS: dict[str, dict[str, str]] = {
    "en": {
        # the page
        "not_clinical": "Not for clinical use",
        "status_draft": "Draft",
        "status_open": "Open study",
        "status_closed": "Closed study",
        "version": "version {version}",
        "sites": "Sites",
        "sites_of": "of {of} whose release is here",
        "suppressed_cells": "Suppressed numbers",
        "suppressed_of": "in {tables} released tables",
        "released": "Released",
        "verifying": "Verifying and pooling the releases …",
        "policy": "Nothing is told of fewer than {threshold} patients, and counts are rounded to "
        "{rounding}. A patient known to two sites is counted once at each.",
        "intervals": "A range below or behind a number holds the exact figure, whatever rounding "
        "and suppression hid. It is no confidence interval.",
        "i2": "I² is the share of the variation between sites that is not chance (random effects).",
        "releases": "Releases",
        "site": "Site",
        "date": "Date",
        "run": "Run",
        "verdict": "Verified",
        "verified": "yes: {verdict}",
        "unverified": "no: {reason}",
        "suppressed_column": "Suppressed",
        "all_sites": "All sites",
        "all_groups": "All",
        "show_site": "Site",
        # figures
        "unknown": "no bound",
        "count_exams": "exams",
        "count_patients": "patients",
        "mean": "mean",
        "sd": "standard deviation",
        "median": "median",
        "p10": "10th percentile",
        "p25": "25th percentile",
        "p75": "75th percentile",
        "p90": "90th percentile",
        "p95": "95th percentile",
        "years": "years",
        "how_many": "number",
        "share": "share of {unit}",
        "share_axis": "Share of {unit} at each site",
        "share_bin": "Share of exams in each bin, %",
        "per_exam": "{unit} per exam",
        "heterogeneity": "I²",
        "herfindahl_index": "Herfindahl index",
        "herfindahl": "How concentrated each site is",
        "herfindahl_axis": "Herfindahl index: 1 if one has all, near 0 if many have a little each",
        "suppressed": "suppressed",
        "suppressed_sites": "Sites suppressed",
        "range": "Range over sites",
        # legends
        "legend_interval": "range that holds the exact figure",
        "legend_arrow": "the range goes on beyond the axis",
        "legend_site": "one site",
        "legend_square": "one site",
        "legend_chosen": "{site}",
        "legend_pooled": "all sites",
        "legend_range": "range over sites",
        "legend_suppressed": "suppressed, not zero: fewer than {threshold} patients, or hidden to "
        "protect such a number",
        "legend_quantile": "where the exact percentile lies (linear interpolation)",
        "legend_merged": "a wide bar is several bins together, at their mean height",
        # sentences
        "read_bars": "{label} comes first with {value} {unit}.",
        "read_bars_of": "{label} comes first: {value} of {total} {unit}, or {share}.",
        "read_highest": "{label} has the highest {measure}: {value}.",
        "read_range": "Between sites, the share of {label} runs from {low} to {high}.",
        "read_i2": "Heterogeneity between sites (I²) is {i2}.",
        "read_groups": "The largest group is {group}, {label}: {value} {unit}.",
        "read_group_total": "Of all {unit}: {parts}.",
        "read_of": "Among {of}:",
        "read_median": "The median is {value}.",
        "read_p90": "The 90th percentile is {value}.",
        "read_shares": "{best} is stated in {high} of {unit}, {worst} in only {low}.",
        "read_herfindahl": "The Herfindahl index is {value}.",
        "read_herfindahl_equal": "The Herfindahl index is {value}, that of {equal} equal shares.",
        "read_forest": "{measure} runs from {low} to {high} between sites.",
        # states
        "not_answerable": "Not answerable here",
        "no_table": "The release of this site holds no table for the question.",
        "too_few": "Too few numbers to draw",
        "too_few_rule": "A figure needs at least {needed} numbers that are not suppressed; here "
        "{n} of {of} are left. A number is suppressed when it stands for fewer than {threshold} "
        "patients, or would give such a number away.",
        "refused": "This release does not verify, and none of its numbers is shown",
        "nothing": "No release verifies",
        "nothing_rule": "This page shows verified releases only, and has found none.",
        "alt": "{figure}: {title}. {finding}",
        "figure_bars": "Bar chart",
        "figure_grouped_bars": "Grouped bar chart",
        "figure_histogram": "Histogram",
        "figure_shares": "Dot plot",
        "figure_forest": "Forest plot",
        "table_of": "Numbers: {title}",
    }
}


def say(key: str, language: str = "en", **values: object) -> str:
    """Return the words for `key`, in English where the language has none.

    Parameters
    ----------
    key
        Name of the words.
    language
        Two-letter code.
    **values
        What the words leave open.

    Returns
    -------
    str
        Plain text; the caller escapes it where it becomes HTML.

    Raises
    ------
    KeyError
        If no language has the words.

    Examples
    --------
    >>> say("version", version="1.0")
    'version 1.0'
    """
    text = WORDS.get(language, {}).get(key) or WORDS["en"][key]
    return text.format(**values)


def number(value: float, digits: int = 3) -> str:
    """Return a number with grouped digits; fractions with so many significant digits.

    Examples
    --------
    >>> number(1234567).replace(THIN, " ")
    '1 234 567'
    >>> number(0.04567), number(12.345), number(float("nan"))
    ('0.0457', '12.3', '–')
    >>> number(float("inf"))
    '∞'
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    if value == round(value) or size >= 10 ** (digits - 1):
        text = f"{round(size):,}".replace(",", THIN)
    else:
        places = digits - 1 - math.floor(math.log10(size))
        text = f"{size:.{places}f}"
    return f"{MINUS}{text}" if value < 0 else text


def percent(share: float) -> str:
    """Return a share of 1 as percent with one decimal; none at the ends.

    Examples
    --------
    >>> [percent(x).replace(THIN, " ") for x in (0, 0.0004, 0.0312, 0.5, 0.99999, 1)]
    ['0 %', '<0.1 %', '3.1 %', '50.0 %', '>99.9 %', '100 %']
    """
    if math.isnan(share):
        return "–"
    points = 100 * share
    if points in (0, 100):
        return f"{points:.0f}{THIN}%"
    if points < 0.05:
        return f"<0.1{THIN}%"
    return f">99.9{THIN}%" if 99.95 <= points < 100 else f"{points:.1f}{THIN}%"


def between(low: float, high: float, write: Callable[[float], str] = number) -> str:
    """Return an interval; one number where both ends are written alike, one end where it is open.

    Examples
    --------
    >>> between(1, 2), between(3, 3), between(7, math.inf), between(-math.inf, 7)
    ('1–2', '3', '≥7', '≤7')
    """
    if math.isinf(high) and high > 0:
        return f"≥{write(low)}" if math.isfinite(low) else say("unknown")
    if math.isinf(low):
        return f"≤{write(high)}"
    first, last = write(low), write(high)
    if first == last:
        return first
    unit = f"{THIN}%"
    return f"{first.removesuffix(unit)}–{last}"
