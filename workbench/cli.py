"""The commands: parse, call, print."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Annotated

import typer

from workbench.commands import archives, machine, pages, releases, sites, studies
from workbench.errors import WorkbenchError

ABOUT = (
    "Write an imaging study once, run it at every institution, release only aggregates, "
    "pool them, publish."
)
STOPPED = 130
"""Exit code of a command that was stopped by Ctrl-C or SIGTERM, as typer gives it."""
app = typer.Typer(
    name="workbench",
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run a command; print an error in three lines and exit with the code of its class."""
    # What a service manager or a scheduler stops ends as by Ctrl-C: with all that it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    debug = "--debug" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that a terminal lacks must not stop it
            stream.reconfigure(errors="backslashreplace")
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        app(args=arguments, prog_name="workbench")
    except WorkbenchError as error:
        if debug:
            raise
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
    except SystemExit as end:
        if end.code == STOPPED:
            sys.stderr.write("Stopped. The same command goes on from here.\n")
        raise
    except BrokenPipeError:  # the reader, such as `head`, has what it wants
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except Exception as error:
        if debug:
            raise
        # A traceback can hold patient data, so only its class is shown.
        sys.stderr.write(
            f"Unexpected {type(error).__name__}\n  do:    Run with --debug, at the site only\n"
        )
        raise SystemExit(1) from None


@app.callback(help=ABOUT)
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the trace of an error; it may hold patient data.")
    ] = False,
) -> None:
    """Take the options of every command."""


# In the order of a study's life; `--help` shows them so.
for command in (
    machine.doctor,
    sites.datasets,
    sites.site,
    studies.new,
    studies.check,
    sites.key,
    archives.scan,
    studies.run,
    releases.release,
    releases.verify,
    releases.pool,
    studies.reproduce,
    pages.publish,
    machine.clean,
):
    app.command()(command)
