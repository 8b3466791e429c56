"""Changes of where phones are, by a person: locations checked before they are kept, phones placed and confirmed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from provisioner.emergency import civic
from provisioner.emergency.calling import calling_number
from provisioner.emergency.moved import Whereabouts, network_of
from provisioner.errors import Invalid, OperatorError, UsageError
from provisioner.store.inventory import INSIDE, Change, Inventory
from provisioner.store.records import ExtensionRange, Location, Number, Phone, Placement, Practice, Snapshot

LEVELS = ("practice", "building", "floor", "room")
_IDENTIFIER = re.compile(r"[A-Za-z0-9._~-]{1,128}")


def faults(location: Location, snapshot: Snapshot) -> dict[str, str]:
    """Why a location cannot be kept: a sentence with what to do for each field, parts of the address as `civic/HNO`."""
    others = {**snapshot.locations, location.id: location}
    found = {} if location.name.strip() else {"name": "Give it a name."}
    parent = others.get(location.parent)
    level = LEVELS.index(location.level)
    if location.parent and parent is None:
        found["parent"] = f"There is no location {location.parent}: make it first, or name another."
    elif parent and LEVELS.index(parent.level) >= level:
        found["parent"] = f"A {location.level} cannot be a part of a {parent.level}."
    parts = [each for each in snapshot.locations.values() if each.parent == location.id]
    if any(LEVELS.index(each.level) <= level for each in parts):
        found["level"] = (
            f"A {location.level} cannot hold what is in this one: move its parts elsewhere first."
        )
    if level < LEVELS.index("building"):
        for element in sorted(set(location.civic) & {*INSIDE}):
            label = civic.LABELS[element].lower()
            found[f"civic/{element}"] = f"A practice has no {label} of its own: give it to a part."
    return {**found, **_of_values(location), **_of_addresses(location, replace(snapshot, locations=others))}


def _of_values(location: Location) -> dict[str, str]:
    found = {}
    for network in location.networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            found["networks"] = f"{network} is no network: write it as 192.168.1.0/24."
    for name, value in location.identifiers.items():
        if not _IDENTIFIER.fullmatch(value):
            found["identifiers"] = f"The identifier {name} may have letters, digits and . _ ~ - only."
    return found


def _of_addresses(location: Location, snapshot: Snapshot) -> dict[str, str]:
    """What speaks against the whole addresses of it and of its parts."""
    found: dict[str, str] = {}
    for each in snapshot.locations.values():
        lineage = snapshot.lineage(each.id)
        if each.level == "practice" or location.id not in [part.id for part in lineage]:
            continue
        place = snapshot.place(each.id)
        for problem in civic.problems(place.civic) if place else ():
            if problem.blocks:
                where = "" if each.id == location.id else f" ({each.name})"
                text = f"{problem.what[:1].upper()}{problem.what[1:]}{where}. {problem.remedy}"
                found.setdefault(f"civic/{problem.element}", text)
    return found


def check(location: Location, snapshot: Snapshot) -> None:
    """Raise Invalid when a location cannot be kept, with what to do for each field."""
    if found := faults(location, snapshot):
        raise Invalid(found)


def keep(
    inventory: Inventory, name: str, body: dict[str, Any], who: str, revision: int | None = None
) -> Location:
    """Put a location as `body` has it. Raises UsageError for what cannot be one, Conflict (`revision`: as for put)."""
    try:
        location = msgspec.convert({"kind": "location", **body, "id": name}, Location)
    except msgspec.ValidationError as error:
        raise UsageError(f"That is no location: {error}") from None
    address = civic.tidy(location.civic)
    if country := address.get("country"):
        address["country"] = country.upper()  # RFC 5139, section 3: capitals only
    location = replace(location, civic=address)
    with inventory.change(who) as change:
        known = {each.id: each for each in change.all(Location)}
        practice = Practice(id="practice", name="", main_number="")
        check(location, Snapshot(revision=0, practice=practice, locations=known))
        change.put(location, revision)
    return location


def forget(inventory: Inventory, name: str, who: str) -> None:
    """Forget a location. Raises UsageError while anything is there, or when there is none."""
    with inventory.change(who) as change:
        found = {
            "parts": [each.name for each in change.all(Location) if each.parent == name],
            "phones": [_named(each) for each in change.all(Phone) if each.location == name],
            "numbers": [each.id for each in change.all(Number) if each.location == name],
            "ranges": [each.id for each in change.all(ExtensionRange) if each.location == name],
        }
        users = [each for names in found.values() for each in names]
        if users:
            more = f" and {len(users) - 4} more" if len(users) > 4 else ""
            raise UsageError(
                f"{', '.join(users[:4])}{more} would be nowhere. Give them another location first."
            )
        if not change.delete(Location, name):
            raise UsageError(f"There is no location {name}")


def _named(phone: Phone) -> str:
    line = phone.lines[0] if phone.lines else None
    return f"{line.extension} {line.name}".strip() if line else phone.id


def place(
    inventory: Inventory, mac: str, location: str, who: str, now: float, seen: Whereabouts | None
) -> Placement:
    """A person says that a phone is at `location` ("": where it is placed now), as the network shows it: `seen`.

    It is suspect no more. Raises UsageError or OperatorError with what to do.
    """
    with inventory.change(who) as change:
        return placed(change, mac, location, who, now, seen)


def placed(
    change: Change, mac: str, location: str, who: str, now: float, seen: Whereabouts | None
) -> Placement:
    """The same in a transaction that is under way."""
    held = change.get(Phone, mac)
    if held is None:
        raise UsageError("There is no such phone: adopt it first")
    phone = held[0]
    wanted = location or phone.location
    if not wanted or change.get(Location, wanted) is None:
        raise OperatorError("This phone has no such location", "name one that there is")
    if wanted != phone.location:
        change.put(replace(phone, location=wanted))
    stored = change.get(Practice, "practice")
    home = stored[0].phone_networks if stored else ()
    network = network_of(seen.address, home) if seen and seen.address else ""
    placement = Placement(
        id=mac, location=wanted, network=network, neighbour=seen.port if seen else "", at=now, who=who
    )
    change.put(placement)
    return placement


def move(
    inventory: Inventory,
    macs: Iterable[str],
    location: str,
    who: str,
    now: float,
    seen: Mapping[str, Whereabouts] | None = None,
) -> list[str]:
    """Move phones to `location`, in one transaction named after `who`; those that were elsewhere before.

    `seen`: they stand there now, and so they look on the network (by MAC); None: they are carried there later, and
    how they look is learnt then. Who is not adopted is left out. Raises OperatorError for a place that is none.
    """
    moved = []
    with inventory.change(who) as change:
        if change.get(Location, location) is None:
            raise OperatorError("There is no such location", "choose one of the list")
        for mac in macs:
            held = change.get(Phone, mac)
            if held is None:
                continue
            if held[0].location != location:
                moved.append(mac)
            if seen is not None:
                placed(change, mac, location, who, now, seen.get(mac))
            else:
                change.put(replace(held[0], location=location))
    return moved


class Told(NamedTuple):
    """What an emergency centre would learn from a call of one line: the number shown, and what it finds by that.

    `place`, `civic`: of the phone, sent with the call where the trunk takes it. `shown`: where the number is
    registered for; `known`: that is where the phone is.
    """

    extension: str
    place: str
    civic: dict[str, str]
    number: str
    shown: str
    known: bool


def told(snapshot: Snapshot, phone: Phone) -> list[Told]:
    """What a 911 call from each line of `phone` would tell."""
    here = snapshot.place(phone.location)
    found = []
    for line in phone.lines:
        number, known = calling_number(snapshot, phone, line.number)
        held = snapshot.numbers.get(number)
        at = snapshot.locations.get(held.location) if held else None
        registered = bool(held and at and held.address_status == "registered")
        found.append(
            Told(
                line.extension,
                here.name if here else "",
                here.civic if here else {},
                number,
                at.name if at and registered else "",
                known,
            )
        )
    return found
