import json
from dataclasses import replace

import pytest

from tests.training.pretend import SETTINGS, SIDE, TREE, configuration, division, draw
from workbench.errors import PipelineError
from workbench.pipelines.bundle import read_bundle
from workbench.pipelines.inference import Limits, load_model
from workbench.pipelines.place import choose_place
from workbench.pipelines.requirement import Requirement
from workbench.training.bundle_writing import Card, write_bundle
from workbench.training.fitting import fit

CARD = Card(
    name="Balls", version="0.1.0", task="Finds balls", intended_use="Tests of this library",
    limits=["Balls only"], sites=["Pretend"], channels={"0": "background", "1": "ball"},
    kind="segmentation", authors="The Workbench",
)  # fmt: skip
POST = TREE | {
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        ],
    }
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    return fit(configuration(POST), "segmentation", division(), folder, SETTINGS)


def test_anybody_reads_the_bundle_and_gets_the_same_answer(fitted, tmp_path):
    asked = Requirement(modality=("CT",), slices=(10, None))
    bundle = write_bundle(
        fitted, configuration(POST), CARD, tmp_path / "b", requirement=asked,
        measured={"Dice at hospitals that it has not seen": 0.81},
    )  # fmt: skip
    assert read_bundle(tmp_path / "b").digest == bundle.digest
    assert not bundle.trusted
    assert bundle.requirement.slices == (10, None)
    volume, mask = draw(21)
    found = load_model(bundle, choose_place("cpu")).apply(volume, Limits(60, 1e9))
    both = ((found.mask > 0) & (mask.values > 0)).sum()
    assert found.mask.shape == (SIDE,) * 3
    assert 2 * both / ((found.mask > 0).sum() + (mask.values > 0).sum()) > 0.7


def test_the_bundle_says_what_it_is_for_and_what_it_learned_from(fitted, tmp_path):
    write_bundle(fitted, configuration(POST), CARD, tmp_path / "b", measured={"Dice away": 0.81})
    told = json.loads((tmp_path / "b/configs/metadata.json").read_text())
    assert told["data_fingerprint"] == fitted.fingerprint
    assert (told["intended_use"], told["limits"]) == (CARD.intended_use, ["Balls only"])
    assert told["training_sites"] == ["Pretend"]
    card = (tmp_path / "b/docs/README.md").read_text()
    for text in ("Balls only", "Tests of this library", "Dice away: 0.810", fitted.fingerprint):
        assert text in card
    assert "1.2." not in card + json.dumps(told)  # no exam is named


@pytest.mark.parametrize("name", ["task", "intended_use", "limits", "sites", "authors"])
def test_a_card_that_is_not_filled_in_is_refused(fitted, tmp_path, name):
    empty = replace(CARD, **{name: "" if isinstance(getattr(CARD, name), str) else []})
    with pytest.raises(PipelineError, match="not filled in"):
        write_bundle(fitted, configuration(POST), empty, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_bundle_is_never_written_over(fitted, tmp_path):
    write_bundle(fitted, configuration(POST), CARD, tmp_path / "b")
    with pytest.raises(PipelineError, match="folder is there"):
        write_bundle(fitted, configuration(POST), CARD, tmp_path / "b")
