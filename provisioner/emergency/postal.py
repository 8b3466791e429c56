"""Emergency addresses in lines, as providers take them: from civic elements, compared, and judged before they are sent.

A provider's own validation is the authority; nothing here rewrites an address that one has accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from provisioner.store.records import Postal

_STREET = ("HNP", "HNO", "HNS", "PRD", "PRM", "STP", "RD", "STS", "POD", "POM")  # RFC 5139, 6848; in spoken order
_INSIDE = (("BLD", "BLDG"), ("FLR", "FL"), ("UNIT", "UNIT"), ("ROOM", "RM"), ("SEAT", ""), ("LOC", ""))
_DESIGNATORS = "APT BLDG BSMT DEPT FL FLOOR FRNT LBBY OFC PH REAR RM ROOM SIDE STE SUITE UNIT BUILDING".split()
NAME_LENGTH = 32  # that every provider takes
FIELDS = ("name", "street", "inside", "city", "state", "postcode", "country")
_COMPARED = FIELDS[1:]  # providers cut and rewrite names; nobody is sent anywhere by one
_BOX = re.compile(r"\b(?:P\.?\s*O\.?\s*B(?:OX|\.)?|POST\s+OFFICE\s+BOX|APDO\.?|APARTADO)(?:\b|\s|$)", re.I)
_REFUSED = re.compile(r"[&@#]")


class Difference(NamedTuple):
    """One field that a provider would have otherwise."""

    field: str
    ours: str
    theirs: str


def lines(civic: dict[str, str], name: str) -> Postal:
    """The lines of a civic address (RFC 5139 elements by name), with who is there as `name`."""
    return Postal(
        street=_join(civic.get(element, "") for element in _STREET),
        inside=_join(_inside(word, civic.get(element, "")) for element, word in _INSIDE),
        city=civic.get("A3", ""),
        state=civic.get("A1", ""),
        postcode=civic.get("PC", ""),
        country=civic.get("country", "US"),
        name=_name(civic.get("NAM", "") or name),
    )


def _join(parts: Iterable[str]) -> str:
    return " ".join(" ".join(parts).split())


def _inside(word: str, value: str) -> str:
    named = not word or value.upper().split(" ")[0].rstrip(".") in _DESIGNATORS
    return value if named or not value else f"{word} {value}"


def _name(name: str) -> str:
    return _join(_REFUSED.sub(" ", name.replace("&", " and ")).split())[:NAME_LENGTH].rstrip()


def _plain(field: str, value: str) -> str:
    folded = re.sub(r"[^\w]+", " ", value).casefold().strip()
    if field == "postcode":
        return folded[:5] if folded[:5].isdecimal() else folded.replace(" ", "")
    return folded


def difference(ours: Postal, theirs: Postal) -> list[Difference]:
    """The fields in which two addresses are not the same place; capitals, punctuation and ZIP+4 do not count."""
    pairs = ((field, getattr(ours, field), getattr(theirs, field)) for field in _COMPARED)
    return [Difference(*pair) for pair in pairs if _plain(pair[0], pair[1]) != _plain(pair[0], pair[2])]


def same(ours: Postal | None, theirs: Postal | None) -> bool:
    """Whether both are the same place; None is none."""
    return ours is not None and theirs is not None and not difference(ours, theirs)


def text(address: Postal) -> str:
    """An address on one line, for people."""
    town = f"{address.city} {address.state} {address.postcode}".strip()
    return ", ".join(part for part in (address.street, address.inside, town) if part)


def fault(address: Postal, street: int, inside: int) -> str:
    """Why no provider would take an address, in words with what to do; "" when nothing speaks against it.

    `street`, `inside`: the longest lines that the provider takes, in characters.
    """
    missing = [field for field in ("street", "city", "state", "postcode") if not getattr(address, field)]
    everything = " ".join(getattr(address, field) for field in FIELDS)
    if missing:
        return f"The address has no {' and no '.join(missing)}: complete the location."
    if not re.match(r"\w*\d", address.street):
        return "The address has no house number: complete the location."
    if _BOX.search(f"{address.street} {address.inside}"):
        return "Nobody can be sent to a post office box: give the street address."
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in everything):
        return "The address has a character that cannot be printed: type it again."
    if found := _REFUSED.search(f"{address.street} {address.name}"):
        return f"Providers take no {found.group()} in a street or name: write it in words."
    for field, limit in (("street", street), ("inside", inside)):
        if len(getattr(address, field)) > limit:
            where = "street" if field == "street" else "floor, suite and room together"
            return f"The {where} may have {limit} characters with this provider: shorten it."
    return ""
