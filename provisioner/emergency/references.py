"""Location URIs: who holds one may read where a phone is, until it expires (RFC 5808, 6753). Nothing is kept of them.

A token is a nonce, the time at which it ends, and a MAC of both and the phone: it names nobody, and two of one phone
have nothing in common.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

KEY_NAME = "location-references"  # its name in the inventory
SECONDS = 3600  # RFC 5985, section 6.5.2: at least half an hour, at most a day
_NONCE, _EXPIRES, _PROOF = 8, 5, 16  # bytes
LENGTH = 40  # characters of a token


def token(key: bytes, mac: str, expires: int, nonce: bytes) -> str:
    """A new token for a phone. `expires`: seconds since 1970; `nonce`: eight random bytes."""
    head = nonce + expires.to_bytes(_EXPIRES, "big")
    return base64.urlsafe_b64encode(head + _proof(key, head, mac)).decode().rstrip("=")


def phone(key: bytes, text: str, macs: Iterable[str], now: float) -> str:
    """The one of `macs` that a token is for; "" for one that has expired or was never made here."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) < LENGTH else b""
    except (binascii.Error, ValueError):
        return ""
    head, proof = raw[: _NONCE + _EXPIRES], raw[_NONCE + _EXPIRES :]
    if not key or len(proof) != _PROOF or int.from_bytes(head[_NONCE:], "big") <= now:
        return ""
    return next((mac for mac in macs if hmac.compare_digest(_proof(key, head, mac), proof)), "")


def _proof(key: bytes, head: bytes, mac: str) -> bytes:
    return hmac.digest(key, head + mac.encode(), hashlib.sha256)[:_PROOF]
