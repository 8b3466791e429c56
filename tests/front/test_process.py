"""The whole process, with its store: it starts, serves, reloads, and outlives a broken database."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from provisioner import certificates, given
from provisioner.errors import OperatorError
from provisioner.front.process import Options, main
from provisioner.ipc import Gone, Refused, ask
from provisioner.paths import StateDir
from provisioner.phones.adopt import adopt
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Credential, PhoneSettings, Practice
from tests import given_certificates, test_given
from tests.front.test_tls import Maker
from tests.phones.samples import AGENTS

MAC, AGENT = next(iter(AGENTS.items()))
CODE = """
import json, sys
from provisioner.front.process import main
from provisioner.paths import StateDir
state, more = StateDir.create(sys.argv[1]), json.loads(sys.argv[2])
main(state, bind="127.0.0.1", http_port=0, https_port=0, tftp_port=0, sip_port=5070, **more)
"""


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


class Process:
    def __init__(self, state: StateDir, **options: int) -> None:
        self.state = state
        self._process = subprocess.Popen([sys.executable, "-c", CODE, str(state.root), json.dumps(options)])
        self.status = wait_for(self.ask_status)

    def ask_status(self) -> dict[str, Any] | None:
        try:
            return ask(self.state.socket("front"), "status")
        except Gone:
            assert self._process.poll() is None
            return None

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.status["http"].removeprefix("http://"), timeout=10)
        connection.request("GET", path, headers={"User-Agent": AGENT})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data

    def stop(self) -> int:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(10)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir.create(tmp_path / "state")
    inventory = Inventory.open(made.inventory)
    with inventory.change(who="test") as change:
        change.put(Practice(id="practice", name="Elm Street Clinic", main_number="+14155550100"))
    inventory.close()
    return made


@pytest.fixture
def process(state: StateDir) -> Iterator[Process]:
    running = Process(state)
    yield running
    running.stop()


def test_from_waiting_to_adopted(process: Process, state: StateDir) -> None:
    assert process.status["revision"] == 1
    assert process.status["tftp"].startswith("127.0.0.1:")
    assert b'CONFIG_FILES="waiting.cfg"' in process.get(f"/{MAC}.cfg")[1]
    assert process.get(f"/{MAC}-line.cfg")[0] == 404

    inventory = Inventory.open(state.inventory)
    adopt(inventory, MAC, "polycom", "VVX 411", "test")
    assert ask(state.socket("front"), "reload") == {"revision": 2}
    stored = inventory.get(Credential, MAC)
    assert stored
    text = process.get(f"/{MAC}-line.cfg")[1].decode()
    assert f'"{stored[0].lines[0].password}"' in text
    assert 'reg.1.server.1.port="5070"' in text

    with inventory.change(who="test") as change:
        change.put(msgspec.structs.replace(stored[0], admin_password="another"))
    inventory.close()
    wait_for(lambda: b'"another"' in process.get(f"/{MAC}-line.cfg")[1])  # seen without being told

    assert ask(state.socket("front"), "ping")["pid"] == process.status["pid"]
    assert process.stop() == 0
    journal = Journal.open(state.journal)
    rows, sightings = journal.requests(1000), journal.sightings()
    journal.close()
    assert [(row["path"], row["rule"]) for row in rows[::-1][:3]] == [
        (f"/{MAC}.cfg", "waiting"),
        (f"/{MAC}-line.cfg", "not-there"),
        (f"/{MAC}-line.cfg", "adopted"),
    ]
    assert [(row["mac"], row["model"], row["rule"]) for row in sightings] == [(MAC, "VVX 411", "adopted")]


def asks_for_a_certificate(process: Process) -> bool:
    """Whether a handshake asks for a client certificate."""
    host, _, port = process.status["https"].removeprefix("https://").rpartition(":")
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2"]
    said = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=20).stdout
    assert "BEGIN CERTIFICATE" in said
    return "Client Certificate Types" in said


def test_the_practices_certificate_is_served_without_a_new_start(process: Process, state: StateDir) -> None:
    now, name = time.time(), "staff.clinic.example"
    leaf = given_certificates.made("Clinic", names=(name,), now=now)
    port = int(process.status["https"].rpartition(":")[2])
    assert test_given.shown(port, name) == "CN=Provisioner"
    file = given.judged(given_certificates.pem(leaf), given_certificates.key_pem(leaf), now)[1]
    given.keep(state.root / "tls", file, False)
    ask(state.socket("front"), "reload")
    assert [test_given.shown(port, each) for each in (name, None)] == ["CN=Clinic", "CN=Provisioner"]


@pytest.mark.peer("openssl")
def test_a_makers_authority_is_asked_for_without_a_new_start(process: Process, state: StateDir) -> None:
    pem = Maker("Phone Maker Root").root.public_bytes(serialization.Encoding.PEM)
    assert not asks_for_a_certificate(process)
    certificates.keep_maker(state.root / "tls", "polycom", pem)
    ask(state.socket("front"), "reload")
    assert asks_for_a_certificate(process)
    certificates.drop_maker(state.root / "tls", "polycom")
    ask(state.socket("front"), "reload")
    assert not asks_for_a_certificate(process)


def test_a_view_has_no_secrets_and_dhcp_the_front_itself(
    process: Process, state: StateDir, capsys: pytest.CaptureFixture[str]
) -> None:
    from provisioner.cli import main as cli

    inventory = Inventory.open(state.inventory)
    adopt(inventory, MAC, "polycom", "VVX 411", "test")
    held = inventory.get(Credential, MAC)
    inventory.close()
    ask(state.socket("front"), "reload")
    told = ask(state.socket("front"), "view", {"mac": MAC, "name": f"{MAC.upper()}-line.cfg"})
    assert held
    assert held[0].lines[0].password not in told["text"]
    assert 'auth.password="********"' in told["text"]
    with pytest.raises(Refused, match="gets no file"):
        ask(state.socket("front"), "view", {"mac": MAC, "name": "odd.cfg"})

    port = process.status["http"].rpartition(":")[2]
    where = ("--state", str(state.root))
    assert cli(["phones", "dhcp", *where]) == 0
    assert f"160  http://127.0.0.1:{port}/" in capsys.readouterr().out
    assert cli(["phones", "dhcp", "--for", "kea", *where]) == 0
    assert capsys.readouterr().out.startswith(
        f"// Desk phones read their settings at http://127.0.0.1:{port}/\n"
    )
    assert cli(["phones", "dhcp", "--json", *where]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["url"] == f"http://127.0.0.1:{port}/"
    assert cli(["phones", "dhcp", "--json", "--for", "isc", *where]) == 0
    assert list(msgspec.json.decode(capsys.readouterr().out)) == ["text"]
    assert cli(["phones", "dhcp", "--for", "odd", *where]) == 2


def test_a_link_that_signs_in(process: Process, state: StateDir, capsys: pytest.CaptureFixture[str]) -> None:
    from provisioner.cli import main as cli

    assert cli(["sign-in", "--state", str(state.root)]) == 0
    origin, token = capsys.readouterr().out.strip().split("/staff/sign-in/")
    assert origin == process.status["https"]
    inventory = Inventory.open(state.inventory)
    assert [inventory.check_token("sign-in", token) for _ in range(2)] == ["administrator", None]
    inventory.close()


def test_explain_and_files_from_the_console(
    process: Process, state: StateDir, capsys: pytest.CaptureFixture[str]
) -> None:
    from provisioner.cli import main as cli

    inventory = Inventory.open(state.inventory)
    adopt(inventory, MAC, "polycom", "VVX 411", "test")
    ask(state.socket("front"), "reload")
    process.get(f"/{MAC}.cfg")
    line = process.get(f"/{MAC}-line.cfg")[1]
    with inventory.change(who="test") as change:
        change.put(PhoneSettings(id="site", values={"register_seconds": 1234}))
    inventory.close()
    ask(state.socket("front"), "reload")
    where = ("--state", str(state.root))

    def explained() -> dict[str, Any]:
        assert cli(["phones", "explain", MAC.upper(), "--json", *where]) == 0
        return dict(msgspec.json.decode(capsys.readouterr().out))

    wait_for(lambda: any("fetched" in row for row in explained()["settings"]))  # the journal writes behind
    found = explained()
    assert found["firmware"] == "5.9.6.2327"
    assert next(row for row in found["settings"] if row["name"] == "register_seconds")["fetched"] == 600
    assert cli(["phones", "explain", MAC, *where]) == 0
    shown = capsys.readouterr().out
    assert "(site; over 600 of built-in; the phone still has 600)" in shown
    assert "differs now:" in shown
    assert "practice" in shown

    assert cli(["phones", "files", MAC, "--json", *where]) == 0
    rows = msgspec.json.decode(capsys.readouterr().out)
    assert {"name": f"{MAC}-line.cfg", "kind": "line", "rule": "adopted"}.items() <= rows[1].items()
    assert rows[1]["bytes"] == len(line) + 1
    assert cli(["phones", "files", MAC, *where]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows)
    assert cli(["phones", "files", MAC, f"{MAC}-line.cfg", *where]) == 0
    printed = capsys.readouterr().out.encode()
    assert printed == line.replace(b'"600"', b'"1234"')
    for arguments, words in (
        (["explain", "0004f2000999"], "no phone 0004f2000999 is adopted"),
        (["files", MAC, "shadow"], "gets no file 'shadow'"),
        (["files", MAC, "site.cfg", "--json"], "leave out --json"),
    ):
        assert cli(["phones", *arguments, *where]) in (1, 2)
        assert words in capsys.readouterr().err


def test_what_phones_run_is_remembered(process: Process, state: StateDir) -> None:
    inventory = Inventory.open(state.inventory)
    adopt(inventory, MAC, "polycom", "VVX 411", "test")
    inventory.close()
    ask(state.socket("front"), "reload")
    process.get(f"/{MAC}.cfg")
    wait_for(lambda: Journal(state.journal).versions())
    assert process.stop() == 0
    again = Process(state)
    try:
        assert ask(state.socket("front"), "explain", {"mac": MAC})["firmware"] == "5.9.6.2327"
    finally:
        again.stop()


def test_a_broken_database_changes_nothing(process: Process, state: StateDir) -> None:
    before = process.get("/waiting.cfg")
    assert before[0] == 200
    state.inventory.write_bytes(b"junk" * 1000)
    assert ask(state.socket("front"), "reload") == {"revision": 1}
    assert process.get("/waiting.cfg") == before


def test_a_start_with_a_broken_database_takes_the_copy(state: StateDir) -> None:
    inventory = Inventory.open(state.inventory)
    adopt(inventory, MAC, "polycom", "VVX 411", "test")
    copy = msgspec.json.encode(inventory.snapshot())
    inventory.close()
    state.inventory.write_bytes(b"junk" * 1000)
    without = Process(state)
    try:
        assert without.status["revision"] == -1
        assert without.get(f"/{MAC}.cfg")[0] == 503
        state.snapshot.write_bytes(copy)
        assert ask(state.socket("front"), "reload") == {"revision": 2}
        assert without.get(f"/{MAC}-line.cfg")[0] == 200
    finally:
        without.stop()


@pytest.mark.parametrize("options", [{}, {"legacy_https_port": 0}])
def test_the_port_for_old_phones_is_open_when_it_is_asked_for(
    state: StateDir, options: dict[str, int]
) -> None:
    process = Process(state, **options)
    try:
        assert process.get("/ca.pem")[0] == 200
        where = process.status["legacy_https"]
        assert where.startswith("https://127.0.0.1:") if options else where == ""
        for url in [process.status["https"], *([where] if options else [])]:
            trust = ssl.create_default_context(cadata=process.get("/ca.pem")[1].decode())
            connection = http.client.HTTPSConnection(url.removeprefix("https://"), timeout=10, context=trust)
            connection.request("GET", f"/{MAC}.cfg", headers={"User-Agent": AGENT})
            assert connection.getresponse().status == 200
            connection.close()
    finally:
        process.stop()


def test_a_port_that_is_taken(state: StateDir) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OperatorError, match=f"cannot listen on TCP 127.0.0.1:{port}"):
            main(state, bind="127.0.0.1", http_port=port, https_port=0, tftp_port=0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(OperatorError, match=f"cannot listen on UDP 127.0.0.1:{port}"):
            main(state, bind="127.0.0.1", http_port=0, https_port=0, tftp_port=port)


@pytest.mark.parametrize(
    ("options", "host"),
    [
        (Options(bind="192.0.2.5"), "192.0.2.5"),
        (Options(bind="0.0.0.0", sip_host="192.0.2.6"), "192.0.2.6"),
        (Options(bind="192.0.2.5", phone_host="phones.example"), "phones.example"),
    ],
)
def test_where_phones_are_sent(options: Options, host: str) -> None:
    assert options.reached_at == host
