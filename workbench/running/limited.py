"""Limited: processes that do what nobody trusts, under a limit of memory and of time.

One that crashes, hangs or swells is replaced and takes nothing with it: what it was given last is
refused, and others go on. Processes start when they are needed, one a core at most, and end when
nothing was asked for a while, or when this process is gone.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

MEMORY = 1536 * 2**20
"""Address space of a process (bytes): 1.5 GiB."""
START_S = 60.0
"""Seconds a process may take to start: a busy machine is no fault of a file."""
IDLE_S = 30.0
"""Seconds after which a process ends that is not asked anything."""
LONGEST = 64 * 2**20
"""Bytes of one request or answer."""


class TooSlowError(Exception):
    """A process has not answered in time."""


class EndedError(Exception):
    """A process has ended before it answered; the message says by which signal, if by one."""


class LimitedProcess:
    """Hold a process that answers one request at a time, each with any number of answers.

    Requests and answers are lines of JSON on a socket; the last answer to a request is empty.

    Parameters
    ----------
    module
        What it runs as a program, with the descriptor of its socket as first argument; it calls
        `serve`.
    arguments
        More arguments.
    descriptors
        Descriptors of this process that it has too.
    environment
        Added to the variables of this process.

    Raises
    ------
    TooSlowError, EndedError
        If it does not start.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.used = time.monotonic()
        self._received = bytearray()
        self._channel, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", module, str(theirs.fileno()), *arguments],
                    pass_fds=[theirs.fileno(), *descriptors],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=_environment() | dict(environment or {}),
                )
            except OSError:
                self._channel.close()
                raise EndedError from None
        try:
            self.receive(time.monotonic() + START_S)
        except (TooSlowError, EndedError):
            self.end()
            raise

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def send(self, request: Mapping[str, Any], seconds: float) -> None:
        """Send a request, to which each answer may take so many seconds.

        Raises
        ------
        TooSlowError, EndedError
            If it is not taken.
        """
        line = json.dumps({"seconds": seconds, **request}).encode() + b"\n"
        self._channel.settimeout(max(0.001, seconds))
        try:
            self._channel.sendall(line)
        except TimeoutError:
            raise TooSlowError from None
        except OSError:
            raise EndedError(self._signal()) from None

    def receive(self, deadline: float) -> dict[str, Any]:
        """Return the next answer; an empty one is the last.

        Parameters
        ----------
        deadline
            When it must be there at the latest (s, of `time.monotonic`).

        Raises
        ------
        TooSlowError
            If it is not.
        EndedError
            If the process has ended, or says more than it may.
        """
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            self._channel.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                part = self._channel.recv(2**18)
            except TimeoutError:
                raise TooSlowError from None
            except OSError:
                part = b""
            if not part or searched > LONGEST:
                raise EndedError(self._signal())
            self._received += part
        answer: dict[str, Any] = json.loads(self._received[:end])
        del self._received[: end + 1]
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        self._channel.close()
        self._process.kill()
        # One that waits for a disk that does not answer ends when it does.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)

    def _signal(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=1)
            if code < 0:
                return f" by {signal.Signals(-code).name}"
        return ""


def _environment() -> dict[str, str]:
    """Return the environment of a process: this package, one thread for each library."""
    here = str(Path(__file__).parents[2])
    path = os.environ.get("PYTHONPATH")
    return os.environ | {
        "PYTHONPATH": f"{here}{os.pathsep}{path}" if path else here,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }


Process = TypeVar("Process", bound=LimitedProcess)


class Pool(Generic[Process]):
    """Hold the processes of one kind, one a core at most.

    Parameters
    ----------
    start
        Starts one.
    """

    def __init__(self, start: Callable[[], Process]) -> None:
        self._start = start
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.end_idle, -1)

    def _forget(self) -> None:
        """Hold none: in a forked child they are the parent's."""
        self._slots = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._timer: threading.Timer | None = None

    def take(self) -> Process:
        """Return a process that is idle, or start one; wait while all are busy."""
        self._slots.acquire()
        try:
            with self._lock:
                while self._idle:
                    process = self._idle.pop()
                    if process.alive:
                        return process
                    process.end()
            return self._start()
        except BaseException:
            self._slots.release()
            raise

    def give_back(self, process: Process, *, healthy: bool) -> None:
        """Keep a process for the next request, or end it."""
        try:
            if healthy:
                process.used = time.monotonic()
                with self._lock:
                    self._idle.append(process)
                    self._watch()
            else:
                process.end()
        finally:
            self._slots.release()

    @contextmanager
    def borrow(self, keep: Callable[[Process], bool] = lambda _: True) -> Iterator[Process]:
        """Lend a process; it is ended if anything was raised, or if `keep` says no."""
        process = self.take()
        healthy = False
        try:
            yield process
            healthy = keep(process)
        finally:
            self.give_back(process, healthy=healthy)

    def end_idle(self, seconds: float = IDLE_S) -> None:
        """End the processes that had nothing to do for so long."""
        with self._lock:
            self._timer = None
            oldest = time.monotonic() - seconds
            ended = [process for process in self._idle if process.used <= oldest]
            self._idle = [process for process in self._idle if process.used > oldest]
            if self._idle:
                self._watch()
        for process in ended:
            process.end()

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(IDLE_S, self.end_idle)
            self._timer.daemon = True
            self._timer.start()


def limit() -> None:
    """Limit the memory of this process; called first, before anything large is imported."""
    # Who interrupts a notebook means the notebook.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def serve(descriptor: int, answers: Callable[[dict[str, Any]], Iterable[dict[str, Any]]]) -> None:
    """Answer requests until the other side closes, or nothing is asked for long.

    Parameters
    ----------
    descriptor
        Socket of the requests.
    answers
        Gives the answers to one request, none of them empty.
    """
    channel = socket.socket(fileno=descriptor)
    channel.settimeout(4 * IDLE_S)  # should the other side forget to end this
    channel.sendall(b"{}\n")
    with channel.makefile("rb") as lines:
        while True:
            try:
                line = lines.readline(LONGEST)
            except TimeoutError:
                return
            if not line:
                return
            request = json.loads(line)
            # Should the other side be gone, the kernel ends this if nothing else does.
            seconds = request["seconds"] + 1
            signal.setitimer(signal.ITIMER_REAL, seconds)
            for answer in answers(request):
                signal.setitimer(signal.ITIMER_REAL, 0)
                channel.sendall(json.dumps(answer).encode() + b"\n")
                signal.setitimer(signal.ITIMER_REAL, seconds)
            signal.setitimer(signal.ITIMER_REAL, 0)
            channel.sendall(b"{}\n")
