"""Read every file of a folder as the archive would, in a process with a limit of memory.

`python -m tests.imaging.reading FOLDER` prints one line of JSON a file, then one with the memory
it took.
"""

import hashlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

from workbench.dicom.header import read_header
from workbench.dicom.refusals import UnreadableFile
from workbench.errors import WorkbenchError
from workbench.imaging.volume import load_volume
from workbench.pixels import codecs
from workbench.pixels.decoding import decode_frames

MOST_BYTES = 3 * 2**29
LONGEST_S = 20


def read(path):
    """Return what is made of one file: digests, or the reasons why not, and how long it took."""
    told = {"file": path.name}
    for name, reading in READINGS.items():
        start = time.monotonic()
        told[name] = reading(path)
        told[f"{name}_s"] = round(time.monotonic() - start, 3)
    return told


def _tell(content):
    """Return a digest of what a function makes, or why it makes nothing."""
    try:
        return hashlib.sha256(content()).hexdigest()[:16]
    except (UnreadableFile, WorkbenchError) as error:
        return f"refused {getattr(error, 'reason', error)}"
    except MemoryError:
        return "FAULT MemoryError"
    except Exception as error:  # noqa: BLE001 - whatever comes is a fault to be told
        frames = traceback.extract_tb(error.__traceback__)
        places = [
            f"{Path(f.filename).name}:{f.lineno}" for f in frames if "workbench" in f.filename
        ]
        return f"FAULT {type(error).__name__} {' < '.join(places[::-1])}"


def _header(path):
    return _tell(lambda: json.dumps(read_header(path), default=str).encode())


def _pixels(path):
    return _tell(lambda: decode_frames(path).data)


def _volume(path):
    """Read a volume of one file in a child, which may take what memory and time it likes."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(LONGEST_S)
        most = 1024 * _kib("self", "VmSize") + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        told = _tell(lambda: load_volume([path], slices=1).values.copy().data)
        os.write(writer, told.encode())
        codecs.end_workers()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return told or f"FAULT ended with {status}"


READINGS = {"header": _header, "pixels": _pixels, "volume": _volume}


def main(folder):
    """Read every file of a folder, and tell what it comes to."""
    workers = 0
    for path in sorted(folder.iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sys.stdout.write(json.dumps(read(path)) + "\n")
            sys.stdout.flush()
        idle = [worker._process.pid for worker in codecs._pool._idle]
        workers = max([workers, *(_kib(process, "VmHWM") / 1024 for process in idle)])
    # Not ru_maxrss: it holds what the process took that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    own = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    sys.stdout.write(json.dumps({"own_mib": own, "worker_mib": workers}) + "\n")


def _kib(process, name):
    """Return a size that the system tells of a process (KiB)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
