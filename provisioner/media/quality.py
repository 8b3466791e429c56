"""How good a call sounded: an estimate by the E-model (ITU-T G.107) from loss and jitter. No I/O."""

from __future__ import annotations

BEST = 93.2  # R of a call without any impairment: the defaults of G.107
_NETWORK_MS = 50.0  # packetization, network and the far end's own buffer, one way
_LATE_MS = 177.3  # delay that begins to be noticed (Cole and Rosenbluth's form of G.107's Idd)
# Ie and Bpl of G.113 appendix I, with packet loss concealment; other codecs are taken for G.711.
_CODECS = {"G729": (11.0, 19.0)}
_G711 = (0.0, 25.1)


def rating(loss: float, jitter_ms: float, codec: str = "PCMU") -> float:
    """The transmission rating R, 0 to 93.2. `loss`: percent of packets; a phone buffers for twice the jitter."""
    ie, bpl = _CODECS.get(codec, _G711)
    effective = ie + (95 - ie) * loss / (loss + bpl)
    delay = _NETWORK_MS + 2 * jitter_ms
    late = 0.024 * delay + 0.11 * max(0.0, delay - _LATE_MS)
    return max(0.0, BEST - effective - late)


def mos(loss: float, jitter_ms: float, codec: str = "PCMU") -> float:
    """Mean opinion score, 1.0 to 4.5 (G.107 annex B)."""
    r = rating(loss, jitter_ms, codec)
    return max(1.0, min(4.5, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6))
