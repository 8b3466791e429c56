"""Location URIs: good for one phone and an hour, and guessed by nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.emergency import references

KEY, OTHER = b"k" * 32, b"o" * 32
MACS = ["0004f2000101", "001565000102"]
NOW = 1_800_000_000


def made(mac: str = MACS[0], expires: int = NOW + 60, nonce: bytes = b"12345678") -> str:
    return references.token(KEY, mac, expires, nonce)


@pytest.mark.parametrize("mac", MACS)
def test_a_token_is_for_one_phone(mac: str) -> None:
    token = made(mac)
    assert references.phone(KEY, token, MACS, NOW) == mac
    assert len(token) < references.LENGTH
    assert mac not in token


@pytest.mark.parametrize("now", [NOW + 60, NOW + 3600])
def test_it_ends(now: float) -> None:
    assert references.phone(KEY, made(), MACS, now) == ""
    assert references.phone(KEY, made(), MACS, NOW + 59.9) == MACS[0]


def test_a_phone_that_is_gone() -> None:
    assert references.phone(KEY, made(), MACS[1:], NOW) == ""


@pytest.mark.parametrize("key", [OTHER, b""])
def test_another_key(key: bytes) -> None:
    assert references.phone(key, made(), MACS, NOW) == ""


def test_two_tokens_of_a_phone_have_nothing_in_common() -> None:
    assert made(nonce=b"87654321")[:8] != made()[:8]


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    assert references.phone(KEY, text, MACS, NOW) == ""


@given(st.integers(0, 28), st.integers(1, 255))
def test_a_changed_token(at: int, by: int) -> None:
    import base64

    raw = bytearray(base64.urlsafe_b64decode(made() + "=="))
    raw[at] ^= by
    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert references.phone(KEY, text, MACS, NOW) == ""


def test_it_lasts_as_long_as_the_rfc_says() -> None:
    assert 1800 <= references.SECONDS <= 86400
