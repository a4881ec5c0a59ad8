"""A real DICOM server: Orthanc on loopback, with its own configuration, users and certificate."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.archive.certificates import Certificates, Front, make_certificates
from tests.conftest import missing

PROGRAM = Path("/usr/sbin/Orthanc")
PLUGINS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc"))
USER = "workbench"
PASSWORD = "s3cret-9f8e7d-Parole"
OUR_TITLE = "WORKBENCH"
WAIT_S = 20


def free_port() -> int:
    """Return a port of loopback that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Orthanc:
    """A server that runs, or can be started again on the same storage and ports."""

    folder: Path
    tls: Certificates
    settings: dict[str, object] = field(default_factory=dict)
    ask: bool = False
    process: subprocess.Popen | None = None

    def __post_init__(self) -> None:
        self.http_port, self.dicom_port, self.our_port = free_port(), free_port(), free_port()
        # Debian's Orthanc dies of its first TLS request (civetweb on OpenSSL 3): as in
        # hospitals, something before it speaks TLS.
        self.front = Front(self.http_port, self.tls, ask=self.ask)

    @property
    def url(self) -> str:
        """Address of DICOMweb, by TLS."""
        return f"https://127.0.0.1:{self.front.port}/dicom-web"

    @property
    def plain_url(self) -> str:
        """Address of DICOMweb without TLS."""
        return f"{self.root}/dicom-web"

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def log(self) -> str:
        return (self.folder / "orthanc.log").read_text(errors="replace")

    def configuration(self) -> dict[str, object]:
        """Return what is written into orthanc.json."""
        storage = str(self.folder / "storage")
        found = {
            "Name": "Test",
            "StorageDirectory": storage,
            "IndexDirectory": storage,
            "Plugins": [str(_find_plugin())],
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {"workbench": [OUR_TITLE, "127.0.0.1", self.our_port]},
            "UnknownSopClassAccepted": True,
            "SaveJobs": False,
            "SyncStorageArea": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        return found | self.settings

    def start(self) -> Orthanc:
        """Start it, and return when it answers."""
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(self.configuration()), encoding="utf-8")
        with (self.folder / "orthanc.log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, path], stdout=log, stderr=log)
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with self.session() as session:
                    session.get(f"{self.root}/system", timeout=5).raise_for_status()
            except requests.ConnectionError:
                time.sleep(0.02)
            else:
                return self
        self.kill()
        raise AssertionError(f"Orthanc does not start:\n{self.log[-2000:]}")

    def kill(self) -> None:
        """End it at once, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(WAIT_S)
            self.process = None

    def session(self) -> requests.Session:
        """Return a session that may do everything."""
        found = requests.Session()
        found.auth = (USER, PASSWORD)
        found.trust_env = False
        return found

    def fill(self, paths: Iterable[Path]) -> list[Path]:
        """Store files as they are, and return those that the server rejected."""
        rejected = []
        with self.session() as session:
            for path in paths:
                answer = session.post(f"{self.root}/instances", data=path.read_bytes(), timeout=60)
                if not answer.ok:
                    rejected.append(path)
        return rejected

    def count(self) -> int:
        """Return how many instances the server holds."""
        with self.session() as session:
            return int(session.get(f"{self.root}/statistics", timeout=10).json()["CountInstances"])


def _find_plugin() -> Path:
    for folder in PLUGINS:
        for found in sorted(folder.glob("libOrthancDicomWeb.so*")):
            return found
    missing("The DICOMweb plugin of Orthanc is not installed")
    raise AssertionError


@contextmanager
def run_orthanc(folder: Path, *, ask: bool = False, **settings: object) -> Iterator[Orthanc]:
    """Start a server in a new folder, and end it.

    Parameters
    ----------
    folder
        Where its storage, configuration, certificates and log stand.
    ask
        Whether a client must show a certificate.
    settings
        Of Orthanc's configuration, over ours.
    """
    if not PROGRAM.exists():
        missing("Orthanc is not installed")
    folder.mkdir(parents=True)
    server = Orthanc(folder, make_certificates(folder / "tls"), settings, ask)
    try:
        yield server.start()
    finally:
        server.kill()
        server.front.close()
