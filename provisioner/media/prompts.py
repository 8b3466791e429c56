"""The audio files that can be played, by name, and how to read an address or a number aloud with them."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path

from provisioner.errors import ProvisionerError
from provisioner.media.rtp import RATE

_AUDIO = Path(__file__).parent / "audio"

_ABBREVIATIONS = {
    "st": "street",
    "ave": "avenue",
    "av": "avenue",
    "rd": "road",
    "dr": "drive",
    "ln": "lane",
    "blvd": "boulevard",
    "bldg": "building",
    "ste": "suite",
    "fl": "floor",
    "rm": "room",
    "n": "north",
    "s": "south",
    "e": "east",
    "w": "west",
    "ca": "california",
    "il": "illinois",
}
_PART = re.compile(r"[a-z]+|[0-9]|-")


@cache
def names() -> frozenset[str]:
    """The names of all audio files."""
    return frozenset(path.stem for path in _AUDIO.glob("*.ulaw"))


@cache
def sentences() -> dict[str, str]:
    """What each prompt says, by name."""
    return tomllib.loads((_AUDIO / "sentences.toml").read_text("utf-8"))


@cache
def load(name: str) -> bytes:
    """The file `name`: mu-law, 8000 bytes a second; read once. Raises ProvisionerError when there is none."""
    if name not in names():
        raise ProvisionerError(f"there is no prompt {name!r}; see provisioner/media/audio")
    return (_AUDIO / f"{name}.ulaw").read_bytes()


def length(name: str) -> float:
    """Seconds that the file `name` plays. Raises ProvisionerError when there is none."""
    return len(load(name)) / RATE


def spell(text: str) -> list[str]:
    """The files that read `text` aloud: words that were recorded whole, all else by letter and digit.

    "12 Main ST Ste 4-B" → say-1 say-2 say-main say-street say-suite say-4 say-dash say-b
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    files: list[str] = []
    for part in _PART.findall(plain.lower()):
        word = "dash" if part == "-" else _ABBREVIATIONS.get(part, part)
        whole = f"say-{word}"
        files += [whole] if whole in names() else [f"say-{letter}" for letter in word]
    return files
