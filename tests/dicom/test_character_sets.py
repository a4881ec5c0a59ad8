import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_charset_files

from workbench.dicom.character_sets import clean, decode_text

NAMES = 0x00100010


@pytest.mark.parametrize(
    ("text", "codec", "declared"),
    [
        ("Люкceмбypг", "iso8859_5", "ISO_IR 144"),
        ("Διονυσιος", "iso8859_7", "ISO_IR 126"),
        ("胸部平扫", "gb18030", "GB18030"),
        ("胸部\\平扫", "gbk", "GBK"),
        ("Грудь", "utf_8", "ISO_IR 192"),
        ("Äneas", "latin_1", "ISO_IR 100"),
        ("Äneas", "latin_1", "ISO-IR 100"),
        ("山田", "iso2022_jp", "\\ISO 2022 IR 87"),
        ("ﾔﾏﾀﾞ", "shift_jis", "ISO_IR 13"),
    ],
)
def test_a_declared_set(text, codec, declared):
    assert decode_text(text.encode(codec), declared) == text


def test_a_backslash_inside_a_character_separates_nothing():
    stored = "誠\\".encode("gb18030")
    assert stored.count(b"\\") == 2
    assert decode_text(stored, "GB18030") == "誠\\"


@pytest.mark.parametrize("declared", ["", "ISO_IR 999", "nonsense", "GB18030"])
def test_what_is_not_declared_right_is_utf8_if_it_can_be(declared):
    stored = "Œuf".encode()
    assert decode_text(stored, declared if declared != "GB18030" else "ISO_IR 192") == "Œuf"


def test_else_every_byte_is_a_character():
    assert decode_text(b"M\xfcller", "ISO_IR 192") == "Müller"
    assert decode_text(b"M\xfcller", "") == "Müller"


def test_code_extensions_of_pydicoms_own_files():
    # pydicom leaves the escapes of some in, or splits inside a character; these it reads right.
    checked = 0
    for path in get_charset_files("*.dcm"):
        if "chrSQ" in path:
            continue
        dataset = pydicom.dcmread(path)
        stored = dataset.get_item(NAMES).value
        declared = dataset.get("SpecificCharacterSet") or ""
        declared = declared if isinstance(declared, str) else "\\".join(declared)
        expected = str(pydicom.dcmread(path).PatientName)
        whole = decode_text(stored, declared).rstrip("=")
        parts = "=".join("^".join(p.strip() for p in g.split("^")) for g in whole.split("="))
        assert "\x1b" not in parts
        assert parts == expected
        checked += 1
    assert checked >= 14


def test_chinese_code_extensions(shared_data):
    path = shared_data / "fodicom" / "charset" / "chrGB2312.dcm"
    stored = pydicom.dcmread(path, stop_before_pixels=True).get_item(NAMES).value
    assert decode_text(stored, "\\ISO 2022 IR 58").rstrip("=") == "Zhang^XiaoDong=张^小东"


@given(st.binary(max_size=40), st.sampled_from(["", "GB18030", "ISO_IR 192", "\\ISO 2022 IR 87"]))
def test_no_bytes_raise_or_leave_controls(stored, declared):
    text = decode_text(stored, declared)
    text.encode()
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)
    assert clean(text) == text
