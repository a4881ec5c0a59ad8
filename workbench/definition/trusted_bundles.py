"""Trusted bundles: the models whose configuration may hold code at a site."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from workbench.definition.declaration import Declared

Digest = Annotated[
    str, Field(pattern=r"^sha256:[0-9a-f]{64}\z", description='"sha256:" and 64 of 0-9 and a-f')
]
"""Digest of all files of a bundle, as `workbench.pipelines.bundle` makes it."""


class BundlesTable(Declared):
    """Table `[bundles]`: digests of bundles that somebody at the site has read and vouches for."""

    trusted: Annotated[list[Digest], Field(max_length=100)]
