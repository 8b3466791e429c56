"""Emergency addresses in lines, as providers take them: from civic elements, compared, and judged before they are sent.

A provider's own validation is the authority; nothing here rewrites an address that one has accepted.
"""

from __future__ import annotations

import re

import msgspec

from provisioner.emergency import civic
from provisioner.emergency import civic_tables as tables
from provisioner.store.records import Postal

NAME_LENGTH = 32  # that every provider takes
FIELDS = ("name", "street", "inside", "city", "state", "postcode", "country")
_COMPARED = FIELDS[1:]  # providers cut and rewrite names; nobody is sent anywhere by one
_REFUSED = re.compile(r"[&@#]")


class Difference(msgspec.Struct, frozen=True):
    """One field that a provider would have otherwise."""

    field: str
    ours: str
    theirs: str


def lines(place: dict[str, str], name: str) -> Postal:
    """The lines of a civic address (RFC 5139 elements by name), with who is there as `name`."""
    written = civic.written(place)
    return Postal(
        street=written.street,
        inside=written.inside,
        city=written.city,
        state=written.area,
        postcode=written.postal_code,
        country=written.country or "US",
        name=_name(written.name or name),
    )


def _name(name: str) -> str:
    return " ".join(_REFUSED.sub(" ", name.replace("&", " and ")).split())[:NAME_LENGTH].rstrip()


def _plain(field: str, value: str, country: str) -> str:
    """The form to compare by, with the post's abbreviations; never sent or stored."""
    folded = re.sub(r"[^\w]+", " ", tables.fold(value)).strip()
    if field == "postcode":
        return folded[:5] if folded[:5].isdecimal() else folded.replace(" ", "")
    if field == "street":
        short = {**tables.suffixes(country), **tables.directionals(country)}
        return " ".join(short.get(word, word) for word in folded.split())
    if field == "inside":
        units = tables.units()
        return " ".join(units[word].word if word in units else word for word in folded.split())
    return folded


def difference(ours: Postal, theirs: Postal) -> list[Difference]:
    """The fields in which two addresses are not the same place; capitals, abbreviations and ZIP+4 do not count."""
    pairs = [Difference(field, getattr(ours, field), getattr(theirs, field)) for field in _COMPARED]
    country = tables.fold(ours.country)
    return [
        pair
        for pair in pairs
        if _plain(pair.field, pair.ours, country) != _plain(pair.field, pair.theirs, country)
    ]


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
    if civic.PO_BOX.search(civic.fold_box(f"{address.street} {address.inside}")):
        return "Nobody can be sent to a post office box: give the street address."
    if not re.match(r"\w*\d", address.street):
        return "The address has no house number: complete the location."
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in everything):
        return "The address has a character that cannot be printed: type it again."
    if found := _REFUSED.search(f"{address.street} {address.name}"):
        return f"Providers take no {found.group()} in a street or name: write it in words."
    for field, limit in (("street", street), ("inside", inside)):
        if len(getattr(address, field)) > limit:
            where = "street" if field == "street" else "floor, suite and room together"
            return f"The {where} may have {limit} characters with this provider: shorten it."
    return ""
