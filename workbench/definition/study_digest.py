"""Study digest: of what lies in a study folder beside its notebooks, and a notebook may read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from workbench.definition.declaration import inside
from workbench.errors import DefinitionError, show

LARGEST = 50_000_000
"""Most bytes that lie beside the notebooks of a study."""
APART = ("study.toml", "sites.toml", "PROTOCOL.md")
"""Files whose content counts elsewhere, or for no number."""
MADE = ("releases", "runs", "__pycache__")
"""Folders of what was made with a study."""


def digest_files(folder: Path, apart: Collection[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of each file of a study that is no notebook and not hidden, by its path.

    Parameters
    ----------
    folder
        The study folder.
    apart
        Paths that are left out: they are digested by what they mean.

    Raises
    ------
    DefinitionError
        When the files are too large together, cannot be read, or a link leads out of the folder.
    """
    try:
        files = [path for path in _walk(folder) if path.relative_to(folder).as_posix() not in apart]
        for path in files:
            inside(folder, str(path.relative_to(folder)))
        size = sum(path.stat().st_size for path in files)
        if size > LARGEST:
            raise DefinitionError(
                f"{size:,} bytes lie beside the notebooks; at most {LARGEST:,} are read",
                where=show(str(folder), 200),
                todo="Keep data in the folder of a site: a study holds notebooks and small tables",
            )
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.is_file()
        }
    except ValueError as exc:  # of `inside`
        todo = "Copy the file into the study folder"
        raise DefinitionError(str(exc), where=show(str(folder), 200), todo=todo) from None
    except (OSError, RecursionError) as exc:
        reason = getattr(exc, "strerror", None) or "nested too deeply"
        raise DefinitionError(
            f"A file beside the notebooks cannot be read: {reason}",
            where=show(str(folder), 200),
            todo="Correct its rights, or remove it",
        ) from None


def _walk(folder: Path) -> Iterator[Path]:
    """Yield files and links to folders, in order."""
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        top = Path(parent) == folder
        folders[:] = sorted(f for f in folders if f[0] != "." and not (top and f in MADE))
        links = [f for f in folders if Path(parent, f).is_symlink()]
        for name in sorted(names) + links:
            path = Path(parent, name)
            if name[0] != "." and path.suffix != ".ipynb" and not (top and name in APART):
                yield path


def _refuse(error: OSError) -> None:
    raise error
