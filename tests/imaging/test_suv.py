"""SUV: what each scanner stores gives the value worked out by hand, or is refused by name."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.imaging.made_series import make_image, ramp, write_series
from workbench.imaging.suv import body_weight_factor
from workbench.imaging.times import moment_of
from workbench.imaging.volume import load_volume
from workbench.imaging.volume_error import VolumeError

DOSE, HALF_LIFE, WEIGHT = 370e6, 6586.2, 70.0
# Injected at 08:30, series at 09:30: 3600 s.
AT_SCAN = DOSE * 2 ** (-3600 / HALF_LIFE)


def header(**changed):
    ds = Dataset()
    item = Dataset()
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = DOSE, HALF_LIFE
    item.RadiopharmaceuticalStartTime = "083000.00"
    ds.RadiopharmaceuticalInformationSequence = [item]
    ds.Units, ds.DecayCorrection = "BQML", "START"
    ds.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    ds.PatientWeight = WEIGHT
    ds.SeriesDate = ds.AcquisitionDate = "20200102"
    ds.SeriesTime, ds.AcquisitionTime = "093000", "093012.5"
    for keyword, value in changed.items():
        target = item if keyword.startswith("Radi") else ds
        if value is None:
            delattr(target, keyword)
        else:
            setattr(target, keyword, value)
    return ds


def acquired(ds):
    return moment_of(
        f"{ds.get('AcquisitionDate', '')}{ds.get('AcquisitionTime', '')}",
        ds.get("TimezoneOffsetFromUTC"),
    )


def factor(ds):
    return body_weight_factor(ds, acquired(ds))


def private(ds, group, creator, element, vr, value):
    ds.private_block(group, creator, create=True).add_new(element, vr, value)
    return ds


@pytest.mark.parametrize(
    ("changed", "dose"),
    [
        ({}, AT_SCAN),
        ({"DecayCorrection": "ADMIN"}, DOSE),
        ({"RadiopharmaceuticalStartDateTime": "20200102080000"},
         DOSE * 2 ** (-5400 / HALF_LIFE)),
        # A series that was made later: its time is not the scan's.
        ({"SeriesTime": "150000"}, DOSE * 2 ** (-3612.5 / HALF_LIFE)),
        ({"SeriesDate": "20210101"}, DOSE * 2 ** (-3612.5 / HALF_LIFE)),
        # Injected before midnight, scanned after.
        ({"RadiopharmaceuticalStartTime": "233000", "SeriesTime": "003000",
          "AcquisitionTime": "003000"}, AT_SCAN),
    ],
)  # fmt: skip
def test_activity_to_suv(changed, dose):
    assert factor(header(**changed)) == pytest.approx(WEIGHT * 1000 / dose, rel=1e-9)


@pytest.mark.parametrize(
    ("zone", "injected", "seconds"),
    [
        ("+0100", "20200102073000+0000", 3600),
        ("+0100", "20200102083000", 3600),
        ("-0500", "20200102150000+0100", 1800),
        ("+0100", None, 3600),
    ],
)
def test_times_of_several_zones_are_compared_in_utc(zone, injected, seconds):
    ds = header(TimezoneOffsetFromUTC=zone)
    if injected:
        ds.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime = injected
    dose = DOSE * 2 ** (-seconds / HALF_LIFE)
    assert factor(ds) == pytest.approx(WEIGHT * 1000 / dose, rel=1e-9)


@pytest.mark.parametrize(
    "changed",
    [
        {"RadiopharmaceuticalStartDateTime": "20200102083000+0100"},
        # Not a way to write an offset, so none is known.
        {"RadiopharmaceuticalStartDateTime": "20200102083000+0100",
         "TimezoneOffsetFromUTC": "UTC+01:00"},
    ],
)  # fmt: skip
def test_a_zone_on_one_side_alone_is_refused(changed):
    ds = header()
    zone = changed.get("TimezoneOffsetFromUTC")
    if zone:
        ds.add_new("TimezoneOffsetFromUTC", "SH", zone)
    item = ds.RadiopharmaceuticalInformationSequence[0]
    item.RadiopharmaceuticalStartDateTime = changed["RadiopharmaceuticalStartDateTime"]
    with pytest.raises(VolumeError, match="time zone") as caught:
        factor(ds)
    assert caught.value.reason == "no_suv"
    # Where no time is needed, none is compared.
    ds.DecayCorrection = "ADMIN"
    assert factor(ds) == pytest.approx(WEIGHT * 1000 / DOSE, rel=1e-9)


@pytest.mark.parametrize("zoned", [3, 1])
def test_zones_of_acquisitions_count_too(tmp_path, zoned):
    """The series' time has no zone, and those of its images, or of some of them, have one."""
    images = []
    for z in range(3):
        image = make_image(ramp(z), (0, 0, z), Modality="PT", RescaleSlope=1, RescaleIntercept=0)
        image.update(header())
        image.AcquisitionDateTime = "20200102093012" + ("+0100" if z < zoned else "")
        images.append(image)
    write_series(tmp_path, images)
    with pytest.raises(VolumeError, match="time zone"):
        load_volume(tmp_path, units="SUV")
    for image in images:
        image.TimezoneOffsetFromUTC = "+0100"
    write_series(tmp_path, images)
    volume = load_volume(tmp_path, units="SUV")
    np.testing.assert_allclose(volume[2], ramp(2) * WEIGHT * 1000 / AT_SCAN, rtol=1e-6)


