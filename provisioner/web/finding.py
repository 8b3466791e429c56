"""What staff search calls for, kept out of addresses: outside numbers would stay in histories and in logs of proxies.

The form of a search is posted, and leads to an address with the text sealed by a key of the appliance. The same text
gives the same address, so that pages can be reloaded, led on from and sent to a colleague, and nothing is kept here.
"""

from __future__ import annotations

import base64
from binascii import Error

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from provisioner.web.session import sources

MAX_TEXT = 100


def _cipher() -> AESSIV:
    return AESSIV(sources().inventory.secret("search"))  # 32 bytes: AES-128-SIV (RFC 5297)


def seal(text: str) -> str:
    """`text` as it may stand in an address; "" for nothing."""
    wanted = text.strip()[:MAX_TEXT].encode()
    return base64.urlsafe_b64encode(_cipher().encrypt(wanted, None)).decode().rstrip("=") if wanted else ""


def opened(sealed: str) -> str:
    """The text that was sealed; "" for what this appliance did not seal."""
    try:
        data = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        return _cipher().decrypt(data, None).decode()
    except (InvalidTag, Error, ValueError):
        return ""
