import json
from datetime import datetime

import pytest

from tests.dose_reports.made_report import (
    RADIOPHARMACEUTICAL,
    code,
    container,
    ct_event,
    ct_total,
    item,
    num,
    report,
    text,
    time,
    uid,
    write,
)
from workbench.dose_reports.content import read_content
from workbench.dose_reports.report import is_dose_report, read_report

LATEST = datetime(2026, 1, 1)  # noqa: DTZ001
FACTORS = {  # of the unit of our column, worked out by hand
    ("mGy.cm", "dlp"): 1, ("mGycm", "dlp"): 1, ("mGy", "dose"): 1, ("Gy", "dose"): 1000,
    ("Gy.m2", "dap"): 10_000, ("s", "time"): 1, ("ms", "time"): 0.001, ("mm", "length"): 1,
    ("{ratio}", "ratio"): 1, ("kV", "kv"): 1, ("mA", "ma"): 1,
}  # fmt: skip
NAMES = {
    "DLP": ("dlp_mgy_cm", "dlp"),
    "Mean CTDIvol": ("ctdivol_mgy", "dose"),
    "Exposure Time": ("exposure_time_s", "time"),
    "Scanning Length": ("scanning_length_mm", "length"),
    "Nominal Total Collimation Width": ("collimation_mm", "length"),
    "Pitch Factor": ("pitch", "ratio"),
    "Dose Area Product": ("dap_gy_cm2", "dap"),
    "Dose (RP)": ("dose_rp_mgy", "dose"),
    "Average Glandular Dose": ("agd_mgy", "dose"),
    "KVP": ("kvp_kv", "kv"),
}
TOTALS = {
    "CT Dose Length Product Total": ("dlp_total_mgy_cm", "dlp"),
    "Dose Area Product Total": ("dap_total_gy_cm2", "dap"),
    "Dose (RP) Total": ("dose_rp_total_mgy", "dose"),
    "Total Fluoro Time": ("fluoro_time_s", "time"),
}
WORDS = {
    "Acquisition Protocol": "protocol",
    "Target Region": "target_region",
    "CT Acquisition Type": "acquisition_type",
    "Irradiation Event Type": "acquisition_type",
    "Irradiation Event UID": "event_uid",
}


def stated(names, held):
    found = {}
    for name, (column, kind) in names.items():
        if held.get(name):
            value, unit = held[name]
            found[column] = pytest.approx(value * FACTORS[unit, kind], rel=1e-12)
    return found


def read(path):
    content = read_content(path)
    return read_report(content, "1", LATEST)


def made(tmp_path, *items, **header):
    return read(write(report(*items, **header), tmp_path / "a.dcm"))


def real_reports(shared_data):
    for entry in json.loads((shared_data / "expected.json").read_text()):
        if entry["path"].startswith("openrem/") and entry["expected"].get("n_events"):
            yield shared_data / entry["path"], entry["expected"]


def test_real_reports_say_what_others_read_in_them(shared_data):
    """Expected values as pydicom reads them, and as the tests of OpenREM assert."""
    count = 0
    for path, expected in real_reports(shared_data):
        (found,) = read(path)
        assert len(found.events) == expected["n_events"], path.name
        for event, held in zip(found.events, expected["events"], strict=True):
            wanted = stated(NAMES, held)
            if held.get("sources"):
                wanted |= stated(NAMES, held["sources"][0])
                current = held["sources"][0]["X-Ray Tube Current"]
                assert event["tube_current_ma"] == current[0]
            wanted |= {c: held[n] for n, c in WORDS.items() if held.get(n)}
            assert {name: event.get(name) for name in wanted} == wanted, path.name
            # What is not stated is missing.
            columns = {column for column, _ in NAMES.values()}
            assert not (columns & event.keys()) - wanted.keys() - {"kvp_kv"}, path.name
            count += len(wanted)
        totals = stated(TOTALS, expected["accumulated"][0])
        assert {name: found.totals.get(name) for name in totals} == totals, path.name
        number = expected["accumulated"][0].get("Total Number of Irradiation Events")
        assert found.stated_events == (number and number[0])
        assert not found.faults, path.name
    assert count > 150