def test_ge_says_when_a_later_series_was_scanned():
    ds = private(
        header(SeriesTime="150000"), 0x0009, "GEMS_PETD_01", 0x0D, "DT", "20200102093000.00"
    )
    assert factor(ds) == pytest.approx(WEIGHT * 1000 / AT_SCAN, rel=1e-9)


def test_philips_counts():
    group, creator = 0x7053, "Philips PET Private Group"
    assert factor(private(header(Units="CNTS"), group, creator, 0x00, "DS", "0.0005")) == 0.0005
    ds = private(header(Units="CNTS"), group, creator, 0x09, "DS", "2.5")
    assert factor(ds) == pytest.approx(2.5 * WEIGHT * 1000 / AT_SCAN, rel=1e-9)
    # A factor of 0 is none.
    ds = private(ds, group, creator, 0x00, "DS", "0")
    assert factor(ds) == pytest.approx(2.5 * WEIGHT * 1000 / AT_SCAN, rel=1e-9)


def test_values_that_are_suv_already():
    assert factor(header(Units="GML", PatientWeight=None)) == 1.0
    assert factor(header(Units="GML", SUVType="BW")) == 1.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"PatientWeight": None}, "PatientWeight"),
        ({"PatientWeight": 0}, "PatientWeight"),
        ({"RadionuclideTotalDose": 0}, "RadionuclideTotalDose"),
        ({"RadionuclideTotalDose": None}, "RadionuclideTotalDose"),
        ({"RadionuclideHalfLife": None}, "RadionuclideHalfLife"),
        ({"RadiopharmaceuticalStartTime": None}, "RadiopharmaceuticalStartTime"),
        ({"RadiopharmaceuticalInformationSequence": []}, "0 radiopharmaceuticals"),
        ({"RadiopharmaceuticalStartDateTime": "20200102100000"}, "within a day"),
        ({"RadiopharmaceuticalStartDateTime": "20191230100000"}, "within a day"),
        ({"DecayCorrection": "NONE"}, "DecayCorrection"),
        ({"CorrectedImage": ["DECY"]}, "CorrectedImage"),
        ({"Units": "CNTS"}, "CNTS"),
        ({"Units": "PROPCPS"}, "Units"),
        ({"Units": "GML", "SUVType": "LBM"}, "another kind"),
        ({"SeriesTime": "150000", "AcquisitionTime": None}, "Acquisition"),
    ],
)
def test_what_is_missing_is_named(changed, words):
    if "RadiopharmaceuticalInformationSequence" in changed:
        ds = header()
        ds.RadiopharmaceuticalInformationSequence = []
    elif "RadionuclideTotalDose" in changed or "RadionuclideHalfLife" in changed:
        ds = header()
        item = ds.RadiopharmaceuticalInformationSequence[0]
        for keyword, value in changed.items():
            setattr(item, keyword, value)
    else:
        ds = header(**changed)
    with pytest.raises(VolumeError) as caught:
        factor(ds)
    assert caught.value.reason == "no_suv"
    assert words in caught.value.detail


def test_a_pet_volume_in_suv_and_as_stored(tmp_path):
    told = header()
    images = []
    for z in range(3):
        image = make_image(
            ramp(z), (0, 0, z), Modality="PT", RescaleSlope=f"{z + 1}.5", RescaleIntercept=0
        )
        image.update(told)
        image.AcquisitionTime = f"0930{12 - z:02d}"
        images.append(image)
    write_series(tmp_path, images)
    stored = load_volume(tmp_path)
    assert stored.attrs["units"] == "Bq/ml"
    volume = load_volume(tmp_path, units="SUV")
    assert volume.attrs["units"] == "SUV"
    expected = [ramp(z) * (z + 1.5) * WEIGHT * 1000 / AT_SCAN for z in range(3)]
    np.testing.assert_allclose(volume, expected, rtol=1e-6)


def test_a_ct_has_no_suv(tmp_path):
    write_series(tmp_path, [make_image(ramp(z), (0, 0, z)) for z in range(3)])
    with pytest.raises(VolumeError) as caught:
        load_volume(tmp_path, units="SUV")
    assert caught.value.reason == "no_suv"


def test_a_real_series_in_suv(shared_data):
    """Its values are SUV already (Units GML), corrected to the injection."""
    folder = shared_data / "ibsi/ibsi_validation/dicom/STS_001/PET/image"
    volume = load_volume(folder, units="SUV")
    assert volume.attrs["units"] == "SUV"
    assert float(volume.max()) == pytest.approx(25.4122982025045, rel=1e-6)
