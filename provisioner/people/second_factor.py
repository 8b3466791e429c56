"""The second factor: codes of an authenticator app (TOTP, RFC 6238) and recovery codes for when it is lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
from collections.abc import Callable

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP = 30  # seconds (RFC 6238, section 4.1); apps know no other
DIGITS = 6
DRIFT = 1  # steps that a phone's clock may be off (section 5.2)
KEY_BYTES = 20  # as long as SHA-1's output (RFC 4226, section 4, R6)
CODES = 10
_ISSUER = "Provisioner"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # 32, without i, l, o and u, which are misread


def _totp(key: str) -> TOTP:
    # Keyed SHA-1, as all apps do; what broke SHA-1 (collisions) does not touch HMAC (RFC 6194, section 3.3).
    return TOTP(base64.b32decode(key), DIGITS, SHA1(), STEP)  # noqa: S303


def step_of(key: str, code: str, now: float, after: int = 0) -> int:
    """The time step whose code `code` is, 0 for none; steps up to `after` were used already and count no more."""
    given = "".join(code.split()).encode()
    current = int(now // STEP)
    found = 0
    for step in range(current - DRIFT, current + DRIFT + 1):
        same = hmac.compare_digest(_totp(key).generate(step * STEP), given)
        found = step if same and step > after else found
    return found


def latest(now: float) -> int:
    """The newest time step whose code is good at `now` (seconds since 1970)."""
    return int(now // STEP) + DRIFT


def uri(key: str, user: str, practice: str) -> str:
    """What an app reads out of the QR code."""
    return _totp(key).get_provisioning_uri(user, f"{_ISSUER} {practice}".replace(":", " ").strip())


def picture(text: str) -> bytes:
    """A QR code as an SVG document, dark on light in any theme, for readers need the contrast."""
    into = io.BytesIO()
    segno.make(text, micro=False, error="m").save(
        into, kind="svg", scale=5, light="#fff", dark="#000", border=4
    )
    return into.getvalue()


def new_codes(random: Callable[[int], bytes]) -> list[str]:
    """Recovery codes to be written down, 50 bits each."""
    made = ["".join(_ALPHABET[byte & 31] for byte in random(10)) for _ in range(CODES)]
    return [f"{code[:5]}-{code[5:]}" for code in made]


def digest(code: str) -> str:
    """A recovery code as it is stored. Random, so that a fast hash will do."""
    bare = "".join(each for each in code.lower() if each.isalnum())
    return hashlib.sha256(bare.encode()).hexdigest()
