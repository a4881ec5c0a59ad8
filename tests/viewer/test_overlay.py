"""Overlays: segments that overlap become one label map, the smallest on top."""

import numpy as np
import xarray as xr

from workbench.viewer.overlay import SEVEN, SHADES, label_colours, one_label_map


def segments(*masks) -> xr.DataArray:
    stack = np.array(masks, np.uint8).reshape(len(masks), 1, 1, -1)
    return xr.DataArray(
        stack,
        dims=("segment", "z", "y", "x"),
        coords={"segment": [7, 9][: len(masks)]},
        attrs={"labels": {7: "tumour", 9: "organ"}},
    )


def test_the_smaller_segment_is_seen_and_the_overlap_is_told():
    labels, overlap = one_label_map(segments([0, 1, 1, 0], [0, 0, 1, 1]))
    assert overlap
    small, organ = [0, 1, 0, 0], [0, 1, 1, 1]
    for given, told in (((small, organ), [0, 7, 9, 9]), ((organ, small), [0, 9, 7, 7])):
        labels, overlap = one_label_map(segments(*given))
        assert labels.values.ravel().tolist() == told
        assert overlap
    assert labels.dims == ("z", "y", "x")
    assert labels.attrs["labels"][7] == "tumour"


def test_segments_that_lie_apart_are_all_kept():
    labels, overlap = one_label_map(segments([0, 1, 0, 0], [0, 0, 1, 1]).drop_vars("segment"))
    assert labels.values.ravel().tolist() == [0, 1, 2, 2]
    assert not overlap


def test_colours_differ_for_as_long_as_they_can():
    rounds = len(SEVEN) * len(SHADES)
    assert len(set(label_colours(rounds))) == rounds
    assert label_colours(rounds + 1)[-1] == SEVEN[0]
