"""The demo practice is the one that the contract names, and is put only into an empty inventory."""

import pytest

from provisioner import demo
from provisioner.dialing.classify import Plan, classify
from provisioner.store.inventory import Inventory
from provisioner.store.records import Phone, Practice, Trunk


@pytest.fixture
def inventory(tmp_path):
    opened = Inventory.open(tmp_path / "inventory.db")
    yield opened
    opened.close()


def test_the_practice(inventory):
    demo.seed(inventory, "sip:127.0.0.1:5070")
    snapshot = inventory.snapshot()
    lines = {mac: (phone.vendor, phone.model, *phone.lines) for mac, phone in snapshot.phones.items()}
    assert {
        mac: (vendor, model, line.extension, line.number) for mac, (vendor, model, line) in lines.items()
    } == {
        "0004f2000101": ("polycom", "VVX 411", "101", "+14155550101"),
        "001565000102": ("yealink", "T46S", "102", "+14155550102"),
        "000b82000103": ("grandstream", "GXP2170", "103", "+14155550103"),
    }
    assert snapshot.practice.main_number == "+14155550100"
    assert snapshot.practice.adoption == "open"
    assert snapshot.trunks["core"] == Trunk(id="core", uri="sip:127.0.0.1:5070", profile="stand-in")
    main = snapshot.ring_groups[snapshot.numbers["+14155550100"].ring_group]
    assert (main.members, main.mode) == (("101", "102", "103"), "simultaneous")


def test_each_number_is_registered_where_its_phone_is(inventory):
    demo.seed(inventory, "sip:127.0.0.1:5070")
    snapshot = inventory.snapshot()
    assert {number.address_status for number in snapshot.numbers.values()} == {"registered"}
    for phone in snapshot.phones.values():
        assert snapshot.numbers[phone.lines[0].number].location == phone.location
    places = [snapshot.place(phone.location) for phone in snapshot.phones.values()]
    rooms = [place.civic["ROOM"] for place in places]
    streets = {(place.civic["HNO"], place.civic["RD"]) for place in places}
    assert len(set(rooms)) == 3
    assert len(streets) == 1


def test_one_number_is_free_for_the_next_phone(inventory):
    demo.seed(inventory, "sip:127.0.0.1:5070")
    free = [
        number.id
        for number in inventory.snapshot().numbers.values()
        if not number.extension + number.ring_group
    ]
    assert free == ["+14155550104"]


def test_every_number_can_be_dialled(inventory):
    demo.seed(inventory, "sip:127.0.0.1:5070")
    for number in inventory.snapshot().numbers:
        assert classify(number, "keypad", Plan()).number == number


def test_secrets_differ_from_practice_to_practice(inventory, tmp_path):
    other = Inventory.open(tmp_path / "other.db")
    demo.seed(inventory, "sip:127.0.0.1:5070")
    demo.seed(other, "sip:127.0.0.1:5070")
    secrets = [
        secret
        for each in (inventory, other)
        for one in each.snapshot().credentials.values()
        for secret in (one.lines[0].password, one.admin_password, one.user_password)
    ]
    assert len(set(secrets)) == 18
    other.close()


def test_the_second_start_changes_the_trunk_alone(inventory):
    demo.seed(inventory, "sip:127.0.0.1:5070")
    with inventory.change("test") as change:
        change.put(Trunk(id="core", uri="sip:127.0.0.1:5070", transfer="core"))
        change.delete(Phone, "0004f2000101")
    before = inventory.snapshot()
    demo.seed(inventory, "sip:127.0.0.1:5071")
    after = inventory.snapshot()
    assert after.trunks == {"core": Trunk(id="core", uri="sip:127.0.0.1:5071", transfer="core")}
    assert (after.phones, after.credentials) == (before.phones, before.credentials)
    assert inventory.get(Practice, "practice")[1] == 1
