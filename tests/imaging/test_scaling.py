"""Scaling: values that fit are exact, whatever the way to them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from workbench.imaging.scaling import read_lookup, scale_in_place, scale_into
from workbench.imaging.volume_error import VolumeError
from workbench.pixels.decoding import PixelInfo

INFO = PixelInfo("", 1, 1, 1, 1, 16, 16, False, "MONOCHROME2", 0, 0, 2, 2, 15)


@pytest.mark.parametrize("intercept", [-1024.0, -32768.0, -40000.0, -65535.0])
def test_an_intercept_wider_than_the_values(intercept):
    """Values of int16 that come of uint16, where the intercept alone is no int16."""
    stored = (np.array([0, 1000, 32767]) - int(intercept)).clip(0, 65535).astype(np.uint16)
    wanted = stored.astype(np.int64) + int(intercept)
    out = np.empty(3, np.int16)
    scale_into(stored, 1.0, intercept, out, INFO)
    assert out.tolist() == wanted.tolist()


@pytest.mark.parametrize(("slope", "intercept"), [(1e300, 0.0), (1.0, -1e19), (2.0**63, 1.0)])
def test_what_no_integer_holds_is_refused(slope, intercept):
    with pytest.raises(VolumeError) as caught:
        scale_into(np.zeros(3, np.uint16), slope, intercept, np.empty(3, np.int32), INFO)
    assert caught.value.reason == "overflow"


@given(st.data())
def test_cells_become_values_in_their_own_place(data):
    """Held to arithmetic in 64 bits, with an overlay in the bits that are not stored."""
    stored = data.draw(st.integers(1, 16))
    high = data.draw(st.integers(stored - 1, 15))
    signed = data.draw(st.booleans())
    slope, intercept = data.draw(st.sampled_from([1, 2, -1])), data.draw(st.integers(-40000, 40000))
    cells = np.array(data.draw(st.lists(st.integers(0, 65535), min_size=1)), np.uint16)
    wanted = cells.astype(np.int64) >> (high + 1 - stored) & ((1 << stored) - 1)
    wanted -= (signed & (wanted >> (stored - 1))) << stored
    wanted = wanted * slope + intercept
    info = replace(INFO, bits_stored=stored, high_bit=high, signed=signed)
    held = cells.reshape(1, -1).view(info.dtype)
    out = held.view(np.int16)
    fits = np.abs(wanted + 0.5).max() < 2**15
    try:
        scale_in_place(held, float(slope), float(intercept), out, info)
    except VolumeError:
        assert not fits
        return
    assert fits
    assert out.tolist() == [wanted.tolist()]


def lookup(descriptor, data):
    header, item = Dataset(), Dataset()
    if descriptor is not None:
        item.add_new(0x00283002, "US", descriptor)
    if data is not None:
        item.add_new(0x00283006, "OW" if isinstance(data, bytes) else "US", data)
    header.ModalityLUTSequence = [item]
    header.set_original_encoding(False, True)
    return read_lookup(header)


def test_a_lookup_table_as_words_and_as_numbers():
    for data in ([5, 6, 7], b"\5\0\6\0\7\0", b"\5\0\6\0\7\0\1"):
        table = lookup([3, 10, 16], data)
        assert table.apply(np.array([0, 10, 11, 99], np.uint16)).tolist() == [5, 5, 6, 7]


@pytest.mark.parametrize(
    ("descriptor", "data"),
    [
        (None, [1, 2]),
        ([2, 0], [1, 2]),
        ([3, 0, 16], [1, 2]),
        ([3, 0, 16], None),
        ([0, 0, 16], b""),
        ([4, 0, 16], b"\1\0"),
    ],
)
def test_a_lookup_table_that_is_none_is_refused(descriptor, data):
    with pytest.raises(VolumeError) as caught:
        lookup(descriptor, data)
    assert caught.value.reason == "bad_geometry"
