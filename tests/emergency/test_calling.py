"""Which number an emergency call shows: never one that sends help to another building while there is another."""

from __future__ import annotations

import random

import msgspec
import pytest

from provisioner.emergency.calling import Calling, calling_number, local_number
from provisioner.store.records import Line, Location, Number, Phone, Practice, Snapshot

MAIN, OWN, ROOM, FLOOR, HOUSE, OTHER, FREE = (f"+1415555010{n}" for n in range(7))

PLACES = {
    each.id: each
    for each in (
        Location(id="p", name="Practice", civic={"country": "US"}, level="practice"),
        Location(id="a", name="A", civic={"HNO": "1"}, parent="p"),
        Location(id="a2", name="Second floor", civic={"FLR": "2"}, parent="a", level="floor"),
        Location(id="a21", name="Room 21", civic={"ROOM": "21"}, parent="a2", level="room"),
        Location(id="a22", name="Room 22", civic={"ROOM": "22"}, parent="a2", level="room"),
        Location(id="b", name="B", civic={"HNO": "2"}, parent="p"),
    )
}
LINE = Line(extension="101", number=OWN)
PHONE = Phone(id="0004f2000101", vendor="polycom", model="VVX 411", lines=(LINE,), location="a21")


def number(name: str, location: str, registered: bool = True) -> Number:
    status = "registered" if registered else "unregistered"
    return Number(id=name, label=name, location=location, address_status=status)


def practice_with(numbers: list[tuple]) -> Snapshot:
    return Snapshot(
        revision=1,
        practice=Practice(id="practice", name="x", main_number=MAIN),
        locations=PLACES,
        numbers={each[0]: number(*each) for each in numbers},
        phones={PHONE.id: PHONE},
    )


@pytest.mark.rule("emergency.calling-number")
@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        ([(OWN, "a21"), (ROOM, "a21")], (OWN, True)),
        ([(OWN, "a"), (ROOM, "a21")], (OWN, True)),
        ([(OWN, "b"), (HOUSE, "a"), (FLOOR, "a2"), (ROOM, "a21")], (ROOM, True)),
        ([(OWN, "b"), (HOUSE, "a"), (FLOOR, "a2")], (FLOOR, True)),
        ([(OWN, "b"), (HOUSE, "a")], (HOUSE, True)),
        ([(OWN, "b"), (ROOM, "a22")], (ROOM, False)),
        ([(OWN, "b"), (OTHER, "p"), (FREE, "", False)], (MAIN, False)),
        ([(OWN, "a21", False), (OTHER, "b")], (OWN, False)),
        ([(OWN, "b"), (MAIN, "b"), (FREE, "b", False)], (FREE, False)),
        ([(OWN, "b"), (MAIN, "b")], (OWN, False)),
        ([], (MAIN, False)),
    ],
)
def test_the_nearest_true_number(numbers: list[tuple], wanted: tuple[str, bool]) -> None:
    assert calling_number(practice_with(numbers), PHONE, OWN) == Calling(*wanted)


def as_the_rule_says(snapshot: Snapshot, place: str, own: str) -> Calling:
    """The docstring of `calling_number`, number by number and slowly."""
    near = [each.id for each in snapshot.lineage(place)]
    building = {
        name: [each.id for each in snapshot.lineage(name) if each.level == "building"] for name in PLACES
    }

    def rank(held: Number) -> tuple[int, bool, int, str]:
        within = held.location in near and PLACES[held.location].level != "practice"
        beside = bool(building.get(place)) and building.get(held.location) == building.get(place)
        at = near.index(held.location) if held.location in near else len(near)
        return 0 if within else 1 if beside else 2, held.id != own, at, held.id

    registered = [each for each in snapshot.numbers.values() if each.address_status == "registered"]
    best = min(registered, key=rank, default=None)
    if best and rank(best)[0] < 2:
        return Calling(best.id, rank(best)[0] == 0)
    free = [name for name in sorted(snapshot.numbers) if snapshot.numbers[name] not in registered]
    safe = [
        *(name for name in (own, MAIN) if name in free),
        *(() if MAIN in snapshot.numbers else (MAIN,)),
        *free,
    ]
    return Calling(safe[0] if safe else own if own in snapshot.numbers else MAIN, False)


def test_any_numbers_at_any_places() -> None:
    rng = random.Random(933)
    for _again in range(300):
        chosen = rng.sample((MAIN, OWN, ROOM, FLOOR, HOUSE, OTHER, FREE), rng.randrange(8))
        held = {name: number(name, rng.choice([*PLACES, ""]), rng.random() < 0.6) for name in chosen}
        practice = Practice(id="practice", name="x", main_number=MAIN)
        snapshot = Snapshot(revision=1, practice=practice, locations=PLACES, numbers=held)
        for place in (*PLACES, ""):
            phone = msgspec.structs.replace(PHONE, location=place)
            assert calling_number(snapshot, phone, OWN) == as_the_rule_says(snapshot, place, OWN), (
                held,
                place,
            )


FREE_CALL = "+18005550199"


@pytest.mark.rule("dialled.crisis")
@pytest.mark.parametrize(
    ("own", "numbers", "wanted"),
    [
        (OWN, [(OWN, "a21"), (ROOM, "a21")], OWN),
        (FREE_CALL, [(FREE_CALL, "a21"), (HOUSE, "a"), (ROOM, "a21", False)], ROOM),
        (FREE_CALL, [(FREE_CALL, "a21"), (OTHER, "b"), (HOUSE, "a")], HOUSE),
        (FREE_CALL, [(FREE_CALL, "a21")], MAIN),
        (OWN, [(OWN, "b"), (HOUSE, "a")], HOUSE),
    ],
)
def test_a_call_to_988_shows_a_local_number(own: str, numbers: list[tuple], wanted: str) -> None:
    assert local_number(practice_with(numbers), PHONE, own) == wanted


def test_a_practice_that_has_only_toll_free_numbers_shows_one_to_988() -> None:
    practice = Practice(id="practice", name="x", main_number=FREE_CALL)
    assert local_number(Snapshot(revision=1, practice=practice), None, "") == FREE_CALL


def test_nobody_knows_the_phone() -> None:
    practice = Practice(id="practice", name="x", main_number=MAIN)
    assert calling_number(Snapshot(revision=1, practice=practice), None, "") == Calling(MAIN, False)
