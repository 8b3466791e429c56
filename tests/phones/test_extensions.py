"""Who gets which extension: ranges, reserved ones, quarantine, and many at once who want the next."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provisioner.dialing.extensions import next_extension
from provisioner.errors import OperatorError
from provisioner.phones import extensions as plan
from provisioner.phones.adopt import adopt
from provisioner.phones.bulk import parse, preview
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.importing import apply
from provisioner.phones.retire import retire
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    HeldExtension,
    Key,
    Line,
    LineFeatures,
    Location,
    Member,
    Number,
    Phone,
    PhoneGroup,
    Practice,
    Record,
    RingGroup,
)

DAY = 86400.0
NOW = 1_790_000_000.0
FIRST, SECOND, THIRD = "001565000101", "001565000102", "001565000103"


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    opened = Inventory.open(tmp_path / "inventory.db", clock=lambda: NOW)
    put(opened, Practice(id="practice", name="Elm", main_number="+14155550100", time_zone="UTC"))
    yield opened
    opened.close()


def put(inventory: Inventory, *records: Record) -> None:
    with inventory.change(who="test") as change:
        for record in records:
            change.put(record)


def give(inventory: Inventory, mac: str, extension: str = "", at: float = NOW) -> str:
    return adopt(inventory, mac, "yealink", "T46S", "test", extension, now=lambda: at).lines[0].extension


# quarantine


def test_an_extension_that_was_freed_rests_as_long_as_the_practice_says(inventory: Inventory) -> None:
    give(inventory, FIRST, "100")
    retire(inventory, FIRST, "Kim", lambda: NOW)
    held = inventory.snapshot().held_extensions["100"]
    assert held == HeldExtension(
        id="100", reason="freed", name="", phone=FIRST, at=NOW, who="Kim", until=NOW + 30 * DAY
    )
    assert give(inventory, SECOND, at=NOW + 30 * DAY - 1) == "101"
    assert give(inventory, THIRD, at=NOW + 30 * DAY) == "100"
    assert inventory.snapshot().held_extensions == {}


def test_nobody_gets_one_in_quarantine_by_asking_for_it(inventory: Inventory) -> None:
    put(
        inventory,
        Phone(id=FIRST, vendor="yealink", model="T46S", lines=(Line(extension="107", name="Dr. Ito"),)),
    )
    retire(inventory, FIRST, "Kim", lambda: NOW)
    with pytest.raises(OperatorError) as refused:
        give(inventory, SECOND, "107")
    assert str(refused.value) == (
        "107 was that of Dr. Ito and is not given again before 2026-10-21: choose another, or release it first"
    )
    (row,) = preview(parse(f"mac,model,extension\n{SECOND},T46S,107\n".encode()), inventory.snapshot(),
                     Catalogue(), NOW).rows  # fmt: skip
    assert row.problems == [
        "107 was that of Dr. Ito and is not given again before 2026-10-21: choose another."
    ]


def test_staff_may_insist(inventory: Inventory) -> None:
    give(inventory, FIRST, "107")
    retire(inventory, FIRST, "Kim", lambda: NOW)
    assert plan.release(inventory, "107", "Lee").phone == FIRST
    assert give(inventory, SECOND, "107") == "107"
    assert {row.who for row in inventory.audit() if row.kind == "held_extension"} == {"Kim", "Lee"}


def test_the_phone_that_had_it_gets_it_back(inventory: Inventory) -> None:
    give(inventory, FIRST, "107")
    retire(inventory, FIRST, "Kim", lambda: NOW)
    assert give(inventory, FIRST) == "107"


def test_a_changed_extension_rests_too_and_what_named_it_follows(inventory: Inventory) -> None:
    put(inventory, Number(id="+14155550100", label="Front", extension="101", address_status="registered"))
    give(inventory, FIRST, "101")
    give(inventory, SECOND, "102")
    watching = Key(position=2, function="blf", value="101")
    phone = inventory.snapshot().phones[SECOND]
    put(
        inventory,
        Phone(id=SECOND, vendor="yealink", model="T46S", lines=phone.lines, keys=(watching,)),
        RingGroup(
            id="all", name="All", members=("101", Member(target="102"), Member(target="101", seconds=5))
        ),
        LineFeatures(id="101", do_not_disturb=True),
        LineFeatures(id="102", forward_busy="101"),
    )
    apply(inventory, parse(f"mac,model,extension\n{FIRST},T46S,105\n".encode()), "test", now=lambda: NOW)
    found = inventory.snapshot()
    assert found.phones[FIRST].lines[0].extension == "105"
    assert found.ring_groups["all"].members == ("105", Member(target="102"), Member(target="105", seconds=5))
    assert found.phones[SECOND].keys[0].value == "105"
    assert found.line_features.keys() == {"105", "102"}
    assert found.line_features["102"].forward_busy == "105"
    assert found.numbers["+14155550100"].extension == "105"
    assert plan.why_not(found, "101", NOW).startswith("101 was that of Front")


def test_two_phones_that_swap_extensions_swap_all_that_names_them(inventory: Inventory) -> None:
    give(inventory, FIRST, "101")
    give(inventory, SECOND, "102")
    put(
        inventory,
        LineFeatures(id="101", do_not_disturb=True),
        RingGroup(id="one", name="One", members=("101",)),
    )
    table = f"mac,model,extension\n{FIRST},T46S,102\n{SECOND},T46S,101\n"
    apply(inventory, parse(table.encode()), "test", now=lambda: NOW)
    found = inventory.snapshot()
    assert found.line_features == {"102": LineFeatures(id="102", do_not_disturb=True)}
    assert found.ring_groups["one"].members == ("102",)
    assert found.held_extensions == {}


def test_who_gets_it_next_inherits_nothing(inventory: Inventory) -> None:
    give(inventory, FIRST, "101")
    give(inventory, SECOND, "102")
    put(
        inventory,
        LineFeatures(id="101", do_not_disturb=True, forward_always="102"),
        LineFeatures(id="102", forward_busy="101", forward_always="+12125550100"),
        RingGroup(id="all", name="All", members=(Member(target="101"), "102")),
    )
    retire(inventory, FIRST, "Kim")
    found = inventory.snapshot()
    assert found.line_features == {"102": LineFeatures(id="102", forward_always="+12125550100")}
    assert found.ring_groups["all"].members == ("102",)


# reserving


def test_reserved_ones_are_given_to_nobody_until_released(inventory: Inventory) -> None:
    kept = plan.reserve(inventory, "100", "  the  new nurse ", "Kim", lambda: NOW)
    assert kept == HeldExtension(id="100", reason="reserved", name="the new nurse", at=NOW, who="Kim")
    assert give(inventory, FIRST, at=NOW + 9999 * DAY) == "101"
    with pytest.raises(
        OperatorError, match="100 is reserved for the new nurse: choose another, or release it"
    ):
        give(inventory, SECOND, "100")
    plan.release(inventory, "100", "Kim")
    assert give(inventory, SECOND) == "100"


@pytest.mark.parametrize(
    ("extension", "name", "why"),
    [
        ("911", "x", "begins with 9"),
        ("1000", "x", "has not the 3 digits"),
        ("101", "x", "101 is in use"),
        ("102", "y", "102 is reserved for x"),
        ("103", " ", "a name of at most 60 letters is missing"),
        ("103", "x" * 61, "a name of at most 60"),
        ("103", "a\x00b", "a name of at most 60"),
    ],
)
def test_what_cannot_be_reserved(inventory: Inventory, extension: str, name: str, why: str) -> None:
    give(inventory, FIRST, "101")
    plan.reserve(inventory, "102", "x", "Kim")
    with pytest.raises(OperatorError, match=why):
        plan.reserve(inventory, extension, name, "Kim")


def test_one_in_quarantine_may_be_reserved(inventory: Inventory) -> None:
    give(inventory, FIRST, "101")
    retire(inventory, FIRST, "Kim", lambda: NOW)
    assert plan.reserve(inventory, "101", "Dr. Ito", "Kim", lambda: NOW).reason == "reserved"


def test_what_is_not_held_cannot_be_released(inventory: Inventory) -> None:
    with pytest.raises(OperatorError, match="neither reserved nor in quarantine"):
        plan.release(inventory, "101", "Kim")


# ranges


@pytest.fixture
def places(inventory: Inventory) -> Inventory:
    put(
        inventory,
        Location(id="north", name="North", civic={}),
        Location(id="north-2", name="Floor 2", civic={}, parent="north", level="floor"),
        Location(id="south", name="South", civic={}),
        PhoneGroup(id="nurses", name="Nurses"),
        Number(id="+14155550201", label="Up", location="north-2", address_status="registered"),
    )
    return inventory


def test_a_phone_gets_its_own_place_first_and_never_anothers(places: Inventory) -> None:
    plan.add_range(places, "104", "106", "North building", "Kim", location="north")
    plan.add_range(places, "100", "101", "South building", "Kim", location="south")
    plan.add_range(places, "102", "102", "Lifts", "Kim")
    plan.add_range(places, "110", "111", "Nurses", "Kim", group="nurses")
    snapshot = places.snapshot()
    assert plan.proposed(snapshot, NOW, "north-2", count=5) == ["104", "105", "106", "103", "107"]
    assert plan.proposed(snapshot, NOW, "south", count=3) == ["100", "101", "103"]
    assert plan.proposed(snapshot, NOW, count=3) == ["103", "107", "108"]
    assert plan.proposed(snapshot, NOW, "north", "nurses", count=4) == ["110", "111", "104", "105"]
    assert give(places, FIRST) == "104"  # the free number that it gets is that of the second floor
    assert give(places, SECOND, "102") == "102"  # who asks for one gets it


@pytest.mark.parametrize(
    ("first", "last", "more", "why"),
    [
        ("100", "99", {}, "a range goes from one extension of 3 digits to another"),
        ("106", "104", {}, "106 is after 104"),
        ("115", "125", {}, "it overlaps 120 to 130, Lab"),
        ("900", "999", {}, "no extension from 900 to 999 can be used"),
        ("100", "104", {"location": "west"}, "there is no location west"),
        ("100", "104", {"group": "west"}, "there is no group of phones west"),
    ],
)
def test_ranges_that_cannot_be(
    places: Inventory, first: str, last: str, more: dict[str, str], why: str
) -> None:
    plan.add_range(places, "120", "130", "Lab", "Kim")
    with pytest.raises(OperatorError, match=why):
        plan.add_range(places, first, last, "x", "Kim", **more)


def test_a_range_can_be_removed(places: Inventory) -> None:
    plan.add_range(places, "120", "130", "Lab", "Kim")
    plan.remove_range(places, "120-130", "Kim")
    assert places.snapshot().extension_ranges == {}
    with pytest.raises(OperatorError, match="there is no range"):
        plan.remove_range(places, "120-130", "Kim")


def test_a_table_gives_each_phone_one_of_its_place(places: Inventory) -> None:
    plan.add_range(places, "104", "105", "North building", "Kim", location="north")
    rows = "001565000111,T46S,,,+14155550201\n001565000112,T46S,,,\n"
    table = parse(("mac,model,name,extension,number\n" + rows).encode())
    assert [row.extension for row in preview(table, places.snapshot(), Catalogue(), NOW).rows] == [
        "104",
        "100",
    ]


# looking


def test_rows_say_who_has_each_and_who_had_it(inventory: Inventory) -> None:
    put(
        inventory, Phone(id=FIRST, vendor="yealink", model="T46S", lines=(Line(extension="205", name="Lab"),))
    )
    give(inventory, SECOND, "103")
    retire(inventory, SECOND, "Kim", lambda: NOW)
    plan.reserve(inventory, "100", "nurse", "Kim", lambda: NOW)
    plan.add_range(inventory, "200", "210", "Labs", "Kim")
    found = plan.rows(inventory.snapshot(), NOW + DAY)
    assert found == [
        plan.Row(extension="100", state="reserved", at_once=True, name="nurse", since=NOW),
        plan.Row(
            extension="103", state="quarantine", at_once=True, phone=SECOND, until=NOW + 30 * DAY, since=NOW
        ),
        plan.Row(extension="205", state="in use", at_once=False, name="Lab", phone=FIRST, range="Labs"),
    ]
    later = plan.rows(inventory.snapshot(), NOW + 30 * DAY)
    assert [row.state for row in later] == ["reserved", "free", "in use"]
    assert plan.one(inventory.snapshot(), "104", NOW) == (
        plan.Row(extension="104", state="free", at_once=True), ""
    )  # fmt: skip
    assert plan.one(inventory.snapshot(), "205", NOW)[1] == "205 is in use"


def test_what_somebody_else_put_wrong_is_all_told(inventory: Inventory) -> None:
    for mac, extensions in ((FIRST, ("101", "911")), (SECOND, ("101", "1012", "411"))):
        lines = tuple(Line(extension=each) for each in extensions)
        put(inventory, Phone(id=mac, vendor="yealink", model="T46S", lines=lines))
    put(inventory, Number(id="+14155550100", label="x", extension="150"))
    assert list(plan.problems(inventory.snapshot())) == [
        "101 is on more than one line",
        "101 and 1012, which is in use, begin alike",
        "1012 has not the 3 digits of this practice's extensions",
        "411 collides with the service code 411",
        "911 begins with 9, which is kept for outside calls and emergencies",
        "+14155550100 leads to 150, which no phone has",
    ]


# many at once

ADOPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from provisioner.phones.adopt import adopt
from provisioner.store.inventory import Inventory

inventory = Inventory.open(Path(sys.argv[1]), busy_seconds=60)
print("ready", flush=True)
sys.stdin.readline()

def one(number):
    mac = f"0015650{sys.argv[2]}{number:04x}"
    return adopt(inventory, mac, "yealink", "T46S", "process " + sys.argv[2]).lines[0].extension

with ThreadPoolExecutor(4) as threads:
    print(*threads.map(one, range(8)))
"""


def test_processes_and_threads_that_want_the_next_one_at_once_all_get_another(
    inventory: Inventory, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", ADOPT, str(tmp_path / "inventory.db")]
    processes = [
        subprocess.Popen([*command, str(each)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for each in range(4)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    given = [each for process in processes for each in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0] * 4
    expected: list[str] = []
    for _ in range(32):
        expected.append(next_extension(expected, 3))
    assert sorted(given) == sorted(expected)
    assert inventory.snapshot().extensions() == sorted(expected)


def test_one_extension_that_many_threads_want_is_given_once(inventory: Inventory) -> None:
    def one(number: int) -> str:
        try:
            return give(inventory, f"00156500{number:04x}", "107")
        except OperatorError as error:
            return str(error)

    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(one, range(16)))
    assert sorted(said) == ["107", *["107 is in use: choose another"] * 15]
