import csv
import json

import numpy as np
import polars as pl
import pytest
import SimpleITK as sitk  # noqa: N813

from tests.features.pyradiomics import EXACT, SHAPE
from tests.gridded import ball, on_grid
from workbench.errors import ImageError, UsageError
from workbench.features.measure import FEATURE_OUTCOMES, measure_features
from workbench.features.settings import FAMILIES, Settings
from workbench.imaging.volume_file import read_volume
from workbench.textures.neighbourhood import AGGREGATIONS

ALL = Settings(aggregations=AGGREGATIONS)
CT = Settings(bin_width=25)


MIRP = (
    (Settings(bin_width=25, value_range=(-500, 400), aggregations=AGGREGATIONS), {
        "stat_mean": 28.467659, "loc_peak_glob": 62.0433426, "ih_entropy": 2.0326572,
        "ivh_v10": 1, "morph_volume": 365074.319, "morph_com": 2.48623215,
        "cm_corr_2_5D_comb": 0.216266716, "rlm_lrhge_2D_avg": 1820.43332,
        "szm_zsnu_2_5D": 4611.28288, "dzm_zd_var_3D": 12.1440364, "ngt_busyness_2D": 2.98096536,
        "ngl_dc_entr_3D": 5.66081406,
    }),
    (Settings(bin_width=25, value_range=(-1000, 400), spacing_mm=(2, 2, 2), round_values=True), {
        "stat_var": 280.994781, "loc_peak_loc": 34.6991882, "ih_uniformity": 0.388007091,
        "ivh_i90": 8, "morph_area_mesh": 29738.8281, "morph_diam": 115.256236,
        "cm_info_corr1_3D_avg": -0.0367010553, "cm_clust_prom_3D_comb": 4.67552719,
        "rlm_rl_entr_3D_comb": 3.33317023, "szm_lzhge_3D": 1.07609707e09,
        "dzm_zdnu_3D": 147.722266, "ngt_strength_3D": 0.0035324992, "ngl_hdhge_3D": 280348.152,
    }),
    (Settings(
        bins=32, outlier_sd=3, value_range=(-1000, 400), spacing_mm=(2, 2, 2),
        interpolation="cubic", round_values=True,
    ), {
        "stat_mean": 28.4892445, "stat_energy": 58047584, "ih_var": 27.8036387,
        "ivh_diff_v10_v90": 1, "morph_integ_int": 10397444.2,
        "morph_vol_dens_conv_hull": 0.919631436, "cm_joint_entr_3D_avg": 8.78841876,
        "rlm_rlnu_3D_avg": 38392.1193, "szm_zs_entr_3D": 6.55067661, "dzm_lde_3D": 54.6402756,
        "ngt_complexity_3D": 1619.84571, "ngl_lde_3D": 0.386580966,
    }),
)  # fmt: skip


def by_tag(table, column="value"):
    return {
        row["tag"] + (f"_{row['aggregation']}" if row["aggregation"] else ""): row[column]
        for row in table.to_dicts()
    }


@pytest.fixture(scope="module")
def phantom(shared_data):
    folder = shared_data / "ibsi" / "ibsi_1_digital_phantom" / "nifti"
    return read_volume(folder / "image" / "phantom.nii.gz"), read_volume(
        folder / "mask" / "mask.nii.gz"
    )


def test_every_consensus_value_of_the_digital_phantom(phantom, shared_data):
    file = shared_data / "mirp" / "ibsi_1_reference_values" / "ibsi_1_dig_phantom.csv"
    with file.open(encoding="utf-8") as text:
        rows = list(csv.reader(text, delimiter=";"))[1:]
    expected = {tag: (float(v), float(t)) for v, t, tag in rows if v}
    assert len(expected) == 482
    measured = by_tag(measure_features(*phantom, ALL))
    # Values are published to three digits.
    off = {
        tag: (value, measured[tag])
        for tag, (value, tolerance) in expected.items()
        if abs(float(f"{measured[tag]:.3g}") - value) > tolerance + 1e-12
    }
    assert off == {}
    assert set(measured) == set(expected)


