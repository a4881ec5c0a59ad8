"""Component: what a configuration names and a pipeline is made of, and where it may stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from workbench.pipelines.bundle_files import refuse
from workbench.pipelines.bundle_rules import ACTIVATIONS, exact_name


@dataclass(frozen=True)
class Parts:
    """Hold what an exam is computed with.

    Parameters
    ----------
    preprocessing
        A `monai.transforms.Compose`.
    inferer
        A `monai.inferers.Inferer`.
    postprocessing
        Exact name and transform of each step.
    """

    preprocessing: Any
    inferer: Any
    postprocessing: tuple[tuple[str, Any], ...]


def require_argument(name: str, place: str, value: object) -> None:
    """Refuse a component that is an argument of another one, unless it is an activation.

    What steps may do is checked step by step; a component inside another one would be called with
    arguments that nobody looked at, as a reader of files that names any function.

    Parameters
    ----------
    name
        File of the configuration.
    place, value
        What stands there.

    Raises
    ------
    PipelineError
        If it is one.
    """
    if not isinstance(value, Mapping) or "_target_" not in value:
        return
    target = str(value["_target_"])
    if exact_name(target) not in ACTIVATIONS:
        what = f"{target.rpartition('.')[2]!r} is called inside another component"
        raise refuse(name, place, target, what, "Make it a step of its own")


def load_component(name: str) -> Callable[..., Any]:
    """Return the class or function of an exact name."""
    module, _, attribute = name.rpartition(".")
    loaded: Callable[..., Any] = getattr(import_module(module), attribute)
    return loaded
