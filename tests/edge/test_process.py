"""The edge as a process beside a real media process, over loopback sockets."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from provisioner import ipc
from provisioner.edge.process import main
from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.sip import tls
from provisioner.sip.agent import Agent
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Response
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import Answered, Ended, Event, Session
from provisioner.sip.transaction import Flow, ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport
from provisioner.store import records
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from tests.edge.world import MACS, practice

HOST = "127.0.0.1"
SECONDS = 20.0  # far longer than anything here takes
MEDIA = "from provisioner.media.process import main; main(StateDir.create(sys.argv[1]))"
EDGE = "from provisioner.edge.process import main; main(StateDir.create(sys.argv[1]), '127.0.0.1', 0)"


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """The practice of the tests, without its trunk."""
    state = StateDir.create(tmp_path)
    snapshot = practice()
    inventory = Inventory.open(state.inventory)
    with inventory.change(who="test") as change:
        change.put(snapshot.practice)
        for group in (snapshot.locations, snapshot.phones, snapshot.numbers, snapshot.credentials):
            for record in group.values():
                change.put(record)
    inventory.close()
    return state


@contextmanager
def running(state: StateDir, name: str, code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process until the block ends; it must not have failed, nor said so."""
    log = state.root / f"{name}.log"
    with log.open("ab") as errors:
        command = [sys.executable, "-c", f"import sys; from provisioner.paths import StateDir; {code}"]
        process = subprocess.Popen([*command, str(state.root)], stderr=errors)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()


class Phone:
    """A user agent on loopback that answers every call."""

    def __init__(self, extension: str) -> None:
        self.extension = extension
        self.transport = SipTransport()
        self.ended = asyncio.Event()
        self.answered = asyncio.Event()
        self.sdp = MediaSession(HOST, 40000 + 2 * int(extension), 1)

    async def open(self) -> None:
        timers = LoopTimers(asyncio.get_running_loop())
        await self.transport.open(HOST, 0)
        self.agent = self.transport.agent = Agent(
            self, timers, random.Random(self.extension), self.transport.send, self.transport.connect, "fake"
        )

    def on_invite(self, session: Session) -> None:
        session.listener = self.listen
        session.accept(self.sdp.answer(session.offer))

    def on_request(self, transaction: ServerTransaction) -> None:
        transaction.reply(200)

    def listen(self, session: Session, event: Event) -> None:
        if isinstance(event, Answered):
            self.answered.set()
        elif isinstance(event, Ended):
            self.ended.set()

    def account(self, _realm: str) -> tuple[str, str]:
        return (f"user{self.extension}", f"secret{self.extension}")

    async def register(self, flow: Flow) -> Response:
        me = NameAddr(Uri("sip", HOST, user=self.extension))
        done: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        request = self.agent.new_request("REGISTER", f"sip:{HOST}", me, me, [])
        self.agent.request(request, flow, done.set_result, self.account)
        response = await asyncio.wait_for(done, SECONDS)
        assert response
        return response

    def call(self, extension: str, flow: Flow) -> None:
        uri = Uri("sip", HOST, user=extension)
        me = NameAddr(Uri("sip", HOST, user=self.extension))
        body = self.sdp.offer()
        self.agent.invite(str(uri), flow, me, NameAddr(uri), body, self.listen, credentials=self.account)


async def status_of(state: StateDir) -> dict[str, Any]:
    """The edge's status, as soon as it answers."""
    client = ipc.Client(state.socket("edge"))
    client.start()
    await asyncio.wait_for(client.connected.wait(), SECONDS)
    assert (await client.ask("ping"))["pid"] > 0
    status = await client.ask("status")
    await client.close()
    return status


def address(status: dict[str, Any]) -> tuple[str, int]:
    host, _, port = status["sip"].partition(":")
    return host, int(port)


def over_tls(phone: Phone, state: StateDir, status: dict[str, Any]) -> Flow:
    """A connection of a phone that trusts the appliance's own authority, and no other."""
    authority = (state.root / "tls/ca.pem").read_text().partition("-----BEGIN CERTIFICATE-----")
    phone.transport.policies[HOST] = tls.Policy(tls.client_context("".join(authority[1:])))
    host, _, port = status["sips"].partition(":")
    return phone.transport.connect("TLS", (host, int(port)), HOST)


