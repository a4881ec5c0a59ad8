"""Serve a study's dashboard with Voila, on this machine only.

The page is built with the Workbench's own Voila template: nothing in it is fetched from another
machine, and the browser is told to refuse if something tried.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from workbench.errors import DefinitionError, ExecutionError, UsageError, show
from workbench.publish.pages import FOLDER

TEMPLATES = Path(__file__).parents[1] / "resources" / "voila"
PACKAGE = Path(__file__).parents[2]
WIDGETS = ("@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget")
"""Front-end extensions without which a widget does not appear, and does not say so."""
FILL = 8
"""Seconds after which a kernel that a reader took is replaced."""
IDLE = 600
"""Seconds after which the kernel of a closed page is ended."""
READERS = 6
"""Live pages at a time; each has a kernel, of some 150 MB."""
KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
"""What the server is told of the environment it is started from."""
CONTENT = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def dashboard_command(
    study: Path | str,
    port: int = 8866,
    *,
    base_url: str = "/",
    origin: str = "",
    readers: int = READERS,
    idle: int = IDLE,
) -> list[str]:
    """Return the command that serves a study's dashboard at http://127.0.0.1:PORT/.

    Parameters
    ----------
    study
        Folder of the study, or of studies: then their landing page is served.
    port
        TCP port on the loopback interface.
    base_url
        Path below which the dashboard is served, for a proxy that serves more than this.
    origin
        Address at which a proxy is found by readers, as in `https://studies.example.org`.
    readers
        Live pages at a time; who comes later reads the static page.
    idle
        Seconds after which the kernel of a closed page is ended.

    Returns
    -------
    list of str
        For `subprocess`, or `shlex.join` to show it.

    Raises
    ------
    DefinitionError
        If the study has no dashboard.
    UsageError
        If the port, path or address is none.

    Examples
    --------
    >>> dashboard_command("nowhere")
    Traceback (most recent call last):
    workbench.errors.DefinitionError: There is no dashboard
      where: nowhere/dashboard.ipynb
      do:    Name a study folder that has a dashboard.ipynb, or one of studies: index.ipynb
    """
    notebook = Path(study) / "dashboard.ipynb"
    if (Path(study) / "index.ipynb").is_file():
        notebook = Path(study) / "index.ipynb"
    if not notebook.is_file():
        raise DefinitionError(
            "There is no dashboard",
            where=str(notebook),
            todo="Name a study folder that has a dashboard.ipynb, or one of studies: index.ipynb",
        )
    if not 1 <= port <= 65535:
        raise UsageError(f"{port} is no port", todo="Use 1 to 65535")
    if not re.fullmatch(r"/([\w~-]+/)*", base_url):
        raise UsageError(
            "The path is not one that a proxy can serve below",
            where=show(base_url),
            todo="Use letters, digits and - between slashes, as in /studies/imaging/",
        )
    if origin and not re.fullmatch(r"https?://[\w.-]+(:\d+)?", origin):
        raise UsageError(
            "The address of the proxy is none",
            where=show(origin),
            todo="Write it without a path, as in https://studies.example.org",
        )
    options = {
        "Voila.ip": "127.0.0.1",
        "Voila.port_retries": "0",
        "Voila.base_url": base_url,
        "Dashboard.origin": origin,
        "Dashboard.readers": str(readers),
        "Voila.tornado_settings": repr({"headers": {"Content-Security-Policy": CONTENT}}),
        "VoilaConfiguration.template": "workbench",
        "VoilaConfiguration.allow_template_override": "NO",
        "VoilaConfiguration.allow_theme_override": "NO",
        "VoilaConfiguration.preheat_kernel": "True",
        # The first reader's kernel needs the processor; the next one finds what it has drawn.
        "VoilaKernelManager.fill_delay": str(FILL),
        "VoilaConfiguration.strip_sources": "True",
        "VoilaConfiguration.show_tracebacks": "False",
        "VoilaConfiguration.file_allowlist": "[]",
        "VoilaConfiguration.file_denylist": "['.*']",
        "VoilaConfiguration.extension_allowlist": repr(list(WIDGETS)),
        "MappingKernelManager.cull_idle_timeout": str(idle),
        "MappingKernelManager.cull_interval": str(max(1, idle // 10)),
    }
    # The template is found along JUPYTER_PATH; the kernel imports this very package.
    environment = [f"JUPYTER_PATH={TEMPLATES}", f"PYTHONPATH={PACKAGE}"]
    module = "workbench.publish.application"
    server = [sys.executable, "-P", "-m", module, str(notebook.resolve()), "--no-browser"]
    return [
        "env",
        *environment,
        *server,
        f"--port={port}",
        *(f"--{name}={value}" for name, value in options.items()),
    ]


@dataclass
class Server:
    """A running dashboard; ends with `stop`, or at the end of a `with` block.

    Parameters
    ----------
    process
        The Voila process.
    url
        Where the dashboard is, with its token if it has one.
    pages
        Private folder in which its kernels keep what they have drawn.
    """

    process: subprocess.Popen[bytes]
    url: str
    pages: tempfile.TemporaryDirectory[str]

    def stop(self) -> None:
        """End the server and the kernels it started, and remove what they kept."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.pages.cleanup()

    def __enter__(self) -> Server:
        """Return the server itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server."""
        self.stop()


