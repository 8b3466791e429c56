"""Civic addresses of the United States and Canada, as RFC 5139 elements by name: checked, compared, written out.

An address is a plain `dict[str, str]`; what is empty is as good as missing. Nothing here is an authority: whether an
address exists is for the provider to say, and its words are kept as it said them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

from provisioner.emergency import civic_tables as tables

_IN_ORDER = """country A1 A2 A3 A4 A5 A6 PRM PRD RD STS POD POM RDSEC RDBR RDSUBBR HNO HNS LMK LOC FLR NAM PC
BLD UNIT ROOM SEAT PLC PCN POBOX ADDCODE"""
CIVIC_ORDER = tuple(_IN_ORDER.split())  # RFC 5139, section 4
EXTENSION_ORDER = ("PN", "MP", "STP", "HNP")  # RFC 6848, after all others
ELEMENTS = CIVIC_ORDER + EXTENSION_ORDER
LABELS = {
    "country": "Country", "A1": "State or province", "A2": "County", "A3": "City", "A4": "Urbanization",
    "A5": "Neighborhood", "PRD": "Direction before the street", "RD": "Street", "STS": "Street type",
    "POD": "Direction after the street", "HNO": "House number", "HNS": "House number suffix", "LMK": "Landmark",
    "LOC": "Where in it", "FLR": "Floor", "NAM": "Name", "PC": "Postal code", "BLD": "Building", "UNIT": "Suite",
    "ROOM": "Room", "SEAT": "Desk", "PLC": "Kind of place", "PCN": "Postal city", "STP": "Type before the street",
    "HNP": "House number prefix",
}  # fmt: skip
WITHIN = ("UNIT", "FLR", "ROOM", "LOC", "BLD")  # one of these, where a building is shared (47 CFR 9.3)
NEEDED = ("country", "A1", "A3", "RD", "HNO", "PC")
WEIGHTY = frozenset(
    {"country", "A1", "A3", "RD", "PRD", "POD", "STS", "STP", "HNO", "HNS", "HNP", "PC", "BLD"}
)
_REFUSED = re.compile(r"[&@#]")  # providers refuse these in a name or a street
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
PO_BOX = re.compile(
    r"\b(P\s*O\s*B(OX)?|POST(AL)?\s*(OFFICE)?\s*BOX|APDO|APARTADO(\s*POSTAL)?|C\s*P|CASE\s*POSTALE)\s*#?\s*\d"
    r"|\b(P\s*O\s*BOX|POST\s*OFFICE\s*BOX)\b"
)
_ZIP = re.compile(r"\d{5}(-\d{4})?")
_CANADIAN = re.compile(r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d")
_ORDINAL = re.compile(r"(\d+)(ST|ND|RD|TH)")
_ORDINALS = {
    "FIRST": "1ST", "SECOND": "2ND", "THIRD": "3RD", "FOURTH": "4TH", "FIFTH": "5TH", "SIXTH": "6TH",
    "SEVENTH": "7TH", "EIGHTH": "8TH", "NINTH": "9TH", "TENTH": "10TH",
}  # fmt: skip


class Problem(NamedTuple):
    """What is wrong with one element. One that does not block is shown, and the provider decides."""

    element: str
    what: str
    remedy: str
    blocks: bool = True


class Difference(NamedTuple):
    """One element in which a provider's address is not ours. `weighty`: it may be another place."""

    element: str
    label: str
    ours: str
    theirs: str
    kind: Literal["form", "added", "removed", "changed"]
    weighty: bool


class Written(NamedTuple):
    """An address in the lines of a provider's form: `inside` as `BLDG A FL 3 RM 7`."""

    name: str
    street: str
    inside: str
    city: str
    area: str
    postal_code: str
    country: str