def test_dose_check_values_are_read(shared_data):
    (found,) = read(shared_data / "openrem" / "CT-RDSR-Toshiba_DoseCheck.dcm")
    first, second = found.events
    assert (first["dlp_alert_mgy_cm"], first["ctdivol_alert_mgy"]) == (100.0, 10.0)
    assert (first["dlp_forward_mgy_cm"], second["dlp_forward_mgy_cm"]) == (251.2, 502.4)
    assert second["ctdivol_forward_mgy"] == 10.6
    assert "ctdivol_forward_mgy" not in first


def test_glandular_dose_is_told_by_side(shared_data):
    (found,) = read(shared_data / "openrem" / "MG-RDSR-Hologic_2D.dcm")
    assert found.modality == "MG"
    assert found.totals == {"agd_left_mgy": 1.3, "agd_right_mgy": 1.28}
    assert [event["laterality"] for event in found.events] == ["L", "R"]


def test_a_number_without_a_value_is_missing_not_0(shared_data):
    (found,) = read(shared_data / "openrem" / "DX-RDSR-Canon_CXDI.dcm")
    assert "dose_rp_total_mgy" not in found.totals
    assert "dose_rp_mgy" not in found.events[0]


def test_only_reports_of_dose_are_dose_reports(shared_data, tmp_path):
    folder = shared_data / "openrem"
    assert not is_dose_report(read_content(folder / "ESR_non-dose.dcm"))
    assert is_dose_report(read_content(folder / "CT-ESR-GE_Optima.dcm"))
    other = write(report(ct_total("1"), title="126000"), tmp_path / "a.dcm")
    assert is_dose_report(read_content(other))  # by what it contains
    assert not is_dose_report(read_content(shared_data / "highdicom" / "sr_document.dcm"))


def test_a_container_is_found_wherever_it_stands(tmp_path):
    (found,) = made(tmp_path, container("111111", ct_total("5"), ct_event("1.2.3.1", "5")))
    assert found.totals == {"dlp_total_mgy_cm": 5.0}
    assert len(found.events) == 1


def test_size_and_both_code_schemes_are_read(tmp_path):
    size = num("113930", "12.5", "mGy", num("113980", "312", "mm"))
    event = ct_event("1.2.3.1", "5", ctdivol="10", more=[size], phantom="113690")
    (found,) = made(tmp_path, event)
    assert found.events[0] | {"flags": 0} == {
        "event_uid": "1.2.3.1", "acquisition_type": "Spiral Acquisition", "phantom_cm": 16.0,
        "ctdivol_mgy": 10.0, "dlp_mgy_cm": 5.0, "ssde_mgy": 12.5, "modality": "CT",
        "water_equivalent_diameter_cm": 31.2, "flags": 0,
    }  # fmt: skip


def source(kv, ma):
    return container("113831", num("113733", kv, "kV"), num("113734", ma, "mA"))


def test_of_several_tubes_the_first_is_told_and_flagged(tmp_path):
    more = [container("113822", source("80", "300"), source("140", "100"))]
    (found,) = made(tmp_path, ct_event("1.2.3.1", "5", more=more))
    event = found.events[0]
    assert (event["kvp_kv"], event["tube_current_ma"]) == (80.0, 300.0)
    assert event["flags"] == {"several_sources"}


def plane(name, *items):
    return container("113702", code("113764", name), *items)


def test_two_planes_are_added_up_and_flagged(tmp_path):
    (found,) = made(
        tmp_path,
        plane("113620", num("113722", "0.001", "Gy.m2"), num("113730", "60", "s")),
        plane("113621", num("113722", "0.002", "Gy.m2"), num("113730", "30", "s")),
        container("113706", uid("113769", "1.2.3.1"), code("113764", "113620")),
        container("113706", uid("113769", "1.2.3.1"), code("113764", "113621")),
    )
    assert found.totals == {"dap_total_gy_cm2": 30.0, "fluoro_time_s": 90.0}
    assert found.flags == {"biplane"}
    assert found.modality == "RF"
    assert [event["plane"] for event in found.events] == ["A", "B"]


def test_the_pulses_of_a_fluoroscopy_are_averaged(tmp_path):
    pulses = [num("113733", kv, "kV") for kv in ("70", "80")]
    (found,) = made(tmp_path, container("113706", uid("113769", "1.2.3.1"), *pulses))
    assert found.events[0]["kvp_kv"] == 75.0


