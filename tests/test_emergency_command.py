"""`provisioner emergency check`: what it prints, and how it exits."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from provisioner import cli, console_emergency, demo
from provisioner.emergency import matrix
from provisioner.ipc import Gone
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Practice, Reading, Registration

UP = {"transport": "UDP", "address": "192.0.2.1:5060", "up": True, "problem": ""}
EDGE: dict[str, Any] = {
    "trunks": [{"id": "core", "up": True, "gateways": [UP]}, {"id": "backup", "up": True, "gateways": [UP]}],
    "registrations": [
        {"extension": extension, "address": "10.0.0.9:5060"} for extension in ("101", "102", "103")
    ],
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    """The demo practice, whose phones have called 933, and an edge that answers."""
    state = StateDir.create(tmp_path / "state")
    inventory = Inventory.open(state.inventory)
    demo.seed(inventory, "sip:127.0.0.1")
    snapshot = inventory.snapshot()
    inventory.close()
    journal = Journal.open(state.journal)
    now = time.time()
    for phone in snapshot.phones.values():
        extension = phone.lines[0].extension
        matters = matrix.matters(snapshot, phone, phone.lines[0], "10.0.0.0/24")
        row = {"id": f"t{extension}", "kind": "emergency-test", "at": now, "answered": now, "ended": now}
        row |= {"extension": extension, "mac": phone.id, "outcome": "ended", "body": {"matters": matters}}
        journal.write("emergencies", row)
    assert journal.flush()
    journal.close()
    monkeypatch.setattr(console_emergency.ipc, "ask", lambda *_asked: EDGE)
    return state


def run(state: StateDir, *words: str, code: int) -> None:
    assert cli.main(["emergency", "check", "--state", str(state.root), *words]) == code


def test_all_ready(state: StateDir, capsys: pytest.CaptureFixture[str]) -> None:
    run(state, code=0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "route 1: core at 192.0.2.1:5060 UDP, answers"
    assert [line.partition(":")[0] for line in lines[2:]] == ["ready"] * 3
    assert "shows +14155550101" in lines[2]


def test_json(state: StateDir, capsys: pytest.CaptureFixture[str]) -> None:
    run(state, "--json", code=0)
    told = json.loads(capsys.readouterr().out)
    assert told["level"] == "good"
    assert [row["test"]["passed"] for row in told["phones"]] == [True] * 3


def test_a_dead_edge_is_red(
    state: StateDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_asked: object) -> None:
        raise Gone("the edge process does not answer")

    monkeypatch.setattr(console_emergency.ipc, "ask", gone)
    run(state, code=1)
    assert capsys.readouterr().out.startswith("NOT READY: The call process does not answer")


def test_it_says_where_help_goes_and_when_that_was_confirmed(
    state: StateDir, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory = Inventory.open(state.inventory)
    with inventory.change("test") as change:
        number = "+14155550101"
        reading = Reading(at=1_790_000_000.0, status="registered")
        change.put(Registration(id=number, provider="core", state="registered", reading=reading))
        practice = change.get(Practice, "practice")
        assert practice
        change.put(replace(practice[0], time_zone="Moon/Sea"))  # as of a newer system: told in UTC
    inventory.close()
    run(state, code=0)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if ": 101 " in line]
    assert "San Francisco, CA 94107, confirmed: 2026-09-21 14:13, last 933: 2" in line
