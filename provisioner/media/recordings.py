"""A practice's own recordings: WAV files checked and turned into what media plays, in the place of what ships."""

from __future__ import annotations

import io
import math
import re
import wave
from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from operator import mul
from pathlib import Path

from provisioner.errors import OperatorError
from provisioner.media import prompts, wav
from provisioner.media.g711 import decode_mulaw, encode_mulaw
from provisioner.media.rtp import RATE
from provisioner.media.wav import Wav, WavError
from provisioner.paths import write_atomically

MAX_BYTES = 64 << 20
LONGEST, SHORTEST = 600.0, 0.1  # seconds
LOUDEST_DB = {"music": -24.0}  # dBFS, RMS; music is for the background
SPEECH_DB = -19.0
_PEAK = 0.9 * 32767
_LOBES = 16  # of the sinc on each side: 70 dB down beyond 4.4 kHz
_CUTOFF = 0.45  # of the lower rate
_EDGE = 40  # samples over which the ends rise and fall
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


def _bad(what: str) -> OperatorError:
    return OperatorError(what, "save it as WAV, PCM 16 bit, mono, 8 to 48 kHz, and upload it again")


def _opened(data: bytes) -> Wav:
    try:
        found = wav.read(data)
    except WavError as why:
        raise _bad(f"this is no WAV file that can be read ({why})") from None
    if not 8000 <= found.rate <= 96000:
        raise _bad(f"this recording has {found.channels} channels of {found.bits} bits at {found.rate} Hz")
    length = found.count / found.rate
    if not SHORTEST <= length <= LONGEST:
        raise _bad(f"this recording lasts {length:.1f} s, not {SHORTEST} s to {LONGEST / 60:.0f} minutes")
    return found


@cache
def _weights(rate: int) -> list[list[float]]:
    """Windowed sincs, one for each phase that a sample of ours can have between samples at `rate`."""
    step = max(1.0, rate / RATE)
    reach, phases = math.ceil(_LOBES * step), RATE // math.gcd(RATE, rate)
    tables = []
    for phase in range(phases):
        start = phase * rate / RATE % 1
        row = [_tap(n - start, step, reach) for n in range(-reach + 1, reach + 1)]
        tables.append([tap / sum(row) for tap in row])
    return tables


def _tap(at: float, step: float, reach: int) -> float:
    x = 2 * _CUTOFF * at / step
    sinc = math.sin(math.pi * x) / (math.pi * x) if x else 1.0
    inside = abs(at) < reach
    return (
        sinc
        * (0.42 + 0.5 * math.cos(math.pi * at / reach) + 0.08 * math.cos(2 * math.pi * at / reach))
        * inside
    )


def resampled(pieces: Iterable[Sequence[float]], rate: int) -> array[float]:
    """The sound in `pieces`, of `rate` samples a second, at 8 kHz, without what would fold back."""
    out = array("f")
    if rate == RATE:
        for piece in pieces:
            out.extend(iter(piece))
        return out
    tables = _weights(rate)
    reach, given = len(tables[0]) // 2, 0
    held = [0.0] * reach  # of what came, from where the next sample of ours reaches back to
    at = -reach  # where that begins
    for piece in chain(pieces, ((),)):
        given += len(piece)
        held.extend(piece or [0.0] * (reach + 1))
        while (n := len(out)) < given * RATE // rate:
            first = n * rate // RATE + 1 - reach - at
            if first + 2 * reach > len(held):
                break
            out.append(sum(map(mul, held[first : first + 2 * reach], tables[n % len(tables)])))
        behind = max(0, len(out) * rate // RATE + 1 - reach - at)
        del held[:behind]
        at += behind
    return out


def converted(data: bytes, loudest: float = SPEECH_DB) -> bytes:
    """A WAV file as mu-law at 8 kHz, no louder than `loudest` (dBFS, RMS), its ends without a click.

    Raises OperatorError that says what is wrong with it.
    """
    if len(data) > MAX_BYTES:
        raise _bad(f"this recording has {len(data) >> 20} MiB, more than {MAX_BYTES >> 20}")
    found = _opened(data)
    samples = resampled(found.samples(), found.rate)
    power = math.sqrt(sum(map(mul, samples, samples)) / len(samples))
    peak = max(map(abs, samples))
    if peak < 30:
        raise _bad("this recording is silent")
    gain = min(1.0, 32768 * 10 ** (loudest / 20) / power, _PEAK / peak)
    out = array("h", (round(sample * gain) for sample in samples))
    for n in range(min(_EDGE, len(out) // 2)):
        out[n] = out[n] * n // _EDGE
        out[-1 - n] = out[-1 - n] * n // _EDGE
    return encode_mulaw(out)


def as_wav(audio: bytes) -> bytes:
    """What media plays as a WAV file, for people to listen to."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(array("h", decode_mulaw(audio)).tobytes())
    return out.getvalue()


class Recordings:
    """The audio files of one appliance: its own in `folder`, by name, before those that ship."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, tuple[int, bytes]] = {}  # by name, with the time of the file

    def own(self) -> list[str]:
        """The names that the practice recorded itself."""
        return sorted(path.stem for path in self._folder.glob("*.ulaw"))

    def load(self, name: str) -> bytes:
        """The audio of that name; what changed on disk is read anew. Raises ProvisionerError when there is none."""
        path = self._folder / f"{name}.ulaw"
        try:
            changed = path.stat().st_mtime_ns
            known = self._loaded.get(name)
            if known is None or known[0] != changed:
                known = self._loaded[name] = (changed, path.read_bytes())
            if known[1]:
                return known[1]
        except OSError:
            pass  # none of our own, or one that cannot be read: a call hears what ships
        return prompts.load(name)

    def put(self, name: str, data: bytes) -> float:
        """Take an uploaded WAV file in the place of what ships; its length in seconds. Raises OperatorError."""
        self._check(name)
        audio = converted(data, LOUDEST_DB.get(name, SPEECH_DB))
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_atomically(self._folder / f"{name}.ulaw", audio)
        except OSError as error:
            raise OperatorError(
                f"the recording cannot be kept ({error.strerror})", "free space on the disk"
            ) from None
        return len(audio) / RATE

    def remove(self, name: str) -> None:
        """Go back to what ships. Raises OperatorError."""
        self._check(name)
        try:
            (self._folder / f"{name}.ulaw").unlink(missing_ok=True)
        except OSError as error:
            raise OperatorError(
                f"the recording cannot be removed ({error.strerror})", "check the disk"
            ) from None

    @staticmethod
    def _check(name: str) -> None:
        if not _NAME.fullmatch(name) or name not in prompts.names():
            raise OperatorError(f"there is no prompt {name!r}", "choose one of those on the page")