def serve(
    study: Path | str,
    port: int = 0,
    token: bool = True,
    *,
    base_url: str = "/",
    origin: str = "",
    readers: int = READERS,
    idle: int = IDLE,
    wait: float = 60,
    log: Path | None = None,
) -> Server:
    """Start a study's dashboard and return when it answers.

    Parameters
    ----------
    study
        Folder of the study.
    port
        TCP port on the loopback interface; 0 for any that is free.
    token
        True if only who knows the returned URL may read, also among users of this machine.
    base_url, origin, readers, idle
        See `dashboard_command`.
    wait
        Seconds until a server that does not answer is given up.
    log
        File for what the server says; without it, nothing is kept.

    Returns
    -------
    Server
        With the URL to open.

    Raises
    ------
    DefinitionError
        If the study has no dashboard.
    ExecutionError
        If the server does not start.
    """
    port = _free_port(port)
    command = dashboard_command(
        study, port, base_url=base_url, origin=origin, readers=readers, idle=idle
    )
    pages = tempfile.TemporaryDirectory(prefix="workbench-pages-", ignore_cleanup_errors=True)
    environment = _environment(Path(pages.name))
    url = f"http://127.0.0.1:{port}{base_url}"
    if token:
        # Not on the command line, which every user of the machine can read.
        environment["JUPYTER_TOKEN"] = secrets.token_urlsafe(24)
        command.append("--token")
        url += f"?token={environment['JUPYTER_TOKEN']}"
    target = log.open("wb") if log else subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            command, env=environment, cwd=study, stdin=subprocess.DEVNULL, stdout=target,
            stderr=target,
        )  # fmt: skip
    except OSError as error:
        raise ExecutionError(
            f"The dashboard cannot be started: {error.strerror}",
            where=command[1],
            todo="Build the environment again, with the extra: lab",
        ) from error
    finally:
        if not isinstance(target, int):
            target.close()
    server = Server(process, url, pages)
    end = time.monotonic() + wait
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        if _answers(f"http://127.0.0.1:{port}{base_url}voila/"):
            return server
        time.sleep(0.05)
    server.stop()
    raise ExecutionError(
        "The dashboard did not start",
        where=f"port {port}",
        todo=f"See what it says: {shlex.join(command)}",
    )


def _free_port(port: int) -> int:
    """Return the port if it is free, any free one for 0; refuse one that is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise ExecutionError(
                f"Port {port} cannot be used: it is in use, or not allowed",
                where="127.0.0.1",
                todo="Choose another port, or 0 for any",
            ) from error
        found: int = probe.getsockname()[1]
    return found


def _environment(private: Path) -> dict[str, str]:
    """Return what the server is told: nothing of who started it, or where their data are."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        (private / "home").mkdir(mode=0o700, exist_ok=True)
        environment[name] = str(private / "home")
    return {**environment, "JUPYTER_NO_CONFIG": "1", FOLDER: str(private)}


def _answers(url: str) -> bool:
    # Any answer will do, and this address starts no kernel.
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - this machine's own
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
