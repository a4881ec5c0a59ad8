"""Stamp: what the system says of files, to see that they changed without opening them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def stamp(path: Path) -> str:
    """Return count, bytes and a digest of what the system says of a file or of a folder's files.

    Names, sizes, inodes and the times of content and status are in it, so that a file which was
    overwritten with one of its size and given its old time differs too. Links are followed.

    Returns
    -------
    str
        "files:bytes:digest", or "absent". No name stands in it.
    """
    files, size = 0, 0
    digest = hashlib.sha256()
    try:
        entries = sorted(_walk(path)) if path.is_dir() else [("", path.stat())]
    except OSError:
        return "absent"
    for name, status in entries:
        files += 1
        size += status.st_size
        facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        digest.update(f"{name}\0{facts}\n".encode(errors="surrogateescape"))
    return f"{files}:{size}:{digest.hexdigest()[:16]}"


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()  # a link that leads back
            continue
        seen.add((status.st_dev, status.st_ino))
        for name in names:
            path = Path(parent, name)
            # A link that leads nowhere counts as itself.
            yield str(path.relative_to(folder)), path.stat() if path.exists() else path.lstat()
