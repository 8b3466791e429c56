"""The codecs that media speaks: between 16-bit linear samples at 8 kHz and the payloads of one party's stream."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from G722 import G722

from provisioner.media import g711

# static payload types (RFC 3551 section 6); other codecs are passed on unseen
PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9}
SPOKEN = frozenset(PAYLOAD_TYPES)
_TRANSLATE = {("PCMU", "PCMA"): g711.MULAW_TO_ALAW, ("PCMA", "PCMU"): g711.ALAW_TO_MULAW}
_BIT_RATE = 64_000
_RATE = 8000  # G.722 is 16 kHz on the line; what it is made of here, and made into, has half of that


class Voice:
    """One direction pair of one party: G.722 goes by what came before, so each stream has its own."""

    def __init__(self) -> None:
        self._encoder: G722 | None = None
        self._decoder: G722 | None = None

    def encode(self, samples: Iterable[int], codec: str) -> bytes:
        """Samples as a payload of a codec in SPOKEN, one byte each."""
        if codec == "PCMU":
            return g711.encode_mulaw(samples)
        if codec == "PCMA":
            return g711.encode_alaw(samples)
        if self._encoder is None:
            self._encoder = G722(_RATE, _BIT_RATE)
        payload: bytes = self._encoder.encode(array("h", samples))
        return payload

    def decode(self, payload: bytes, codec: str) -> array[int]:
        """A payload of a codec in SPOKEN as samples, one each byte."""
        if codec == "PCMU":
            return g711.decode_mulaw(payload)
        if codec == "PCMA":
            return g711.decode_alaw(payload)
        if self._decoder is None:
            self._decoder = G722(_RATE, _BIT_RATE)
        samples: array[int] = self._decoder.decode(payload)
        return samples

    def speak(self, frame: bytes, codec: str) -> bytes:
        """Mu-law, as files are kept, in a codec in SPOKEN."""
        if codec == "PCMU":
            return frame
        return translated(frame, "PCMU", codec) or self.encode(g711.decode_mulaw(frame), codec)


def translated(payload: bytes, codec: str, wanted: str) -> bytes:
    """One kind of G.711 as the other; b"" for any other pair."""
    table = _TRANSLATE.get((codec, wanted))
    return payload.translate(table) if table else b""
