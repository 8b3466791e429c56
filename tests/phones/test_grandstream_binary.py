"""The oldest Grandstream format, byte for byte, and the encrypted one against the openssl program."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import PeerError
from provisioner.phones.grandstream_binary import decode, encode
from provisioner.phones.grandstream_encryption import DIGESTS, decrypt, encrypt
from provisioner.simulate.vendors.grandstream import unpack

MAC = "000b82000103"
# The published example of another writer of this format: MAC, one setting, and the checksum it must have.
EXAMPLE = bytes.fromhex("00000010 ba48 0004f200e06b 0d0a0d0a") + b"P1=A&gnkey=0b82\0"
P_CODES = st.from_regex(r"P[1-9][0-9]{0,4}", fullmatch=True)


def test_the_published_example() -> None:
    assert encode("0004f200e06b", [("P1", "A")]) == EXAMPLE
    assert decode(EXAMPLE) == ("0004f200e06b", {"P1": "A"})


def test_the_header_by_hand() -> None:
    made = encode(MAC, [("P271", "1"), ("P47", "192.0.2.10:5060")])
    body = b"P271=1&P47=192.0.2.10%3A5060&gnkey=0b82"
    assert made[16:] == body + b"\0"
    assert int.from_bytes(made[:4], "big") * 2 == len(made) == 16 + 40
    assert made[6:16] == bytes.fromhex(MAC) + b"\r\n\r\n"
    assert sum(int.from_bytes(made[at : at + 2], "big") for at in range(0, len(made), 2)) % 0x10000 == 0


def test_another_gnkey() -> None:
    assert encode(MAC, [], gnkey="74ad")[16:] == b"gnkey=74ad"


@pytest.mark.parametrize("name", ["", "P1&P2", "P1=", "P 1", "1P", "P1\n", "Pé"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a setting"):
        encode(MAC, [(name, "x")])


@pytest.mark.parametrize("mac", ["", "000b8200010", "000b8200010g", "00:0b:82:00:01:03:04"])
def test_a_mac_that_is_none_is_refused(mac: str) -> None:
    with pytest.raises(ValueError, match="12 hex digits"):
        encode(mac, [])


@given(st.dictionaries(P_CODES, st.text()))
def test_no_value_begins_a_second_setting(settings: dict[str, str]) -> None:
    made = encode(MAC, settings.items())
    assert decode(made) == (
        MAC,
        {name: value.encode("utf-8", "replace").decode() for name, value in settings.items()},
    )
    assert [pair.split(b"=")[0].decode() for pair in made[16:].rstrip(b"\0").split(b"&")] == [
        *settings,
        "gnkey",
    ]


@given(st.dictionaries(P_CODES, st.text(st.characters(codec="ascii"))))
def test_the_simulated_phone_reads_it(settings: dict[str, str]) -> None:
    assert unpack(encode(MAC, settings.items()), MAC) == settings


@pytest.mark.parametrize(
    "data",
    [
        b"",
        EXAMPLE[:15],
        EXAMPLE[:-1],
        EXAMPLE + b"\0\0",
        b"\0\0\0\x11" + EXAMPLE[4:],
        EXAMPLE[:4] + b"\0\0" + EXAMPLE[6:],
        EXAMPLE[:12] + b"\n\n\n\n" + EXAMPLE[16:],
        EXAMPLE.replace(b"P1=A", b"P1=B"),
        b"<?xml version='1.0'?><gs_provision/>",
    ],
)
def test_what_is_no_such_file(data: bytes) -> None:
    with pytest.raises(PeerError):
        decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except PeerError:
        return
    assert len(data) % 2 == 0


@given(st.binary(max_size=100), st.text(min_size=1, max_size=20), st.sampled_from(DIGESTS))
def test_encrypted_and_back(data: bytes, password: str, digest: str) -> None:
    made = encrypt(data, password, digest)
    assert re.match(rb"Salted__.{8}", made, re.DOTALL)
    assert made == encrypt(data, password, digest)
    assert decrypt(made, password, digest) == data


def test_another_content_has_another_salt() -> None:
    assert encrypt(b"one", "secret")[8:16] != encrypt(b"two", "secret")[8:16]


@pytest.mark.parametrize("data", [b"", b"Salted__", b"<gs_provision/>", b"Salted__" + b"x" * 9])
def test_what_is_not_encrypted(data: bytes) -> None:
    with pytest.raises(PeerError):
        decrypt(data, "secret")


def test_the_wrong_password() -> None:
    with pytest.raises(PeerError):
        decrypt(encrypt(b"<gs_provision/>", "right"), "wrong")


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("digest", DIGESTS)
def test_openssl_decrypts_it(digest: str, tmp_path: Path) -> None:
    text = b'<?xml version="1.0"?>\n<gs_provision version="1"/>\n' * 50
    (tmp_path / "in").write_bytes(encrypt(text, "s3cret & more", digest))
    command = [
        "openssl",
        "enc",
        "-d",
        "-aes-256-cbc",
        "-md",
        digest,
        "-k",
        "s3cret & more",
        "-in",
        tmp_path / "in",
    ]
    assert subprocess.run(command, capture_output=True, check=True).stdout == text


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("digest", DIGESTS)
def test_what_openssl_encrypts_is_read(digest: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"<gs_provision/>")
    command = [
        "openssl",
        "enc",
        "-aes-256-cbc",
        "-salt",
        "-md",
        digest,
        "-k",
        "secret",
        "-in",
        tmp_path / "in",
    ]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    assert decrypt(made, "secret", digest) == b"<gs_provision/>"
