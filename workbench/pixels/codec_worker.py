"""Codec worker: the process that decodes compressed frames; started by `workbench.pixels.codecs`.

It gets requests as lines of JSON through a socket. Compressed and decoded frames lie in one piece
of memory that both processes see, so nothing large is copied through the socket.
"""

from __future__ import annotations

import json
import mmap
import resource
import signal
import socket
import sys
from typing import Any

MEMORY = 1536 * 2**20
"""Address space of a worker (bytes): 1.5 GiB."""
IDLE_S = 120.0
"""Seconds without a request after which a worker ends, should nobody have ended it before."""
LONGEST_REQUEST = 1 << 20
"""Bytes of one request or answer."""


def main(channel_descriptor: int, memory_descriptor: int) -> None:
    """Answer requests until the other side closes, or nothing is asked for long.

    Parameters
    ----------
    channel_descriptor
        Socket of the requests.
    memory_descriptor
        Memory that both processes see.
    """
    # Who interrupts a notebook means the notebook.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # Imported before the first request, so that a file's time is its own.
    import imagecodecs  # noqa: F401

    from workbench.pixels.codestream import DECODERS  # noqa: F401

    channel = socket.socket(fileno=channel_descriptor)
    channel.settimeout(IDLE_S)
    channel.sendall(b"{}\n")
    memory = mmap.mmap(memory_descriptor, 0)
    with channel.makefile("rb") as lines:
        while True:
            try:
                line = lines.readline(LONGEST_REQUEST)
            except TimeoutError:
                return
            if not line:
                return
            request = json.loads(line)
            if request["size"] != len(memory):
                memory.close()
                memory = mmap.mmap(memory_descriptor, 0)
            # Should the other side be gone, the kernel ends a decoder that does not.
            signal.setitimer(signal.ITIMER_REAL, request["seconds"] + 1)
            answer = _answer(request, memory)
            signal.setitimer(signal.ITIMER_REAL, 0)
            channel.sendall(json.dumps(answer).encode() + b"\n")


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
