import base64
import json
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ReleaseError
from workbench.exchange.envelope import (
    PAYLOAD_TYPE,
    RefusedError,
    canonical,
    pae,
    parse_canonical,
    read_envelope,
    seal,
    signers,
)
from workbench.exchange.keys import signed_by

# DSSE "testvectors/vectors.json"; the keys are TEST 1 and TEST 2 of RFC 8032, section 7.1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
KEY_A, KEY_B = (
    base64.b64encode(bytes.fromhex(key)).decode()
    for key in (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    )
)
STATEMENT = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ=="
IN_TOTO = "application/vnd.in-toto+json"
SIG_A = "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA=="
SIG_B = "c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw=="
VECTORS = {
    "single signature": (STATEMENT, IN_TOTO, [SIG_A], {KEY_A}),
    "url-safe base64": (
        "-_-_Pj8=",
        IN_TOTO,
        [
            "P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw=="
        ],
        {KEY_A},
    ),
    "payload type swapped": (STATEMENT, "application/vnd.example.other+json", [SIG_A], set()),
    "bytes, not letters, are counted": (
        STATEMENT,
        "application/vnd.exämple+json",
        [
            "xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw=="
        ],
        {KEY_A},
    ),
    "empty payload": (
        "",
        IN_TOTO,
        [
            "gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg=="
        ],
        {KEY_A},
    ),
    "two keys": (STATEMENT, IN_TOTO, [SIG_A, SIG_B], {KEY_A, KEY_B}),
    "one key twice": (STATEMENT, IN_TOTO, [SIG_A, SIG_A], {KEY_A}),
}


@pytest.mark.parametrize("name", VECTORS)
def test_published_vectors(name):
    payload, payload_type, signatures, expected = VECTORS[name]
    envelope = read_envelope(
        json.dumps(
            {
                "payload": payload,
                "payloadType": payload_type,
                "signatures": [{"sig": one} for one in signatures],
            }
        ).encode()
    )
    assert signers(envelope, [KEY_A, KEY_B], signed_by) == expected


def test_pae_of_the_specification():
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae(IN_TOTO, b"").hex() == (
        "445353457631203238206170706c69636174696f6e2f766e642e696e2d746f746f2b6a736f6e203020"
    )


def test_sealed_envelope_is_read_back():
    content = seal(b"payload", "a-key", Ed25519PrivateKey.from_private_bytes(SEED).sign)
    envelope = read_envelope(content)
    assert (envelope.payload, envelope.payload_type) == (b"payload", PAYLOAD_TYPE)
    assert signers(envelope, [KEY_A, KEY_B], signed_by) == {KEY_A}
    assert canonical(json.loads(content)) == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"payload": "aaa"}',
        b'{"payload": "a", "payloadType": "x", "signatures": []}',
        b'{"payload": "", "payloadType": "x", "signatures": []}',
        b'{"payload": "", "payloadType": 5, "signatures": [{"sig": ""}]}',
        b'{"payload": "", "payloadType": "x", "signatures": [{"sig": "***"}]}',
        b'{"payload": "", "payloadType": "x", "signatures": "abc"}',
        b"[" * 100_000,
        b" " * 4_000_001,
    ],
)
def test_a_broken_envelope_is_refused(content):
    with pytest.raises(RefusedError) as refused:
        read_envelope(content)
    assert refused.value.reason == "envelope_unreadable"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", max_size=3), inner),
    max_leaves=8,
)


@given(json_values)
def test_canonical_json_round_trips(value):
    assert parse_canonical(canonical(value), "x") == value


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1}\n',
        b'{"b":1,"a":2}\n',
        b'{"a":1,"a":1}\n',
        b'{"a":1}',
        b'{"a":"\\u00e9"}\n',
        b"1.0e0\n",
    ],
)
def test_only_one_way_to_write_is_accepted(content):
    with pytest.raises(RefusedError) as refused:
        parse_canonical(content, "manifest.json")
    assert refused.value.reason == "not_canonical"


@pytest.mark.parametrize(
    "content", [b"NaN\n", b"1e999\n", b"{", b"\xef\xbb\xbf1\n", b"[" * 100_000]
)
def test_what_is_no_json_is_refused(content):
    with pytest.raises(RefusedError) as refused:
        parse_canonical(content, "manifest.json")
    assert refused.value.reason == "unreadable"


def test_canonical_refuses_what_json_does_not_know():
    for value in (float("nan"), {1, 2}, b"bytes"):
        with pytest.raises(ReleaseError):
            canonical(value)


def test_a_refusal_survives_the_way_between_processes():
    error = RefusedError("changed_file", "what", where="where", todo="todo")
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, str(again), again.exit_code) == ("changed_file", str(error), 14)
