"""Commands about what an institution holds: a scan of its archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import Json
from workbench.errors import REFUSALS, UsageError

if TYPE_CHECKING:
    from workbench.catalog.catalog import Catalog
    from workbench.catalog.scan import Progress


def scan(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="A site.toml or its folder, or a folder of DICOM files."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="CATALOG", help="Folder of the catalog, for a folder."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=256, help="Processes that read. Default: all cores."),
    ] = None,
    emptied: Annotated[
        bool, typer.Option("--emptied", help="The archive was emptied: empty its catalog too.")
    ] = False,
    list_refused: Annotated[
        bool, typer.Option("--list-refused", help="List each refused file with its reason.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the catalog of an archive up to date."""
    from workbench.archive.site_scan import scan_site
    from workbench.capacity import read_cores
    from workbench.catalog.scan import scan as scan_folder
    from workbench.site import read_site
    from workbench.terminal import note, say

    if out is None and (path / "site.toml").is_file():
        path /= "site.toml"
    _require_one_place(path, out)
    workers = workers or read_cores()
    with _progress() as listen:
        if out is None:
            catalog = scan_site(read_site(path), workers=workers, emptied=emptied, progress=listen)
        else:
            catalog = scan_folder(path, out, workers=workers, emptied=emptied, progress=listen)
    for text in catalog.notes:
        note(text)
    if as_json:
        _print_json(catalog, list_refused=list_refused)
    else:
        _print(catalog, list_refused=list_refused)
        if out is None:
            say(f"Next: workbench run STUDY --site {path}")
    if catalog.wrong:
        raise typer.Exit(REFUSALS)


def _require_one_place(path: Path, out: Path | None) -> None:
    """Refuse a folder without a place for its catalog, and a site with two."""
    if path.suffix != ".toml" and out is None:
        raise UsageError(
            "Say where the catalog shall go",
            where="workbench scan",
            todo=f"Add --out FOLDER, or name a site.toml: workbench scan {path} --out catalog",
        )
    if path.suffix == ".toml" and out is not None:
        raise UsageError(
            "A site.toml says itself where its catalog is",
            where="workbench scan --out",
            todo=f"Leave out --out, or write archive.catalog in {path.name}",
        )


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Show bars on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    names = {"walk": "files found", "read": "headers read", "write": "tables written"}
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {step: bars.add_task(name, total=None, start=False) for step, name in names.items()}

        def listen(progress: Progress) -> None:
            task = tasks[progress.step]
            bars.start_task(task)
            bars.update(task, completed=progress.done, total=progress.total or None)

        yield listen


def _print(catalog: Catalog, *, list_refused: bool) -> None:
    from workbench.dicom.refusals import REASONS
    from workbench.terminal import print_table, say

    print_table(
        ["modality", "instances"],
        [[name or "not stated", f"{n:,}"] for name, n in catalog.modalities.items()],
        title=f"Catalog {catalog.folder}",
        numbers=["instances"],
    )
    if catalog.reasons:
        # What is no image stands last: of a folder of people's, it is most of what is refused.
        reasons = sorted(catalog.reasons.items(), key=lambda counted: counted[0] == "not_dicom")
        print_table(
            ["refused", "files", "because"],
            [[reason, f"{n:,}", REASONS[reason]] for reason, n in reasons],
            title="Not in the catalog",
            numbers=["files"],
        )
    if "no_identifiers" in catalog.reasons:
        say("no_identifiers: a folder of one series can still be opened: open_volume(FOLDER)")
    if list_refused:
        rows = catalog.refused().collect().iter_rows()
        print_table(["file", "reason", "detail"], [list(row) for row in rows])
    counts = catalog.counts
    looked_at = counts["instances"] + counts["refused"]
    told = ", ".join(f"{counts[n]:,} {n}" for n in ("series", "exams", "patients"))
    packed = f", {counts['members']:,} of them in zip files" if catalog.root.is_absolute() else ""
    say(
        f"{looked_at:,} files{packed if counts['containers'] else ''}: "
        f"{counts['instances']:,} instances and {counts['refused']:,} refused; {told}",
        wrap=True,
    )
    if unknown := _count_without_patient(catalog):
        say(f"{unknown:,} exam{'s' * (unknown > 1)} without a patient: no study counts them")
    if catalog.reasons and not list_refused:
        say("The same command with --list-refused names each refused file")


def _count_without_patient(catalog: Catalog) -> int:
    """Return how many exams name no patient."""
    import polars as pl

    rows = catalog.series().filter(pl.col("patient_id").fill_null("") == "")
    return int(rows.select(pl.col("exam_uid").n_unique()).collect(engine="streaming").item())


def _print_json(catalog: Catalog, *, list_refused: bool) -> None:
    from workbench.terminal import print_json

    document: dict[str, object] = {
        "catalog": str(catalog.folder),
        "counts": catalog.counts,
        "modalities": catalog.modalities,
        "refused": catalog.reasons,
        "fingerprint": catalog.fingerprint(),
    }
    if list_refused:
        document["files"] = catalog.refused().collect().to_dicts()
    print_json(document)
