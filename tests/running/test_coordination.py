"""Pooling is done by one process at a time."""

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
from workbench.running.coordination import run_pool


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
