"""Reproduced: written once, read strictly, and only for the definition that was run."""

import datetime as dt

import pytest

from tests.publish.releases import write_study
from workbench.errors import ReleaseError
from workbench.exchange.reproduced import Reproduced, read_reproduced, write_reproduced
from workbench.exchange.verification import find_releases, verify
from workbench.reproduction import Moved, Reproduction, record
from workbench.study import read_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return read_study(write_study(tmp_path_factory.mktemp("reproduced") / "study"))


def made(digest):
    return Reproduced(
        date=dt.date(2026, 1, 2),
        study=digest,
        compared={"north": 12},
        moved=0,
        manifests={"north": "0" * 64},
    )


def test_what_is_written_is_read_and_is_no_release(study):
    before = find_releases(study)
    write_reproduced(made(study.digest), study)
    assert read_reproduced(study) == made(study.digest)
    assert find_releases(study) == before


def test_of_another_definition_nothing_is_known(study):
    write_reproduced(made("1" * 64), study)
    assert read_reproduced(study) is None


def test_what_nobody_wrote_is_refused(study):
    path = study.folder / "releases" / "reproduced.json"
    write_reproduced(made(study.digest), study)
    path.write_text(path.read_text().replace('"moved":0', '"moved":-1'))
    with pytest.raises(ReleaseError, match="cannot be read"):
        read_reproduced(study)
    path.unlink()
    assert read_reproduced(study) is None


def test_what_a_reproduction_found_is_told_of_the_releases_it_compared(study):
    moved = Moved("north", "devices", "manufacturer=ALPHA", "exams", 10.0, 15.0, 0.0)
    told = record(Reproduction((moved,), {}, {"north": 7, "pooled": 3}), study)
    assert read_reproduced(study) == told
    assert (told.moved, told.compared) == (1, {"north": 7, "pooled": 3})
    assert told.manifests == {"north": verify(study.folder / "releases" / "north", study).digest}
