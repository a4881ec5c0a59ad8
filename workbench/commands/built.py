"""Built: the sites that a recipe made, as a command prints them."""

from __future__ import annotations

from pathlib import Path


def print_built(folder: Path) -> None:
    """Print what a recipe made, and what comes next.

    Parameters
    ----------
    folder
        Folder of the recipe.
    """
    import polars as pl

    from workbench.datasets import list_sites
    from workbench.radiology.acquisitions import open_acquisitions
    from workbench.site import SCANNED
    from workbench.terminal import print_table, say

    sites = list(list_sites(folder).values())
    rows = []
    for site in sites:
        exams = ""
        if site.archive["kind"] == "table":
            exams = f"{open_acquisitions(site).rows.select(pl.len()).collect().item():,}"
        rows.append([site.id, exams, str(site.path)])
    print_table(["site", "rows", "declaration"], rows, title=f"Wrote {folder}", numbers=["rows"])
    for site in sites[:1]:
        scanned = site.archive["kind"] in SCANNED
        say(f"Next: workbench {'scan' if scanned else 'run STUDY --site'} {site.path}")
