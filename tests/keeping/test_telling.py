"""After a restore: who begins anew at once, and who when the last call has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.keeping import telling
from provisioner.paths import StateDir

ON, OVER = [{"state": "talking"}], [{"state": "ended"}]


class Processes:
    """Edge and front as `telling` sees them; `ended`: who was made to begin anew."""

    def __init__(self) -> None:
        self.calls: list[dict[str, str]] = []
        self.pids = {"edge": 41, "front": 42}
        self.ended: list[str] = []

    def ask(self, _state: StateDir, name: str, call: str) -> dict[str, Any] | None:
        return {"ping": {"pid": self.pids.get(name, 0)}, "status": {"calls": self.calls}}.get(call)

    def again(self, _state: StateDir, name: str) -> None:
        self.ended.append(name)
        self.pids[name] += 100


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    it = Processes()
    monkeypatch.setattr(telling, "_ask", it.ask)
    monkeypatch.setattr(telling, "_again", it.again)
    return it


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir.create(tmp_path / "state")


def test_without_calls_both_begin_anew_at_once(state: StateDir, processes: Processes) -> None:
    processes.calls = OVER
    assert telling.take_up(state, frozenset({"certificates"})) == []
    assert processes.ended == ["edge", "front"]
    telling.take_up_later(state)
    assert processes.ended == ["edge", "front"]


def test_the_edge_waits_for_the_last_call(state: StateDir, processes: Processes) -> None:
    processes.calls = ON
    assert telling.take_up(state, frozenset({"certificates"})) == ["edge"]
    telling.take_up_later(state)
    assert processes.ended == ["front"]
    processes.calls = OVER
    telling.take_up_later(state)
    assert processes.ended == ["front", "edge"]
    telling.take_up_later(state)
    assert processes.ended == ["front", "edge"]


def test_an_edge_that_began_anew_by_itself_is_left_alone(state: StateDir, processes: Processes) -> None:
    processes.calls = ON
    telling.take_up(state, frozenset({"certificates"}))
    processes.calls, processes.pids["edge"] = [], 77
    telling.take_up_later(state)
    assert processes.ended == ["front"]


def test_what_no_process_holds_ends_none(state: StateDir, processes: Processes) -> None:
    assert telling.take_up(state, frozenset({"inventory"})) == []
    assert processes.ended == []
