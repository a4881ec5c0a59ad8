"""Volume error: the fixed list of reasons why images do not make a volume."""

from __future__ import annotations

from workbench.errors import ImageError

VOLUME_REASONS: dict[str, tuple[str, str]] = {
    "no_images": ("There are no images", "Give the files of one series"),
    "unreadable_files": (
        "Some files of the series cannot be read",
        "Ask the archive for them again, or give the files without them",
    ),
    "several_series": ("The files are of several series", "Give the files of one series"),
    "several_exams": (
        "The files are of several exams or patients under one series",
        "Give the files of one exam, and tell the archive that two share a series",
    ),
    "several_spaces": (
        "The images lie in several frames of reference",
        "Give the files of one acquisition",
    ),
    "segmentation": (
        "This is a segmentation, not an image",
        "Open it with `open_segmentation`",
    ),
    "localiser": ("These are localisers, not slices", "Give the files without localisers"),
    "single_image": ("A single image is no volume", "Open it with `decode_frames`"),
    "too_few_slices": (
        "Too few slices: whether they are evenly spaced cannot be told",
        "Ask for fewer with `slices`",
    ),
    "no_position": (
        "The images do not say where they lie",
        "Convert the series with its maker's software, or use another one",
    ),
    "bad_geometry": (
        "What the images say of where they lie cannot be",
        "Ask the archive for the series again",
    ),
    "mixed_orientation": ("The images have several orientations", "Give one stack of slices"),
    "mixed_sizes": ("The images have several sizes", "Give one stack of slices"),
    "mixed_spacing": ("The images have several pixel spacings", "Give one stack of slices"),
    "mixed_pixels": ("The images store pixels in several ways", "Give one stack of slices"),
    "duplicate_positions": (
        "Several images lie at one position, and nothing tells them apart",
        "Give each image once",
    ),
    "unequal_stacks": (
        "Not every position has the same images",
        "Give complete stacks, or one of them",
    ),
    "missing_slices": ("Slices are missing", "Ask the archive for the series again"),
    "uneven_spacing": ("The slices are not evenly spaced", "Use another reconstruction"),
    "gantry_tilt": (
        "The slices are sheared by a tilted gantry",
        'Open it with tilt="resample"',
    ),
    "not_aligned": ("The slices do not lie along one line", "Use another reconstruction"),
    "mosaic": (
        "Each image is a mosaic of slices",
        'Open it with mosaic="split"',
    ),
    "overflow": (
        "Values do not fit the type that they are to be held in",
        'Open it with dtype="int32", or "float32"',
    ),
    "no_suv": ("SUV cannot be computed", "Open it without `units`"),
}
"""Reason -> what is wrong, and what to do about it."""


class VolumeError(ImageError):
    """Say why images do not make a volume.

    Parameters
    ----------
    reason
        A key of `VOLUME_REASONS`.
    detail
        Fixed words and numbers, never a value that names a patient.

    Examples
    --------
    >>> print(VolumeError("missing_slices", "1 after slice 3 of 12 (gap 5 mm, else 2.5 mm)"))
    Slices are missing
      where: 1 after slice 3 of 12 (gap 5 mm, else 2.5 mm)
      do:    Ask the archive for the series again
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        what, todo = VOLUME_REASONS[reason]
        super().__init__(what, where=detail, todo=todo)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        return VolumeError, (self.reason, self.detail)
