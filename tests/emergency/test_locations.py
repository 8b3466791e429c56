"""Locations as a person may keep them, and phones that a person places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.emergency import locations
from provisioner.emergency.moved import Whereabouts
from provisioner.errors import OperatorError, UsageError
from provisioner.store.inventory import Inventory
from provisioner.store.records import Location, Phone, Placement

STREET = {"country": "US", "A1": "IL", "A3": "Springfield", "RD": "Main", "HNO": "521", "PC": "62701"}
MAC = "0004f2000101"


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    opened = Inventory.open(tmp_path / "inventory.db")
    with opened.change("test") as change:
        change.put(Location(id="clinic", name="Clinic", civic={"NAM": "Clinic"}, level="practice"))
        change.put(Location(id="house", name="House", civic=STREET, parent="clinic"))
        change.put(Location(id="two", name="Two", civic={"FLR": "2"}, parent="house", level="floor"))
        change.put(Phone(id=MAC, vendor="yealink", model="T46S", location="house"))
    yield opened
    opened.close()


def room(**changes: Any) -> dict[str, Any]:
    return {"name": "Exam 3", "parent": "two", "level": "room", "civic": {"ROOM": " Exam  3 "}, **changes}


def test_a_room_is_kept(inventory: Inventory) -> None:
    kept = locations.keep(
        inventory, "exam", room(networks=["10.0.0.0/24"], identifiers={"a.b": "x-1"}), "Ann"
    )
    assert kept.civic == {"ROOM": "Exam 3"}
    place = inventory.snapshot().place("exam")
    assert place
    assert place.civic == {**STREET, "NAM": "Clinic", "FLR": "2", "ROOM": "Exam 3"}
    assert inventory.audit(1)[0].who == "Ann"


def test_a_country_in_small_letters_is_kept_in_capitals(inventory: Inventory) -> None:
    body = {"name": "Annex", "level": "building", "civic": {**STREET, "country": "us", "HNO": "9"}}
    assert locations.keep(inventory, "annex", body, "Ann").civic["country"] == "US"


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("exam", room(parent="attic"), "no location attic"),
        ("exam", room(level="floor"), "A floor cannot be a part of a floor"),
        ("exam", room(level="cellar"), "That is no location"),
        ("exam", room(civic={"ROOM": 3}), "That is no location"),
        ("exam", {"name": "x"}, "That is no location"),
        ("exam", room(networks=["here"]), "here is no network"),
        ("exam", room(identifiers={"a": "x y"}), "letters, digits"),
        ("exam", room(civic={"STREET": "x"}), "no element STREET"),
        ("exam", room(civic={"RD": "Main & 4th"}), "one of & @ #"),
        ("exam", room(parent=""), "Country is missing"),
        ("house", {"name": "House", "level": "room", "civic": STREET}, "cannot hold what is in this one"),
        (
            "house",
            {"name": "House", "parent": "two", "civic": STREET},
            "A building cannot be a part of a floor",
        ),
        (
            "two",
            {"name": "Two", "level": "floor", "parent": "two", "civic": {}},
            "cannot be a part of a floor",
        ),
        ("clinic", {"name": "x", "level": "practice", "civic": {"FLR": "1"}}, "no floor of its own"),
    ],
)
def test_what_cannot_be_kept(inventory: Inventory, name: str, body: dict[str, Any], words: str) -> None:
    before = inventory.snapshot()
    with pytest.raises(UsageError, match=words):
        locations.keep(inventory, name, body, "Ann")
    assert inventory.snapshot() == before


def seen(**changes: Any) -> Whereabouts:
    whole = {"mac": MAC, "location": "house", "network": "10.0.0.0/24", "address": "10.9.9.9", "port": "aa"}
    return Whereabouts(**{**whole, **changes})


def test_a_phone_is_confirmed_where_it_is(inventory: Inventory) -> None:
    placement = locations.place(inventory, MAC, "", "Ann", 5.0, seen())
    assert placement == Placement(
        id=MAC, location="house", network="10.9.9.0/24", neighbour="aa", at=5.0, who="Ann"
    )
    assert inventory.snapshot().placements == {MAC: placement}
    assert inventory.snapshot().phones[MAC].location == "house"


def test_a_phone_is_placed_elsewhere(inventory: Inventory) -> None:
    assert locations.place(inventory, MAC, "two", "Ann", 5.0, None).network == ""
    assert inventory.snapshot().phones[MAC].location == "two"


@pytest.mark.parametrize(("mac", "location"), [("aabbccddeeff", ""), (MAC, "attic")])
def test_no_such_phone_or_place(inventory: Inventory, mac: str, location: str) -> None:
    with pytest.raises((UsageError, OperatorError), match="no such"):
        locations.place(inventory, mac, location, "Ann", 5.0, None)
    assert inventory.snapshot().placements == {}
