"""One papermill call: typed parameters in, outputs out.

The kernel speaks over sockets in a private folder (transport ``ipc``): nothing that takes a command
listens on a port. (ipykernel itself opens one on the loopback interface, for the output of
processes that a notebook forks.) Where no path is short enough for a socket, the kernel falls back
to ``tcp`` on the loopback interface, where each message is signed.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.definition.steps import SAMPLE
from workbench.errors import ExecutionError, SiteError, WorkbenchError, show
from workbench.running.disk import FULL
from workbench.unreadable import UnreadableError, read_told

if TYPE_CHECKING:
    from workbench.definition.parameters import Value

KERNEL = "python3"
SOCKET_PATH = 107
"""Longest path of a socket on Linux, in bytes (unix(7))."""
GRACE_S = 15.0
"""How long a kernel may take to end by itself, in s, before it is killed."""
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, AssertionError)
"""What papermill raises on a notebook that has not the form of one."""
_FULL = re.compile(r"\b(?:Errno|os error) (?:{})\b".format("|".join(str(e) for e in FULL)))


@dataclass(frozen=True)
class Stopped:
    """Say where a notebook stopped, without a word of its message or traceback.

    Parameters
    ----------
    error
        Class of the exception.
    cell
        The number in the brackets of ``In [ ]``, or None.
    full
        Whether there was no space left.
    told, todo
        What is wrong with the site's table, and what to do, if that is what stopped it.
    """

    error: str
    cell: int | None
    full: bool = False
    told: str = ""
    todo: str = ""


def kernel_environment(sample: int | None) -> dict[str, str]:
    """Return the environment of a kernel: this process's, with fixed string hashes.

    Parameters
    ----------
    sample
        Number of patients to open, or None for all.
    """
    # A variable that someone exported must not make a sample of a run that is not marked as one.
    environment = {name: value for name, value in os.environ.items() if name != SAMPLE}
    environment |= _settings(sample)
    # Silences a remark about the debugger at each start.
    return environment | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _settings(sample: int | None) -> dict[str, str]:
    return {"PYTHONHASHSEED": "0"} | ({} if sample is None else {SAMPLE: str(sample)})


def papermill_command(
    notebook: Path, executed: Path, params: Path, output_dir: Path, *, cwd: Path, sample: int | None
) -> str:
    """Return the stock command line that is equal to what `run_notebook` does.

    Parameters
    ----------
    notebook
        Notebook to execute.
    executed
        Where the executed notebook goes.
    params
        YAML file of all parameters but `output_dir`.
    output_dir
        Folder for the outputs; must exist.
    cwd
        Working folder of the kernel.
    sample
        As in `kernel_environment`.

    Examples
    --------
    >>> papermill_command(Path("1.ipynb"), Path("o.ipynb"), Path("p.yaml"), Path("out"),
    ...                   cwd=Path("."), sample=None)
    'PYTHONHASHSEED=0 papermill 1.ipynb o.ipynb -f p.yaml -r output_dir out --cwd . -k python3'
    """
    settings = [f"{name}={value}" for name, value in _settings(sample).items()]
    words = ["papermill", _template(notebook), _template(executed), "-f", str(params)]
    words += ["-r", "output_dir", str(output_dir), "--cwd", str(cwd), "-k", KERNEL]
    return " ".join([*settings, shlex.join(words)])


def _template(path: Path) -> str:
    """Return a path as papermill wants it: it formats paths, so a brace is written twice."""
    return str(path).replace("{", "{{").replace("}", "}}")


class Kernel:
    """Start a Python kernel for one notebook; it boots while the caller goes on.

    Parameters
    ----------
    cwd
        Its working folder.
    environment
        Its environment.
    name
        Begins the name of its socket folder, so that what a dead process left can be found.

    Raises
    ------
    ExecutionError
        When the process cannot be started.
    """

    def __init__(self, cwd: Path, environment: Mapping[str, str], name: str) -> None:
        from jupyter_client.manager import AsyncKernelManager
        from jupyter_core.utils import run_sync

        self._folder = _socket_folder(name)
        where = {"connection_file": str(self._folder / "k.json")}
        if _fits(self._folder):
            where |= {"transport": "ipc", "ip": str(self._folder / "k")}
        self.manager = manager = _untyped(AsyncKernelManager(kernel_name=KERNEL, **where))
        try:
            run_sync(manager.start_kernel)(
                extra_arguments=["--HistoryManager.hist_file=:memory:"],
                cwd=str(cwd),
                env=dict(environment),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ExecutionError(
                f"The kernel could not be started: {error.strerror}",
                where=f"kernel {KERNEL}",
                todo="Install the kernel: python -m pip install ipykernel",
            ) from None
        self._process: subprocess.Popen[bytes] = manager.provisioner.process
        self._clients: list[Any] = []
        connect = manager.client

        def remember(**options: object) -> Any:  # noqa: ANN401 - jupyter_client is untyped
            self._clients.append(connect(**options))
            return self._clients[-1]

        manager.client = remember

    def close(self) -> None:
        """Let the kernel end by itself, so that files are flushed and exit hooks run."""
        if self._clients and self._process.poll() is None:
            # A shutdown request is answered on a thread that can deadlock with the end of the
            # kernel (ipykernel 7, one time in ten); the main thread ends without that.
            leave = "get_ipython().exit_now = True"
            self._clients[-1].execute(leave, silent=True, store_history=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
        self.kill()

    def kill(self) -> None:
        """End the kernel and all it started, at once; may be called twice."""
        from jupyter_core.utils import run_sync

        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for client in self._clients:
            client.stop_channels()
        run_sync(self.manager.cleanup_resources)()
        shutil.rmtree(self._folder, ignore_errors=True)


def _untyped(thing: object) -> Any:  # noqa: ANN401 - jupyter_client's types are half there
    return thing


def _own_errors() -> frozenset[str]:
    leaves = {cls.__name__ for cls in WorkbenchError.__subclasses__()}
    return frozenset(leaves | {UnreadableError.__name__})


def _known_errors() -> frozenset[str]:
    return _own_errors() | {name for name in dir(builtins) if name.endswith("Error")}


def _socket_folder(name: str) -> Path:
    places = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - mkdtemp makes it private
    place = next((p for p in places if p.is_dir() and _fits(p / f"{name}-12345678")), places[0])
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / "k-99")) < SOCKET_PATH


def sweep_sockets(name: str) -> None:
    """Remove the socket folders that dead processes left under a name."""
    for place in {tempfile.gettempdir(), "/tmp"}:  # noqa: S108 - only removes what mkdtemp made
        for folder in Path(place).glob(f"{name}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def run_notebook(
    notebook: Path,
    executed: Path,
    parameters: Mapping[str, Value],
    kernel: Kernel,
    on_cell: Callable[[int, int], None],
) -> Stopped | None:
    """Execute a notebook with papermill and write it with its outputs.

    Parameters
    ----------
    notebook
        Notebook to execute; it is not changed.
    executed
        Where the executed notebook goes, also when it stops; nothing stands there yet.
    parameters
        Value by name; the caller answers for the names, which become code.
    kernel
        A kernel that nothing has used yet; the caller closes it.
    on_cell
        Called with the number of the code cell that starts, and how many there are.

    Returns
    -------
    Stopped or None
        Where the notebook stopped, or None when it ran to its end.

    Raises
    ------
    ExecutionError
        When the notebook put something in the place of its executed form.
    """
    # Imported here, while the kernel boots: a run with nothing to do never needs it.
    import nbformat
    import papermill
    from nbclient.exceptions import CellControlSignal
    from papermill.exceptions import PapermillException, PapermillExecutionError

    seen = _Seen(on_cell)
    with _quiet():
        try:
            papermill.execute_notebook(
                _template(notebook),
                None,  # written here: papermill would wait for ever at a pipe in that place
                dict(parameters),
                kernel_name=KERNEL,
                progress_bar=False,
                request_save_on_cell_execute=False,
                km=kernel.manager,
                on_notebook_start=seen.notebook_starts,
                on_cell_execute=seen.cell_starts,
            )
            stopped = None
        except PapermillExecutionError as error:
            stopped = _read_stop(error.ename, str(error.evalue), error.exec_count)
        except OSError as error:
            if error.errno not in FULL:
                raise
            stopped = Stopped(type(error).__name__, seen.cell, full=True)
        except (CellControlSignal, RuntimeError, PapermillException, *UNREADABLE) as error:
            # The kernel died or did not answer, or papermill cannot read the notebook.
            stopped = Stopped(type(error).__name__, seen.cell or None)
        if seen.notebook is None:
            return stopped
        try:
            _write_executed(_untyped(nbformat).writes(seen.notebook), executed)
        except UNREADABLE as error:
            return stopped or Stopped(type(error).__name__, None)
        except OSError as error:
            if error.errno not in FULL:
                raise
            return stopped or Stopped(type(error).__name__, seen.cell, full=True)
    return stopped


def _read_stop(error: str, text: str, cell: int | None) -> Stopped:
    """Return what may be told of an exception's class and text."""
    if error in _own_errors():
        told, todo = read_told(text)
        if told:
            return Stopped(SiteError.__name__, cell, told=told, todo=todo)
        error = SiteError.__name__ if error == UnreadableError.__name__ else error
    # The name of a class is free text too: only names that everybody knows are told.
    name = error if error in _known_errors() else "Exception"
    return Stopped(name, cell, _FULL.search(text) is not None)


def _write_executed(text: str, executed: Path) -> None:
    """Write a new file; what stands in its place can only be the notebook's doing."""
    try:
        with executed.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ExecutionError(
            "The notebook put something in the place of its own executed form",
            where=show(str(executed), 1000),
            todo="Let the notebook write into output_dir only",
        ) from None


@dataclass
class _Seen:
    """What nbclient told while it ran: it tells nothing when a kernel dies."""

    on_cell: Callable[[int, int], None]
    notebook: Any = None
    cell: int = 0

    def notebook_starts(self, notebook: Any) -> None:  # noqa: ANN401 - nbclient is untyped
        self.notebook = notebook

    def cell_starts(self, cell: Any, cell_index: int) -> None:  # noqa: ANN401, ARG002 - nbclient's hook
        self.cell += 1
        self.on_cell(self.cell, sum(c.cell_type == "code" for c in self.notebook.cells))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep papermill and its libraries from writing to the terminal: they quote cells."""
    loggers = [logging.getLogger(name) for name in ("papermill", "traitlets", "jupyter_client")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
