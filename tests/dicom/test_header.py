import json
import logging
import warnings
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.dicom.dicom_files import as_bytes, before_pixels, element, image, nested
from workbench.dicom.header import header_row, header_rows, read_header
from workbench.dicom.refusals import REASONS, UnreadableFile

SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"]
BIG = "1.2.840.10008.1.2.2"


def reason_of(content, **options):
    with pytest.raises(UnreadableFile) as caught:
        read_header(content, **options)
    assert caught.value.reason in REASONS
    return caught.value.reason


def content_of(name):
    return Path(get_testdata_file(name)).read_bytes()


@pytest.fixture(scope="module")
def listed(shared_data):
    return json.loads((shared_data / "expected.json").read_text())


def test_values_that_others_asserted(shared_data, listed):
    ours = {
        "Modality": "modality",
        "Manufacturer": "manufacturer",
        "ManufacturerModelName": "model",
        "BodyPartExamined": "body_part",
        "Rows": "rows",
        "Columns": "columns",
        "NumberOfFrames": "frames",
        "PhotometricInterpretation": "photometric",
        "BitsStored": "bits_stored",
        "StudyInstanceUID": "exam_uid",
        "SeriesInstanceUID": "series_uid",
        "SOPInstanceUID": "instance_uid",
        "TransferSyntaxUID": "transfer_syntax",
        "KVP": "kvp_kv",
        "Exposure": "exposure_mas",
        "XRayTubeCurrent": "tube_current_ma",
        "ExposureTime": "exposure_time_ms",
        "manufacturer": "manufacturer",
        "model": "model",
        "transfer_syntax": "transfer_syntax",
        "study_uid": "exam_uid",
        "sop_uid": "instance_uid",
    }
    checked = 0
    for entry in listed:
        path = shared_data / entry["path"]
        if not path.is_file() or "part10_preamble" not in entry["expected"] | entry["expected"]:
            continue
        expected = entry["expected"]
        row = read_header(path, identified=False)
        for key, name in ours.items():
            value = expected.get(key)
            if value in (None, ""):
                continue
            value = float(value) if isinstance(row[name], float) else value
            assert row[name] == value, (entry["path"], key)
            checked += 1
        if "SOPClass" in expected:
            assert UID(row["sop_class"]).name == expected["SOPClass"]
        if "PixelRepresentation" in expected:
            assert row["signed"] == bool(expected["PixelRepresentation"])
    assert checked > 300


def test_series_that_others_measured(shared_data, listed):
    checked = 0
    for entry in listed:
        expected = entry["expected"]
        if "n_files" not in expected or "iop" not in expected or "files" not in entry:
            continue
        rows = [read_header(shared_data / f, identified=False) for f in entry["files"]]
        assert {r["transfer_syntax"] for r in rows} == set(expected["transfer_syntax"])
        assert {r["modality"] or "" for r in rows} == {expected["modality"]}
        assert {r["rows"] for r in rows} == {expected["rows"]}
        if expected.get("orientations") == 1:
            assert rows[0]["orientation"] == pytest.approx(expected["iop"], abs=1e-6)
            assert rows[0]["row_spacing_mm"] == pytest.approx(expected["pixel_spacing"][0])
        checked += 1
    assert checked >= 10


@pytest.mark.parametrize("syntax", [*SYNTAXES, BIG])
def test_each_way_of_storing_gives_one_row(syntax):
    dataset = image(KVP="120", CTDIvol=7.5, StudyDate="20240229", ImageType=["ORIGINAL", "PRIMARY"])
    dataset["PixelData"].VR = "OW"
    content = as_bytes(dataset, syntax)
    row = read_header(content)
    assert row | {"transfer_syntax": ""} == header_row(dataset) | {"transfer_syntax": ""}
    assert row["transfer_syntax"] == syntax
    assert (row["kvp_kv"], row["ctdivol_mgy"], row["rows"]) == (120, 7.5, 8)
    assert row["image_type"] == "ORIGINAL\\PRIMARY"


