"""Where releases, pooled tables and the list of received releases lie."""

import json

from tests.conftest import ROOT
from tests.released import write_study
from workbench.exchange.places import pooled_of, received_of, release_of, releases_of
from workbench.release import find_releases


def test_all_lie_beside_each_other_and_only_releases_are_found(tmp_path):
    study = write_study(tmp_path / "study")
    assert find_releases(study) == ()
    places = [pooled_of(study), received_of(study), release_of(study, "north")]
    assert {place.parent for place in places} == {releases_of(study)}
    for folder in (pooled_of(study), release_of(study, "north"), releases_of(study) / ".pooling"):
        folder.mkdir(parents=True)
    received_of(study).write_text("")
    assert find_releases(study) == (release_of(study, "north"),)


def test_the_notebooks_that_pool_name_the_same_places(tmp_path):
    study = write_study(tmp_path / "study")
    places = [str(p(study).relative_to(study.folder)) for p in (pooled_of, received_of)]
    assert places == ["releases/pooled", "releases/received.jsonl"]
    for folder in ("studies/imaging_service", "workbench/resources/template"):
        cells = json.loads((ROOT / folder / "90_pool.ipynb").read_text())["cells"]
        code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        assert 'output_dir = "releases/pooled"' in code
        assert 'Path("releases") / "received.jsonl"' in code or "received_of(study)" in code
