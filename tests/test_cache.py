"""Keys: the same things give the same key, and each changed part is named in words."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toy import FIRST, write_notebook, write_toy_site, write_toy_study
from workbench import cache
from workbench.cache import (
    StepKey,
    digest_path,
    digest_value,
    environment_parts,
    installed_packages,
    step_parts,
)
from workbench.errors import DefinitionError
from workbench.site import read_site
from workbench.study import read_study

PARTS = st.dictionaries(
    st.sampled_from(["notebook", "parameters", "upstream", "inputs"]),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4),
)


@given(PARTS, PARTS)
def test_keys_are_equal_exactly_when_nothing_changed(one, other):
    new, old = StepKey(one), StepKey(other)
    same_values = {k: v for k, v in one.items() if v} == {k: v for k, v in other.items() if v}
    assert (not new.changes(other)) == same_values
    assert (new.digest == old.digest) == (one == other)


@given(PARTS)
def test_order_does_not_matter(parts):
    turned = {k: dict(reversed(v.items())) for k, v in reversed(parts.items())}
    assert StepKey(parts).digest == StepKey(turned).digest


def test_digest_of_a_folder_holds_names_and_bytes(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.txt").write_text("1")
    first = digest_path(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    assert digest_path(tmp_path / "c") == first
    (tmp_path / "c" / "b" / "x.txt").rename(tmp_path / "c" / "b" / "y.txt")
    assert digest_path(tmp_path / "c") != first


@pytest.fixture
def toy(tmp_path):
    return write_toy_study(tmp_path / "studies"), write_toy_site(tmp_path / "sites")


def key_of(toy, sample=None, **parameters):
    study, site = read_study(toy[0]), read_site(toy[1])
    values = study.parameter_values(parameters)
    return StepKey(step_parts(study, site, study.step("first"), values, sample))


def test_a_key_is_the_same_again_and_holds_no_path(toy):
    key = key_of(toy)
    assert key.digest == key_of(toy).digest
    assert str(toy[0].parent) not in json.dumps(key.parts)
    assert "exams.csv" not in json.dumps(key.parts)


def change_notebook(toy):
    write_notebook(toy[0] / "01_first.ipynb", "How many rows?", *FIRST[:-1], FIRST[-1] + " + 'x'")


def change_codelist(toy):
    with (toy[0] / "study.toml").open("a") as file:
        file.write('\n[dimensions.age]\nlabel = { en = "Age" }\nedges = [0, 5]\nunit = "a"\n')


def change_step(toy):
    path = toy[0] / "study.toml"
    path.write_text(path.read_text().replace('name = "numbers"', 'name = "counted"'))


def change_site(toy):
    toy[1].write_text(toy[1].read_text() + "\n[policy]\nthreshold = 20\n")


def change_table(toy):
    with (toy[1].parent / "exams.csv").open("a") as file:
        file.write("1.2.3.9,P9\n")


def touch_table(toy):
    os.utime(toy[1].parent / "exams.csv", (1, 1))


def add_table(toy):
    (toy[0] / "tables").mkdir()
    (toy[0] / "tables" / "factors.csv").write_text("1")


def swap_table(toy):
    """Overwrite the site's table with one of its size, and give it the old time."""
    path = toy[1].parent / "exams.csv"
    before = path.stat()
    path.write_text(path.read_text().replace("P1", "P9"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (add_table, "study files beside the notebooks: new"),
        (swap_table, "input of the site archive.path: 1:"),
        (change_notebook, "notebook code cell 7: changed"),
        (change_codelist, "study dimension age: new"),
        (change_step, "study step first: changed"),
        (change_site, "site declaration: changed"),
        (change_table, "input of the site archive.path: 1:"),
        (touch_table, "input of the site archive.path: 1:"),
    ],
)
def test_each_change_is_named(toy, change, words):
    before = key_of(toy)
    change(toy)
    after = key_of(toy)
    assert after.digest != before.digest
    changes = after.changes(before.parts)
    assert len(changes) == 1
    assert changes[0].startswith(words)


def test_parameters_and_sample_are_named(toy):
    before = key_of(toy)
    assert key_of(toy, factor=4).changes(before.parts) == ["parameter factor: 3 -> 4"]
    assert key_of(toy, sample=9).changes(before.parts) == ["input of the site sample: new"]


def test_files_that_a_notebook_may_read_are_a_part_and_others_are_not(toy):
    first = key_of(toy)
    for name in ("sites.toml", "PROTOCOL.md", ".hidden", "old.ipynb"):
        (toy[0] / name).write_text("x")
    for name in ("releases/north", "runs", ".ipynb_checkpoints"):
        (toy[0] / name).mkdir(parents=True)
        (toy[0] / name / "x.csv").write_text("x")
    assert key_of(toy).digest == first.digest
    (toy[0] / "below").mkdir()
    (toy[0] / "below" / "x.csv").write_text("x")
    second = key_of(toy)
    (toy[0] / "below" / "x.csv").write_text("y")
    assert len({first.digest, second.digest, key_of(toy).digest}) == 3


@pytest.mark.parametrize("name", ["x.csv", "below"])
def test_a_link_out_of_the_study_is_refused(toy, name):
    (toy[0] / name).symlink_to(toy[1] if "." in name else toy[1].parent)
    with pytest.raises(DefinitionError, match=f"{name!r} leads out"):
        key_of(toy)


def test_too_much_beside_the_notebooks_is_refused(toy):
    with (toy[0] / "x.csv").open("wb") as file:
        file.truncate(50_000_001)
    with pytest.raises(DefinitionError, match="50,000,001 bytes lie beside"):
        key_of(toy)


def test_text_of_a_notebook_is_no_part(toy):
    before = key_of(toy)
    write_notebook(toy[0] / "01_first.ipynb", "How many rows are there?", *FIRST)
    assert key_of(toy).digest == before.digest


def test_workbench_packages_and_python_are_parts(monkeypatch):
    parts = environment_parts()
    assert set(parts) == {"workbench", "lock", "python"}
    newer = dict(parts["lock"]) | {"numpy": "99.0"}
    change = StepKey({**parts, "lock": newer}).changes(parts)
    assert change == [f"package numpy: {parts['lock']['numpy']} -> 99.0"]
    other = {"workbench": {"source": digest_value("another source")}}
    assert StepKey({**parts, **other}).changes(parts) == ["workbench source: changed"]


def test_installed_versions_count_not_locked_ones(tmp_path, monkeypatch):
    (tmp_path / "Some_Thing-1.2.dist-info").mkdir()
    (tmp_path / "other-3.0.dist-info").mkdir()
    lock = tmp_path / "requirements.lock"
    lock.write_text("some-thing==1.0\n")
    monkeypatch.setattr(cache.sys, "path", [str(tmp_path)])
    monkeypatch.setattr(cache, "LOCK_FILE", lock)
    assert installed_packages.__wrapped__() == {"some-thing": "1.2"}
    lock.unlink()
    assert installed_packages.__wrapped__() == {"other": "3.0", "some-thing": "1.2"}


def test_the_digest_of_the_workbench_follows_its_source(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    first = cache.workbench_digest.__wrapped__()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("")
    assert cache.workbench_digest.__wrapped__() == first
    (tmp_path / "a.py").write_text("x = 2\n")
    assert cache.workbench_digest.__wrapped__() != first
