"""`provisioner phones identify`, `welcome` and `quarantine`: what they print."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provisioner import demo, ipc
from provisioner.cli import main
from provisioner.errors import OperatorError
from provisioner.store.inventory import Inventory
from provisioner.store.records import Credential

ROW = {
    "source": "0200000000ff",
    "mac": "0200000000ff",
    "address": "192.0.2.66",
    "reason": "sweep",
    "until": 1_790_000_000,
    "hits": 7,
}
AGENTS = (
    b"FileTransport PolycomVVX-VVX_411-UA/5.9.6.2327 Type/Application\r\n"
    b"Yealink SIP-T46S 66.85.0.5 00:15:65:00:01:02\n"
    b"\xff\xfe\x00\n"
    b"\n"
    b"Grandstream Model HW GRP2601W SW 1.0.7.32 DevId EC:74:D7:89:1A:76"
)
NOBODY = {"vendor": None, "model": None, "firmware": None, "mac": None}
FOUND = [
    {"vendor": "polycom", "model": "VVX 411", "firmware": "5.9.6.2327", "mac": None},
    {"vendor": "yealink", "model": "T46S", "firmware": "66.85.0.5", "mac": "001565000102"},
    NOBODY,
    NOBODY,
    {"vendor": "grandstream", "model": "GRP2601W", "firmware": "1.0.7.32", "mac": "ec74d7891a76"},
]


class Input:
    """Standard input of bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize("name", ["-", "file"])
def test_identify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr("sys.stdin", Input(AGENTS))
    if name == "file":
        (tmp_path / "agents").write_bytes(AGENTS)
        name = str(tmp_path / "agents")
    assert main(["phones", "identify", "--json", name]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == FOUND


def test_identify_as_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", Input(AGENTS))
    assert main(["phones", "identify"]) == 0
    rows = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["vendor", "polycom", "yealink", "-", "-", "grandstream"]


def test_nothing_to_identify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", Input(b""))
    assert main(["phones", "identify"]) == 0
    assert capsys.readouterr().out == ""


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """What is asked of the front, and who is in quarantine there."""
    rows, asked = [ROW], []

    def ask(path: Path, call: str, args: dict[str, Any] | None = None, **_more: Any) -> dict[str, Any]:
        asked.append((path.stem, call, args))
        if call == "quarantine":
            return {"quarantine": rows}
        if call == "release" and args != {"source": ROW["source"]}:
            raise ipc.Refused(str(OperatorError("it is not in quarantine", "look at the list")))
        return dict(args or {})

    monkeypatch.setattr(ipc, "ask", ask)
    monkeypatch.setenv("PROVISIONER_STATE", str(tmp_path))
    return rows, asked


def test_quarantine_list(front: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phones", "quarantine", "list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["source", "address", "reason", "until", "hits"]
    assert row.split()[:3] + row.split()[-1:] == ["0200000000ff", "192.0.2.66", "sweep", "7"]
    assert main(["phones", "quarantine", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [ROW]
    front[0].clear()
    assert main(["phones", "quarantine", "list"]) == 0
    assert capsys.readouterr().out == "Nobody is in quarantine.\n"


def test_release(front: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phones", "quarantine", "release", "02:00:00:00:00:FF"]) == 0
    assert capsys.readouterr().out == "0200000000ff may ask again.\n"
    assert main(["phones", "quarantine", "release", "--json", "0200000000ff"]) == 0
    assert json.loads(capsys.readouterr().out) == {"source": "0200000000ff"}
    assert main(["phones", "quarantine", "release", "192.0.2.1"]) == 1
    assert capsys.readouterr().err == "provisioner: it is not in quarantine: look at the list\n"


def test_welcome(front: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(Inventory.open(tmp_path / "inventory.db")) as inventory:
        demo.seed(inventory, "sip:127.0.0.1:5080")
        assert main(["phones", "welcome", "00:15:65:00:01:02"]) == 0
        held = inventory.get(Credential, "001565000102")
        assert held
        assert held[0].welcome_until > 0
    assert "welcome until: " in capsys.readouterr().out
    assert main(["phones", "welcome", "001565000199"]) == 2
    assert "No phone with this address is adopted" in capsys.readouterr().err
