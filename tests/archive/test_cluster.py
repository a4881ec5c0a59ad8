"""Clusters: threads, processes and a scheduler elsewhere compute the same."""

import operator
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from workbench.archive.cluster import Workers, open_cluster
from workbench.errors import SiteError

NEGATE = operator.neg


def test_threads_keep_the_order():
    assert Workers(threads=2).map(NEGATE, range(50)) == [-i for i in range(50)]
    assert Workers().map(NEGATE, []) == []


def test_threads_do_not_import_distributed():
    code = (
        "import sys; from workbench.archive.cluster import Workers; Workers().map(abs, [-1]);"
        "sys.exit('distributed' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_task_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        Workers().map(lambda x: 1 / x, [0])


def test_without_a_declaration_threads_compute():
    for dask in ({}, {"workers": 2, "processes": False}):
        with open_cluster(SimpleNamespace(dask=dask)) as workers:
            assert workers.client is None
            assert workers.threads == dask.get("workers")
    with open_cluster(None) as workers:
        assert workers == Workers()


def test_two_processes_compute_the_same():
    with open_cluster(SimpleNamespace(dask={"workers": 2, "processes": True})) as workers:
        assert len(workers.client.scheduler_info()["workers"]) == 2
        assert workers.map(NEGATE, range(20)) == [-i for i in range(20)]


def test_processes_keep_the_memory_that_arrays_ask_for_again():
    with open_cluster(SimpleNamespace(dask={"workers": 1, "processes": True})) as workers:
        found = workers.map(os.environ.get, ["MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS"])
    assert found == [None, "1"]


def test_a_scheduler_that_does_not_answer_is_refused(monkeypatch):
    monkeypatch.setattr("workbench.archive.cluster.ANSWER_S", 1)
    start = time.monotonic()
    with (
        pytest.raises(SiteError, match="does not answer"),
        open_cluster(SimpleNamespace(dask={"scheduler": "tcp://127.0.0.1:9"})),
    ):
        pass
    assert time.monotonic() - start < 20
