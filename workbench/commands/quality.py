"""Quality: what of a site's data was left out or not understood on the way to its exams.

It is for the people of the site: the counts are exact, and none of them leaves.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from workbench.errors import SiteError

if TYPE_CHECKING:
    from workbench.radiology.exams import Exams
    from workbench.running.run import Run
    from workbench.site import Site

WHAT = ("series", "exams", "patients")


def print_quality(run: Run) -> None:
    """Print the data quality of a run, in one line where nothing needs to be looked at.

    Parameters
    ----------
    run
        A finished run; outputs that hold no exams are passed over.
    """
    from workbench.radiology.exams import open_exams

    for output in run.study.outputs.values():
        if output.kind != "folder":
            continue
        try:
            exams = open_exams(run.output(output.name))
        except SiteError:  # a folder of another kind
            continue
        _print(exams, run.site)


def _print(exams: Exams, place: Site) -> None:
    from workbench.terminal import print_table, say

    site, columns = place.id, exams.quality.to_dicts()
    steps = exams.attrition.to_dicts()
    told = [after for before, after in pairwise(steps) if any(after[w] != before[w] for w in WHAT)]
    if told:
        rows = [[row["step"], *(f"{row[w]:,}" for w in WHAT)] for row in (steps[0], *told)]
        title = f"{site}: from the archive to the exams"
        print_table(["left after each rule", *WHAT], rows, title=title, numbers=WHAT)
    head = ["column", "stated", "not understood", "share", "why, and what becomes of it"]
    rows = [
        [c["column"], f"{c['filled']:,}", f"{c['not_understood']:,}", f"{c['share']:.1%}",
         c["note"]]
        for c in columns if c["not_understood"]
    ]  # fmt: skip
    if rows:
        title = f"{site}: values that were not understood, in series"
        print_table(head, rows, title=title, numbers=head[1:4])
    # Of what the site says it cannot answer nothing need be said again.
    unsaid = [c for c in columns if c["column"] not in place.cannot_answer]
    empty = [c["column"] for c in unsaid if not c["filled"]]
    if empty:
        say(f"{site}: nothing is stated in {', '.join(empty)}", wrap=True)
    if not rows:
        held = f"{steps[-1]['exams']:,} exams of {steps[-1]['patients']:,} patients"
        rest = "" if told else ", nothing was left out"
        say(f"{site}: {held}{rest}; all columns were understood", wrap=True)
