"""Addresses as people type them, read into RFC 5139 elements, with every doubt said. Nothing typed is lost."""

from __future__ import annotations

import re
from typing import NamedTuple

from provisioner.emergency import civic_tables as tables
from provisioner.emergency.civic import PO_BOX, fold_box, tidy

MAX_TEXT = 1000  # characters; the longest address with all its parts has a third of that
_COUNTRY = {"US": "US", "USA": "US", "UNITED STATES": "US", "UNITED STATES OF AMERICA": "US", "CANADA": "CA"}
_POSTAL = {
    "US": re.compile(r"(?:^|\s)(\d{5}(?:-\d{4})?)$"),
    "CA": re.compile(r"(?:^|\s)([A-Z]\d[A-Z])[ -]?(\d[A-Z]\d)$", re.I),
}
_NUMBER = re.compile(r"(?:([A-Z0-9]+)-)?([NSEW]\d+[NSEW]?(?=\d))?(\d+)([A-Z]|-?\d/\d)?", re.I)
_FRACTION = re.compile(r"\d/\d")
_ORDINAL = re.compile(r"(\d+)(?:ST|ND|RD|TH|E|ER|ÈME)", re.I)
_ORDINALS = ("FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH", "SIXTH", "SEVENTH", "EIGHTH", "NINTH", "TENTH")
_VALUE = re.compile(r"#?[A-Z]{0,2}-?\d[\w-]*|#?[A-Z]", re.I)


class Doubt(NamedTuple):
    """What a person should look at: the element, what stands there now, and why."""

    element: str
    text: str
    why: str


class Parsed(NamedTuple):
    """What was read, and what is doubtful in it."""

    civic: dict[str, str]
    doubts: tuple[Doubt, ...]


def parse(text: str, country: str = "") -> Parsed:
    """Read an address from lines (or parts between commas). `country`: US or CA where that is known already."""
    return _Reader(text[:MAX_TEXT], country).read()


