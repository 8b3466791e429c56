"""The evidence of emergency calls lies in tables of its own: it outlasts retention, copies and newer versions."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from provisioner import console_emergency
from provisioner.cli import cli
from provisioner.emergency import evidence
from provisioner.errors import UsageError
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Practice

DAY = 86_400.0
START = 1_767_254_400.0  # 2026-01-01 00:00 in California


def row(name: str, at: float, kind: str = "emergency-test", **more: Any) -> dict[str, Any]:
    routes = [
        {"at": 0.0, "trunk": "core", "address": "192.0.2.1:5060", "location": "value", "result": "answered"}
    ]
    body = {
        "name": "Room 2",
        "location": "Main",
        "known": True,
        "doubt": "",
        "origin": "schedule",
        "routes": routes,
    }
    return {
        "id": name, "kind": kind, "at": at, "mac": "0004f2000102", "extension": "102", "number": "+14155550102",
        "answered": at + 2, "ended": at + 32, "outcome": "read back", "body": body, **more,
    }  # fmt: skip


def notice(name: str, call: str, at: float, state: str = "delivered") -> dict[str, Any]:
    return {
        "id": name, "call": call, "at": at, "channel": "webhook", "target": "hooks.example", "occasion": "placed",
        "state": state, "tries": 1, "due": at, "problem": "" if state == "delivered" else "the server answered 500",
        "body": {"to": "https://hooks.example/secret-path"},
    }  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """A year of tests of one line each week, a 911 call and one to 988."""
    state = StateDir.create(tmp_path / "state")
    inventory = Inventory.open(state.inventory)
    with inventory.change("test") as change:
        change.put(Practice(id="practice", name="Demo", main_number=""))
    inventory.close()
    journal = Journal.open(state.journal)
    for week in range(52):
        journal.write("emergencies", row(f"t{week}", START + week * 7 * DAY))
    journal.write("emergencies", row("real", START + 100 * DAY, "emergency"))
    nobody = {"mac": "", "extension": "", "number": "", "body": {"called": "988", "routes": []}}
    journal.write("emergencies", row("crisis", START + 101 * DAY, "crisis", **nobody))
    journal.write("notices", notice("n1", "real", START + 100 * DAY))
    journal.write("notices", notice("n2", "real", START + 100 * DAY, "given up"))
    assert journal.flush()
    journal.close()
    return state


def export(
    state: StateDir, file: Path, first: str = "2026-01-01", last: str = "2026-12-31"
) -> dict[str, bytes]:
    span = ["--from", first, "--to", last] if first else []
    arguments = ["emergency", "export", "--state", str(state.root), *span, str(file)]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_a_year_is_one_command(state: StateDir, tmp_path: Path) -> None:
    files = export(state, tmp_path / "year.zip")
    calls = json.loads(files["calls.json"])
    assert len(calls) == 54
    assert files["calls.csv"].decode().count("\r\n") == 55
    summary = files["summary.txt"].decode()
    assert "Calls to 911: 1, answered: 1" in summary
    assert "Calls to 933: 52, answered: 52" in summary
    assert "Calls to 988: 1, answered: 1" in summary
    assert "Notices that were not delivered: 1" in summary
    for line in files["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert sha256(files[name]).hexdigest() == digest
    assert all(b"secret-path" not in data for data in files.values())
    crisis = next(call for call in calls if call["kind"] == "crisis")
    assert not any(crisis[name] for name in ("mac", "extension", "number"))


def test_without_days_it_is_the_last_year(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_emergency.time, "time", lambda: START + 370 * DAY)
    calls = json.loads(export(state, tmp_path / "last.zip", "")["calls.json"])
    assert [call["id"] for call in calls][:2] == ["t1", "t2"]
    assert len(calls) == 53


def test_only_the_days_that_are_asked_for(state: StateDir, tmp_path: Path) -> None:
    files = export(state, tmp_path / "week.zip", "2026-01-01", "2026-01-08")
    assert [call["id"] for call in json.loads(files["calls.json"])] == ["t0", "t1"]
    first = export(state, tmp_path / "day.zip", "2026-01-01", "2026-01-01")
    assert [call["id"] for call in json.loads(first["calls.json"])] == ["t0"]


def evidence_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: files[name] for name in ("calls.csv", "calls.json", "lines.json")}


def test_it_survives_backup_and_restore(state: StateDir, tmp_path: Path) -> None:
    before = evidence_of(export(state, tmp_path / "a.zip"))
    shutil.copytree(state.root, tmp_path / "copy")
    shutil.rmtree(state.root)
    shutil.copytree(tmp_path / "copy", state.root)
    assert evidence_of(export(state, tmp_path / "b.zip")) == before


def test_it_survives_the_retention_of_the_other_tables(state: StateDir, tmp_path: Path) -> None:
    before = evidence_of(export(state, tmp_path / "a.zip"))
    with sqlite3.connect(state.journal) as connection:
        connection.execute("DELETE FROM calls")
        connection.execute("DELETE FROM requests")
    connection.close()
    journal = Journal.open(state.journal, clock=lambda: START + 3000 * DAY)
    journal.write("requests", {"at": START + 3000 * DAY, "path": "/x"})
    assert journal.flush()
    journal.close()
    assert evidence_of(export(state, tmp_path / "b.zip")) == before


def test_a_journal_of_the_version_before_keeps_what_its_call_log_knew(tmp_path: Path) -> None:
    state = StateDir.create(tmp_path / "state")
    journal = Journal.open(state.journal)
    call = {
        "id": "c1", "started": START, "answered": START + 1, "ended": START + 9, "direction": "emergency",
        "caller": "102", "called": "911", "desk": "102", "target": "", "outcome": "ended", "emergency": 1,
        "steps": [[1.0, "talking"]],
    }  # fmt: skip
    journal.write("calls", call)
    journal.write("calls", {**call, "id": "c2", "called": "988", "caller": "103", "desk": "103"})
    journal.write("calls", {**call, "id": "c3", "called": "101", "emergency": 0})
    assert journal.flush()
    journal.close()
    with sqlite3.connect(state.journal) as connection:
        connection.execute("DROP TABLE emergencies")
        connection.execute("DROP TABLE notices")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'emergencies'")
    connection.close()
    journal = Journal.open(state.journal)
    rows = {each["id"]: each for each in journal.emergencies()}
    journal.close()
    assert rows.keys() == {"c1", "c2"}
    assert (rows["c1"]["kind"], rows["c1"]["extension"], rows["c1"]["answered"]) == (
        "emergency",
        "102",
        START + 1,
    )
    assert rows["c1"]["body"]["steps"] == [[1.0, "talking"]]
    assert (rows["c2"]["kind"], rows["c2"]["extension"]) == ("crisis", "")
    assert "103" not in json.dumps(rows["c2"])


def test_the_log_on_the_command_line(state: StateDir) -> None:
    where = ["--state", str(state.root)]
    shown = CliRunner().invoke(cli, ["emergency", "log", *where], catch_exceptions=False).output
    assert len(shown.splitlines()) == 55
    row = next(line for line in shown.splitlines() if "server answered 500" in line)
    for each in ("102", "Main", "+14155550102", "read back"):
        assert each in row
    head = shown.splitlines()[0]
    assert row[head.index("not told") :].startswith("webhook hooks.example: the server answered 500")
    assert row[head.index(" told") + 1 :].startswith("webhook hooks.example (")
    told = json.loads(CliRunner().invoke(cli, ["emergency", "log", "--json", *where]).output)["items"]
    assert len(told) == 54
    assert "the server answered 500" in json.dumps(told)
    assert "secret-path" not in json.dumps(told)


def test_what_a_spreadsheet_could_run_is_text() -> None:
    assert (
        evidence.as_csv([{"a": "=1+1", "b": "+14155550102"}], ("a", "b")).splitlines()[1]
        == "'=1+1,+14155550102"
    )


@pytest.mark.parametrize(("first", "last"), [("x", "2026-01-01"), ("2026-01-01", "")])
def test_days_that_are_none(first: str, last: str) -> None:
    with pytest.raises(UsageError):
        evidence.days(first, last, "UTC")


def test_the_newest_tests_of_each_line(tmp_path):
    log = Journal.open(tmp_path / "journal.db")
    for number, (extension, at, more) in enumerate(
        (
            ("101", 1, {}),
            ("101", 3, {}),
            ("101", 2, {}),
            ("102", 9, {}),
            ("101", 8, {"ended": None}),
            ("103", 4, {"kind": "emergency"}),
        )
    ):
        log.write("emergencies", {**row(f"t{number}", float(at)), "extension": extension, **more})
    assert log.flush()
    assert [(one["extension"], one["at"]) for one in log.tests(1)] == [("101", 3.0), ("102", 9.0)]
    assert [one["at"] for one in log.tests(2, ["101", "104"])] == [2.0, 3.0]
    assert [one["id"] for one in log.newest_emergencies(2, 2.0, 9.0)] == ["t4", "t5"]
    log.close()
