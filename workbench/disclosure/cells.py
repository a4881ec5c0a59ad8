"""Cells: what of an exact Summary may be told.

A cell with fewer distinct patients than the threshold is suppressed. A cell that is large enough
can be *held* back as well, to protect a small one: a held margin is suppressed; a held cell that
is no margin has its patients "suppressed" and its exams "not_applicable", so that a reader can
tell it from a small one and still bound it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.disclosure.policy import Policy
from workbench.errors import DefinitionError, DisclosureError, show
from workbench.summaries.dimension import ALL
from workbench.summaries.field import Field
from workbench.summaries.histogram import grid_of
from workbench.summaries.kinds import kind_of, validate
from workbench.summaries.moments import finish
from workbench.summaries.summary import Summary, labelled

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Hold:
    """Say what is held back although it is large enough; masks of the shape of the table.

    Parameters
    ----------
    cells
        Nothing is told of the cell (of a histogram: at the root, nothing of the whole line).
    values
        Mean and sd are not told; exams and patients are.
    merged
        Nothing is told below this node of a histogram.
    """

    cells: Mask
    values: Mask
    merged: Mask

    @classmethod
    def nothing(cls, summary: Summary) -> Hold:
        """Return the Hold that holds nothing back."""
        shape = summary.data["patients"].shape
        return cls(*(np.zeros(shape, bool) for _ in range(3)))

    def add(self, summary: Summary, cells: Mask) -> None:
        """Hold back `cells` as well; the node of a histogram by merging it into its parent."""
        if summary.kind != "histogram":
            self.cells[...] |= cells
            return
        self.cells[..., 0] |= cells[..., 0]
        tree = grid_of(summary)
        place = {node: i for i, node in enumerate(tree.nodes)}
        for node, i in place.items():
            for half in tree.children(node):
                self.merged[..., i] |= cells[..., place[half]]


def protect(summary: Summary, policy: Policy, hold: Hold | None = None) -> Summary:
    """Return what may leave of a Summary when it is looked at alone.

    Acts on the fields that the kind declares: counts are rounded, mean and sd cut to significant
    digits, and every sensitive field of a cell with too few patients is suppressed. A true 0 is
    told only as `public_zeros` says. A histogram is cut at the finest nodes of its grid of which
    at least one half holds the threshold; a half that does not is suppressed. Sums never leave.

    Parameters
    ----------
    summary
        An exact Summary.
    policy
        The policy in force.
    hold
        What else is held back.

    Raises
    ------
    DisclosureError
        If it is no exact Summary of a known kind, or the kind declares a field that no rule
        covers.

    Examples
    --------
    >>> from workbench.summaries.counts import summarise
    >>> from workbench.summaries.dimension import Dimension
    >>> modality = Dimension("modality", ("CT", "MR"))
    >>> s = summarise([modality], {"modality": [0] * 12 + [1]}, range(13), range(13))
    >>> view = protect(s, Policy())
    >>> view.data.patients.values, view.status.patients.values.tolist()
    (array([15, 10,  0]), ['rounded', 'rounded', 'suppressed'])
    """
    if not isinstance(summary, Summary) or not summary.exact:
        raise DisclosureError(
            "Only an exact Summary can be checked",
            where=show(summary),
            todo="Give what `summarise` or `combine` returned",
        )
    try:
        validate(summary)
    except DefinitionError as error:
        raise DisclosureError(
            f"What cannot be read cannot leave: {error.what}", where=error.where, todo=error.todo
        ) from error
    hold = hold or Hold.nothing(summary)
    patients = summary.data["patients"].values
    zero = public_zeros(summary, policy.threshold)
    small = (patients < policy.threshold) & ~zero
    if summary.kind == "histogram":
        absent = ~_cut(summary, policy.threshold, hold)
        held = np.zeros_like(small)
    else:
        absent = np.zeros_like(small)
        held = hold.cells & ~small & ~zero
    values, statuses = {}, {}
    for field in kind_of(summary.kind).released_fields:
        value, status = _told(summary, field, policy, zero)
        if field.sensitive:
            if field.role in ("mean", "sd"):
                status[hold.values] = "suppressed"
            status[small | held] = "suppressed"
            if field.role != "patients":
                status[held & leaves(summary)] = "not_applicable"
            status[absent] = "not_applicable"
        values[field.name], statuses[field.name] = value, status
    return replace(
        summary,
        data=labelled(summary.dimensions, values, margins=summary.margins),
        status=labelled(summary.dimensions, statuses, margins=summary.margins),
    )


def public_zeros(summary: Summary, threshold: int) -> Mask:
    """Return where a true 0 may be told.

    The labels in public dimensions make it 0 alone, and no margin above it is small: to know
    which labels a small margin does not have would bound it. What a told 0 implies is told.
    """
    patients = summary.data["patients"]
    protected = [d.name for d in summary.dimensions if d.zeros != "public"]
    zero = (patients == 0).all(dim=protected).broadcast_like(patients).transpose(*patients.dims)
    below = ((patients > 0) & (patients < threshold)).values
    for axis, dimension in enumerate(summary.dimensions):
        if dimension.name in summary.margins:
            lines = np.moveaxis(below, axis, 0)
            lines[1:] |= lines[0]
    told: Mask = zero.values & ~below
    for axis, dimension in enumerate(summary.dimensions):  # what a told 0 implies is told as well
        if dimension.name in summary.margins:
            lines = np.moveaxis(told, axis, 0)
            lines[1:] |= lines[0]
    return told


def leaves(summary: Summary) -> Mask:
    """Return where no label is the margin `all`."""
    shape = summary.data["patients"].shape
    mask = np.ones(shape, bool)
    for axis, dimension in enumerate(summary.dimensions):
        at = np.array([label != ALL for label in summary.labels(dimension.name)])
        mask &= at.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return mask


def _told(
    summary: Summary, field: Field, policy: Policy, zero: Mask
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.str_]]:
    shape = summary.data["patients"].shape
    if not field.sensitive:
        return summary.data[field.name].values, np.full(shape, "ok", "U14")
    if field.role in ("patients", "exams"):
        status = np.full(shape, "rounded", "U14")
        status[zero] = "ok"
        return policy.round(summary.data[field.name].values).astype(np.int64), status
    if field.role in ("mean", "sd") and summary.kind == "moments":
        finished = finish(summary)
        exact = finished[field.role].values
        text = (f"{x:.{policy.digits - 1}e}" for x in exact.ravel())
        value = np.array([float(x) for x in text], float).reshape(shape)
        status = np.full(shape, "rounded", "U14")
        status[~np.isfinite(value)] = "not_applicable"
        # Where all values are one, the mean is everybody's value.
        status[(finished["sd"].values == 0) & np.isfinite(value)] = "suppressed"
        return value, status
    raise DisclosureError(
        f"No rule covers the field {show(field.name)!r} ({show(field.role)})",
        where=f"kind {summary.kind}",
        todo="Release counts, means and standard deviations only",
    )


def _cut(summary: Summary, threshold: int, hold: Hold) -> Mask:
    # A node is divided while one of its halves holds the threshold: nothing small is divided.
    tree = grid_of(summary)
    place = {node: i for i, node in enumerate(tree.nodes)}
    patients = summary.data["patients"].values
    reached = np.zeros(patients.shape, bool)
    reached[..., 0] = ~hold.cells[..., 0]
    cut = reached.copy()
    for node, i in place.items():
        cut[..., i] = reached[..., i]
        if halves := [place[half] for half in tree.children(node)]:
            divide = reached[..., i] & ~hold.merged[..., i]
            divide &= (patients[..., halves] >= threshold).any(axis=-1)
            cut[..., i] &= ~divide
            reached[..., halves] = divide[..., None]
    return cut
