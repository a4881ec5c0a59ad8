"""Bundles made for tests: a small network with fixed weights, whole or with one thing changed."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import torch

UNET = {
    "_target_": "monai.networks.nets.UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
    "num_res_units": 0,
    "norm": "INSTANCE",
}
CLASSIFIER = {
    "_target_": "DenseNet121",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [1, 1],
}
SEGMENTS = {
    "network_def": UNET,
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [4.0, 4.0, 4.0]},
            {
                "_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1000, "a_max": 400,
                "b_min": 0, "b_max": 1, "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "image"},
        ],
    },
    "inferer": {
        "_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "sw_batch_size": 2,
        "overlap": 0.25,
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {
                "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing",
                "orig_keys": "image", "nearest_interp": False, "to_tensor": True,
            },
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        ],
    },
}  # fmt: skip
CLASSIFIES = {
    "network_def": CLASSIFIER,
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
            {"_target_": "Resized", "keys": "image", "spatial_size": [32, 32, 32]},
            {"_target_": "NormalizeIntensityd", "keys": "image"},
        ],
    },
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
    },
}


def metadata(kind="segmentation", **more):
    """Return a metadata.json."""
    names = ("background", "nodule") if kind == "segmentation" else ("benign", "malignant")
    pred = {
        "type": "image" if kind == "segmentation" else "probabilities",
        "format": "segmentation" if kind == "segmentation" else "classes",
        "num_channels": 2,
        "channel_def": {str(i): name for i, name in enumerate(names)},
    }
    return {
        "schema": "https://example.org/meta_schema_20240725.json",
        "version": "0.1.0",
        "monai_version": "1.6.1",
        "pytorch_version": "2.13.0",
        "task": "Find lung nodules",
        "network_data_format": {"inputs": {"image": {"type": "image"}}, "outputs": {"pred": pred}},
    } | more


def weights(network_def=None, seed=7, config=None):
    """Return the tensors of a network with fixed random weights."""
    import monai.networks.nets as nets

    told = dict(network_def or (config or SEGMENTS)["network_def"])
    made = getattr(nets, told.pop("_target_").rpartition(".")[2])
    torch.manual_seed(seed)
    return {k: v.clone() for k, v in made(**told).state_dict().items()}


def saved(state):
    """Return tensors as the bytes of a safetensors file."""
    import safetensors.torch

    return safetensors.torch.save({k: v.contiguous() for k, v in state.items()})


def checkpoint(state):
    """Return tensors as the bytes of a checkpoint of torch."""
    held = io.BytesIO()
    torch.save(state, held)
    return held.getvalue()


def write_bundle(folder, config=None, meta=None, state=None, files=None):
    """Write a bundle, `files` in the place of what it would hold, and return its folder."""
    folder = Path(folder)
    config = SEGMENTS if config is None else config
    kind = "classification" if config.get("network_def") == CLASSIFIER else "segmentation"
    content = {
        "configs/metadata.json": json.dumps(metadata(kind) if meta is None else meta).encode(),
        "configs/inference.json": json.dumps(config).encode(),
        "models/model.safetensors": saved(weights(config=config) if state is None else state),
    }
    for name, held in {**content, **(files or {})}.items():
        if held is None:
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(held)
    return folder


def zipped(folder, top="lungs/"):
    """Return the path of a zip file of a folder."""
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, top + path.relative_to(folder).as_posix())
    return target


def copy_bundle(source, target):
    """Return a copy of a bundle's folder."""
    return Path(shutil.copytree(source, target))
