import json
import os
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pixels.pixel_files import BIG_ENDIAN, EXPLICIT, IMPLICIT, make_file, make_noise
from workbench.pixels.byte_source import PixelError
from workbench.pixels.decoding import decode_frames, native_frames, read_pixel_info

PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
SYNTAXES = st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN])
SHAPES = st.tuples(*[st.integers(1, 5)] * 3)
LOSSLESS = ("RLE", "JPLL", "JLSL", "J2KR")
# pydicom reads these, and they are refused here.
REFUSED = {
    "badVR.dcm": "bad_pixels",  # "1A" frames
    "MR_truncated.dcm": "truncated",
}


@given(SYNTAXES, SHAPES, st.sampled_from("BbHhIifd"), st.data())
def test_native_values_are_those_of_numpy(syntax, shape, code, data):
    pixels = make_noise(shape, np.dtype(code), data.draw(st.integers(0, 99)))
    if pixels.dtype.kind == "f" and syntax == BIG_ENDIAN:
        syntax = EXPLICIT
    file = make_file(pixels, syntax)
    info = read_pixel_info(file)
    wanted = data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=4))
    got = native_frames(file, info, wanted)
    assert got.dtype == pixels.dtype.newbyteorder("=")
    np.testing.assert_array_equal(got, pixels[wanted])
    np.testing.assert_array_equal(decode_frames(file), pixels)


@given(SYNTAXES, SHAPES, st.sampled_from("BHI"), st.booleans(), st.data())
def test_unused_bits_are_not_values(syntax, shape, code, signed, data):
    dtype = np.dtype(code)
    allocated = 8 * dtype.itemsize
    stored = data.draw(st.integers(2, allocated))
    high = data.draw(st.integers(stored - 1, allocated - 1))
    cells = make_noise(shape, dtype)
    file = make_file(
        cells, syntax, BitsStored=stored, HighBit=high, PixelRepresentation=int(signed)
    )
    values = cells.astype(np.int64) >> (high + 1 - stored) & (1 << stored) - 1
    if signed:
        values -= (values >> stored - 1) << stored
    np.testing.assert_array_equal(decode_frames(file), values)


@given(SYNTAXES, SHAPES, st.sampled_from("BH"), st.booleans())
def test_colours_lie_last(syntax, shape, code, planar):
    pixels = make_noise((*shape, 3), np.dtype(code))
    stored = np.moveaxis(pixels, 3, 1).reshape(pixels.shape) if planar else pixels
    file = make_file(stored, syntax, PlanarConfiguration=int(planar))
    np.testing.assert_array_equal(decode_frames(file), pixels)


@given(SHAPES, st.data())
def test_single_bits_are_unpacked_across_bytes(shape, data):
    pixels = make_noise(shape, np.uint8) & 1
    packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    packed += bytes(len(packed) % 2)
    file = make_file(pixels, PixelData=packed, BitsAllocated=1, BitsStored=1, HighBit=0)
    wanted = data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=4))
    np.testing.assert_array_equal(decode_frames(file, None, wanted), pixels[wanted])


def test_words_of_bytes_are_swapped_in_big_endian_files():
    pixels = make_noise((3, 5, 1), np.uint8)
    padded = pixels.tobytes() + b"\0"
    words = np.frombuffer(padded, ">u2").astype("<u2").tobytes()
    plain = make_file(pixels, BIG_ENDIAN, PixelData=words)
    assert b"\x7f\xe0\x00\x10OB" in plain
    file = plain.replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10OW")
    np.testing.assert_array_equal(decode_frames(file), pixels)


def test_values_go_straight_into_the_array_given():
    pixels = make_noise((4, 6, 5), np.int16)
    file = make_file(pixels)
    info = read_pixel_info(file)
    volume = np.zeros((9, 6, 5), np.int16)
    assert native_frames(file, info, [3, 0], out=volume[4:6]).base is volume
    np.testing.assert_array_equal(volume[4:6], pixels[[3, 0]])
    assert not volume[:4].any()
    assert not volume[6:].any()
    for wrong in (volume[:3], volume[:2].astype(np.uint16), volume[:2, :, :4]):
        with pytest.raises(ValueError, match="out is"):
            native_frames(file, info, [3, 0], out=wrong)
    with pytest.raises(IndexError):
        native_frames(file, info, [4])


