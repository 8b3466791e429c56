"""Changes of many phones: what is shown before is what is done, in one transaction, and no two get the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.errors import UsageError
from provisioner.phones import many
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.many import Wish
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    Credential,
    HeldExtension,
    Line,
    Location,
    Number,
    Phone,
    PhoneGroup,
    Practice,
    RetiredPhone,
    RingGroup,
)

NOW = 1_790_000_000.0
CATALOGUE = Catalogue()
ONE, TWO, THREE, FOUR = (f"00156500020{digit}" for digit in range(1, 5))
WAITING = {mac: {"vendor": "yealink", "model": "T46S"} for mac in (ONE, TWO, THREE)}


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    inventory = Inventory.open(tmp_path / "inventory.db", clock=lambda: NOW)
    with inventory.change(who="test") as change:
        change.put(Practice(id="practice", name="Clinic", main_number="+14155550100"))
        change.put(Location(id="lab", name="Lab", civic={}))
        change.put(PhoneGroup(id="g1", name="Nurses"))
        change.put(Number(id="+14155550121", label="Nurse", location="lab", address_status="registered"))
        line = Line(extension="120", name="Desk")
        change.put(Phone(id=FOUR, vendor="yealink", model="T46S", lines=(line,)))
        change.put(RingGroup(id="main", name="Main", members=("120",)))
    yield inventory
    inventory.close()


def shown(inventory, wish):
    return many.preview(inventory.snapshot(), wish, CATALOGUE, WAITING, NOW)


def done(inventory, wish):
    return many.apply(inventory, wish, "nurse", CATALOGUE, WAITING, now=lambda: NOW)


def test_adopting_many_gives_each_its_own_and_is_one_change(inventory):
    wish = Wish(action="adopt", macs=(ONE, TWO, THREE), extensions={THREE: "100"}, group="g1")
    before = inventory.snapshot_revision()
    told = shown(inventory, wish)
    assert inventory.snapshot_revision() == before
    assert [each.mac for each in told] == [ONE, TWO, THREE]
    assert [each.extension for each in told] == ["101", "102", "100"]
    # The number goes to the first that is given one: who typed an extension is served first.
    assert ("number", "", "+14155550121") in told[2].changes
    assert done(inventory, wish) == told
    after = inventory.snapshot()
    assert after.revision == before + 1
    assert [after.phones[mac].lines[0].extension for mac in (ONE, TWO, THREE)] == ["101", "102", "100"]
    assert {after.phones[mac].group for mac in (ONE, TWO, THREE)} == {"g1"}
    assert after.numbers["+14155550121"].extension == "100"
    assert all(after.credentials[mac].lines[0].password for mac in (ONE, TWO, THREE))
    assert {row.who for row in inventory.audit(100) if row.revision == after.revision} == {"nurse"}


@pytest.mark.parametrize(
    ("mac", "extension", "why"),
    [
        (FOUR, "", "adopted already"),
        ("ffffffffffff", "", "has not asked"),
        (ONE, "120", "120"),
        (ONE, "1x", "digits only"),
        (ONE, "911", "911"),
    ],
)
def test_who_cannot_be_adopted_is_left_out_and_the_others_are(inventory, mac, extension, why):
    wish = Wish(action="adopt", macs=(mac, TWO), extensions={mac: extension} if extension else {})
    told = done(inventory, wish)
    assert why in told[0].problem
    assert not told[1].problem
    assert set(inventory.snapshot().phones) == {FOUR, TWO}


def test_a_model_that_nobody_knows_is_left_out(inventory):
    waiting = {ONE: {"vendor": "yealink", "model": ""}}
    wish = Wish(action="adopt", macs=(ONE,))
    (told,) = many.preview(inventory.snapshot(), wish, CATALOGUE, waiting, NOW)
    assert "which model" in told.problem
    with pytest.raises(UsageError, match=r"Nothing was changed: .*which model"):
        many.apply(inventory, wish, "nurse", CATALOGUE, waiting, now=lambda: NOW)


def test_assigning_says_what_changes_and_leaves_the_rest(inventory):
    wish = Wish(action="assign", macs=(FOUR, ONE), group="g1", location="lab", front_desk=True)
    told = done(inventory, wish)
    assert told[0].changes == [("group", "", "Nurses"), ("location", "", "Lab"), ("front desk", "no", "yes")]
    assert told[1].problem == "it is not adopted"
    phone = inventory.snapshot().phones[FOUR]
    assert (phone.group, phone.location, phone.front_desk) == ("g1", "lab", True)
    again = Wish(action="assign", macs=(FOUR,), location="")
    assert done(inventory, again)[0].changes == [("location", "Lab", "")]
    assert inventory.snapshot().phones[FOUR].group == "g1"
    with pytest.raises(UsageError, match="nothing to change"):
        done(inventory, again)


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Wish(action="assign", macs=(FOUR,)), "Choose what"),
        (Wish(action="assign", macs=(FOUR,), group="g9"), "no such group"),
        (Wish(action="assign", macs=(FOUR,), location="moon"), "no such location"),
        (Wish(action="retire", macs=()), "Tick"),
    ],
)
def test_what_cannot_be_meant(inventory, wish, why):
    with pytest.raises(UsageError, match=why):
        shown(inventory, wish)


def test_retiring_many(inventory):
    done(inventory, Wish(action="adopt", macs=(ONE,), extensions={ONE: "121"}))
    wish = Wish(action="retire", macs=(FOUR, ONE, TWO))
    told = shown(inventory, wish)
    assert told[0].changes == [("becomes free", "120", "")]
    assert told[1].changes == [("becomes free", "121", ""), ("becomes free", "+14155550121", "")]
    assert told[2].problem == "it is not adopted"
    done(inventory, wish)
    after = inventory.snapshot()
    assert after.phones == {}
    assert set(after.retired_phones) == {FOUR, ONE}
    assert after.ring_groups["main"].members == ()
    assert after.numbers["+14155550121"].extension == ""
    assert inventory.all(Credential) == []
    assert {each.id for each in inventory.all(HeldExtension)} == {"120", "121"}
    assert {each.who for each in inventory.all(RetiredPhone)} == {"nurse"}
