"""Place: where and how numbers are computed, so that they come out the same again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workbench.errors import UsageError, suggest

THREADS = 1
"""Threads of one exam: the same numbers come out, whatever machine and however many exams."""
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Place:
    """Say where and how numbers are computed; recorded with every row.

    Parameters
    ----------
    device
        "cpu" or "cuda".
    precision
        "float32", "bfloat16" or "float16": of the network alone.
    threads
        Threads of one exam.
    """

    device: str
    precision: str
    threads: int = THREADS


def choose_place(device: str = "auto", precision: str = "auto") -> Place:
    """Return where to compute: a GPU with bfloat16 if there is one, else the CPU with float32.

    Raises
    ------
    UsageError
        If it is not known, or there is no such device.

    Examples
    --------
    >>> choose_place("cpu")
    Place(device='cpu', precision='float32', threads=1)
    """
    for name, value, known in (
        ("device", device, DEVICES), ("precision", precision, PRECISIONS)
    ):  # fmt: skip
        if value not in known:
            raise UsageError(f"Unknown {name}", where=name, todo=suggest(str(value), known))
    import torch

    there = torch.cuda.is_available()
    if device == "auto":
        device = "cuda" if there else "cpu"
    if device == "cuda" and not there:
        raise UsageError("There is no GPU", where="device", todo='Write device="cpu"')
    if precision == "auto":
        half = device == "cuda" and torch.cuda.is_bf16_supported()
        precision = "bfloat16" if half else "float32"
    if device == "cpu" and precision == "float16":
        todo = 'Write precision="float32", or "bfloat16"'
        raise UsageError("A CPU does not compute in float16", where="precision", todo=todo)
    return Place(device, precision)


@contextmanager
def deterministic(place: Place) -> Iterator[None]:
    """Have torch compute the same numbers each time, and put its settings back at the end."""
    import torch

    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_num_threads(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
    )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True)
    torch.set_num_threads(place.threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.set_num_threads(before[2])
        torch.backends.cudnn.benchmark = before[3]
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before[4:]
