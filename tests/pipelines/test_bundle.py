"""Bundles that are good, and everything that a bundle may not be."""

import copy
import io
import json
import os
import pickle
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from tests.pipelines.made_bundles import (
    CLASSIFIES,
    SEGMENTS,
    checkpoint,
    copy_bundle,
    metadata,
    saved,
    weights,
    write_bundle,
    zipped,
)
from workbench.errors import PipelineError
from workbench.pipelines.bundle import read_bundle
from workbench.pipelines.inference import estimate_bytes
from workbench.pipelines.pipeline import Pipeline
from workbench.pipelines.weights import fill_network
from workbench.site import read_site

CONFIG, META = "configs/inference.json", "configs/metadata.json"
TENSORS, POINT = "models/model.safetensors", "models/model.pt"


@pytest.fixture(scope="module")
def state():
    return weights()


@pytest.fixture(scope="module")
def good(tmp_path_factory, state):
    return write_bundle(tmp_path_factory.mktemp("good") / "lungs", state=state)


def put(place, value, config=SEGMENTS):
    """Return a configuration with one value changed."""
    made = copy.deepcopy(config)
    *way, last = place.split(".")
    held = made
    for part in way:
        held = held[int(part)] if isinstance(held, list) else held[part]
    if isinstance(held, list):
        held[int(last)] = value
    else:
        held[last] = value
    return made


def drop(place):
    made = copy.deepcopy(SEGMENTS)
    del made[place]
    return made


def step(value):
    """Return a configuration with one more step of preprocessing."""
    made = copy.deepcopy(SEGMENTS)
    made["preprocessing"]["transforms"].append(value)
    return made


RUNS = {
    "_target_": "LoadImaged", "keys": "image", "reader": "subprocess.Popen",
    "args": ["touch", "workbench_was_here"],
}  # fmt: skip
"""A loader whose reader is a process: MONAI finds it by its name."""
SAVES = {"_target_": "SaveImaged", "keys": "image", "output_dir": "elsewhere"}
FLIP = {"_target_": "Flipd", "keys": "image", "spatial_axis": 0}