class _Reader:
    """One reading; `civic` and `doubts` grow while the segments are used up."""

    def __init__(self, text: str, country: str) -> None:
        parts = (" ".join(part.split()).strip(" .;") for part in re.split(r"[,\n]", text))
        self._segments = [part for part in parts if part]
        self._country = country
        self._civic: dict[str, str] = {}
        self._doubts: list[Doubt] = []

    def read(self) -> Parsed:
        self._read_country()
        self._read_postal_code()
        self._read_area()
        self._civic["country"] = self._country or self._guessed_country()
        self._read_city()
        self._read_segments()
        return Parsed(tidy(self._civic), tuple(self._doubts))

    def _put(self, element: str, value: str, why: str = "") -> None:
        """Add to an element; a second value never replaces the first."""
        before = self._civic.get(element, "")
        if before and value:
            why = why or "there are two of them"
        self._civic[element] = f"{before} {value}".strip()
        if why:
            self._doubts.append(Doubt(element, self._civic[element], why))

    def _cut(self, words: int) -> str:
        """Take so many words from the end of the last segment."""
        parts = self._segments[-1].split()
        taken = " ".join(parts[len(parts) - words :])
        self._segments[-1] = " ".join(parts[: len(parts) - words])
        if not self._segments[-1]:
            self._segments.pop()
        return taken

    # the end of an address

    def _read_country(self) -> None:
        for count in (4, 2, 1):
            words = self._segments[-1].split()[-count:] if self._segments else []
            country = _COUNTRY.get(tables.fold(" ".join(words)))
            if country:
                self._cut(len(words))
                self._country = self._country or country
                return

    def _read_postal_code(self) -> None:
        if not self._segments:
            return
        for country, pattern in _POSTAL.items():
            found = pattern.search(self._segments[-1])
            if found and self._country in ("", country):
                self._cut(len(found[0].split()))
                self._civic["PC"] = " ".join(found.groups()).upper()
                self._country = country
                return

    def _read_area(self) -> None:
        if not self._segments:
            return
        for country in (self._country,) if self._country else tables.COUNTRIES:
            for count in (4, 3, 2, 1):
                words = self._segments[-1].split()[-count:]
                code = tables.area_codes(country).get(tables.fold(" ".join(words)))
                alone = len(words) < len(self._segments[-1].split()) or len(self._segments) > 1
                if code and len(words) == count and alone:
                    self._cut(count)
                    self._civic["A1"] = code
                    self._country = country
                    return

    def _guessed_country(self) -> str:
        self._doubts.append(
            Doubt("country", "US", "neither state nor postal code says which country this is")
        )
        return "US"

    def _read_city(self) -> None:
        country = self._civic["country"]
        if len(self._segments) > 1 and not _is_inside(self._segments[-1]):
            self._civic["A3"] = self._segments.pop()
        elif len(self._segments) == 1 and self._segments[0][:1].isdigit() and "A1" in self._civic:
            words = self._segments[0].split()
            types = [n for n in range(2, len(words) - 1) if tables.fold(words[n]) in tables.suffixes(country)]
            if types:
                cut = types[-1] + 1
                cut += tables.fold(words[cut]) in tables.directionals(country) and cut + 1 < len(words)
                self._segments = [" ".join(words[:cut])]
                self._put(
                    "A3", " ".join(words[cut:]), "no comma says where the street ends and the city begins"
                )

    # street, name and inside

    def _read_segments(self) -> None:
        street = next((n for n, part in enumerate(self._segments) if _is_street(part)), None)
        for index, part in enumerate(self._segments):
            if PO_BOX.search(fold_box(part)):
                self._put("POBOX", part, "a post box is no place to send help to")
            elif index == street:
                self._read_street(part.split())
            elif _is_inside(part):
                self._read_inside(part.split())
            elif street is not None and index > street:
                self._put("LOC", part, "it is not said what this is")
            elif street is None and "A3" in self._civic and index + 1 == len(self._segments):
                self._put("RD", part, "it begins with no house number")
            else:
                self._put("NAM", part)

    def _read_street(self, words: list[str]) -> None:
        words = self._read_number(words)
        country = self._civic["country"]
        cut = _inside_from(words, country)
        if cut < len(words):
            self._read_inside(words[cut:])
            words = words[:cut]
        directionals, suffixes = tables.directionals(country), tables.suffixes(country)
        said = [tables.fold(word) for word in words]
        named = said[1:2] and said[1] in suffixes and not (said[2:] and said[2] not in directionals)
        if (
            len(words) > 1 and said[0] in directionals and not named
        ):  # E Street is a name, E Main Street is not
            self._put("PRD", directionals[tables.fold(words.pop(0))])
        if len(words) > 1 and tables.fold(words[-1]) in directionals:
            self._put("POD", directionals[tables.fold(words.pop())])
        self._read_name(words, suffixes, tables.prefixes(country))

    def _read_name(self, words: list[str], suffixes: dict[str, str], prefixes: frozenset[str]) -> None:
        """The street's name, and its type behind it, or before it as in French."""
        first, last = (tables.fold(words[0]), tables.fold(words[-1])) if words else ("", "")
        before = len(words) > 1 and first in prefixes
        if before and (last not in suffixes or self._civic.get("A1") == "QC"):
            self._put("STP", suffixes.get(first, first))
            words = words[1:]
        elif len(words) > 1 and last in suffixes:
            self._put("STS", suffixes[last])
            words = words[:-1]
        else:
            self._doubts.append(Doubt("STS", "", "no type of street (St, Ave, …) was found"))
        if words:
            self._put("RD", " ".join(words))

    def _read_number(self, words: list[str]) -> list[str]:
        found = _NUMBER.fullmatch(words[0])
        if not found:
            self._put("HNO", words[0], "this is no plain house number")
            return words[1:]
        before, prefix, number, suffix = found.groups()
        if before and self._civic["country"] == "CA":
            self._put("UNIT", before, "what stands before the hyphen was taken for the suite")
        elif before:
            self._put("HNP", f"{before}-", "the house number has two parts")
        if prefix:
            self._put("HNP", prefix)
        self._put("HNO", number)
        if suffix:
            self._put("HNS", suffix.removeprefix("-"))
        elif len(words) > 2 and _FRACTION.fullmatch(words[1]):
            self._put("HNS", words[1])
            return words[2:]
        return words[1:]

    def _read_inside(self, words: list[str]) -> None:
        """`Bldg C, 3rd Floor Room 310`: designators and their values, until nothing is left."""
        while words:
            floor = _floor(words)
            unit = tables.units().get(tables.fold(words[0]))
            if floor:
                self._put("FLR", floor)
                words = words[2:]
            elif unit is None:
                end = _until_unit(words, 0)
                value = " ".join(words[:end])
                numbered = value.startswith("#")
                why = "it is not said what this is"
                self._put("UNIT" if numbered else "LOC", value.lstrip("# ") or value, why)
                words = words[end:]
            else:
                end = _until_unit(words, 1) if unit.value != "never" else 1
                value = " ".join(words[1:end]).lstrip("# ")
                missing = "its number or name is missing" if unit.value == "must" and not value else ""
                kept = unit.kept or not value
                self._put(unit.element, f"{unit.word if kept else ''} {value}".strip(), missing)
                words = words[end:]


