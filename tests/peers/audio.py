"""Sound for and from the peers, by the formulas of the standards and not by the appliance's own code."""

import math
import struct
import wave
from array import array
from collections.abc import Iterator
from operator import mul
from pathlib import Path

RATE = 8000
FRAME = 160  # samples in a packet of 20 ms


def _linear(code: int) -> int:
    """One byte of G.711 mu-law as a 16-bit sample (ITU-T G.711, table 2b)."""
    code = ~code & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -size if code & 0x80 else size


LINEAR = [_linear(code) for code in range(256)]
CODES = {sample: code for code, sample in enumerate(LINEAR)}
_LEVELS = sorted(CODES)


def decode(payload: bytes) -> array:
    """Mu-law bytes as samples."""
    return array("h", map(LINEAR.__getitem__, payload))


def encode(sample: float) -> int:
    """The mu-law byte that is nearest to `sample`."""
    return CODES[min(_LEVELS, key=lambda level: abs(level - sample))]


def sine(hertz: int, seconds: float, amplitude: float = 8000) -> array:
    """A tone as samples."""
    step = 2 * math.pi * hertz / RATE
    return array("h", (round(amplitude * math.sin(step * n)) for n in range(int(seconds * RATE))))


def share(samples: array, hertz: int) -> float:
    """Share, 0 to 1, of the energy of `samples` that is at `hertz` (Goertzel); 0 for silence."""
    energy = sum(map(mul, samples, samples))
    if len(samples) < 10 * FRAME or energy < 100 * len(samples):
        return 0.0
    factor = 2 * math.cos(2 * math.pi * hertz / RATE)
    one = two = 0.0
    for sample in samples:
        one, two = sample + factor * one - two, one
    power = one * one + two * two - factor * one * two
    return min(1.0, 2 * power / (len(samples) * energy))


def write_wav(path: Path, samples: array) -> None:
    """`samples` as a file that baresip plays."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def read_wav(path: Path) -> array:
    """Samples of a recording; its header may be that of a file still being written."""
    data = path.read_bytes()
    at = data.find(b"data") + 8
    return array("h", data[at : at + (len(data) - at) // 2 * 2])


def tone_packets(hertz: int, seconds: float) -> Iterator[bytes]:
    """RTP (PCMU) with a tone that fits a second in whole periods, a packet for each 20 ms."""
    second = bytes(map(encode, sine(hertz, 1)))
    for number in range(int(seconds * RATE) // FRAME):
        start = number * FRAME % RATE
        rtp = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * FRAME, hertz)
        yield rtp + second[start : start + FRAME]


def key_packets(key: str) -> Iterator[bytes]:
    """RTP (PCMU) with the two tones of a key for 140 ms (ITU-T Q.23), then 100 ms of silence."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    row, column = divmod("123456789*0#".index(key), 3)
    low, high = (2 * math.pi * hertz / RATE for hertz in (rows[row], columns[column]))
    samples = [round(7000 * (math.sin(low * n) + math.sin(high * n))) for n in range(7 * FRAME)]
    sound = bytes(map(encode, [*samples, *[0] * (5 * FRAME)]))
    for number in range(12):
        start = number * FRAME
        yield (
            struct.pack("!BBHII", 0x80, 0, 30000 + number, 900000 + start, 4711)
            + sound[start : start + FRAME]
        )


def likeness(heard: array, recording: array) -> float:
    """Highest normalised cross-correlation, -1 to 1, of the beginning of `recording` with what was `heard`.

    1.4 s are compared: two of the prompts are alike for a second. Lags are whole packets: a
    recording begins with a packet. A coarse search on every fourth sample finds the best places, which are then
    compared in full.
    """
    template = recording[: int(1.4 * RATE)]
    lags = range(0, len(heard) - len(template) + 1, FRAME)
    coarse = sorted(lags, key=lambda lag: _correlation(heard[lag : lag + len(template) : 4], template[::4]))
    return max((_correlation(heard[lag : lag + len(template)], template) for lag in coarse[-5:]), default=0.0)


def _correlation(one: array, two: array) -> float:
    energy = sum(map(mul, one, one)) * sum(map(mul, two, two))
    return sum(map(mul, one, two)) / math.sqrt(energy) if energy else 0.0
