"""Bundle files: the files of a bundle, a folder or a zip, read once and under limits.

Nothing is extracted: a name in a zip file never becomes a path. Links, devices, encrypted and
doubled members are refused, and so is what is larger than a bundle may be, whatever a zip file
says of itself. Files are read once, and what was digested is what is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import IO, Any

from workbench.errors import PipelineError, show
from workbench.pipelines.bundle_rules import SUSPECT

MOST_FILES = 2_000
MOST_BYTES = 8 * 2**30
"""Bytes that all files of a bundle may have."""
MOST_TEXT = 4 * 2**20
"""Bytes of metadata, and of a configuration."""
MOST_WEIGHTS = 4 * 2**30
MOST_INFLATED = 200
"""How many times its stored size a member of a zip file may have; deflate reaches 1,032."""
METADATA = ("configs/metadata.json", "metadata.json")
CONFIGURATION = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")
WEIGHTS = ("models/model.safetensors", "models/model.pt")
_NAME = re.compile(r"[^\x00-\x1f\x7f\\:]{1,512}")
_BLOCK = 2**20


@dataclass(frozen=True)
class BundleFiles:
    """Hold what is used of a bundle's files.

    Parameters
    ----------
    name
        Name of the folder or zip file.
    digest
        "sha256:…" of all files, by name and content: the same for a folder and a zip of it.
    metadata, configuration, weights
        Name and bytes of each.
    suspect
        Files that hold code or pickles; they are not read.
    """

    name: str
    digest: str
    metadata: tuple[str, bytes] = field(repr=False)
    configuration: tuple[str, bytes] = field(repr=False)
    weights: tuple[str, bytes] = field(repr=False)
    suspect: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Member:
    """One file: its name, its size as it is told, and how it is opened."""

    name: str
    size: int
    source: Path | zipfile.ZipInfo


def refuse(name: str, key: str, value: object, what: str, todo: str) -> PipelineError:
    """Return the error that refuses a bundle, with file, key and value.

    Examples
    --------
    >>> print(refuse("configs/inference.json", "network", "os.system", "Not allowed", "Remove it"))
    Not allowed
      where: configs/inference.json, network: os.system
      do:    Remove it
    """
    where = ", ".join(show(part, 120) for part in (name, key) if part)
    told = "" if value is None else f": {show(value, 120)}"
    return PipelineError(what, where=f"{where}{told}", todo=todo)


def read_bundle_files(path: Path | str) -> BundleFiles:
    """Read the files of a bundle.

    Parameters
    ----------
    path
        A folder, or a zip file of one, with `configs/metadata.json`, `configs/inference.json` or
        `.yaml`, and `models/model.safetensors` or `models/model.pt`.

    Raises
    ------
    PipelineError
        If it is neither, holds what a bundle may not, or lacks a file.
    """
    path = Path(path)
    with _opened(path) as (archive, members):
        if len(members) > MOST_FILES:
            what = f"The bundle holds {len(members):,} files; at most {MOST_FILES:,} are read"
            raise refuse(path.name, "", None, what, "Leave out what a model does not need")
        total = sum(member.size for member in members)
        if total > MOST_BYTES:
            what = f"The bundle has {total:,} bytes; at most {MOST_BYTES:,} are read"
            raise refuse(path.name, "", None, what, "Leave out what a model does not need")
        top = _top(members)
        digests, kept, suspect = [], {}, []
        chosen = _choose({member.name.removeprefix(top) for member in members}, path.name)
        for member in sorted(members, key=lambda m: m.name):
            name = member.name.removeprefix(top)
            content = _read(archive, member, keep=name in chosen)
            digests.append(f"{content[0]} {name}\n")
            if name in chosen:
                kept[name] = content[1]
            if name.lower().endswith(SUSPECT):
                suspect.append(name)
    digest = hashlib.sha256("".join(sorted(digests)).encode("utf-8", "surrogatepass")).hexdigest()
    metadata, configuration, weights = ((name, kept[name]) for name in chosen)
    return BundleFiles(
        path.name, f"sha256:{digest}", metadata, configuration, weights, tuple(suspect)
    )


def _choose(names: set[str], where: str) -> list[str]:
    """Return the names of metadata, configuration and weights."""
    chosen = []
    for what, known in (
        ("metadata", METADATA), ("configuration", CONFIGURATION), ("weights", WEIGHTS)
    ):  # fmt: skip
        found = [name for name in known if name in names]
        if not found:
            others = sorted(n for n in names if n.startswith("models/")) if known is WEIGHTS else []
            there = f"; there is {show(others[0])}" if others else ""
            raise refuse(
                where, known[0], None, f"The bundle has no {what}{there}",
                f"Add {' or '.join(known)}",
            )  # fmt: skip
        if len(found) > 1:
            both = f"The bundle has its {what} twice"
            raise refuse(where, " and ".join(found), None, both, "Keep one of them")
        chosen += found
    return chosen


def _top(members: list[_Member]) -> str:
    """Return the one folder that all files of a zip lie in, such as "lungs/", or ""."""
    if any(member.name in (*METADATA, *CONFIGURATION) for member in members):
        return ""
    tops = {member.name.partition("/")[0] for member in members if "/" in member.name}
    return f"{tops.pop()}/" if len(tops) == 1 else ""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile | None, list[_Member]]]:
    if path.is_dir():
        yield None, _list_folder(path)
        return
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise refuse(path.name, "", None, "The bundle is no file", "Name a folder or a zip")
        with zipfile.ZipFile(path) as archive:
            yield archive, _list_zip(archive, path.name)
    except FileNotFoundError:
        raise refuse(path.name, "", None, "There is no such bundle", "Correct the path") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ):
        what = "The bundle is neither a folder nor a sound zip file"
        raise refuse(path.name, "", None, what, "Ask its maker for it again") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the system refuses"
        what = f"The bundle cannot be read: {reason}"
        raise refuse(path.name, "", None, what, "Check its rights") from None


def _list_folder(folder: Path) -> list[_Member]:
    found: list[_Member] = []
    waiting = [folder]
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            name = entry.relative_to(folder).as_posix()
            mode = entry.lstat().st_mode
            if stat.S_ISDIR(mode):
                waiting.append(entry)
            elif stat.S_ISREG(mode):
                found.append(_Member(name, entry.lstat().st_size, entry))
            else:
                what = "The bundle holds a link or a device"
                raise refuse(folder.name, name, None, what, "Put the file itself there")
            if len(found) + len(waiting) > MOST_FILES:
                return found + [_Member("", 0, folder)] * MOST_FILES
    return found


def _list_zip(archive: zipfile.ZipFile, where: str) -> list[_Member]:
    found, seen = [], set()
    for info in archive.infolist():
        name = info.orig_filename
        if problem := _find_problem(info, name):
            todo = "Make the zip file again, of plain files inside one folder"
            raise refuse(where, name, None, problem, todo)
        if info.is_dir():
            continue
        if name.casefold() in seen:
            todo = "Keep one of them"
            raise refuse(where, name, None, "The zip file holds a name twice", todo)
        seen.add(name.casefold())
        found.append(_Member(name, info.file_size, info))
    return found


def _find_problem(info: zipfile.ZipInfo, name: str) -> str:
    parts = PurePosixPath(name).parts
    if not _NAME.fullmatch(name) or name.startswith("/") or ".." in parts:
        return "A name in the zip file leads out of it, or is none"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "The zip file holds a link or a device"
    if info.flag_bits & 0x1:
        return "The zip file is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "The zip file is compressed in a way that is not read"
    if info.file_size > max(_BLOCK, MOST_INFLATED * info.compress_size):
        return f"A file of the zip would become more than {MOST_INFLATED} times as large"
    return ""


def _read(archive: zipfile.ZipFile | None, member: _Member, *, keep: bool) -> tuple[str, bytes]:
    """Return the digest of a file, and its bytes if they are to be kept."""
    limit = MOST_BYTES
    if keep:
        limit = MOST_WEIGHTS if member.name.endswith(WEIGHTS) else MOST_TEXT
    too_large = refuse(
        member.name, "", None, f"The file is larger than {limit:,} bytes", "Make it smaller"
    )
    if member.size > limit:
        raise too_large
    digest, parts, size = hashlib.sha256(), [], 0
    with _open_member(archive, member) as file:
        while block := file.read(_BLOCK):
            size += len(block)
            if size > limit:
                raise too_large
            digest.update(block)
            if keep:
                parts.append(block)
    return digest.hexdigest(), b"".join(parts)


def _open_member(archive: zipfile.ZipFile | None, member: _Member) -> IO[bytes]:
    if archive is not None and isinstance(member.source, zipfile.ZipInfo):
        return archive.open(member.source)
    # A link that was put there since is not followed.
    handle = os.open(str(member.source), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    return open(handle, "rb")  # noqa: PTH123 - of the handle; closed by who asked


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    """Return a JSON object; a key that stands twice, and a number that is none, are refused.

    Raises
    ------
    PipelineError
        If it is no such object.
    """

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_doubles([key for key, _ in found], name)
        return dict(found)

    def constant(text: str) -> float:
        raise refuse(name, "", text, "A number is not finite", "Write a finite number")

    try:
        data = json.loads(content.decode(), object_pairs_hook=pairs, parse_constant=constant)
    except (RecursionError, ValueError):
        todo = "Ask the bundle's maker for it again"
        raise refuse(name, "", None, "The file is not readable as JSON", todo) from None
    return _require_object(data, name)


def parse_yaml(content: bytes, name: str) -> dict[str, Any]:
    """Return a YAML mapping of plain values; anchors, aliases and tags are refused.

    Raises
    ------
    PipelineError
        If it is no such mapping.
    """
    yaml = import_module("yaml")
    todo = "Write the same as JSON"
    try:
        for event in yaml.parse(content, Loader=yaml.SafeLoader):
            if getattr(event, "anchor", None) is not None:
                what = "Anchors and aliases are not read"
                raise refuse(name, f"line {event.start_mark.line + 1}", event.anchor, what, todo)
            if getattr(event, "tag", None) is not None:
                what = "Tags are not read"
                raise refuse(name, f"line {event.start_mark.line + 1}", event.tag, what, todo)
        node = yaml.compose(content, Loader=yaml.SafeLoader)
        _refuse_twice(node, name)
        data = yaml.load(content, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise refuse(name, "", None, "The file is not readable as YAML", todo) from None
    return _require_object(data, name)


def _refuse_doubles(keys: Sequence[str], name: str) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise refuse(name, key, None, "A key stands twice", "Keep one of them")
        seen.add(key)


def _refuse_twice(node: Any, name: str) -> None:  # noqa: ANN401 - a node of YAML, which has no types
    waiting = [node]
    while waiting:
        held = waiting.pop()
        if getattr(held, "id", "") == "sequence":
            waiting += held.value
        elif getattr(held, "id", "") == "mapping":
            _refuse_doubles([str(key.value) for key, _ in held.value], name)
            waiting += [value for _, value in held.value]


def _require_object(data: object, name: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise refuse(name, "", None, "The file holds no table of keys", "Write one object")
    return data
