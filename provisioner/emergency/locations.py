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
from provisioner.errors import OperatorError, UsageError
from provisioner.store.inventory import INSIDE, Change, Inventory
from provisioner.store.records import Location, Phone, Placement, Practice, Snapshot

LEVELS = ("practice", "building", "floor", "room")
_IDENTIFIER = re.compile(r"[A-Za-z0-9._~-]{1,128}")


def check(location: Location, snapshot: Snapshot) -> None:
    """Raise UsageError when a location cannot be kept, with what to do."""
    others = {**snapshot.locations, location.id: location}
    parent = others.get(location.parent)
    if location.parent and parent is None:
        raise UsageError(f"There is no location {location.parent}: make it first, or name another")
    if parent and LEVELS.index(parent.level) >= LEVELS.index(location.level):
        raise UsageError(f"A {location.level} cannot be a part of a {parent.level}")
    parts = [each for each in snapshot.locations.values() if each.parent == location.id]
    if any(LEVELS.index(each.level) <= LEVELS.index(location.level) for each in parts):
        raise UsageError(
            f"A {location.level} cannot hold what is in this one: move its parts elsewhere first"
        )
    inside = sorted(set(location.civic) & {*INSIDE})
    if inside and LEVELS.index(location.level) < LEVELS.index("building"):
        raise UsageError(f"A practice has no {civic.LABELS[inside[0]].lower()} of its own: give it to a part")
    _check_values(location)
    place = replace(snapshot, locations=others).place(location.id)
    if place and location.level != "practice":
        for problem in civic.problems(place.civic):
            if problem.blocks:
                raise UsageError(f"The address is not complete: {problem.what}. {problem.remedy}")


def _check_values(location: Location) -> None:
    for network in location.networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise UsageError(f"{network} is no network: write it as 192.168.1.0/24") from None
    for name, value in location.identifiers.items():
        if not _IDENTIFIER.fullmatch(value):
            raise UsageError(f"The identifier {name} may have letters, digits and . _ ~ - only")


def keep(inventory: Inventory, name: str, body: dict[str, Any], who: str) -> Location:
    """Put a location as `body` has it; raises UsageError for what cannot be one."""
    try:
        location = msgspec.convert({"kind": "location", **body, "id": name}, Location)
    except msgspec.ValidationError as error:
        raise UsageError(f"That is no location: {error}") from None
    location = replace(location, civic=civic.tidy(location.civic))
    with inventory.change(who) as change:
        known = {each.id: each for each in change.all(Location)}
        practice = Practice(id="practice", name="", main_number="")
        check(location, Snapshot(revision=0, practice=practice, locations=known))
        change.put(location)
    return location


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