def test_stored_colours_become_those_that_pydicom_shows():
    from pydicom.pixels import pixel_array

    path = PYDICOM / "SC_ybr_full_422_uncompressed.dcm"
    np.testing.assert_allclose(decode_frames(path)[0].astype(int), pixel_array(path), atol=1)


@pytest.mark.parametrize("image", ["CT1", "MR4"])
@pytest.mark.parametrize("coding", LOSSLESS)
def test_lossless_coding_loses_nothing(shared_data, image, coding):
    folder = shared_data / "dicomtestfiles" / "WG04"
    uncompressed = decode_frames(folder / f"{image}_UNC.dcm")
    np.testing.assert_array_equal(decode_frames(folder / f"{image}_{coding}.dcm"), uncompressed)


def test_every_value_expected_of_a_file_is_read(shared_data):
    entries = json.loads((shared_data / "expected.json").read_text())
    told = [e for e in entries if "max" in (e.get("expected", {}).get("pixel") or {})]
    told = [e for e in told if e["path"].split("/")[-1] not in REFUSED]
    for entry in told:
        expected = entry["expected"]["pixel"]
        info = read_pixel_info(shared_data / entry["path"])
        values = decode_frames(shared_data / entry["path"], info).astype(float)
        values = values.reshape(expected["shape"])
        # Decoders of lossy JPEG may round in their own way (ISO/IEC 10918-2).
        near = 1 if info.transfer_syntax.endswith((".4.50", ".4.51")) else 1e-5
        for got, name in ((values.min(), "min"), (values.max(), "max"), (values.mean(), "mean")):
            assert got == pytest.approx(expected[name], abs=near), entry["path"]
    assert len(told) > 20


def test_one_image_in_nine_transfer_syntaxes_is_one_image(shared_data):
    paths = sorted((shared_data / "dcm_qa_ts" / "In").glob("*.dcm"))
    images = [decode_frames(path) for path in paths]
    assert len(images) == 9
    assert len({read_pixel_info(path).transfer_syntax for path in paths}) == 7
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])


def test_every_file_that_pydicom_decodes_is_decoded_alike(shared_data):
    paths = [*PYDICOM.rglob("*"), *shared_data.rglob("*")]
    alike = 0
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = _pydicom_pixels(path)
        if expected is None:
            continue
        name = path.name
        if name in REFUSED:
            with pytest.raises(PixelError) as refused:
                decode_frames(path)
            assert refused.value.reason == REFUSED[name]
            continue
        np.testing.assert_array_equal(decode_frames(path), expected, err_msg=name)
        alike += 1
    assert alike > 350


def _pydicom_pixels(path):
    """Return what pydicom decodes, the bits that are not stored cleared; or None."""
    if not path.is_file():
        return None
    try:
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array
    except (
        AttributeError,
        RuntimeError,
        ValueError,
        NotImplementedError,
        pydicom.errors.InvalidDicomError,
    ):
        return None
    stored = dataset.BitsStored if "BitsStored" in dataset else 0
    if pixels.dtype.kind == "u" and stored:
        pixels &= (1 << stored) - 1
    return pixels if dataset.get("NumberOfFrames", 1) > 1 else pixels[None]


def test_the_info_is_what_pydicom_reads(shared_data):
    for path in shared_data.rglob("*.dcm"):
        try:
            info = read_pixel_info(path)
        except PixelError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
        assert (info.rows, info.columns) == (dataset.Rows, dataset.Columns)
        assert info.frames == int(dataset.get("NumberOfFrames") or 1)
        assert info.signed == bool(dataset.get("PixelRepresentation"))
        assert info.photometric == dataset.PhotometricInterpretation
        assert info.transfer_syntax == dataset.file_meta.TransferSyntaxUID
        inflated = info.transfer_syntax.endswith(".99")
        if "PixelData" in dataset and not (info.encapsulated or inflated):
            with path.open("rb") as file:
                file.seek(info.offset)
                assert file.read(100) == dataset.PixelData[:100]
            assert info.length == len(dataset.PixelData)


