"""Checkpoint: the state of a training after an epoch, from which it goes on as if never stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workbench.errors import PipelineError, show

NAME = "checkpoint.pt"


def write_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write a state so that there is always a whole one, whatever happens meanwhile.

    Raises
    ------
    PipelineError
        If it cannot be written.
    """
    import torch

    part = folder / f".{NAME}.part"
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / NAME)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PipelineError(
            f"The checkpoint was not written: {error.strerror}",
            where=show(folder.name),
            todo="Check the folder, its rights and the space left; training then goes on",
        ) from None


def read_checkpoint(folder: Path, key: str) -> dict[str, Any] | None:
    """Return the state of this training, or None if it has not begun.

    Parameters
    ----------
    folder
        Folder of the training.
    key
        Digest of everything that decides it.

    Raises
    ------
    PipelineError
        If the state is that of another training, or cannot be read.
    """
    import pickle

    import torch

    path = folder / NAME
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state["key"]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError):
        raise PipelineError(
            "The checkpoint cannot be read",
            where=show(folder.name),
            todo="Delete it, and train from the beginning",
        ) from None
    if found != key:
        raise PipelineError(
            "The folder holds another training: other exams, settings or network",
            where=show(folder.name),
            todo="Choose another folder, or delete this one",
        )
    return state
