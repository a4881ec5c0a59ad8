"""A new site is one that can be read, and is never written over what is there."""

from __future__ import annotations

import re
import stat
import subprocess

import pytest

from workbench.definition.new_site import TEMPLATE, create_site, suggest_id
from workbench.errors import SiteError
from workbench.site import read_site

VALUES = {"id": "north", "name": "Больница «Север»", "country": "KG", "kind": "real",
          "archive": "/data/exams.parquet"}  # fmt: skip


def test_what_is_written_is_a_site_with_these_values(tmp_path):
    site = create_site(tmp_path / "north", **VALUES)
    assert (site.id, site.name, site.country, site.kind) == (
        "north", "Больница «Север»", "KG", "real",
    )  # fmt: skip
    assert site.archive["path"] == "/data/exams.parquet"
    assert site.key.kind == "real"
    assert site.card.read_text().startswith("# Больница «Север»\n")
    assert stat.S_IMODE(site.folder.stat().st_mode) == 0o700


def test_every_commented_key_of_the_template_is_one_that_can_be_used(tmp_path):
    site = create_site(tmp_path / "north", **VALUES)
    text = re.sub(r"^#(?=[\[a-z])", "", site.path.read_text(), flags=re.MULTILINE)
    assert text.count("\n#") < site.path.read_text().count("\n#")
    site.path.write_text(text)
    whole = read_site(site.path)
    assert whole.tables
    assert whole.policy.threshold == 20
    assert whole.dask
    assert set(whole.cannot_answer["manufacturer"]) == {"en", "ru", "zh"}


def test_the_template_names_every_table_of_a_declaration():
    from workbench.site import SiteFile

    text = (TEMPLATE / "site.toml").read_text()
    named = set(re.findall(r"^#?\[+([a-z_]+)\]", text, re.MULTILINE))
    assert named == set(SiteFile.model_fields)


@pytest.mark.parametrize("name", ['"quoted" \\ back', "@archive@", "中文医院", "a # b", "'"])
def test_any_name_is_written_as_it_is(tmp_path, name):
    site = create_site(tmp_path / "north", **(VALUES | {"name": name}))
    assert site.name == name
    assert site.archive["path"] == VALUES["archive"]


@pytest.mark.parametrize("name", ['x"\n[key]', "a" * 600, "", "\x7f", "\u202e", "\ud800"])
def test_a_name_that_cannot_be_shown_is_refused(tmp_path, name):
    with pytest.raises(SiteError):
        create_site(tmp_path / "north", **(VALUES | {"name": name}))
    assert not (tmp_path / "north").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"id": "North"}, {"id": 'x"\n'}, {"kind": "secret"}, {"archive": ""},
     {"kind": "pretend", "archive": "/etc/passwd"}, {"kind": "public", "archive": "../x"}],
)  # fmt: skip
def test_a_value_that_no_site_can_have_writes_nothing(tmp_path, wrong):
    with pytest.raises(SiteError):
        create_site(tmp_path / "north", **(VALUES | wrong))
    assert not (tmp_path / "north").exists()


@pytest.mark.parametrize("file", ["site.toml", "card.md"])
def test_what_is_there_stays(tmp_path, file):
    (tmp_path / file).write_text("mine")
    with pytest.raises(SiteError, match="there is a file"):
        create_site(tmp_path, **VALUES)
    assert (tmp_path / file).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_a_dangling_link_is_not_written_through(tmp_path):
    (tmp_path / "site.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SiteError):
        create_site(tmp_path, **VALUES)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_with_data_can_become_a_site(tmp_path):
    (tmp_path / "exams.csv").write_text("data")
    create_site(tmp_path, **VALUES)
    assert (tmp_path / "exams.csv").read_text() == "data"


def test_a_real_site_is_not_written_into_a_repository(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    with pytest.raises(SiteError, match="git"):
        create_site(tmp_path / "sites" / "north", **VALUES)
    assert not (tmp_path / "sites").exists()
    create_site(tmp_path / "pretend", **(VALUES | {"kind": "pretend", "archive": "exams.csv"}))


def test_the_id_comes_from_the_folder(tmp_path):
    assert suggest_id(tmp_path / "Клиника 3 North") == "north"
    assert suggest_id(tmp_path / "Больница") == "my_hospital"
