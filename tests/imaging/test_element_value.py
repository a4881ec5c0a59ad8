"""Element value: whatever a file holds, a value or a refusal by name."""

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from workbench.imaging.element_value import (
    items_of,
    number_of,
    numbers_of,
    text_of,
    texts_of,
    value_of,
)
from workbench.imaging.private_attributes import read_private
from workbench.imaging.volume_error import VolumeError


def raw(tag, vr, value):
    """Return a data set with one element as a file holds it, not yet converted."""
    element = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    return Dataset({Tag(tag): element})


def test_what_cannot_be_converted_is_refused_without_its_value():
    for header, keyword in (
        (raw(0x00280010, "US", b"123"), "Rows"),
        (raw(0x00280010, "??", b"123"), "Rows"),
    ):
        with pytest.raises(VolumeError, match=f"{keyword} cannot be read") as caught:
            value_of(header, keyword)
        assert caught.value.reason == "bad_geometry"
        assert caught.value.__suppress_context__
    # A text that is no number may come back as a text.
    assert np.isnan(number_of(raw(0x00280008, "IS", b"1A"), "NumberOfFrames"))
    private = raw(0x00091001, "FD", b"123")
    private.add_new(0x00090010, "LO", "SOMEONE")
    with pytest.raises(VolumeError, match="a private attribute"):
        read_private(private, (0x0009, "SOMEONE", 0x01))
    assert read_private(private, (0x0009, "OTHER", 0x01)) is None


def test_absent_empty_single_and_several_values():
    header = Dataset()
    assert (value_of(header, "Units"), text_of(header, "Units")) == (None, "")
    assert (texts_of(header, "ImageType"), items_of(header, "ModalityLUTSequence")) == ([], [])
    assert np.isnan(number_of(header, "PatientWeight"))
    header.ImageType, header.PatientWeight, header.PixelSpacing = "ORIGINAL", "70.5", [1, 2]
    header.ModalityLUTSequence = [Dataset()]
    assert (texts_of(header, "ImageType"), number_of(header, "PatientWeight")) == (
        ["ORIGINAL"],
        70.5,
    )
    assert numbers_of(value_of(header, "PixelSpacing")) == [1.0, 2.0]
    assert len(items_of(header, "ModalityLUTSequence")) == 1
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    assert texts_of(header, "ImageType") == ["ORIGINAL", "PRIMARY"]


def test_a_sequence_of_another_vr_is_refused():
    with pytest.raises(VolumeError, match="is no sequence"):
        items_of(raw(0x52009229, "LO", b"text"), "SharedFunctionalGroupsSequence")


@pytest.mark.parametrize("value", ["x", "1\\x", [None, "1A"], 10**400, Dataset(), b"\xff"])
def test_what_is_no_number_is_nan(value):
    assert np.isnan(numbers_of(value)).any() or numbers_of(value) == []
