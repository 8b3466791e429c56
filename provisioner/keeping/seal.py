"""Bytes under a passphrase: scrypt (RFC 7914) makes the key, AES-256-GCM seals them in pieces of one size.

The nonce of a piece is its number and whether it is the last, so that none can be left out, doubled or moved.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from provisioner.errors import OperatorError

PIECE = 1 << 20  # bytes
COST = 1 << 16  # scrypt's N; 64 MiB and a sixth of a second
_MAX_COST, _MAX_R, _MAX_P = 1 << 18, 8, 4  # of a stranger's file
_TAG = 16


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """How a key is made of a passphrase; `salt` and `check` (bytes that tell a wrong one) in hex."""

    salt: str
    check: str
    n: int = COST
    r: int = 8
    p: int = 1


def lock(passphrase: str, salt: bytes, cost: int = COST) -> tuple[Lock, bytes]:
    """A new lock, and its key (32 bytes)."""
    made = Lock(salt=salt.hex(), check="", n=cost)
    key, check = _derive(made, passphrase)
    return msgspec.structs.replace(made, check=check), key


def key(held: Lock, passphrase: str) -> bytes:
    """The key. Raises OperatorError when the passphrase is not the one, or the lock is none of ours."""
    if not (2 <= held.n <= _MAX_COST and held.n & (held.n - 1) == 0 and 1 <= held.r <= _MAX_R):
        raise damaged()
    if not 1 <= held.p <= _MAX_P:
        raise damaged()
    found, check = _derive(held, passphrase)
    if not hmac.compare_digest(check, held.check):
        raise OperatorError("that is not the passphrase of this backup", "type it as when it was made")
    return found


def damaged() -> OperatorError:
    """What is said of a file that is not whole."""
    return OperatorError("this backup is damaged or not whole", "copy or download it again, or take another")


def _derive(held: Lock, passphrase: str) -> tuple[bytes, str]:
    try:
        salt = bytes.fromhex(held.salt)
    except ValueError:
        raise damaged() from None
    made = Scrypt(salt=salt, length=48, n=held.n, r=held.r, p=held.p).derive(passphrase.encode())
    return made[:32], made[32:].hex()


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def seal(source: BinaryIO, target: BinaryIO, key: bytes, about: bytes, tell: Callable[[int], None]) -> None:
    """Seal all of `source` into `target`; `about` must be the same to open it. `tell` hears of bytes done."""
    cipher, number, piece = AESGCM(key), 0, source.read(PIECE)
    while True:
        following = source.read(PIECE)
        target.write(cipher.encrypt(_nonce(number, not following), piece, about))
        tell(len(piece))
        if not following:
            return
        piece, number = following, number + 1


def unseal(source: BinaryIO, target: BinaryIO, key: bytes, about: bytes, tell: Callable[[int], None]) -> None:
    """The reverse of `seal`. Raises OperatorError when it is not whole, or was changed."""
    cipher, number, piece = AESGCM(key), 0, source.read(PIECE + _TAG)
    while True:
        following = source.read(PIECE + _TAG)
        try:
            target.write(cipher.decrypt(_nonce(number, not following), piece, about))
        except InvalidTag:
            raise damaged() from None
        tell(len(piece))
        if not following:
            return
        piece, number = following, number + 1
