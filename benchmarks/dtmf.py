"""Key presses in every form over bad networks, through both ways of transfer; and speech that must be no key.

Run: .venv/bin/python benchmarks/dtmf.py [--presses 10000] [--speech 3600]
Speech is synthesised from our own documents by pico2wave and espeak-ng, as installed (Debian: libttspico-utils and
espeak-ng), and brought to 8 kHz by sox; without these the last line says so.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from provisioner.media.tones import RATE, ToneReceiver
from tests.media.presses import FORMS, WAYS, Network, run

ROOT = Path(__file__).parents[1]
LOSSES = (0.0, 0.01, 0.05, 0.10)


def table(presses: int) -> None:
    """One row a form and way: lost / doubled / swapped of so many presses at each loss."""
    print(f"{presses} presses a cell, 20 % copies, reordering of depth 3: lost / doubled / swapped")
    print("| form | way | " + " | ".join(f"{loss:.0%} loss" for loss in LOSSES) + " |")
    print("|---|---|" + "---|" * len(LOSSES))
    for form in FORMS:
        for way in WAYS:
            tallies = [run(form, way, Network(loss, 0.2, 3), presses) for loss in LOSSES]
            cells = (f"{tally.lost} / {tally.doubled} / {tally.swapped}" for tally in tallies)
            print(f"| {form} | {way} | {' | '.join(cells)} |", flush=True)


def _texts() -> Iterator[str]:
    words = " ".join(path.read_text("utf-8") for path in sorted(ROOT.glob("docs/*.md")))
    plain = re.sub(r"[^A-Za-z ,.]+", " ", words)
    return cycle(plain[at : at + 1000] for at in range(0, len(plain), 1000))


def _speech(speaker: str, text: str, voice: int) -> array[int]:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        names = ("en-US", "en-GB") if speaker == "pico2wave" else ("en-us", "en-us+f3", "en-gb", "en-us+m7")
        option = "-l" if speaker == "pico2wave" else "-v"
        subprocess.run([speaker, option, names[voice % len(names)], "-w", file.name, text], check=True)
        to_8_khz = ["sox", file.name, "-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-c", "1", "-"]
        audio = subprocess.run([*to_8_khz, "gain", "-n", "-3"], check=True, capture_output=True)
    return array("h", audio.stdout)


def talk_off(seconds: float) -> None:
    """How many keys are heard in speech."""
    speakers = [name for name in ("pico2wave", "espeak-ng") if shutil.which(name)]
    if not speakers or not shutil.which("sox"):
        print("speech: not measured, install sox and one of pico2wave (libttspico-utils), espeak-ng")
        return
    heard, length, cost = "", 0.0, 0.0
    for turn, text in enumerate(_texts()):
        audio = _speech(speakers[turn % len(speakers)], text, turn // len(speakers))
        receiver, before = ToneReceiver(), time.thread_time()
        for at in range(0, len(audio), 160):
            heard += receiver.receive(audio[at : at + 160])
        cost += time.thread_time() - before
        length += len(audio) / RATE
        if length >= seconds:
            break
    print(f"speech ({', '.join(speakers)}): {len(heard)} keys heard in {length:.0f} s", end="; ")
    print(f"listening costs {100 * cost / length:.2f} % of a core")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presses", type=int, default=10_000)
    parser.add_argument("--speech", type=float, default=3600.0)
    options = parser.parse_args()
    table(options.presses)
    talk_off(options.speech)


if __name__ == "__main__":
    main()
