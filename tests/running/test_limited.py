"""A process answers within its limits of memory and of time, or is ended."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from tests.test_conventions import ROOT
from workbench.running.limited import EndedError, LimitedProcess, Pool, TooSlowError, limit, serve


def answers(request):
    """Do what is asked, and answer as often."""
    for n in range(request["answers"]):
        yield {"n": n, "text": "é" * request.get("length", 0)}
        time.sleep(request.get("pause", 0))
    if request.get("hang"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    if request.get("swell"):
        _ = bytearray(2**31)
    if request.get("die"):
        os.kill(os.getpid(), signal.SIGSEGV)


def start():
    return LimitedProcess("tests.running.test_limited")


@pytest.fixture
def process():
    process = start()
    yield process
    process.end()


def ask(process, seconds=20, **request):
    process.send(request, seconds)
    found = []
    while answer := process.receive(time.monotonic() + seconds):
        found.append(answer)
    return found


def test_every_answer_arrives_however_many_and_long(process):
    assert ask(process, answers=0) == []
    assert [a["n"] for a in ask(process, answers=20_000)] == list(range(20_000))
    assert [len(a["text"]) for a in ask(process, answers=3, length=10**6)] == [10**6] * 3


def test_the_limit_is_of_one_answer_and_not_of_all(process):
    assert len(ask(process, 2.0, answers=8, pause=0.4)) == 8


@pytest.mark.parametrize(
    ("request_", "error"),
    [({"hang": 1}, TooSlowError), ({"swell": 1}, EndedError), ({"die": 1}, EndedError)],
)
def test_what_hangs_swells_or_dies_is_told(process, request_, error):
    start = time.monotonic()
    with pytest.raises(error) as caught:
        ask(process, 1.5, answers=2, **request_)
    assert time.monotonic() - start < 20
    assert str(caught.value) == (" by SIGSEGV" if "die" in request_ else "")
    process.end()
    assert not process.alive


def test_a_process_that_hangs_ends_without_who_asked(process):
    process.send({"answers": 0, "hang": 1}, 0.5)
    assert process._process.wait(20) == -signal.SIGALRM


def test_a_lower_limit_of_the_machine_holds():
    code = "from workbench.running.limited import limit; import resource as r; limit()"
    code += "; print(r.getrlimit(r.RLIMIT_AS))"
    low = 2**30
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (low, low)),
    )  # fmt: skip
    assert done.stdout.strip() == str((low, low))


def test_a_pool_keeps_what_is_healthy():
    pool = Pool(start)
    with pool.borrow() as first:
        ask(first, answers=1)
    with pool.borrow() as second:
        assert second is first
    with pytest.raises(ValueError, match="mine"), pool.borrow():
        raise ValueError("mine")
    assert not first.alive
    with pool.borrow(keep=lambda _: False) as third:
        assert third is not first
    assert not third.alive
    assert pool._idle == []


if __name__ == "__main__":
    limit()
    serve(int(sys.argv[1]), answers)
