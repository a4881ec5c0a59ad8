import os
import resource
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.encoders.native import _encode_frame as encode_rle

from tests.pixels.pixel_files import RLE, make_file, make_noise
from workbench.errors import ImageError
from workbench.pixels import codecs
from workbench.pixels.byte_source import PixelError
from workbench.pixels.codec_worker import MEMORY
from workbench.pixels.codestream import DECODERS
from workbench.pixels.decoding import decode_frames

DEFLATED = "1.2.840.10008.1.2.8.1"
JPEG = "1.2.840.10008.1.2.4."


class _Runner:
    """What pydicom's RLE encoder asks for."""

    def __init__(self, frame):
        self.rows, self.columns = frame.shape[:2]
        self.samples_per_pixel = frame.shape[2] if frame.ndim == 3 else 1
        self.bits_allocated = 8 * frame.dtype.itemsize

    def get_option(self, name, default=None):
        return "<" if name == "byteorder" else default


def _deflate(frame):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(frame.tobytes()) + packer.flush()


def _unsigned(frame):
    return frame.view(f"u{frame.itemsize}")


def _encode_lossless(frame):
    bits = 8 * frame.itemsize
    return imagecodecs.jpeg8_encode(_unsigned(frame), lossless=True, bitspersample=bits)


ENCODERS = {
    RLE: lambda frame: bytes(encode_rle(frame.tobytes(), _Runner(frame))),
    DEFLATED: _deflate,
    f"{JPEG}57": _encode_lossless,
    f"{JPEG}70": _encode_lossless,
    f"{JPEG}80": lambda frame: imagecodecs.jpegls_encode(_unsigned(frame)),
    f"{JPEG}90": lambda frame: imagecodecs.jpeg2k_encode(frame, reversible=True, level=0),
    f"{JPEG}201": lambda frame: imagecodecs.htj2k_encode(frame, reversible=True),
}


def _compressed(pixels, syntax=f"{JPEG}80", **changed):
    return make_file(pixels, syntax, encapsulated=[ENCODERS[syntax](f) for f in pixels], **changed)


@pytest.mark.parametrize("syntax", ENCODERS)
@settings(max_examples=25)
@given(st.data())
def test_lossless_frames_come_back(syntax, data):
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(8, 40), st.integers(8, 40)))
    colours = data.draw(st.booleans())
    code = data.draw(st.sampled_from("BbHh" if not colours else "B"))
    pixels = make_noise((*shape, 3) if colours else shape, np.dtype(code), shape[1])
    file = _compressed(pixels, syntax)
    np.testing.assert_array_equal(decode_frames(file), pixels)
    last = shape[0] - 1
    np.testing.assert_array_equal(decode_frames(file, None, [last, 0]), pixels[[last, 0]])


@pytest.mark.parametrize("syntax", [f"{JPEG}80", f"{JPEG}90", RLE])
def test_the_sign_is_that_of_the_stored_bits(syntax):
    values = make_noise((1, 16, 16), np.int16) >> 4
    cells = values & 0xFFF if syntax != f"{JPEG}90" else values
    file = _compressed(cells, syntax, BitsStored=12, HighBit=11, PixelRepresentation=1)
    np.testing.assert_array_equal(decode_frames(file), values)


def _items(*values):
    """Return the items of encapsulated pixels; what writes them, ends them."""
    return b"".join(
        b"\xfe\xff\x00\xe0" + len(value).to_bytes(4, "little") + value for value in values
    )


def _table(*offsets):
    return b"".join(offset.to_bytes(4, "little") for offset in offsets)


def _frames():
    pixels = make_noise((3, 16, 16), np.uint8)
    coded = [ENCODERS[f"{JPEG}80"](frame) for frame in pixels]
    return pixels, [frame + b"\0" * (len(frame) % 2) for frame in coded]


def _halves(frame):
    half = len(frame) // 4 * 2
    return frame[:half], frame[half:]


@pytest.mark.parametrize("table", ["right", "none", "odd", "short"])
@pytest.mark.parametrize("split", [False, True])
def test_frames_are_found_by_table_or_by_their_beginnings(table, split):
    pixels, coded = _frames()
    parts = [part for frame in coded for part in (_halves(frame) if split else (frame,))]
    starts, at = [], 0
    for frame in coded:
        starts.append(at)
        at += len(frame) + 8 * (1 + split)
    offsets = {
        "right": _table(*starts),
        "none": b"",
        "odd": _table(0, 6, 4_000_000_000),
        "short": _table(0),
    }[table]
    file = make_file(pixels, f"{JPEG}80", encapsulated=_items(offsets, *parts))
    np.testing.assert_array_equal(decode_frames(file), pixels)


