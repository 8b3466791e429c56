"""WAV files as people save them: what is in one, and its sound piece by piece, as one channel of 16 bits."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import add
from typing import NamedTuple

from provisioner.media.g711 import decode_alaw, decode_mulaw

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE  # format tags (RFC 2361)
_BLOCK = 1 << 16  # frames decoded at a time: ten minutes at once would take a gigabyte
_FORMAT = struct.Struct("<HHIIHH").unpack_from


class WavError(ValueError):
    """Why these bytes are no WAV file that we can read."""


class _Format(NamedTuple):
    tag: int
    channels: int
    rate: int
    bytes_a_second: int
    align: int
    bits: int


@dataclass(frozen=True)
class Wav:
    """`rate`: frames a second; `bits`: of one sample; `frames`: all of it, as it lies in the file."""

    channels: int
    rate: int
    bits: int
    frames: memoryview
    _decode: Callable[[bytes], array[int]]

    @property
    def count(self) -> int:
        """Frames, each with a sample of every channel."""
        return len(self.frames) // (self.channels * self.bits // 8)

    def samples(self) -> Iterator[array[int]]:
        """The sound in pieces, its channels brought together to one."""
        size = self.channels * self.bits // 8
        for first in range(0, self.count, _BLOCK):
            piece = self._decode(bytes(self.frames[first * size : min(first + _BLOCK, self.count) * size]))
            if self.channels == 2:
                piece = array("h", (both >> 1 for both in map(add, piece[::2], piece[1::2])))
            yield piece


def _linear(width: int) -> Callable[[bytes], array[int]]:
    """PCM of `width` bytes: the upper two of each sample, which telephones cannot tell from more."""

    def decode(data: bytes) -> array[int]:
        if width == 1:  # unsigned, as no other width is
            return array("h", ((byte - 128) << 8 for byte in data))
        upper = bytearray(len(data) // width * 2)
        upper[::2], upper[1::2] = data[width - 2 :: width], data[width - 1 :: width]
        return array("h", struct.unpack(f"<{len(upper) // 2}h", upper))

    return decode


def _floating(data: bytes) -> array[int]:
    values = struct.unpack(f"<{len(data) // 4}f", data)  # NaN fails both comparisons
    return array("h", (int(v * 32767) if -1 <= v <= 1 else 32767 if v > 1 else -32767 for v in values))


_DECODERS: dict[tuple[int, int], Callable[[bytes], array[int]]] = {
    **{(PCM, 8 * width): _linear(width) for width in (1, 2, 3, 4)},
    (FLOAT, 32): _floating,
    (ALAW, 8): decode_alaw,
    (MULAW, 8): decode_mulaw,
}


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Name and content of each chunk; of one that is cut off, or of unknown size, what came."""
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield bytes(data[at : at + 4]), data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def read(data: bytes) -> Wav:
    """What is in a WAV file: PCM of 8 to 32 bits, floating point, or G.711, of one or two channels.

    Raises WavError in a few words.
    """
    if len(data) < 12:
        raise WavError("it is cut off")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise WavError("it does not begin as one")
    found: _Format | None = None
    for name, content in _chunks(memoryview(data)):
        if name == b"fmt " and len(content) >= 16:
            found = _Format(*_FORMAT(content))
            if found.tag == EXTENSIBLE and len(content) >= 26:  # what it really is stands in the sub-format
                found = found._replace(tag=int.from_bytes(content[24:26], "little"))
        elif name == b"data" and found:
            return _opened(found, content)
    raise WavError("it is cut off")


def _opened(found: _Format, content: memoryview) -> Wav:
    decode = _DECODERS.get((found.tag, found.bits))
    if decode is None:
        raise WavError(f"format {found.tag} of {found.bits} bits")
    if found.channels not in (1, 2):
        raise WavError(f"it has {found.channels} channels")
    size = found.channels * found.bits // 8
    return Wav(found.channels, found.rate, found.bits, content[: len(content) // size * size], decode)
