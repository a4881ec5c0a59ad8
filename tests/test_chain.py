"""A chain grows by whole lines, shows any damage, and is never read half written."""

from __future__ import annotations

import os
import resource
import stat
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.chain import START, Chain, digest_of, replacing
from workbench.errors import ReleaseError


def broken(what, todo):
    return ReleaseError(what, where="chain", todo=todo or "Restore it")


@pytest.fixture(params=[False, True], ids=["open", "private"])
def chain(request, tmp_path):
    return Chain(tmp_path / "folder" / "chain.jsonl", broken, private=request.param)


@pytest.fixture
def small_disk():
    """A disk on which no file can be larger than some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def numbers(chain):
    return [record["n"] for record in chain.read()]


def again(chain):
    """The same chain, as another process would open it."""
    return Chain(chain.path, broken, private=chain._private)


def test_records_are_read_as_they_were_added(chain):
    assert (chain.read(), chain.last()) == ([], START)
    assert not chain.path.parent.exists()  # to look is not to write
    for n in range(3):
        chain.append({"n": n, "word": "é"})
    first, second, third = chain.path.read_bytes().splitlines(keepends=True)
    assert numbers(again(chain)) == [0, 1, 2]
    assert [r["previous"] for r in chain.read()] == [START, digest_of(first), digest_of(second)]
    assert chain.head.read_text() == f"{digest_of(third)}\n"
    assert chain.last() == digest_of(third)
    private = stat.S_IMODE(chain.path.stat().st_mode) & 0o077 == 0
    assert private == chain._private


def test_a_line_that_finds_no_room_is_taken_back(chain, small_disk):
    chain.append({"n": 0})
    before = {p.name: p.read_bytes() for p in chain.path.parent.iterdir()}
    small_disk(chain.path.stat().st_size + 60)  # within the line
    for _ in range(2):
        with pytest.raises(OSError, match="too large"):
            chain.append({"n": 1})
    small_disk(resource.RLIM_INFINITY)
    assert {p.name: p.read_bytes() for p in chain.path.parent.iterdir()} == before
    chain.append({"n": 1})
    assert numbers(chain) == [0, 1]


def test_no_line_is_added_while_the_head_cannot_be_written(chain):
    chain.append({"n": 0})
    chain.append({"n": 1})
    in_the_way = chain.head.with_name(f".{chain.head.name}.{os.getpid()}.tmp")
    in_the_way.mkdir()
    for n in (2, 3):  # two lines more than the head knows would end the chain
        with pytest.raises(OSError, match="directory"):
            chain.append({"n": n})
    in_the_way.rmdir()
    assert numbers(chain) == [0, 1]


def test_a_reader_waits_while_a_line_is_written(chain):
    chain.append({"n": 0})
    found = []
    with chain.writing():
        with chain.path.open("ab") as half:
            half.write(b'{"n":1,')
        reader = threading.Thread(target=lambda: found.append(numbers(again(chain))))
        reader.start()
        time.sleep(0.3)
        assert reader.is_alive()
        os.truncate(chain.path, len(chain.path.read_bytes()) - 7)
        chain.append({"n": 1})
    reader.join(10)
    assert found == [[0, 1]]


def test_a_writer_waits_while_the_chain_is_read(chain):
    chain.append({"n": 0})
    with chain.reading():
        writer = threading.Thread(target=lambda: again(chain).append({"n": 1}))
        writer.start()
        last = chain.last()
        time.sleep(0.3)
        assert (numbers(chain), chain.last()) == ([0], last)
        assert numbers(again(chain)) == [0]  # several may read
        with pytest.raises(OSError, match="held for reading"):
            chain.append({"n": 2})  # not waited for: it would wait for itself
    writer.join(10)
    assert numbers(chain) == [0, 1]


def test_what_did_not_exist_stays_unseen_until_the_reading_ends(chain):
    with chain.reading():
        again(chain).append({"n": 0})
        assert (numbers(chain), chain.last()) == ([], START)
    assert numbers(chain) == [0]


def test_reading_beside_a_writer_never_looks_like_damage(chain):
    writer = threading.Thread(target=lambda: [again(chain).append({"n": n}) for n in range(40)])
    writer.start()
    seen = [0]
    while writer.is_alive():
        seen.append(len(again(chain).read()))
    writer.join()
    assert seen == sorted(seen)
    assert numbers(chain) == list(range(40))


def cut_line(lines):
    return [*lines[:-1], lines[-1][:-7]]


def edited(lines):
    return [lines[0].replace(b'"n":0', b'"n":9'), *lines[1:]]


def spaced(lines):
    return [*lines[:-1], lines[-1].replace(b":", b": ")]


DAMAGE = {
    "cut line": cut_line,
    "edited": edited,
    "spaced": spaced,
    "no last": lambda lines: lines[:-1],
    "no first": lambda lines: lines[1:],
    "none": lambda lines: [],
    "swapped": lambda lines: [lines[1], lines[0], *lines[2:]],
    "deep": lambda lines: [*lines, b"[" * 5000 + b"\n"],
    "text": lambda lines: [*lines, b'"n"\n'],
    "NaN": lambda lines: [*lines, b'{"n":NaN,"previous":"%s"}\n' % digest_of(lines[-1]).encode()],
    "not UTF-8": lambda lines: [*lines, b"\xff\n"],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_and_not_built_upon(chain, name):
    for n in range(3):
        chain.append({"n": n})
    chain.path.write_bytes(b"".join(DAMAGE[name](chain.path.read_bytes().splitlines(True))))
    with pytest.raises(ReleaseError):
        chain.read()
    before = chain.path.read_bytes()
    with pytest.raises(ReleaseError):
        chain.append({"n": 3})
    assert chain.path.read_bytes() == before


def test_a_lost_file_is_refused_and_not_begun_anew(chain):
    chain.append({"n": 0})
    chain.path.unlink()
    for use in (chain.read, chain.last, lambda: chain.append({"n": 1})):
        with pytest.raises(ReleaseError, match="missing"):
            use()
    assert not chain.path.exists()


def test_a_stop_between_line_and_head_is_taken_up(chain):
    chain.append({"n": 0})
    head = chain.head.read_bytes()
    chain.append({"n": 1})
    chain.head.write_bytes(head)
    assert numbers(chain) == [0, 1]
    chain.append({"n": 2})
    assert numbers(chain) == [0, 1, 2]


def test_only_an_open_chain_may_lack_its_head(chain):
    for n in range(2):
        chain.append({"n": n})
    chain.head.unlink()
    if chain._private:
        with pytest.raises(ReleaseError, match="last lines"):
            chain.read()
    else:
        chain.append({"n": 2})
        assert chain.head.read_text() == f"{chain.last()}\n"


@pytest.mark.parametrize("part", ["path", "head"])
def test_a_private_chain_that_others_can_open_is_refused(tmp_path, part):
    chain = Chain(tmp_path / "chain.jsonl", broken, private=True)
    chain.append({"n": 0})
    getattr(chain, part).chmod(0o640)
    with pytest.raises(ReleaseError, match="other users") as refused:
        chain.read()
    assert refused.value.todo.startswith("chmod 600")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["path", "head"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_plain_file_is_refused(tmp_path, part, make):
    chain = Chain(tmp_path / "chain.jsonl", broken)
    chain.append({"n": 0})
    place = getattr(chain, part)
    place.unlink()
    make(place)
    with pytest.raises(ReleaseError, match="cannot be read"):
        chain.read()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path, b"new"):
        raise ZeroDivisionError
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]
    with replacing(path, b"new"):
        pass
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]


TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.data())
def test_any_changed_byte_is_seen(tmp_path_factory, records, data):
    chain = Chain(tmp_path_factory.mktemp("any") / "chain.jsonl", broken)
    for record in records:
        chain.append(record)
    assert [{**r, "previous": ""} for r in chain.read()] == [{**r, "previous": ""} for r in records]
    content = bytearray(chain.path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    chain.path.write_bytes(content)
    with pytest.raises(ReleaseError):
        chain.read()
