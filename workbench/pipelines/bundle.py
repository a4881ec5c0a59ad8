"""Bundle: a model of MONAI with its metadata, configuration and weights, read and judged whole.

Source: MONAI Bundle Specification, "metadata.json"; format and type of `network_data_format`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import suggest
from workbench.pipelines.bundle_files import parse_json, parse_yaml, read_bundle_files, refuse
from workbench.pipelines.bundle_rules import SCHEMAS
from workbench.pipelines.configuration import Configuration
from workbench.pipelines.requirement import Requirement, read_requirement
from workbench.pipelines.weights import fill_network, read_weights

if TYPE_CHECKING:
    import torch

REQUIRED = ("version", "monai_version", "task", "network_data_format")
"""Keys that metadata.json must have."""
SELECTION = "selection"
"""Key of metadata.json with what a series must be, as of `Requirement`; MONAI does not use it."""
MOST_CHANNELS = 255
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMA = re.compile(r"meta_schema_([0-9A-Za-z_]+)\.json$")


@dataclass(frozen=True)
class Answer:
    """Say what the answer of a network means.

    Parameters
    ----------
    kind
        "segmentation", a mask, or "classification", probabilities.
    channels
        Meaning of each channel or class, by number.
    """

    kind: str
    channels: Mapping[int, str]

    @property
    def has_background(self) -> bool:
        """Whether channel 0 is what is no finding."""
        return "background" in self.channels.get(0, "").lower()

    @property
    def findings(self) -> dict[int, str]:
        """Return the name of each finding by its number in a mask; none of a classification.

        A finding has the number of its channel; where channel 0 is one too, one more.
        """
        if self.kind == "classification":
            return {}
        more = int(0 in self.channels and not self.has_background)
        return {
            n + more: _slug(text) or f"finding_{n + more}"
            for n, text in self.channels.items()
            if n or more
        }


@dataclass(frozen=True)
class Bundle:
    """Hold a bundle; nothing of it has been called.

    Parameters
    ----------
    name
        Name of its folder or file.
    digest
        "sha256:…" of all its files.
    metadata
        Content of metadata.json.
    answer
        What its network answers.
    requirement
        What a series must be.
    configuration
        What is built.
    weights
        Name and tensors.
    trusted
        Whether the site vouches for it.
    """

    name: str
    digest: str
    metadata: Mapping[str, Any] = field(repr=False)
    answer: Answer
    requirement: Requirement
    configuration: Configuration = field(repr=False)
    weights: tuple[str, Mapping[str, Any]] = field(repr=False)
    trusted: bool = False

    def network(self) -> torch.nn.Module:
        """Return a new network with its weights.

        Raises
        ------
        PipelineError
            If the weights are those of another one.
        """
        name, state = self.weights
        return fill_network(self.configuration.build_network, dict(state), name)


def read_bundle(path: Path | str, *, trusted: Iterable[str] = ()) -> Bundle:
    """Read a bundle of MONAI, and refuse what it may not hold.

    Parameters
    ----------
    path
        A folder, or a zip file of one.
    trusted
        Digests ("sha256:…") of bundles whose configuration may hold code, as of a site's
        `[bundles] trusted`.

    Returns
    -------
    Bundle

    Raises
    ------
    PipelineError
        With file, key and value of what is refused.
    """
    for digest in trusted:
        if not _DIGEST.fullmatch(digest):
            what = "A digest is no sha256"
            raise refuse("trusted", "", digest, what, "Write sha256: and 64 digits 0-9, a-f")
    files = read_bundle_files(path)
    vouched = files.digest in set(trusted)
    if files.suspect and not vouched:
        what = "The bundle holds code, or a pickle"
        raise refuse(files.name, files.suspect[0], None, what, "Remove it, or trust the bundle")
    name, content = files.metadata
    metadata = parse_json(content, name)
    answer = _read_metadata(metadata, name)
    declared = metadata.get(SELECTION, {})
    if not isinstance(declared, dict):
        raise refuse(name, SELECTION, declared, "It is no table", "Write one object")
    requirement = read_requirement(declared, f"{name}, {SELECTION}")
    name, content = files.configuration
    parse = parse_json if name.endswith(".json") else parse_yaml
    configuration = Configuration(name, parse(content, name), vouched)
    configuration.validate()
    name, content = files.weights
    weights = (name, read_weights(name, content))
    return Bundle(
        files.name, files.digest, metadata, answer, requirement, configuration, weights, vouched
    )


def _read_metadata(metadata: Mapping[str, Any], name: str) -> Answer:
    for key in REQUIRED:
        if key not in metadata:
            raise refuse(name, key, None, f"The key {key!r} is missing", "Write it")
    schema = metadata.get("schema")
    if schema is not None:
        found = _SCHEMA.search(schema) if isinstance(schema, str) else None
        if found is None or found[1] not in SCHEMAS:
            todo = f"Known: {', '.join(SCHEMAS)}"
            raise refuse(name, "schema", schema, "The metadata is of an unknown version", todo)
    for key in ("version", "monai_version", "task"):
        if not isinstance(metadata[key], str) or not metadata[key].strip():
            raise refuse(name, key, metadata[key], f"{key!r} is no text", "Write it in quotes")
    return _read_answer(metadata["network_data_format"], name)


def _read_answer(declared: object, name: str) -> Answer:
    place = "network_data_format.outputs.pred"
    held: Any = declared
    for key in ("outputs", "pred"):
        held = held.get(key) if isinstance(held, dict) else None
    if not isinstance(held, dict):
        todo = "Write what the network answers under outputs.pred"
        raise refuse(name, place, held, "The answer is not described", todo)
    form, type_ = held.get("format"), held.get("type")
    kinds = {"segmentation": "segmentation", "classes": "classification",
             "labels": "classification", "label": "classification",
             "probabilities": "classification"}  # fmt: skip
    kind = kinds.get(str(form)) or kinds.get(str(type_))
    if kind is None:
        raise refuse(name, f"{place}.format", form, "The answer is of an unknown kind",
                     suggest(str(form), kinds))  # fmt: skip
    number, channels = held.get("num_channels", 1), held.get("channel_def", {})
    good = isinstance(number, int) and 1 <= number <= MOST_CHANNELS and isinstance(channels, dict)
    if not good or not all(
        isinstance(k, str) and k.isascii() and k.isdigit() and int(k[:4]) <= MOST_CHANNELS
        and isinstance(v, str) for k, v in channels.items()
    ):  # fmt: skip
        todo = 'Write num_channels = N and channel_def = {"0": "background", "1": …}'
        raise refuse(name, f"{place}.channel_def", channels, "The channels are not named", todo)
    named = {int(k): v for k, v in channels.items()} or {n: f"class {n}" for n in range(number)}
    answer = Answer(kind, dict(sorted(named.items())))
    slugs = list(answer.findings.values())
    twice = next((slug for slug in slugs if slugs.count(slug) > 1), None)
    if twice:
        what = "Two channels have one name"
        raise refuse(name, f"{place}.channel_def", twice, what, "Give each its own")
    return answer


def _slug(text: str) -> str:
    """Return a text as the name of a column.

    Examples
    --------
    >>> _slug("Lung nodule (solid)"), _slug("结节")
    ('lung_nodule_solid', '')
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower())[:48].strip("_")
