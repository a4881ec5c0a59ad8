"""View 3-D: the 3-D view of a picture, by NiiVue, from what the kernel holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.viewer.overlay import label_colours
from workbench.viewer.picture import Frame, Picture, encode
from workbench.viewer.windows import AUTOMATIC

if TYPE_CHECKING:
    import ipywidgets

    from workbench.viewer.slices import SliceViewer

HEIGHT = 480
"""Pixels."""
LARGEST = 16_000_000
"""Bytes of volume and labels at most: NiiVue sends them back to the kernel, and weak machines
draw them too."""
_BONE = ("bone", 80.0, 300.0)
"""Colours and their range in HU: soft tissue would hide the rest."""


def nifti_bytes(
    frame: Frame,
    shape: tuple[int, ...],
    affine: npt.NDArray[np.float64],
    *,
    label: bool = False,
) -> bytes:
    """Return a frame as a NIfTI-1 file: the only form in which NiiVue takes a volume.

    Parameters
    ----------
    frame
        Voxels, their scale and offset.
    shape
        Voxels along the three axes, the fastest first.
    affine : (4, 4) array
        Voxels to mm in LPS; NIfTI's own axes run to the right, front and head (RAS).
    label
        Whether the voxels are label numbers.
    """
    from nibabel.nifti1 import Nifti1Header

    header: Any = Nifti1Header(endianness="<")  # type: ignore[no-untyped-call]
    header.set_data_dtype(np.dtype(frame.type))
    header.set_data_shape(shape)
    header.set_slope_inter(frame.slope, frame.intercept)
    header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, 1)
    header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)
    header["vox_offset"] = 352
    header["intent_code"] = 1002 if label else 0  # numbers, which are never mixed
    return bytes(header.binaryblock) + bytes(4) + frame.data


def solid_view(slices: SliceViewer) -> ipywidgets.DOMWidget:
    """Return the frame that the slices show in 3-D, with its labels.

    Parameters
    ----------
    slices
        What is shown, and through which window.
    """
    from ipyniivue import SliceType  # type: ignore[import-untyped]

    from workbench.viewer.volume_3d import View3D, Volume3D

    shown = slices.picture
    picture = Picture(shown.volume, shown.segmentation, LARGEST)
    shape = tuple(axis.shown for axis in picture.axes)
    frame = encode(picture.values(slices.places[slices.frame[0]]))
    colormap, low, high = _BONE
    if picture.units != "HU":
        window = slices.windows[AUTOMATIC]
        colormap, low, high = (
            "gray",
            window.centre - window.width / 4,
            window.centre + window.width / 2,
        )
    labels = picture.label_values()
    volumes = [
        Volume3D(
            nifti_bytes(frame, shape, picture.affine),
            name="volume.nii",
            colormap=colormap,
            cal_min=low,
            cal_max=high,
            opacity=1.0 if labels is None else 0.35,
        )
    ]
    if labels is not None and picture.labels:
        numbers = Frame(labels.tobytes(), str(labels.dtype))
        layer = Volume3D(nifti_bytes(numbers, shape, picture.affine, label=True), name="labels.nii")
        colours = label_colours(len(picture.labels))
        red, green, blue = (list(map(float, part)) for part in zip(*colours, strict=True))
        layer.set_colormap_label(
            {
                "R": [0.0, *red],
                "G": [0.0, *green],
                "B": [0.0, *blue],
                "A": [0.0, *[255.0] * len(red)],
                "I": [0.0, *(float(number) for number, _ in picture.labels)],
                "labels": ["", *(name for _, name in picture.labels)],
            }
        )
        volumes.append(layer)
    solid = View3D(
        volumes,
        height=HEIGHT,
        back_color=(0.0, 0.0, 0.0, 1.0),
        show_3d_crosshair=False,
        is_orient_cube=True,
        is_colorbar=False,
        show_legend=False,
        drag_and_drop_enabled=False,
        loading_text="",
    )
    solid.set_slice_type(SliceType.RENDER)
    return solid
