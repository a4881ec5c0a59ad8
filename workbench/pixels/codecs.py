"""Codecs: decode compressed frames in worker processes with a limit of memory and of time.

A decoder that crashes, hangs or swells takes its worker with it, never this process: the worker
is replaced, the file refused, and others go on. Workers start when they are needed, one a core at
most, and end when nothing was asked for a while.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import ImageError
from workbench.pixels.byte_source import ByteSource, PixelError
from workbench.pixels.codec_worker import LONGEST_REQUEST, MEMORY
from workbench.pixels.encapsulation import Span, find_frames
from workbench.pixels.pixel_info import PixelInfo

TIME_S = 20.0
"""Seconds for the frames of one file."""
SLOWEST = 2**20
"""Bytes a second that are decoded at least: large files may take longer than `TIME_S`."""
BATCH = 32 * 2**20
"""Bytes of decoded frames in one request."""
IDLE_S = 30.0
START_S = 60.0
"""Seconds a worker may take to start: a busy machine is no fault of a file."""
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
        with _borrow() as worker:
            # Waiting for a worker is no fault of the file.
            start = time.monotonic()
            worker.decode(source, info, batch, out[first : first + size], start + left)
            left -= time.monotonic() - start


class _Worker:
    """One worker process, and the memory shared with it."""

    def __init__(self) -> None:
        self._memory_file = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # Whatever runs in the worker, the memory cannot shrink under this process.
        fcntl.fcntl(self._memory_file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        os.ftruncate(self._memory_file, mmap.PAGESIZE)
        self._memory = mmap.mmap(self._memory_file, 0)
        self._channel, theirs = socket.socketpair()
        self.used = time.monotonic()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "workbench.pixels.codec_worker"),
                    *(str(theirs.fileno()), str(self._memory_file)),
                ],
                pass_fds=[theirs.fileno(), self._memory_file],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        try:
            self._receive(time.monotonic() + START_S)
        except PixelError as error:
            self.end()
            raise ImageError(
                "Compressed pixels cannot be decoded: their decoder does not start",
                where=error.detail,
                todo="Install imaging-workbench[imaging]",
            ) from error

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

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
        seconds = max(0.0, deadline - time.monotonic())
        request = {
            "info": asdict(info),
            "frames": places,
            "size": self.size,
            "result": result,
            "seconds": seconds,
        }
        self._channel.settimeout(max(0.001, seconds))
        try:
            self._channel.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise PixelError("codec_failed", "the decoder has ended") from error
        answer = self._receive(deadline)
        if answer:
            raise PixelError(answer["reason"], answer["detail"])
        out[...] = np.ndarray(out.shape, out.dtype, self._memory, result)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._channel.close()
        self._process.kill()
        self._process.wait()
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

    def _receive(self, deadline: float) -> dict[str, str]:
        """Return the answer of the process.

        Raises
        ------
        PixelError
            If it does not answer in time, or has ended.
        """
        received = b""
        while not received.endswith(b"\n"):
            self._channel.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                part = self._channel.recv(4096)
            except TimeoutError:
                raise PixelError("codec_too_slow", f"{TIME_S:.0f} s") from None
            except OSError:
                part = b""
            if not part or len(received) > LONGEST_REQUEST:
                raise PixelError("codec_failed", f"the decoder has ended{self._signal()}")
            received += part
        answer: dict[str, str] = json.loads(received)
        return answer

    def _signal(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=1)
            if code < 0:
                return f" by {signal.Signals(-code).name}"
        return ""


def _environment() -> dict[str, str]:
    """Return the environment of a worker: this package, one thread for each library."""
    here = str(Path(__file__).parents[2])
    path = os.environ.get("PYTHONPATH")
    return os.environ | {
        "PYTHONPATH": f"{here}{os.pathsep}{path}" if path else here,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
        # Frames come and go: to give their memory back each time costs more than to decode some.
        "MALLOC_MMAP_THRESHOLD_": str(2 * BATCH),
        "MALLOC_TRIM_THRESHOLD_": str(4 * BATCH),
    }


class _Pool:
    """The workers of this process, one a core at most."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._timer: threading.Timer | None = None

    def take(self) -> _Worker:
        """Return a worker that is idle, or start one; wait while all are busy."""
        self._slots.acquire()
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                worker.end()
        try:
            return _Worker()
        except BaseException:
            self._slots.release()
            raise

    def give_back(self, worker: _Worker, healthy: bool) -> None:
        """Keep a worker for the next file, or end it."""
        # The memory of a large frame is not kept.
        if healthy and worker.size <= 4 * BATCH:
            worker.used = time.monotonic()
            with self._lock:
                self._idle.append(worker)
                self._watch()
        else:
            worker.end()
        self._slots.release()

    def end_idle(self, seconds: float = IDLE_S) -> None:
        """End the workers that had nothing to do for so long."""
        with self._lock:
            self._timer = None
            oldest = time.monotonic() - seconds
            ended = [worker for worker in self._idle if worker.used <= oldest]
            self._idle = [worker for worker in self._idle if worker.used > oldest]
            if self._idle:
                self._watch()
        for worker in ended:
            worker.end()

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(IDLE_S, self.end_idle)
            self._timer.daemon = True
            self._timer.start()


_pool = _Pool()


def _forget() -> None:
    """In a forked child: the workers are the parent's."""
    global _pool  # noqa: PLW0603 - a fork copies the pool, not its workers
    _pool = _Pool()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def _borrow() -> Iterator[_Worker]:
    worker = _pool.take()
    healthy = False
    try:
        yield worker
        healthy = True
    finally:
        _pool.give_back(worker, healthy)


def end_workers() -> None:
    """End the workers that are idle now."""
    _pool.end_idle(-1)


atexit.register(end_workers)
