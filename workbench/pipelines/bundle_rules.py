"""Bundle rules: what the configuration of a bundle may ask for, as data.

A configuration of MONAI names classes and functions that are called with its arguments, so it is a
program. Of a bundle that nobody vouches for only what is listed here is called: transforms that
neither read, write, print nor draw at random, networks that fetch nothing, inferers and activations
of torch. Each has its exact dotted name; the last part of it, which MONAI writes too, means the
same.

Source: MONAI Bundle Specification; MONAI 1.6, `monai.bundle.ConfigParser`.
"""

from __future__ import annotations

_DICTIONARY = "monai.transforms"
_NETWORK = "monai.networks.nets"
_INFERER = "monai.inferers"
_ACTIVATION = "torch.nn"

PREPROCESSING = frozenset(
    f"{_DICTIONARY}.{name}"
    for name in (
        "BorderPadd", "CastToTyped", "CenterSpatialCropd", "ClipIntensityPercentilesd",
        "CropForegroundd", "DivisiblePadd", "EnsureTyped", "Flipd", "MaskIntensityd",
        "NormalizeIntensityd", "Orientationd", "ResizeWithPadOrCropd", "Resized", "Rotate90d",
        "ScaleIntensityRangePercentilesd", "ScaleIntensityRanged", "ScaleIntensityd",
        "ShiftIntensityd", "Spacingd", "SpatialCropd", "SpatialPadd", "StdShiftIntensityd",
        "ThresholdIntensityd",
    )
)  # fmt: skip
"""What an image may be made ready with."""
POSTPROCESSING = frozenset(
    f"{_DICTIONARY}.{name}"
    for name in (
        "Activationsd", "AsDiscreted", "CastToTyped", "EnsureTyped", "FillHolesd", "Invertd",
        "KeepLargestConnectedComponentd", "LabelFilterd", "MapLabelValued",
        "RemoveSmallObjectsd", "SqueezeDimd",
    )
)  # fmt: skip
"""What the network's answer may be made into a result with."""
LEFT_OUT = frozenset(
    f"{_DICTIONARY}.{name}"
    for name in ("EnsureChannelFirstd", "LoadImaged", "SaveImaged", "ToTensord")
)
"""What a configuration may name and the pipeline does itself: images come and go as volumes."""
COMPOSE = f"{_DICTIONARY}.Compose"
NETWORKS = frozenset(
    f"{_NETWORK}.{name}"
    for name in (
        "AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "Classifier", "DenseNet", "DenseNet121",
        "DenseNet169", "DenseNet201", "DenseNet264", "DynUNet", "HighResNet", "MedNeXt",
        "Regressor", "ResNet", "SENet",
        "SEResNet101", "SEResNet50", "SegResNet", "SegResNetDS", "SwinUNETR",
        "UNETR", "UNet", "VNet", "ViT", "resnet10", "resnet101", "resnet152", "resnet18",
        "resnet200", "resnet34", "resnet50",
    )
)  # fmt: skip
"""Networks that may be built."""
INFERERS = frozenset(
    f"{_INFERER}.{name}" for name in ("SimpleInferer", "SliceInferer", "SlidingWindowInferer")
)
"""How a network may be moved over an image."""
ACTIVATIONS = frozenset(
    f"{_ACTIVATION}.{name}"
    for name in (
        "ELU", "GELU", "Identity", "LeakyReLU", "LogSoftmax", "PReLU", "ReLU", "ReLU6", "SiLU",
        "Sigmoid", "Softmax", "Softplus", "Tanh",
    )
)  # fmt: skip
"""Activations that may be arguments of the above."""
ALLOWED = frozenset(
    {COMPOSE, *PREPROCESSING, *POSTPROCESSING, *LEFT_OUT, *NETWORKS, *INFERERS, *ACTIVATIONS}
)
"""Every `_target_` that may stand in a configuration."""
SHORT = {name.rpartition(".")[2]: name for name in ALLOWED}
"""Name without its module -> the exact name."""

SECTIONS: dict[str, frozenset[str]] = {
    "network": NETWORKS,
    "preprocessing": PREPROCESSING | LEFT_OUT | {COMPOSE},
    "inferer": INFERERS,
    "postprocessing": POSTPROCESSING | LEFT_OUT | {COMPOSE},
}
"""Part of a configuration that is built -> what it, or each step of it, may be."""
NETWORK_KEYS = ("network_def", "network")
"""Keys that a network may stand under."""
MARKS = ("_target_", "_disabled_", "_desc_")
"""Keys of a component that are no arguments of it."""
REFUSED_ARGUMENTS: dict[str, str] = {
    "device": "The pipeline chooses the device; remove it",
    "sw_device": "The pipeline chooses the device; remove it",
    "pretrained": "Put the weights into the bundle, and remove it",
    "progress": "The pipeline shows how far it is; remove it",
    "output_device": "The pipeline chooses the device; remove it",
    "allow_missing_keys": "Name the keys that are there, and remove it",
}
"""Argument -> what to do instead; `false` and `null` are harmless."""
CODE = ("$", "%")
"""What an expression, and a macro, begin with."""
REFERENCE = "@"
SUSPECT = (
    ".bat", ".dill", ".dll", ".dylib", ".egg", ".exe", ".joblib", ".p", ".pickle", ".pkl", ".ps1",
    ".py", ".pyc", ".pyd", ".pyo", ".pyw", ".sh", ".so", ".whl",
)  # fmt: skip
"""Endings of files that hold code, or pickles that run some when they are read."""
SCHEMAS = ("202203130950", "20220324", "20240725")
"""Dates of the schemas of metadata.json that are known; without one the newest is meant."""

LARGEST_NUMBER = 1_000_000
"""Largest magnitude of a number in a configuration: a window, a channel or an intensity."""
SMALLEST_SPACING_MM = 0.05
SMALLEST_WINDOW = 8
"""Voxels along a side of a sliding window."""
LARGEST_OVERLAP = 0.9
LARGEST_BATCH = 64
"""Windows at a time."""
DEEPEST = 20
MOST_VALUES = 20_000
LONGEST_TEXT = 4_000


def exact_name(target: str) -> str:
    """Return the exact name of a `_target_`, or "" if it may not be called.

    Examples
    --------
    >>> exact_name("UNet"), exact_name("monai.networks.nets.UNet"), exact_name("os.system")
    ('monai.networks.nets.UNet', 'monai.networks.nets.UNet', '')
    """
    name = SHORT.get(target, target)
    return name if name in ALLOWED else ""
