"""Pipelines over cohorts: the same numbers as MONAI alone, whatever happens on the way."""

import copy
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import xarray as xr

from tests.pipelines.made_bundles import CLASSIFIES, SEGMENTS, metadata, weights, write_bundle
from tests.pipelines.made_cohorts import series, write_cohort, write_series
from workbench.catalog.scan import scan
from workbench.errors import PipelineError, UsageError
from workbench.imaging.volume import load_volume
from workbench.pipelines.inference import Limits, load_model
from workbench.pipelines.pipeline import Pipeline
from workbench.pipelines.place import choose_place
from workbench.pipelines.requirement import Content, Requirement
from workbench.pipelines.results import ROW, digest_of, exam_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "lungs")


@pytest.fixture(scope="module")
def pipeline(bundle):
    return Pipeline.load(bundle)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Pipeline.load(write_bundle(tmp_path_factory.mktemp("bundle") / "nodules", CLASSIFIES))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def whole(pipeline, cohort, tmp_path_factory):
    """Return the results of a run that nothing disturbed."""
    return pipeline.apply(cohort, tmp_path_factory.mktemp("whole"), device="cpu")


def by_monai(volume, state, config=SEGMENTS):
    """Return mask and highest probability as a script of MONAI alone finds them."""
    from monai.data import MetaTensor
    from monai.inferers import SimpleInferer, SlidingWindowInferer
    from monai.networks import nets
    from monai.transforms import (
        Activationsd,
        AsDiscreted,
        Compose,
        EnsureTyped,
        Invertd,
        NormalizeIntensityd,
        Orientationd,
        Resized,
        ScaleIntensityRanged,
        Spacingd,
    )  # fmt: skip

    affine = np.diag([-1, -1, 1, 1]) @ np.array(volume.attrs["affine"])
    image = MetaTensor(torch.tensor(volume.values.T.astype(np.float32).copy())[None], affine=affine)
    told = dict(config["network_def"])
    network = getattr(nets, told.pop("_target_").rpartition(".")[2])(**told)
    network.load_state_dict(state)
    network.eval()
    orient = Orientationd("image", axcodes="RAS", labels=None)
    if config is CLASSIFIES:
        before = Compose([orient, Resized("image", (32, 32, 32)), NormalizeIntensityd("image")])
        with torch.no_grad():
            raw = SimpleInferer()(before({"image": image})["image"][None], network)
        return None, float(torch.softmax(raw, 1)[0, 1])
    before = Compose([
        orient, Spacingd("image", pixdim=(4.0, 4.0, 4.0)),
        ScaleIntensityRanged("image", -1000, 400, 0, 1, clip=True), EnsureTyped("image"),
    ])  # fmt: skip
    item = before({"image": image})
    with torch.no_grad():
        raw = SlidingWindowInferer((32, 32, 32), 2, 0.25)(item["image"][None], network)
    item["pred"] = raw[0]
    soft = Activationsd("pred", softmax=True)(item)
    back = Invertd("pred", before, orig_keys="image", nearest_interp=False, to_tensor=True)(soft)
    high = float(back["pred"][1].max())
    return np.asarray(AsDiscreted("pred", argmax=True)(back)["pred"])[0].T, high


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_masks_and_scores_equal_those_of_monai_alone(whole, cohort, classifier, tmp_path):
    state = weights()
    for name, folder in cohort.items():
        mask, high = by_monai(load_volume(folder), state)
        assert 0 < mask.mean() < 1
        np.testing.assert_array_equal(whole.mask(name).values, mask)
        row = whole.rows().row(by_predicate=pl.col("exam_uid") == name, named=True)
        assert row["score"] == high
        assert row["nodule_volume_ml"] == pytest.approx(mask.sum() * 0.064)
    found = classifier.apply(cohort, tmp_path / "out").rows()
    state = weights(CLASSIFIES["network_def"])
    for name, folder in cohort.items():
        _, score = by_monai(load_volume(folder), state, CLASSIFIES)
        row = found.row(by_predicate=pl.col("exam_uid") == name, named=True)
        assert row["score"] == pytest.approx(score, abs=1e-7)
        assert row["mask"] is None


@pytest.mark.parametrize("axes", ["RAS", "SRA", "LAI"])
def test_a_mask_is_brought_back_whether_the_bundle_does_so_or_not(axes, cohort, tmp_path):
    made = {}
    for back in (True, False):
        config = copy.deepcopy(SEGMENTS)
        steps, after = (config[k]["transforms"] for k in ("preprocessing", "postprocessing"))
        steps[2]["axcodes"] = axes
        del steps[3]  # a turned image of the same shape
        if not back:
            del after[1]
        bundle = write_bundle(tmp_path / f"{back}", config, metadata())
        found = Pipeline.load(bundle).apply({"a": cohort["exam 1"]}, tmp_path / f"{back} out")
        made[back] = found.mask("a").values
    np.testing.assert_array_equal(made[True], made[False])
    assert (made[True] != made[True][:, ::-1]).any()


