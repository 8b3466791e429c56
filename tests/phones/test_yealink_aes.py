"""Encrypted files: as OpenSSL makes them, the same for the same input, and only for a phone that has its key."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import OperatorError
from provisioner.phones.proof import Asker
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Trust, Verdict
from provisioner.phones.yealink_aes import BLOCK, Encryption, decrypt, encrypt
from provisioner.store.records import Snapshot
from tests.phones import yealink_files as files
from tests.phones.samples import ADDRESSES
from tests.phones.test_yealink import CATALOGUE, MAC, MODELS, YEALINK, practice

PLAIN = b"#!version:1.0.0.1\naccount.1.enable = 1\n"
KEY = "0123456789abcdEF"
ECB = Encryption(files=("phone",))
CBC = Encryption(files=("phone",), mode="CBC", padding="pkcs7", iv="000102030405060708090a0b0c0d0e0f")
# openssl enc -aes-128-ecb -nopad of the text with 25 line ends behind it; -aes-256-cbc of the text with the key twice.
OF_OPENSSL = {
    "ecb": "c02284170d6e0792f67e666a701be140cff38e1a4d411e7a2af9bec9f7a27a69a3615d6d83f579a7a070794ff381c00b"
    "d3de3b08e45f38033e2db8b4e96aab2e",
    "cbc": "a8de1d811609cf072851263316be41bcac0f7a90e8bc3d1abca4e920ed2ef383c9d1e84f83e33261a7b593e0afb3ae1e",
}


def test_as_openssl_encrypts() -> None:
    assert encrypt(PLAIN, KEY, ECB).hex() == OF_OPENSSL["ecb"]
    assert encrypt(PLAIN, KEY * 2, CBC).hex() == OF_OPENSSL["cbc"]


def test_what_ships_is_a_way_to_encrypt() -> None:
    about = YEALINK.encryption
    assert about
    assert decrypt(encrypt(PLAIN, KEY, about), KEY, about) == PLAIN


@pytest.mark.parametrize("about", [ECB, CBC, msgspec.structs.replace(ECB, padding="zeros")])
@given(lines=st.lists(st.text("abc= .1", min_size=1), min_size=1), key=st.sampled_from([KEY, KEY * 2]))
def test_what_is_encrypted_comes_back(about: Encryption, lines: list[str], key: str) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    sealed = encrypt(data, key, about)
    assert len(sealed) % BLOCK == 0
    assert decrypt(sealed, key, about) == data
    assert encrypt(data, key, about) == sealed


@given(length=st.integers(0, 64))
def test_line_ends_are_a_padding_to_those_who_take_one_off(length: int) -> None:
    padded = decrypt(encrypt(b"x" * length, KEY, ECB), KEY, msgspec.structs.replace(ECB, padding="zeros"))
    assert padded.endswith(b"\n" * 10)
    as_pkcs7 = decrypt(encrypt(b"x" * length, KEY, ECB), KEY, msgspec.structs.replace(ECB, padding="pkcs7"))
    assert as_pkcs7.rstrip(b"\n") == b"x" * length


@pytest.mark.parametrize("key", ["", "short", "0123456789abcde", "0123456789abcdef0", "é" * 8])
def test_a_key_of_another_length_is_refused(key: str) -> None:
    with pytest.raises(OperatorError, match="16 or 32"):
        encrypt(PLAIN, key, ECB)


def test_what_is_no_encrypted_file_is_named() -> None:
    for data in (b"", PLAIN):
        with pytest.raises(OperatorError, match="no encrypted file"):
            decrypt(data, KEY, ECB)
    with pytest.raises(OperatorError, match="another key"):
        decrypt(encrypt(PLAIN, KEY * 2, CBC), "f" * 32, CBC)
    with pytest.raises(OperatorError, match="IV"):
        encrypt(PLAIN, KEY, msgspec.structs.replace(CBC, iv="00"))


SECRET = "c" * 28
AGENT = "Yealink SIP-T46S 66.86.0.15 80:5e:c0:12:34:56"


def whole(**values: object) -> Snapshot:
    snapshot = practice(MODELS["T46S"], values=values)
    held = msgspec.structs.replace(snapshot.credentials[MAC], path_secret=SECRET, file_key=KEY)
    return msgspec.structs.replace(snapshot, credentials={MAC: held})


def ask(snapshot: Snapshot, path: str, neighbour: str = MAC) -> Verdict:
    trust = Trust(lambda: 0.0, lambda: 0.0, bytes(32))
    asker = Asker(path, AGENT, "192.0.2.77", neighbour=neighbour)
    return trust.judge(Renderer(snapshot, ADDRESSES, CATALOGUE), asker)


def test_a_phone_gets_its_key_by_proof_then_what_is_encrypted_with_it() -> None:
    snapshot = whole(encrypt_files=True)
    first = ask(snapshot, f"/{MAC}.cfg")
    assert first.rule == "neighbour"
    assert first.body
    found = dict(files.parse(first.body))
    assert found["static.auto_provision.aes_key_16.mac"] == KEY
    url = found["static.auto_provision.server.url"]
    assert url == f"http://192.0.2.10:8080/{SECRET}/sealed/"
    again = ask(snapshot, f"/{SECRET}/sealed/{MAC}.cfg")
    assert again.body
    about = YEALINK.encryption
    assert about
    assert again.body != first.body
    assert decrypt(again.body, KEY, about) == first.body
    assert ask(snapshot, f"/{SECRET}/sealed/{MAC}.cfg").body == again.body
    # What holds no secret stays as it is.
    assert (ask(snapshot, f"/{SECRET}/sealed/{MAC}.boot").body or b"").startswith(files.HEADER.encode())
    assert (
        ask(snapshot, f"/{SECRET}/sealed/y000000000066.cfg").body == ask(snapshot, "/y000000000066.cfg").body
    )


def test_nobody_else_gets_key_or_file() -> None:
    snapshot = whole(encrypt_files=True)
    for path in (f"/{MAC}.cfg", f"/{SECRET}/sealed/{MAC}.cfg", f"/sealed/{MAC}.cfg"):
        verdict = ask(snapshot, path, neighbour="00155d000001")
        assert (verdict.status // 100, verdict.body) == (4, None), path


def test_a_phone_that_was_never_given_its_key_gets_plain_files() -> None:
    for path in (f"/{SECRET}/{MAC}.cfg", f"/sealed/{MAC}.cfg", f"/{SECRET}x/sealed/{MAC}.cfg"):
        body = ask(whole(encrypt_files=True), path).body
        assert body
        assert body.startswith(files.HEADER.encode()), path
    off = ask(whole(), f"/{SECRET}/sealed/{MAC}.cfg").body
    assert off
    found = dict(files.parse(off))
    assert found["static.auto_provision.aes_key_16.mac"] == files.NULL
    assert found["static.auto_provision.server.url"] == f"http://192.0.2.10:8080/{SECRET}/"
