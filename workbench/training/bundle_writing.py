"""Bundle writing: a trained network as a MONAI bundle, with its metadata and its model card.

Source: MONAI Bundle Specification; Mitchell et al. (2019), "Model cards for model reporting".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workbench.errors import PipelineError, show
from workbench.pipelines.bundle import SELECTION, Bundle, read_bundle
from workbench.pipelines.configuration import Configuration
from workbench.pipelines.requirement import Requirement
from workbench.training.fitting import Fitted


@dataclass(frozen=True)
class Card:
    """Say what a model is for, and what it is not.

    Parameters
    ----------
    name, version
        Of the model.
    task
        What it finds, as a sentence.
    intended_use
        Who may use it, on whom and for what.
    limits
        What it was not made for, and what is known to go wrong; at least one sentence.
    sites
        Names of the institutions that it learned from.
    channels
        Meaning of each channel or class, by number; "0" is "background" of a segmentation.
    kind
        "segmentation" or "classification".
    authors
        Who answers for it.
    licence
        SPDX identifier.
    """

    name: str
    version: str
    task: str
    intended_use: str
    limits: Sequence[str]
    sites: Sequence[str]
    channels: Mapping[str, str]
    kind: str
    authors: str
    licence: str = "Apache-2.0"


def write_bundle(
    fitted: Fitted,
    configuration: Configuration,
    card: Card,
    folder: Path | str,
    *,
    requirement: Requirement | None = None,
    measured: Mapping[str, float] | None = None,
) -> Bundle:
    """Write a trained network as a bundle folder, and read it back.

    Parameters
    ----------
    fitted
        What `fit` returned.
    configuration
        The one that it was trained with; its postprocessing belongs to the bundle.
    card
        What the model is for.
    folder
        New folder.
    requirement
        What a series must be for it.
    measured
        Name and value of what was measured on exams that it never saw.

    Returns
    -------
    Bundle
        As anybody reads it: nothing in it needs trust.

    Raises
    ------
    PipelineError
        If the folder is there already, the card is not filled in, or the bundle cannot be read.
    """
    import safetensors.torch

    _require_filled(card)
    out = Path(folder)
    try:
        for place in ("configs", "models", "docs"):
            (out / place).mkdir(parents=True, exist_ok=place != "configs")
    except FileExistsError:
        raise PipelineError(
            "The bundle was not written: the folder is there",
            where=show(out.name),
            todo="Choose another folder, or delete this one",
        ) from None
    metadata = _metadata(fitted, card, requirement, measured or {})
    for name, tree in (("metadata", metadata), ("inference", dict(configuration.tree))):
        text = json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
        (out / "configs" / f"{name}.json").write_text(text, encoding="utf-8")
    state = {name: tensor.contiguous() for name, tensor in fitted.state.items()}
    safetensors.torch.save_file(state, out / "models" / "model.safetensors")
    (out / "docs" / "README.md").write_text(_render(fitted, card, measured or {}), encoding="utf-8")
    bundle = read_bundle(out)
    bundle.network()  # weights and network fit, as anybody who loads it will find
    return bundle


def _require_filled(card: Card) -> None:
    texts = ("name", "version", "task", "intended_use", "authors", "licence")
    lacking = [name for name in texts if not str(getattr(card, name)).strip()]
    lacking += [name for name in ("limits", "sites", "channels") if not getattr(card, name)]
    if lacking:
        raise PipelineError(
            "The model card is not filled in",
            where=", ".join(lacking),
            todo="Say what the model is for, what it is not, and what it learned from",
        )


def _metadata(
    fitted: Fitted,
    card: Card,
    requirement: Requirement | None,
    measured: Mapping[str, float],
) -> dict[str, Any]:
    segments = card.kind == "segmentation"
    answer = {
        "type": "image" if segments else "probabilities",
        "format": "segmentation" if segments else "classes",
        "num_channels": len(card.channels),
        "channel_def": dict(card.channels),
    }
    packages = {name: version(name) for name in ("monai", "torch", "numpy")}
    told: dict[str, Any] = {
        "version": card.version,
        "monai_version": packages["monai"],
        "pytorch_version": packages["torch"].split("+", maxsplit=1)[0],
        "numpy_version": packages["numpy"],
        "name": card.name,
        "task": card.task,
        "description": card.task,
        "authors": card.authors,
        "copyright": card.authors,
        "license": card.licence,
        "intended_use": card.intended_use,
        "limits": list(card.limits),
        "training_sites": list(card.sites),
        "data_fingerprint": fitted.fingerprint,
        "training_exams": fitted.exams,
        "training_settings": fitted.settings.plain(),
        "eval_metrics": dict(measured),
        "network_data_format": {
            "inputs": {"image": {"type": "image", "format": "hounsfield", "num_channels": 1}},
            "outputs": {"pred": answer},
        },
    }
    return told | ({SELECTION: requirement.plain()} if requirement else {})


def _render(fitted: Fitted, card: Card, measured: Mapping[str, float]) -> str:
    best = fitted.history[fitted.best - 1]
    chosen = "mean Dice" if card.kind == "segmentation" else "area under the ROC curve"
    lines = [
        f"# {card.name} {card.version}", "", card.task, "",
        "## Intended use", "", card.intended_use, "",
        "## Limits", "", *(f"- {limit}" for limit in card.limits), "",
        "## What it learned from", "",
        f"{fitted.exams} exams of {', '.join(card.sites)}.",
        f"Fingerprint of the exams: `{fitted.fingerprint}`.", "",
        "## What was measured", "",
        f"- {chosen}, on the exams that the best epoch was chosen by: {best.validation:.3f}",
        *(f"- {name}: {value:.3f}" for name, value in measured.items()), "",
        f"Best of {len(fitted.history)} epochs: {fitted.best}.", "",
        f"{card.authors}, {card.licence}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
