import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.dose_reports.made_report import (
    SYNTAXES,
    code,
    container,
    ct_event,
    ct_total,
    num,
    report,
    text,
    write,
)
from workbench.dicom.refusals import UnreadableFile
from workbench.dose_reports import content_walk
from workbench.dose_reports.content import read_content


def a_report():
    return report(
        code("121058", "77477000", value_scheme="SCT", meaning="Computed tomography"),
        ct_total("7.46", events=1),
        ct_event("1.2.3.4.5", "7.46", ctdivol="0.15", more=[text("125203", "Thorax")]),
    )


def listed(item):
    own = (item.concept, item.kind, item.relationship, item.value, item.unit, item.meaning)
    return [own, *(row for child in item.items for row in listed(child))]


def peer(item, first=True):
    """Return the same with pydicom."""
    name = item.ConceptNameCodeSequence[0]
    scheme = "" if name.CodingSchemeDesignator == "DCM" else f"{name.CodingSchemeDesignator}:"
    value = unit = meaning = ""
    if item.ValueType == "CODE":
        held = item.ConceptCodeSequence[0]
        prefix = "" if held.CodingSchemeDesignator == "DCM" else f"{held.CodingSchemeDesignator}:"
        value, meaning = prefix + held.CodeValue, held.CodeMeaning
    elif item.ValueType == "NUM" and item.MeasuredValueSequence:
        held = item.MeasuredValueSequence[0]
        value = str(held.get("NumericValue", ""))
        unit = held.MeasurementUnitsCodeSequence[0].CodeValue
    elif item.ValueType in ("TEXT", "UIDREF"):
        value = item.get("TextValue", item.get("UID"))
    relationship = "" if first else item.RelationshipType
    rows = [(scheme + name.CodeValue, item.ValueType, relationship, value, unit, meaning)]
    for child in item.get("ContentSequence", []):
        rows += peer(child, False)
    return rows


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_transfer_syntax_gives_the_content_that_pydicom_reads(tmp_path, syntax):
    made = a_report()
    content = read_content(write(made, tmp_path / "a.dcm", syntax))
    assert listed(content.root) == peer(made)
    assert content.written == "20240229110000"


def test_sequences_of_defined_and_of_undefined_length_are_read_alike(tmp_path):
    plain = read_content(write(a_report(), tmp_path / "a.dcm"))
    other = a_report()
    for sequence in (other["ContentSequence"], other.ContentSequence[2]["ContentSequence"]):
        sequence.is_undefined_length = True
        for child in sequence.value:
            child.is_undefined_length_sequence_item = True
    assert read_content(write(other, tmp_path / "b.dcm")) == plain
    assert (tmp_path / "a.dcm").read_bytes() != (tmp_path / "b.dcm").read_bytes()


def test_a_file_without_meta_information_is_read(tmp_path):
    path = write(a_report(), tmp_path / "a.dcm")
    stored = path.read_bytes()
    start = stored.index(b"\x08\x00\x16\x00UI")
    assert read_content(stored[start:]) == read_content(path)
    assert read_content(stored[132:]) == read_content(path)


def test_a_number_without_a_value_has_none_and_one_stored_binary_is_kept(tmp_path):
    made = num("113838", 1, "mGy.cm")
    made.MeasuredValueSequence[0].FloatingPointValue = 1.25
    del made.MeasuredValueSequence[0].NumericValue
    content = read_content(
        write(report(container("113829", num("113830", None, "mGy"), made)), tmp_path / "a.dcm")
    )
    empty, binary = content.root.items[0].items
    assert (empty.value, empty.number, binary.value, binary.number) == ("", None, "", 1.25)


def nested(depth):
    inner = container("113819")
    for _ in range(depth):
        inner = container("113819", inner)
    return inner


def test_a_report_nested_too_deep_is_refused(tmp_path):
    assert read_content(write(report(nested(50)), tmp_path / "a.dcm"))
    with pytest.raises(UnreadableFile, match="too_deep"):
        read_content(write(report(nested(70)), tmp_path / "b.dcm"))


def test_a_report_of_too_many_items_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(content_walk, "MOST_ITEMS", 100)
    path = write(report(*(text("121106", "x") for _ in range(101))), tmp_path / "a.dcm")
    with pytest.raises(UnreadableFile, match="content items"):
        read_content(path)
    assert read_content(write(report(*(text("121106", "x") for _ in range(98))), path))


def test_a_report_that_ends_early_is_refused_or_whole(tmp_path):
    stored = write(a_report(), tmp_path / "a.dcm").read_bytes()
    start = stored.index(b"\x08\x00\x05\x00") if b"\x08\x00\x05\x00" in stored else 340
    reasons = []
    for end in range(start, len(stored) - 1):
        try:
            read_content(stored[:end])
        except UnreadableFile as error:
            reasons.append(error.reason)
    assert set(reasons) <= {"truncated", "bad_meta"}
    # Between two elements of the data set a file cannot be told from a shorter one.
    assert len(reasons) > (len(stored) - start) * 0.9


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" * 50, "not_dicom"),
        (b"\0" * 128 + b"DICM", "truncated"),
        (b"\0" * 128 + b"DICM\x02\x00\x10\x00UI\xff\xff", "truncated"),
    ],
)
def test_what_is_no_report_is_refused(stored, reason):
    with pytest.raises(UnreadableFile, match=reason):
        read_content(stored)


def test_a_sequence_of_unknown_vr_holds_elements_without_vr(tmp_path):
    implicit = write(report(text("121106", "x")), tmp_path / "a.dcm", SYNTAXES[0]).read_bytes()
    explicit = write(report(), tmp_path / "b.dcm").read_bytes()
    head = b"\x40\x00\x30\xa7"
    value = implicit[implicit.index(head) + 8 :]
    for size in (len(value), 0xFFFFFFFF):  # DICOM PS3.5, 6.2.2, note
        end = b"" if size == len(value) else b"\xfe\xff\xdd\xe0" + bytes(4)
        unknown = head + b"UN\0\0" + size.to_bytes(4, "little") + value + end
        found = read_content(explicit[: explicit.rindex(head)] + unknown)
        assert [item.concept for item in found.root.items] == ["121106"]


def test_only_the_first_code_names_an_item(tmp_path):
    made = container("113819")
    first = Dataset()
    first.CodeMeaning = "no code"
    made.ConceptNameCodeSequence = Sequence([first, made.ConceptNameCodeSequence[0]])
    content = read_content(write(report(made), tmp_path / "a.dcm"))
    assert content.root.items[0].concept == ""


def test_text_is_read_in_the_character_set_of_the_report(tmp_path):
    made = report(text("125203", "Грудная клетка"), SpecificCharacterSet="ISO_IR 144")
    content = read_content(write(made, tmp_path / "a.dcm"))
    assert content.root.items[0].value == "Грудная клетка"