def tidy(civic: dict[str, str]) -> dict[str, str]:
    """Without empty elements and stray spaces, in the order of RFC 5139; what is no element stays, at the end."""
    cleaned = {name: " ".join(value.split()) for name, value in civic.items()}
    names = [*ELEMENTS, *sorted(set(cleaned) - set(ELEMENTS))]
    return {name: cleaned[name] for name in names if cleaned.get(name)}


def problems(civic: dict[str, str], shared: bool = False) -> list[Problem]:
    """What keeps an address from being sent to a provider, or should be looked at first.

    `shared`: others have the building too, so that a floor, suite or room has to be said.
    """
    held = tidy(civic)
    found = [
        Problem(name, f"{LABELS[name]} is missing", "Fill it in.") for name in NEEDED if name not in held
    ]
    if shared and not any(name in held for name in WITHIN):
        what = "nothing says where in the building this is"
        found.append(Problem("UNIT", what, "Fill in a suite, a floor or a room.", blocks=False))
    return [*found, *_of_values(civic, held), *_of_area(held)]


def _of_values(civic: dict[str, str], held: dict[str, str]) -> list[Problem]:
    found = []
    for name, value in held.items():
        label = LABELS.get(name, name)
        if name not in ELEMENTS:
            found.append(Problem(name, f"an address has no element {name}", "Use those of RFC 5139."))
        if _CONTROL.search(civic[name].strip(" \t\r\n")):
            found.append(Problem(name, f"{label} holds a character that cannot be printed", "Type it anew."))
        if len(value) > tables.limits().get(name, 255):
            what = f"{label} is longer than {tables.limits().get(name, 255)} characters"
            found.append(Problem(name, what, "Shorten it."))
        if name in ("RD", "NAM") and _REFUSED.search(value):
            found.append(Problem(name, f"{label} holds one of & @ #", "Write it in words."))
    if (box := " ".join(held.get(name, "") for name in ("HNO", "RD", "LOC", "UNIT"))) and (
        PO_BOX.search(fold_box(box)) or "POBOX" in held
    ):
        found.append(Problem("RD", "a post box is no place to send help to", "Give the street address."))
    if "HNO" in held and not re.search(r"\d", held["HNO"]):
        found.append(Problem("HNO", "the house number has no digit", "Give the number at the door."))
    return found


def fold_box(text: str) -> str:
    """`text` as PO_BOX reads it."""
    return tables.fold(re.sub(r"[.\-]", " ", text))


def _of_area(held: dict[str, str]) -> list[Problem]:
    country, area, code = held.get("country", ""), held.get("A1", ""), held.get("PC", "").upper()
    if country and country not in tables.COUNTRIES:
        return [Problem("country", f"{country} is neither US nor CA", "Only these two can be registered.")]
    found = []
    known = tables.areas(country)
    if area and known and area not in known:
        found.append(Problem("A1", f"{country} has no {area}", "Give the two letters, such as IL or ON."))
    if code and country:
        form, example = (_ZIP, "62701") if country == "US" else (_CANADIAN, "M5V 3C7")
        if not form.fullmatch(code):
            found.append(Problem("PC", f"{code} is not a postal code of {country}", f"Write {example}."))
        elif area in known and code[: 3 if country == "US" else 1] not in known[area].starts:
            what = f"{code} does not lie in {known[area].name}"
            found.append(Problem("PC", what, "Look at both again.", blocks=False))
    return found


def standard(civic: dict[str, str]) -> dict[str, str]:
    """The form to compare by: upper case, no accents, abbreviations of the post. Never to be sent or stored.

    A provider may hold an address by the very text that was sent, so that a rewritten one loses it.
    """
    held = tidy(civic)
    country = tables.fold(held.get("country", ""))
    found = {name: _standard(name, tables.fold(value), country) for name, value in held.items()}
    return {name: value for name, value in found.items() if value}


