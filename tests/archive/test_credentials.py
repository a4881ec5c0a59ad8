"""Secrets stand in files that nobody else may read."""

import os

import pytest

from workbench.archive.credentials import check_private, read_secret
from workbench.errors import SiteError


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"

    def write(content, mode=0o600):
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return write


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b" a b ", " a b "),
        ("пароль".encode(), "пароль"),
    ],
)
def test_the_secret_is_the_line(secret, content, text):
    assert read_secret(secret(content), "password_file") == text


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"hush\nhush", b"hush\0", b"hush\xff", b"hush" * 20_000]
)
def test_what_is_no_line_is_refused_and_not_shown(secret, content):
    with pytest.raises(SiteError, match="one line") as caught:
        read_secret(secret(content), "password_file")
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_secret_that_others_may_read_is_refused(secret, mode):
    with pytest.raises(SiteError, match="Others may read"):
        read_secret(secret(b"hush", mode), "token_file")
    with pytest.raises(SiteError, match="Others may read"):
        check_private(secret(b"hush", mode), "client_key")


def test_what_is_not_there_or_no_file_is_refused(tmp_path):
    with pytest.raises(SiteError, match="cannot be read"):
        read_secret(tmp_path / "none", "password_file")
    with pytest.raises(SiteError, match="cannot be read"):
        read_secret(tmp_path, "password_file")
    with pytest.raises(SiteError, match="no such file"):
        check_private(tmp_path, "client_key")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "secret", 0o600)
    with pytest.raises(SiteError, match="regular file"):
        read_secret(tmp_path / "secret", "password_file")


def test_a_secret_in_place_of_its_file_is_not_shown(tmp_path):
    with pytest.raises(SiteError) as caught:
        read_secret(tmp_path / "hunter2", "password_file")
    assert "hunter2" not in str(caught.value)
    assert "archive.password_file" in str(caught.value)
