"""Federation: rounds in which institutions exchange weights, and no image (McMahan et al. 2017).

A round is a pure function of the weights that it begins with. What carries the weights, a release
or a live engine, is no concern of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import PipelineError, show

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Update:
    """Hold what one institution learned in a round.

    Parameters
    ----------
    site
        Its name.
    state
        Weights after its own training.
    exams
        How many exams it learned from.
    """

    site: str
    state: State
    exams: int


def average(updates: Sequence[Update]) -> dict[str, torch.Tensor]:
    """Return the mean of the weights, each site weighing as its exams (FedAvg).

    The sites are added in the order of their names, in double precision: whoever averages gets
    the same bits. Counters, which are whole numbers, are those of the largest.

    Raises
    ------
    PipelineError
        If there is no update, one has other weights than the first, or a weight is no number.

    Examples
    --------
    >>> import torch
    >>> a, b = ({"w": torch.tensor([x])} for x in (1.0, 4.0))
    >>> average([Update("north", a, 200), Update("south", b, 100)])["w"]
    tensor([2.])
    """
    import torch

    if not updates:
        raise PipelineError("No site has sent weights", todo="Wait for at least one")
    ordered = sorted(updates, key=lambda update: update.site)
    first = ordered[0].state
    for update in ordered:
        _require_alike(update, first)
    total = sum(update.exams for update in ordered)
    found = {}
    for name, tensor in first.items():
        held = [update.state[name] for update in ordered]
        if not tensor.is_floating_point():
            found[name] = torch.stack(held).amax(0)
            continue
        mean = torch.zeros_like(tensor, dtype=torch.float64)
        for update, one in zip(ordered, held, strict=True):
            mean += one.double() * (update.exams / total)
        found[name] = mean.to(tensor.dtype)
    return found


def _require_alike(update: Update, first: State) -> None:
    import torch

    if update.exams < 1:
        raise PipelineError(
            "A site sent weights that it learned from no exam",
            where=show(update.site),
            todo="Leave it out of the round",
        )
    shapes = {name: tensor.shape for name, tensor in first.items()}
    if {name: tensor.shape for name, tensor in update.state.items()} != shapes:
        raise PipelineError(
            "A site sent the weights of another network",
            where=show(update.site),
            todo="Begin the round with the same weights everywhere",
        )
    if not all(torch.isfinite(tensor).all() for tensor in update.state.values()):
        raise PipelineError(
            "A site sent weights that are no numbers",
            where=show(update.site),
            todo="Have it train again with a smaller rate",
        )


def federate(
    start: State,
    sites: Mapping[str, Callable[[State, int], Update]],
    rounds: int,
    *,
    told: Callable[[int, State], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Train at each site from the same weights, average, and begin again.

    Parameters
    ----------
    start
        Weights of the first round.
    sites
        For each site what trains there: given the weights and the round, counted from 1, it
        returns its update.
    rounds
        How many.
    told
        Called after each round with its number and the mean.

    Returns
    -------
    dict
        The mean of the last round.

    Raises
    ------
    PipelineError
        If an update does not fit.
    """
    state: dict[str, torch.Tensor] = dict(start)
    for number in range(1, rounds + 1):
        state = average([train(state, number) for train in sites.values()])
        if told is not None:
            told(number, state)
    return state
