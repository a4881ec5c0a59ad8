import os
import time

import pytest

from workbench.disclosure.policy import Policy
from workbench.errors import SiteError
from workbench.site import read_site

GOOD = """
[site]
id = "north"
name = "North hospital"
country = "RU"
kind = "pretend"
card = "card.md"

[archive]
kind = "table"
path = "exams.csv"
columns = { exam_uid = "AccessionNumber" }

[tables]
reports = "tables"

[policy]
threshold = 12

[dask]
workers = 2

[key]
file = "site.key"
kind = "demo"

[[cannot_answer]]
column = "manufacturer"
reason = { en = "Not stated", ru = "Не указан" }

[[cannot_answer]]
column = "date"
reason = "Dates are shifted"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site.toml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "exams.csv").write_text("a,b\n1,2\n")
    (tmp_path / "card.md").write_text("# North")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/one.csv").write_text("x")
    (tmp_path / "tables/two.csv").write_text("y")
    return tmp_path


def edit(folder, *changes):
    path = folder / "site.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return folder


def test_a_site_is_read(folder):
    site = read_site(folder / "site.toml")
    assert (site.id, site.name, site.country, site.kind) == (
        "north",
        "North hospital",
        "RU",
        "pretend",
    )
    assert site.archive == {
        "kind": "table",
        "path": "exams.csv",
        "columns": {"exam_uid": "AccessionNumber"},
    }
    assert site.tables == {"reports": folder / "tables"}
    assert site.policy == Policy(12, 5)
    assert site.dask == {"workers": 2, "processes": True}
    assert (site.key.kind, site.key_path) == ("demo", folder / "site.key")
    assert (site.folder, site.path, site.card) == (folder, folder / "site.toml", folder / "card.md")
    assert site.cannot_answer["manufacturer"]["ru"] == "Не указан"
    assert site.reason("manufacturer", "zh") == "Not stated"
    assert site.reason("date") == "Dates are shifted"
    assert site.reason("sex") == ""
    assert read_site(folder).digest == site.digest


def test_the_least_a_site_must_say(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(
        '[site]\nid = "a"\nname = "A"\nkind = "public"\n'
        '[archive]\nkind = "idc"\ncollection = "cmmd"\n'
    )
    site = read_site(path)
    assert (site.dask, site.key, site.key_path, site.card, site.cannot_answer) == (
        {},
        None,
        None,
        None,
        {},
    )
    assert site.policy == Policy()
    assert site.stamps() == {}


def test_a_scheduler_is_a_mapping_too(folder):
    edit(folder, ("workers = 2", 'scheduler = "tcp://10.0.0.1:8786"'))
    assert read_site(folder).dask == {"scheduler": "tcp://10.0.0.1:8786"}


def test_the_digest_follows_what_changes_results(folder):
    first = read_site(folder).digest
    edit(folder, ("workers = 2", "workers = 4"), ("site.key", "other.key"))
    assert read_site(folder).digest == first
    edit(folder, ("threshold = 12", "threshold = 13"))
    second = read_site(folder).digest
    edit(folder, ("AccessionNumber", "StudyUID"))
    assert len({first, second, read_site(folder).digest}) == 3


def test_stamps_follow_the_files_and_show_no_path(folder):
    site = read_site(folder)
    first = site.stamps()
    assert set(first) == {"archive.path", "tables.reports"}
    assert first["archive.path"].startswith("1:8:")
    assert first["tables.reports"].startswith("2:2:")
    assert "exams" not in str(first)
    assert site.stamps() == first
    os.utime(folder / "tables/one.csv", ns=(1, 1))
    second = site.stamps()
    assert second["tables.reports"] != first["tables.reports"]
    assert second["archive.path"] == first["archive.path"]
    (folder / "more").mkdir()
    (folder / "more" / "back").symlink_to(folder / "more")
    (folder / "tables" / "more").symlink_to(folder / "more")
    third = site.stamps()["tables.reports"]
    (folder / "more" / "three.csv").write_text("3")
    assert site.stamps()["tables.reports"].startswith("3:3:")
    assert site.stamps()["tables.reports"] != third
    (folder / "exams.csv").unlink()
    assert site.stamps()["archive.path"] == "absent"


def test_a_file_of_the_same_size_and_time_has_another_stamp(folder):
    site, path = read_site(folder), folder / "exams.csv"
    before, first = path.stat(), site.stamps()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert site.stamps() != first


@pytest.mark.parametrize("named", ["", 'catalog = "tables/scan"\n'])
@pytest.mark.parametrize("kind", ["folder", "dicomweb", "dimse"])
def test_an_archive_that_is_scanned_is_stamped_by_its_catalog(tmp_path, kind, named):
    (tmp_path / "site.toml").write_text(
        '[site]\nid = "a"\nname = "A"\nkind = "real"\n'
        f'[archive]\nkind = "{kind}"\npath = "dicom"\n{named}'
    )
    site = read_site(tmp_path)
    assert site.stamps() == {"archive.catalog": "absent"}
    (finding,) = [f for f in site.check() if f.level == "fail"]
    assert (finding.message, finding.where) == ("There is no catalog", "site.toml, archive.catalog")
    assert finding.todo == "Run 'workbench scan site.toml'"
    catalog = tmp_path / ("tables/scan" if named else "catalog") / "catalog.json"
    catalog.parent.mkdir(parents=True)
    catalog.write_text("{}")
    first = site.stamps()
    assert first["archive.catalog"].startswith("1:2:")
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom/new.dcm").write_text("not scanned yet")
    (catalog.parent / "lock").touch()
    assert site.stamps() == first
    catalog.write_text("{ }")
    assert site.stamps() != first


def test_a_public_site_keeps_its_catalog_beside_it(folder):
    edit(folder, ('kind = "table"\npath = "exams.csv"', 'kind = "folder"\ncatalog = "../out"'))
    with pytest.raises(SiteError, match="leads out of the site's folder"):
        read_site(folder)


def test_retention_is_read_and_changes_no_digest(folder):
    plain = read_site(folder)
    assert plain.keep_days is None
    edit(folder, ("[key]", "[retention]\ndays = 30\n\n[key]"))
    assert "30 days" in repr(read_site(folder))
    assert read_site(folder).keep_days == 30
    assert read_site(folder).digest == plain.digest
    for wrong in ("0", "-1", "1.5", '"30"', "100_001"):
        edit(folder, ("days = 30", f"days = {wrong}"))
        with pytest.raises(SiteError) as caught:
            read_site(folder)
        assert "retention.days" in caught.value.where
        edit(folder, (f"days = {wrong}", "days = 30"))


def test_trusted_bundles_are_read_and_nothing_else_is_one(folder):
    assert read_site(folder).trusted_bundles == ()
    digest = f"sha256:{'a' * 64}"
    edit(folder, ("[key]", f'[bundles]\ntrusted = ["{digest}"]\n\n[key]'))
    assert read_site(folder).trusted_bundles == (digest,)
    for wrong in ("*", "sha256:aa", digest.upper(), f"{digest}\\n", ""):
        edit(folder, (digest, wrong))
        with pytest.raises(SiteError) as caught:
            read_site(folder)
        assert "bundles.trusted" in caught.value.where
        edit(folder, (wrong or '""', digest if wrong else f'"{digest}"'))


def test_reading_opens_nothing_else(folder):
    for path in (folder / "exams.csv", folder / "card.md"):
        path.unlink()
        os.mkfifo(path)
    start = time.monotonic()
    assert read_site(folder).id == "north"
    assert time.monotonic() - start < 1


def test_the_check_names_what_is_not_there(folder):
    assert [f.level for f in read_site(folder).check()] == ["pass"]
    (folder / "exams.csv").unlink()
    (folder / "card.md").unlink()
    found = {f.where: f.level for f in read_site(folder).check()}
    assert found == {"site.toml, archive.path": "fail", "site.toml, site.card": "review"}


def test_a_real_site_in_a_git_work_tree_is_refused(folder):
    edit(folder, ('kind = "pretend"', 'kind = "real"'), ('kind = "demo"', 'kind = "real"'))
    (folder / ".git").mkdir()
    with pytest.raises(SiteError, match="may not lie in a git work tree") as caught:
        read_site(folder).validate()
    assert "git add" in caught.value.what
    (folder / ".git").rmdir()
    read_site(folder).validate()


@pytest.mark.parametrize(
    ("old", "new", "todo"),
    [
        ('id = "north"', "id = my_hospital", 'Put text in quotes: id = "…"'),
        ('path = "exams.csv"', r'path = "C:\data\exams.csv"', "Write / instead of"),
        ('path = "exams.csv"', r'path = "C:\Users\exams.csv"', "single quotes: path = '…'"),
        ('path = "exams.csv"', r"path = C:\data\exams.csv", "Put text in quotes"),
        ('id = "north"', "id = “north”", "straight quotes"),
        ("workers = 2", "workers = 2\nprocesses = True", "small letters"),
        ('id = "north"', 'id = "north', "Correct it"),
    ],
)
def test_common_slips_of_toml_get_advice(folder, old, new, todo):
    edit(folder, (old, new))
    with pytest.raises(SiteError, match="Not valid TOML") as caught:
        read_site(folder)
    assert todo in caught.value.todo


def test_two_kinds_are_told_apart(folder):
    edit(folder, ('kind = "pretend"', 'kind = "rael"'), ('kind = "demo"', 'kind = "rael"'))
    with pytest.raises(SiteError, match=r"'rael' is not allowed for 'site\.kind'") as caught:
        read_site(folder)
    assert "'rael' is not allowed for 'key.kind'" in str(caught.value)


def test_public_sites_give_reasons_in_three_languages(folder):
    edit(folder, ('kind = "pretend"', 'kind = "public"'))
    found = [f.message for f in read_site(folder).check()]
    assert found == [
        "The reason for 'manufacturer' is missing in zh",
        "The reason for 'date' is missing in ru",
        "The reason for 'date' is missing in zh",
    ]


WRONG = [
    (("[site]", "[sit]"), "sit", "Did you mean 'site'"),
    (('name = "North hospital"', 'nmae = "North"'), "site.nmae", "Did you mean 'name'"),
    (('kind = "pretend"', 'kind = "pretence"'), "site.kind", "Did you mean 'pretend'"),
    (('id = "north"', 'id = "../north"'), "site.id", "cannot be a name"),
    (('id = "north"', 'id = "nоrth"'), "site.id", "cannot be a name"),
    (('id = "north"', "id = nan"), "site.id", "cannot be nan"),
    (('"North hospital"', '"North\\u001b[31m"'), "site.name", "control character"),
    (('"North hospital"', '"North\\u202e"'), "site.name", "control character"),
    (('kind = "table"', 'kind = "{{x}}"'), "archive.kind", "Did you mean 'table'"),
    (('kind = "table"\n', ""), "archive.kind", "no kind"),
    (('path = "exams.csv"', 'path = "/etc/passwd"'), "archive.path", "leads out"),
    (('path = "exams.csv"', 'path = "../exams.csv"'), "archive.path", "leads out"),
    (('path = "exams.csv"', 'path = "a\\u0000b"'), "archive.path", "cannot be a value"),
    (('path = "exams.csv"', "path = 5"), "archive.path", "no path"),
    (('path = "exams.csv"', "path = [1]"), "archive.path", "no path"),
    (('path = "exams.csv"', "path = nan"), "archive.path", "cannot be a value"),
    (('path = "exams.csv"', "path = [[1]]"), "archive.path", "cannot be a value"),
    (('path = "exams.csv"', 'path = ""'), "archive.path", "no path"),
    (('reports = "tables"', 'reports = "../../x"'), "tables.reports", "leads out"),
    (('reports = "tables"', '"$(reboot)" = "tables"'), "tables.$(reboot)", "cannot be a name"),
    (("threshold = 12", "threshold = 5"), "policy", "looser than the floor of 10"),
    (("threshold = 12", "rounding = 2"), "policy", "looser than the floor of 5"),
    (("threshold = 12", "threshold = 12.0"), "policy.threshold", "a whole number"),
    (("workers = 2", ""), "dask", "'scheduler' or 'workers'"),
    (("workers = 2", "workers = 0"), "dask.workers", "from 1 to 1,024"),
    (("workers = 2", 'scheduler = "http://x"'), "dask.scheduler", "tcp://host:port"),
    (("workers = 2", 'scheduler = "tcp://x;rm -rf /"'), "dask.scheduler", "tcp://host:port"),
    (('file = "site.key"', 'file = "/root/.ssh/id"'), "key.file", "leads out"),
    (('kind = "demo"', 'kind = "fake"'), "key.kind", "Allowed: real, demo"),
    (('kind = "pretend"', 'kind = "real"'), "key.kind", "demo key"),
    (('column = "date"', 'column = "manufacturer"'), "cannot_answer.manufacturer", "stands twice"),
    (('column = "date"', 'column = "Date"'), "cannot_answer", "cannot be a name"),
    (
        ('reason = "Dates are shifted"', "reason = { ru = 'x' }"),
        "reason",
        "English text is missing",
    ),
    (('reason = "Dates are shifted"', "reason = ''"), "reason", "1 to 5,000"),
    (('reason = "Dates are shifted"', "why = 'x'"), "why", "Unknown key 'why'"),
]


@pytest.mark.parametrize(("change", "where", "reason"), WRONG, ids=range(len(WRONG)))
def test_wrong_declarations_are_refused_by_name(folder, change, where, reason):
    edit(folder, change)
    before = sorted(folder.rglob("*"))
    with pytest.raises(SiteError, match=reason) as refused:
        read_site(folder)
    assert where in str(refused.value)
    assert refused.value.exit_code == 11
    assert sorted(folder.rglob("*")) == before


HOSTILE = {
    "empty": b"",
    "binary": bytes(range(256)),
    "large": b"a = '" + b"x" * 10_000_000 + b"'",
    "deep": b"[archive]\nkind = 'a'\nx = " + b"[" * 100_000 + b"]" * 100_000,
    "deep keys": b"archive" + b".a" * 450_000 + b" = 1",
    "many keys": b"[archive]\n" + b"\n".join(b"k%d = 1" % i for i in range(80_000)),
    "many bad keys": b"[archive]\n" + b"\n".join(b"K%d = nan" % i for i in range(60_000)),
    "many answers": b"[[cannot_answer]]\n" * 50_000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_quickly(tmp_path, content):
    (tmp_path / "site.toml").write_bytes(content)
    start = time.monotonic()
    with pytest.raises(SiteError) as refused:
        read_site(tmp_path / "site.toml")
    assert time.monotonic() - start < 5
    assert len(str(refused.value)) < 5000
    assert str(refused.value).replace("\n", "").isprintable()


def test_a_link_out_of_a_shared_site_is_refused(folder):
    (folder / "exams.csv").unlink()
    (folder / "exams.csv").symlink_to("/etc/hostname")
    with pytest.raises(SiteError, match="leads out"):
        read_site(folder)


def test_a_real_site_keeps_its_data_where_it_likes(folder):
    edit(
        folder,
        ('kind = "pretend"', 'kind = "real"'),
        ('kind = "demo"', 'kind = "real"'),
        ('"exams.csv"', '"/data/exams.parquet"'),
    )
    site = read_site(folder)
    assert str(site.locate(site.archive["path"])) == "/data/exams.parquet"


@pytest.mark.parametrize("path", ["nothing.toml", "no\0thing", "x" * 10_000])
def test_a_site_that_is_not_there_is_refused(tmp_path, path):
    with pytest.raises(SiteError, match="cannot be read"):
        read_site(tmp_path / path)


@pytest.mark.parametrize("key", ["password_file", "ca_file", "client_key"])
def test_a_secret_of_a_shared_site_lies_beside_it_and_is_never_stamped(folder, key):
    text = (folder / "site.toml").read_text()
    inside = text.replace("[archive]", f'[archive]\n{key} = "secret"')
    (folder / "site.toml").write_text(inside)
    assert "secret" not in str(read_site(folder).stamps())
    (folder / "site.toml").write_text(inside.replace("secret", "/etc/secret"))
    with pytest.raises(SiteError, match="out of the site's folder"):
        read_site(folder)


def test_the_card_is_escaped(folder):
    edit(folder, ("North hospital", "<b>North</b>"))
    assert "<b>North" not in read_site(folder)._repr_html_()
