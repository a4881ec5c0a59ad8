"""Careful worker: the process that reads doubtful files; started by `workbench.dicom.careful`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from typing import Any

from workbench.running.limited import limit, serve


def main(descriptor: int) -> None:
    """Answer requests until the other side closes.

    Parameters
    ----------
    descriptor
        Socket of the requests.
    """
    limit()
    # Imported before the first request, so that a file's time is its own.
    from workbench.dicom import careful  # noqa: F401
    from workbench.dicom.header_walk import depth_of
    from workbench.dicom.stored import quiet_pydicom

    quiet_pydicom()
    depth_of(b"", implicit=False, big=False)  # compiled, if it was not before
    serve(descriptor, _answers)


def _answers(request: dict[str, Any]) -> Iterable[dict[str, Any]]:
    module, _, name = request["reader"].rpartition(".")
    answers: Iterable[dict[str, Any]] = getattr(importlib.import_module(module), name)(request)
    return answers


if __name__ == "__main__":
    main(int(sys.argv[1]))
