"""A new study: a small true one, to be changed into another."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from pathlib import Path

from workbench.definition.declaration import is_name
from workbench.errors import DefinitionError, show

TEMPLATE = Path(__file__).parent / "resources" / "template"
_UNWANTED = shutil.ignore_patterns(".*", "__pycache__")
_PLACEHOLDER = 'id = "new_study"'


def create_study(folder: Path | str, id: str) -> Path:  # noqa: A002 - the word of study.toml
    """Write a new study that passes its check and runs on any exam table.

    Parameters
    ----------
    folder
        Folder to make; it must not exist, or be empty.
    id
        Id of the study.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    DefinitionError
        When the id is no name, or the folder is in use; nothing is written then.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     made = create_study(Path(parent, "my_study"), "my_study")
    ...     sorted(path.name for path in made.glob("*.toml"))
    ['sites.toml', 'study.toml']
    """
    folder = Path(folder)
    if not is_name(id):
        good = re.sub(r"[^a-z0-9]+", "_", id[:64].casefold()).strip("_0123456789")
        raise DefinitionError(
            f"{show(id)!r} cannot be the id of a study",
            where="study.id",
            todo=f"Use 1 to 64 of a-z, 0-9 and _, a letter first, e.g. {good or 'my_study'!r}",
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Renaming leaves no half study behind, and never replaces a folder that holds something.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as temporary:
            made = Path(shutil.copytree(TEMPLATE, Path(temporary, "study"), ignore=_UNWANTED))
            declared = made / "study.toml"
            text = declared.read_text(encoding="utf-8")
            declared.write_text(text.replace(_PLACEHOLDER, f'id = "{id}"', 1), encoding="utf-8")
            made.rename(folder)
    except OSError as exc:
        if exc.errno in (errno.ENOTEMPTY, errno.EEXIST) and folder.is_dir():
            raise DefinitionError(
                "The folder exists already and is not empty",
                where=show(str(folder), 200),
                todo="Name a new folder, or edit the study that is there",
            ) from None
        raise DefinitionError(
            f"The folder cannot be written: {exc.strerror}",
            where=show(str(folder), 200),
            todo="Name a new folder, in a place that you may write to",
        ) from None
    return folder
