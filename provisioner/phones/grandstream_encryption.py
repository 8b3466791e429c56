"""Grandstream's encrypted XML files: what `openssl enc -aes-256-cbc -salt -k <password>` writes.

Key and initialization vector are drawn from password and salt by EVP_BytesToKey with one round. The digest of
that is not documented: MD5 was OpenSSL's when the maker wrote its guide (2011), SHA-256 is since OpenSSL 1.1.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from provisioner.errors import PeerError

DIGESTS = ("md5", "sha256")
_MAGIC, _SALT, _KEY, _IV = b"Salted__", 8, 32, 16


def _key(password: str, salt: bytes, digest: str) -> tuple[bytes, bytes]:
    made = block = b""
    while len(made) < _KEY + _IV:
        block = hashlib.new(digest, block + password.encode() + salt, usedforsecurity=False).digest()
        made += block
    return made[:_KEY], made[_KEY : _KEY + _IV]


def encrypt(data: bytes, password: str, digest: str = DIGESTS[0]) -> bytes:
    """`data` under `password`; `digest`: a name of DIGESTS.

    The salt is drawn from password and content: the same file is the same bytes, another one has another salt.
    """
    salt = hashlib.sha256(password.encode() + b"\0" + data).digest()[:_SALT]
    key, vector = _key(password, salt, digest)
    padder = PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return _MAGIC + salt + cipher.update(padder.update(data) + padder.finalize()) + cipher.finalize()


def decrypt(data: bytes, password: str, digest: str = DIGESTS[0]) -> bytes:
    """What was encrypted. Raises PeerError when it was not with this password, or is no such file."""
    if not data.startswith(_MAGIC) or len(data) % 16:
        raise PeerError("this is no encrypted file")
    head = len(_MAGIC) + _SALT
    key, vector = _key(password, data[len(_MAGIC) : head], digest)
    cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        return unpadder.update(cipher.update(data[head:]) + cipher.finalize()) + unpadder.finalize()
    except ValueError:
        raise PeerError("this file is not encrypted with that password") from None
