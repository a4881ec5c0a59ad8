"""View: look at a volume, in a notebook or on a page of Voila, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ImageError, UsageError, show, suggest
from workbench.viewer.overlay import one_label_map
from workbench.viewer.picture import Picture

if TYPE_CHECKING:
    import ipywidgets
    import xarray as xr

RESOURCES = Path(__file__).parents[1] / "resources" / "view"


def view(
    volume: xr.DataArray,
    segmentation: xr.DataArray | None = None,
    *,
    preset: str | None = None,
    three_d: bool = False,
    language: str = "en",
) -> ipywidgets.Box:
    """Show a volume as linked axial, coronal and sagittal slices.

    The planes follow the voxels of an oblique volume; letters say where they lead. What is shown
    are voxels of the volume, never interpolated between slices; above 64 MB every second (third,
    …) one, and the page says so. The voxels stay in the kernel and on the open page: a saved
    notebook holds none. Not for clinical use.

    Parameters
    ----------
    volume : xr.DataArray
        Dimensions (..., z, y, x); `attrs` hold `affine` (voxels x, y, z to mm, LPS) and, if
        known, `units` ("HU", "SUV", "arb"). Each further dimension gets a slider.
    segmentation : xr.DataArray, optional
        Label numbers over (z, y, x) of the same grid, or over (segment, z, y, x) where segments
        overlap; `attrs["labels"]` may name them.
    preset
        Window to begin with. In HU: "soft_tissue", "lung", "mediastinum", "liver", "bone",
        "brain" or "automatic"; in SUV "suv_0_5", "suv_0_7", "suv_0_10", "suv_0_20" or
        "automatic"; in other units "automatic". PET begins inverted: high uptake is dark.
    three_d
        Whether the 3-D view is open from the beginning; a button opens it otherwise. It needs
        WebGL 2 in the browser; without it the slices remain, and say why.
    language
        Language of the few words: "en", "ru" or "zh".

    Returns
    -------
    ipywidgets.Box
        Shows itself at the end of a cell.

    Raises
    ------
    UsageError
        If there is no such preset for these units, or no such language.
    ImageError
        If the volume cannot be shown, or the segmentation lies on another grid.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> attrs = {"affine": np.diag([1, 1, 3, 1]).tolist(), "units": "HU"}
    >>> view(xr.DataArray(np.zeros((4, 5, 6)), dims=("z", "y", "x"), attrs=attrs), preset="lung")
    Slices of 4 x 5 x 6 voxels, shown in Jupyter
    """
    said, overlap = words(language), False
    if segmentation is not None and segmentation.sizes.get("segment"):
        segmentation, overlap = one_label_map(segmentation)
    picture = Picture(volume, segmentation)
    try:
        from workbench.viewer.slices import SliceBox, SliceViewer
    except ModuleNotFoundError as error:
        raise ImageError(
            f"The viewer needs {error.name}",
            todo="Build the environment again, with the extra: lab",
        ) from error
    return SliceBox(SliceViewer(picture, preset, said, language, three_d=three_d, overlap=overlap))


def words(language: str) -> dict[str, str]:
    """Return the words of the viewer in a language.

    Raises
    ------
    UsageError
        If they are not there in this language.

    Examples
    --------
    >>> words("ru")["axial"]
    'Аксиальная'
    """
    tables: dict[str, dict[str, str]] = json.loads(
        (RESOURCES / "words.json").read_text(encoding="utf-8")
    )
    if language not in tables:
        raise UsageError(
            "The viewer does not speak this language",
            where=f"language={show(language)!r}",
            todo=suggest(str(language), tables),
        )
    return tables[language]