def test_exposure_index_is_read(tmp_path):
    values = [
        num("113845", "662.18", "1"),
        num("113846", "226.22", "{no units}"),
        num("113847", "4.66", "1"),
    ]
    (found,) = made(tmp_path, container("113706", uid("113769", "1.2.3.1"), *values))
    event = found.events[0]
    assert (event["exposure_index"], event["target_exposure_index"]) == (662.18, 226.22)
    assert event["deviation_index"] == 4.66


def test_a_radiopharmaceutical_report_is_read(tmp_path):
    agent = code("349358000", "35321007", scheme="SCT", value_scheme="SCT", meaning="FDG")
    (found,) = made(
        tmp_path,
        container(
            "113502",
            agent,
            uid("113503", "1.2.3.1"),
            num("113507", "0.35", "GBq"),
            time("123003", "20240229093000"),
        ),
        title="113500",
        sop_class=RADIOPHARMACEUTICAL,
    )
    assert (found.kind, found.modality) == ("radiopharmaceutical", "NM")
    assert found.events[0] | {"flags": 0} == {
        "radiopharmaceutical": "FDG", "event_uid": "1.2.3.1", "administered_activity_mbq": 350.0,
        "event_time": datetime.fromisoformat("2024-02-29T09:30"), "modality": "NM", "flags": 0,
    }  # fmt: skip


def test_one_report_may_tell_of_two_kinds(tmp_path):
    kinds = made(
        tmp_path, ct_event("1.2.3.1", "5"), container("113502", num("113507", "300", "MBq"))
    )
    assert [found.kind for found in kinds] == ["ct", "radiopharmaceutical"]


@pytest.mark.parametrize(
    ("number", "unit", "rule"),
    [
        ("-5", "mGy.cm", "negative_value"),
        ("1e8", "mGy.cm", "absurd_value"),
        ("5", "mGy", "wrong_unit"),
        ("5", "rad.cm", "unknown_unit"),
        ("1,50", "mGy.cm", "not_a_number"),
    ],
)
def test_a_value_nobody_can_have_is_missing_and_counted(tmp_path, number, unit, rule):
    number_written = number.replace(",", ".")  # pydicom writes none but numbers
    event = ct_event("1.2.3.1", number_written, unit=unit, ctdivol="3")
    stored = write(report(event), tmp_path / "a.dcm").read_bytes()
    (found,) = read(stored.replace(number_written.encode(), number.encode()))
    assert "dlp_mgy_cm" not in found.events[0]
    assert found.events[0]["ctdivol_mgy"] == 3.0
    assert found.faults == {rule: 1}
    assert found.events[0]["flags"] == {"value_refused"}


@pytest.mark.parametrize("moment", ["19000101120000", "99990101120000", "20270101000000"])
def test_a_time_that_cannot_be_is_missing_and_counted(tmp_path, moment):
    (found,) = made(tmp_path, ct_event("1.2.3.1", "5", more=[time("111526", moment)]))
    assert "event_time" not in found.events[0]
    assert found.faults == {"time_not_possible": 1}


def test_a_uid_stated_as_text_is_read_and_flagged(tmp_path):
    (found,) = made(tmp_path, ct_event("", "5", more=[text("113769", "1.2.3.1")]))
    assert found.events[0]["event_uid"] == "1.2.3.1"
    assert found.events[0]["flags"] == {"uid_as_text"}
    (found,) = made(tmp_path, ct_event("", "5", more=[text("113769", "first scan")]))
    assert "event_uid" not in found.events[0]


def test_quirks_of_units_are_flagged(tmp_path):
    (found,) = made(tmp_path, ct_event("1.2.3.1", "5", unit="mGycm"))
    assert found.flags == {"unit_spelling"}
    event = container("113706", num("122130", "0.1", "Gy.m2", unit_scheme="UCM"))
    (found,) = made(tmp_path, event)
    assert found.flags == {"unit_scheme"}
    assert found.events[0]["dap_gy_cm2"] == 1000.0


def test_an_item_without_a_name_or_a_value_does_no_harm(tmp_path):
    bare = item("CODE", "123014")
    bare.ConceptCodeSequence = []
    (found,) = made(tmp_path, ct_event("1.2.3.1", "5", more=[bare, item("TEXT", "")]))
    assert "target_region" not in found.events[0]