@pytest.mark.parametrize("name", ["ExplVR_LitEndNoMeta.dcm", "ExplVR_BigEndNoMeta.dcm"])
def test_without_preamble_and_meta(name):
    row = read_header(content_of(name))
    dataset = pydicom.dcmread(get_testdata_file(name), force=True)
    assert row["transfer_syntax"] is None
    assert row["instance_uid"] == dataset.SOPInstanceUID
    assert (row["modality"], row["model"]) == (
        dataset.Modality,
        dataset.get("ManufacturerModelName"),
    )


def test_metadata_of_a_server_gives_the_same_row(shared_data):
    for name in ("CT_small.dcm", "MR_small.dcm", "liver_1frame.dcm", "rtdose.dcm", "reportsi.dcm"):
        dataset = pydicom.dcmread(get_testdata_file(name), stop_before_pixels=True)
        sent = Dataset.from_json(dataset.to_json_dict())
        row = read_header(content_of(name), identified=False) | {"transfer_syntax": None}
        assert header_row(sent) == row, name


def test_many_rows_are_those_of_each():
    both = [image(SeriesNumber=1), image(SeriesNumber=2)]
    assert header_rows(both).to_dicts() == [header_row(d) for d in both]


def test_an_enhanced_instance_tells_what_its_frames_share_and_the_first_frame(shared_data):
    (path,) = (shared_data / "dcm_qa_enh" / "In" / "Philips").glob("*.dcm")
    row, dataset = read_header(path), pydicom.dcmread(path, stop_before_pixels=True)
    first = dataset.PerFrameFunctionalGroupsSequence[0]
    assert row["frames"] == 64
    assert row["position"] == list(first.PlanePositionSequence[0].ImagePositionPatient)
    assert row["orientation"] == list(first.PlaneOrientationSequence[0].ImageOrientationPatient)
    measures = first.PixelMeasuresSequence[0]
    assert row["row_spacing_mm"] == measures.PixelSpacing[0]
    assert row["slice_thickness_mm"] == measures.SliceThickness
    assert row["rescale_slope"] is not None


def test_shared_groups_go_before_those_of_a_frame():
    def item(**values):
        dataset = Dataset()
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        return dataset

    exposure = item(CTDIvol=3.5, XRayTubeCurrentInmA=210.5, ExposureTimeInms=400.0)
    shared = item(CTExposureSequence=[exposure], CTXRayDetailsSequence=[item(KVP="100")])
    frame = item(PlanePositionSequence=[item(ImagePositionPatient=[1, 2, 3])])
    other = item(PlanePositionSequence=[item(ImagePositionPatient=[1, 2, 4])])
    dataset = image(
        NumberOfFrames=2,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[frame, other],
        PixelData=bytes(256),
    )
    row = read_header(as_bytes(dataset))
    assert row["position"] == [1, 2, 3]
    assert (row["ctdivol_mgy"], row["kvp_kv"], row["tube_current_ma"]) == (3.5, 100, 210.5)
    assert row["pixel_bytes"] == 256


def test_what_is_no_dicom():
    assert reason_of(b"") == "empty"
    assert reason_of(b"\x89PNG\r\n" + bytes(400)) == "not_dicom"
    assert reason_of(b"plain text, and a lot of it " * 20) == "not_dicom"


def test_an_instance_without_identifiers():
    dataset = image()
    del dataset.SeriesInstanceUID
    assert reason_of(as_bytes(dataset)) == "no_identifiers"
    assert read_header(as_bytes(dataset), identified=False)["series_uid"] is None


def test_an_index_of_a_medium():
    for name in ("DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit"):
        content = content_of(f"dicomdirtests/{name}")
        assert reason_of(content) == "dicomdir"


