"""Retirement and new secrets: nothing of the old ones is left, and what stays says what there was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.errors import OperatorError
from provisioner.phones.adopt import WELCOME_SECONDS, adopt
from provisioner.phones.retire import renew, retire
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    Credential,
    LineFeatures,
    Member,
    Number,
    Phone,
    PhoneSettings,
    Practice,
    RetiredPhone,
    RingGroup,
)

MAC, OTHER = "001565000102", "001565000103"


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    inventory = Inventory.open(tmp_path / "inventory.db", clock=lambda: 1000.0)
    with inventory.change("test") as change:
        change.put(Practice(id="practice", name="x", main_number="+14155550100"))
        change.put(Number(id="+14155550102", label="Lab", extension="102", address_status="registered"))
        change.put(Number(id="+14155550100", label="Main", ring_group="all"))
    for mac, extension in ((MAC, "102"), (OTHER, "103")):
        adopt(inventory, mac, "yealink", "T46S", "test", extension)
    with inventory.change("test") as change:
        change.put(RingGroup(id="all", name="All", members=("102", "103")))
        change.put(RingGroup(id="own", name="Own", members=(Member(target="102", seconds=5),)))
        change.put(LineFeatures(id="102", do_not_disturb=True))
        change.put(PhoneSettings(id=f"phone:{MAC}", values={"language": "English"}))
        change.put(PhoneSettings(id=f"phone:{OTHER}", values={"language": "English"}))
    yield inventory
    inventory.close()


def test_nothing_is_left_of_its_secrets(inventory: Inventory) -> None:
    gone = retire(inventory, MAC, "staff page", lambda: 1234.0)
    assert gone == RetiredPhone(
        id=MAC, vendor="yealink", model="T46S", extensions=("102",), at=1234.0, who="staff page"
    )
    snapshot = inventory.snapshot()
    assert list(snapshot.phones) == list(snapshot.credentials) == [OTHER]
    assert list(snapshot.phone_settings) == [f"phone:{OTHER}"]
    assert snapshot.retired_phones == {MAC: gone}
    assert snapshot.line("102") is None
    assert snapshot.line_features == {}


def test_its_numbers_and_groups_are_free(inventory: Inventory) -> None:
    retire(inventory, MAC, "staff page")
    snapshot = inventory.snapshot()
    assert snapshot.numbers["+14155550102"].extension == ""
    assert snapshot.numbers["+14155550100"].ring_group == "all"
    assert {name: group.members for name, group in snapshot.ring_groups.items()} == {
        "all": ("103",),
        "own": (),
    }


def test_it_is_one_change_that_says_who(inventory: Inventory) -> None:
    before = inventory.snapshot_revision()
    retire(inventory, MAC, "Kim")
    assert inventory.snapshot_revision() == before + 1
    rows = [row for row in inventory.audit() if row.revision == before + 1]
    assert {(row.kind, row.who) for row in rows} == {
        ("phone", "Kim"),
        ("credential", "Kim"),
        ("phone_setting", "Kim"),
        ("line_feature", "Kim"),
        ("number", "Kim"),
        ("ring_group", "Kim"),
        ("retired_phone", "Kim"),
        ("held_extension", "Kim"),
    }
    secret = next(row for row in rows if row.kind == "credential")
    assert (secret.before, secret.after) == ('"changed"', None)


def test_stranger_cannot_be_retired(inventory: Inventory) -> None:
    before = inventory.snapshot_revision()
    with pytest.raises(OperatorError, match="no phone of this practice"):
        retire(inventory, "001565999999", "test")
    assert inventory.snapshot_revision() == before


def test_retired_phone_may_be_adopted_again_with_other_secrets(inventory: Inventory) -> None:
    old = inventory.get(Credential, MAC)
    retire(inventory, MAC, "test")
    phone = adopt(inventory, MAC, "yealink", "T46S", "test", "102")
    assert phone.lines[0].number == "+14155550102"
    new = inventory.get(Credential, MAC)
    assert old
    assert new
    assert new[0].lines[0].password != old[0].lines[0].password


def test_new_secrets(inventory: Inventory) -> None:
    old = inventory.snapshot()
    renew(inventory, [MAC, "001565999999"], "test", now=lambda: 2000.0)
    new = inventory.snapshot()
    before, after = old.credentials[MAC], new.credentials[MAC]
    secrets = ("admin_password", "user_password", "http_password", "path_secret")
    assert all(getattr(before, name) and getattr(before, name) != getattr(after, name) for name in secrets)
    assert before.lines[0].password != after.lines[0].password
    assert after.welcome_until == 2000.0 + WELCOME_SECONDS
    assert after.lines[0].auth_user == before.lines[0].auth_user
    assert new.credentials[OTHER] == old.credentials[OTHER]
    assert new.phones == old.phones
    assert inventory.get(Phone, MAC)