def _standard(name: str, text: str, country: str) -> str:
    if name in ("STS", "STP"):
        return tables.suffixes(country).get(text, text)
    if name in ("PRD", "POD"):
        return tables.directionals(country).get(text, text)
    if name == "A1":
        return tables.area_codes(country).get(text, text)
    if name == "PC":
        return text[:5] if country == "US" else text.replace(" ", "")
    if name == "RD":
        return " ".join(_ORDINALS.get(word, word) for word in text.split())
    if name in ("UNIT", "FLR", "ROOM", "BLD"):
        return _part(name, text)
    return text


def _part(name: str, text: str) -> str:
    """`SUITE 200` as 200, `2ND FLOOR` as 2, `APARTMENT 4` as APT 4."""
    words = [_ORDINALS.get(word, word) for word in text.replace("#", " ").split()]
    if name == "FLR" and words and (found := _ORDINAL.fullmatch(words[0])):
        words = [found[1], *words[1:]]
    unit = tables.units().get(words[0]) if words else None
    if unit and unit.element == name and (len(words) > 1 or unit.value != "must"):
        words = [unit.word, *words[1:]] if unit.kept else words[1:]
    last = tables.units().get(words[-1]) if len(words) > 1 else None
    if name == "FLR" and last and last.word == "FL":
        words = words[:-1]
    return " ".join(words)


def same(ours: dict[str, str], theirs: dict[str, str]) -> bool:
    """Whether two addresses are one place, however each is written."""
    return standard(ours) == standard(theirs)


def difference(ours: dict[str, str], theirs: dict[str, str]) -> tuple[Difference, ...]:
    """Element by element what a provider made of our address, for a person to approve.

    `form`: the same in another form; `added`, `removed`, `changed` by the provider.
    """
    mine, other = tidy(ours), tidy(theirs)
    alike, reference = standard(ours), standard(theirs)
    found = []
    for name in tidy({**mine, **other}):
        before, after = mine.get(name, ""), other.get(name, "")
        if before == after:
            continue
        kind: Literal["form", "added", "removed", "changed"] = "changed"
        if alike.get(name) == reference.get(name):
            kind = "form"
        elif not before or not after:
            kind = "removed" if before else "added"
        weighty = kind != "form" and name in WEIGHTY
        found.append(Difference(name, LABELS.get(name, name), before, after, kind, weighty))
    return tuple(found)


def approve(ours: dict[str, str], theirs: dict[str, str], elements: Collection[str]) -> dict[str, str]:
    """Our address with the provider's words for `elements`, and only for those."""
    taken = {name: theirs.get(name, "") for name in elements}
    return tidy({**ours, **taken})


def written(civic: dict[str, str]) -> Written:
    """The address in the lines of a form, in its own words, with the designators that the post uses inside."""
    held = tidy(civic)
    number = "".join(held.get(name, "") for name in ("HNP", "HNO"))
    suffix = held.get("HNS", "")
    number += suffix if len(suffix) == 1 else f" {suffix}"
    street = [number, *(held.get(name, "") for name in ("PRM", "PRD", "STP", "RD", "STS", "POD", "POM"))]
    inside = [_designated(held.get(name, ""), name) for name in ("BLD", "FLR", "UNIT", "ROOM", "SEAT", "LOC")]
    return Written(
        name=held.get("NAM", ""),
        street=" ".join(" ".join(street).split()),
        inside=" ".join(filter(None, inside)),
        city=held.get("A3", ""),
        area=held.get("A1", ""),
        postal_code=held.get("PC", ""),
        country=held.get("country", ""),
    )


_DESIGNATORS = {"BLD": "BLDG", "FLR": "FL", "UNIT": "STE", "ROOM": "RM"}


def _designated(value: str, name: str) -> str:
    """`200` as STE 200; what says already what it is stays: `APT 4`, `BSMT`."""
    word = _DESIGNATORS.get(name, "")
    first = tables.units().get(tables.fold(value).partition(" ")[0]) if value else None
    said = not word or (first is not None and (" " in value or first.value != "must"))
    return value if said or not value else f"{word} {value}"
