"""What a change of a location means for 911, told before it is made. Pure."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from provisioner.emergency import postal, registration
from provisioner.store.records import Location, Postal, Snapshot


class Registered(msgspec.Struct, frozen=True):
    """A number whose address becomes another; `provider`: who is asked to register it, "" for nobody."""

    number: str
    label: str
    provider: str
    was: Postal | None
    becomes: Postal | None


class Telling(msgspec.Struct, frozen=True):
    """A phone whose emergency calls tell another address; whole addresses, RFC 5139 elements by name."""

    mac: str
    extension: str
    name: str
    location: str
    was: dict[str, str]
    becomes: dict[str, str]


class Effects(msgspec.Struct, frozen=True):
    """All that a change means. `watched`: MACs of phones that may count as moved, their place is told otherwise."""

    numbers: list[Registered]
    phones: list[Telling]
    watched: list[str]

    @property
    def any(self) -> bool:
        """Whether it means anything for emergency calls."""
        return bool(self.numbers or self.phones or self.watched)


def of_change(snapshot: Snapshot, location: Location) -> Effects:
    """What it means to keep `location`, new or in the place of the one with its id."""
    after = replace(snapshot, locations={**snapshot.locations, location.id: location})
    places = {each: (snapshot.place(each), after.place(each)) for each in after.locations}
    civics = {
        each: (was.civic if was else {}, becomes.civic if becomes else {})
        for each, (was, becomes) in places.items()
    }
    moved = {each for each, (was, becomes) in civics.items() if was != becomes}
    watching = {
        each
        for each, (was, becomes) in places.items()
        if was and becomes and (was.networks, was.neighbours) != (becomes.networks, becomes.neighbours)
    }
    phones = [
        Telling(
            phone.id,
            phone.lines[0].extension if phone.lines else "",
            phone.lines[0].name if phone.lines else "",
            phone.location,
            *civics[phone.location],
        )
        for phone in snapshot.phones.values()
        if phone.location in moved
    ]
    watched = [phone.id for phone in snapshot.phones.values() if phone.location in watching]
    return Effects(_numbers(snapshot, {each: civics[each] for each in moved}), phones, watched)


def _numbers(snapshot: Snapshot, moved: dict[str, tuple[dict[str, str], dict[str, str]]]) -> list[Registered]:
    found = []
    for number in snapshot.numbers.values():
        if number.location in moved:
            was, becomes = (
                registration.wanted(number, civic or None, snapshot.practice.name)
                for civic in moved[number.location]
            )
            if was != becomes and not postal.same(was, becomes):
                found.append(Registered(number.id, number.label, number.provider, was, becomes))
    return found