def _is_street(part: str) -> bool:
    first = part.split()[0]
    return bool(_NUMBER.fullmatch(first)) and len(part.split()) > 1 and not _floor(part.split())


def _is_inside(part: str) -> bool:
    """Whether a segment says where in a building something is."""
    words = part.split()
    unit = tables.units().get(tables.fold(words[0]))
    if unit and len(words) == 1:
        return unit.value != "must"
    valued = unit is not None and (unit.value == "never" or bool(_VALUE.fullmatch(words[1])))
    known = unit is not None and not unit.kept
    return valued or known or words[0].startswith("#") or bool(_floor(words))


def _floor(words: list[str]) -> str:
    """The floor that `3rd Floor …` begins with, or ""."""
    if len(words) < 2:
        return ""
    unit = tables.units().get(tables.fold(words[1]))
    found = _ORDINAL.fullmatch(words[0])
    if unit is None or unit.word != "FL":
        return ""
    word = tables.fold(words[0])
    return found[1] if found else str(_ORDINALS.index(word) + 1) if word in _ORDINALS else ""


def _until_unit(words: list[str], held: int) -> int:
    """Where the next designator begins, after the first `held` words and one of its own."""
    for index in range(held + 1, len(words)):
        numbered = words[index].startswith("#") and words[index - 1 : index] != words[:held]
        if numbered or _floor(words[index:]) or tables.fold(words[index]) in tables.units():
            return index
    return len(words)


def _inside_from(words: list[str], country: str) -> int:
    """Where the street ends and the inside begins: at a designator with a value, or any after the street's type."""
    for index in range(1, len(words)):
        if words[index].startswith("#") or _floor(words[index:]):
            return index
        unit = tables.units().get(tables.fold(words[index]))
        if unit is None:
            continue
        after = {tables.fold(word) for word in words[1:index]}
        typed = after & (tables.suffixes(country).keys() | tables.directionals(country).keys())
        follows = words[index + 1 : index + 2]
        if unit.value == "never" and typed:
            return index
        if (
            unit.value != "never"
            and follows
            and _VALUE.fullmatch(follows[0])
            and not _is_type(follows, country)
        ):
            return index
        if unit.value != "never" and typed and not follows and not _is_type(words[index:], country):
            return index
    return len(words)


def _is_type(words: list[str], country: str) -> bool:
    return tables.fold(words[0]) in tables.suffixes(country)
