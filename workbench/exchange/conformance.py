"""Conformance: whether a released table is what the study declares and the policy allows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError, show, suggest
from workbench.exchange.envelope import RefusedError
from workbench.exchange.manifest import PolicyMark
from workbench.study import Output, Study
from workbench.summaries.kinds import fields_of
from workbench.summaries.summary import HIDDEN, Summary

Mask = NDArray[np.bool_]


def policy_in_force(mark: PolicyMark, study: Study) -> Policy:
    """Return the policy a release was made under.

    Raises
    ------
    RefusedError
        If it is looser than the study's.
    """
    try:
        policy = Policy(mark.threshold, mark.rounding, mark.digits)
        if policy.tighten(study.policy) != policy:
            raise DisclosureError(
                "It is looser than the study's", where="policy", todo=f"Use {study.policy}"
            )
    except DisclosureError as error:
        raise RefusedError(
            "policy_looser",
            "The release was made under a looser policy than the study allows",
            where=f"threshold {mark.threshold}, rounding {mark.rounding}, digits {mark.digits}",
            todo=f"Release again under {study.policy}",
        ) from error
    return policy


def declared_output(name: str, study: Study) -> Output:
    """Return the output that a table claims to be.

    Raises
    ------
    RefusedError
        If the study does not declare it as one that may leave.
    """
    known = {output.name: output for output in study.released}
    if name not in known:
        raise RefusedError(
            "undeclared_output",
            f"The study releases no output {show(name)!r}",
            where=f"{name}.csv",
            todo=suggest(name, known),
        )
    return known[name]


def require_declared(view: Summary, output: Output, *, exact: bool = False) -> None:
    """Refuse a table that is not what the study declares.

    Parameters
    ----------
    view
        What was read.
    output
        What was declared.
    exact
        Whether it must be exact, as inside a site, or a released view.

    Raises
    ------
    RefusedError
        Naming the kind, dimension, label or attribute that differs.
    """
    where = f"{output.name}.csv"
    if view.exact and not exact:
        raise RefusedError(
            "exact_table",
            "The table holds exact counts",
            where=where,
            todo="Delete it here, and ask the site to release with 'workbench release'",
        )
    if not view.exact and exact:
        raise RefusedError(
            "released_table",
            "The table is a released view already",
            where=where,
            todo="Let the step write exact Summaries; the release protects them",
        )
    if view.kind != output.kind:
        raise RefusedError(
            "other_kind",
            f"The table is of kind {view.kind}, not {output.kind}",
            where=where,
            todo=f"Let the step write {output.kind}, or correct 'kind' in study.toml",
        )
    _require_dimensions(view, output, where)
    declared: dict[str, Any] = {"population": output.population}
    if view.kind in ("moments", "histogram"):
        declared["unit"] = output.unit
    if view.kind == "moments":
        declared["resolution"] = output.resolution
    if view.kind == "histogram":
        declared["edges"] = list(output.edges)
    for key, value in declared.items():
        if view.attributes.get(key) != value:
            raise RefusedError(
                "other_measure",
                f"The {key} is {show(view.attributes.get(key))}, not {show(value)}",
                where=where,
                todo=f"Summarise with {key} {show(value)}, or correct study.toml",
            )


def _require_dimensions(view: Summary, output: Output, where: str) -> None:
    declared = tuple(d.dimension for d in output.dimensions)
    found = view.dimensions[:-1] if view.kind == "histogram" else view.dimensions
    names = [d.name for d in declared]
    if view.kind == "histogram" and view.dimensions[-1].zeros != output.zeros:
        raise RefusedError(
            "other_dimensions",
            f"The study says that zeros of the intervals are {output.zeros}",
            where=where,
            todo=f"Summarise with zeros={output.zeros!r}",
        )
    for dimension in found:
        if dimension.name not in names:
            raise RefusedError(
                "undeclared_dimension",
                f"The study gives the table no dimension {dimension.name!r}",
                where=where,
                todo=suggest(dimension.name, names),
            )
    for expected, dimension in zip(declared, found, strict=False):
        strange = [label for label in dimension.labels if label not in expected.labels]
        if strange:
            raise RefusedError(
                "undeclared_label",
                f"The study declares no label {show(strange[0])!r}",
                where=f"{where}, dimension {dimension.name}",
                todo=suggest(strange[0], expected.labels),
            )
    if found != declared:
        raise RefusedError(
            "other_dimensions",
            "The dimensions are not those the study declares",
            where=where,
            todo=f"Summarise by {', '.join(names) or 'no dimension'}, with the labels of the study",
        )


def require_protected(view: Summary, policy: Policy, name: str) -> None:
    """Refuse a released view that shows more than its policy allows.

    Raises
    ------
    RefusedError
        Naming the first cell that is not rounded, too small or too precise.
    """
    roles = {field.role: field.name for field in fields_of(view)}
    status = {role: view.statuses[n].values.astype(str) for role, n in roles.items()}
    value = {role: view.data[n].values for role, n in roles.items()}
    hidden = {role: np.isin(words, HIDDEN) for role, words in status.items()}
    patients = value["patients"].astype(np.int64)
    public = _public_zero(view)
    for role in roles:
        shown = ~hidden[role]
        if role in ("exams", "patients"):
            counts = value[role].astype(np.int64)
            zero = (status[role] == "ok") & (counts == 0) & public
            _refuse("not_rounded", shown & ~zero & (status[role] != "rounded"), view, name)
            _refuse("not_rounded", shown & (counts % policy.rounding != 0), view, name)
        else:
            numbers = value[role].astype(np.float64)
            _refuse("too_many_digits", shown & ~_short(numbers, policy.digits), view, name)
        _refuse("below_threshold", shown & hidden["patients"], view, name)
    most = policy.bounds(patients)[1]
    small = (status["patients"] == "rounded") & (most < policy.threshold)
    _refuse("below_threshold", small, view, name)


def _public_zero(view: Summary) -> Mask:
    """Return where a zero may be told: where its labels in public dimensions make it 0 alone."""
    protected = tuple(axis for axis, d in enumerate(view.dimensions) if d.zeros != "public")
    status = view.statuses["patients"].values
    zero = ((view.data["patients"].values == 0) & (status == "ok")) | (status == "not_applicable")
    return np.broadcast_to(zero.all(axis=protected, keepdims=True), zero.shape)


def _short(numbers: NDArray[np.float64], digits: int) -> Mask:
    flat = [
        not math.isfinite(x) or float(f"{x:.{digits - 1}e}") == x for x in numbers.ravel().tolist()
    ]
    return np.array(flat, dtype=bool).reshape(numbers.shape)


_SAID = {
    "not_rounded": "A count is not rounded as the policy says",
    "too_many_digits": "A number has more digits than the policy allows",
    "below_threshold": "A cell with fewer patients than the threshold is shown",
}


def _refuse(reason: str, where: Mask, view: Summary, name: str) -> None:
    if not where.any():
        return
    place = np.argwhere(where)[0]
    cell = ", ".join(
        f"{d.name}={view.labels(d.name)[int(i)]}"
        for d, i in zip(view.dimensions, place, strict=True)
    )
    raise RefusedError(
        reason,
        _SAID[reason],
        where=f"{name}.csv, {show(cell, 200)}",
        todo="Delete it here, and ask the site to release with 'workbench release'",
    )
