"""The whole appliance as its user starts it: ready, a process killed and back, reloaded, ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from provisioner import ipc
from provisioner.paths import StateDir

PROCESSES = ["media", "edge", "web", "front", "core"]


@pytest.fixture
def started(tmp_path):
    """(the process, what its ready file says, its state directory)"""
    ready, state = tmp_path / "ready.json", StateDir(tmp_path / "state")
    ports = [f"--{name}-port=0" for name in ("http", "https", "sip", "sips", "tftp")]
    command = [sys.executable, "-m", "provisioner", "run", "--demo", "--no-life", *ports]
    where = ["--state", str(state.root), "--ready-file", str(ready)]
    with subprocess.Popen(
        [*command, *where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            line_with(process, "is ready")
            yield process, json.loads(ready.read_text()), state
        finally:
            process.kill()
    assert not ready.exists()


def line_with(process, words):
    """Read the appliance's output up to a line that holds `words`."""
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without {words!r}")


def pids(state):
    return {name: ipc.ask(state.socket(name), "ping")["pid"] for name in PROCESSES}


def test_from_start_to_end(started):
    process, ready, state = started
    assert ready["pid"] == process.pid
    before = pids(state)
    for name, pid in before.items():
        with open(f"/proc/{pid}/cmdline") as file:
            assert file.read().split("\0")[1:4] == ["-m", "provisioner", name]
    with urllib.request.urlopen(f"{ready['http']}/healthz") as answer:
        assert answer.status == 200

    os.kill(before["edge"], signal.SIGKILL)
    line_with(process, "edge is back")
    after = pids(state)
    assert {name for name in PROCESSES if after[name] != before[name]} == {"edge"}
    assert ipc.ask(state.socket("edge"), "status")["sip"] == ready["sip"]

    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0
    assert not [pid for pid in after.values() if os.path.exists(f"/proc/{pid}")]


def test_a_second_one_on_the_same_state_is_refused(started):
    process, _ready, state = started
    command = [sys.executable, "-m", "provisioner", "run", "--demo", "--state", str(state.root)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"already (process {process.pid}): stop it" in second.stderr
    process.send_signal(signal.SIGTERM)
    process.communicate()


def test_a_port_that_is_taken_is_one_line(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        command = [sys.executable, "-m", "provisioner", "run", "--demo", "--state", str(tmp_path / "state")]
        found = subprocess.run(
            [*command, "--sip-port", str(port)], capture_output=True, text=True, check=False
        )
    assert (found.returncode, found.stdout) == (1, "")
    (line,) = found.stderr.splitlines()
    assert line.startswith(f"provisioner: port {port} on 127.0.0.1 cannot be opened (")
    assert f"(process {os.getpid()}) has it" in line
