"""`provisioner protection`: the bans on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provisioner import ipc
from provisioner.cli import main
from provisioner.errors import OperatorError

BAN = {"source": "192.0.2.66", "reason": "flood", "until": 1_790_000_000, "hits": 7}


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """What is asked of the edge, and its one ban."""
    bans, asked = [BAN], []

    def ask(path: Path, call: str, args: dict[str, Any] | None = None, **_more: Any) -> dict[str, Any]:
        asked.append((path.stem, call, args))
        if call == "status":
            return {"bans": bans}
        if args != {"source": BAN["source"]}:
            raise ipc.Refused(
                str(OperatorError("that address is not banned", "look at the list, the ban may have ended"))
            )
        return dict(args)

    monkeypatch.setattr(ipc, "ask", ask)
    monkeypatch.setenv("PROVISIONER_STATE", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    return bans, asked


def test_bans_are_listed(edge: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protection", "list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["source", "reason", "until", "hits"]
    assert row.split()[:2] + row.split()[-1:] == ["192.0.2.66", "flood", "7"]


def test_as_json(edge: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protection", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [BAN]


def test_none(edge: Any, capsys: pytest.CaptureFixture[str]) -> None:
    edge[0].clear()
    assert main(["protection", "list"]) == 0
    assert capsys.readouterr().out == "No address is shut out.\n"


@pytest.mark.parametrize(
    ("more", "said"), [([], "192.0.2.66 is let in again.\n"), (["--json"], '{"source":"192.0.2.66"}\n')]
)
def test_unban(edge: Any, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    assert main(["protection", "unban", "192.0.2.66", *more]) == 0
    assert capsys.readouterr().out == said
    assert edge[1] == [("edge", "unban", {"source": "192.0.2.66"})]


def test_what_is_not_banned_is_one_line(edge: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protection", "unban", "192.0.2.1"]) == 1
    assert capsys.readouterr().err == (
        "provisioner: that address is not banned: look at the list, the ban may have ended\n"
    )


def test_without_an_edge_it_is_one_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protection", "list", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
