"""Another phone in the place of one: all that was its is the other's, in one change, and what has no place is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.errors import ProvisionerError
from provisioner.phones import swap
from provisioner.phones.catalogue import Catalogue
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    Credential,
    HeldExtension,
    IgnoredPhone,
    Key,
    Line,
    LineCredential,
    Location,
    Number,
    Phone,
    PhoneSettings,
    Placement,
    Practice,
    RingGroup,
)

NOW = 1_790_000_000.0
OLD, NEW, OTHER = "001565000201", "0004f2000202", "001565000203"
CATALOGUE = Catalogue()
KEYS = (
    Key(position=2, function="blf", value="103"),
    Key(position=40, function="speed_dial", value="5550123"),
)


@pytest.fixture
def inventory(tmp_path: Path):
    inventory = Inventory.open(tmp_path / "inventory.db", clock=lambda: NOW)
    with inventory.change(who="test") as change:
        change.put(Practice(id="practice", name="Clinic", main_number="+14155550100"))
        change.put(Location(id="lab", name="Lab", civic={}))
        number = "+14155550120"
        change.put(
            Number(id=number, label="Lab", extension="120", location="lab", address_status="registered")
        )
        lines = (Line(extension="120", number=number, name="Lab"), Line(extension="121"))
        change.put(
            Phone(
                id=OLD, vendor="yealink", model="T46S", lines=lines, location="lab", front_desk=True, group="g",
                keys=KEYS, modules=("EXP40",),
            )
        )  # fmt: skip
        change.put(Phone(id=OTHER, vendor="yealink", model="T46S"))
        change.put(Credential(id=OLD, lines=(LineCredential(auth_user=OLD, password="x"),) * 2))
        change.put(PhoneSettings(id=f"phone:{OLD}", values={"poll_seconds": 1800}))
        change.put(Placement(id=OLD, location="lab", network="10.0.0.0/24", neighbour="", at=NOW, who="test"))
        change.put(RingGroup(id="main", name="Main", members=("120",)))
        change.put(IgnoredPhone(id=NEW, at=NOW, who="test"))
    yield inventory
    inventory.close()


def test_all_of_it_goes_over_in_one_change(inventory):
    before = inventory.snapshot()
    told = swap.plan(before, OLD, "00:04:F2:00:02:02", "polycom", "VVX 411", CATALOGUE)
    assert told.lost_keys == (KEYS[1],)
    assert told.lost_modules == ("EXP40",)
    assert inventory.snapshot() == before
    done = swap.replace(inventory, OLD, NEW, "polycom", "VVX 411", "nurse", CATALOGUE, now=lambda: NOW)
    assert done == told
    after = inventory.snapshot()
    assert after.revision == before.revision + 1
    phone, old = after.phones[NEW], before.phones[OLD]
    assert (phone.vendor, phone.model, phone.keys, phone.modules) == ("polycom", "VVX 411", KEYS[:1], ())
    for name in ("lines", "location", "front_desk", "group"):
        assert getattr(phone, name) == getattr(old, name)
    assert OLD not in after.phones
    assert after.phone_settings.keys() == {f"phone:{NEW}"}
    assert after.placements == {}  # how it looks on the network is learnt anew
    assert after.credentials.keys() == {NEW}
    assert after.credentials[NEW].lines[0].password != "x"
    assert len(after.credentials[NEW].lines) == 2
    assert (after.numbers, after.ring_groups) == (before.numbers, before.ring_groups)
    assert after.retired_phones[OLD].who == "nurse"
    assert after.ignored_phones == {}
    assert inventory.all(HeldExtension) == []


def test_the_same_model_loses_nothing(inventory):
    told = swap.plan(inventory.snapshot(), OLD, NEW, "yealink", "T46S", CATALOGUE)
    assert (told.lost_keys, told.lost_modules, told.lost_lines) == ((), (), 0)
    assert told.phone.modules == ("EXP40",)


@pytest.mark.parametrize(
    ("mac", "by", "model", "why"),
    [
        (NEW, OTHER, "T46S", "no phone of this practice"),
        (OLD, "what", "T46S", "no MAC address"),
        (OLD, OTHER, "T46S", "adopted already"),
        (OLD, NEW, "T99", "no template"),
        (OLD, NEW, "T19P E2", "no room for 2 lines"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(inventory, mac, by, model, why):
    before = inventory.snapshot()
    with pytest.raises(ProvisionerError, match=why):
        swap.replace(inventory, mac, by, "yealink", model, "nurse", CATALOGUE, now=lambda: NOW)
    assert inventory.snapshot() == before
