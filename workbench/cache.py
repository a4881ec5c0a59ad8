"""Keys of steps: what a step depends on, part by part, and which part changed."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import show

if TYPE_CHECKING:
    from workbench.definition.parameters import Value
    from workbench.definition.steps import Step
    from workbench.site import Site
    from workbench.study import Study

PACKAGE = Path(__file__).resolve().parent
LOCK_FILE = PACKAGE.parent / "requirements.lock"
_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*==", re.MULTILINE)
_INSTALLED = re.compile(r"(.+?)-([^-]+)\.(?:dist|egg)-info$")


def digest_value(value: object) -> str:
    """Return the SHA-256 of a value as canonical JSON, as 64 hex digits.

    Examples
    --------
    >>> digest_value({"b": 1, "a": 2}) == digest_value({"a": 2, "b": 1})
    True
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_path(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or of a folder's names and bytes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = (Path(folder) / "a.txt").write_bytes(b"abc")
    ...     digest_path(Path(folder) / "a.txt")[:16]
    'ba7816bf8f01cfea'
    """
    if path.is_dir():
        files = (p for p in path.rglob("*") if p.is_file())
        return digest_value({p.relative_to(path).as_posix(): digest_path(p) for p in files})
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class StepKey:
    """Hold what a step depends on.

    Parameters
    ----------
    parts
        Part of the key -> name -> value or digest. No wall-clock time of a run is among them.

    Examples
    --------
    >>> StepKey({"parameters": {"bins": 4}}).digest == StepKey({"parameters": {"bins": 5}}).digest
    False
    """

    parts: Mapping[str, Mapping[str, Any]]

    @property
    def digest(self) -> str:
        """SHA-256 of all parts, as 64 hex digits."""
        return digest_value(self.parts)

    def changes(self, earlier: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Return in words which parts differ from those of an earlier key.

        Examples
        --------
        >>> StepKey({"parameters": {"bins": 5}}).changes({"parameters": {"bins": 4}})
        ['parameter bins: 4 -> 5']
        """
        found = []
        for part in dict.fromkeys([*self.parts, *earlier]):
            new, old = self.parts.get(part, {}), earlier.get(part, {})
            for name in dict.fromkeys([*new, *old]):
                if name not in old:
                    found.append(f"{_words(part, name)}: new")
                elif name not in new:
                    found.append(f"{_words(part, name)}: gone")
                elif new[name] != old[name]:
                    found.append(f"{_words(part, name)}: {_change(old[name], new[name])}")
        return found


_PARTS = {
    "notebook": "notebook",
    "parameters": "parameter",
    "upstream": "output of step",
    "study": "study",
    "site": "site",
    "inputs": "input of the site",
    "workbench": "workbench",
    "lock": "package",
    "python": "python",
}


def _words(part: str, name: str) -> str:
    return f"{_PARTS.get(part, part)} {show(name)}"


def _change(old: object, new: object) -> str:
    if _is_digest(old) or _is_digest(new):
        return "changed"
    return f"{show(old)} -> {show(new)}"


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


@cache
def workbench_digest() -> str:
    """Return the SHA-256 of the installed source tree of the workbench."""
    files = (p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digest_value({p.relative_to(PACKAGE).as_posix(): digest_path(p) for p in files})


@cache
def installed_packages() -> Mapping[str, str]:
    """Return name -> version of the installed packages that the lock names, or of all without one.

    What is installed is read, not what the lock asks for, because that is what runs.
    """
    found: dict[str, str] = {}
    for entry in sys.path:
        folder = Path(entry or ".")
        if folder.is_dir():
            for path in folder.glob("*-info"):
                match = _INSTALLED.fullmatch(path.name)
                if match:
                    # The first on the path is the one that is imported.
                    found.setdefault(_normal(match[1]), match[2])
    if LOCK_FILE.is_file():
        locked = {_normal(name) for name in _LOCKED.findall(LOCK_FILE.read_text("utf-8"))}
        found = {name: version for name, version in found.items() if name in locked}
    return dict(sorted(found.items()))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def environment_parts() -> dict[str, dict[str, str]]:
    """Return the parts of a key that are the same for all steps of a machine."""
    return {
        "workbench": {"source": workbench_digest()},
        "lock": dict(installed_packages()),
        "python": {"version": platform.python_version()},
    }


def step_parts(
    study: Study, site: Site, step: Step, parameters: Mapping[str, Value], sample: int | None
) -> dict[str, dict[str, Any]]:
    """Return the parts of a step's key that are known before anything runs.

    Parameters
    ----------
    study, site, step
        What runs, and where.
    parameters
        Value by name.
    sample
        Number of patients to open, or None.

    Returns
    -------
    dict
        All parts but `upstream`. No path of the site is among them.
    """
    code = study.notebook(step.notebook).code
    declared: dict[str, Any] = {}
    for name, dimension in study.file.model_dump(mode="json")["dimensions"].items():
        codelist = study.dimensions[name].codelist
        declared[f"dimension {name}"] = digest_value([dimension, codelist and codelist.digest])
    table = next(t for t in study.file.step if t.id == step.id)
    declared[f"step {step.id}"] = digest_value(table.model_dump(mode="json"))
    if study.files:
        declared["files beside the notebooks"] = digest_value(study.files)
    inputs: dict[str, Any] = dict(site.stamps())
    if sample is not None:
        inputs["sample"] = sample
    return {
        "notebook": {f"code cell {i}": digest_value(c) for i, c in enumerate(code, start=1)},
        "parameters": dict(parameters),
        "study": declared,
        "site": {"declaration": site.digest},
        "inputs": inputs,
        **environment_parts(),
    }
