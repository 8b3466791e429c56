"""Another length for all extensions: looked at first, then all at once, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.errors import OperatorError
from provisioner.phones import extensions
from provisioner.phones.renumber import Move, apply, plan
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    ExtensionRange,
    Key,
    Line,
    LineFeatures,
    Member,
    Number,
    Phone,
    PhoneGroup,
    Practice,
    Record,
    RingGroup,
)

FIRST, SECOND = "001565000101", "001565000102"


def phone(mac: str, *lines: str, keys: tuple[Key, ...] = ()) -> Phone:
    held = tuple(Line(extension=each, name=f"Room {each}") for each in lines)
    return Phone(id=mac, vendor="yealink", model="T46S", lines=held, keys=keys)


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    opened = Inventory.open(tmp_path / "inventory.db")
    keys = (Key(position=1, function="line", value="1"), Key(position=2, function="blf", value="205"))
    put(
        opened,
        Practice(id="practice", name="Elm", main_number="+14155550100"),
        phone(FIRST, "101", "205", keys=keys),
        phone(SECOND, "102"),
        PhoneGroup(id="g", name="G", keys=(Key(position=3, function="speed_dial", value="102"),)),
        Number(id="+14155550101", label="x", extension="101"),
        RingGroup(id="all", name="All", members=("101", Member(target="+12125550100"), Member(target="102"))),
        LineFeatures(id="101", do_not_disturb=True),
        LineFeatures(id="102", forward_always="205", forward_busy="+12125550100"),
        ExtensionRange(id="200-219", first="200", last="219", name="Labs"),
    )
    yield opened
    opened.close()


def put(inventory: Inventory, *records: Record) -> None:
    with inventory.change(who="test") as change:
        for record in records:
            change.put(record)


def test_all_of_it_moves_at_once(inventory: Inventory) -> None:
    extensions.reserve(inventory, "110", "nurse", "Kim")
    looked_at = plan(inventory.snapshot(), 4)
    assert looked_at.problems == []
    assert looked_at.moves == [
        Move("101", "1101", "Room 101", True),
        Move("102", "1102", "Room 102", True),
        Move("110", "1110", "reserved for nurse", True),
        Move("205", "1205", "Room 205", False),
    ]
    before = inventory.snapshot_revision()
    assert apply(inventory, 4, "Kim", looked_at.revision).moves == looked_at.moves
    found = inventory.snapshot()
    assert found.revision == before + 1
    assert found.practice.extension_length == 4
    assert [line.extension for line in found.phones[FIRST].lines] == ["1101", "1205"]
    assert [key.value for key in found.phones[FIRST].keys] == ["1", "1205"]
    assert found.phone_groups["g"].keys[0].value == "1102"
    assert found.numbers["+14155550101"].extension == "1101"
    assert found.ring_groups["all"].members == (
        "1101", Member(target="+12125550100"), Member(target="1102"),
    )  # fmt: skip
    assert found.line_features["1101"].do_not_disturb
    assert found.line_features["1102"].forward_always == "1205"
    assert found.line_features["1102"].forward_busy == "+12125550100"
    assert list(found.extension_ranges) == ["1200-1219"]
    assert [(each.id, each.reason) for each in found.held_extensions.values()] == [("1110", "reserved")]
    assert extensions.problems(found) == ()


def test_back_again(inventory: Inventory) -> None:
    before = inventory.snapshot()
    apply(inventory, 4, "Kim")
    apply(inventory, 3, "Kim")
    after = inventory.snapshot()
    assert (after.phones, after.numbers, after.ring_groups) == (
        before.phones,
        before.numbers,
        before.ring_groups,
    )
    assert (after.line_features, after.extension_ranges) == (before.line_features, before.extension_ranges)


def test_who_cannot_keep_their_digits_get_the_next(inventory: Inventory) -> None:
    apply(inventory, 4, "Kim")
    put(inventory, phone("001565000103", "2101"), phone("001565000104", "1912"))
    found = {move.old: move.new for move in plan(inventory.snapshot(), 3).moves}
    assert found == {"1101": "101", "1102": "102", "1205": "205", "1912": "100", "2101": "103"}


def test_a_plan_that_is_out_of_date_is_refused(inventory: Inventory) -> None:
    old = plan(inventory.snapshot(), 4).revision
    put(inventory, phone("001565000103", "103"))
    with pytest.raises(OperatorError, match="changed since that plan was made: look at it again"):
        apply(inventory, 4, "Kim", old)
    assert inventory.snapshot().practice.extension_length == 3


def refused(inventory: Inventory, length: int) -> list[str]:
    """All problems of a plan; what is refused changes nothing."""
    before = inventory.snapshot()
    problems = plan(before, length).problems
    with pytest.raises(OperatorError):
        apply(inventory, length, "Kim")
    assert inventory.snapshot() == before
    return problems


def test_the_same_length_is_no_plan(inventory: Inventory) -> None:
    assert refused(inventory, 3) == ["the extensions have 3 digits already"]
    assert refused(inventory, 5) == ["extensions of 5 digits are not supported: set the length to 3 or 4"]


def test_mixed_lengths_can_be_mended_by_moving_all_to_one(inventory: Inventory) -> None:
    put(inventory, phone(SECOND, "1105"))
    assert {move.old: move.new for move in plan(inventory.snapshot(), 3).moves}["1105"] == "105"
    apply(inventory, 3, "Kim")
    assert inventory.snapshot().extensions() == ["101", "105", "205"]


def test_every_problem_is_told_at_once(inventory: Inventory) -> None:
    put(
        inventory,
        phone("001565000103", "101"),
        phone("001565000104", "9115"),
        ExtensionRange(id="195-203", first="195", last="203", name="Odd"),
        ExtensionRange(id="1995-2003", first="1995", last="2003", name="Odder"),
    )
    assert refused(inventory, 4) == [
        "9115 begins with 9, which is kept for outside calls and emergencies",
        "101 is on more than one line",
    ]
    assert refused(inventory, 3) == [
        "101 is on more than one line",
        "the range 1995-2003 cannot be kept: remove it first",
    ]


def test_more_extensions_than_there_is_room_for(inventory: Inventory) -> None:
    apply(inventory, 4, "Kim")
    everything = [f"{number}" for number in range(2000, 3000) if not f"{number}".startswith("211")]
    put(inventory, *(phone(f"00156501{each}", each) for each in everything))
    problems = refused(inventory, 3)
    assert len(problems) > 100
    assert all("there is no free extension of 3 digits for" in each for each in problems)
