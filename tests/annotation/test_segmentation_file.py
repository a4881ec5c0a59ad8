from pathlib import Path

import numpy as np
import pytest

from tests.annotation.results import MODEL, NOW, finding, mask_of
from workbench.annotation.finding import (
    NODULE,
)
from workbench.annotation.segmentation_file import write_segmentation
from workbench.errors import ImageError
from workbench.segments.segmentation import open_segmentation


def test_the_mask_comes_back_with_its_names_and_codes(written, volume):
    mask, _, seg, _ = written
    back = open_segmentation(seg, like=volume)
    expected = np.select([mask.values == 1, mask.values == 3], [1, 2], 0)
    assert (back.values == expected).all()
    assert back.attrs["labels"] == {1: "Nodule 1", 2: "Nodule 3"}
    assert back.attrs["codes"][2] == list(NODULE)


def test_files_in_any_order_give_the_same_mask(ct, volume, tmp_path):
    mask = mask_of(volume, (1,))
    files = sorted(Path(ct).iterdir())[::-1]
    path = write_segmentation(mask, files, [finding(1)], MODEL, tmp_path / "s.dcm", moment=NOW)
    assert (open_segmentation(path, like=volume).values == mask.values).all()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: m.isel(z=slice(1, None)), "not on the grid"),
        (lambda m: m.isel(x=slice(0, -1)), "not on the grid"),
        (lambda m: m.isel(y=slice(None, None, 2)), "not on the grid"),
        (lambda m: m.astype(np.int16), "no label map"),
        (lambda m: m.astype(np.float32), "no label map"),
        (lambda m: m * 0, "holds no finding"),
        (lambda m: m * 2, "do not fit"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(change, what, ct, volume, tmp_path):
    mask = change(mask_of(volume, (1,)))
    with pytest.raises(ImageError, match=what):
        write_segmentation(mask, ct, [finding(1)], MODEL, tmp_path / "s.dcm", moment=NOW)
    assert not list(tmp_path.iterdir())


def test_a_file_is_never_written_over(written, ct):
    mask, findings, seg, _ = written
    before = seg.read_bytes()
    with pytest.raises(ImageError, match="a file of that name"):
        write_segmentation(mask, ct, findings, MODEL, seg, moment=NOW)
    assert seg.read_bytes() == before
