"""Voxels: the place of compressed pixels is remembered, checked, and searched for if it moved."""

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, RLELossless

from tests.imaging.made_series import make_image, ramp, write_series
from workbench.imaging import voxels
from workbench.imaging.frames import read_frames
from workbench.imaging.volume import load_volume, open_volume
from workbench.pixels.byte_source import PixelError

RAMPS = [ramp(i, 64, 64) for i in range(4)]


def _write(folder, *syntaxes):
    """Write four images, compressed in these ways in turn; None leaves one as it is."""
    images = [make_image(pixels, (10, 20, z)) for z, pixels in enumerate(RAMPS)]
    for image, syntax in zip(images, syntaxes, strict=True):
        if syntax == JPEG2000Lossless:
            frame = imagecodecs.jpeg2k_encode(image.pixel_array, reversible=True, level=0)
            image.PixelData = encapsulate([frame])
            image["PixelData"].VR = "OB"
            image["PixelData"].is_undefined_length = True
            image.file_meta.TransferSyntaxUID = syntax
        elif syntax:
            image.compress(syntax, generate_instance_uid=False)
    return images, write_series(folder, images)


def _never(*_, **__):
    raise AssertionError("the pixels are searched for")


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_pixels_are_read_from_where_their_header_was_seen(tmp_path, monkeypatch, syntax):
    _write(tmp_path, *[syntax] * 4)
    monkeypatch.setattr(voxels, "read_pixel_info", _never)
    np.testing.assert_array_equal(load_volume(tmp_path), RAMPS)


def test_files_compressed_in_several_ways_are_one_volume(tmp_path):
    _, files = _write(tmp_path, RLELossless, None, JPEG2000Lossless, RLELossless)
    assert (read_frames(files).offset > 0).tolist() == [True, False, False, True]
    np.testing.assert_array_equal(load_volume(files), RAMPS)


def test_compressed_pixels_that_moved_are_found_again(tmp_path):
    images, files = _write(tmp_path, *[RLELossless] * 4)
    volume = open_volume(tmp_path)
    images[1].add_new(0x00090010, "LO", "SOMEONE")
    images[1].add_new(0x00091010, "OB", b"\1" * 4000)
    images[1].save_as(files[1], enforce_file_format=True)
    np.testing.assert_array_equal(volume, RAMPS)


@pytest.mark.parametrize(
    ("header", "other"),
    [
        (b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", b"\xe0\x7f\x09\x00OB\0\0\xff\xff\xff\xff"),
        (b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", b"\xe0\x7f\x10\x00UN\0\0\xff\xff\xff\xff"),
        (b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", b"\xe0\x7f\x10\x00OB\0\0\x04\x00\x00\x00"),
    ],
)
def test_only_the_header_of_compressed_pixels_is_taken_for_it(tmp_path, monkeypatch, header, other):
    _, files = _write(tmp_path, *[RLELossless] * 4)
    volume = open_volume(tmp_path)
    content = files[1].read_bytes()
    assert content.count(header) == 1
    files[1].write_bytes(content.replace(header, other))
    monkeypatch.setattr(voxels, "read_pixel_info", _never)
    with pytest.raises(AssertionError, match="searched"):
        volume.load()


def test_colours_of_another_kind_are_read_by_what_their_file_says(tmp_path):
    images, files = _write(tmp_path, *[RLELossless] * 4)
    for i, image in enumerate(images):
        image.PhotometricInterpretation = "YBR_FULL" if i == 1 else "RGB"
        image.save_as(files[i], enforce_file_format=True)
    assert (read_frames(files).offset > 0).tolist() == [True, False, True, True]
    with pytest.raises(PixelError, match="YBR of 1 samples"):
        load_volume(files)
