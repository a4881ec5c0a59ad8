"""Protocols: what a site calls its CT protocols, by the names of a study.

A study names its protocols in a codelist, with what others call them under `matches`. What a site
alone calls so stands in a table of the site's, `[tables] protocols`. Both are data.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from workbench.codelists import OTHER, fold
from workbench.errors import SiteError, show, suggest
from workbench.radiology.site_tables import open_known

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
    return open_known(site, "protocols", NAMES).select(NAMES.names())


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
    named = own.select("name", "protocol").with_row_index("row", offset=1)
    rows = named.drop_nulls().collect().rows()
    known = [code for code in codelist.codes if code != OTHER]
    for row, _, code in rows:
        if code not in codelist.codes:
            raise SiteError(
                f"[tables] protocols: The study has no protocol of the code in row {row:,}",
                where=f"column protocol, {show(code)!r}",
                todo=suggest(code, known),
            )
    found: dict[str, tuple[str, int]] = {}
    for row, name, code in rows:
        before, first = found.setdefault(fold(name[:1000]), (code, row))
        if before != code:
            raise SiteError(
                "[tables] protocols: One name is mapped to two protocols, "
                f"in rows {first:,} and {row:,}",
                where=f"column name, {show(before)!r} and {show(code)!r}",
                todo="Keep one row for each name; capitals and spaces make no difference",
            )
    return {name: code for name, (code, _) in found.items()}
