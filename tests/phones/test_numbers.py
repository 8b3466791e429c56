"""Numbers on lines: none before its emergency address is registered, and a warning when it is that of another place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.errors import OperatorError
from provisioner.phones.adopt import adopt
from provisioner.phones.bulk import parse
from provisioner.phones.importing import apply
from provisioner.phones.numbers import Warned, assign, warnings
from provisioner.store.inventory import Inventory
from provisioner.store.records import Line, Location, Number, Phone, Practice, Record, RingGroup

DESK, LAB = "001565000101", "001565000102"
FIRST, SECOND, RAW = "+14155550101", "+14155550102", "+14155550109"
pytestmark = pytest.mark.rule("emergency.in-service")


def put(inventory: Inventory, *records: Record) -> None:
    with inventory.change(who="test") as change:
        for record in records:
            change.put(record)


def registered(name: str, location: str = "desk", extension: str = "") -> Number:
    return Number(
        id=name, label=name[-3:], location=location, extension=extension, address_status="registered"
    )


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    opened = Inventory.open(tmp_path / "inventory.db")
    put(
        opened,
        Practice(id="practice", name="Elm", main_number="+14155550100"),
        Location(id="elm", name="Elm Street 1", civic={"HNO": "1"}),
        Location(id="desk", name="Front desk", civic={}, parent="elm", level="room"),
        Location(id="lab", name="Lab", civic={}, parent="elm", level="room"),
        RingGroup(id="all", name="All", members=("101",)),
        registered(FIRST, extension="101"),
        registered(SECOND),
        Number(id=RAW, label="Raw", location="desk"),
        Phone(
            id=DESK,
            vendor="yealink",
            model="T46S",
            location="desk",
            lines=(Line(extension="101", number=FIRST),),
        ),
        Phone(id=LAB, vendor="yealink", model="T46S", location="lab", lines=(Line(extension="102"),)),
    )
    yield opened
    opened.close()


def lines(inventory: Inventory) -> dict[str, str]:
    return {line.extension: line.number for phone in inventory.all(Phone) for line in phone.lines}


def leads(inventory: Inventory, number: str) -> tuple[str, str]:
    held = inventory.snapshot().numbers[number]
    return held.extension, held.ring_group


def test_a_line_gets_a_number_and_the_one_before_loses_it(inventory: Inventory) -> None:
    put(inventory, registered(FIRST, location="elm", extension="101"))
    assert assign(inventory, FIRST, "102", "Kim") == []
    assert lines(inventory) == {"101": "", "102": FIRST}
    assert leads(inventory, FIRST) == ("102", "")


def test_further_numbers_of_a_line_go_on_ringing_it(inventory: Inventory) -> None:
    assign(inventory, SECOND, "101", "Kim")
    assert lines(inventory)["101"] == SECOND
    assert (leads(inventory, FIRST), leads(inventory, SECOND)) == (("101", ""), ("101", ""))


def test_a_number_goes_to_a_group_or_nowhere(inventory: Inventory) -> None:
    assign(inventory, FIRST, "all", "Kim")
    assert (leads(inventory, FIRST), lines(inventory)["101"]) == (("", "all"), "")
    assign(inventory, FIRST, "", "Kim")
    assert leads(inventory, FIRST) == ("", "")


def test_assigning_again_changes_nothing(inventory: Inventory) -> None:
    before = inventory.snapshot_revision()
    assign(inventory, FIRST, "101", "Kim")
    assert inventory.snapshot_revision() == before


@pytest.mark.parametrize(
    ("number", "target", "why"),
    [
        (
            RAW,
            "101",
            "the emergency address of .* is not registered, so no line may have it: register its address",
        ),
        ("+14155559999", "101", "none of this practice's numbers"),
        (SECOND, "199", "no phone and no ring group is 199"),
        (SECOND, "911", "no phone and no ring group is 911"),
    ],
)
def test_what_is_refused(inventory: Inventory, number: str, target: str, why: str) -> None:
    before = inventory.snapshot()
    with pytest.raises(OperatorError, match=why):
        assign(inventory, number, target, "Kim")
    assert inventory.snapshot() == before


def test_one_without_an_address_may_ring_a_group(inventory: Inventory) -> None:
    assign(inventory, RAW, "all", "Kim")
    assert leads(inventory, RAW) == ("", "all")


@pytest.mark.parametrize("extension", ["", "109"])
def test_adoption_gives_no_number_without_an_address(inventory: Inventory, extension: str) -> None:
    put(
        inventory,
        registered(SECOND, extension="102"),
        Number(id=RAW, label="Raw", location="desk", extension=extension),
    )
    phone = adopt(inventory, "001565000109", "yealink", "T46S", "Kim", extension)
    assert phone.lines[0].number == ""
    assert leads(inventory, RAW) == (extension, "")


def test_a_table_gives_no_number_without_an_address(inventory: Inventory) -> None:
    table = parse(f"mac,model,extension,number\n001565000109,T46S,109,{RAW}\n".encode())
    with pytest.raises(OperatorError, match=r"emergency address of .* is not registered: register it first"):
        apply(inventory, table, "Kim")
    assert "109" not in lines(inventory)


def test_one_that_slipped_through_is_warned_of(inventory: Inventory) -> None:
    put(inventory, Number(id=FIRST, label="x", location="desk", extension="101"))
    assert [(each.number, each.what) for each in warnings(inventory.snapshot())] == [
        (FIRST, f"{FIRST} has no registered emergency address")
    ]
    put(
        inventory,
        Phone(id=LAB, vendor="yealink", model="T46S", lines=(Line(extension="102", number="+12125550100"),)),
    )
    assert [each.number for each in warnings(inventory.snapshot())] == [FIRST, "+12125550100"]


def test_one_of_another_place_is_warned_of(inventory: Inventory) -> None:
    assert assign(inventory, SECOND, "102", "Kim") == [
        Warned(
            SECOND, "102", f"{SECOND} of extension 102 is registered for Front desk, but the phone is at Lab",
            "A 911 call from there shows another number of that place, if there is one. "
            "Give the line a number of its own place, or register this one for it.",
        )
    ]  # fmt: skip


def test_one_of_the_whole_building_is_right_for_each_room(inventory: Inventory) -> None:
    put(inventory, registered(SECOND, location="elm"))
    assert assign(inventory, SECOND, "102", "Kim") == []
