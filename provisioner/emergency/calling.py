"""The calling number of an emergency call: one whose registered address is where the phone is (docs/calls.md).

That of a crisis call has an area code of a place: calls to 988 but for those of mobile phones are routed by it.
"""

from __future__ import annotations

from typing import NamedTuple

from provisioner.dialing.classify import is_local
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
    place = phone.location if phone else ""
    first = snapshot.numbers.get(own)  # nearly always: pages ask this of each line of a large practice
    if first and first.address_status == "registered" and snapshot.covers(first.location, place):
        return Calling(own, True)
    registered = [
        number for number in _nearest(snapshot, own, place) if number.address_status == "registered"
    ]
    for number in registered:
        if snapshot.covers(number.location, place):
            return Calling(number.id, True)
    for number in registered:
        if _building(snapshot, number.location) == _building(snapshot, place) != "":
            return Calling(number.id, False)
    own, main = own if own in snapshot.numbers else "", snapshot.practice.main_number
    for name in (own, main, *sorted(snapshot.numbers)):
        held = snapshot.numbers.get(name)
        if name and (held is None or held.address_status != "registered"):
            return Calling(name, False)
    return Calling(own or main, False)


def local_number(snapshot: Snapshot, phone: Phone | None, own: str) -> str:
    """What a call to 988 shows: as `calling_number`, but the nearest local one in place of a toll-free one."""
    shown = calling_number(snapshot, phone, own).number
    near = [number.id for number in _nearest(snapshot, own, phone.location if phone else "")]
    main = snapshot.practice.main_number
    return next((name for name in (shown, *near, main) if is_local(name)), shown)


def _nearest(snapshot: Snapshot, own: str, place: str) -> list[Number]:
    """The own number, then the others: those of the innermost location first."""
    near = [location.id for location in snapshot.lineage(place)]

    def distance(number: Number) -> tuple[bool, int, str]:
        at = near.index(number.location) if number.location in near else len(near)
        return number.id != own, at, number.id

    return sorted(snapshot.numbers.values(), key=distance)


def _building(snapshot: Snapshot, location: str) -> str:
    return next((each.id for each in snapshot.lineage(location) if each.level == "building"), "")
