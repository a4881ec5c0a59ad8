import stat

import pytest

from workbench.errors import DefinitionError, ReleaseError
from workbench.exchange.keys import key_id, make_key, read_key, read_pins, read_public, signed_by


@pytest.mark.parametrize("kind", ["real", "demo"])
def test_a_key_is_written_for_its_owner_alone_and_read_back(tmp_path, kind):
    path = tmp_path / "site.key"
    made = make_key(path, kind)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = read_key(path)
    assert (read.kind, read.public, read.id) == (kind, made.public, key_id(made.public))
    assert signed_by(made.public, read.sign(b"text"), b"text")
    assert not signed_by(made.public, read.sign(b"text"), b"another")
    assert f"Workbench-Key: {kind}" in path.read_text().splitlines()
    assert "private" not in repr(read).casefold()


def test_two_keys_differ(tmp_path):
    assert make_key(tmp_path / "a", "demo").id != make_key(tmp_path / "b", "demo").id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o610])
def test_a_real_key_that_others_can_read_is_refused(tmp_path, mode):
    make_key(tmp_path / "site.key", "real")
    (tmp_path / "site.key").chmod(mode)
    with pytest.raises(ReleaseError, match="read by others"):
        read_key(tmp_path / "site.key")


def test_a_demo_key_may_be_checked_out_and_readable(tmp_path):
    (tmp_path / ".git").mkdir()
    make_key(tmp_path / "site.key", "demo")
    (tmp_path / "site.key").chmod(0o644)
    assert read_key(tmp_path / "site.key").kind == "demo"


def test_a_real_key_is_neither_made_nor_read_in_a_work_tree(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "clone/datasets/site"
    outside.mkdir()
    inside.mkdir(parents=True)
    (tmp_path / "clone/.git").write_text("gitdir: elsewhere")  # a worktree has a file, not a folder
    with pytest.raises(ReleaseError, match="work tree"):
        make_key(inside / "site.key", "real")
    assert not (inside / "site.key").exists()
    make_key(outside / "site.key", "real").sign(b"")
    (outside / "site.key").rename(inside / "site.key")
    with pytest.raises(ReleaseError, match="work tree"):
        read_key(inside / "site.key")
    (outside / "link.key").symlink_to(inside / "site.key")
    with pytest.raises(ReleaseError, match="work tree"):
        read_key(outside / "link.key")


def test_a_key_is_never_overwritten(tmp_path):
    before = make_key(tmp_path / "site.key", "demo")
    with pytest.raises(ReleaseError, match="exists"):
        make_key(tmp_path / "site.key", "demo")
    assert read_key(tmp_path / "site.key").public == before.public


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"Workbench-Key: demo\n",
        b"Workbench-Key: demo\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"x" * 100_000,
    ],
)
def test_what_is_no_key_is_refused(tmp_path, content):
    (tmp_path / "site.key").write_bytes(content)
    with pytest.raises(ReleaseError):
        read_key(tmp_path / "site.key")


def test_a_key_must_say_its_kind_and_be_there(tmp_path):
    path = tmp_path / "site.key"
    make_key(path, "demo")
    for header in ("", "Workbench-Key: test\n", "kind = demo\n"):
        body = path.read_text().partition("-----BEGIN")[2]
        (tmp_path / "other.key").write_text(f"{header}-----BEGIN{body}")
        with pytest.raises(ReleaseError, match="no signing key"):
            read_key(tmp_path / "other.key")
    with pytest.raises(ReleaseError, match="opened"):
        read_key(tmp_path / "missing.key")
    with pytest.raises(ReleaseError, match="kind"):
        make_key(tmp_path / "x.key", "test")


@pytest.mark.parametrize("text", ["", "abc", "é", "AAAA", "A" * 64])
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(ReleaseError):
        read_public(text)


@pytest.fixture
def pin(tmp_path):
    public = make_key(tmp_path / "k", "demo").public
    return (
        f'[[site]]\nid = "north"\nname = "North"\npublic_key = "{public}"\nkind = "demo"\n'
        "valid_from = 2026-01-01\n"
    )


def test_pins_are_read(tmp_path, pin):
    (tmp_path / "sites.toml").write_text(pin + "until = 2027-01-01\n")
    (only,) = read_pins(tmp_path / "sites.toml")
    assert (only.id, only.kind, only.until.year, only.revoked) == ("north", "demo", 2027, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t + "valid = 2026-01-01\n", "valid_from"),
        (lambda t: t + "until = 2020-01-01\n", "before"),
        (lambda t: t + 'until = "2027-01-01"\n', "until"),
        (lambda t: t.replace('kind = "demo"', 'kind = "test"'), "kind"),
        (lambda t: t.replace('id = "north"', 'id = "../north"'), "id"),
        (lambda t: t.replace('public_key = "', 'public_key = "AA'), "public key"),
        (lambda t: t + t, "twice"),
        (lambda t: t + "[other]\n", "other"),
        (lambda t: t + "[[", "TOML"),
        (lambda t: "site = 5\n", "site"),
    ],
)
def test_a_broken_list_of_sites_is_refused(tmp_path, pin, change, said):
    (tmp_path / "sites.toml").write_text(change(pin))
    with pytest.raises(DefinitionError) as refused:
        read_pins(tmp_path / "sites.toml")
    assert said in str(refused.value)


def test_a_missing_list_of_sites_is_refused(tmp_path):
    with pytest.raises(DefinitionError, match="read"):
        read_pins(tmp_path / "sites.toml")
