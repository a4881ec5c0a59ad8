"""Results: what is measured of a mask, and how it is kept."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist

from workbench.errors import ExecutionError
from workbench.pipelines.results import Result, gather, measure_mask, read_row, write_result


def by_brute_force(mask, spacing):
    """Return the longest line between corners of pixels within a slice."""
    longest = 0.0
    for plane in mask:
        rows, columns = np.nonzero(plane)
        corners = {
            (r + j, c + i)
            for r, c in zip(rows, columns, strict=True)
            for i in (0, 1)
            for j in (0, 1)
        }
        if corners:
            longest = max(longest, pdist(np.array(sorted(corners)) * spacing[1:]).max())
    return longest


@settings(max_examples=60)
@given(
    arrays(np.uint8, (3, 6, 7), elements=st.integers(0, 1)),
    st.tuples(*[st.floats(0.3, 4)] * 3),
)
def test_diameter_and_volume_are_those_of_every_pair_and_voxel(mask, spacing):
    from scipy.ndimage import label

    found = measure_mask(mask, np.diag([*spacing[::-1], 1.0]), {1: "a"})
    parts, count = label(mask, np.ones((3, 3, 3)))
    assert found["a_count"] == count
    assert found["a_volume_ml"] == pytest.approx(mask.sum() * np.prod(spacing) / 1000, abs=1e-6)
    if count:
        sizes = np.bincount(parts.ravel())[1:]
        largest = parts == sizes.argmax() + 1
        assert found["a_diameter_mm"] == pytest.approx(by_brute_force(largest, spacing), abs=1e-3)
    else:
        assert found["a_diameter_mm"] == 0


def test_findings_are_told_apart_and_one_that_is_absent_is_zero():
    mask = np.zeros((2, 4, 4), np.uint8)
    mask[0, 0, 0], mask[1, 2:4, 2:4] = 1, 3
    found = measure_mask(mask, np.eye(4), {1: "a", 2: "b", 3: "c"})
    assert (found["a_volume_ml"], found["b_volume_ml"], found["c_volume_ml"]) == (0.001, 0, 0.004)
    assert found["c_diameter_mm"] == pytest.approx(np.hypot(2, 2), abs=1e-4)


def test_a_diameter_is_in_millimetres_of_a_turned_grid():
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[0, 1, 1:7] = 1
    turned = np.eye(4)
    turned[:3, 0], turned[:3, 1], turned[:3, 2] = [0, 0.5, 0], [0, 0, -2.0], [3.0, 0, 0]
    found = measure_mask(mask, turned, {1: "a"})
    assert found["a_diameter_mm"] == pytest.approx(np.hypot(6 * 0.5, 2.0), abs=1e-4)
    assert found["a_volume_ml"] == pytest.approx(6 * 3 / 1000)


def test_a_result_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    result = Result("1.2", "p", "1.2.3", score=0.5, measurements={"a_volume_ml": 1.0})
    usual = Path.rename

    def cut(self, target):
        if self.name.endswith(".tmp") and self.is_dir():
            raise OSError(28, "No space left on device")
        return usual(self, target)

    mask = xr.DataArray(
        np.zeros((2, 3, 4), np.uint8), dims=("z", "y", "x"), attrs={"affine": np.eye(4).tolist()}
    )
    monkeypatch.setattr(Path, "rename", cut)
    with pytest.raises(ExecutionError, match="No space"):
        write_result(tmp_path, result, {"threads": 1}, None)
    assert list((tmp_path / "exams").iterdir()) == []
    assert read_row(tmp_path, "1.2") is None
    monkeypatch.undo()
    write_result(tmp_path, result, {"threads": 1}, mask)
    assert read_row(tmp_path, "1.2")["score"] == 0.5
    assert read_row(tmp_path, "1.3") is None
    found = gather(tmp_path, [read_row(tmp_path, "1.2")], ["a_volume_ml"])
    assert found.rows()["a_volume_ml"].to_list() == [1.0]
    assert found.mask("1.2").shape == (2, 3, 4)
