"""Multipart answers come in any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.archive.multipart import BrokenAnswer, find_boundary, write_parts

BOUNDARY = b"b-1"


def render(parts, *, header=b"Content-Type: application/dicom\r\n\r\n", preamble=b"", end=b"--"):
    body = preamble
    for number, part in enumerate(parts):
        start = b"" if number == 0 and not preamble else b"\r\n"
        body += start + b"--" + BOUNDARY + b"\r\n" + header + part
    return body + b"\r\n--" + BOUNDARY + end


@given(
    parts=st.lists(st.binary(max_size=60), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 17), min_size=1, max_size=40),
    plain=st.booleans(),
    preamble=st.sampled_from([b"", b"not for you"]),
)
def test_every_part_comes_out_whatever_the_pieces(tmp_path_factory, parts, cuts, plain, preamble):
    if any(b"\r\n--" + BOUNDARY in part for part in parts):
        return
    header = b"\r\n" if plain else b"Content-Type: application/dicom\r\nX: 1\r\n\r\n"
    body, pieces, at = render(parts, header=header, preamble=preamble), [], 0
    while at < len(body):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(body[at : at + size])
        at += size
    paths = write_parts(pieces, BOUNDARY, tmp_path_factory.mktemp("parts"), limit=10**6)
    assert [p.read_bytes() for p in paths] == parts


def test_a_part_that_holds_almost_a_boundary_is_whole(tmp_path):
    part = b"\r\n--b-" + b"\r\n--b" + b"\r\n" * 5
    (path,) = write_parts([render([part])], BOUNDARY, tmp_path, limit=1000)
    assert path.read_bytes() == part


@pytest.mark.parametrize("cut", [1, 5, 20, 50])
def test_an_answer_that_ends_early_is_broken(tmp_path, cut):
    body = render([b"x" * 60])
    with pytest.raises(BrokenAnswer):
        write_parts([body[:-cut]], BOUNDARY, tmp_path, limit=1000)


def test_an_answer_that_is_no_multipart_is_broken(tmp_path):
    with pytest.raises(BrokenAnswer):
        write_parts([b"<html>sorry</html>"], BOUNDARY, tmp_path, limit=1000)
    header = b"X: " + b"y" * 70_000
    with pytest.raises(BrokenAnswer):
        write_parts([b"--b-1\r\n" + header], BOUNDARY, tmp_path, limit=10**6)


def test_more_than_the_limit_is_not_written(tmp_path):
    with pytest.raises(OverflowError):
        write_parts([render([b"x" * 50, b"y" * 51])], BOUNDARY, tmp_path, limit=100)
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 100


def test_one_part_without_boundary_is_the_whole_answer(tmp_path):
    (path,) = write_parts([b"DI", b"CM"], None, tmp_path, limit=10)
    assert path.read_bytes() == b"DICM"


@pytest.mark.parametrize(
    ("text", "boundary"),
    [
        ('multipart/related; boundary="a b"; type="application/dicom"', b"a b"),
        ("Multipart/Related;boundary=x--y", b"x--y"),
        ("application/dicom; boundary=x", None),
        ("", None),
    ],
)
def test_the_boundary_is_found_as_servers_write_it(text, boundary):
    assert find_boundary(text) == boundary
