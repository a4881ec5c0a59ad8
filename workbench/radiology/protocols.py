"""Protocols: what a site calls its CT protocols, by the names of a study.

A study names its protocols in a codelist, with what others call them under `matches`. What a site
alone calls so stands in a table of the site's, `[tables] protocols`. Both are data.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from workbench.archive.table_file import refusing
from workbench.codelists import OTHER, fold
from workbench.errors import SiteError, show, suggest
from workbench.radiology.site_tables import open_table, read_columns

if TYPE_CHECKING:
    from workbench.codelists import Codelist
    from workbench.site import Site

NAMES = pl.Schema({"name": pl.String(), "protocol": pl.String()})
"""Columns of a site's table of protocols: its own name, and the code of the study's."""


def open_protocols(site: Site | Path | str) -> pl.LazyFrame:
    """Open the table of what a site calls the protocols of a study, `[tables] protocols`.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`.

    Returns
    -------
    polars.LazyFrame
        Columns of `NAMES`; no rows where the site declares no such table.

    Raises
    ------
    SiteError
        If the table lacks a column, or cannot be read.
    """
    if isinstance(site, (str, Path)):
        from workbench.site import read_site

        site = read_site(Path(site))
    if "protocols" not in site.tables:
        return pl.LazyFrame(schema=NAMES)
    path = site.tables["protocols"]
    with refusing(path):
        table = read_columns(open_table(site, "protocols"), NAMES, path)
        held = table.collect_schema()
    for name in NAMES:
        if name not in held:
            raise SiteError(
                f"The table of protocols has no column {name!r}",
                where=f"{site.id}, [tables] protocols",
                todo=suggest(name, list(held)),
            )
    return table.select(NAMES.names())


def map_protocols(
    acquisitions: pl.LazyFrame, codelist: Codelist, own: pl.LazyFrame | None = None
) -> pl.LazyFrame:
    """Return acquisitions with the study's code in place of each site's name of a protocol.

    Parameters
    ----------
    acquisitions
        protocol: as scanners, reports or tables name it.
    codelist
        Protocols of the study; `matches` is what others call them.
    own
        name and protocol (a code of the codelist): what the site calls them, before all.

    Returns
    -------
    polars.LazyFrame
        protocol as a code, `other` where nobody names it so, null where none is stated.

    Raises
    ------
    SiteError
        If the site's own table names a code that the study does not have.

    Examples
    --------
    >>> from workbench.codelists import Codelist
    >>> codes = ("CT_HEAD", "CT_CHEST", "other", "missing")
    >>> study = Codelist("protocol", "local", "", codes, {}, {"thorax": "CT_CHEST"})
    >>> rows = pl.LazyFrame({"protocol": ["Thorax", "ct_head", "Neuro 7", "A new one", None]})
    >>> own = pl.LazyFrame({"name": ["NEURO 7"], "protocol": ["CT_HEAD"]})
    >>> map_protocols(rows, study, own).collect()["protocol"].to_list()
    ['CT_CHEST', 'CT_HEAD', 'CT_HEAD', 'other', None]
    """
    local = _read_own(codelist, own)
    names = acquisitions.select(pl.col("protocol").unique()).collect().to_series().drop_nulls()
    codes = {}
    for name in names.cast(pl.String).to_list():
        found = codelist.codes[codelist.position(name)]
        codes[name] = local.get(fold(name[:1000]), found if fold(name) else None)
    text = pl.col("protocol").cast(pl.String)
    return acquisitions.with_columns(
        protocol=text.replace_strict(
            list(codes), list(codes.values()), default=None, return_dtype=pl.String
        )
    )


def _read_own(codelist: Codelist, own: pl.LazyFrame | None) -> dict[str, str]:
    if own is None:
        return {}
    rows = own.drop_nulls().select("name", "protocol").collect().rows()
    known = [code for code in codelist.codes if code != OTHER]
    for _, code in rows:
        if code not in codelist.codes:
            raise SiteError(
                f"The study has no protocol {show(code)!r}",
                where="[tables] protocols, column protocol",
                todo=suggest(code, known),
            )
    found: dict[str, str] = {}
    for name, code in rows:
        if found.setdefault(fold(name[:1000]), code) != code:
            raise SiteError(
                f"One name is mapped to two protocols, {code} among them",
                where="[tables] protocols, column name",
                todo="Keep one row for each name; capitals and spaces make no difference",
            )
    return found
