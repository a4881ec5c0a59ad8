"""Slices: the widget that shows a picture, and the box in which its 3-D view opens."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import numpy as np
import traitlets

from workbench.errors import WorkbenchError, show
from workbench.viewer.overlay import label_colours
from workbench.viewer.picture import GAP, LARGEST, Frame, Picture, encode
from workbench.viewer.windows import window_named, windows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

RESOURCES = Path(__file__).parents[1] / "resources" / "view"


class SliceViewer(anywidget.AnyWidget):
    """Show a picture in three planes.

    The page asks for frames and is answered in messages: no voxel is part of the widget's state,
    which Jupyter may write into a notebook.

    Parameters
    ----------
    picture
        What is shown.
    preset
        Name of the first window; None for what fits the units.
    words
        Words of the page by key.
    language
        Code of their language, for numbers and screen readers.
    three_d
        Whether the page asks for the 3-D view at once.
    overlap
        Whether the labels once overlapped, which the page says.
    """

    _esm = RESOURCES / "slices.js"
    _css = RESOURCES / "slices.css"
    head = traitlets.Dict().tag(sync=True)
    words = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        picture: Picture,
        preset: str | None,
        words: Mapping[str, str],
        language: str,
        *,
        three_d: bool = False,
        overlap: bool = False,
    ) -> None:
        self.picture = picture
        self.places = list(product(*(range(picture.volume.sizes[d]) for d in picture.further)))
        values = picture.values(self.places[0])
        self.windows = windows_of(picture.units, values, picture.volume.attrs.get("padding"))
        self.window = window_named(preset, self.windows)
        self.frame = (0, encode(values))
        head = self._describe() | {"language": language, "three_d": three_d, "overlap": overlap}
        super().__init__(head=head, words=dict(words))
        self.on_msg(self._answer)

    def encoded(self, number: int) -> Frame:
        """Return a frame as bytes; the last one is kept.

        Parameters
        ----------
        number
            Of the frame: the last of the further dimensions runs fastest.
        """
        if self.frame[0] != number:
            self.frame = (number, encode(self.picture.values(self.places[number])))
        return self.frame[1]

    def _describe(self) -> dict[str, Any]:
        """Return all that the page must know beside the voxels: geometry, units, names."""
        picture = self.picture
        return {
            "shape": [axis.shown for axis in picture.axes],
            "affine": picture.affine.tolist(),
            "ends": [list(pair) for pair in picture.ends],
            "source": [
                {"name": a.name, "last": a.size - 1, "backwards": a.backwards, "step": a.step}
                for a in picture.axes
            ],
            "units": picture.units,
            "invert": self._dark_is_high(),
            "frames": [self._slider(name) for name in picture.further],
            "labels": [
                {"number": number, "name": name, "colour": colour}
                for (number, name), colour in zip(
                    picture.labels, label_colours(len(picture.labels)), strict=True
                )
            ],
            "windows": {n: [w.centre, w.width] for n, w in self.windows.items()},
            "window": self.window,
            "gap": GAP,
            "largest": LARGEST // 1_000_000,
        }

    def _dark_is_high(self) -> bool:
        """Whether grey begins inverted: by definition (DICOM PS3.3 C.7.6.3.1.2), or as in PET."""
        attrs = self.picture.volume.attrs
        return attrs.get("photometric") == "MONOCHROME1" or attrs.get("modality") == "PT"

    def _slider(self, name: str) -> dict[str, Any]:
        """Return what a slider says along a further dimension."""
        volume = self.picture.volume
        count = volume.sizes[name]
        if name not in volume.coords:
            return {"name": show(name, 30), "places": [""] * count}
        units = str(volume.coords[name].attrs.get("units", ""))
        values = np.atleast_1d(volume.coords[name].values)
        texts = (f"{v:g}" if np.issubdtype(values.dtype, np.number) else str(v) for v in values)
        return {"name": show(name, 30), "places": [show(f"{t} {units}".strip(), 30) for t in texts]}

    def _answer(self, _: object, asked: Mapping[str, Any], __: object) -> None:
        """Answer the page: a frame, or why there is none."""
        if asked.get("ask") != "frame":
            return
        try:
            number = int(asked.get("frame", 0))
            frame = self.encoded(number)
            labels = self.picture.label_values() if asked.get("labels") else None
        except (WorkbenchError, OSError, ValueError, IndexError, MemoryError) as error:
            told = error.what if isinstance(error, WorkbenchError) else type(error).__name__
            self.send({"told": "failed", "text": told})
            return
        content = {
            "told": "frame",
            "frame": number,
            "type": frame.type,
            "slope": frame.slope,
            "intercept": frame.intercept,
            "labels": "" if labels is None else str(labels.dtype),
        }
        self.send(content, [frame.data] + ([] if labels is None else [labels.tobytes()]))


class SliceBox(ipywidgets.VBox):  # type: ignore[misc]
    """Hold the slices and, once the page has asked for it, the 3-D view below them.

    Parameters
    ----------
    slices
        The slices.
    """

    def __init__(self, slices: SliceViewer) -> None:
        super().__init__([slices], layout={"width": "100%", "overflow": "visible"})
        self.slices = slices
        self.solid: ipywidgets.DOMWidget | None = None
        slices.on_msg(self._answer)

    def __repr__(self) -> str:
        sizes = self.slices.picture.volume.sizes
        return f"Slices of {' x '.join(map(str, sizes.values()))} voxels, shown in Jupyter"

    def _answer(self, _: object, asked: Mapping[str, Any], __: object) -> None:
        """Open or close the 3-D view."""
        if asked.get("ask") != "three_d":
            return
        try:
            if asked.get("open") and self.solid is None:
                from workbench.viewer.view_3d import solid_view

                self.solid = solid_view(self.slices)
        except (ImportError, WorkbenchError, OSError, ValueError, MemoryError) as error:
            self.slices.send({"told": "three_d", "open": False, "text": type(error).__name__})
            return
        shown = [self.solid] if asked.get("open") else []
        self.children = [self.slices, *shown]
        self.slices.send({"told": "three_d", "open": bool(shown), "text": ""})
