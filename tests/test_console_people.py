"""`provisioner users`, `provisioner tokens` and `provisioner audit`: what they print, do and refuse."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provisioner import cli, demo
from provisioner.paths import StateDir
from provisioner.people.passwords import Bench
from provisioner.people.users import secret
from provisioner.phones import editing
from provisioner.store.inventory import Inventory

GOOD = "window onion tractor"


class Console:
    """Commands in the demo practice, without anything running."""

    def __init__(
        self, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.root, self.capsys, self.monkeypatch = root, capsys, monkeypatch

    def __call__(self, *words: str, code: int = 0, typed: str = "") -> str:
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert cli.main([*words, "--state", str(self.root)]) == code
        said = self.capsys.readouterr()
        return said.out + said.err

    def json(self, *words: str, typed: str = "") -> Any:
        return json.loads(self(*words, "--json", typed=typed))

    def open(self) -> Any:
        return closing(Inventory.open(StateDir(self.root).inventory))


@pytest.fixture
def console(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Console:
    it = Console(tmp_path, capsys, monkeypatch)
    with it.open() as inventory:
        demo.seed(inventory, "sip:127.0.0.1:5099")
    return it


def test_users(console: Console):
    assert "No user yet" in console("users", "list")
    made = console.json(
        "users",
        "add",
        "Anna",
        "--role",
        "administrator",
        "--full-name",
        "Anna L.",
        "--stdin",
        typed=f"{GOOD}\n",
    )
    assert made == {
        "login": "anna", "name": "Anna L.", "role": "administrator", "language": "browser",
        "second_factor": False, "disabled": False,
    }  # fmt: skip
    assert "10 or more" in console("users", "add", "bert", "--stdin", typed="short\n", code=2)
    assert "bert is viewer" in console("users", "add", "bert", "--stdin", typed=f"{GOOD}\n")
    assert console.json("users", "role", "bert", "operator")["role"] == "operator"
    assert "may not sign in" in console("users", "disable", "Bert")
    assert "bert is operator." in console("users", "enable", "bert")
    assert "another password" in console(
        "users", "password", "bert", "--stdin", typed="a quite different one\n"
    )
    with console.open() as inventory:
        assert Bench().same(secret(inventory, "bert").password, "a quite different one")
    assert "password alone" in console("users", "one-factor", "bert")
    assert [row["login"] for row in console.json("users", "list")] == ["anna", "bert"]
    assert "anna" in console("users", "list")
    assert "nobody would be left" in console("users", "remove", "anna", code=1)
    assert "removed" in console("users", "remove", "bert")
    assert "There is no user of that name" in console("users", "remove", "bert", code=2)


def test_tokens(console: Console):
    assert "No API token" in console("tokens", "list")
    made = console.json("tokens", "add", "grafana", "--scope", "metrics:read", "--days", "0")
    other = console("tokens", "add", "tool", "--role", "administrator").strip()
    with console.open() as inventory:
        assert inventory.check_token("api", made["token"]) == "viewer"
        assert inventory.check_token("api", other) == "administrator"
    rows = console.json("tokens", "list")
    assert [(row["name"], row["scopes"], row["expires"] is None) for row in rows] == [
        ("tool", [], False),
        ("grafana", ["metrics:read"], True),
    ]
    shown = console("tokens", "list")
    assert other not in shown
    assert "all" in shown
    assert "already" in console("tokens", "add", "tool", code=2)
    assert "metrics:all" in console("tokens", "add", "x", "--scope", "metrics:all", code=2)
    assert "tool is good no more" in console("tokens", "revoke", str(rows[0]["number"]))
    assert "no such token" in console("tokens", "revoke", str(rows[0]["number"]), code=2)


def test_audit_and_undo(console: Console):
    with console.open() as inventory:
        group = editing.put_group(inventory, "Nurses", "bert")
        editing.put_group(inventory, "Doctors", "carl", group.id)
    said = console("audit", "--kind", "phone_group")
    assert "Name: Nurses -> Doctors" in said
    rows = console.json("audit", "--who", "carl")
    assert [(row["kind"], row["done"], row["before"]["name"], row["after"]["name"]) for row in rows] == [
        ("phone_group", "changed", "Nurses", "Doctors")
    ]
    change = rows[0]["change"]
    assert "changed since" in console("audit", "undo", str(change - 1), code=1)
    done = console.json("audit", "undo", str(change))["change"]
    assert console.json("audit", "--id", group.id, "--limit", "1")[0]["after"]["name"] == "Nurses"
    assert "as it was before" in console("audit", "undo", str(done))
    assert "Nothing of this" in console("audit", "--search", "zzzzz")
    assert "Nothing of this" in console("audit", "--since", "2100-01-01")
    assert "is no date" in console("audit", "--since", "soon", code=2)
    assert len(console.json("audit", "--search", "Doctors")) >= 2