def _changed(**keywords):
    return make_file(make_noise((2, 4, 4), np.uint16), **keywords)


@pytest.mark.parametrize(
    ("reason", "file"),
    [
        ("not_dicom", b""),
        ("not_dicom", b"GIF89a" + bytes(300)),
        ("truncated", _changed()[:-1]),
        ("bad_length", _changed(NumberOfFrames=3)),
        ("bad_length", _changed(Rows=65535, Columns=65535)),
        ("bad_pixels", _changed(Rows=0)),
        ("bad_pixels", _changed(BitsAllocated=12)),
        ("bad_pixels", _changed(BitsStored=17)),
        ("bad_pixels", _changed(HighBit=16)),
        ("bad_pixels", _changed(SamplesPerPixel=0)),
        ("bad_pixels", _changed(PhotometricInterpretation="YBR_FULL")),
        ("bad_pixels", _changed(NumberOfFrames=12).replace(b"IS\x02\x0012", b"IS\x02\x00-2")),
        ("no_pixels", _changed()[: -12 - 64]),
    ],
)
def test_what_cannot_be_is_refused_by_name(reason, file):
    with pytest.raises(PixelError) as refused:
        read_pixel_info(file)
    assert refused.value.reason == reason


def test_a_length_beyond_the_file_is_refused():
    file = _changed()
    at = file.index(b"\x28\x00\x10\x00US")
    with pytest.raises(PixelError) as refused:
        read_pixel_info(file[: at + 6] + b"\xff\xff" + file[at + 8 :])
    assert refused.value.reason == "truncated"


def test_nesting_ends_somewhere():
    file = _changed()
    at = file.index(b"\x28\x00\x02\x00US")
    # An undefined sequence in an undefined item, over and over.
    deeper = b"\x20\x00\x40\x91SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    for depth in (1, 60):
        nested = file[:at] + deeper * depth + end * depth + file[at:]
        np.testing.assert_array_equal(decode_frames(nested), decode_frames(file))
    for depth in (65, 100_000):
        with pytest.raises(PixelError) as refused:
            read_pixel_info(file[:at] + deeper * depth + end * depth + file[at:])
        assert refused.value.reason == "too_deep"


def test_a_deflated_file_is_read_and_a_bomb_refused():
    pixels = make_noise((2, 30, 30), np.int16)
    file = make_file(pixels)
    meta = file.index(b"\x08\x00\x16\x00UI")
    deflated = file[:meta].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    length = deflated.index(b"\x02\x00\x10\x00UI") + 6
    deflated = deflated[:length] + b"\x16\x00" + deflated[length + 2 :]

    def pack(content):
        packer = zlib.compressobj(9, wbits=-15)
        return deflated + packer.compress(content) + packer.flush()

    packed = pack(file[meta:])
    info = read_pixel_info(packed)
    assert (info.transfer_syntax[-3:], info.file_size) == (".99", len(packed))
    np.testing.assert_array_equal(decode_frames(packed, info, [1]), pixels[[1]])
    for reason, bad in {
        "too_big_to_inflate": pack(file[meta:] + bytes(2**26)),
        "bad_meta": deflated + b"\xff" * 100,
        "truncated": packed[:-1],
    }.items():
        with pytest.raises(PixelError) as refused:
            read_pixel_info(bad)
        assert refused.value.reason == reason


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing", "/dev/zero"):
        with pytest.raises(PixelError) as refused:
            read_pixel_info(path)
        assert refused.value.reason in {"unreadable", "not_dicom"}


def test_a_file_that_shrinks_is_refused(tmp_path):
    path = tmp_path / "one.dcm"
    path.write_bytes(_changed())
    info = read_pixel_info(path)
    path.write_bytes(_changed()[:-20])
    with pytest.raises(PixelError) as refused:
        native_frames(path, info)
    assert refused.value.reason == "truncated"
