"""Adoption: what a phone gets, and every reason why it gets nothing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from provisioner.errors import OperatorError
from provisioner.phones.adopt import (
    PASSWORD_LENGTH,
    PATH_LENGTH,
    WELCOME_SECONDS,
    adopt,
    new_password,
    welcome,
)
from provisioner.store.inventory import Inventory
from provisioner.store.records import Credential, Line, Number, Phone, Practice, Record

PRACTICE = Practice(id="practice", name="Elm Street Clinic", main_number="+14155550100")


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    opened = Inventory.open(tmp_path / "inventory.db")
    put(opened, PRACTICE)
    yield opened
    opened.close()


def put(inventory: Inventory, *records: Record) -> None:
    with inventory.change(who="test") as change:
        for record in records:
            change.put(record)


def number(last: str, **more: str) -> Number:
    status = more.pop("address_status", "registered")
    return Number(
        id=f"+14155550{last}",
        label=f"Room {last}",
        location="main",
        address_status=status,
        **more,  # type: ignore[arg-type]
    )


def test_a_phone_gets_an_extension_a_number_and_secrets(inventory: Inventory) -> None:
    put(inventory, number("100", ring_group="all"), number("101", extension="205"), number("102"))
    phone = adopt(inventory, "00:04:F2:00:01:01", "polycom", "vvx_411", "anna")
    assert phone == Phone(
        id="0004f2000101",
        vendor="polycom",
        model="VVX 411",
        lines=(Line(extension="100", number="+14155550102", name="Room 102"),),
        location="main",
    )
    found = inventory.snapshot()
    assert found.phones == {phone.id: phone}
    assert found.numbers["+14155550102"].extension == "100"
    credential = found.credentials[phone.id]
    assert credential.lines[0].auth_user == phone.id
    secrets = {credential.lines[0].password, credential.admin_password, credential.user_password}
    assert len(secrets) == 3
    assert all(len(each) == PASSWORD_LENGTH and each.isascii() and each.isalnum() for each in secrets)
    assert {row.who for row in inventory.audit() if row.kind == "phone"} == {"anna"}
    assert not any(secret in str(inventory.audit()) for secret in secrets)


def test_the_next_one_gets_the_next(inventory: Inventory) -> None:
    extensions = [
        adopt(inventory, f"0015650001{index:02x}", "yealink", "T46S", "anna").lines[0].extension
        for index in range(13)
    ]
    assert extensions == [*map(str, range(100, 112)), "113"]


def test_a_wanted_extension_brings_its_own_number(inventory: Inventory) -> None:
    put(inventory, number("101"), number("107", extension="107"))
    phone = adopt(inventory, "000b82000103", "grandstream", "GXP2170", "anna", extension="107")
    assert phone.lines == (Line(extension="107", number="+14155550107", name="Room 107"),)


@pytest.mark.parametrize(
    ("mac", "vendor", "model", "extension", "words"),
    [
        ("0004f200010", "polycom", "VVX 411", "", "is not a MAC address: give twelve hex digits"),
        ("0004f2000101", "polycom", "VVX 9000", "", "no template for polycom VVX 9000"),
        ("0004f2000101", "acme", "VVX 411", "", "no template for acme VVX 411"),
        ("0004f2000199", "polycom", "VVX 411", "", "is adopted already"),
        ("0004f2000101", "polycom", "VVX 411", "101", "101"),
        ("0004f2000101", "polycom", "VVX 411", "911", "911"),
        ("0004f2000101", "polycom", "VVX 411", "1001", "1001"),
    ],
)
def test_reasons(inventory: Inventory, mac: str, vendor: str, model: str, extension: str, words: str) -> None:
    put(
        inventory, Phone(id="0004f2000199", vendor="polycom", model="VVX 411", lines=(Line(extension="101"),))
    )
    before = inventory.snapshot()
    with pytest.raises(OperatorError) as caught:
        adopt(inventory, mac, vendor, model, "anna", extension)
    assert words in str(caught.value)
    assert inventory.snapshot() == before


def test_staff_may_adopt_whatever_the_policy(inventory: Inventory) -> None:
    put(inventory, Practice(id="practice", name="x", main_number="+14155550100", adoption="adopted"))
    assert adopt(inventory, "0004f2000101", "polycom", "VVX 411", "anna").lines[0].extension == "100"


def test_an_adopted_phone_gets_what_it_proves_itself_with(inventory: Inventory) -> None:
    adopt(inventory, "0004f2000101", "polycom", "VVX 411", "anna", now=lambda: 1000.0)
    held = inventory.snapshot().credentials["0004f2000101"]
    assert held.http_user == "0004f2000101"
    assert len({held.http_password, held.path_secret, held.admin_password, held.lines[0].password}) == 4
    assert re.fullmatch(f"[a-z0-9]{{{PATH_LENGTH}}}", held.path_secret)
    assert held.welcome_until == 1000.0 + WELCOME_SECONDS


def test_welcome_again(inventory: Inventory) -> None:
    adopt(inventory, "0004f2000101", "polycom", "VVX 411", "anna", now=lambda: 1000.0)
    before = inventory.snapshot().credentials["0004f2000101"]
    welcome(inventory, "00:04:F2:00:01:01", "anna", now=lambda: 2000.0)
    after = inventory.snapshot().credentials["0004f2000101"]
    assert after == msgspec.structs.replace(before, welcome_until=2000.0 + WELCOME_SECONDS)
    with pytest.raises(OperatorError, match="no adopted phone 0004f2000199: adopt it"):
        welcome(inventory, "0004f2000199", "anna")


def test_before_there_is_a_practice(tmp_path: Path) -> None:
    empty = Inventory.open(tmp_path / "inventory.db")
    with pytest.raises(OperatorError, match="no practice yet"):
        adopt(empty, "0004f2000101", "polycom", "VVX 411", "anna")
    empty.close()


def test_randomness_is_passed_in(inventory: Inventory) -> None:
    letters = itertools.cycle("abc")
    adopt(inventory, "0004f2000101", "polycom", "VVX 411", "anna", choose=lambda _all: next(letters))
    found = inventory.get(Credential, "0004f2000101")
    assert found
    assert found[0].lines[0].password == "abc" * 8
    assert new_password() != new_password()