def test_a_row_says_what_was_used_and_how(whole, pipeline):
    row = whole.rows().row(0, named=True)
    assert row["model_digest"] == pipeline.digest
    assert (row["device"], row["precision"], row["threads"]) == ("cpu", "float32", 1)
    assert (row["series_uid"], row["truth"], row["reason"]) == ("1.2.1.1", None, "")
    assert (row["age_years"], row["sex"], row["manufacturer"]) == (50.0, "F", "Maker")
    assert (row["slice_thickness_mm"], row["kernel"]) == (4.0, "B30f")
    assert str(row["exam_time"]) == "2024-01-02 03:04:05"
    assert whole.attrition().height == 0
    assert whole.run["torch"] == torch.__version__
    assert "6" in str(whole)


def test_a_mask_lies_on_the_grid_of_its_volume(whole, cohort):
    for name, folder in cohort.items():
        mask, volume = whole.mask(name), load_volume(folder)
        for axis in "zyx":
            np.testing.assert_array_equal(mask[axis].values, volume[axis].values)
        assert mask.attrs["affine"] == volume.attrs["affine"]
        assert mask.attrs["labels"] == {1: "nodule"}


def test_no_file_name_and_no_record_tells_of_whom(whole):
    names = [p.relative_to(whole.folder).as_posix() for p in whole.folder.rglob("*")]
    assert not any("exam 1" in name or "1.2.1" in name or "p1" in name for name in names)
    assert "exam" not in json.dumps({k: v for k, v in whole.run.items() if k != "name"})


def test_the_same_again_does_nothing_twice(whole, pipeline, cohort):
    before = {p: p.stat().st_mtime_ns for p in whole.folder.rglob(ROW)}
    told = []
    again = pipeline.apply(cohort, whole.folder, progress=told.append)
    assert {p: p.stat().st_mtime_ns for p in whole.folder.rglob(ROW)} == before
    assert told == []
    assert digest_of(again) == digest_of(whole)


def test_workers_and_order_change_no_bit(whole, pipeline, cohort, tmp_path):
    for workers in (1, 3):
        shuffled = dict(reversed(cohort.items()))
        found = pipeline.apply(shuffled, tmp_path / f"{workers}", workers=workers)
        assert digest_of(found) == digest_of(whole)


RUN = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from workbench.pipelines.pipeline import Pipeline
exams = {{f"exam {{n}}": Path({cohort!r}) / f"e{{n}}" for n in range(1, 7)}}
Pipeline.load({bundle!r}).apply(exams, {out!r}, workers=2, device="cpu",
    progress=lambda p: print(p.done, flush=True))
