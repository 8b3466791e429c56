#!/usr/bin/env python3
"""Make the files of provisioner/media/audio: prompts by pico2wave (else flite), tones and music computed.

Needs sox and one of pico2wave (Debian: libttspico-utils, component non-free) or flite. Run from the checkout:
python packaging/record_prompts.py [NAME …]; without names, all are made.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.media.g711 import encode_mulaw
from provisioner.media.prompts import sentences
from provisioner.media.rtp import FRAME, RATE

AUDIO = Path(__file__).parent.parent / "provisioner" / "media" / "audio"
SPEECH_DB, MUSIC_DB, TONE_DB = -19.0, -24.0, -19.0  # dBFS, RMS

WORDS = """
street avenue road drive lane boulevard suite floor room building unit north south east west main
springfield california illinois san francisco market exam nurse station front desk reception dash
"""
SPOKEN_LETTERS = {"a": "ay.", "z": "zee."}  # the voices say the article and the British letter


def spoken() -> dict[str, str]:
    """Words to say, by file name."""
    letters = {f"say-{x}": SPOKEN_LETTERS.get(x, f"{x.upper()}.") for x in "abcdefghijklmnopqrstuvwxyz"}
    digits = {f"say-{x}": f"{x}." for x in "0123456789"}
    said = {name: words for name, words in sentences().items() if not words.startswith("(")}
    return said | digits | letters | {f"say-{word}": f"{word}." for word in WORDS.split()}


def speak(words: str, wave: Path) -> None:
    """Have the best voice at hand say `words` into a WAV file."""
    if shutil.which("pico2wave"):
        command = ["pico2wave", "-l", "en-US", "-w", str(wave), words]
    elif shutil.which("flite"):
        command = ["flite", "-voice", "slt", "-t", words, "-o", str(wave)]
    else:
        raise OperatorError("no program that speaks", "install libttspico-utils or flite, then try again")
    subprocess.run(command, check=True, capture_output=True)


def record(words: str) -> array[int]:
    """`words` as 8 kHz samples, silence at both ends cut to a breath."""
    with tempfile.TemporaryDirectory() as folder:
        wave, raw = Path(folder, "said.wav"), Path(folder, "said.raw")
        speak(words, wave)
        cut = ["silence", "1", "0.005", "0.1%"]
        effects = ["highpass", "120", "rate", "8000", *cut, "reverse", *cut, "reverse", "pad", "0.03", "0.08"]
        form = ["-r", "8000", "-c", "1", "-e", "signed", "-b", "16", "-L"]
        # -R and -D: the same samples on every run
        subprocess.run(["sox", "-R", "-D", "-G", str(wave), *form, str(raw), *effects], check=True)
        return array("h", raw.read_bytes())


def levelled(samples: Sequence[float], decibels: float) -> array[int]:
    """`samples` scaled to an RMS of `decibels` (dBFS); what would clip is bent smoothly."""
    rms = math.sqrt(sum(x * x for x in samples) / len(samples)) or 1.0
    gain = 10 ** (decibels / 20) / rms
    knee = 0.7

    def bend(x: float) -> float:
        over = abs(x) - knee
        return x if over <= 0 else math.copysign(knee + (1 - knee) * math.tanh(over / (1 - knee)), x)

    return array("h", (round(32767 * bend(x * gain)) for x in samples))


def tones(frequencies: tuple[int, ...], on: float, off: float) -> array[int]:
    """Sines together for `on` seconds, then silence for `off`; loops if every sine closes within `on`."""
    sound = [sum(math.sin(2 * math.pi * f * i / RATE) for f in frequencies) for i in range(round(on * RATE))]
    return levelled(sound, TONE_DB) + array("h", bytes(2 * round(off * RATE)))


BEAT = 0.75  # seconds; 80 beats a minute
# Eight bars of four beats: a chord (MIDI notes, low to high), and a melody note or a rest (0) each beat.
BARS = (
    ((48, 55, 60, 64), (76, 0, 74, 72)),
    ((45, 52, 57, 60), (69, 0, 72, 0)),
    ((41, 48, 53, 57), (69, 72, 0, 77)),
    ((43, 50, 55, 59), (74, 0, 71, 67)),
    ((40, 47, 55, 59), (71, 0, 67, 0)),
    ((45, 52, 57, 60), (72, 0, 76, 74)),
    ((41, 48, 53, 60), (72, 69, 0, 65)),
    ((43, 50, 55, 62), (67, 0, 71, 0)),
)


def pluck(track: list[float], note: int, start: float, seconds: float, loudness: float) -> None:
    """Add one soft note to `track`; what rings past the end goes on at the beginning: a loop without seam."""
    hertz = 440 * 2 ** ((note - 69) / 12)
    count, first = round(seconds * RATE), round(start * RATE)
    partials = [
        (n, strength) for n, strength in ((1, 1.0), (2, 0.5), (3, 0.25), (4, 0.12)) if n * hertz < 0.42 * RATE
    ]
    for i in range(count):
        t = i / RATE
        envelope = min(1.0, t / 0.012) * math.exp(-2.2 * t / seconds * 2) * min(1.0, (count - i) / 400)
        wave = sum(
            strength * math.exp(-n * t) * math.sin(2 * math.pi * n * hertz * t) for n, strength in partials
        )
        track[(first + i) % len(track)] += loudness * envelope * wave


def music() -> array[int]:
    """Twenty-four seconds of a quiet piece in C: broken chords and a sparse melody, made for this project."""
    bar = 4 * BEAT
    track = [0.0] * round(len(BARS) * bar * RATE)
    for number, (chord, melody) in enumerate(BARS):
        start = number * bar
        pluck(track, chord[0] + 12, start, 3.2, 0.55)
        for step, index in enumerate((1, 2, 3, 2, 1, 2, 3, 2)):
            pluck(track, chord[index], start + step * BEAT / 2, 1.6, 0.32)
        for beat, note in enumerate(melody):
            if note:
                pluck(track, note, start + beat * BEAT, 2.2, 0.5)
    return levelled(track, MUSIC_DB)


COMPUTED: dict[str, Callable[[], array[int]]] = {
    "dialtone": lambda: tones((350, 440), 2, 0),
    "ringback": lambda: tones((440, 480), 2, 4),
    "busy": lambda: tones((480, 620), 0.5, 0.5),
    "silence": lambda: array("h", bytes(2 * FRAME)),
    "music": music,
}


def make(name: str) -> bytes:
    """The file `name` as mu-law."""
    if name in COMPUTED:
        return encode_mulaw(COMPUTED[name]())
    return encode_mulaw(levelled(record(spoken()[name]), SPEECH_DB))


def main(wanted: list[str]) -> int:
    """Write the files named, or all."""
    everything = sorted({*spoken(), *COMPUTED})
    if unknown := [name for name in wanted if name not in everything]:
        print(f"no such prompt: {', '.join(unknown)}; known: {', '.join(everything)}", file=sys.stderr)
        return 2
    AUDIO.mkdir(exist_ok=True)
    try:
        for name in wanted or everything:
            (AUDIO / f"{name}.ulaw").write_bytes(make(name))
    except (ProvisionerError, subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"cannot record the prompts: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
