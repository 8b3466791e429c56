"""Who has not fetched since a change: by revisions, only what is in files, and only who has fetched once."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from provisioner.phones.catalogue import Catalogue
from provisioner.phones.pending import KINDS, Changes
from provisioner.store.inventory import Inventory
from provisioner.store.records import Key, Line, Phone, PhoneGroup, PhoneSettings, Practice, RingGroup

DESK, NURSE, LAB = "0004f2000101", "001565000102", "000b82000103"


@pytest.fixture
def inventory(tmp_path: Path):
    found = Inventory.open(tmp_path / "inventory.db", clock=lambda: 100.0)
    with found.change("setup") as change:
        change.put(Practice(id="practice", name="Clinic", main_number="+14155550100"))
        change.put(PhoneGroup(id="nurses", name="Nurses"))
        for mac, vendor, model, extension, group in (
            (DESK, "polycom", "VVX 411", "101", ""),
            (NURSE, "yealink", "T46S", "102", "nurses"),
            (LAB, "grandstream", "GXP2170", "103", ""),
        ):
            line = Line(extension=extension, number="+14155550101")
            change.put(Phone(id=mac, vendor=vendor, model=model, lines=(line,), group=group))
    yield found
    found.close()


def behind(inventory, fetched=None):
    changes = Changes()
    changes.heard(inventory.audit_after(0, KINDS))
    revision = 1 if fetched is None else fetched
    served = dict.fromkeys((DESK, NURSE), revision)  # the Grandstream never fetched anything
    return {each.mac: each.changes for each in changes.behind(inventory.snapshot(), served, Catalogue())}


def change(inventory, kind, name, **values):
    with inventory.change("anna") as change:
        change.put(replace(change.get(kind, name)[0], **values))


def put(inventory, record):
    with inventory.change("anna") as change:
        change.put(record)


def test_nothing_has_changed(inventory):
    assert behind(inventory) == {}


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        ("site", {DESK, NURSE}),
        ("vendor:polycom", {DESK}),
        ("model:yealink/T46S", {NURSE}),
        ("group:nurses", {NURSE}),
        (f"phone:{DESK}", {DESK}),
        ("vendor:grandstream", set()),
    ],
)
def test_a_layer_reaches_its_phones(inventory, layer, macs):
    put(inventory, PhoneSettings(id=layer, values={"language": "es"}))
    found = behind(inventory)
    assert found.keys() == macs
    assert all((each[0].id, each[0].who, each[0].revision) == (layer, "anna", 2) for each in found.values())
    assert behind(inventory, fetched=2) == {}
    with inventory.change("anna") as gone:
        gone.delete(PhoneSettings, layer)
    assert behind(inventory, fetched=2).keys() == macs


def test_keys_of_a_group_and_the_time_zone(inventory):
    change(inventory, PhoneGroup, "nurses", keys=(Key(position=1, function="blf", value="101"),))
    assert behind(inventory).keys() == {NURSE}
    change(inventory, Practice, "practice", time_zone="America/Denver")
    found = behind(inventory)
    assert found.keys() == {DESK, NURSE}
    assert [each.kind for each in found[NURSE]] == ["practice", "phone_group"]


def test_what_is_in_no_file_is_no_change(inventory):
    change(inventory, Practice, "practice", max_calls=10)
    change(inventory, Phone, DESK, location="lab", front_desk=True)
    change(inventory, Phone, NURSE, lines=(Line(extension="102", number="+14155550102"),))
    put(inventory, RingGroup(id="main", name="Main", members=("101",)))
    assert behind(inventory) == {}


def test_a_line_of_a_phone_is(inventory):
    change(inventory, Phone, DESK, lines=(Line(extension="101", name="Front"),))
    assert behind(inventory).keys() == {DESK}


def test_who_is_retired_is_not_waited_for(inventory):
    put(inventory, PhoneSettings(id="site", values={"language": "es"}))
    with inventory.change("anna") as gone:
        gone.delete(Phone, DESK)
    assert behind(inventory).keys() == {NURSE}


def test_entries_are_read_once(inventory):
    changes = Changes()
    changes.heard(inventory.audit_after(changes.seq, KINDS))
    put(inventory, PhoneSettings(id="site", values={"language": "es"}))
    more = inventory.audit_after(changes.seq, KINDS)
    assert [entry.id for entry in more] == ["site"]
