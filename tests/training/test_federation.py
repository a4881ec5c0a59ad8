from dataclasses import replace

import pytest
import torch

from tests.training.pretend import SETTINGS, configuration, division
from workbench.errors import PipelineError
from workbench.training.federation import Update, average, federate
from workbench.training.fitting import fit


def update(site, value, exams=10, **more):
    state = {"w": torch.full((2, 3), float(value)), "n": torch.tensor(int(value))} | more
    return Update(site, state, exams)


def test_the_mean_weighs_each_site_by_its_exams():
    found = average([update("b", 4, 30), update("a", 0, 10)])
    assert torch.equal(found["w"], torch.full((2, 3), 3.0))
    assert found["n"] == 4


def test_the_order_of_the_sites_does_not_matter():
    torch.manual_seed(0)
    held = [Update(s, {"w": torch.randn(50)}, n) for s, n in (("a", 7), ("b", 11), ("c", 3))]
    assert torch.equal(average(held)["w"], average(held[::-1])["w"])


def test_one_site_is_itself():
    torch.manual_seed(0)
    state = {"w": torch.randn(50)}
    assert torch.equal(average([Update("a", state, 3)])["w"], state["w"])


@pytest.mark.parametrize(
    ("updates", "what"),
    [
        ([], "No site"),
        ([update("a", 1), update("b", 1, 0)], "no exam"),
        ([update("a", 1), update("b", 1, w=torch.zeros(3))], "another network"),
        ([update("a", 1), update("b", 1, more=torch.zeros(3))], "another network"),
        ([update("a", 1), update("b", 1, w=torch.full((2, 3), torch.nan))],
         "no numbers"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused(updates, what):
    with pytest.raises(PipelineError, match=what):
        average(updates)


def test_rounds_of_two_sites_learn_what_both_know(tmp_path):
    parts = {"north": (range(4), range(10, 12)), "south": (range(4, 8), range(12, 14))}
    begun = replace(SETTINGS, epochs=1, patience=1)
    start = fit(
        configuration(), "segmentation", division(), tmp_path / "start",
        replace(begun, steps=1, rate=1e-9),
    ).state  # fmt: skip

    def trains(site):
        def train(state, number):
            found = fit(
                configuration(), "segmentation", division("segmentation", *parts[site]),
                tmp_path / f"{site}{number}", replace(begun, seed=number), start=state,
            )  # fmt: skip
            return Update(site, found.state, found.exams)

        return train

    seen = []
    final = federate(start, {s: trains(s) for s in parts}, 5, told=lambda n, _: seen.append(n))
    assert seen == [1, 2, 3, 4, 5]
    short = replace(begun, steps=1, rate=1e-9)
    before, after = (
        fit(configuration(), "segmentation", division(validation=range(20, 26)),
            tmp_path / name, short, start=state).history[0].validation
        for name, state in (("before", start), ("after", final))
    )  # fmt: skip
    assert after > before + 0.2
    assert after > 0.7
