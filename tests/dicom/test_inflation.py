"""Inflation: the same limits for headers and for pixels."""

import zlib

import pytest

from workbench.dicom import inflation
from workbench.dicom.inflation import ALWAYS_INFLATED, MOST_TIMES, inflate
from workbench.dicom.refusals import UnreadableFile
from workbench.pixels.byte_source import ByteSource, PixelError
from workbench.pixels.byte_source import inflate as inflate_source


def deflated(content):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def reasons(content, start=0):
    """Return why a header and why pixels are refused; they are one."""
    told = []
    for attempt in (
        lambda: inflate(lambda at, count: content[at : at + count], start, len(content)),
        lambda: inflate_source(ByteSource(None, content), start).read(0, 10**9),
    ):
        try:
            told.append(attempt())
        except (UnreadableFile, PixelError) as error:
            told.append((error.reason, error.detail))
    assert told[0] == told[1]
    return told[0] if isinstance(told[0], bytes) else told[0][0]


def test_a_data_set_comes_back_whole():
    assert reasons(b"head" + deflated(b"data set"), 4) == b"data set"
    assert reasons(deflated(bytes(ALWAYS_INFLATED))) == bytes(ALWAYS_INFLATED)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (deflated(bytes(ALWAYS_INFLATED + 1)), "too_big_to_inflate"),
        (deflated(b"data set")[:-3], "truncated"),
        (b"", "truncated"),
        (b"\xff" * 30, "bad_meta"),
    ],
)
def test_what_is_not_inflated(content, reason):
    assert reasons(content) == reason


def test_it_may_grow_so_many_times(monkeypatch):
    monkeypatch.setattr(inflation, "ALWAYS_INFLATED", 0)
    packed = deflated(bytes(2000))
    monkeypatch.setattr(inflation, "MOST_TIMES", -(-2000 // len(packed)))
    assert len(reasons(packed)) == 2000
    monkeypatch.setattr(inflation, "MOST_TIMES", MOST_TIMES // MOST_TIMES)
    assert reasons(packed) == "too_big_to_inflate"
    monkeypatch.setattr(inflation, "MOST_INFLATED", len(packed) - 1)
    assert reasons(packed) == "too_big_to_inflate"
