"""Codecs: decode compressed frames in worker processes with a limit of memory and of time.

A decoder that crashes, hangs or swells takes its worker with it, never this process, as
`running.limited` says.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from workbench.errors import ImageError
from workbench.pixels.byte_source import ByteSource, PixelError
from workbench.pixels.encapsulation import Span, find_frames
from workbench.pixels.pixel_info import PixelInfo
from workbench.running.limited import MEMORY, EndedError, LimitedProcess, Pool, TooSlowError

TIME_S = 20.0
"""Seconds for the frames of one file."""
SLOWEST = 2**20
"""Bytes a second that are decoded at least: large files may take longer than `TIME_S`."""
BATCH = 32 * 2**20
"""Bytes of decoded frames in one request."""
_MOST_FRAMES = 4096


def decode_encapsulated(
    source: ByteSource, info: PixelInfo, wanted: Sequence[int], out: np.ndarray[Any, Any]
) -> None:
    """Decode frames of a file into `out`.

    Parameters
    ----------
    source
        The file.
    info
        Where its pixels lie.
    wanted
        Frames wanted, counted from 0.
    out
        Array to fill, shape (frames, rows, columns[, samples]).

    Raises
    ------
    PixelError
        If the frames cannot be told apart, cannot be decoded, or cost too much.
    """
    frames = find_frames(source, info)
    left = max(TIME_S, len(wanted) * info.frame_bytes / SLOWEST)
    size = max(1, min(_MOST_FRAMES, BATCH // info.frame_bytes))
    for first in range(0, len(wanted), size):
        batch = [frames[index] for index in wanted[first : first + size]]
        # The memory of a large frame is not kept.
        with _pool.borrow(keep=lambda worker: worker.size <= 4 * BATCH) as worker:
            # Waiting for a worker is no fault of the file.
            start = time.monotonic()
            worker.decode(source, info, batch, out[first : first + size], start + left)
            left -= time.monotonic() - start


class _Worker(LimitedProcess):
    """One worker process, and the memory shared with it."""

    def __init__(self) -> None:
        self._memory_file = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # Whatever runs in the worker, the memory cannot shrink under this process.
        fcntl.fcntl(self._memory_file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        os.ftruncate(self._memory_file, mmap.PAGESIZE)
        self._memory = mmap.mmap(self._memory_file, 0)
        try:
            super().__init__(
                "workbench.pixels.codec_worker",
                str(self._memory_file),
                descriptors=[self._memory_file],
                # Frames come and go: to give their memory back each time costs more than some
                # take to decode.
                environment={
                    "MALLOC_MMAP_THRESHOLD_": str(2 * BATCH),
                    "MALLOC_TRIM_THRESHOLD_": str(4 * BATCH),
                },
            )
        except (TooSlowError, EndedError) as error:
            raise ImageError(
                "Compressed pixels cannot be decoded: their decoder does not start",
                where=f"it ended{error}",
                todo="Install imaging-workbench[imaging]",
            ) from error

    @property
    def size(self) -> int:
        """Bytes of the memory shared with the process."""
        return len(self._memory)

    def decode(
        self,
        source: ByteSource,
        info: PixelInfo,
        batch: Sequence[Sequence[Span]],
        out: np.ndarray[Any, Any],
        deadline: float,
    ) -> None:
        """Decode a batch of frames into `out`."""
        lengths = [sum(length for _, length in fragments) for fragments in batch]
        result = -(-sum(lengths) // 4096) * 4096
        self._grow(result + len(batch) * info.frame_bytes)
        places, at = [], 0
        with memoryview(self._memory) as shared:
            for fragments, whole in zip(batch, lengths, strict=True):
                places.append((at, whole))
                for offset, length in fragments:
                    with shared[at : at + length] as part:
                        source.readinto(offset, part)
                    at += length
        request = {
            "info": asdict(info),
            "frames": places,
            "size": self.size,
            "result": result,
        }
        try:
            self.send(request, max(0.0, deadline - time.monotonic()))
            answer = self.receive(deadline)
        except TooSlowError:
            raise PixelError("codec_too_slow", f"{TIME_S:.0f} s") from None
        except EndedError as error:
            raise PixelError("codec_failed", f"the decoder has ended{error}") from None
        if answer:
            raise PixelError(answer["reason"], answer["detail"])
        out[...] = np.ndarray(out.shape, out.dtype, self._memory, result)

    def end(self) -> None:
        """End the process, whatever it does, and free the memory."""
        super().end()
        with suppress(BufferError):
            self._memory.close()
        os.close(self._memory_file)

    def _grow(self, size: int) -> None:
        if size > MEMORY // 2:
            raise PixelError("codec_too_big", f"{size} bytes")
        if size > self.size:
            self._memory.close()
            os.ftruncate(self._memory_file, -(-size // BATCH) * BATCH)
            self._memory = mmap.mmap(self._memory_file, 0)


_pool = Pool(_Worker)


def end_workers() -> None:
    """End the workers that are idle now."""
    _pool.end_idle(-1)
