"""Volume 3-D: voxels for NiiVue's page that no saved notebook holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import traitlets
from ipyniivue import NiiVue, Volume  # type: ignore[import-untyped]

RESOURCES = Path(__file__).parents[1] / "resources" / "view"


class Volume3D(Volume):  # type: ignore[misc]
    """Send voxels to a page that asks for them, and hold none in the state that may be saved.

    Parameters
    ----------
    voxels
        A NIfTI file.
    shown
        How it is drawn: traits of ipyniivue's `Volume`, such as `name` and `colormap`.
    """

    _esm = RESOURCES / "voxels.js"
    this_model_id = traitlets.Unicode().tag(sync=True)

    def __init__(self, voxels: bytes, **shown: object) -> None:
        self.voxels = voxels
        self.asked = 0
        super().__init__(id=f"{uuid4()}_py", **shown)
        self.on_msg(self._answer)
        self.this_model_id = self.model_id  # from now on a page may ask, in another thread

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take what the page tells, but the voxels, which NiiVue sends back."""
        super().set_state({k: v for k, v in state.items() if not k.startswith("chunk_")})

    def _answer(self, _: object, asked: Mapping[str, Any], __: object) -> None:
        if asked.get("ask") == "voxels":
            self.send({"told": "voxels"}, [self.voxels])
            self.asked += 1


class View3D(NiiVue):  # type: ignore[misc]
    """Draw volumes once the page has their voxels: when it opens, and when it is loaded again.

    Parameters
    ----------
    parts
        What is drawn, the lowest first.
    options
        Options of ipyniivue's `NiiVue`.
    """

    def __init__(self, parts: Sequence[Volume3D], **options: object) -> None:
        super().__init__(**options)
        self.parts = list(parts)
        for part in self.parts:
            part.on_msg(self._draw)  # after the part itself has answered
        self._draw()

    def get_state(self, key: object = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Return the state; a page that begins with it has no voxels to draw yet."""
        state: dict[str, Any] = super().get_state(key=key, drop_defaults=drop_defaults)
        return state | {"volumes": []} if key is None and "volumes" in state else state

    def _draw(self, *_: object) -> None:
        """Let the page draw, once it has asked for all parts as often."""
        (first, *others) = (part.asked for part in self.parts)
        if first and all(other == first for other in others):
            self.volumes = self.parts
            self.send_state("volumes")  # also where it is the same, and the page is not