@pytest.mark.parametrize("case", ["brain1", "breast1"])
def test_what_pyradiomics_measured(case, shared_data):
    folder = shared_data / "pyradiomics_sdist"
    every = json.loads((shared_data / "expected.json").read_text(encoding="utf-8"))
    path = f"pyradiomics_sdist/{case}_image.nrrd"
    baseline = next(e for e in every if e["path"] == path)["expected"][
        "pyradiomics_baseline_original"
    ]
    image, label = (
        sitk.ReadImage(str(folder / f"{case}_{kind}.nrrd")) for kind in ("image", "label")
    )
    values, mask = (sitk.GetArrayFromImage(i) for i in (image, label))
    spacing = image.GetSpacing()[::-1]
    # PyRadiomics begins bins at a multiple of their width, and adds 2000 before it squares.
    first = float(np.floor(values[mask == 1].min() / 25) * 25)
    volume, mask = on_grid(values.astype(float), spacing), on_grid(mask, spacing)
    settings = Settings(bin_width=25, lowest=first)
    measured = by_tag(measure_features(volume, mask, settings, label=1))
    shifted = by_tag(measure_features(volume + 2000, mask, Settings(("intensity",)), label=1))
    measured |= {tag: shifted[tag] for tag in ("stat_energy", "stat_rms")}
    measured["stat_kurt"] += 3
    for theirs, ours in EXACT.items():
        assert measured[ours] == pytest.approx(baseline[f"original_{theirs}"], rel=1e-9), theirs
    # It divides by n, the IBSI's consensus by n - 1.
    n = int((mask == 1).sum())
    for theirs, ours in SHAPE["axes"].items():
        axis = measured[ours] * np.sqrt((n - 1) / n)
        assert axis == pytest.approx(baseline[f"original_{theirs}"], rel=1e-9), theirs
    # Where faces are ambiguous, its marching cubes joins other corners than Lewiner's.
    for theirs, ours in SHAPE["mesh"].items():
        close = 1e-9 if case == "breast1" else 0.005
        assert measured[ours] == pytest.approx(baseline[f"original_{theirs}"], rel=close), theirs


def test_a_real_ct_with_its_contours(shared_data):
    """Values that MIRP 2.7.0 measures of the same tumour, on the same voxels."""
    import workbench as w

    folder = shared_data / "ibsi" / "ibsi_validation" / "dicom" / "STS_001" / "CT"
    volume = w.load_volume(folder / "image")
    mask = w.open_segmentation(folder / "mask" / "RS.dcm", volume)
    assert int((mask > 0).sum()) == 117145
    for settings, expected in MIRP:
        measured = by_tag(measure_features(volume, mask, settings))
        for tag, value in expected.items():
            assert measured[tag] == pytest.approx(value, rel=2e-5), tag


def test_a_lazy_volume_and_a_larger_one_give_the_same():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 50, (20, 40, 40)).round()
    mask = ball(values.shape, (2.0, 1.0, 1.0), 7.0, (3.0, 2.0, -4.0))
    here = measure_features(on_grid(values, (2, 1, 1)), on_grid(mask, (2, 1, 1)), CT)
    lazy = on_grid(values, (2, 1, 1)).chunk({"z": 5})
    assert measure_features(lazy, on_grid(mask, (2, 1, 1)), CT).equals(here)
    wide = [on_grid(np.pad(a, 12, mode="edge"), (2, 1, 1)) for a in (values, mask & True)]
    wide[1].data[:12] = wide[1].data[-12:] = False
    assert measure_features(*wide, CT).equals(here)
    both = on_grid(mask + 2 * np.roll(mask, 1, 0).astype(np.uint8), (2, 1, 1))
    twice = measure_features(on_grid(values, (2, 1, 1)), both.where(both != 3, 1), CT, label=1)
    assert twice.equals(here)


def test_rows_say_what_they_hold(phantom):
    table = measure_features(*phantom, ALL)
    assert table.columns == [
        "family", "code", "tag", "name", "aggregation", "value", "unit", "outcome",
    ]  # fmt: skip
    assert table["family"].unique(maintain_order=True).to_list() == list(FAMILIES)
    assert table["code"].str.len_chars().unique().to_list() == [4]
    assert table["outcome"].unique().to_list() == ["ok"]
    volume = on_grid(phantom[0].values, units="HU")
    table = measure_features(volume, on_grid(phantom[1].values), Settings())
    units = by_tag(table, "unit")
    assert (units["stat_var"], units["morph_integ_int"], units["ih_mean"], units["morph_av"]) == (
        "HU2", "HU.mm3", "1", "mm-1",
    )  # fmt: skip
    # A family's tags are its own, and a code names one feature.
    codes = table.unique("tag").filter(pl.col("family") != "intensity_volume")["code"]
    assert codes.is_unique().all()


def test_an_empty_mask_is_told():
    table = measure_features(on_grid(np.ones((3, 3, 3))), on_grid(np.zeros((3, 3, 3), bool)), CT)
    assert table["outcome"].unique().to_list() == ["empty_mask"]
    assert table["value"].null_count() == len(table) > 150
    other = measure_features(
        on_grid(np.ones((3, 3, 3))), on_grid(np.ones((3, 3, 3), np.uint8)), CT, label=2
    )
    assert other.equals(table)


