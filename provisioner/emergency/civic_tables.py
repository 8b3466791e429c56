"""The words of postal addresses in the United States and Canada, from civic_tables.toml."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

COUNTRIES = ("US", "CA")
_FILE = Path(__file__).with_name("civic_tables.toml")


class Unit(NamedTuple):
    """A designator such as STE: the element that its value goes to, and whether the word stays with it there."""

    word: str
    element: str
    value: Literal["must", "may", "never"]
    kept: bool


class Area(NamedTuple):
    """A state, province or territory: `starts` are the first characters that its postal codes may have."""

    name: str
    starts: frozenset[str]


def fold(text: str) -> str:
    """Upper case without accents and without the marks that people put or leave out: `St.-Rémi` is `ST-REMI`."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[.,;'\u2019`\"]", "", bare.upper()).split())


@cache
def _tables() -> dict[str, Any]:
    with _FILE.open("rb") as file:
        return tomllib.load(file)


def _words(table: dict[str, str]) -> dict[str, str]:
    found = {fold(word): standard for standard, words in table.items() for word in words.split()}
    return found | {standard: standard for standard in table}


@cache
def suffixes(country: str) -> dict[str, str]:
    """Street types, folded, to their standard form: `AVENUE` to `AVE`."""
    return _words(_tables()[country.lower()]["suffixes"]) if country in COUNTRIES else {}


@cache
def directionals(country: str) -> dict[str, str]:
    """`NORTH` to `N`; French ones in Canada."""
    return _words(_tables()[country.lower()]["directionals"]) if country in COUNTRIES else {}


@cache
def prefixes(country: str) -> frozenset[str]:
    """Street types that may stand before the name, folded."""
    return frozenset(fold(word) for word in _tables()["prefixes"].get(country.lower(), "").split())


@cache
def units() -> dict[str, Unit]:
    """Designators of parts of a building, folded."""
    found: dict[str, Unit] = {}
    for standard, row in _tables()["units"].items():
        unit = Unit(standard, row["element"], row["value"], row.get("kept", True))
        found |= {fold(word): unit for word in [standard, *row["words"].split()]}
    return found


@cache
def areas(country: str) -> dict[str, Area]:
    """States of the US, provinces and territories of Canada, by their two letters."""
    rows = _tables()[country.lower()]["areas"] if country in COUNTRIES else {}
    return {code: Area(name, frozenset(_starts(text))) for code, (name, text) in rows.items()}


def _starts(text: str) -> list[str]:
    found = []
    for item in text.split():
        first, _, last = item.partition("-")
        found += (
            [f"{n:03}" for n in range(int(first), int(last or first) + 1)] if first.isdigit() else [first]
        )
    return found


@cache
def area_codes(country: str) -> dict[str, str]:
    """The two letters by both the letters and the name, folded."""
    return {fold(word): code for code, area in areas(country).items() for word in (code, area.name)}


@cache
def limits() -> dict[str, int]:
    """The most characters that an element may have."""
    return dict(_tables()["limits"])
