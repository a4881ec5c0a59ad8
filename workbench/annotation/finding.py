"""Finding: what an algorithm found in an exam, with its measurements, in codes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from workbench.errors import ImageError, show


class Code(NamedTuple):
    """A concept of a terminology.

    Parameters
    ----------
    value, scheme, meaning
        As in DICOM PS3.3, 8.8: ("27925004", "SCT", "Nodule").
    """

    value: str
    scheme: str
    meaning: str


VOLUME = Code("118565006", "SCT", "Volume")
DIAMETER = Code("81827009", "SCT", "Diameter")
MILLILITRE = Code("mL", "UCUM", "milliliter")
MILLIMETRE = Code("mm", "UCUM", "millimeter")
SHARE = Code("1", "UCUM", "no units")
PROBABILITY = Code("111047", "DCM", "Probability of cancer")
NODULE = Code("27925004", "SCT", "Nodule")
LUNG = Code("39607008", "SCT", "Lung")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True)
class Measurement:
    """Hold one number of a finding or of an exam.

    Parameters
    ----------
    name
        What is measured.
    value
        Finite.
    unit
        UCUM unit.

    Raises
    ------
    ImageError
        If the value is not finite: what was not measured is left out, not written down.
    """

    name: Code
    value: float
    unit: Code

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ImageError(
                "A measurement is no number",
                where=show(self.name.meaning),
                todo="Leave out what was not measured",
            )


@dataclass(frozen=True)
class Finding:
    """Hold one region that an algorithm found.

    Parameters
    ----------
    number
        Its label in the mask, 1 or more.
    kind
        What it is, such as `NODULE`.
    site
        Where it is, such as `LUNG`; None if that is not said.
    measurements
        In the order in which they are written.
    """

    number: int
    kind: Code
    site: Code | None = None
    measurements: tuple[Measurement, ...] = ()

    @property
    def name(self) -> str:
        """Tracking identifier: the same finding has it in both files."""
        return f"{self.kind.meaning} {self.number}"


@dataclass(frozen=True)
class Algorithm:
    """Say what computed a result.

    Parameters
    ----------
    name, version, maker
        As its card states them.
    digest
        SHA-256 of the model, 64 hexadecimal digits.

    Raises
    ------
    ImageError
        If one of them is empty, too long for DICOM, or the digest is none.
    """

    name: str
    version: str
    maker: str
    digest: str

    def __post_init__(self) -> None:
        for word in ("name", "version", "maker"):
            text = getattr(self, word)
            if not text.strip() or len(text) > 64 or "\\" in text:  # LO: PS3.5, 6.2
                raise ImageError(
                    f"The {word} of the algorithm cannot be written to DICOM",
                    where=show(text),
                    todo="Give 1 to 64 characters without a backslash",
                )
        if not _DIGEST.fullmatch(self.digest):
            raise ImageError(
                "The digest of the algorithm is no SHA-256",
                where=show(self.digest),
                todo="Give the digest of the bundle, 64 hexadecimal digits",
            )


def require_distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings by number.

    Raises
    ------
    ImageError
        If a number is not positive, or two findings have one.

    Examples
    --------
    >>> [f.number for f in require_distinct([Finding(2, NODULE), Finding(1, NODULE)])]
    [1, 2]
    """
    held = sorted(findings, key=lambda f: f.number)
    numbers = [f.number for f in held]
    if len(set(numbers)) < len(numbers) or any(not 1 <= n < 2**16 for n in numbers):
        raise ImageError(
            "Findings have no numbers of their own",
            where=f"numbers {show(numbers)}",
            todo="Number them from 1, each once, as in the mask",
        )
    return tuple(held)
