"""Element value: what one attribute of a pydicom header holds, or that it cannot be read.

pydicom converts a value when it is asked for it, and what a broken file makes it raise is anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from workbench.imaging.volume_error import VolumeError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def value_of(header: Dataset, keyword: str) -> Any:  # noqa: ANN401 - of any VR
    """Return the value of an attribute; None if it is absent.

    Parameters
    ----------
    header
        A data set, or an item of a sequence.
    keyword
        DICOM keyword.

    Raises
    ------
    VolumeError
        If it cannot be read.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> header = Dataset()
    >>> header.Rows = 512
    >>> value_of(header, "Rows"), value_of(header, "Columns")
    (512, None)
    """
    from workbench.dicom.header import parser_errors

    try:
        return header.get(keyword)
    except parser_errors():
        raise VolumeError("bad_geometry", f"{keyword} cannot be read") from None


def items_of(header: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; none if it is absent.

    Raises
    ------
    VolumeError
        If it cannot be read, or is no sequence.
    """
    from pydicom.sequence import Sequence

    value = value_of(header, keyword)
    if value is None or value in ("", b""):
        return []
    if not isinstance(value, Sequence):
        raise VolumeError("bad_geometry", f"{keyword} is no sequence")
    return list(value)


def text_of(header: Dataset, keyword: str) -> str:
    """Return the text of an attribute; "" if it is absent.

    Raises
    ------
    VolumeError
        If it cannot be read.
    """
    return str(value_of(header, keyword) or "")


def texts_of(header: Dataset, keyword: str) -> list[str]:
    """Return the texts of an attribute of several values; none if it is absent.

    Raises
    ------
    VolumeError
        If it cannot be read.
    """
    value = value_of(header, keyword)
    if not value:
        return []
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    return [str(v) for v in (value if several else [value])]


def number_of(header: Dataset, keyword: str) -> float:
    """Return the first number of an attribute, NaN if there is none.

    Raises
    ------
    VolumeError
        If it cannot be read.
    """
    return next(iter(numbers_of(value_of(header, keyword))), float("nan"))


def numbers_of(value: object) -> list[float]:
    r"""Return the numbers of a value, NaN for what is none; of an unknown VR they are text.

    Examples
    --------
    >>> numbers_of(b"0.5\\1 "), numbers_of(None), numbers_of(3)
    ([0.5, 1.0], [], [3.0])
    """
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").strip(" \0")
    if isinstance(value, str):
        value = value.split("\\")
    if value is None:
        return []
    return [_number(v) for v in (value if isinstance(value, Iterable) else [value])]


def _number(value: object) -> float:
    try:
        return float(cast("str", value))
    except (TypeError, ValueError, OverflowError):
        return float("nan")
