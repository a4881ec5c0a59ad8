"""DICOM files of strangers and made ones, and the same archive as a folder and on servers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.archive.orthanc import OUR_TITLE, PASSWORD, USER, Orthanc
from workbench.archive.site_scan import scan_site
from workbench.catalog.catalog import Catalog
from workbench.dicom.columns import SCHEMA
from workbench.site import read_site

FILE_COLUMNS = ("path", "size", "mtime_ns", "transfer_syntax")
"""What a server says in its own way, or not at all."""
CLOSE = 1e-12
"""Servers write numbers as JSON: a cosine of 1e-16 can become 0."""


def list_files(shared_data: Path) -> list[Path]:
    """Return every file of the reference data, and of pydicom, that looks like DICOM."""
    import pydicom.data.data_manager

    own = Path(pydicom.data.data_manager.__file__).parent / "test_files"
    found = [p for root in (shared_data, own) for p in sorted(root.rglob("*")) if p.is_file()]
    return [p for p in found if p.suffix.lower() == ".dcm" or p.read_bytes()[128:132] == b"DICM"]


def copy_files(files: Iterable[Path], folder: Path) -> list[Path]:
    """Copy files under numbers, so that no two have one name, and return the copies."""
    folder.mkdir(parents=True)
    copies = []
    for number, path in enumerate(files):
        copies.append(folder / f"{number:04d}.dcm")
        shutil.copyfile(path, copies[-1])
    return copies


def write_site(
    folder: Path, archive: dict[str, object], name: str = "here", more: str = ""
) -> Path:
    """Write a site.toml, and the file of the password beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    password = folder / "password"
    password.write_text(PASSWORD + "\n", encoding="utf-8")
    password.chmod(0o600)
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in archive.items())
    head = f'[site]\nid = "{name}"\nname = "Here"\nkind = "real"\n[archive]\n'
    (folder / "site.toml").write_text(head + lines + more, encoding="utf-8")
    return folder / "site.toml"


def dicomweb(server: Orthanc, **changes: object) -> dict[str, object]:
    """Return the declaration of a server as kind dicomweb."""
    found = {
        "kind": "dicomweb",
        "url": server.url,
        "user": USER,
        "password_file": "password",
        "ca_file": str(server.tls.ca),
        "retries": 1,
    }
    return {k: v for k, v in (found | changes).items() if v is not None}


def dimse(server: Orthanc, **changes: object) -> dict[str, object]:
    """Return the declaration of a server as kind dimse."""
    found = {
        "kind": "dimse",
        "host": "127.0.0.1",
        "port": server.dicom_port,
        "ae_title": "ORTHANC",
        "calling_ae_title": OUR_TITLE,
        "retries": 1,
    }
    return {k: v for k, v in (found | changes).items() if v is not None}


def differences(folder: Catalog, server: Catalog) -> list[str]:
    """Return what two catalogs say differently of the instances that both have."""
    ours = folder.instances().collect()
    theirs = server.instances().collect()
    both = ours.join(theirs, on="instance_uid", suffix="|server", maintain_order="left")
    assert len(both) > 0
    found = []
    for name in SCHEMA.names():
        if name in FILE_COLUMNS or name == "instance_uid":
            continue
        pairs = zip(
            both[name].to_list(), both[f"{name}|server"].to_list(), both["path"], strict=True
        )
        found += [f"{name} of {path}: {a!r}, {b!r}" for a, b, path in pairs if not _close(a, b)]
    return found


def _close(ours: object, theirs: object) -> bool:
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return all(map(_close, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) <= CLOSE
    return ours == theirs


def uids(catalog: Catalog) -> set[str]:
    """Return the instances of a catalog."""
    return set(catalog.instances().select("instance_uid").collect()["instance_uid"])


def scan(site, **options):
    """Scan the archive of a `site.toml`."""
    return scan_site(read_site(site), **options)
