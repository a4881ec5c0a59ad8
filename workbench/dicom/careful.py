"""Careful: doubtful files read in a process apart, under a limit of memory and of time.

What a stranger wrote may keep pydicom busy for hours, take all memory, or end the process that
reads it. Here it costs one file: that is refused, and the next is read by a new process.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from workbench.dicom.header import NO_MEMORY, Stored, check_start, read_stored
from workbench.dicom.refusals import UnreadableFile
from workbench.errors import ExecutionError
from workbench.running.limited import EndedError, LimitedProcess, Pool, TooSlowError

TIME_S = 20.0
"""Seconds that reading one file may take."""
AT_ONCE = 256
"""Files of one request."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_apart(
    root: str, paths: Sequence[str], *, identified: bool = True, seconds: float | None = None
) -> Iterator[Stored | UnreadableFile]:
    """Yield what the header of each file stores, or why it cannot be read.

    Parameters
    ----------
    root
        Folder that the paths start from.
    paths
        Paths below it; a link is not followed.
    identified
        Whether to refuse a file that does not say which exam, series and instance it is.
    seconds
        What one file may take (s); `TIME_S` by default.

    Yields
    ------
    Stored or UnreadableFile
        In the order of `paths`.

    Raises
    ------
    ExecutionError
        If no process can be started.
    """
    at = 0
    while at < len(paths):
        try:  # most of what is no DICOM is seen at once
            with open_file(str(Path(root, paths[at]))) as file:
                check_start(file)
        except UnreadableFile as error:
            yield error
            at += 1
            continue
        for read in _read_some(root, paths[at : at + AT_ONCE], identified, seconds or TIME_S):
            yield read
            at += 1


def _read_some(
    root: str, paths: Sequence[str], identified: bool, seconds: float
) -> Iterator[Stored | UnreadableFile]:
    """Yield what the files store, up to the first one after which the process is another."""
    request = {"root": root, "paths": paths, "identified": identified}
    with closing(ask("workbench.dicom.careful.read_here", request, seconds)) as answers:
        try:
            for answer in answers:
                yield parse_answer(answer)
                if takes_memory(answer):
                    return
        except UnreadableFile as error:
            yield error


def read_here(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Answer what files store; for the process apart."""
    for path in request["paths"]:
        try:
            with open_file(str(Path(request["root"], path))) as file:
                yield asdict(read_stored(file, identified=request["identified"]))
        except UnreadableFile as error:
            yield answer_refusal(error)


@contextmanager
def open_file(path: str) -> Iterator[BinaryIO]:
    """Open a file, if it is one and no link.

    Raises
    ------
    UnreadableFile
        If it cannot be opened.
    """
    try:
        file = open(path, "rb", opener=lambda name, _: os.open(name, _OPEN))  # noqa: SIM115
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno or 0) if isinstance(error, OSError) else "no such name"
        raise UnreadableFile("unreadable", words) from None
    with file:
        yield file


def answer_refusal(error: UnreadableFile) -> dict[str, Any]:
    """Return the answer that stands for a refusal."""
    return {"reason": error.reason, "detail": error.detail}


def parse_answer(answer: dict[str, Any]) -> Stored | UnreadableFile:
    """Return what an answer says that a file stores, or why it is refused."""
    return UnreadableFile(**answer) if "reason" in answer else Stored(**answer)


def takes_memory(answer: dict[str, Any]) -> bool:
    """Return whether the process may have too little memory for the next file."""
    return answer.get("detail") == NO_MEMORY


def ask(
    reader: str, request: dict[str, Any], seconds: float, until: float = math.inf
) -> Generator[dict[str, Any]]:
    """Yield the answers that a function gives in the process apart.

    It is ended where the answers are not read to their end.

    Parameters
    ----------
    reader
        Full name of a function of a module that takes the request and yields answers.
    request
        What it shall read; anything that JSON can say.
    seconds
        What one answer may take (s).
    until
        When the last must be there (s, of `time.monotonic`).

    Raises
    ------
    UnreadableFile
        `too_slow` if an answer takes longer; `too_big` if the process ended before it.
    ExecutionError
        If no process can be started.
    """
    with _pool.borrow() as process:
        try:
            process.send({"reader": reader, **request}, seconds)
            while True:
                answer = process.receive(min(time.monotonic() + seconds, until))
                if not answer:
                    return
                yield answer
        except TooSlowError:
            raise UnreadableFile("too_slow", f"more than {seconds:g} s") from None
        except EndedError:
            raise UnreadableFile("too_big", "reading it ended the process") from None


def _start() -> LimitedProcess:
    try:
        return LimitedProcess("workbench.dicom.careful_worker")
    except (TooSlowError, EndedError) as error:
        raise ExecutionError(
            "Doubtful files cannot be read: the process that reads them does not start",
            where=f"workbench.dicom.careful_worker, ended{error}",
            todo="Look at the limits of memory and of processes of this machine",
        ) from None


_pool = Pool(_start)
