"""In-band DTMF: keys in and out of linear audio at 8 kHz (ITU-T Q.23, Q.24). No I/O, no clock but the samples.

Limits of the detector: 40 ms of tone and of pause are enough, 20 ms of tone are not; each tone above -29 dBm0; the high
one may be 4 dB over the low one, and that 8 dB over it; 1.5 % off frequency is taken, 3.5 % is not; 90 % of the power
has to be in the two tones, which keeps speech from being keys (talk-off).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from operator import mul

RATE = 8000
BLOCK = 102  # samples, 12.75 ms: any 40 ms hold two whole blocks, 20 ms never do
ROWS = (697, 770, 852, 941)
COLUMNS = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")  # row by row

_FULL = 32124.0 / 10 ** (3.17 / 20)  # amplitude of a sine of 0 dBm0: mu-law's largest is 3.17 dBm0 (G.711)
_LEAST = (_FULL * 10 ** (-29 / 20)) ** 2 * BLOCK / 2  # energy in a block of a tone of -29 dBm0
_HIGH_OVER_LOW, _LOW_OVER_HIGH = 10**0.45, 10**0.85  # 4 and 8 dB, and half a dB of error
_PEAK = 10**0.8  # a tone over the others of its group
_SHARE = 0.9  # of the block's energy
_OFF = 0.025  # of the frequency: between what must and what must not be taken
_ENDING = 3  # blocks without the key that end a press: any 40 ms spoil three, a dropout of 10 ms two

Block = Sequence[float]


def _dot(samples: Block, table: Block) -> float:
    product: float = sum(map(mul, samples, table))
    return product


def _waves(frequency: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    angles = [2 * math.pi * frequency * n / RATE for n in range(BLOCK)]
    return tuple(map(math.cos, angles)), tuple(map(math.sin, angles))


_WAVES = {frequency: _waves(frequency) for frequency in (*ROWS, *COLUMNS)}


def _energy(block: Block, frequency: int) -> float:
    """Energy of the tone in the block; that of a sine of amplitude A is A² BLOCK / 2."""
    cosine, sine = _WAVES[frequency]
    return (_dot(block, cosine) ** 2 + _dot(block, sine) ** 2) * 2 / BLOCK


def _strongest(block: Block, group: tuple[int, ...]) -> int | None:
    """Index of the tone that stands out of its group; None when none does."""
    energies = [_energy(block, frequency) for frequency in group]
    best = max(energies)
    alone = sum(other * _PEAK > best for other in energies) == 1
    return energies.index(best) if alone else None


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """By Gauss and Jordan; these matrices are never near singular."""
    size = len(matrix)
    rows = [row + [float(at == column) for column in range(size)] for at, row in enumerate(matrix)]
    for at in range(size):
        pivot = rows[at][at]
        rows[at] = [value / pivot for value in rows[at]]
        for other in range(size):
            if other != at:
                factor = rows[other][at]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[at], strict=True)]
    return [row[size:] for row in rows]


class _Pair:
    """Two tones fitted together (least squares), since in so few samples each leaks into the other."""

    def __init__(self, low: int, high: int, start: int, end: int) -> None:
        self._waves = [wave[start:end] for frequency in (low, high) for wave in _WAVES[frequency]]
        self._solve = _inverse([[_dot(one, other) for other in self._waves] for one in self._waves])

    def fit(self, samples: Block) -> tuple[complex, complex]:
        """Amplitude and phase of the low and of the high tone."""
        dots = [_dot(samples, wave) for wave in self._waves]
        low, low_sine, high, high_sine = (_dot(row, dots) for row in self._solve)
        return complex(low, -low_sine), complex(high, -high_sine)


@cache
def _fits(low: int, high: int) -> tuple[_Pair, _Pair, _Pair]:
    half = BLOCK // 2
    return _Pair(low, high, 0, BLOCK), _Pair(low, high, 0, half), _Pair(low, high, half, BLOCK)


def _measured(frequency: int, whole: complex, first: complex, second: complex) -> float:
    """Energy of a tone near `frequency` by its fits to a block and its halves; 0: too far off, or too faint."""
    turn = second * first.conjugate()  # what it is off moves its phase from one half to the other
    off = math.atan2(turn.imag, turn.real) * RATE / (math.pi * BLOCK)  # Hz
    if abs(off) > _OFF * frequency:
        return 0.0
    lost = math.pi * off * BLOCK / RATE  # a tone beside the middle of its bin shows less than it has
    energy = abs(whole) ** 2 * BLOCK / 2 / ((math.sin(lost) / lost) ** 2 if lost else 1.0)
    return energy if energy > _LEAST else 0.0


def key_of(block: Block) -> str:
    """The key whose two tones a block of BLOCK linear samples is made of, or ""."""
    total = _dot(block, block)
    if total < 2 * _LEAST:
        return ""
    row = _strongest(block, ROWS)
    column = _strongest(block, COLUMNS) if row is not None else None
    if row is None or column is None:
        return ""
    whole, first, second = _fits(ROWS[row], COLUMNS[column])
    half = BLOCK // 2
    lows, highs = zip(whole.fit(block), first.fit(block[:half]), second.fit(block[half:]), strict=True)
    low, high = _measured(ROWS[row], *lows), _measured(COLUMNS[column], *highs)
    balanced = low <= high * _LOW_OVER_HIGH and high <= low * _HIGH_OVER_LOW
    return KEYS[row][column] if low and high and balanced and low + high > _SHARE * total else ""


class ToneReceiver:
    """Keys out of a stream of audio. `key` is the one that is held down now, or ""."""

    def __init__(self) -> None:
        self.key = ""
        self._rest: list[int] = []
        self._before = ""  # of the last block
        self._missing = 0

    def receive(self, samples: Sequence[int]) -> str:
        """The keys whose press began in these 16-bit samples: each once, when two blocks have agreed on it."""
        self._rest += samples
        pressed = ""
        at = 0
        while at + BLOCK <= len(self._rest):
            pressed += self._block(self._rest[at : at + BLOCK])
            at += BLOCK
        del self._rest[:at]
        return pressed

    def _block(self, block: Block) -> str:
        found, before = key_of(block), self._before
        self._before = found
        if found and found == self.key:
            self._missing = 0
        elif found and found == before:
            self.key, self._missing = found, 0
            return found
        elif self.key:
            self._missing += 1
            if self._missing == _ENDING:
                self.key = ""
        return ""


def tone(key: str, samples: int, start: int = 0) -> list[int]:
    """`samples` of a key's two tones, -9 dBm0 the low, -7 the high one (16-bit, 8 kHz), from sample `start` on.

    Raises ValueError for what is no key.
    """
    row = next((row for row in KEYS if key in row and len(key) == 1), "")
    if not row:
        raise ValueError(f"{key!r} is no key")
    low = 2 * math.pi * ROWS[KEYS.index(row)] / RATE
    high = 2 * math.pi * COLUMNS[row.index(key)] / RATE
    below, above = _FULL * 10 ** (-9 / 20), _FULL * 10 ** (-7 / 20)
    return [
        round(below * math.sin(low * n) + above * math.sin(high * n)) for n in range(start, start + samples)
    ]