def test_nan_in_the_region_is_told_and_its_shape_still_measured():
    values = np.random.default_rng(0).normal(size=(5, 5, 5))
    values[2, 2, 2] = np.nan
    table = measure_features(on_grid(values), on_grid(np.ones((5, 5, 5), bool)), CT)
    found = by_tag(table, "outcome")
    assert found["stat_mean"] == found["cm_contrast_3D_avg"] == found["morph_com"] == "not_finite"
    assert found["morph_volume"] == "ok"
    # Beside the region it does not count.
    mask = np.ones((5, 5, 5), bool)
    mask[2, 2, 2] = False
    table = measure_features(on_grid(values), on_grid(mask), Settings(bins=8))
    assert table["outcome"].unique().to_list() == ["ok"]


def test_one_voxel_is_told():
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    found = by_tag(measure_features(on_grid(np.full((3, 3, 3), 7.0)), on_grid(mask), CT), "outcome")
    told = {tag for tag, outcome in found.items() if outcome != "ok"}
    assert {found[tag] for tag in told} == {"one_voxel", "flat"}
    assert {"cm_contrast_3D_avg", "ngt_contrast_3D", "morph_moran_i", "ivh_v10"} <= told
    assert found["rlm_sre_3D_avg"] == found["stat_mean"] == found["morph_volume"] == "ok"


def test_equal_values_are_told():
    volume, mask = on_grid(np.full((4, 4, 4), -0.1)), on_grid(np.ones((4, 4, 4), bool))
    table = measure_features(volume, mask, CT)
    found = by_tag(table, "outcome")
    told = {tag for tag, outcome in found.items() if outcome != "ok"}
    assert {found[tag] for tag in told} == {"constant"}
    assert told == {
        "morph_moran_i", "morph_geary_c", "ivh_v10", "ivh_v90", "ivh_diff_v10_v90",
        "ih_max_grad", "ih_max_grad_g", "ih_min_grad", "ih_min_grad_g",
        "cm_corr_3D_avg", "cm_corr_3D_comb", "cm_info_corr1_3D_avg", "cm_info_corr1_3D_comb",
    }  # fmt: skip
    values = by_tag(table)
    assert values["stat_var"] == values["stat_skew"] == values["stat_kurt"] == 0.0
    assert (values["ngt_coarseness_3D"], values["ngt_contrast_3D"]) == (1e6, 0.0)
    assert set(table["outcome"]) <= set(FEATURE_OUTCOMES)


def test_one_bin_for_all_values_is_told():
    values = np.random.default_rng(0).random((4, 4, 4)) - 0.5
    table = measure_features(on_grid(values), on_grid(np.ones((4, 4, 4), bool)), CT)
    found = by_tag(table, "outcome")
    told = {tag for tag, outcome in found.items() if outcome != "ok"}
    assert {found[tag] for tag in told} == {"one_level"}
    assert "cm_corr_3D_avg" in told
    assert found["stat_skew"] == found["morph_moran_i"] == "ok"


def test_a_plane_of_voxels_is_told():
    mask = np.zeros((3, 4, 5), bool)
    mask[1] = True
    volume = on_grid(np.arange(60.0).reshape(3, 4, 5))
    settings = Settings(bin_width=2)
    found = by_tag(measure_features(volume, on_grid(mask), settings), "outcome")
    told = {tag for tag, outcome in found.items() if outcome != "ok"}
    assert {found[tag] for tag in told} == {"flat"}
    assert told == {"morph_vol_dens_aee"}


def test_nothing_in_the_range_is_told():
    volume, mask = on_grid(np.full((4, 4, 4), 5.0)), on_grid(np.ones((4, 4, 4), bool))
    table = measure_features(volume, mask, Settings(bin_width=1, value_range=(10, 20)))
    found = by_tag(table, "outcome")
    assert (found["morph_volume"], found["stat_mean"]) == ("ok", "empty_range")


def test_a_mask_of_another_geometry_is_refused():
    volume = on_grid(np.ones((4, 4, 4)))
    with pytest.raises(ImageError, match="another grid"):
        measure_features(volume, on_grid(np.ones((4, 4, 4)), (1, 1, 2)), CT)
    with pytest.raises(ImageError, match="other dimensions"):
        measure_features(volume.expand_dims("time"), volume, CT)
    with pytest.raises(UsageError, match="no numbers"):
        measure_features(volume.astype(str), volume, CT)


def test_only_what_lies_about_the_region_is_read():
    import dask.array as da

    values = np.random.default_rng(0).normal(size=(60, 8, 8))
    read = []

    def note(block, block_info):
        read.append(block_info[0]["array-location"][0])
        return block

    lazy = da.from_array(values, chunks=(5, 8, 8)).map_blocks(note, dtype=float, meta=np.empty(0))
    mask = np.zeros(values.shape, bool)
    mask[30:32] = True
    measure_features(on_grid(lazy), on_grid(mask), CT)
    assert sorted(read)[0][0] >= 20
    assert sorted(read)[-1][1] <= 40