MARK = "/tmp/workbench_was_here"
DEEP = json.dumps(SEGMENTS)[:-1] + ', "x": ' + "[" * 50 + "]" * 50 + "}"
BAD_CONFIGS = {
    "an expression": (put("network_def.channels", "$[4, 8]"), "network_def.channels: $[4, 8]"),
    "an expression nobody uses": (put("note", {"a": ["$__import__('os')"]}), "note.a.0: $__import"),
    "an import": (put("imports", ["$import os"]), "imports.0: $import os"),
    "a shell": (put("network_def._target_", "os.system"), "network_def._target_: os.system"),
    "eval": (step({"_target_": "builtins.eval", "source": "1"}), "builtins.eval"),
    "a process": (step({"_target_": "subprocess.Popen", "args": ["true"]}), "subprocess.Popen"),
    "a lambda": (step({"_target_": "monai.transforms.Lambdad", "keys": "image"}), "Lambdad"),
    "a short lambda": (step({"_target_": "Lambdad", "keys": "image"}), "Lambdad"),
    "a loader": (put("x", {"_target_": "torch.load", "f": "x"}), "x._target_: torch.load"),
    "a bundle in a bundle": (put("x", {"_target_": "monai.bundle.run"}), "monai.bundle.run"),
    "a download": (put("x", {"_target_": "monai.apps.download_url"}), "download_url"),
    "a cache": (put("x", {"_target_": "monai.data.PersistentDataset"}), "PersistentDataset"),
    "a printer": (step({"_target_": "DataStatsd", "keys": "image"}), "DataStatsd"),
    "chance": (step({"_target_": "RandFlipd", "keys": "image"}), "RandFlipd"),
    "a way round": (put("network_def._target_", "monai.networks.nets.unet.UNet"), "nets.unet.UNet"),
    "dunder": (put("network_def._target_", "monai.networks.nets.__builtins__"), "__builtins__"),
    "no text": (put("network_def._target_", ["UNet"]), "network_def._target_"),
    "a near miss": (put("network_def._target_", "Unet"), "Did you mean 'UNet'"),
    "requires": (put("network_def._requires_", "@inferer"), "network_def._requires_: @inferer"),
    "a debugger": (put("network_def._mode_", "debug"), "network_def._mode_: debug"),
    "another mark": (put("network_def._import_", "os"), "network_def._import_: os"),
    "disabled by text": (put("network_def._disabled_", "yes"), "_disabled_"),
    "a macro": (put("network_def.channels", "%/etc/passwd"), "network_def.channels: %/etc/passwd"),
    "a macro of this file": (put("x", ["%network_def"]), "x.0: %network_def"),
    "a key that is code": (put("$import os", 1), "$import os"),
    "an inferer among steps": (step({"_target_": "SimpleInferer"}), "preprocessing.transforms.6"),
    "a network as inferer": (put("inferer", SEGMENTS["network_def"]), "cannot stand in 'inferer'"),
    "a step as network": (
        put("network_def", {"_target_": "Resized", "keys": "image", "spatial_size": 4}),
        "cannot stand in 'network_def'",
    ),
    "saving among steps": (put("inferer", {"_target_": "SaveImaged"}), "cannot stand in 'inferer'"),
    "a number as step": (step(3), "preprocessing.transforms.6: 3"),
    "a reference to nothing": (put("x", "@netwrok_def"), "Did you mean '@network_def'"),
    "a circle": (put("x", "@y") | {"y": "@x"}, "circle"),
    "many channels": (put("network_def.channels", [4, 10**9]), "channels.1: 1000000000"),
    "a tiny spacing": (put("preprocessing.transforms.3.pixdim", [1, 1, 1e-6]), "pixdim: [1, 1"),
    "a spacing of zero": (put("preprocessing.transforms.3.pixdim", 0), "pixdim: 0"),
    "tiny windows": (put("inferer.roi_size", [96, 96, 1]), "inferer.roi_size: [96, 96, 1]"),
    "windows without end": (put("inferer.overlap", 0.9999), "inferer.overlap: 0.9999"),
    "many windows": (put("inferer.sw_batch_size", 10**5), "inferer.sw_batch_size: 100000"),
    "copies": (step({"_target_": "RepeatChanneld", "keys": "image", "repeats": 999}), "RepeatC"),
    "a process within steps": (
        step({"_target_": "Compose", "transforms": [RUNS]}), "transforms.6.transforms.0"
    ),
    "files within steps": (
        step({"_target_": "Compose", "transforms": [SAVES]}), "transforms.6.transforms.0"
    ),
    "steps within steps": (
        step({"_target_": "Compose", "transforms": [FLIP]}), "transforms.6.transforms.0"
    ),
    "a process in a network": (put("network_def.act", RUNS), "network_def.act"),
    "a process in a list": (put("network_def.norm", ["x", RUNS]), "network_def.norm.1"),
    "a process as argument": (step(FLIP | {"labels": RUNS}), "transforms.6.labels"),
    "a process far off": (step(FLIP | {"labels": "@y"}) | {"y": {"z": [RUNS]}}, "y.z.0"),
    "steps as argument of a step": (step(FLIP | {"k": "@preprocessing"}), "preprocessing"),
    "references without end": (
        step(FLIP | {"k": "@r0"})
        | {f"r{n}": [f"@r{n + 1}"] * 10 for n in range(15)} | {"r15": 1}, "values",
    ),
    "a chain of references": (
        put("x", "@r0") | {f"r{n}": f"@r{n + 1}" for n in range(5_000)} | {"r5000": 1}, "lead on",
    ),
    "a chain of lists": (
        step(FLIP | {"k": "@r0"})
        | {f"r{n}": [f"@r{n + 1}"] for n in range(5_000)} | {"r5000": 1}, "lead on",
    ),
    "a device": (put("inferer.device", "cuda:7"), "inferer.device: cuda:7"),
    "weights from afar": (put("network_def.pretrained", True), "network_def.pretrained: True"),
    "a long text": (put("x", "a" * 5000), "too long"),
    "too many values": (put("x", list(range(30000))), "values"),
    "no network": (drop("network_def"), "'network_def' is missing"),
    "no inferer": (drop("inferer"), "'inferer' is missing"),
    "no preprocessing": (drop("preprocessing"), "'preprocessing' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_configuration_that_is_no_plain_model_is_refused_by_name(
    case, tmp_path, state, monkeypatch
):
    config, told = BAD_CONFIGS[case]
    monkeypatch.chdir(tmp_path)
    bundle = write_bundle(tmp_path / "b", config, metadata(), state)
    with pytest.raises(PipelineError) as caught:
        read_bundle(bundle)
    text = str(caught.value)
    assert told in text
    assert CONFIG in text
    assert not Path(MARK).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_size_that_is_a_reference_counts(tmp_path, state):
    pad = {"_target_": "SpatialPadd", "keys": "image", "spatial_size": "@big"}
    attrs = {"affine": np.eye(4).tolist(), "units": "HU"}
    volume = xr.DataArray(np.zeros((8, 8, 8), np.int16), dims=("z", "y", "x"), attrs=attrs)
    big = write_bundle(tmp_path / "b", step(pad) | {"big": [1000, 1000, 1000]}, metadata(), state)
    plain = write_bundle(tmp_path / "p", SEGMENTS, metadata(), state)
    taken = [estimate_bytes(read_bundle(path), volume) for path in (big, plain)]
    assert taken[0] > 1e9 > taken[1]


def test_what_a_checkpoint_stores_counts_and_not_what_it_declares():
    def build():
        return torch.nn.Linear(9_000, 9_000)

    with torch.device("meta"):
        shapes = {key: value.shape for key, value in build().state_dict().items()}
    declared = {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}
    with pytest.raises(PipelineError, match="larger than its weights"):
        fill_network(build, declared, "model.pt")


def test_a_weight_that_the_network_cannot_hold_is_not_finite():
    state = {"weight": torch.full((1, 1), 1e300, dtype=torch.float64), "bias": torch.zeros(1)}
    with pytest.raises(PipelineError, match="not finite"):
        fill_network(lambda: torch.nn.Linear(1, 1), state, "model.pt")


def not_json(text):
    return {CONFIG: text if isinstance(text, bytes) else text.encode()}


YAML = "configs/inference.yaml"
BAD_FILES = {
    "deep": (not_json(DEEP), "levels"),
    "deeper than a parser goes": (not_json("[" * 100_000), "JSON"),
    "huge": (not_json(b'{"a": "' + b"x" * 5_000_000 + b'"}'), "larger than"),
    "no UTF-8": (not_json(b'{"a": "\xff"}'), "JSON"),
    "a list": (not_json("[1]"), "no table"),
    "NaN": (not_json(json.dumps(SEGMENTS)[:-1] + ', "x": NaN}'), "not finite"),
    "beyond floats": (not_json(json.dumps(SEGMENTS)[:-1] + ', "x": 1e999}'), "not finite"),
    "a long number": (not_json('{"a": ' + "9" * 10_000 + "}"), "JSON"),
    "a key twice": (not_json('{"inferer": 1, "inferer": 2}'), "inferer"),
    "a tag of YAML": (
        {CONFIG: None, YAML: f"x: !!python/object/apply:os.system ['touch {MARK}']".encode()},
        "Tags are not read",
    ),
    "a bomb of YAML": (
        {CONFIG: None, YAML: b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"}, "Anchors",
    ),
    "a key twice in YAML": ({CONFIG: None, YAML: b"a: 1\na: 2\n"}, "twice"),
    "bad YAML": ({CONFIG: None, YAML: b"a: [1"}, "YAML"),
    "two configurations": ({YAML: b"a: 1"}, "twice"),
    "no configuration": ({CONFIG: None}, "no configuration"),
    "no metadata": ({META: None}, "no metadata"),
    "no weights": ({TENSORS: None}, "no weights"),
    "a pickle alone": ({TENSORS: None, "models/model.pkl": b"x"}, "there is models/model.pkl"),
    "two weights": ({POINT: b"x"}, "twice"),
    "a script": ({"scripts/net.py": b"import os"}, "scripts/net.py"),
    "a pickle beside": ({"extra/cache.pickle": b"x"}, "extra/cache.pickle"),
    "a library": ({"libx.so": b"\x7fELF"}, "libx.so"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_files_that_are_no_bundle_are_refused_by_name(case, tmp_path, state):
    files, told = BAD_FILES[case]
    bundle = write_bundle(tmp_path / "b", state=state, files=files)
    with pytest.raises(PipelineError, match=told):
        read_bundle(bundle)
    assert not Path(MARK).exists()


def pred(**more):
    made = metadata()
    made["network_data_format"]["outputs"]["pred"] |= more
    return made


BAD_METADATA = {
    "another schema": (metadata(schema="https://x.org/meta_schema_20991231.json"), "20991231"),
    "a schema that is none": (metadata(schema=3), "schema: 3"),
    "no version": ({k: v for k, v in metadata().items() if k != "version"}, "'version'"),
    "a version that is none": (metadata(version=1), "version: 1"),
    "no format": (metadata(network_data_format=None), "outputs.pred"),
    "an unknown format": (pred(format="meshes", type="mesh"), "format: meshes"),
    "channels without numbers": (pred(channel_def={"nodule": "1"}), "channel_def"),
    "too many channels": (pred(num_channels=10**6), "channel_def"),
    "a name twice": (pred(channel_def={"0": "background", "1": "a b", "2": "a-b"}), "a_b"),
    "a strange selection": (metadata(selection={"modalty": ["CT"]}), "Did you mean 'modality'"),
    "a wrong selection": (metadata(selection={"slices": [1, "many"]}), "selection.slices"),
    "a selection that is none": (metadata(selection=[1]), "selection"),
}


@pytest.mark.parametrize("case", BAD_METADATA)
def test_metadata_that_do_not_describe_a_model_are_refused(case, tmp_path, state):
    meta, told = BAD_METADATA[case]
    with pytest.raises(PipelineError) as caught:
        read_bundle(write_bundle(tmp_path / "b", meta=meta, state=state))
    assert told in str(caught.value)
    assert META in str(caught.value)


class Shell:
    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


def torchscript():
    held = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), held)
    return held.getvalue()


def repacked(content, method=zipfile.ZIP_STORED, change=lambda name, data: data):
    """Return a checkpoint whose members were changed."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(held, "w", method) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
    return held.getvalue()


def changed(state, key=None, value=None, without=()):
    made = {k: v.clone() for k, v in state.items() if k not in without}
    if key is not None:
        made[key] = value
    return made


def first(state):
    return next(iter(state))


def spoiled(state, number):
    made = changed(state)
    made[first(state)].view(-1)[3] = number
    return made


def legacy(state):
    held = io.BytesIO()
    torch.save(state, held, _use_new_zipfile_serialization=False)
    return held.getvalue()


BAD_WEIGHTS = {
    "a bare pickle": (POINT, lambda s: pickle.dumps(Shell()), "bare pickle"),
    "a shell": (POINT, lambda s: checkpoint({"a": Shell()}), "more than weights"),
    "a whole network": (POINT, lambda s: checkpoint(torch.nn.Linear(2, 2)), "more than weights"),
    "a program": (POINT, lambda s: torchscript(), "TorchScript"),
    "a compressed checkpoint": (
        POINT, lambda s: repacked(checkpoint(s), zipfile.ZIP_DEFLATED), "compressed"),
    "a tensor shorter than it says": (
        POINT,
        lambda s: repacked(checkpoint(s), change=lambda n, d: d[:4] if "/data/" in n else d),
        "damaged"),
    "an old checkpoint": (POINT, legacy, "bare pickle"),
    "a list": (POINT, lambda s: checkpoint([1, 2]), "no weights by name"),
    "numbers": (POINT, lambda s: checkpoint({"a": 1.0}), "no tensor"),
    "half a file": (TENSORS, lambda s: saved(s)[:-10], "safetensors"),
    "a header of many bytes": (TENSORS, lambda s: struct.pack("<Q", 2**60) + b"{}", "safetensors"),
    "nothing": (TENSORS, lambda s: b"", "safetensors"),
    "no tensors": (TENSORS, lambda s: saved({}), "0 tensors"),
    "NaN": (TENSORS, lambda s: saved(spoiled(s, float("nan"))), "not finite"),
    "infinity": (POINT, lambda s: checkpoint(spoiled(s, float("inf"))), "not finite"),
    "floats of eight bits": (
        TENSORS,
        lambda s: saved(changed(s, first(s), s[first(s)].to(torch.float8_e4m3fn))), "float8"),
    "a sparse tensor": (
        POINT, lambda s: checkpoint(changed(s, first(s), torch.eye(3).to_sparse())), "sparse"),
    "a weight less": (TENSORS, lambda s: saved(changed(s, without=[first(s)])), "missing: "),
    "a weight more": (
        TENSORS, lambda s: saved(changed(s, "head.weight", torch.zeros(1))),
        "unexpected: head.weight"),
    "another shape": (
        TENSORS, lambda s: saved(changed(s, first(s), torch.zeros(2, 2))), "another shape: "),
    "another type": (
        TENSORS,
        lambda s: saved(changed(s, first(s), torch.zeros(s[first(s)].shape, dtype=torch.int32))),
        "another type: "),
    "another network": (
        TENSORS, lambda s: saved(weights(CLASSIFIES["network_def"])), "another network"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_weights_that_are_not_those_of_the_network_are_refused(case, tmp_path, state):
    name, make, told = BAD_WEIGHTS[case]
    bundle = write_bundle(tmp_path / "b", state=state, files={TENSORS: None, name: make(state)})
    with pytest.raises(PipelineError) as caught:
        Pipeline.load(bundle)
    assert told in str(caught.value)
    assert name in str(caught.value)
    assert not Path(MARK).exists()


def test_a_network_larger_than_its_weights_is_refused_before_it_is_made(tmp_path, state):
    config = put("network_def.channels", [20_000, 20_000])
    bundle = write_bundle(tmp_path / "b", config, state=state)
    with pytest.raises(PipelineError, match="larger than its weights"):
        Pipeline.load(bundle)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"network_def": {"_target_": "UNet", "spatial_dims": 3}}, "UNet cannot be made"),
        (
            {"inferer": {"_target_": "SlidingWindowInferer", "roi": 3}},
            "SlidingWindowInferer cannot",
        ),
    ],
)
def test_arguments_that_a_part_does_not_take_are_refused(change, told, tmp_path, state):
    with pytest.raises(PipelineError, match=told):
        Pipeline.load(write_bundle(tmp_path / "b", SEGMENTS | change, metadata(), state))


def zip_with(tmp_path, name, data=b"x", mode=0o100644, flags=None, method=zipfile.ZIP_STORED):
    """Return a zip file of a good bundle with one more member."""
    path = tmp_path / "b.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        info = zipfile.ZipInfo(name)
        info.external_attr, info.compress_type = mode << 16, method
        archive.writestr(info, data)
    if flags:
        content = bytearray(path.read_bytes())
        at = content.rindex(b"PK\x01\x02")
        content[at + 8] |= flags
        path.write_bytes(content)
    return path


BAD_ZIPS = {
    "a way out": ({"name": "lungs/../../evil.txt"}, "leads out"),
    "the root": ({"name": "/etc/evil"}, "leads out"),
    "a way out of Windows": ({"name": "lungs\\..\\evil"}, "leads out"),
    "a drive": ({"name": "C:/evil"}, "leads out"),
    "a control character": ({"name": "lungs/a\x1b[31m"}, "leads out"),
    "a link": ({"name": "lungs/l", "data": b"/etc/passwd", "mode": stat.S_IFLNK | 0o777}, "a link"),
    "a device": ({"name": "lungs/d", "mode": stat.S_IFCHR | 0o666}, "a link or a device"),
    "a bomb": (
        {"name": "lungs/z", "data": bytes(40_000_000), "method": zipfile.ZIP_DEFLATED},
        "200 times"),
    "a name twice": ({"name": "lungs/configs/Metadata.json"}, "twice"),
    "encrypted": ({"name": "lungs/e", "flags": 1}, "encrypted"),
    "bzip2": ({"name": "lungs/b", "method": zipfile.ZIP_BZIP2}, "compressed in a way"),
    "a script": ({"name": "lungs/x.py"}, "x.py"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ZIPS)
def test_zip_files_that_mean_harm_are_refused(case, tmp_path, good):
    zipped(copy_bundle(good, tmp_path / "b"))
    more, told = BAD_ZIPS[case]
    with pytest.raises(PipelineError, match=told):
        read_bundle(zip_with(tmp_path, **more))
    assert not (tmp_path / "evil.txt").exists()


def test_a_zip_file_that_lies_about_a_size_or_is_cut_is_refused(tmp_path, good):
    path = zipped(copy_bundle(good, tmp_path / "b"))
    content = path.read_bytes()
    for spoiled_ in (content[:-30], content[: len(content) // 2], b"PK\x03\x04", b""):
        path.write_bytes(spoiled_)
        with pytest.raises(PipelineError, match="sound zip"):
            read_bundle(path)
    at = content.index(b"lungs/configs/metadata.json") + 60
    path.write_bytes(content[:at] + b"\0\0\0" + content[at + 3 :])
    with pytest.raises(PipelineError):
        read_bundle(path)


def test_many_files_are_refused(tmp_path, good, monkeypatch):
    monkeypatch.setattr("workbench.pipelines.bundle_files.MOST_FILES", 5)
    folder = copy_bundle(good, tmp_path / "b")
    for number in range(10):
        (folder / f"{number}.txt").write_text("x")
    for bundle in (folder, zipped(folder)):
        with pytest.raises(PipelineError, match="files; at most"):
            read_bundle(bundle)


def test_many_bytes_are_refused_before_they_are_read(tmp_path, good):
    folder = copy_bundle(good, tmp_path / "b")
    with (folder / "docs.bin").open("wb") as file:
        file.truncate(9 * 2**30)  # holes take no room
    with pytest.raises(PipelineError, match="bytes; at most"):
        read_bundle(folder)


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc/passwd"), os.mkfifo])
def test_links_and_devices_in_a_folder_are_refused(make, tmp_path, good):
    folder = copy_bundle(good, tmp_path / "b")
    make(folder / "configs" / "odd")
    with pytest.raises(PipelineError, match="link or a device"):
        read_bundle(folder)


def test_no_bundle_at_all_is_refused(tmp_path):
    (tmp_path / "x").write_text("no zip")
    for path, told in (
        (tmp_path / "none", "no such"),
        (tmp_path / "x", "zip"),
        (tmp_path, "no meta"),
    ):
        with pytest.raises(PipelineError, match=told):
            read_bundle(path)


def test_a_good_bundle_is_the_same_as_a_folder_a_zip_a_checkpoint_or_yaml(tmp_path, good, state):
    import yaml

    read = read_bundle(good)
    assert read_bundle(zipped(copy_bundle(good, tmp_path / "a"))).digest == read.digest
    assert read_bundle(zipped(tmp_path / "a", top="")).digest == read.digest
    files = {TENSORS: None, POINT: checkpoint({"state_dict": state}), CONFIG: None}
    files["configs/inference.yaml"] = yaml.safe_dump(SEGMENTS).encode()
    other = read_bundle(write_bundle(tmp_path / "other", files=files, state=state))
    assert other.digest != read.digest
    assert other.configuration.tree == read.configuration.tree
    ours, theirs = read.network().state_dict(), other.network().state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert all(torch.equal(ours[key], state[key]) for key in ours)


def test_the_digest_changes_with_any_file(tmp_path, good):
    folder = copy_bundle(good, tmp_path / "b")
    before = read_bundle(folder).digest
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text("for adults only")
    assert read_bundle(folder).digest != before


def test_a_trusted_bundle_may_hold_expressions_and_no_other(tmp_path, state):
    config = copy.deepcopy(SEGMENTS)
    config |= {"side": "$2 * 16", "network": "$@network_def.eval()"}
    config["inferer"]["roi_size"] = "$[@side] * 3"
    bundle = write_bundle(tmp_path / "b", config, metadata(), state)
    with pytest.raises(PipelineError, match="expression") as caught:
        read_bundle(bundle)
    assert "site.toml" in str(caught.value)
    plain = read_bundle(write_bundle(tmp_path / "plain", state=state))
    for trusted in ((plain.digest,), ("sha256:" + "0" * 64,)):
        with pytest.raises(PipelineError, match="expression"):
            read_bundle(bundle, trusted=trusted)
    with pytest.raises(PipelineError, match="no sha256"):
        read_bundle(bundle, trusted=("sha256:*",))
    from workbench.pipelines.bundle_files import read_bundle_files

    digest = read_bundle_files(bundle).digest
    pipeline = Pipeline.load(bundle, trusted=(digest,))
    assert pipeline.bundle.trusted
    site = tmp_path / "site.toml"
    site.write_text(
        '[site]\nid = "here"\nname = "Here"\nkind = "pretend"\n[archive]\nkind = "folder"\n'
        f'path = "dicom"\n[bundles]\ntrusted = ["{digest}"]\n'
    )
    assert Pipeline.load(bundle, trusted=read_site(site)).digest == digest
    parts = pipeline.bundle.configuration.build()
    assert list(parts.inferer.roi_size) == [32, 32, 32]
    names = [type(t).__name__ for t in parts.preprocessing.transforms]
    assert names == ["Orientationd", "Spacingd", "ScaleIntensityRanged", "EnsureTyped"]
    assert [name for name, _ in parts.postprocessing][-1].endswith("AsDiscreted")


def test_what_a_channel_means_is_read_from_the_metadata(tmp_path, state):
    def findings(**more):
        bundle = write_bundle(
            tmp_path / str(len(list(tmp_path.iterdir()))), meta=pred(**more), state=state
        )
        return read_bundle(bundle).answer.findings

    assert findings() == {1: "nodule"}
    assert findings(channel_def={"0": "Lung nodule"}, num_channels=1) == {1: "lung_nodule"}
    assert findings(channel_def={"0": "a", "1": "b"}) == {1: "a", 2: "b"}
    assert findings(channel_def={"0": "Background", "1": "结节"}) == {1: "finding_1"}
