import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from tests.training.pretend import CLASSES, SETTINGS, configuration, division
from workbench.errors import PipelineError
from workbench.training.checkpoint import NAME
from workbench.training.fitting import fit
from workbench.training.settings import Settings

SLOW = """
import sys, time
from dataclasses import replace
from tests.training.pretend import SETTINGS, configuration, division
from workbench.training.fitting import fit
def told(epoch):
    print(epoch.epoch, flush=True)
    time.sleep(float(sys.argv[2]))
fit(configuration(), "segmentation", division(), sys.argv[1], SETTINGS, told=told)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return fit(configuration(), "segmentation", division(), folder, SETTINGS)


def same(one, other):
    assert one.history == other.history
    assert one.best == other.best
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)


def test_a_network_learns_to_find_balls(whole):
    assert whole.history[-1].loss < whole.history[0].loss
    assert whole.history[whole.best - 1].validation > 0.8
    assert whole.exams == 6


def test_the_same_settings_give_the_same_network(whole, tmp_path):
    same(whole, fit(configuration(), "segmentation", division(), tmp_path, SETTINGS))


def test_another_seed_gives_another_network(whole, tmp_path):
    other = Settings(**SETTINGS.plain() | {"seed": 1, "patch": SETTINGS.patch})
    found = fit(configuration(), "segmentation", division(), tmp_path, other)
    assert found.history != whole.history


@pytest.mark.parametrize("after", [1, 3])
def test_killed_and_called_again_it_gives_the_same_losses(whole, tmp_path, after):
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path), "0.3"], cwd=ROOT, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    for line in child.stdout:
        if int(line) == after:
            time.sleep(0.35)  # in the middle of the next epoch, or about to begin it
            os.kill(child.pid, signal.SIGKILL)
            break
    child.wait()
    assert child.returncode == -signal.SIGKILL
    seen = []
    resumed = fit(configuration(), "segmentation", division(), tmp_path, SETTINGS, told=seen.append)
    same(whole, resumed)
    assert len(seen) < len(whole.history)


def test_a_finished_training_is_not_done_again(whole, tmp_path):
    fit(configuration(), "segmentation", division(), tmp_path, SETTINGS)
    seen = []
    again = fit(configuration(), "segmentation", division(), tmp_path, SETTINGS, told=seen.append)
    same(whole, again)
    assert seen == []


def test_it_ends_where_it_gets_no_better(tmp_path):
    still = Settings(epochs=9, steps=1, batch=1, patch=(8, 8, 8), rate=1e-12, patience=2, threads=1)
    found = fit(configuration(), "segmentation", division(), tmp_path, still)
    assert len(found.history) == 3
    assert found.best == 1


def test_a_network_tells_exams_apart(tmp_path):
    settings = Settings(epochs=6, steps=8, batch=4, patch=None, rate=1e-2, threads=1, seed=3)
    cases = division("classification", range(16), range(20, 30))
    found = fit(configuration(CLASSES), "classification", cases, tmp_path, settings)
    assert found.history[found.best - 1].validation > 0.9


def test_it_begins_where_it_is_told_to(whole, tmp_path):
    short = Settings(epochs=1, steps=1, batch=1, patch=(16, 16, 16), rate=1e-9, threads=1)
    cases = division()
    found = fit(configuration(), "segmentation", cases, tmp_path, short, start=whole.state)
    assert found.history[0].validation == pytest.approx(
        whole.history[whole.best - 1].validation, abs=0.05
    )
    assert all(np.allclose(found.state[n], whole.state[n], atol=1e-5) for n in whole.state)


def test_a_folder_of_another_training_is_refused(tmp_path):
    short = Settings(epochs=1, steps=1, batch=1, patch=(8, 8, 8), threads=1)
    fit(configuration(), "segmentation", division(), tmp_path, short)
    before = (tmp_path / NAME).read_bytes()
    other = division(training=range(4))
    with pytest.raises(PipelineError, match="another training"):
        fit(configuration(), "segmentation", other, tmp_path, short)
    assert (tmp_path / NAME).read_bytes() == before


def test_a_damaged_checkpoint_is_refused(tmp_path):
    short = Settings(epochs=1, steps=1, batch=1, patch=(8, 8, 8), threads=1)
    (tmp_path / NAME).write_bytes(b"nothing")
    with pytest.raises(PipelineError, match="cannot be read"):
        fit(configuration(), "segmentation", division(), tmp_path, short)


def test_a_training_that_comes_apart_says_so(tmp_path):
    wild = Settings(epochs=2, steps=4, batch=1, patch=(16, 16, 16), rate=1e30, threads=1)
    with pytest.raises(PipelineError, match="come apart"):
        fit(configuration(), "segmentation", division(), tmp_path, wild)


def test_validation_of_one_class_is_refused(tmp_path):
    settings = Settings(epochs=1, steps=1, batch=2, patch=None, threads=1)
    cases = division("classification", range(4), (20, 22))
    with pytest.raises(PipelineError, match="one class"):
        fit(configuration(CLASSES), "classification", cases, tmp_path, settings)
