"""Identity: who a result says that it is; the same result has the same UIDs when made again."""

from __future__ import annotations

import datetime as dt
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.annotation.finding import Algorithm, Code
from workbench.errors import ImageError

if TYPE_CHECKING:
    from pydicom.sr.coding import Code as CodedConcept


def uid_of(*parts: str) -> str:
    """Return a UID that these parts decide (DICOM PS3.5, B.2: a UUID under 2.25).

    Examples
    --------
    >>> uid_of("1.2.3", "seg") == uid_of("1.2.3", "seg"), uid_of("1.2.3", "sr")[:5]
    (True, '2.25.')
    """
    digest = hashlib.sha256("\n".join(parts).encode()).digest()[:16]
    number = int.from_bytes(digest, "big") & ~(0xF << 76) & ~(0x3 << 62)
    return f"2.25.{number | 0x8 << 76 | 0x2 << 62}"  # version 8 (RFC 9562, 5.8)


def coded(code: Code) -> CodedConcept:
    """Return a concept as pydicom has it."""
    from pydicom.sr.coding import Code as CodedConcept

    return CodedConcept(*code)


def device(algorithm: Algorithm) -> dict[str, Any]:
    """Return what the equipment module says of what made an object (PS3.3, C.7.5.2)."""
    return {
        "manufacturer": algorithm.maker,
        "manufacturer_model_name": algorithm.name,
        "software_versions": algorithm.version,
        "device_serial_number": algorithm.digest.removeprefix("sha256:"),
    }


@contextmanager
def making(what: str) -> Iterator[None]:
    """Keep what highdicom says of the images to itself: it quotes names of patients.

    Raises
    ------
    ImageError
        If the object cannot be made of these images.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ImageError(
            f"The {what} cannot be made of these images",
            where=type(error).__name__,
            todo="Check that their headers are whole: workbench scan says what is wrong",
        ) from None


def stamp(dataset: Any, moment: dt.datetime) -> None:  # noqa: ANN401 - highdicom has no types
    """Write when a result was made: two runs at one moment give the same bytes."""
    day, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    for keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate"):
        if keyword in dataset:
            setattr(dataset, keyword, day)
    for keyword in ("ContentTime", "InstanceCreationTime", "SeriesTime"):
        if keyword in dataset:
            setattr(dataset, keyword, time)
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = day + time
