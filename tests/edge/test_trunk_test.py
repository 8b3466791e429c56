"""The live test of a trunk, against cores on loopback that behave and misbehave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from provisioner.edge import trunk_test
from provisioner.edge.trunk_test import TrunkTests
from provisioner.errors import OperatorError, UsageError
from provisioner.sip.agent import Agent
from provisioner.sip.headers import Uri
from provisioner.sip.resolve import DnsDeadError, Located, Target
from provisioner.sip.transaction import ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport
from provisioner.store.records import Trunk, TrunkSecret

HOST = "127.0.0.1"
CHALLENGE = 'Digest realm="core", nonce="n1", algorithm=MD5, qop="auth"'
Answer = Callable[[ServerTransaction], None]


class Core:
    """A core on a free port; `answer` says what it makes of a request."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.heard: list[str] = []
        self.contacts: list[str] = []

    async def __aenter__(self) -> Core:
        self.transport = SipTransport()
        timers = LoopTimers(asyncio.get_running_loop())
        self.transport.agent = Agent(
            self, timers, random.Random(1), self.transport.send, self.transport.connect, "core"
        )
        await self.transport.open(HOST, 0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.transport.close()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.transport.address[1]}"

    def on_invite(self, session: Any) -> None:
        raise AssertionError("a test calls nobody")

    def on_request(self, transaction: ServerTransaction) -> None:
        self.heard.append(transaction.request.method)
        self.contacts.append(transaction.request.get("contact"))
        self.answer(transaction)


class Names:
    """DNS: what each host name leads to."""

    def __init__(self, **known: list[Target] | None) -> None:
        self.known = known

    async def locate(self, uri: Uri, transports: Any, families: Any = ()) -> Located:
        found = self.known.get(uri.host.partition(".")[0], [])
        if found is None:
            raise DnsDeadError("no server answers")
        return Located(tuple(found), False, 0.0)


class Numeric:
    """No DNS: the address stands in the URI."""

    async def locate(self, uri: Uri, transports: Any, families: Any = ()) -> Located:
        transport = (uri.params.get("transport") or "udp").upper()
        return Located((Target(transport, uri.host, uri.port or 5060),), False, 0.0)


def fine(transaction: ServerTransaction) -> None:
    transaction.reply(200)


def asking(*methods: str, password: str = "right") -> Answer:
    """A core that asks for a password, and knows whether it is `right`: our test's user tells."""

    def answer(transaction: ServerTransaction) -> None:
        shown = transaction.request.get("authorization")
        if transaction.request.method in methods and f'username="{password}"' not in shown:
            transaction.reply(401, "", [("www-authenticate", CHALLENGE)])
        else:
            transaction.reply(200)

    return answer


async def tried(trunk: Trunk, locator: Any = None, user: str = "", stored: Any = None) -> dict[str, Any]:
    """The steps of a test by name, when it is done."""
    tests = TrunkTests(HOST, lambda: locator or Numeric(), random.Random(), lambda _name: stored)
    args = {"trunk": msgspec.to_builtins(trunk), "user": user, "password": "s3cret" if user else ""}
    begun = tests.start(args if stored is None else {"trunk": trunk.id})
    assert [step["state"] for step in begun["steps"]] == ["waiting"] * 4
    await asyncio.gather(*tests._tasks)
    status = tests.status({"test": begun["test"]})
    assert status["done"]
    assert "s3cret" not in str(status)
    return {step["step"]: step for step in status["steps"]}


def outline(steps: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["state"], step["code"]) for step in steps.values()]


def of(core: Core, **more: Any) -> Trunk:
    return Trunk(id="t", uri=f"sip:{core.address}", **more)


REGISTERS = {"authentication": "register"}


