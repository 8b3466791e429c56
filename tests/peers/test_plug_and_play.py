"""Plug-and-play over a real network: phones in a namespace ask the multicast group, beside an edge on the same port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needs, without

PHONE = """
import json, socket, sys
mac, appliance = sys.argv[1:3]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("10.75.1.2", 5080))
sock.settimeout(20)
def send(to, *lines):
    sock.sendto("\\r\\n".join((*lines, "Content-Length: 0", "", "")).encode(), to)
def common(method, user, number, call):
    return (
        f"Via: SIP/2.0/UDP 10.75.1.2:5080;branch=z9hG4bK{call}{number};rport",
        f"From: <{user}>;tag=1", f"To: <{user}>", f"Call-ID: {call}", f"CSeq: {number} {method}",
        "Contact: <sip:10.75.1.2:5080>", "Max-Forwards: 70",
    )
group = f"sip:MAC%3a{mac}@224.0.1.75"
send(
    ("224.0.1.75", 5060), f"SUBSCRIBE {group} SIP/2.0", *common("SUBSCRIBE", group, 1, mac),
    f"User-Agent: Yealink SIP-T53W 96.87.0.16 {mac}", "Accept: application/url", "Expires: 0",
    'Event: ua-profile;profile-type="device";vendor="Yealink";model="T53W";version="96.87.0.16"',
)
heard = []
def hear():
    data, source = sock.recvfrom(8192)
    heard.append([data.decode().split("\\r\\n")[0], source[1], data.decode().partition("\\r\\n\\r\\n")[2]])
    return data.decode(), source
if sys.argv[3] == "told":
    for _ in range(2):
        data, source = hear()
        if data.startswith("NOTIFY"):
            names = ("via", "from", "to", "call-id", "cseq")
            kept = [line for line in data.split("\\r\\n") if line.split(":")[0].lower() in names]
            send(source, "SIP/2.0 200 OK", *kept)
user = f"sip:101@{appliance}"
send((appliance, 5060), f"REGISTER sip:{appliance} SIP/2.0", *common("REGISTER", user, 2, "register"))
hear()
print(json.dumps(heard))
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """An appliance in one namespace and a phone's in another: its state, and the words to run the phone."""
    needs("ip")
    if os.geteuid() != 0:
        without("root, to make network namespaces")
    here, there = f"pnp{os.getpid()}a", f"pnp{os.getpid()}b"
    state = tmp_path_factory.mktemp("pnp")
    ready = state / "ready.json"
    try:
        for name in (here, there):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "eth", "netns", here, "type", "veth", "peer", "name", "eth", "netns", there)
        for name, host in ((here, "10.75.1.1/24"), (there, "10.75.1.2/24")):
            ip("-n", name, "addr", "add", host, "dev", "eth")
            ip("-n", name, "link", "set", "eth", "up")
            ip("-n", name, "route", "add", "default", "dev", "eth")
        command = [sys.executable, "-m", "provisioner", "run", "--demo", "--no-life", "--bind", "0.0.0.0"]
        where = ["--state", str(state), "--ready-file", str(ready)]
        running = subprocess.Popen(["ip", "netns", "exec", here, *command, *where], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not ready.exists():
                assert running.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield state, ["ip", "netns", "exec", there, sys.executable, "-c", PHONE]
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(20)
    finally:
        for name in (here, there):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def play(lan: tuple[Path, list[str]], mac: str, expects: str) -> list[list[Any]]:
    """What a phone hears: start line, port and body of each message."""
    done = subprocess.run(
        [*lan[1], mac, "10.75.1.1", expects], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


@pytest.mark.peer("ip")
def test_a_phone_is_told_and_the_edge_still_answers_on_its_port(lan: tuple[Path, list[str]]) -> None:
    answer, notify, register = play(lan, "001565000102", "told")
    assert answer[:2] == ["SIP/2.0 200 OK", 5060]
    assert notify[0].startswith("NOTIFY sip:10.75.1.2:5080 ")
    assert notify[2] == "http://10.75.1.1:8080/"
    assert register[0].startswith("SIP/2.0 401")
    assert register[1] == 5060


@pytest.mark.peer("ip")
def test_what_the_group_hears_is_in_the_journal(lan: tuple[Path, list[str]]) -> None:
    play(lan, "001565000199", "told")
    from provisioner.store.journal import Journal

    journal = Journal.open(lan[0] / "journal.db")
    deadline = time.monotonic() + 10
    while not (rows := [row for row in journal.requests(100) if row["mac"] == "001565000199"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    journal.close()
    assert [(row["method"], row["status"], row["rule"], row["address"]) for row in rows] == [
        ("PNP", 200, "pnp", "10.75.1.2")
    ]
