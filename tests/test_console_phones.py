"""`provisioner phones`: orders, jobs, retirement, tables on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provisioner import ipc
from provisioner.cli import main
from provisioner.phones.adopt import adopt
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Credential, Phone, Practice
from provisioner.web import sources

MAC = "001565000102"
HEAD = "MAC,Model,Name,Extension,Number\n"


@pytest.fixture
def inventory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Inventory:
    monkeypatch.setenv("PROVISIONER_STATE", str(tmp_path))
    inventory = Inventory.open(tmp_path / "inventory.db")
    with inventory.change("test") as change:
        change.put(Practice(id="practice", name="x", main_number="+14155550100"))
    adopt(inventory, MAC, "yealink", "T46S", "test", "102")
    return inventory


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """What edge and front are asked."""
    asked: list[tuple[str, str, Any]] = []

    def ask(path: Path, call: str, args: dict[str, Any] | None = None, *_more: Any) -> dict[str, Any]:
        asked.append((path.stem, call, args))
        return {"job": "feed", "refused": [], "states": {"sent": 1}}

    monkeypatch.setattr(ipc, "ask", ask)
    monkeypatch.setattr(sources, "ask", lambda path, call, args=None, timeout=0.0: ask(path, call, args))
    return asked


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["phones", *arguments]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.out + said.err


@pytest.mark.parametrize("mode", ["resync", "restart"])
def test_orders(capsys: Any, inventory: Inventory, asked: list[Any], mode: str) -> None:
    assert "job: feed" in run(capsys, mode, "00:15:65:00:01:02")
    assert json.loads(run(capsys, mode, "--all", "--json"))["job"] == "feed"
    assert asked == [
        ("edge", "resync", {"macs": [MAC], "mode": mode, "who": "console"}),
        ("edge", "resync", {"macs": "all", "mode": mode, "who": "console"}),
    ]


def test_reset_renews_secrets(capsys: Any, inventory: Inventory, asked: list[Any]) -> None:
    before = inventory.get(Credential, MAC)
    run(capsys, "reset", MAC)
    assert inventory.get(Credential, MAC) != before
    assert [call[:2] for call in asked] == [("edge", "resync"), ("edge", "reload"), ("front", "reload")]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["resync"], 2, "name some, or --all"),
        (["resync", MAC, "--all"], 2, "name some, or --all"),
        (["restart", "xyz"], 1, "That is no MAC address"),
        (["reset", "--all"], 1, "Name the phones that are to forget all"),
        (["retire", "001565999999"], 1, "no phone of this practice"),
        (["job", "none"], 2, "There is no such job"),
        (["import", "/nonexistent.csv"], 2, "does not exist"),
    ],
)
def test_wrong_use(
    capsys: Any, inventory: Inventory, asked: list[Any], arguments: list[str], code: int, words: str
) -> None:
    assert words in run(capsys, *arguments, code=code)
    assert asked == []


def test_edge_that_is_away(capsys: Any, inventory: Inventory) -> None:
    assert "the edge process does not answer" in run(capsys, "resync", MAC, code=1)


def test_jobs(capsys: Any, inventory: Inventory, tmp_path: Path) -> None:
    assert run(capsys, "jobs") == "There is none.\n"
    journal = Journal.open(tmp_path / "journal.db")
    body = {
        "extension": "102",
        "note": "It is in a call",
        "sent": 0.0,
        "status": 0,
        "files": [],
        "registered": 0.0,
    }
    row = {"job": "feed", "mac": MAC, "at": 1.7e9, "who": "Kim", "mode": "resync", "wave": 1, "state": "busy"}
    journal.write("resyncs", {**row, "body": body})
    journal.flush()
    journal.close()
    assert run(capsys, "jobs").splitlines()[1].split()[-3:] == ["Kim", "busy:", "1"]
    assert run(capsys, "job", "feed").splitlines()[1].split(maxsplit=3) == [
        MAC,
        "1",
        "busy",
        "It is in a call",
    ]
    assert json.loads(run(capsys, "job", "feed", "--json"))["items"][0]["body"] == body


def test_retire(capsys: Any, inventory: Inventory, asked: list[Any]) -> None:
    assert "extensions: 102" in run(capsys, "retire", MAC)
    assert inventory.all(Phone) == []
    assert [call[:2] for call in asked] == [("edge", "reload"), ("front", "reload")]


def test_import_and_export(capsys: Any, inventory: Inventory, asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "phones.csv"
    file.write_text(HEAD + "001565000103,T46S,Lab,103,\n001565000102,,Desk,,\n")
    assert (
        run(capsys, "import", str(file), "--dry-run") == "1 new, 1 changed, 0 as they are, 0 with problems.\n"
    )
    assert len(inventory.all(Phone)) == 1
    told = json.loads(run(capsys, "import", str(file), "--json"))
    assert [row["action"] for row in told["rows"]] == ["new", "change"]
    assert len(inventory.all(Phone)) == 2
    assert [call[:2] for call in asked] == [("edge", "reload"), ("front", "reload")]
    out = tmp_path / "out.csv"
    run(capsys, "export", str(out))
    assert run(capsys, "import", str(out)) == "0 new, 0 changed, 2 as they are, 0 with problems.\n"


def test_export_to_standard_output(capfdbinary: Any, inventory: Inventory) -> None:
    assert main(["phones", "export"]) == 0
    assert b"001565000102,Yealink T46S,,102," in capfdbinary.readouterr().out


def test_table_with_problems(capsys: Any, inventory: Inventory, asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "phones.csv"
    file.write_text(HEAD + "001565000103,T99,Lab,911,\nx,T46S,,,\n")
    said = run(capsys, "import", str(file), code=1)
    for words in (
        "line 2: There is no model",
        "line 2: 911",
        "line 3: 'x' is no MAC",
        "nothing was imported",
    ):
        assert words in said
    assert "2 with problems" in run(capsys, "import", str(file), "--dry-run", code=1)
    assert len(inventory.all(Phone)) == 1
    assert asked == []
