"""Bytes under a passphrase: whole or refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.errors import OperatorError
from provisioner.keeping import seal
from provisioner.keeping.seal import PIECE, Lock

COST = 2
KEY = bytes(32)


def sealed(data: bytes, key: bytes = KEY, about: bytes = b"cover") -> bytes:
    out = io.BytesIO()
    seal.seal(io.BytesIO(data), out, key, about, lambda _: None)
    return out.getvalue()


def unsealed(data: bytes, key: bytes = KEY, about: bytes = b"cover") -> bytes:
    out = io.BytesIO()
    seal.unseal(io.BytesIO(data), out, key, about, lambda _: None)
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 7])
def test_round_trip(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    assert unsealed(sealed(data)) == data


@settings(max_examples=30)
@given(st.binary(max_size=64), st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_seen(data: bytes, place: int, by: int) -> None:
    whole = bytearray(sealed(data))
    whole[place % len(whole)] ^= by
    with pytest.raises(OperatorError, match="damaged or not whole"):
        unsealed(bytes(whole))


def test_pieces_cannot_be_left_out_moved_or_added() -> None:
    whole, step = sealed(bytes(3 * PIECE)), PIECE + 16
    first, second, third = whole[:step], whole[step : 2 * step], whole[2 * step :]
    for wrong in (first + second, second + first + third, whole + third, first, b"", whole[:-1]):
        with pytest.raises(OperatorError, match="damaged or not whole"):
            unsealed(wrong)


def test_cover_and_key_belong_to_it() -> None:
    for key, about in ((KEY, b"other"), (bytes(31) + b"1", b"cover")):
        with pytest.raises(OperatorError):
            unsealed(sealed(b"secret"), key, about)


def test_wrong_passphrase_is_told_apart_from_damage() -> None:
    held, key = seal.lock("correct horse", b"salt" * 4, COST)
    assert seal.key(held, "correct horse") == key
    with pytest.raises(OperatorError, match="not the passphrase"):
        seal.key(held, "correct mule")


@pytest.mark.parametrize(
    "lock",
    [
        Lock(salt="00", check="", n=1 << 30),
        Lock(salt="00", check="", n=3),
        Lock(salt="00", check="", r=9),
        Lock(salt="00", check="", p=99),
        Lock(salt="zz", check="", n=2),
    ],
)
def test_a_strangers_lock_costs_nothing(lock: Lock) -> None:
    with pytest.raises(OperatorError, match="damaged"):
        seal.key(lock, "x")
