"""`provisioner extensions` and `provisioner numbers`: what they print, do and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provisioner import cli, demo
from provisioner.paths import StateDir
from provisioner.phones.retire import retire
from provisioner.store.inventory import Inventory
from provisioner.store.records import Number, Snapshot


class Console:
    """Commands in the demo practice, without anything running."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.capsys = root, capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        assert cli.main([*words, "--state", str(self.root)]) == code
        said = self.capsys.readouterr()
        return said.out + said.err

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    @property
    def inventory(self) -> Inventory:
        return Inventory.open(StateDir(self.root).inventory)

    def snapshot(self) -> Snapshot:
        inventory = self.inventory
        try:
            return inventory.snapshot()
        finally:
            inventory.close()


@pytest.fixture
def console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Console:
    state = StateDir.create(tmp_path / "state")
    inventory = Inventory.open(state.inventory)
    demo.seed(inventory, "sip:127.0.0.1")
    inventory.close()
    return Console(state.root, capsys)


def test_list(console: Console) -> None:
    lines = console("extensions", "list").splitlines()
    assert lines[0].split() == ["extension", "state", "name", "phone", "range", "until"]
    assert lines[1].split()[:4] == ["101", "in", "use", "Front"]
    assert [row["extension"] for row in console.json("extensions", "list", "billing")["items"]] == ["103"]
    assert console("extensions", "list", "nobody") == "There is none.\n"


def test_next(console: Console) -> None:
    assert console("extensions", "next", "--count", "3") == "extensions: 100, 104, 105\n"
    assert console.json("extensions", "next") == {"extensions": ["100"]}


def test_check(console: Console) -> None:
    assert console("extensions", "check") == "All extensions in use are as they should be.\n"
    assert console("extensions", "check", "104") == "104 can be given.\n"
    assert console("extensions", "check", "104", "911", "101", code=1) == (
        "104 can be given.\n911 begins with 9, which is kept for outside calls and emergencies.\n101 is in use.\n"
        "provisioner: 2 wrong: see what is said of each\n"
    )
    assert console.json("extensions", "check", "104") == {"usable": {"104": True}, "problems": []}


def test_reserve_and_release(console: Console) -> None:
    assert "name: the new nurse" in console("extensions", "reserve", "100", "the new nurse")
    assert console("extensions", "next") == "extensions: 104\n"
    assert "100 is reserved for the new nurse" in console("extensions", "reserve", "100", "x", code=1)
    assert "name: the new nurse" in console("extensions", "release", "100")
    assert "neither reserved nor in quarantine" in console("extensions", "release", "100", code=1)
    assert console.json("extensions", "reserve", "100", "x")["reason"] == "reserved"
    assert console.json("extensions", "release", "100")["id"] == "100"


def test_one_in_quarantine_is_released(console: Console) -> None:
    inventory = console.inventory
    retire(inventory, "000b82000103", "Kim")
    inventory.close()
    assert "quarantine" in console("extensions", "list", "103")
    assert "name: Billing" in console("extensions", "release", "103")


def test_ranges(console: Console) -> None:
    assert console("extensions", "ranges") == "There is none.\n"
    assert "id: 110-115" in console("extensions", "add-range", "110", "115", "Labs", "--location", "billing")
    assert console("extensions", "next", "--location", "billing") == "extensions: 110\n"
    assert [row["id"] for row in console.json("extensions", "ranges")["items"]] == ["110-115"]
    assert "it overlaps" in console("extensions", "add-range", "110", "111", "x", code=1)
    assert console("extensions", "remove-range", "110-115") == "Done.\n"


def test_length(console: Console) -> None:
    said = console("extensions", "length", "4", "--dry-run")
    assert "  - old: 101, new: 1101, name: Front desk" in said
    assert console.snapshot().practice.extension_length == 3
    assert "new: 1101" in console("extensions", "length", "4")
    assert console.snapshot().extensions() == ["1101", "1102", "1103"]
    assert "have 4 digits already" in console("extensions", "length", "4", code=1)
    assert console.json("extensions", "length", "3")["length"] == 3


@pytest.mark.rule("emergency.in-service")
def test_numbers(console: Console) -> None:
    rows = {row["id"]: row for row in console.json("numbers", "list")["items"]}
    assert rows["+14155550101"]["extension"] == "101"
    assert "+14155550104" in console("numbers", "list")
    assert "extension: 101" in console("numbers", "assign", "(415) 555-0104", "101")
    odd = console("numbers", "assign", "4155550104", "103")
    assert "is registered for Front desk, but the phone is at Billing" in odd
    assert "extension: , ring_group: ," in console("numbers", "assign", "+14155550104")
    inventory = console.inventory
    with inventory.change("test") as change:
        change.put(Number(id="+14155550105", label="New"))
    inventory.close()
    assert "is not registered, so no line may have it" in console(
        "numbers", "assign", "4155550105", "101", code=1
    )
    assert console.json("numbers", "assign", "4155550105", "main")["number"]["ring_group"] == "main"