def test_one_frame_may_have_any_number_of_fragments():
    pixels, coded = _frames()
    parts = [coded[0][i : i + 10] for i in range(0, len(coded[0]), 10)]
    file = make_file(pixels[:1], f"{JPEG}80", encapsulated=_items(b"", *parts))
    np.testing.assert_array_equal(decode_frames(file), pixels[:1])


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("truncated", lambda value: value[:-8]),
        ("truncated", lambda value: value[:-9]),
        ("truncated", lambda value: value[:8] + b"\xfe\xff\x00\xe0\xff\xff\0\0" + value[16:]),
        ("bad_fragments", lambda value: value[:8] + b"\xfe\xff\x01\xe0" + value[12:]),
        ("bad_fragments", lambda value: value[:12] + b"\xff\xff\xff\xff" + value[16:]),
        ("bad_length", lambda value: value[-8:]),
        ("bad_fragments", lambda value: value[:-8] + _items(b"\xff\xd8\xff", b"") + value[-8:]),
        ("codec_failed", lambda value: value.replace(b"\xff\xd8\xff", b"\xff\xd8\xfe", 1)),
    ],
)
def test_fragments_that_cannot_be_are_refused_by_name(reason, change):
    pixels, coded = _frames()
    written = make_file(pixels, f"{JPEG}80", encapsulated=_items(b"", *coded))
    at = written.index(_items(b"", *coded))
    file = written[:at] + change(written[at:])
    with pytest.raises(PixelError) as refused:
        decode_frames(file)
    assert refused.value.reason == reason


@pytest.mark.parametrize("syntax", [f"{JPEG}80", f"{JPEG}90"])
def test_a_codestream_that_claims_to_be_huge_is_refused_before_it_is_decoded(syntax):
    pixels = make_noise((1, 16, 16), np.uint8)
    frame = ENCODERS[syntax](pixels[0])
    told, claimed = (b"\0\x10\0\x10", b"\xff\xff\xff\xff")
    if syntax == f"{JPEG}90":
        told, claimed = b"\0\0\0\x10" * 2, b"\0\0\x3f\xff" * 2
    bomb = frame.replace(told, claimed)
    assert bomb != frame
    file = make_file(pixels, syntax, encapsulated=[bomb])
    with pytest.raises(PixelError) as refused:
        decode_frames(file)
    assert refused.value.reason == "codec_failed"
    # Now the file claims it too.
    file = make_file(pixels, syntax, encapsulated=[bomb], Rows=0x3FFF, Columns=0x3FFF)
    start = time.monotonic()
    with pytest.raises(PixelError):
        decode_frames(file)
    assert time.monotonic() - start < codecs.TIME_S


def test_frames_that_grow_without_end_are_refused():
    pixels = np.zeros((40, 4096, 4096), np.uint8)
    frame = _deflate(pixels[0])
    file = make_file(pixels[:1, :2, :2], DEFLATED, encapsulated=[frame] * 40,
                     NumberOfFrames=40, Rows=4096, Columns=4096)  # fmt: skip
    with pytest.raises(PixelError) as refused:
        decode_frames(file)
    assert refused.value.reason == "codec_too_big"
    np.testing.assert_array_equal(decode_frames(file, None, [39]), pixels[39:])


def test_unknown_codings_are_refused_by_name():
    file = make_file(np.zeros((1, 4, 4), np.uint8), f"{JPEG}102", encapsulated=[b"video"])
    with pytest.raises(PixelError) as refused:
        decode_frames(file)
    assert (refused.value.reason, refused.value.detail) == ("unknown_codec", f"{JPEG}102")
    assert f"{JPEG}102" not in DECODERS


def _idle():
    """Return the workers that wait."""
    return codecs._pool._idle


def test_a_worker_that_dies_is_replaced():
    pixels = make_noise((1, 32, 32), np.uint8)
    file = _compressed(pixels)
    decode_frames(file)
    for worker in _idle():
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.wait()
    np.testing.assert_array_equal(decode_frames(file), pixels)


