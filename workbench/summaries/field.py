"""Field and Kind: what a Summary says of its numbers, for disclosure and reading to act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from workbench.summaries.summary import Summary


@dataclass(frozen=True)
class Field:
    """Declare one number that a kind of Summary holds per cell.

    Parameters
    ----------
    name
        Name of the variable.
    dtype
        "int64", "float64", or "object" for integers of any size.
    unit
        UCUM unit; "" stands for the Summary's own `unit` attribute.
    sensitive
        True if the value may leave only as disclosure control decides.
    role
        What the number is; disclosure acts on it.

    Examples
    --------
    >>> Field("patients", "int64", "1", True, "patients").role
    'patients'
    """

    name: str
    dtype: Literal["int64", "object", "float64"]
    unit: str
    sensitive: bool
    role: Literal["patients", "exams", "total", "square", "mean", "sd"]


@dataclass(frozen=True)
class Kind:
    """Declare a kind of Summary: its fields, what leaves of them, and what its cells must obey.

    Parameters
    ----------
    name
        Name of the kind.
    fields
        Fields of an exact Summary.
    released_fields
        Fields of a released view.
    attributes
        Type of each attribute that a Summary of the kind has, next to `population`.
    validate
        Called with a Summary of the kind; raises DefinitionError if it cannot be one.
    """

    name: str
    fields: tuple[Field, ...]
    released_fields: tuple[Field, ...]
    attributes: Mapping[str, type] = field(default_factory=dict)
    validate: Callable[[Summary], None] = lambda _: None
