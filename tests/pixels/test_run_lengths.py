import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.decoders.rle import _rle_decode_frame

from tests.pixels.pixel_files import RLE, make_file, make_noise
from workbench.pixels.byte_source import PixelError
from workbench.pixels.decoding import decode_frames, read_pixel_info
from workbench.pixels.run_lengths import HEADER, unpack


def _array(content):
    return np.frombuffer(content, np.uint8)


def _frame(*segments):
    """Return a frame of these segments."""
    starts = HEADER + np.cumsum([0, *map(len, segments)])[:-1]
    header = np.zeros(HEADER // 4, "<u4")
    header[0], header[1 : 1 + len(starts)] = len(segments), starts
    return header.tobytes() + b"".join(segments)


def _decode(frame, dtype=np.uint16, shape=(1, 2, 2)):
    return decode_frames(make_file(np.zeros(shape, dtype), RLE, encapsulated=[frame]))


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=400), st.integers(0, 300), st.integers(0, 8))
def test_runs_are_those_of_another_decoder_and_nothing_beyond_is_touched(packed, size, beside):
    held = np.full(size + 2 * beside, 77, np.uint8)
    got = unpack(_array(packed), held[beside : beside + size])
    assert 0 <= got <= size
    assert (held[:beside] == 77).all()
    assert (held[beside + got :] == 77).all()
    try:
        expected = imagecodecs.packbits_decode(packed)
    except RuntimeError:  # it refuses runs that the input ends in
        return
    assert held[beside : beside + got].tobytes() == bytes(expected)[:size]


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from("BbHhIiQ"),
    st.booleans(),
    st.integers(0, 9),
)
def test_values_are_those_of_pydicom(shape, code, colours, seed):
    dtype = np.dtype(code)
    shape = (*shape, 3) if colours and dtype.itemsize == 1 else shape
    pixels = make_noise(shape, dtype, seed)
    frames = [
        _frame(*(imagecodecs.packbits_encode(plane.tobytes()) for plane in _planes(frame)))
        for frame in pixels
    ]
    np.testing.assert_array_equal(
        decode_frames(make_file(pixels, RLE, encapsulated=frames)), pixels
    )
    peer = _rle_decode_frame(
        frames[0], *shape[1:3], 3 if len(shape) == 4 else 1, 8 * dtype.itemsize, ">"
    )
    planar = np.frombuffer(peer, dtype).reshape(-1, *shape[1:3])
    np.testing.assert_array_equal(np.moveaxis(planar, 0, -1).reshape(shape[1:]), pixels[0])


def _planes(frame):
    """Return one plane a byte of each sample, the most significant first."""
    cells = np.atleast_3d(frame)
    for sample in range(cells.shape[2]):
        stored = np.ascontiguousarray(cells[..., sample])
        yield from stored.view(np.uint8).reshape(stored.size, -1).T[::-1]


@pytest.mark.parametrize(
    ("frame", "detail"),
    [
        (_frame(b"\x03\0\0\0\0"), "1 segments of 16 bits"),
        (_frame(b"\xfd\1", b"\xfe\2"), "3 of 4 bytes of a segment"),
        (_frame(b"\xfd\1", b"\x03\1\2\3"), "3 of 4 bytes of a segment"),
        (_frame(b"\xfd\1", b"\x80" * 9 + b"\xfd"), "0 of 4 bytes of a segment"),
        (_frame(b"\xfd\1", b"")[:40], "a segment begins where it cannot"),
        (b"\2\0\0\0" + b"\x40\0\0\0" + b"\xff" * 4 + bytes(70), "a segment begins where it cannot"),
        (
            b"\2\0\0\0" + b"\x60\0\0\0" + b"\x50\0\0\0" + bytes(70),
            "a segment begins where it cannot",
        ),
        (b"\2\0\0\0" + bytes(90), "a segment begins where it cannot"),
        (b"\2", "a segment begins where it cannot"),
    ],
)
def test_a_frame_that_is_not_what_it_says_is_refused(frame, detail):
    with pytest.raises(PixelError) as refused:
        _decode(frame)
    assert refused.value.reason == "codec_failed"
    assert refused.value.detail == detail


def test_more_segments_than_the_header_has_room_for_are_refused():
    pixels = np.zeros((1, 1, 1, 4), np.uint64)
    frame = b"\x20\0\0\0" + bytes(200)
    with pytest.raises(PixelError, match="decoded"):
        decode_frames(
            make_file(pixels, RLE, encapsulated=[frame], PhotometricInterpretation="CMYK")
        )


def test_padding_after_the_last_value_is_left_out():
    pixels = _decode(_frame(b"\xfd\1\0\0", b"\x05\1\2\3\4\5\6"))
    assert pixels.tolist() == [[[257, 258], [259, 260]]]


def test_a_frame_larger_than_any_values_need_is_refused_before_it_is_read():
    with pytest.raises(PixelError) as refused:
        _decode(_frame(b"\xfd\1", b"\x80" * 2**16 + b"\xfd\1"))
    assert refused.value.reason == "codec_too_big"


def test_an_array_is_filled_and_growth_refused():
    pixels = make_noise((2, 5, 7), np.uint16)
    frames = [
        _frame(*(imagecodecs.packbits_encode(p.tobytes()) for p in _planes(f))) for f in pixels
    ]
    file = make_file(pixels, RLE, encapsulated=frames)
    info, out = read_pixel_info(file), np.zeros((1, 5, 7), np.uint16)
    assert decode_frames(file, info, [1], out) is out
    np.testing.assert_array_equal(out[0], pixels[1])
    with pytest.raises(ValueError, match="out is"):
        decode_frames(file, info, None, out)
