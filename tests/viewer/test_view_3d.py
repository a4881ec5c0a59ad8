"""The 3-D view: what NiiVue is given is what SimpleITK reads back."""

import json
from base64 import b64decode, b64encode

import numpy as np
import pytest
import SimpleITK
import xarray as xr

from workbench.viewer.picture import Picture, encode
from workbench.viewer.view import view
from workbench.viewer.view_3d import LARGEST, nifti_bytes, solid_view


def volume(dtype) -> xr.DataArray:
    affine = np.array([[0, 0, -3, 5.0], [-0.7, 0, 0, 6], [0, 1.5, 0, 7], [0, 0, 0, 1]])
    values = (np.arange(24).reshape(2, 3, 4) * 7 - 30).astype(dtype)
    return xr.DataArray(
        values, dims=("z", "y", "x"), attrs={"affine": affine.tolist(), "units": "HU"}
    )


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_file_in_memory_is_the_volume(tmp_path, dtype):
    given = volume(dtype) + (0 if dtype is np.int16 else 0.25)
    picture = Picture(given.assign_attrs(volume(dtype).attrs))
    shape = tuple(axis.shown for axis in picture.axes)
    path = tmp_path / "volume.nii"
    path.write_bytes(nifti_bytes(encode(picture.values(())), shape, picture.affine))
    read = SimpleITK.ReadImage(str(path))
    assert SimpleITK.GetArrayFromImage(read) == pytest.approx(picture.values(()), abs=0.002)
    assert read.GetOrigin() == pytest.approx(picture.affine[:3, 3])
    assert read.GetSpacing() == pytest.approx([3, 0.7, 1.5])
    assert np.reshape(read.GetDirection(), (3, 3)) == pytest.approx(np.eye(3))


def test_it_shows_what_the_slices_show_and_names_nothing():
    pytest.importorskip("ipyniivue")
    labels = volume(np.int16).copy(data=np.indices((2, 3, 4)).sum(0)).astype(np.uint8)
    labels.attrs |= {"affine": volume(np.int16).attrs["affine"], "labels": {1: "liver"}}
    box = view(volume(np.int16), labels)
    solid = solid_view(box.slices)
    image, layer = solid.parts
    assert (image.name, layer.name) == ("volume.nii", "labels.nii")
    assert len(image.voxels) == 352 + 24 * 2
    assert layer.voxels[68:70] == b"\xea\x03"  # numbers of labels, not values to be mixed
    assert layer.voxels[352:] == box.slices.picture.label_values().tobytes()
    shown = layer.colormap_label
    assert (shown.lut[3], shown.lut[4:8]) == (0, [230, 159, 0, 255])
    assert shown.labels[1] == "liver"
    assert box.slices.picture.largest > LARGEST


class Wire:
    """Take what a kernel sends to its pages, as a comm does."""

    def __init__(self, comm_id, sent):
        self.comm_id, self.sent = comm_id, sent

    def send(self, data=None, metadata=None, buffers=None):
        self.sent.append((data, buffers or []))

    def on_msg(self, _):
        pass

    def close(self, *_, **__):
        pass


def opened():
    """Return a 3-D view that is open, and the voxels that it shows."""
    given = volume(np.int16)
    labels = given.copy(data=np.indices((2, 3, 4)).sum(0)).astype(np.uint8)
    labels.attrs |= {"affine": given.attrs["affine"], "labels": {1: "liver"}}
    box = view(given, labels)
    box._answer(None, {"ask": "three_d", "open": True}, None)
    shown = box.slices.picture
    voxels = [encode(shown.values(())).data, shown.label_values().tobytes()]
    assert [part.voxels[352:] for part in box.solid.parts] == voxels
    return box, voxels


def test_voxels_are_sent_to_who_asks_and_are_in_no_state():
    pytest.importorskip("ipyniivue")
    box, _ = opened()
    sent = []
    for part in (box.solid, *box.solid.parts):
        part.comm = Wire(part.model_id, sent)
    for times in (1, 2):  # a page, and the same one loaded again
        for part in box.solid.parts:
            part._handle_custom_msg({"ask": "voxels"}, [])
        told = [(data.get("content"), data.get("state"), buffers) for data, buffers in sent]
        answers = [buffers for content, _, buffers in told if content == {"told": "voxels"}]
        assert answers == [[part.voxels] for part in box.solid.parts] * times
        drawn = [state["volumes"] for _, state, _ in told if state and "volumes" in state]
        assert drawn[-1] == [f"IPY_MODEL_{part.model_id}" for part in box.solid.parts]
        assert told[-1][1] is not None  # after the voxels
    assert all(not buffers for content, _, buffers in told if content is None)
    assert box.solid.get_state()["volumes"] == []


def test_what_a_saved_notebook_keeps_of_an_open_3d_view_holds_no_voxel():
    pytest.importorskip("ipyniivue")
    ipywidgets = pytest.importorskip("ipywidgets")
    box, voxels = opened()
    back = {"chunk_index": 0, "total_chunks": 1, "data_type": "int16", "chunk": voxels[0]}
    box.solid.parts[0].set_state({"chunk_img_0": back})  # NiiVue sends them back
    kept = ipywidgets.Widget.get_manager_state()["state"]
    ours = {part.model_id for part in (box, box.slices, box.solid, *box.solid.parts)}
    assert ours <= set(kept)
    for part in box.solid.parts:
        assert kept[part.model_id]["state"]["name"] == part.name
        assert [part.get_state().get(name) for name in ("data", "img")] == [None, None]
    buffers = [b64decode(b["data"]) for name in ours for b in kept[name].get("buffers", [])]
    texts = json.dumps([kept[name] for name in ours])
    for data in voxels:
        assert not any(data[:16] in buffer for buffer in buffers)
        assert b64encode(data[:15]).decode() not in texts
