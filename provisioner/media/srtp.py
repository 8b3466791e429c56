"""SRTP and SRTCP of one party by libsrtp: what comes is checked and opened, what goes is sealed (RFC 3711)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pylibsrtp import Error, Policy, Session

_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
Key = Annotated[bytes, msgspec.Meta(min_length=30, max_length=30)]  # master key and salt (RFC 4568 6.2)


class Keys(msgspec.Struct, frozen=True, rename={"key_in": "in", "key_out": "out"}):
    """The `srtp` of a `put`: keys in base64, the party's own (`in`) and ours (`out`)."""

    suite: Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]
    key_in: Key
    key_out: Key

    def __repr__(self) -> str:
        return f"Keys({self.suite!r})"  # never a key: whoever logs a document logs this


class Guard:
    """Both directions of one party. A direction starts anew only when its own key or the suite changes, since
    roll-over counters go on through a re-INVITE. What cannot be opened is counted and lost.
    """

    __slots__ = ("_in", "_keys", "_out", "replayed", "unauthentic")

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._in = _session(keys.suite, keys.key_in, Policy.SSRC_ANY_INBOUND)
        self._out = _session(keys.suite, keys.key_out, Policy.SSRC_ANY_OUTBOUND)
        self.unauthentic = self.replayed = 0

    def rekey(self, keys: Keys) -> None:
        """Use `keys` from now on; the same ones change nothing."""
        before, self._keys = self._keys, keys
        if (keys.suite, keys.key_in) != (before.suite, before.key_in):
            self._in = _session(keys.suite, keys.key_in, Policy.SSRC_ANY_INBOUND)
        if (keys.suite, keys.key_out) != (before.suite, before.key_out):
            self._out = _session(keys.suite, keys.key_out, Policy.SSRC_ANY_OUTBOUND)

    def open(self, data: bytes, control: bool = False) -> bytes | None:
        """The RTP (`control`: RTCP) packet in `data`; None when it is not the party's, or came before."""
        try:
            return self._in.unprotect_rtcp(data) if control else self._in.unprotect(data)
        except Error as error:
            if "replay" in str(error):
                self.replayed += 1
            else:
                self.unauthentic += 1
        except ValueError:  # longer than any packet
            self.unauthentic += 1
        return None

    def seal(self, data: bytes, control: bool = False) -> bytes | None:
        """The packet as it goes out; None when libsrtp refuses it, as a sequence number that was used before."""
        try:
            return self._out.protect_rtcp(data) if control else self._out.protect(data)
        except (Error, ValueError):
            return None


def _session(suite: str, key: bytes, kind: int) -> Session:
    return Session(Policy(key, kind, 0, _PROFILES[suite]))
