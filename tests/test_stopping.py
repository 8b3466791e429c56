"""`provisioner stop`: an appliance is stopped when nobody is in an emergency call."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner import ipc, stopping, supervisor
from provisioner.cli import main
from provisioner.paths import StateDir

APPLIANCE = """
import signal, sys
from provisioner.paths import StateDir
from provisioner.supervisor import only_one

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
with only_one(StateDir.create(sys.argv[1])):
    print("up", flush=True)
    signal.sigwait([signal.SIGTERM])
"""


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir.create(tmp_path)


@pytest.fixture
def appliance(state: StateDir) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", APPLIANCE, str(state.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


def edge(monkeypatch: pytest.MonkeyPatch, *looks: list[tuple[str, str]]) -> None:
    """Calls (direction, from) of each look in turn; after the last there are no more."""
    left = list(looks)

    def ask(path: Path, call: str) -> dict[str, Any]:
        assert (path.stem, call) == ("edge", "status")
        calls = left.pop(0) if left else []
        return {"calls": [{"direction": direction, "from": line} for direction, line in calls]}

    monkeypatch.setattr(ipc, "ask", ask)


def test_it_waits_for_the_end_of_emergency_calls(
    state: StateDir,
    appliance: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    two = [("emergency", "104"), ("inbound", "+12125550143"), ("emergency", "102")]
    edge(monkeypatch, two, two, two[:2], two[1:2])
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if seconds == stopping.LOOK_SECONDS:
            assert appliance.poll() is None
        else:
            appliance.wait(10)

    stopping.stop(state, now=False, pause=pause)
    assert pauses[:3] == [stopping.LOOK_SECONDS] * 3
    assert appliance.wait(10) == 0
    assert capsys.readouterr().out.splitlines() == [
        "An emergency call is on (102, 104): waiting for its end. --now cuts it off.",
        "An emergency call is on (104): waiting for its end. --now cuts it off.",
        "The appliance is stopped.",
    ]


def test_now_waits_for_nobody(
    state: StateDir, appliance: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    edge(monkeypatch, *[[("emergency", "104")]] * 3)
    assert supervisor.running(state) == appliance.pid
    assert main(["stop", "--now", "--state", str(state.root)]) == 0
    assert appliance.wait(10) == 0
    assert supervisor.running(state) == 0


def test_without_an_edge_there_are_no_calls(state: StateDir, appliance: subprocess.Popen[bytes]) -> None:
    assert main(["stop", "--state", str(state.root)]) == 0
    assert appliance.wait(10) == 0


def test_without_an_appliance_it_says_so(state: StateDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop", "--state", str(state.root)]) == 1
    assert "no appliance runs on" in capsys.readouterr().err