def test_cut_anywhere_it_is_truncated():
    content = content_of("CT_small.dcm")
    for end in range(512, len(content), 512):
        assert reason_of(content[:end]) in ("truncated", "no_identifiers"), end


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "SC_rgb_rle_2frame.dcm", "MR_small_padded.dcm"])
def test_compressed_and_padded_files_cut_near_the_end(name):
    content = content_of(name)
    assert read_header(content, identified=False)["rows"]
    for cut in (1, 4, 9, 40):
        assert reason_of(content[:-cut], identified=False) == "truncated"


def test_pixel_data_of_another_length():
    assert reason_of(as_bytes(image(PixelData=bytes(126)))) == "bad_length"
    assert reason_of(as_bytes(image(PixelData=bytes(256)))) == "bad_length"
    assert read_header(as_bytes(image(PixelData=bytes(130))))["pixel_bytes"] == 128


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize(("depth", "deep"), [(3, False), (64, False), (65, True), (100, True)])
def test_nesting(depth, deep, *, defined):
    content = before_pixels(as_bytes(image()), nested(depth, defined=defined))
    if deep:
        assert reason_of(content) == "too_deep"
    else:
        assert read_header(content)["rows"] == 8


def test_endless_nesting_is_no_recursion():
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    bomb = (element(0x0040A730, "SQ", b"", 0xFFFFFFFF) + item) * 50_000
    assert reason_of(before_pixels(as_bytes(image()), bomb)) == "too_deep"


def deflated(dataset, more=b""):
    content = as_bytes(dataset, SYNTAXES[2])
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = zlib.decompress(content[start:], -15) + more
    return content[:start] + packer.compress(plain) + packer.flush()


def test_deflated_data_is_not_inflated_without_end():
    assert read_header(deflated(image()))["rows"] == 8
    bomb = element(0x7FE10010, "OB", bytes(40 * 2**20))
    assert reason_of(deflated(image(), bomb)) == "too_big_to_inflate"


def test_deflated_data_that_ends_early_or_is_none():
    content = deflated(image())
    assert reason_of(content[:-6]) == "truncated"
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    assert reason_of(content[:start] + b"\xff" * 300) == "bad_meta"


def test_lengths_beyond_the_file_allocate_nothing():
    import tracemalloc

    huge = element(0x00091010, "UN", b"", 0xFFFFFFF0)
    inside = element(0x0040A730, "SQ", b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + huge, 0xFFFFFFFF)
    tracemalloc.start()
    for more in (huge, inside):
        assert reason_of(before_pixels(as_bytes(image()), more)) == "truncated"
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_no_value_is_told(syntax, caplog):
    secret = "SECRET^NAME"
    dataset = image(PatientName=secret, PatientID=secret, StudyDate="20240101")
    content = as_bytes(dataset, syntax)
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for end in range(200, len(content), 7):
            cut = content[:end].replace(b"20240101", b"SECRET\xff\xff")
            told = ""
            try:
                read_header(cut)
            except UnreadableFile as error:
                told = str(error)
            assert "SECRET" not in told
    assert not [w for w in caught if "SECRET" in str(w.message)]
    assert "SECRET" not in caplog.text


def test_values_of_several_and_of_unknown_vr():
    dataset = image(SoftwareVersions=["A ", "B"], ConvolutionKernel="Br40f", EchoTime=["1", "2"])
    content = as_bytes(dataset)
    row = read_header(content)
    assert (row["software_version"], row["echo_time_ms"]) == ("A\\B", 1)
    stored = element(0x00181210, "SH", b"Br40f ")
    unknown = element(0x00181210, "UN", b"Br40f ")
    assert content.count(stored) == 1
    assert read_header(content.replace(stored, unknown)) == row


def test_no_text_is_longer_than_a_table_can_bear():
    content = as_bytes(image(), ImplicitVRLittleEndian)
    long = b"\x08\x00\x70\x00" + (70_000).to_bytes(4, "little") + b"A" * 70_000
    at = content.index(b"\x10\x00\x20\x00")
    assert reason_of(content[:at] + long + content[at:]) == "bad_meta"
