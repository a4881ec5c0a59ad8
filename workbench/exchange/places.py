"""Places: where the releases of a study lie, and what lies beside them."""

from __future__ import annotations

from pathlib import Path

from workbench.study import Study

POOLED = "pooled"
"""Folder of the pooled tables, beside the folders of the releases."""
RECEIVED = "received.jsonl"
"""File of the centre's list of accepted releases, beside the folders of the releases."""


def releases_of(study: Study) -> Path:
    """Return the folder that holds one release a site.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> releases_of(SimpleNamespace(folder=Path("studies/doses"))).as_posix()
    'studies/doses/releases'
    """
    return study.folder / "releases"


def release_of(study: Study, site: str) -> Path:
    """Return the release folder of one site."""
    return releases_of(study) / site


def pooled_of(study: Study) -> Path:
    """Return the folder of the pooled tables."""
    return releases_of(study) / POOLED


def received_of(study: Study) -> Path:
    """Return the centre's list of accepted releases."""
    return releases_of(study) / RECEIVED
