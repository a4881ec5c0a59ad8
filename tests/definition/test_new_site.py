"""A new site is one that can be read, and is never written over what is there."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess

import certifi
import pytest

from workbench.definition.archive_table import KINDS, OWN
from workbench.definition.new_site import (
    EXAMPLES,
    TEMPLATE,
    create_site,
    name_archive,
    suggest_id,
)
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


def uncomment(text):
    """Return a declaration with every key in comments written, but for other kinds of archive."""
    head, _, rest = text.partition("# Other archives:")
    others, mark, tail = rest.partition("# Clinical tables")
    return re.sub(r"^#(?=[\[a-z])", "", head + mark + tail, flags=re.MULTILINE), others


PLACES = {
    "folder": "/srv/dicom",
    "table": "/data/exams.parquet",
    "dicomweb": "https://pacs.example/dicom-web",
    "dimse": "dimse://PACS@pacs.example:104",
}


@pytest.mark.parametrize("kind", PLACES)
def test_every_commented_key_of_the_template_is_one_that_can_be_used(tmp_path, kind):
    site = create_site(tmp_path / "north", **(VALUES | {"archive": PLACES[kind]}))
    assert site.archive["kind"] == kind
    text, others = uncomment(site.path.read_text())
    assert set(re.findall(r'^#kind = "([a-z]+)"', others, re.MULTILINE)) == {*KINDS} - {kind}
    assert not re.search(r"^[^#\n]", others.partition("\n")[2], re.MULTILINE)
    site.path.write_text(text)
    whole = read_site(site.path)
    assert whole.archive.keys() > site.archive.keys()
    assert whole.tables
    assert whole.policy.threshold == 20
    assert whole.dask
    assert set(whole.cannot_answer["manufacturer"]) == {"en", "ru", "zh"}


def test_the_template_names_every_key_of_every_kind_of_archive(tmp_path):
    from workbench.archive import archive
    from workbench.archive.dicomweb import DicomwebTable
    from workbench.archive.dimse import DimseTable

    assert archive.KINDS.keys() == {*KINDS} == EXAMPLES.keys()
    known = {
        "folder": archive.FOLDER_KEYS,
        "table": {"kind", "path", "columns", "level"},
        "dicomweb": DicomwebTable.model_fields.keys(),
        "dimse": DimseTable.model_fields.keys(),
        "idc": {"kind", "collection"},
    }
    text = (TEMPLATE / "archive.toml").read_text().strip()
    for kind, block in zip(KINDS, text.split("\n\n"), strict=True):
        assert set(re.findall(r"^#?([a-z_]+) = ", block, re.MULTILINE)) == known[kind], kind
    for key, owner in OWN.items():
        assert [kind for kind in KINDS if key in known[kind]] == [owner], key


@pytest.mark.parametrize("kind", ["dicomweb", "dimse"])
def test_values_in_comments_are_those_of_a_server_that_can_be_read(tmp_path, kind):
    from workbench.archive.site_scan import read_server

    site = create_site(tmp_path / "north", **(VALUES | {"archive": PLACES[kind]}))
    assert read_server(site.archive, site.folder)
    text, _ = uncomment(site.path.read_text())
    for unwanted in ("token_file", "verify"):  # beside a password, and for this machine alone
        text = re.sub(rf"^{unwanted} = .*\n", "", text, flags=re.MULTILINE)
    site.path.write_text(text)
    for name in ("password", "authority.pem", "client.pem", "client.key"):
        (site.folder / name).write_text("x")
        (site.folder / name).chmod(0o600)
    shutil.copy(certifi.where(), site.folder / "authority.pem")
    assert read_server(read_site(site.path).archive, site.folder)


@pytest.mark.parametrize(
    ("typed", "declared"),
    [
        ("/data/dicom", {"kind": "folder", "path": "/data/dicom"}),
        ("/data/exams.CSV", {"kind": "table", "path": "/data/exams.CSV"}),
        ("images", {"kind": "folder", "path": "images"}),
        ("../images", {"kind": "folder", "path": "../images"}),
        ("HTTP://pacs:8042/dicom-web", {"kind": "dicomweb", "url": "HTTP://pacs:8042/dicom-web"}),
        (
            "dimse://OUR%20PACS@10.0.0.5:11112",
            {"kind": "dimse", "ae_title": "OUR PACS", "host": "10.0.0.5", "port": 11112},
        ),
        (
            "dimse://A@[::1]:104",
            {"kind": "dimse", "ae_title": "A", "host": "::1", "port": 104},
        ),
    ],
)
def test_a_place_says_its_kind(tmp_path, typed, declared):
    site = create_site(tmp_path / "north", **(VALUES | {"archive": typed}))
    assert declared.items() <= site.archive.items()
    assert site.archive.get("tls", False) is (declared["kind"] == "dimse")


def test_what_is_there_says_its_kind_and_a_path_inside_moves_with_the_site(tmp_path):
    (tmp_path / "exams.csv").mkdir()
    assert name_archive("exams.csv", tmp_path) == {"kind": "folder", "path": "exams.csv"}
    (tmp_path / "images/ct").mkdir(parents=True)
    inside = name_archive(str(tmp_path / "images/ct"), tmp_path)
    assert inside == {"kind": "folder", "path": "images/ct"}
    outside = name_archive(str(tmp_path / "images"), tmp_path / "site")
    assert outside == {"kind": "folder", "path": str(tmp_path / "images")}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (".", "inside of its archive"),
        ("..", "inside of its archive"),
        ("/", "inside of its archive"),
        ("scan.dcm", "no table"),
        ("a\0b", "cannot be used"),
        ("s3://bucket/hush", "s3://"),
        ("https://", "none of a web server"),
        ("https://[::1", "none of a web server"),
        ("https://pacs:port/", "none of a web server"),
        ("https://me:hush@pacs/", "more than host"),
        ("https://pacs/?token=hush", "more than host"),
        ("dimse://pacs:104", "none of a DICOM server"),
        ("dimse://PACS@pacs", "none of a DICOM server"),
        ("dimse://PACS@pacs:0", "none of a DICOM server"),
        ("dimse://PACS:hush@pacs:104/x", "none of a DICOM server"),
    ],
)
def test_a_place_that_no_archive_can_have_writes_nothing_and_shows_no_secret(tmp_path, typed, said):
    (tmp_path / "north").mkdir()
    (tmp_path / "north/scan.dcm").write_text("DICM")
    with pytest.raises(SiteError, match=said) as caught:
        create_site(tmp_path / "north", **(VALUES | {"archive": typed}))
    assert "hush" not in str(caught.value)
    assert [path.name for path in (tmp_path / "north").iterdir()] == ["scan.dcm"]


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
