"""Pooling is done by one process at a time."""

import datetime as dt
import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.released import STUDY, write_study
from tests.toy import write_notebook
from workbench.errors import ExecutionError, PoolingError
from workbench.exchange.places import releases_of
from workbench.pooled.table import Used
from workbench.running.coordination import compare_pooled, read_earlier, run_pool


def pooling(folder, code):
    """Return a study whose pooling notebook holds this code."""
    study = write_study(folder, STUDY + '\n[pool]\nnotebook = "90_pool.ipynb"\n')
    write_notebook(folder / "90_pool.ipynb", "Together", code)
    return study


@pytest.mark.timeout(90)
def test_a_second_pooling_names_the_first_within_two_seconds(tmp_path):
    study = pooling(tmp_path / "study", "import time\ntime.sleep(60)")
    code = (
        "import sys; from workbench.study import read_study\n"
        "from workbench.running.coordination import run_pool\n"
        "run_pool(read_study(sys.argv[1]))"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(study.folder)], stderr=subprocess.DEVNULL
    )
    lock = releases_of(study) / ".pooling" / "lock"
    while not (lock.exists() and lock.read_text()):
        assert first.poll() is None
        time.sleep(0.05)
    assert json.loads(lock.read_text())["pid"] == first.pid
    start = time.monotonic()
    with pytest.raises(ExecutionError) as refused:
        run_pool(study)
    assert time.monotonic() - start < 2
    assert f"process {first.pid} on {socket.gethostname()}" in str(refused.value)
    first.send_signal(signal.SIGINT)
    first.wait(30)


@pytest.mark.timeout(60)
def test_a_notebook_that_stops_is_named_and_lets_go(tmp_path):
    study = pooling(tmp_path / "study", "raise ValueError")
    for _ in range(2):
        with pytest.raises(PoolingError, match="ValueError in cell"):
            run_pool(study)
    assert (releases_of(study) / ".pooling" / ".gitignore").read_text() == "*\n"


def test_a_study_without_a_pooling_notebook(tmp_path):
    with pytest.raises(PoolingError, match="does not pool"):
        run_pool(write_study(tmp_path / "study"))


def used(**releases):
    rest = {"kind": "public", "counter": 1, "created": dt.date(2026, 1, 1), "manifest": "0" * 64,
            "run": "0" * 12, "verdict": "integrity"}  # fmt: skip
    return tuple(
        Used(release=release * 16, site=site, name=site, **rest)
        for site, release in releases.items()
    )


def test_another_pooling_is_compared_with_the_one_it_replaces():
    before = used(north="a", south="b", west="c")
    assert compare_pooled((), before) == []
    assert compare_pooled(before, before[::-1]) == []
    assert compare_pooled(before, used(north="a", south="d", east="e")) == [
        "Replacing the pooled result: 3 releases before, 3 now",
        "  no longer pooled: west",
        "  pooled for the first time: east",
        "  another release: south",
    ]


def test_a_pooled_result_that_cannot_be_read_is_none(tmp_path):
    study = pooling(tmp_path / "study", "pass")
    assert read_earlier(study) == ()
    (releases_of(study) / "pooled").mkdir(parents=True)
    (releases_of(study) / "pooled" / "pooled.json").write_text("{")
    assert read_earlier(study) == ()
