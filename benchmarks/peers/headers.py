"""The same header values read with other libraries, as their manuals say, and written as Parquet.

Each returns one dictionary a file, of keyword to value as the library gives it; that is less than
the workbench does, which also reads dates, ages and character sets and checks the pixel data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench.dicom.attributes import ATTRIBUTES

KEYWORDS = [a.keyword for a in ATTRIBUTES if a.tag >> 16 != 2]
_PIXELS = 0x7FE00010


def pydicom_rows(paths: Sequence[str]) -> list[dict[str, Any]]:
    import pydicom

    rows = []
    for path in paths:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        row = {keyword: dataset.get(keyword) for keyword in KEYWORDS}
        row["TransferSyntaxUID"] = dataset.file_meta.TransferSyntaxUID
        rows.append(row)
    return rows


def fastdicom_rows(paths: Sequence[str]) -> list[dict[str, Any]]:
    import fastdicom

    rows = []
    for path in paths:
        dataset = fastdicom.dcmread(path, stop_before_pixels=True)
        row = {keyword: dataset.get(keyword, None) for keyword in KEYWORDS}
        row["TransferSyntaxUID"] = dataset.file_meta.TransferSyntaxUID
        rows.append(row)
    return rows


def dicomsdl_rows(paths: Sequence[str]) -> list[dict[str, Any]]:
    import dicomsdl

    rows = []
    for path in paths:
        dataset = dicomsdl.open(path, _PIXELS - 1)
        values = dataset.getValues(KEYWORDS)
        rows.append(dict(zip(KEYWORDS, values, strict=True)))
        rows[-1]["TransferSyntaxUID"] = dataset.TransferSyntaxUID
    return rows


def fw_file_rs_rows(paths: Sequence[str]) -> list[dict[str, Any]]:
    from fw_file_rs.dcm import Context

    context = Context().include_tags([*KEYWORDS, "TransferSyntaxUID"])
    return [context.parse_header(context.read_until_pixels(path)) for path in paths]


PEERS: dict[str, Callable[[Sequence[str]], list[dict[str, Any]]]] = {
    "pydicom": pydicom_rows,
    "fastdicom": fastdicom_rows,
    "dicomsdl": dicomsdl_rows,
    "fw-file-rs": fw_file_rs_rows,
}


def write_rows(rows: list[dict[str, Any]], path: Path) -> None:
    """Write values as text columns."""
    names = ["TransferSyntaxUID", *KEYWORDS]
    columns = {n: [_text(row.get(n)) for row in rows] for n in names}
    pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String)).write_parquet(path)


def _text(value: Any) -> str | None:  # noqa: ANN401
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) or hasattr(value, "append"):
        return "\\".join(map(str, value))
    return str(value)
