"""Application: the Voila server of one dashboard, which gives its readers that and nothing else.

A reader gets the live page when a kernel stands ready, and one at a time may wait for the next to
be. Who comes meanwhile, or when all places are taken, reads the static page at once: it holds the
same numbers and lets its reader choose as well.

`python -m workbench.publish.application NOTEBOOK` takes the options of `voila`.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tornado.ioloop
import tornado.web
from jupyter_server.base.handlers import FileFindHandler
from jupyter_server.services.kernels.handlers import KernelHandler
from traitlets import Integer, Unicode
from voila.app import Voila
from voila.server_extension import _kernel_id_regex
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.static_file_handler import MultiStaticFileHandler, TemplateStaticFileHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from workbench.publish.document import templates
from workbench.publish.language import LANGUAGES, say
from workbench.publish.pages import FOLDER, digest_of

MESSAGES = ["comm_open", "comm_msg", "comm_close", "comm_info_request", "kernel_info_request"]
"""Messages that a browser may send to a kernel: what widgets need, and none that runs code."""
FILE = r"(?!.*\.\.)[\w@.+-]+(?:/[\w@.+-]+)*"
"""Path of a file, as a page of Voila writes it: nothing encoded, and no way up."""
LARGEST_REQUEST = 64 * 1024
"""Bytes of a request's head, and of its body."""
LOOK = 60
"""Seconds between looks whether a release has changed."""


class Server(tornado.web.Application):
    """What listens; a request that is too large is not read."""

    def listen(self, *where: Any, **options: Any) -> Any:  # noqa: ANN401
        """Listen on a port."""
        limits: dict[str, Any] = dict.fromkeys(
            ("max_header_size", "max_body_size"), LARGEST_REQUEST
        )
        return super().listen(*where, **limits | options)


class Reader(TornadoVoilaHandler):  # type: ignore[misc]
    """Give a reader the live page, or the static page while no kernel is ready for one more."""

    @tornado.web.authenticated
    async def get(self, path: str | None = None) -> None:  # noqa: ARG002 - as Voila has it
        """Send the page."""
        app: Dashboard = self.settings["dashboard"]
        self.request.uri, self.request.query = self.request.path, ""  # kernels see no token
        if app.has_place(ready=app.static.is_file() and app.waiting > 0):
            app.waiting += 1
            try:
                await super().get(None)
            finally:
                app.waiting -= 1
                app.given &= set(app.kernel_manager.list_kernel_ids())
            return
        self.set_header("Cache-Control", "no-store")
        if app.static.is_file():
            self.write(app.static.read_bytes())
        else:
            self.set_header("Refresh", "2")
            self.write(app.preparing)

    def should_use_rendered_notebook(self, *_: object) -> bool:
        """Wait for the kernel that starts; a second one beside it would slow both."""
        return bool(self.kernel_manager.get_pool_size(self.notebook_path))


class Kernel(KernelHandler):
    """Tell a page that its kernel is there, and do nothing to it."""

    SUPPORTED_METHODS = ("GET",)


class Channels(VoilaKernelWebsocketHandler):  # type: ignore[misc]
    """Connect a page with its kernel."""

    def skip_check_origin(self) -> bool:
        """Check from which page a connection comes, also if it brings the token."""
        return False


