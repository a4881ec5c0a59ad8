"""Weights: the tensors of a bundle, and whether they are those of its network.

A checkpoint of torch is a pickle. It is read with `weights_only`, in its zip form alone and where
nothing in it is compressed; safetensors hold no code at all. A network is built under an allowance
of memory that follows from its weights, so that no configuration can ask for more.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import PipelineError, show
from workbench.pipelines.bundle_files import refuse

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]
MOST_TENSORS = 20_000
DTYPES = (
    *("bfloat16", "bool", "float16", "float32", "float64"),
    *("int16", "int32", "int64", "int8", "uint8"),
)
"""Types of weights that are read."""
SPARE_BYTES = 256 * 2**20
"""Memory that building a network may take beyond three times its weights."""
MOST_CALLS = 500_000
"""Calls of torch that building a network may take."""
SHOWN = 3
"""Names that an error lists."""
_WRAPPERS = ("model", "network", "net", "state_dict", "model_state_dict")
_AGAIN = "Write it as safetensors, with safetensors.torch.save_file"


def read_weights(name: str, content: bytes) -> State:
    """Return the tensors of a file of weights.

    Parameters
    ----------
    name
        Name of the file; ends in `.safetensors` or `.pt`.
    content
        Its bytes.

    Raises
    ------
    PipelineError
        If it holds anything but tensors, or is damaged.
    """
    read = _read_safetensors if name.endswith(".safetensors") else _read_checkpoint
    state = read(name, content)
    import torch

    if not state or len(state) > MOST_TENSORS:
        what = f"The file holds {len(state):,} tensors; 1 to {MOST_TENSORS:,} are weights"
        raise refuse(name, "", None, what, _AGAIN)
    held: Mapping[Any, Any] = state
    for key, value in held.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            kind = type(value).__name__
            raise refuse(name, str(key), kind, "The file holds what is no tensor", _AGAIN)
        kind = str(value.dtype).removeprefix("torch.")
        if value.layout != torch.strided or value.is_meta or kind not in DTYPES:
            told = f"{value.layout} {value.dtype}"
            raise refuse(name, key, told, "A tensor is stored in no plain way", _AGAIN)
    return state


def _read_safetensors(name: str, content: bytes) -> State:
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load(content)
    except (safetensors.SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        what = f"The file is no sound safetensors: {show(str(error), 120)}"
        raise refuse(name, "", None, what, "Ask the bundle's maker for it again") from None


def _read_checkpoint(name: str, content: bytes) -> State:
    import pickle

    import torch

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            packed = [i for i in archive.infolist() if i.compress_type != zipfile.ZIP_STORED]
            inner = {i.filename.partition("/")[2] for i in archive.infolist()}
            if "constants.pkl" in inner or any(i.startswith("code/") for i in inner):
                raise refuse(name, "", None, "The file is a program of TorchScript", _AGAIN)
            if packed or sum(i.file_size for i in archive.infolist()) > len(content):
                raise refuse(name, "", None, "The checkpoint is compressed", _AGAIN)
        stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, zlib.error):
        what = "The file is a bare pickle, or no checkpoint of torch 1.6 or later"
        raise refuse(name, "", None, what, _AGAIN) from None
    except (
        pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError,
        MemoryError, RecursionError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        what = f"The checkpoint holds more than weights, or is damaged: {type(error).__name__}"
        raise refuse(name, "", _first_line(error), what, _AGAIN) from None
    for key in _WRAPPERS:
        if isinstance(stored, Mapping) and isinstance(stored.get(key), Mapping):
            stored = stored[key]
    if not isinstance(stored, Mapping):
        kind = type(stored).__name__
        raise refuse(name, "", kind, "The checkpoint holds no weights by name", _AGAIN)
    return dict(stored)


def _first_line(error: BaseException) -> str:
    """Return what torch says of a global it refuses."""
    words = str(error).split()
    named = [w for w in words if "." in w and w.replace(".", "").replace("_", "").isalnum()]
    return named[0] if named else ""


def fill_network(build: Callable[[], Any], state: State, name: str) -> torch.nn.Module:
    """Return a network with its weights, ready to be applied.

    Parameters
    ----------
    build
        Makes the network.
    state
        Its weights.
    name
        File of the weights.

    Raises
    ------
    PipelineError
        If the network is another one, its weights are not finite, or it takes more memory than
        its weights explain.
    """
    import torch

    # What is stored counts, and once: a tensor may declare more than it holds.
    stored = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in state.values()}
    held = sum(stored.values())
    with _allowance(3 * held + SPARE_BYTES, name):
        network = build()
    if not isinstance(network, torch.nn.Module):
        kind = type(network).__name__
        raise refuse(name, "", kind, "The configuration makes no network", "Correct network_def")
    network = network.to("cpu")
    if set(state) != set(network.state_dict()):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    _compare(network.state_dict(), state, name)
    network.load_state_dict(state)
    for key, value in network.state_dict().items():  # as it is computed with
        if not torch.isfinite(value).all():
            what = "A weight is not finite"
            raise refuse(name, key, None, what, "Train the model again, or take another epoch")
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network


def _compare(wanted: State, found: State, name: str) -> None:
    problems = []
    missing = [key for key in wanted if key not in found]
    strange = [key for key in found if key not in wanted]
    shapes = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    types = [
        f"{key} {found[key].dtype}"
        for key in wanted
        if key in found and found[key].is_floating_point() != wanted[key].is_floating_point()
    ]
    for what, listed in (
        ("missing", missing), ("unexpected", strange), ("another shape", shapes),
        ("another type", types),
    ):  # fmt: skip
        if listed:
            told = ", ".join(show(text, 120) for text in listed[:SHOWN])
            more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
            problems.append(f"{what}: {told}{more}")
    if problems:
        raise PipelineError(
            "The weights are those of another network",
            where=f"{show(name)}, {'; '.join(problems)}",
            todo="Correct network_def, or take the weights that belong to it",
        )


def _allowance(most: int, name: str) -> Any:  # noqa: ANN401 - a class that torch makes
    """Return a context in which torch makes at most so many bytes, and is called so often."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Allowance(TorchDispatchMode):  # type: ignore[no-untyped-call]
        made, calls = 0, 0

        def __torch_dispatch__(
            self,
            func: Any,  # noqa: ANN401 - torch has no types for it
            types: Any,  # noqa: ANN401
            args: Any = (),  # noqa: ANN401
            kwargs: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            self.calls += 1
            if str(func).startswith(("aten.empty", "aten.zeros", "aten.ones", "aten.full")):
                sizes = args[0] if args and isinstance(args[0], list | tuple) else ()
                bytes_ = 4
                for size in sizes:
                    bytes_ *= max(int(size), 1)
                self.made += bytes_
            if self.made > most or self.calls > MOST_CALLS:
                what = "The network is larger than its weights"
                raise refuse(name, "network_def", None, what, "Correct its channels and blocks")
            return func(*args, **(kwargs or {}))

    return Allowance()  # type: ignore[no-untyped-call]