async def first_life(state: StateDir, stop: ExitStack) -> None:
    """Phones register over UDP, TCP and TLS and call each other; the edge is told to stop meanwhile."""
    one, two, three = (Phone(extension) for extension in ("101", "102", "103"))
    for phone in (one, two, three):
        await phone.open()
    status = await status_of(state)
    edge = address(status)
    assert (await three.register(over_tls(three, state, status))).status == 200
    over_udp = one.transport.connect("UDP", edge)
    over_tcp = two.transport.connect("TCP", edge)
    assert (await one.register(over_udp)).status == 200
    assert (await two.register(over_tcp)).status == 200
    status = await status_of(state)
    rows = {row["extension"]: row for row in status["registrations"]}
    assert rows.keys() == {"101", "102", "103"}
    assert rows["101"]["mac"] == MACS["101"]
    assert rows["101"]["expires_in"] > 3200
    one.call("102", over_udp)
    await asyncio.wait_for(one.answered.wait(), SECONDS)
    assert [call["state"] for call in (await status_of(state))["calls"]] == ["talking"]
    await asyncio.to_thread(stop.close)
    for phone in (one, two):
        await asyncio.wait_for(phone.ended.wait(), SECONDS)  # BYE to both
    for phone in (one, two, three):
        phone.transport.close()


def tell_phones(state: StateDir) -> None:
    """Jobs by the control socket; the one phone that is registered is not there any more."""
    order = {"macs": "all", "mode": "resync", "who": "test"}
    job = ipc.ask(state.socket("edge"), "resync", order)
    rows = ipc.ask(state.socket("edge"), "resync_status", {"job": job["job"]})["phones"]
    assert [(row["mac"], row["state"]) for row in rows] == [
        (MACS["101"], "sent"),
        (MACS["102"], "away"),
        (MACS["103"], "away"),
    ]
    assert ipc.ask(state.socket("edge"), "resync_status")["jobs"][0]["open"]
    for wrong, words in (
        ({"macs": ["x"]}, "no phone of this"),
        ({"macs": None}, "no phone to tell"),
        ({"mode": "x"}, "no mode"),
    ):
        with pytest.raises(ipc.Refused, match=words):
            ipc.ask(state.socket("edge"), "resync", {**order, **wrong})


def test_registration_of_a_phone_that_had_the_extension_before_is_not_taken_back(state: StateDir) -> None:
    journal = Journal.open(state.journal)
    for extension, mac in (("101", "0004f2999999"), ("102", MACS["102"])):
        body = {
            "key": f"sip:{extension}@127.0.0.1:9",
            "mac": mac,
            "contact": f"sip:{extension}@127.0.0.1:9",
            "transport": "UDP",
            "local": [HOST, 5060],
            "remote": [HOST, 9],
            "agent": "",
            "call_id": "c",
            "cseq": 1,
        }
        row = {"extension": extension, "contact": body["key"], "body": body, "expires": time.time() + 3000}
        journal.write("registrations", row)
    journal.close()
    with running(state, "media", MEDIA), running(state, "edge", EDGE):
        rows = asyncio.run(status_of(state))["registrations"]
        assert [row["extension"] for row in rows] == ["102"]


def test_a_life_and_the_next(state: StateDir) -> None:
    until = round(time.time()) + 3000
    bans = {source: {"reason": "scanner", "until": until} for source in ("192.0.2.66", "192.0.2.67")}
    (state.root / "bans.json").write_bytes(ipc.encode(bans))
    with running(state, "media", MEDIA):
        with ExitStack() as stop:
            stop.enter_context(running(state, "edge", EDGE))
            asyncio.run(first_life(state, stop))
        with running(state, "edge", EDGE):
            rows = asyncio.run(status_of(state))["registrations"]
            assert [row["extension"] for row in rows] == ["101"]  # the connection of 102 is gone
            tell_phones(state)
            ipc.ask(state.socket("edge"), "unban", {"source": "192.0.2.66"})
            inventory = Inventory.open(state.inventory)
            with inventory.change(who="test") as change:
                revision = change.delete(records.Phone, MACS["101"])
            inventory.close()
            assert revision
            ipc.ask(state.socket("edge"), "reload")
            status = asyncio.run(status_of(state))
            assert status["registrations"] == []
            assert [ban["source"] for ban in status["bans"]] == ["192.0.2.67"]
    assert '"192.0.2.67"' in (kept := (state.root / "bans.json").read_text())
    assert '"192.0.2.66"' not in kept


def test_without_an_inventory_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no inventory"):
        main(StateDir.create(tmp_path), HOST, 0)
