"""Codec worker: the process that decodes compressed frames; started by `workbench.pixels.codecs`.

It gets requests as lines of JSON through a socket. Compressed and decoded frames lie in one piece
of memory that both processes see, so nothing large is copied through the socket.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator
from typing import Any

from workbench.running.limited import MEMORY, limit, serve


def main(channel_descriptor: int, memory_descriptor: int) -> None:
    """Answer requests until the other side closes, or nothing is asked for long.

    Parameters
    ----------
    channel_descriptor
        Socket of the requests.
    memory_descriptor
        Memory that both processes see.
    """
    limit()
    # Imported before the first request, so that a file's time is its own.
    import imagecodecs  # noqa: F401

    from workbench.pixels.codestream import DECODERS  # noqa: F401

    memory = mmap.mmap(memory_descriptor, 0)

    def answers(request: dict[str, Any]) -> Iterator[dict[str, str]]:
        nonlocal memory
        if request["size"] != len(memory):
            memory.close()
            memory = mmap.mmap(memory_descriptor, 0)
        fault = _answer(request, memory)
        if fault:
            yield fault

    serve(channel_descriptor, answers)


def _answer(request: dict[str, Any], memory: mmap.mmap) -> dict[str, str]:
    """Decode the frames of a request into the shared memory; name the fault, if there is one."""
    import numpy as np

    from workbench.pixels.byte_source import PixelError
    from workbench.pixels.codestream import decode
    from workbench.pixels.pixel_info import PixelInfo

    info = PixelInfo(**request["info"])
    at = request["result"]
    try:
        for offset, length in request["frames"]:
            target = np.ndarray(info.frame_shape, info.dtype, memory, at)
            decode(memory[offset : offset + length], info, target)
            at += info.frame_bytes
    except PixelError as error:
        return {"reason": error.reason, "detail": error.detail}
    except MemoryError:
        return {"reason": "codec_too_big", "detail": f"{MEMORY >> 20} MiB"}
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, OSError) as error:
        # The decoders raise their own kinds of RuntimeError; their words may quote the file.
        return {"reason": "codec_failed", "detail": type(error).__name__}
    return {}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
