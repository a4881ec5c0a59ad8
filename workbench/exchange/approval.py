"""Approval: a named person takes the responsibility for what a check cannot decide."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pydantic import ValidationError

from workbench.errors import DisclosureError, show
from workbench.exchange.manifest import Approval, Review
from workbench.findings import Finding


def make_approval(approver: str, reason: str, date: dt.date, today: dt.date) -> Approval:
    """Return an approval.

    Parameters
    ----------
    approver, reason, date
        Who decides, why, and when.
    today
        The current date in UTC.

    Raises
    ------
    DisclosureError
        If a part is missing or not printable, or the date lies in the future.

    Examples
    --------
    >>> day = dt.date(2026, 1, 2)
    >>> make_approval("A. Person", "Few sites, but all public", day, day).approver
    'A. Person'
    """
    try:
        approval = Approval(approver=approver, reason=reason, date=date)
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        raise DisclosureError(
            f"An approval needs a name, a reason and a date: {key} is not valid",
            where=key,
            todo="Write who decided, why in one line, and when",
        ) from error
    # The approver's clock may be in another time zone.
    if approval.date > today + dt.timedelta(days=1):
        raise DisclosureError(
            "An approval lies in the future",
            where=f"date {approval.date}",
            todo=f"Write the day of the decision, {today} at the latest",
        )
    return approval


def refuse_failed(findings: Sequence[Finding]) -> None:
    """Raise if a finding fails: no approval helps.

    Raises
    ------
    DisclosureError
        Naming the first finding, and how many more there are.
    """
    failed = [f for f in findings if f.level == "fail"]
    if failed:
        more = f", and {len(failed) - 1} more" if failed[1:] else ""
        raise DisclosureError(
            f"{failed[0].message}{more}",
            where=f"{failed[0].rule}: {failed[0].where}",
            todo=failed[0].todo or "This may not leave the site",
        )


def approve(
    findings: Sequence[Finding],
    approver: str | None,
    reason: str | None,
    date: dt.date | None,
    today: dt.date,
) -> list[Review]:
    """Return every finding that needs review, as approved.

    Parameters
    ----------
    findings
        What the check found.
    approver, reason, date, today
        As for `make_approval`; not needed where nothing needs review.

    Raises
    ------
    DisclosureError
        If something needs review and is not approved.
    """
    reviews = [f for f in findings if f.level == "review"]
    if not reviews:
        return []
    if approver is None or reason is None or date is None:
        raise DisclosureError(
            f"{len(reviews)} findings need review: {reviews[0].message}",
            where=f"{reviews[0].rule}: {reviews[0].where}",
            todo="Let a named person decide: give approver, reason and date",
        )
    approval = make_approval(approver, reason, date, today).model_dump()
    # The message and value of a finding can hold exact numbers: only its place is told.
    return [
        Review(rule=f.rule, where=show(f.where or "all tables", 200), **approval) for f in reviews
    ]
