"""Resource table: a table of published numbers that comes with the workbench."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import polars as pl


@cache
def read_resource_table(name: str) -> pl.DataFrame:
    """Return a table of `workbench/resources/tables`; its source stands in its first line.

    Parameters
    ----------
    name
        Name of the table without ending.

    Returns
    -------
    polars.DataFrame
        All columns as text.

    Examples
    --------
    >>> read_resource_table("dose_units").filter(pl.col("code") == "mGy").row(0)
    ('mGy', 'dose', '1e-3', 'ucum')
    """
    content = files("workbench").joinpath(f"resources/tables/{name}.csv").read_bytes()
    return pl.read_csv(content, comment_prefix="#", infer_schema=False)


def read_source(name: str) -> str:
    """Return the first line of a table, which says where its numbers come from."""
    file = files("workbench").joinpath(f"resources/tables/{name}.csv")
    return file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
