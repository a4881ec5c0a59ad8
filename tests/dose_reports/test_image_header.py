import json
from datetime import datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.dose_reports.made_report import image, write
from workbench.dicom.header import read_header
from workbench.dose_reports.image_header import is_irradiation, read_images

LATEST = datetime(2026, 1, 1)  # noqa: DTZ001


def read(*paths):
    return read_images([(Path(p), read_header(Path(p))) for p in paths], LATEST)


def expected(shared_data, name):
    entries = json.loads((shared_data / "expected.json").read_text())
    return next(e["expected"] for e in entries if e["path"] == f"openrem/{name}")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_radiograph_tells_its_dose_area_product_and_exposure_index(shared_data, number):
    name = f"DX-Im-GE_XR220-{number}.dcm"
    known = expected(shared_data, name)
    (event,) = read(shared_data / "openrem" / name).events
    # The attribute is stored in dGy.cm2 (DICOM PS3.3, C.8.7.2).
    stored = float(known["ImageAndFluoroscopyAreaDoseProduct"])
    assert event["dap_gy_cm2"] == pytest.approx(stored / 10)
    assert event["exposure_index"] == float(known["ExposureIndex"])
    assert event["target_exposure_index"] == float(known["TargetExposureIndex"])
    assert event["deviation_index"] == float(known["DeviationIndex"])
    assert event["kvp_kv"] == float(known["KVP"])
    assert event["protocol"] == "ABD_1_VIEW"
    assert "laterality" not in event  # U: unpaired


def test_exposures_of_one_series_are_as_many_events(shared_data):
    paths = [shared_data / "openrem" / f"DX-Im-GE_XR220-{n}.dcm" for n in (1, 2, 3)]
    assert len(read(*paths).events) == 3


def test_images_for_processing_and_for_presentation_are_one_event(shared_data):
    folder = shared_data / "openrem"
    names = [f"MG-Im-GE_Seno_{n}.dcm" for n in
             ("1_ForProcessing", "1_ForPresentation", "2_ForPresentation")]  # fmt: skip
    report = read(*(folder / name for name in names))
    # OrganDose is stored in dGy (DICOM PS3.3, C.4.16).
    assert [event["agd_mgy"] for event in report.events] == [0.547, 1.409]
    assert [event["laterality"] for event in report.events] == ["L", "L"]
    assert report.modality == "MG"


def test_a_pet_series_is_one_administration(shared_data):
    folder = shared_data / "ibsi" / "ibsi_validation" / "dicom" / "STS_001" / "PET" / "image"
    paths = sorted(folder.glob("*.dcm"))[:5]
    report = read(*paths)
    (event,) = report.events
    import pydicom

    item = pydicom.dcmread(paths[0]).RadiopharmaceuticalInformationSequence[0]
    assert event["administered_activity_mbq"] == pytest.approx(item.RadionuclideTotalDose / 1e6)
    assert 100 < event["administered_activity_mbq"] < 1000
    assert event["radiopharmaceutical"]


def administration(modality, activity, tmp_path):
    item = Dataset()
    item.RadionuclideTotalDose, item.Radiopharmaceutical = str(activity), "FDG"
    item.RadiopharmaceuticalStartTime = "093000"
    made = image(modality, "1.2.3.4", RadiopharmaceuticalInformationSequence=[item])
    return read(write(made, tmp_path / f"{modality}.dcm"))


def test_activity_is_in_becquerel_in_pet_and_in_megabecquerel_in_nuclear_medicine(tmp_path):
    for modality, stored in (("PT", 350e6), ("NM", 350)):
        (event,) = administration(modality, stored, tmp_path).events
        assert event["administered_activity_mbq"] == 350.0
        assert event["event_time"] == datetime.fromisoformat("2024-02-29T09:30")


def test_an_activity_nobody_is_given_is_missing(tmp_path):
    report = administration("PT", 350, tmp_path)  # megabecquerel where becquerel should be
    assert "administered_activity_mbq" not in report.events[0]
    assert report.faults == {"absurd_value": 1}


def test_an_image_without_an_administration_is_none(tmp_path):
    assert not read(write(image("PT", "1.2.3.4"), tmp_path / "a.dcm")).events


def slices(tmp_path, *made):
    return [write(m, tmp_path / f"{i}.dcm") for i, m in enumerate(made)]


def test_ct_is_one_event_a_series_without_event_uids_and_ctdivol_the_mean(tmp_path):
    made = [
        image("CT", f"1.2.3.{n}", CTDIvol=value, SeriesInstanceUID=f"1.2.{series}", KVP="120")
        for n, (series, value) in enumerate([(1, 10.0), (1, 12.0), (2, 5.0)])
    ]
    report = read(*slices(tmp_path, *made))
    assert [event["ctdivol_mgy"] for event in report.events] == [11.0, 5.0]
    assert [event["kvp_kv"] for event in report.events] == [120.0, 120.0]
    assert all("dlp_mgy_cm" not in event for event in report.events)


def test_reconstructions_of_one_irradiation_are_one_event(tmp_path):
    made = [
        image(
            "CT", f"1.2.3.{n}", CTDIvol=10.0, SeriesInstanceUID=f"1.2.{n}",
            IrradiationEventUID="1.2.9",
        )
        for n in range(3)
    ]  # fmt: skip
    (event,) = read(*slices(tmp_path, *made)).events
    assert event["event_uid"] == "1.2.9"


def test_a_multi_frame_ct_tells_ctdivol_and_phantom_in_its_groups(tmp_path):
    phantom, exposure, shared = Dataset(), Dataset(), Dataset()
    phantom.CodeValue, phantom.CodingSchemeDesignator = "113691", "DCM"
    exposure.CTDIvol, exposure.CTDIPhantomTypeCodeSequence = 7.5, [phantom]
    shared.CTExposureSequence = [exposure]
    made = image("CT", "1.2.3.4", SharedFunctionalGroupsSequence=[shared])
    (event,) = read(write(made, tmp_path / "a.dcm")).events
    assert (event["ctdivol_mgy"], event["phantom_cm"]) == (7.5, 32.0)


@pytest.mark.parametrize(
    ("modality", "image_type", "sop_class", "irradiation"),
    [
        ("CT", "ORIGINAL\\PRIMARY\\AXIAL", "1.2.840.10008.5.1.4.1.1.2", True),
        ("CT", "ORIGINAL\\PRIMARY\\LOCALIZER", "1.2.840.10008.5.1.4.1.1.2", True),
        ("CT", "DERIVED\\SECONDARY\\MPR", "1.2.840.10008.5.1.4.1.1.2", False),
        ("CT", "ORIGINAL\\PRIMARY", "1.2.840.10008.5.1.4.1.1.7", False),
        ("DX", "DERIVED\\PRIMARY", "1.2.840.10008.5.1.4.1.1.1.1", True),
        ("DX", "DERIVED\\SECONDARY", "1.2.840.10008.5.1.4.1.1.1.1", False),
        ("CT", None, None, True),
        ("PT", "DERIVED\\SECONDARY", "1.2.840.10008.5.1.4.1.1.128", True),
    ],
)
def test_what_was_computed_or_captured_is_no_irradiation(
    modality, image_type, sop_class, irradiation
):
    row = {"modality": modality, "image_type": image_type, "sop_class": sop_class}
    assert is_irradiation(row) == irradiation
