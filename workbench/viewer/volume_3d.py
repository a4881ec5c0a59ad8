"""Volume 3-D: voxels for NiiVue's page that no saved notebook holds."""

from __future__ import annotations

from typing import Any

from ipyniivue import Volume  # type: ignore[import-untyped]

VOXELS = ("data", "img")
"""What the kernel sends, and what the page sends back."""


class Volume3D(Volume):  # type: ignore[misc]
    """Be sent to the page with its voxels, and be saved without them."""

    def _get_embed_state(self, drop_defaults: bool = False) -> dict[str, Any]:
        """Return what `ipywidgets.Widget.get_manager_state` keeps: all but the voxels."""
        kept: dict[str, Any] = super()._get_embed_state(drop_defaults=drop_defaults)
        buffers = [b for b in kept.pop("buffers", []) if b["path"][0] not in VOXELS]
        return kept | ({"buffers": buffers} if buffers else {})
