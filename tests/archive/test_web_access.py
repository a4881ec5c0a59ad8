"""What a site may not declare of a web server."""

import pytest

from workbench.archive.dicomweb import read_dicomweb
from workbench.archive.dimse import read_dimse
from workbench.errors import SiteError

GOOD = {"kind": "dicomweb", "url": "https://pacs.example/dicom-web"}
SECRET = {"user": "me", "password_file": "password"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "ftp://pacs.example/"}, "none of a web server"),
        ({"url": "pacs.example"}, "none of a web server"),
        ({"url": "https://[::1"}, "none of a web server"),
        ({"url": "https://host:port/"}, "none of a web server"),
        ({"url": "https://me:hush@pacs.example/"}, "more than host"),
        ({"url": "https://pacs.example/?token=hush"}, "more than host"),
        ({"verify": False}, "can be anybody"),
        ({"url": "http://pacs.example/", **SECRET}, "without TLS"),
        ({"url": "http://127.0.0.1.pacs.example/", **SECRET}, "without TLS"),
        ({"url": "http://pacs.example/"}, "Patients' data would travel"),
        ({"url": "http://pacs.example/", "plain": True, **SECRET}, "A secret would travel"),
        ({"user": "me"}, "belong together"),
        ({"password_file": "password"}, "belong together"),
        ({**SECRET, "token_file": "token"}, "Either"),
        ({"client_key": "key.pem"}, "without certificate"),
        ({"ca_file": "none.pem"}, "no such file"),
        ({"verfy": True}, "Did you mean 'verify'"),
        ({"page": 0}, "page"),
        ({"timeout_s": "soon"}, "timeout_s"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(tmp_path, change, words):
    with pytest.raises(SiteError, match=words) as caught:
        read_dicomweb(GOOD | change, tmp_path)
    assert "hush" not in str(caught.value)


def test_a_file_that_is_no_certificate_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(SiteError, match="no certificate that can be read"):
        read_dicomweb(GOOD | {"ca_file": "ca.pem"}, tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_server_on_this_machine_may_do_without(tmp_path, host):
    read_dicomweb(GOOD | {"url": f"http://{host}:8042/dicom-web", **SECRET}, tmp_path)
    read_dicomweb(GOOD | {"url": f"https://{host}/dicom-web", "verify": False}, tmp_path)


def test_a_site_may_say_that_its_network_needs_no_tls(tmp_path):
    url = "http://pacs.example/dicom-web"
    assert read_dicomweb(GOOD | {"url": url, "plain": True}, tmp_path).access.url == url


def test_dimse_to_another_machine_needs_tls_or_the_site_says_plain(tmp_path):
    declared = {"kind": "dimse", "host": "pacs.example", "port": 104, "ae_title": "PACS"}
    with pytest.raises(SiteError, match="Patients' data would travel"):
        read_dimse(declared, tmp_path)
    assert read_dimse(declared | {"plain": True}, tmp_path).peer.tls is False
    assert read_dimse(declared | {"tls": True}, tmp_path).peer.tls is True
    assert read_dimse(declared | {"host": "localhost"}, tmp_path).peer.tls is False


def test_a_secret_is_read_when_it_is_used(tmp_path):
    server = read_dicomweb(GOOD | {"token_file": "token"}, tmp_path)
    for token in ("first", "second"):
        (tmp_path / "token").write_text(token)
        (tmp_path / "token").chmod(0o600)
        assert server.access.authorization() == f"Bearer {token}"
        assert token not in repr(server)
