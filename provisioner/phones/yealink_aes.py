"""Yealink's encrypted configuration files: AES, with the characters of the key as they are.

How is data (`[encryption]` in models.toml), since the makers' guides name neither mode nor IV (docs/phones.md). ECB
shows which blocks are alike: this hides a file from who sees it pass, it does not replace HTTPS.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from provisioner.errors import OperatorError

BLOCK = 16
_FEWEST_ENDS = 10


class Encryption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a maker's phones decrypt. `files`: the kinds of file that are encrypted; `iv`: 32 hex digits, for CBC.

    `padding`: `lines` are line ends, at least ten: a phone that takes no padding off reads empty lines, and one that
    takes PKCS #7 padding off finds ten bytes of the value 10, which is a whole one. `pkcs7` is RFC 5652, section 6.3.
    The `openssl-…` modes are Grandstream's: they have a salt and a padding of their own.
    """

    files: tuple[str, ...]
    mode: Literal["ECB", "CBC", "openssl-md5", "openssl-sha256"] = "ECB"
    padding: Literal["lines", "pkcs7", "zeros"] = "lines"
    iv: str = ""


def _cipher(key: str, about: Encryption) -> Cipher[modes.ECB] | Cipher[modes.CBC]:
    characters = key.encode("ascii", "replace")
    if len(characters) not in (16, 32):
        raise OperatorError("a key of encrypted files has 16 or 32 characters", "give the phone a new one")
    cipher = algorithms.AES(characters)
    if about.mode == "ECB":
        return Cipher(cipher, modes.ECB())  # noqa: S305 - what the phones know
    try:
        return Cipher(cipher, modes.CBC(bytes.fromhex(about.iv)))
    except ValueError:
        raise OperatorError("the IV of encrypted files is no 32 hex digits", "mend models.toml") from None


def _padded(data: bytes, padding: str) -> bytes:
    missing = BLOCK - len(data) % BLOCK
    if padding == "pkcs7":
        return data + bytes([missing]) * missing
    if padding == "zeros":
        return data + b"\0" * (missing % BLOCK)
    return data + b"\n" * (missing if missing >= _FEWEST_ENDS else missing + BLOCK)


def encrypt(data: bytes, key: str, about: Encryption) -> bytes:
    """The file as it goes out; the same for the same input. `key`: 16 or 32 ASCII characters (AES-128, AES-256).

    Raises OperatorError for a key or an IV that cannot be one.
    """
    encryptor = _cipher(key, about).encryptor()
    return encryptor.update(_padded(data, about.padding)) + encryptor.finalize()


def decrypt(data: bytes, key: str, about: Encryption) -> bytes:
    """The file as it was, but for line ends or zeros that were added. Raises OperatorError when it is no such file."""
    if not data or len(data) % BLOCK:
        raise OperatorError("this is no encrypted file", "give one whose length is a multiple of 16")
    decryptor = _cipher(key, about).decryptor()
    plain = decryptor.update(data) + decryptor.finalize()
    if about.padding == "pkcs7":
        count = plain[-1]
        if not 1 <= count <= BLOCK or plain[-count:] != bytes([count]) * count:
            raise OperatorError("this file was encrypted with another key", "look for the phone's own key")
        return plain[:-count]
    return plain.rstrip(b"\0" if about.padding == "zeros" else b"\n") + (
        b"" if about.padding == "zeros" else b"\n"
    )
