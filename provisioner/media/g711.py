"""G.711: mu-law and A-law from and to 16-bit linear, and from one to the other, by tables (ITU-T G.711)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from functools import cache

SILENCE = 0xFF  # a mu-law byte of digital silence
_BIAS = 33  # of 14-bit mu-law, so that every segment begins at a power of two
_CLIP = 8158


def _mulaw_value(code: int) -> int:
    code ^= 0xFF
    magnitude = ((((code & 0x0F) << 1) + _BIAS) << (code >> 4 & 7)) - _BIAS
    return (-magnitude if code & 0x80 else magnitude) << 2


def _alaw_value(code: int) -> int:
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 0x0F
    magnitude = (step << 1) + 1 if segment == 0 else ((step << 1) + 33) << (segment - 1)
    return (magnitude if code & 0x80 else -magnitude) << 3


def _mulaw_code(sample: int) -> int:
    sample >>= 2
    mask = 0xFF
    if sample < 0:
        sample, mask = -sample, 0x7F
    sample = min(sample, _CLIP) + _BIAS
    segment = sample.bit_length() - 6
    return (segment << 4 | sample >> (segment + 1) & 0x0F) ^ mask


def _alaw_code(sample: int) -> int:
    sample >>= 3
    mask = 0xD5
    if sample < 0:
        sample, mask = -sample - 1, 0x55
    segment = max(0, sample.bit_length() - 5)
    return (segment << 4 | sample >> max(1, segment) & 0x0F) ^ mask


_FROM_MULAW = tuple(map(_mulaw_value, range(256)))
_FROM_ALAW = tuple(map(_alaw_value, range(256)))
MULAW_TO_ALAW = bytes(_alaw_code(value) for value in _FROM_MULAW)
ALAW_TO_MULAW = bytes(_mulaw_code(value) for value in _FROM_ALAW)


@cache
def _table(code: Callable[[int], int]) -> bytes:
    """Codes by sample; negative samples index from the end, as Python has it."""
    return bytes(map(code, (*range(0x8000), *range(-0x8000, 0))))


def encode_mulaw(samples: Iterable[int]) -> bytes:
    """16-bit linear samples (-32768..32767) as mu-law."""
    return bytes(map(_table(_mulaw_code).__getitem__, samples))


def encode_alaw(samples: Iterable[int]) -> bytes:
    """16-bit linear samples (-32768..32767) as A-law."""
    return bytes(map(_table(_alaw_code).__getitem__, samples))


def decode_mulaw(data: bytes) -> array[int]:
    """Mu-law as 16-bit linear samples."""
    return array("h", map(_FROM_MULAW.__getitem__, data))


def decode_alaw(data: bytes) -> array[int]:
    """A-law as 16-bit linear samples."""
    return array("h", map(_FROM_ALAW.__getitem__, data))