class Dashboard(Voila):  # type: ignore[misc]
    """Serve one dashboard on this machine."""

    name = "voila"
    readers = Integer(6, config=True, help="Live pages at a time; others read the static page.")
    origin = Unicode("", config=True, help="Where readers find a proxy before this server.")

    def init_settings(self) -> dict[str, Any]:
        """Return the settings, with fewer messages from the browser than Voila allows."""
        self.token: str | None = os.environ.pop("JUPYTER_TOKEN", self.token)  # kernels are not told
        settings: dict[str, Any] = super().init_settings()
        self.kernel_manager.allowed_message_types = MESSAGES
        self.given: set[str] = set()
        give = self.kernel_manager.get_rendered_notebook

        async def remember(*notebook: Any, **options: Any) -> Any:  # noqa: ANN401
            task, rendered, kernel = await give(*notebook, **options)
            self.given.add(kernel)
            return task, rendered, kernel

        self.kernel_manager.get_rendered_notebook = remember
        settings.update(dashboard=self, allow_origin=self.origin)
        return settings

    def init_handlers(self) -> list[Any]:
        """Return what is served: the page and what its browser needs. All else is not found."""
        page = {
            "notebook_path": os.path.relpath(self.notebook_path, self.root_dir),
            "template_paths": self.template_paths,
            "config": self.config,
            "voila_configuration": self.voila_configuration,
        }
        kernel = rf"api/kernels/{_kernel_id_regex}"
        shutdown = rf"voila/api/shutdown/{_kernel_id_regex}"
        labextensions = {"path": self.labextensions_path, "no_cache_paths": ["/"]}
        handlers: list[tuple[Any, ...]] = [
            ("", Reader, page),
            (kernel, Kernel),
            (f"{kernel}/channels", Channels),
            (shutdown, VoilaShutdownKernelHandler),
            (rf"voila/templates/((?:workbench|lab|base)/static/{FILE})", TemplateStaticFileHandler),
            (rf"voila/static/({FILE})", MultiStaticFileHandler, {"paths": self.static_paths}),
            (rf"voila/labextensions/({FILE})", FileFindHandler, labextensions),
        ]
        handlers += self.identity_provider.get_handlers()
        return [(self.base_url + path.lstrip("/"), *rest) for path, *rest in handlers]

    def start(self) -> None:
        """Serve until the process is told to end."""
        self.connection_dir = tempfile.mkdtemp(prefix="voila_")
        self.folder = Path(self.notebook_path).parent
        self.pages = Path(os.environ.get(FOLDER) or self.connection_dir)
        self.static = self.pages / "static.html"
        self.preparing = (
            templates()
            .get_template("waiting.html.j2")
            .render(words={code: say("preparing", code) for code in LANGUAGES})
        )
        settings = self.init_settings()
        self.app = Server(**settings)
        self.app.settings.update(self.tornado_settings)
        # A page of another name that leads to this machine gets nothing.
        self.app.add_handlers(_hosts(self.origin), self.init_handlers())
        self.writer: subprocess.Popen[bytes] | None = None
        self.drawn, self.waiting = "", 0
        loop = tornado.ioloop.IOLoop.current()
        self.begun = time.monotonic()
        loop.call_later(1, self.keep_static)
        self.look = tornado.ioloop.PeriodicCallback(self.keep_static, 1000 * LOOK)
        self.look.start()
        self.listen()

    def stop(self) -> None:
        """End the kernels, and what draws the static page."""
        if self.writer:
            self.writer.terminate()
            self.writer.wait(10)
        super().stop()

    def has_place(self, *, ready: bool) -> bool:
        """Return whether one more reader gets a live page.

        Parameters
        ----------
        ready
            True if the kernel must stand ready; false if a reader had better wait for it.
        """
        manager, notebook = self.kernel_manager, os.path.relpath(self.notebook_path, self.root_dir)
        pool = manager._pools.get(notebook, [])
        if pool and pool[0].done() and (pool[0].exception() or _kernel(pool[0]) not in manager):
            pool.pop(0)  # it ended, or never began
        # One who waits may have been given a kernel already: who comes then waits a little longer.
        if sum(kernel in manager for kernel in self.given) + self.waiting >= self.readers:
            return False
        manager.fill_if_needed(0, notebook)
        return not ready or (pool[0].done() and pool[0].result()["task"].done())

    def keep_static(self) -> None:
        """Have the static page written, beside the server, when what it shows has changed."""
        if self.writer and self.writer.poll() is None:
            return
        if (
            not self.drawn
            and time.monotonic() < self.begun + LOOK
            and not self.has_place(ready=True)
        ):
            tornado.ioloop.IOLoop.current().call_later(1, self.keep_static)
            return  # the first reader's kernel needs the processor more
        studies = [self.folder, *(path.parent for path in self.folder.glob("*/study.toml"))]
        digest = "".join(map(digest_of, studies))
        if digest == self.drawn:
            return
        self.drawn = digest
        kind = "page" if (self.folder / "study.toml").is_file() else "index"
        command = [sys.executable, "-P", "-m", f"workbench.publish.{kind}", str(self.folder)]
        environment = {**os.environ, FOLDER: str(self.pages)}
        self.writer = subprocess.Popen(
            ["nice", "-n", "10", *command, str(self.static)],
            env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _kernel(prepared: asyncio.Task[dict[str, Any]]) -> str:
    """Return the id of the kernel that stands ready."""
    return str(prepared.result()["kernel_id"])


def _hosts(origin: str) -> str:
    """Return a pattern of the names under which this server may be asked."""
    proxy = re.sub(r"^https?://|(:\d+)?/?$", "", origin)
    names = ["127.0.0.1", "localhost", *filter(None, [proxy])]
    return rf"({'|'.join(map(re.escape, names))})"


if __name__ == "__main__":
    Dashboard.launch_instance()