@pytest.mark.parametrize(
    ("answer", "settings", "user", "end"),
    [
        (fine, {}, "", [("good", "answered"), ("good", "by-address")]),
        (fine, REGISTERS, "", [("good", "answered"), ("bad", "missing")]),
        (fine, REGISTERS, "right", [("good", "answered"), ("good", "unasked")]),
        (asking("REGISTER"), REGISTERS, "right", [("good", "answered"), ("good", "accepted")]),
        (asking("REGISTER"), REGISTERS, "wrong", [("good", "answered"), ("bad", "rejected")]),
        (asking("OPTIONS"), {}, "", [("good", "answered"), ("bad", "missing")]),
        (asking("OPTIONS"), {}, "right", [("good", "answered"), ("good", "accepted")]),
        (asking("OPTIONS"), {}, "wrong", [("good", "answered"), ("bad", "rejected")]),
        (fine, {"authentication": "invite"}, "right", [("good", "answered"), ("warn", "at-call")]),
        (lambda t: t.reply(503), {}, "", [("bad", "unavailable"), ("waiting", "")]),
        (lambda t: t.reply(403), {}, "", [("warn", "forbidden"), ("good", "by-address")]),
        (lambda t: t.reply(404), REGISTERS, "right", [("good", "answered"), ("bad", "no-account")]),
        (lambda t: t.reply(405), REGISTERS, "right", [("good", "answered"), ("warn", "not-told")]),
    ],
)
def test_what_each_core_is_found_to_be(answer, settings, user, end) -> None:
    async def run() -> None:
        async with Core(answer) as core:
            steps = await tried(of(core, settings=settings), user=user)
            assert outline(steps) == [("good", "numeric"), ("good", "reached"), *end]
            assert steps["reach"]["detail"]["address"] == core.address
            assert set(core.heard) <= {"OPTIONS", "REGISTER"}
            assert set(core.contacts) == {""}  # nothing is bound: no inbound call goes astray

    asyncio.run(run())


def test_a_second_gateway_is_tried_when_the_first_refuses() -> None:
    async def run() -> None:
        async with Core(fine) as core:
            port = core.transport.address[1]
            closed = await asyncio.start_server(lambda *_: None, HOST, 0)
            gone = closed.sockets[0].getsockname()[1]
            closed.close()
            names = Names(core=[Target("TCP", HOST, gone), Target("UDP", HOST, port)])
            steps = await tried(Trunk(id="t", uri="sip:core.example"), names)
            assert outline(steps)[:2] == [("good", "found"), ("good", "reached")]
            assert steps["reach"]["detail"]["failed"] == [["TCP", f"{HOST}:{gone}", "connection refused"]]

    asyncio.run(run())


def test_a_service_that_does_not_speak_tls() -> None:
    async def run() -> None:
        async with Core(fine) as core:
            steps = await tried(Trunk(id="t", uri=f"sip:{core.address};transport=tls"))
            assert outline(steps)[1] == ("bad", "unreachable")
            ((transport, address, problem),) = steps["reach"]["detail"]["failed"]
            assert (transport, address) == ("TLS", core.address)
            assert "handshake" in problem or "broken off" in problem

    asyncio.run(run())


def test_names_that_lead_nowhere() -> None:
    async def run() -> None:
        steps = await tried(Trunk(id="t", uri="sip:typo.example"), Names())
        assert outline(steps) == [("bad", "unknown"), *[("waiting", "")] * 3]
        steps = await tried(Trunk(id="t", uri="sip:core.example"), Names(core=None))
        assert outline(steps)[0] == ("bad", "dns-dead")

    asyncio.run(run())


def test_silence_and_what_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk_test, "ANSWER_SECONDS", 0.05)

    async def run() -> None:
        async with Core(lambda _transaction: None) as core:
            steps = await tried(of(core))
            assert outline(steps)[1] == ("bad", "silent")
            steps = await tried(of(core, settings={"options": False}))
            assert outline(steps)[1] == ("warn", "quiet")

    asyncio.run(run())


def test_a_stored_trunk_is_tested_with_its_own_password() -> None:
    async def run() -> None:
        async with Core(asking("REGISTER")) as core:
            trunk = of(core, settings=REGISTERS)
            stored = (trunk, TrunkSecret(id="t", user="right", password="s3cret"))
            assert outline(await tried(trunk, stored=stored))[3] == ("good", "accepted")

    asyncio.run(run())


def test_what_cannot_be_tested_is_refused() -> None:
    tests = TrunkTests(HOST, Numeric, random.Random(2), lambda _name: None)
    with pytest.raises(OperatorError, match="there is no trunk core"):
        tests.start({"trunk": "core"})
    with pytest.raises(UsageError, match="no trunk"):
        tests.start({"trunk": {"id": "x"}})
    with pytest.raises(OperatorError, match="no SIP address"):
        tests.start({"trunk": {"kind": "trunk", "id": "x", "uri": "tel:911"}})
    with pytest.raises(OperatorError, match="begin it again"):
        tests.status({"test": "gone"})
