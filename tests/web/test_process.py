"""The real thing: waitress on the Unix socket, in a process of its own."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import web_practice as practice

from provisioner.ipc import Gone, ask, connect_unix
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory

MAIN = """
import sys
from provisioner.paths import StateDir
from provisioner.web.process import main
sys.exit(main(StateDir.create(sys.argv[1])))
"""


class Connection(http.client.HTTPConnection):
    """HTTP over the socket that only the front uses."""

    def __init__(self, state: StateDir) -> None:
        super().__init__("appliance")
        self._state = state

    def connect(self) -> None:
        self.sock: socket.socket = connect_unix(self._state.run / "web.http")


@pytest.fixture
def deep(tmp_path) -> StateDir:
    """A state directory whose sockets have names longer than sockaddr_un takes."""
    state = StateDir.create(tmp_path / ("d" * 90) / "state")
    practice.fill_inventory(state.inventory)
    practice.fill_journal(state.journal)
    return state


@pytest.fixture
def process(deep: StateDir) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(deep.root)], stderr=subprocess.PIPE, text=True, bufsize=1
    )
    while process.poll() is None:
        try:
            ask(deep.socket("web"), "ping")
            break
        except Gone:
            continue
    yield process
    process.kill()
    process.wait()
    process.stderr.close()


def test_it_serves_the_front_and_stops_when_told(process: subprocess.Popen[str], deep: StateDir):
    assert ask(deep.socket("web"), "ping")["pid"] == process.pid
    inventory = Inventory.open(deep.inventory)
    token = inventory.new_token("sign-in", 60, "administrator")
    inventory.close()
    client = Connection(deep)
    client.request("GET", f"/staff/sign-in/{token}", headers={"X-Forwarded-Proto": "https"})
    answer = client.getresponse()
    answer.read()
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    assert (answer.status, answer.headers["Location"]) == (303, "/staff/")
    assert cookie.startswith("__Host-provisioner=")
    assert answer.headers["Server"] is None
    client.request("GET", "/staff/", headers={"Cookie": cookie, "X-Forwarded-For": "192.0.2.9"})  # keep-alive
    answer = client.getresponse()
    assert b"Bay Street Clinic" in answer.read()
    client.request("GET", "/healthz")
    assert client.getresponse().read() == b"ok\n"
    client.request("GET", "/readyz")
    answer = client.getresponse()
    assert answer.status == 503
    assert answer.read().startswith(b"store (settings): ok\nedge (calls): the edge process does not answer")
    client.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stderr.read() == ""


def test_not_ready_without_a_store(visitor, edge, state: StateDir):
    state.inventory.write_bytes(b"this is no database" * 500)
    assert visitor.get("/readyz").status_code == 503
    assert visitor.get("/healthz").status_code == 200
