"""Locations that are parts of each other: whole addresses, inheritance, and what a registration is true of."""

from __future__ import annotations

from provisioner.store.records import Location, Practice, Snapshot

PLACES = (
    Location(id="clinic", name="Clinic", civic={"NAM": "Clinic", "country": "US"}, level="practice"),
    Location(
        id="north",
        name="North house",
        civic={"HNO": "1", "RD": "Main", "NAM": "Clinic North"},
        parent="clinic",
        networks=("10.0.1.0/24",),
        neighbours=("0011223344aa",),
    ),
    Location(id="north-2", name="Floor 2", civic={"FLR": "2"}, parent="north", level="floor"),
    Location(
        id="exam",
        name="Exam 3",
        civic={"ROOM": "3"},
        parent="north-2",
        level="room",
        networks=("10.0.2.0/24",),
    ),
    Location(id="south", name="South house", civic={"HNO": "2", "RD": "Main"}, parent="clinic"),
    Location(id="a", name="A", civic={"ROOM": "a"}, parent="b"),
    Location(id="b", name="B", civic={"FLR": "b"}, parent="a"),
    Location(id="orphan", name="Orphan", civic={"ROOM": "1"}, parent="gone"),
)
SNAPSHOT = Snapshot(
    revision=1,
    practice=Practice(id="practice", name="Clinic", main_number=""),
    locations={place.id: place for place in PLACES},
)


def test_a_room_has_the_address_of_all_that_it_is_in() -> None:
    place = SNAPSHOT.place("exam")
    assert place
    assert (place.id, place.name, place.level) == ("exam", "Exam 3", "room")
    assert place.civic == {
        "country": "US",
        "NAM": "Clinic North",
        "HNO": "1",
        "RD": "Main",
        "FLR": "2",
        "ROOM": "3",
    }


def test_networks_and_neighbours_are_those_of_the_nearest_that_has_any() -> None:
    place = SNAPSHOT.place("exam")
    assert place
    assert (place.networks, place.neighbours) == (("10.0.2.0/24",), ("0011223344aa",))


def test_no_such_place() -> None:
    assert SNAPSHOT.place("") is None
    assert SNAPSHOT.lineage("nowhere") == ()


def test_a_circle_and_a_missing_parent_end() -> None:
    assert [place.id for place in SNAPSHOT.lineage("a")] == ["a", "b"]
    assert [place.id for place in SNAPSHOT.lineage("orphan")] == ["orphan"]


def test_a_registration_covers_what_is_in_its_building_and_nothing_else() -> None:
    covered = {
        outer: [inner for inner in ("exam", "north-2", "north", "south") if SNAPSHOT.covers(outer, inner)]
        for outer in ("exam", "north-2", "north", "south", "clinic", "")
    }
    assert covered == {
        "exam": ["exam"],
        "north-2": ["exam", "north-2"],
        "north": ["exam", "north-2", "north"],
        "south": ["south"],
        "clinic": [],
        "": [],
    }
