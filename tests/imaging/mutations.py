"""Broken DICOM files, made of healthy ones by a fixed seed."""

import os
import random
import warnings
import zlib
from functools import cache
from pathlib import Path

import pydicom

PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
SMALL = 160_000
SYNTAXES = (
    *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"),
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 102, 201)),
    *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1", "1.2.3.4", ""),
)
VRS = (
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN "
    b"UR US UT UV ?? \0\0 zz"
).split(b" ")
NUMBERS = {  # tag: values nobody should believe
    b"\x28\x00\x02\x00": (0, 2, 3, 4, 65535),
    b"\x28\x00\x10\x00": (0, 1, 4096, 32768, 65535),
    b"\x28\x00\x11\x00": (0, 1, 4096, 32768, 65535),
    b"\x28\x00\x00\x01": (0, 1, 8, 12, 16, 32, 64, 65535),
    b"\x28\x00\x01\x01": (0, 1, 7, 16, 33, 65535),
    b"\x28\x00\x02\x01": (0, 7, 15, 31, 65535),
    b"\x28\x00\x03\x01": (0, 1, 2, 65535),
    b"\x28\x00\x06\x00": (0, 1, 2, 65535),
}
LENGTHS = (0, 1, 3, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
ITEM, ITEM_END, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0"
FRAGMENTS = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"


def find_healthy(folder):
    """Return small DICOM files of many kinds: name -> content, one of a kind and of a UID."""
    kinds, uids = {}, set()
    paths = [*PYDICOM.glob("*.dcm"), *sorted(folder.rglob("*"))]
    for path in sorted(paths, key=lambda p: (p.name, str(p))):
        if not path.is_file() or not 1000 < path.stat().st_size < SMALL:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind, uid = _kind(path)
        if kind and kind not in kinds and uid not in uids:
            kinds[kind] = path
            uids.add(uid)
    return {f"{i:03}-{path.name}": path.read_bytes() for i, path in enumerate(kinds.values())}


def _kind(path):
    """Return what makes a file different from others, or None if it is not whole, and its UID."""
    from workbench.dicom.header import read_header
    from workbench.dicom.refusals import UnreadableFile
    from workbench.errors import WorkbenchError
    from workbench.pixels.decoding import PixelError, decode_frames

    try:
        row = read_header(path)
        decode_frames(path)
    except UnreadableFile:
        return None, None
    except PixelError as error:
        if error.reason != "no_pixels":
            return None, None
    except WorkbenchError:
        return None, None
    names = ("transfer_syntax", "sop_class", "bits_stored", "samples", "photometric")
    return tuple(row[name] for name in names), row["instance_uid"]


def mutate(content, dice):
    """Return a file broken in one of many ways, and how."""
    way, content = dice.choice(WAYS), _rename(content, dice)
    try:
        return way(content, dice), way.__name__
    except (ValueError, IndexError):  # the file has not what this breaks
        return cut(content, dice), cut.__name__


def _rename(content, dice):
    """Give a file an instance UID of its own: duplicates are another matter."""
    uid = _uid_of(content)
    own = uid[:-7] + b"%07d" % dice.randrange(10**7)
    start = _data_set_start(content)
    head, rest = content[:start], content[start:]
    if SYNTAXES[3].encode() in head:
        packer = zlib.compressobj(9, wbits=-15)
        rest = packer.compress(zlib.decompress(rest, -15).replace(uid, own)) + packer.flush()
    return head.replace(uid, own) + rest.replace(uid, own)


@cache
def _uid_of(content):
    from workbench.dicom.header import read_header

    return read_header(content)["instance_uid"].encode()


def _data_set_start(content):
    """Return where the data set starts, behind the file meta information."""
    at = content.find(b"\x02\x00\x10\x00UI")
    while at >= 0 and content[at : at + 2] == b"\x02\x00":
        long = content[at + 4 : at + 6] in (b"OB", b"UN")
        place, width, head = (at + 8, 4, 12) if long else (at + 6, 2, 8)
        at += head + int.from_bytes(content[place : place + width], "little")
    return max(0, at)


def cut(content, dice):
    """End a file too early."""
    place = dice.choice([dice.randrange(len(content)), len(content) - dice.randrange(1, 20)])
    return content[: max(0, place)]


def flip_bits(content, dice):
    """Flip bits anywhere."""
    return _flip(content, dice, 0, len(content))


def flip_header_bits(content, dice):
    """Flip bits of the first elements."""
    return _flip(content, dice, 128, min(len(content), 3000))


def _flip(content, dice, start, end):
    broken = bytearray(content)
    for _ in range(dice.choice([1, 1, 3, 20, 200])):
        broken[dice.randrange(start, end)] ^= 1 << dice.randrange(8)
    return bytes(broken)


def _element(content, dice):
    """Return where an element with a VR begins."""
    places = []
    at = 132 if content[128:132] == b"DICM" else 0
    while at + 12 < len(content) and len(places) < 2000:
        places.append(at)
        long = content[at + 4 : at + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"UC", b"UR")
        length = int.from_bytes(
            content[at + 8 : at + 12] if long else content[at + 6 : at + 8], "little"
        )
        if content[at : at + 4] == ITEM or length == 0xFFFFFFFF:
            length, long = 0, False
        at += (12 if long else 8) + length
    return dice.choice(places)


def change_vr(content, dice):
    """Give an element another VR."""
    at = _element(content, dice)
    return content[: at + 4] + dice.choice(VRS)[:2].ljust(2) + content[at + 6 :]


def change_length(content, dice):
    """Give an element a length that it does not have."""
    at, length = _element(content, dice), dice.choice(LENGTHS)
    if dice.random() < 0.5:
        return content[: at + 6] + (length & 0xFFFF).to_bytes(2, "little") + content[at + 8 :]
    return content[: at + 8] + length.to_bytes(4, "little") + content[at + 12 :]


def change_number(content, dice):
    """Give the pixels another shape or depth."""
    broken = content
    for _ in range(dice.choice([1, 2, 3])):
        tag = dice.choice(list(NUMBERS))
        at = broken.index(tag, 128)
        value = dice.choice(NUMBERS[tag]).to_bytes(2, "little")
        broken = broken[: at + 8] + value + broken[at + 10 :]
    return broken


def claim_frames(content, dice):
    """Say that there are other frames."""
    number = dice.choice([b"0", b"-1", b"2", b"99999999", b"1e9", b"2147483648", b"\xff\xfe"])
    number += b" " * (len(number) % 2)
    at = content.index(b"\x28\x00\x10\x00", 128)
    explicit = content[at + 4 : at + 6] == b"US"
    size = (
        b"IS" + len(number).to_bytes(2, "little") if explicit else len(number).to_bytes(4, "little")
    )
    return content[:at] + b"\x28\x00\x08\x00" + size + number + content[at:]


def nest(content, dice):
    """Nest sequences, whether they end or not."""
    depth = dice.choice([10, 63, 65, 500, 3000])
    at = content.index(b"\x28\x00\x02\x00", 128)
    explicit = content[at + 4 : at + 6] == b"US"
    head = b"\x20\x00\x40\x91SQ\0\0" if explicit else b"\x20\x00\x40\x91"
    deeper = head + b"\xff" * 4 + ITEM + b"\xff" * 4
    ends = (ITEM_END + b"\0" * 4 + END + b"\0" * 4) * dice.choice([depth, depth, depth // 2, 0])
    return content[:at] + deeper * depth + ends + content[at:]


def strip_meta(content, dice):
    """Leave out the preamble, the meta information, or the transfer syntax."""
    way = dice.randrange(4)
    if way == 0:
        return content[128:]
    if way == 1:
        return content[132:]
    if way == 2:
        return content[content.index(b"\x08\x00", 200) :]
    at = content.index(b"\x02\x00\x10\x00UI")
    return content[:at] + content[at + 8 + int.from_bytes(content[at + 6 : at + 8], "little") :]


def change_syntax(content, dice):
    """Name another transfer syntax."""
    at = content.index(b"\x02\x00\x10\x00UI")
    end = at + 8 + int.from_bytes(content[at + 6 : at + 8], "little")
    uid = dice.choice(SYNTAXES).encode()
    uid += b"\0" * (len(uid) % 2)
    return content[: at + 6] + len(uid).to_bytes(2, "little") + uid + content[end:]


def deflate_bomb(content, dice):
    """Deflate the data set, with a value that inflates to much."""
    at = content.index(b"\x02\x00\x10\x00UI")
    end = at + 8 + int.from_bytes(content[at + 6 : at + 8], "little")
    meta = _data_set_start(content)
    uid = SYNTAXES[3].encode()
    head = content[: at + 6] + len(uid).to_bytes(2, "little") + uid + content[end:meta]
    size = dice.choice([10, 50_000, 30_000_000])
    packer = zlib.compressobj(9, wbits=-15)
    private = b"\x09\x00\x10\x00OB\0\0" + size.to_bytes(4, "little")
    packed = (
        packer.compress(private) + packer.compress(bytes(size)) + packer.compress(content[meta:])
    )
    packed += packer.flush()
    return head + packed[: dice.choice([len(packed), len(packed), len(packed) // 2])]


def huge_codestream(content, dice):
    """Let a compressed frame, and perhaps the file, claim to be huge."""
    rows, columns = dice.choice([65535, 32767, 16384, 4096]), dice.choice([65535, 16384, 2])
    broken, at = content, content.index(FRAGMENTS)
    siz = broken.find(b"\xff\x4f\xff\x51", at)
    if siz >= 0:
        size = columns.to_bytes(4, "big") + rows.to_bytes(4, "big")
        broken = broken[: siz + 8] + size + broken[siz + 16 :]
    else:
        sof = min(
            i
            for i in (broken.find(b"\xff" + bytes([m]), at) for m in (0xC0, 0xC1, 0xC3, 0xF7))
            if i >= 0
        )
        size = rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
        broken = broken[: sof + 5] + size + broken[sof + 9 :]
    if dice.random() < 0.7:
        for tag, value in ((b"\x28\x00\x10\x00", rows), (b"\x28\x00\x11\x00", columns)):
            place = broken.index(tag, 128)
            broken = broken[: place + 8] + value.to_bytes(2, "little") + broken[place + 10 :]
    return broken


def break_codestream(content, dice):
    """Break the bytes of the compressed frames, or of their offset table."""
    at = content.index(FRAGMENTS) + 12
    return _flip(content, dice, at, min(len(content), at + dice.choice([16, 120, 10**6])))


def break_fragments(content, dice):
    """Break the fragments of compressed frames, or their offset table."""
    at = content.index(FRAGMENTS) + 12
    way = dice.randrange(6)
    if way == 0:
        return content[:-8]
    if way == 1:
        return content[:at] + END + b"\0" * 4
    if way == 2:
        return content[:at] + (ITEM + b"\0" * 4) * dice.choice([1, 5, 5000]) + content[at:]
    if way == 3:
        table = bytes(dice.randrange(256) for _ in range(4 * dice.choice([1, 2, 1000])))
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        rest = content[at + 8 + size :]
        return content[:at] + ITEM + len(table).to_bytes(4, "little") + table + rest
    if way == 4:
        return content[: at + 8] + content[at + 8 :].replace(ITEM, END, 1)
    return content[: at + 4] + dice.choice(LENGTHS).to_bytes(4, "little") + content[at + 8 :]


def move_blocks(content, dice):
    """Repeat, drop or empty a block, or hang another file on."""
    start = dice.randrange(len(content))
    end = min(len(content), start + dice.choice([1, 2, 8, 500, 5000]))
    block = dice.choice([b"", content[start:end] * 2, bytes(end - start), content])
    return content[:start] + block + content[end:]


WAYS = (
    *(cut, flip_bits, flip_header_bits, change_vr, change_length, change_number, claim_frames),
    *(nest, strip_meta, change_syntax, deflate_bomb, huge_codestream, break_codestream),
    *(break_fragments, move_blocks),
)


def write_archive(folder, healthy, count, seed):
    """Write healthy files and `count` broken ones; return how each broken one was made."""
    dice = random.Random(seed)
    write_healthy(folder, healthy)
    ways = {}
    for i in range(count):
        base = dice.choice(list(healthy))
        broken, way = mutate(healthy[base], dice)
        name = f"broken-{i:05}-{way}-{base}"
        (folder / name).write_bytes(broken)
        ways[name] = way
    return ways


def write_healthy(folder, healthy):
    """Write healthy files, all of one time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in healthy.items():
        (folder / f"healthy-{name}").write_bytes(content)
        os.utime(folder / f"healthy-{name}", (1e9, 1e9))