def test_a_worker_that_hangs_is_replaced_and_its_file_refused(monkeypatch):
    pixels = make_noise((1, 32, 32), np.uint8)
    file = _compressed(pixels)
    decode_frames(file)
    (*_, worker) = _idle()
    monkeypatch.setattr(codecs, "TIME_S", 0.5)
    os.kill(worker._process.pid, signal.SIGSTOP)
    with pytest.raises(PixelError) as refused:
        decode_frames(file)
    assert refused.value.reason == "codec_too_slow"
    assert worker._process.returncode == -signal.SIGKILL
    monkeypatch.undo()
    np.testing.assert_array_equal(decode_frames(file), pixels)


def test_a_worker_that_crashes_costs_its_file_alone(monkeypatch):
    pixels = make_noise((1, 32, 32), np.uint8)
    file = _compressed(pixels)
    decode_frames(file)
    (*_, worker) = _idle()
    os.kill(worker._process.pid, signal.SIGSTOP)
    killer = threading.Timer(0.3, os.kill, (worker._process.pid, signal.SIGSEGV))
    killer.start()
    threading.Timer(0.4, os.kill, (worker._process.pid, signal.SIGCONT)).start()
    with pytest.raises(PixelError) as refused:
        decode_frames(file)
    assert refused.value.detail == "the decoder has ended by SIGSEGV"
    np.testing.assert_array_equal(decode_frames(file), pixels)


def test_a_worker_has_a_limit_of_memory():
    decode_frames(_compressed(make_noise((1, 32, 32), np.uint8)))
    (*_, worker) = _idle()
    limits = Path(f"/proc/{worker._process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max address space")]
    assert line.split()[3:5] == [str(MEMORY)] * 2
    assert MEMORY <= 1.5 * 2**30


@pytest.mark.parametrize("syntax", [f"{JPEG}80", f"{JPEG}90"])
def test_a_decoder_that_wants_more_memory_is_refused(syntax):
    pixels = np.zeros((1, 4096, 4096), np.uint16)
    small = _compressed(pixels[:, :32, :32], syntax)
    decode_frames(small)
    (*_, worker) = _idle()
    used = 2**10 * int(_status(worker, "VmSize"))
    resource.prlimit(worker._process.pid, resource.RLIMIT_AS, (used + 2**25, MEMORY))
    with pytest.raises(PixelError) as refused:
        decode_frames(_compressed(pixels, syntax))
    assert refused.value.reason in {"codec_too_big", "codec_failed"}
    np.testing.assert_array_equal(decode_frames(small), pixels[:, :32, :32])


def _status(worker, name):
    lines = Path(f"/proc/{worker._process.pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def test_workers_are_at_most_one_a_core_and_end_when_idle():
    pixels = make_noise((1, 64, 64), np.uint16)
    file = _compressed(pixels)
    wrong = []

    def read():
        for _ in range(10):
            if not np.array_equal(decode_frames(file), pixels):
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert 1 <= len(_idle()) <= len(os.sched_getaffinity(0))
    processes = [worker._process for worker in _idle()]
    codecs._pool.end_idle(1000)
    assert all(process.poll() is None for process in processes)
    codecs._pool.end_idle(0)
    assert all(process.poll() is not None for process in processes)


def test_a_forked_child_has_workers_of_its_own():
    pixels = make_noise((1, 32, 32), np.uint8)
    file = _compressed(pixels)
    decode_frames(file)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(decode_frames(file), pixels) else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(decode_frames(file), pixels)


def test_workers_end_with_their_parent():
    code = (
        "import os, sys\n"
        "from workbench.pixels import codecs\n"
        "worker = codecs._pool.take()\n"
        "print(worker._process.pid, flush=True)\n"
        "os._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_decoder_that_does_not_start_is_no_fault_of_the_file(monkeypatch):
    codecs.end_workers()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ImageError) as refused:
        decode_frames(_compressed(make_noise((1, 8, 8), np.uint8)))
    assert not isinstance(refused.value, PixelError)
    assert "does not start" in str(refused.value)


def test_a_worker_loads_only_what_it_needs():
    code = (
        "import sys, workbench.pixels.codec_worker, workbench.pixels.codestream, imagecodecs\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules} & "
        "{'torch', 'monai', 'dask', 'pydicom', 'polars', 'xarray', 'pandas', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
