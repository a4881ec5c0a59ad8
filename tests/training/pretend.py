"""Small volumes with bright balls, and a small network that finds them."""

import numpy as np
import xarray as xr

from workbench.pipelines.configuration import Configuration
from workbench.training.cases import Case, Division
from workbench.training.settings import Settings

SIDE = 24
TREE = {
    "network_def": {
        "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "channels": [4, 8], "strides": [2], "num_res_units": 0, "norm": "INSTANCE",
    },
    "preprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1000, "a_max": 400,
         "b_min": 0, "b_max": 1, "clip": True},
    ]},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "overlap": 0.25},
}  # fmt: skip
CLASSES = TREE | {
    "network_def": {
        "_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "init_features": 8, "growth_rate": 4, "block_config": [2, 2],
    },
    "inferer": {"_target_": "SimpleInferer"},
}  # fmt: skip
SETTINGS = Settings(
    epochs=4, steps=6, batch=2, patch=(16, 16, 16), rate=2e-2, threads=1, device="cpu"
)


def configuration(tree=TREE):
    return Configuration("inference.json", tree)


def draw(number):
    """Return a volume and its mask; every other one has a ball."""
    stream = np.random.default_rng(number)
    mask = np.zeros((SIDE,) * 3, np.uint8)
    if number % 2:
        centre = stream.integers(7, SIDE - 7, 3)[:, None, None, None]
        mask[((np.indices(mask.shape) - centre) ** 2).sum(0) < 16] = 1
    values = (stream.normal(-800, 60, mask.shape) + 700.0 * mask).astype(np.int16)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    along = np.arange(SIDE) * 2.0
    attrs = {"affine": affine.tolist(), "orientation": [1, 0, 0, 0, 1, 0], "units": "HU"}
    coords = dict.fromkeys("zyx", along)
    volume = xr.DataArray(values, coords, ("z", "y", "x"), attrs=attrs)
    return volume, volume.copy(data=mask)


def case(number, kind="segmentation"):
    volume, mask = draw(number)
    target = (lambda _: mask) if kind == "segmentation" else number % 2
    return Case(f"1.2.{number}", f"patient {number}", volume, target)


def division(kind="segmentation", training=range(6), validation=range(10, 14)):
    return Division([case(n, kind) for n in training], [case(n, kind) for n in validation])