"""


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    whole, pipeline, bundle, cohort, tmp_path
):
    out = tmp_path / "out"
    root = str(next(iter(cohort.values())).parent)
    code = RUN.format(root=str(ROOT), cohort=root, bundle=str(bundle), out=str(out))
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert int(run.stdout.readline()) == 1
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished = {p.parent.name: p.stat().st_mtime_ns for p in out.rglob(ROW)}
    assert 1 <= len(finished) < 6
    (out / "exams" / ".half.tmp").mkdir()
    told = []
    again = pipeline.apply(cohort, out, progress=told.append, device="cpu")
    assert digest_of(again) == digest_of(whole)
    assert len(told) == 6 - len(finished)
    assert not list(out.glob("exams/.*"))
    for name, changed in finished.items():
        assert (out / "exams" / name / ROW).stat().st_mtime_ns == changed


def test_a_run_that_is_stopped_keeps_what_is_finished(whole, pipeline, cohort, tmp_path):
    stop = threading.Event()
    first = pipeline.apply(
        cohort, tmp_path / "out", workers=1, stop=stop, progress=lambda _: stop.set()
    )
    assert first.rows().height == 1
    assert digest_of(pipeline.apply(cohort, tmp_path / "out")) == digest_of(whole)

    def interrupt(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.apply(cohort, tmp_path / "other", workers=1, progress=interrupt)
    assert digest_of(pipeline.apply(cohort, tmp_path / "other")) == digest_of(whole)


def test_a_torn_row_is_made_again(whole, pipeline, cohort, tmp_path):
    out = tmp_path / "out"
    pipeline.apply(cohort, out)
    row = out / "exams" / exam_name("exam 3") / ROW
    row.chmod(0o600)
    for torn in ("", '{"exam_uid": "exam 3"', '{"exam_uid": "exam 4", "reason": ""}', "[" * 10**5):
        row.write_text(torn)
        assert digest_of(pipeline.apply(cohort, out)) == digest_of(whole)


def test_corrupt_series_in_the_middle_become_rows_and_the_rest_finishes(
    whole, pipeline, cohort, tmp_path
):
    bad = {}
    for name, spoil in {
        "truncated": lambda f: f[3].write_bytes(f[3].read_bytes()[:-500]),
        "no dicom": lambda f: [p.write_bytes(b"x" * 300) for p in f],
        "one is not": lambda f: f[5].write_bytes(b"x" * 300),
        "missing": lambda f: f[5].unlink(),
        "empty folder": lambda f: [p.unlink() for p in f],
    }.items():
        spoil(write_series(tmp_path / name, series(1)))
        bad[name] = tmp_path / name
    bad["no folder"] = tmp_path / "none"
    bad["a volume of another kind"] = xr.DataArray(np.zeros((3, 3)), dims=("a", "b"))
    found = pipeline.apply(cohort | bad, tmp_path / "out")
    rows = {row["exam_uid"]: row for row in found.rows().to_dicts()}
    assert len(rows) == 13
    reasons = {name: rows[name]["reason"] for name in bad}
    assert reasons == {
        "truncated": "unreadable", "no dicom": "unreadable", "one is not": "missing_slices",
        "missing": "missing_slices", "empty folder": "unreadable", "no folder": "unreadable",
        "a volume of another kind": "several_volumes",
    }  # fmt: skip
    for name in cohort:
        assert rows[name]["reason"] == ""
        np.testing.assert_array_equal(found.mask(name).values, whole.mask(name).values)
    lost = found.attrition().filter(pl.col("series_uid").is_null())
    assert sorted(lost["exam_uid"]) == sorted(bad)
    with pytest.raises(PipelineError, match="no mask"):
        found.mask("missing")


def test_time_and_memory_that_an_exam_may_not_take_are_rows(pipeline, cohort, tmp_path):
    late = pipeline.apply(cohort, tmp_path / "out", timeout_s=1e-6)
    assert set(late.rows()["reason"]) == {"time_out"}
    assert set(pipeline.apply(cohort, tmp_path / "out").rows()["reason"]) == {"time_out"}
    again = pipeline.apply(cohort, tmp_path / "out", retry=["time_out"])
    assert set(again.rows()["reason"]) == {""}
    large = pipeline.apply(cohort, tmp_path / "large", memory_gb=1e-4)
    assert set(large.rows()["reason"]) == {"out_of_memory"}
    assert "GB needed" in large.rows()["detail"][0]
    with pytest.raises(UsageError, match="Unknown reason"):
        pipeline.apply(cohort, tmp_path / "out", retry=["time out"])


def test_a_time_out_comes_between_windows(pipeline, cohort):
    model = load_model(pipeline.bundle, choose_place("cpu"))
    slow = model.network.forward

    def wait(windows):
        time.sleep(0.3)
        return slow(windows)

    model.network.forward = wait
    volume = load_volume(cohort["exam 1"])
    big = xr.concat([volume] * 4, "x").assign_coords(x=np.arange(160) * 4.0)
    started = time.monotonic()
    with pytest.raises(Exception, match="time_out"):
        model.apply(big, Limits(0.5, 1e12))
    assert time.monotonic() - started < 1.5


def failing(tmp_path, error):
    """Return a pipeline whose network raises an error on the brightest exam."""
    made = Pipeline.load(write_bundle(tmp_path / "b"))
    built = made.bundle.configuration.build_network

    def build():
        network = built()
        usual = network.forward

        def forward(windows):
            if error == "nan":
                return usual(windows) * float("nan")
            raise error

        network.forward = forward
        return network

    object.__setattr__(made.bundle.configuration, "build_network", build)
    return made


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("nan", "nan_score"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (ValueError("Doe^Jane"), "failed"),
        (KeyError("x"), "failed"),
    ],
)
def test_what_fails_in_a_network_is_a_named_row(error, reason, tmp_path, cohort):
    found = failing(tmp_path, error).apply({"a": cohort["exam 1"]}, tmp_path / "out")
    row = found.rows().row(0, named=True)
    assert (row["reason"], row["score"], row["mask"]) == (reason, None, None)
    assert "Doe" not in str(found.attrition().to_dicts())


def test_scores_that_are_none_are_named_rows(tmp_path, cohort):
    state = weights(CLASSIFIES["network_def"])
    for name, config, reason in (
        ("huge", CLASSIFIES, "nan_score"),
        ("raw", {k: v for k, v in CLASSIFIES.items() if k != "postprocessing"}, "bad_answer"),
    ):  # fmt: skip
        made = dict(state)
        key = next(k for k in state if k.endswith("out.bias"))
        made[key] = torch.full_like(state[key], 3e38 if name == "huge" else 40.0)
        if name == "huge":
            made[next(k for k in state if k.endswith("out.weight"))] *= 1e38
        pipe = Pipeline.load(
            write_bundle(tmp_path / name, config, metadata("classification"), made)
        )
        found = pipe.apply({"a": cohort["exam 1"]}, tmp_path / f"{name} out").rows()
        assert found["reason"].to_list() == [reason]


def test_results_of_another_pipeline_are_not_mixed(whole, classifier, pipeline, cohort):
    with pytest.raises(PipelineError, match="another pipeline"):
        classifier.apply(cohort, whole.folder)
    with pytest.raises(PipelineError, match="precision"):
        pipeline.apply(cohort, whole.folder, precision="bfloat16")
    with pytest.raises(PipelineError, match="requirement"):
        pipeline.apply(cohort, whole.folder, requirement=Requirement(modality=("CT",)))


def test_mixed_precision_is_recorded_and_comes_out_the_same_twice(pipeline, cohort, tmp_path):
    runs = [
        pipeline.apply(cohort, tmp_path / f"{n}", precision="bfloat16", workers=n) for n in (1, 2)
    ]
    assert set(runs[0].rows()["precision"]) == {"bfloat16"}
    assert digest_of(runs[0]) == digest_of(runs[1])


@pytest.mark.parametrize(
    "options",
    [{"device": "tpu"}, {"precision": "int8"}, {"device": "cpu", "precision": "float16"}],
)
def test_what_nothing_computes_with_is_refused(options, pipeline, cohort, tmp_path):
    with pytest.raises(UsageError):
        pipeline.apply(cohort, tmp_path / "out", **options)


def test_a_gpu_is_chosen_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert (choose_place().device, choose_place().precision) == ("cuda", "bfloat16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (choose_place().device, choose_place().precision) == ("cpu", "float32")
    with pytest.raises(UsageError, match="no GPU"):
        choose_place("cuda")


def test_settings_of_torch_are_put_back(pipeline, cohort, tmp_path):
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    pipeline.apply({"a": cohort["exam 1"]}, tmp_path / "out")
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_catalog_is_applied_to_by_what_its_series_are(pipeline, tmp_path):
    root = tmp_path / "archive"
    wanted = Requirement(
        modality=("CT",), thickness_mm=(None, 5.0), slices=(6, None), orientation="transverse",
        content=(Content(-950, -700, 0.5),),
    )  # fmt: skip
    write_series(root / "a1", series(1, 1, apart=8.0))
    write_series(root / "a2", series(1, 2, apart=4.0))
    write_series(root / "a3", series(1, 3, apart=2.0, ImageType=["DERIVED", "SECONDARY", "MIP"]))
    write_series(root / "a4", series(1, 4, apart=4.0, slices=4))
    write_series(root / "b1", series(2, 1, Modality="MR"))
    holes = series(3, 1)
    del holes[5]
    write_series(root / "c1", holes)
    write_series(root / "d1", series(4, 1, RescaleIntercept="3000"))
    catalog = scan(root, tmp_path / "catalog")
    found = pipeline.apply(catalog, tmp_path / "out", requirement=wanted)
    rows = {r["exam_uid"]: r for r in found.rows().to_dicts()}
    assert {uid: (r["reason"], r["series_uid"]) for uid, r in rows.items()} == {
        "1.2.1": ("", "1.2.1.2"), "1.2.2": ("wrong_modality", None),
        "1.2.3": ("missing_slices", None), "1.2.4": ("wrong_content", None),
    }  # fmt: skip
    assert rows["1.2.1"]["patient_id"] == "p1"
    lost = {(r["series_uid"] or r["exam_uid"]): r["reason"] for r in found.attrition().to_dicts()}
    assert lost == {
        "1.2.1.1": "thick_slices", "1.2.1.3": "wrong_series", "1.2.1.4": "too_few_slices",
        "1.2.2.1": "wrong_modality", "1.2.2": "wrong_modality", "1.2.3.1": "missing_slices",
        "1.2.3": "missing_slices", "1.2.4.1": "wrong_content", "1.2.4": "wrong_content",
    }  # fmt: skip


def test_the_next_best_series_is_used_where_the_best_is_spoiled(pipeline, tmp_path):
    root = tmp_path / "archive"
    files = write_series(root / "thin", series(1, 1, apart=2.0))
    write_series(root / "thick", series(1, 2, apart=4.0))
    files[4].unlink()
    found = pipeline.apply(scan(root, tmp_path / "catalog"), tmp_path / "out")
    assert found.rows()["series_uid"].to_list() == ["1.2.1.2"]
    assert found.attrition()["reason"].to_list() == ["missing_slices"]


def test_processes_of_a_cluster_find_the_same(whole, pipeline, cohort, tmp_path):
    from workbench.site import read_site

    site = tmp_path / "site.toml"
    site.write_text(
        '[site]\nid = "here"\nname = "Here"\nkind = "pretend"\n'
        '[archive]\nkind = "folder"\npath = "dicom"\n[dask]\nworkers = 2\n'
    )
    told = []
    found = pipeline.apply(
        cohort, tmp_path / "out", site=read_site(site), progress=told.append, device="cpu"
    )
    assert digest_of(found) == digest_of(whole)
    assert len(told) == 6


def test_a_bundle_that_changed_is_not_applied_in_another_process(cohort, tmp_path):
    from workbench.pipelines.cohort import Exam
    from workbench.pipelines.exam import Order, examine

    bundle = write_bundle(tmp_path / "b")
    made = Pipeline.load(bundle)
    (bundle / "note.txt").write_text("another")
    order = Order(
        bundle, made.digest, False, choose_place("cpu"), Requirement(), tmp_path, 9.0, 1e9
    )
    with pytest.raises(PipelineError, match="changed"):
        examine(order, Exam("1", None, cohort["exam 1"]))


def test_volumes_in_memory_are_a_cohort_too(whole, pipeline, cohort, tmp_path):
    volumes = [load_volume(folder) for folder in cohort.values()]
    found = pipeline.apply(volumes, tmp_path / "out")
    for number, name in enumerate(cohort):
        np.testing.assert_array_equal(found.mask(f"{number:06d}").values, whole.mask(name).values)
    for bad in (3, "folder", {"a": 3}):
        with pytest.raises(UsageError):
            pipeline.apply(bad, tmp_path / "bad")


REAL = {
    "ct": "ibsi/ibsi_validation/dicom/STS_001/CT/image",
    "mr": "ibsi/ibsi_validation/dicom/STS_001/MR_T1/image",
    "pet": "ibsi/ibsi_validation/dicom/STS_001/PET/image",
    "totalseg": "totalseg/example_ct_dicom",
    "jpeg-ls": "dicom2nifti/generic/compressed_jpegls/001",
    "rle": "dicom2nifti/generic/compressed_rle/001",
    "ge": "dicom2nifti/ge/anatomical/001",
    "philips": "dicom2nifti/philips/anatomical/001_implicit",
    "enhanced": "dicom2nifti/philips_enhanced/anatomical/001",
    "hitachi": "dicom2nifti/hitachi/anatomical/001",
    "two slices": "dicom2nifti/failing/slicecount/001",
    "a gap": "dicom2nifti/failing/sliceincrement/001",
}


def test_real_series_of_every_kind_go_through(shared_data, classifier, pipeline, tmp_path):
    real = {name: shared_data / place for name, place in REAL.items()}
    found = classifier.apply(real, tmp_path / "scores")
    reasons = dict(found.rows().select("exam_uid", "reason").rows())
    lost = {"two slices": "too_few_slices", "a gap": "missing_slices"}
    assert reasons == dict.fromkeys(real, "") | lost
    scores = dict(found.rows().select("exam_uid", "score").rows())
    assert all(0 < scores[name] < 1 for name in set(real) - set(lost))
    assert scores["rle"] == scores["jpeg-ls"]  # of one image, compressed in two ways
    chest = {name: real[name] for name in ("ct", "pet")}
    masks = pipeline.apply(chest, tmp_path / "masks")
    for name, folder in chest.items():
        assert masks.mask(name).shape == load_volume(folder).shape
    row = masks.rows().row(0, named=True)
    volume = float(np.abs(np.linalg.det(np.array(masks.mask("ct").attrs["affine"])[:3, :3])))
    voxels = int((masks.mask("ct") == 1).sum())
    assert row["nodule_volume_ml"] == pytest.approx(voxels * volume / 1000)


def test_importing_loads_neither_torch_nor_monai():
    code = (
        "import sys, workbench.pipelines.pipeline as p\n"
        "print([m for m in ('torch', 'monai', 'zarr', 'distributed') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
