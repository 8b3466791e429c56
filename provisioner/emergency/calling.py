"""The calling number of an emergency call: one whose registered address is where the phone is (docs/calls.md).

That of a crisis call has an area code of a place: calls to 988 but for those of mobile phones are routed by it.
"""

from __future__ import annotations

from typing import NamedTuple

from provisioner.dialing.classify import is_local
from provisioner.store.once import once
from provisioner.store.records import Number, Phone, Snapshot


class Calling(NamedTuple):
    """The number to show; `known`: the emergency centre finds the phone's address by it."""

    number: str
    known: bool


def calling_number(snapshot: Snapshot, phone: Phone | None, own: str) -> Calling:
    """What a call from a phone's line, whose number is `own`, shows; `phone` None: nobody knows which it is.

    The own number when its registered address is true of the phone's location, else one that is registered for that
    very location, else for a larger part of the building, else for another part of it (then it is not `known`).
    Without any, never one that sends help to another building as long as there is another: an operator has to ask.
    """
    return _calling(snapshot, phone.location if phone else "", own)


@once
def _calling(snapshot: Snapshot, place: str, own: str) -> Calling:
    held = snapshot.numbers.get(own)
    registered = held if held and held.address_status == "registered" else None
    if registered and snapshot.covers(registered.location, place):
        return Calling(own, True)
    there, beside = _others(snapshot, place)
    if there:
        return Calling(there, True)
    if registered and _building(snapshot, registered.location) == _building(snapshot, place) != "":
        return Calling(own, False)
    if beside:
        return Calling(beside, False)
    own, main = own if held else "", snapshot.practice.main_number
    for name in (own, main, _unregistered(snapshot)):
        number = snapshot.numbers.get(name)
        if name and (number is None or number.address_status != "registered"):
            return Calling(name, False)
    return Calling(own or main, False)


def local_number(snapshot: Snapshot, phone: Phone | None, own: str) -> str:
    """What a call to 988 shows: as `calling_number`, but the nearest local one in place of a toll-free one."""
    shown, main = calling_number(snapshot, phone, own).number, snapshot.practice.main_number
    own = own if own in snapshot.numbers else ""
    near = (number.id for number in _nearest(snapshot, phone.location if phone else ""))
    return next((name for name in (shown, own, *near, main) if is_local(name)), shown)


@once
def _nearest(snapshot: Snapshot, place: str) -> tuple[Number, ...]:
    """All numbers: those of the innermost location first."""
    near = [location.id for location in snapshot.lineage(place)]

    def distance(number: Number) -> tuple[int, str]:
        return near.index(number.location) if number.location in near else len(near), number.id

    return tuple(sorted(snapshot.numbers.values(), key=distance))


@once
def _others(snapshot: Snapshot, place: str) -> tuple[str, str]:
    """The number that is registered for the innermost location of `place`, and one of its building; "" for none."""
    usable = [each for each in _nearest(snapshot, place) if each.address_status == "registered"]
    there = next((each.id for each in usable if snapshot.covers(each.location, place)), "")
    here = _building(snapshot, place)
    beside = next((each.id for each in usable if here and _building(snapshot, each.location) == here), "")
    return there, beside


@once
def _unregistered(snapshot: Snapshot) -> str:
    """The first number without a registered address, "" for none."""
    found = (name for name, each in snapshot.numbers.items() if each.address_status != "registered")
    return min(found, default="")


@once
def _building(snapshot: Snapshot, location: str) -> str:
    return next((each.id for each in snapshot.lineage(location) if each.level == "building"), "")
