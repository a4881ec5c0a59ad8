import pytest

from tests.pixels.pixel_files import RLE, make_file, make_noise
from workbench.dicom import pixel_data
from workbench.dicom.header import read_header
from workbench.dicom.pixel_data import UNDEFINED, check_end, walk_fragments
from workbench.dicom.refusals import UnreadableFile
from workbench.pixels.byte_source import PixelError
from workbench.pixels.decoding import decode_frames


def _item(value):
    return b"\xfe\xff\x00\xe0" + len(value).to_bytes(4, "little") + value


END = b"\xfe\xff\xdd\xe0" + bytes(4)


def _reader(content):
    return lambda at, count: content[at : at + count]


def _walk(content, offset=0):
    return list(walk_fragments(_reader(content), offset, len(content)))


def test_items_are_told_by_place_and_length():
    content = b"??" + _item(b"") + _item(b"abcd") + _item(b"ef") + END
    assert _walk(content, 2) == [(10, 0), (18, 4), (30, 2)]
    assert _walk(END) == []
    assert check_end(_reader(content), 2, UNDEFINED, len(content)) == 2
    assert check_end(_reader(END), 0, UNDEFINED, len(END)) == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_item(b"ab"), "truncated"),
        (_item(b"ab")[:-1] + END[:1], "truncated"),
        (_item(b"ab" * 9)[:12], "truncated"),
        (b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + END, "bad_meta"),
        (b"\xfe\xff\x01\xe0\0\0\0\0" + END, "bad_meta"),
    ],
)
def test_items_that_cannot_be_followed_are_refused(content, reason):
    with pytest.raises(UnreadableFile) as refused:
        _walk(content)
    assert refused.value.reason == reason


def test_a_catalog_and_a_decoder_count_to_one_limit(monkeypatch, tmp_path):
    pixels = make_noise((3, 8, 8), "u1")
    (tmp_path / "a").write_bytes(make_file(pixels, RLE, encapsulated=[b"\0" * 80] * 3))
    monkeypatch.setattr(pixel_data, "MOST_FRAGMENTS", 3)
    with pytest.raises(UnreadableFile) as refused:
        read_header(tmp_path / "a")
    assert refused.value.reason == "too_big"
    with pytest.raises(PixelError) as refused:
        decode_frames(tmp_path / "a")
    assert refused.value.reason == "bad_fragments"
