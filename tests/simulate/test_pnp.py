"""A phone that asks for its server by SIP multicast."""

from __future__ import annotations

import asyncio
import socket
from random import Random

import pytest

from provisioner.front.pnp import Ask, Responder
from provisioner.simulate import pnp
from provisioner.simulate.handset import Handset
from provisioner.simulate.pnp import Discovery, discover
from provisioner.simulate.vendors import phone_type
from provisioner.sip.message import Request, Response, parse
from tests.simulate.fixtures import YEALINK, YEALINK_FILES
from tests.simulate.server import serving

T46S = phone_type("yealink")
LOCAL = ("127.0.0.1", 5080)
URL = "http://192.0.2.1/"


def question() -> tuple[Discovery, Request]:
    asked = Discovery(T46S, T46S.new(YEALINK), LOCAL, Random(1))
    subscribe = parse(asked.subscribe())
    assert isinstance(subscribe, Request)
    return asked, subscribe


def notify(subscribe: Request, body: str = URL, kind: str = "application/url", call: str = "") -> bytes:
    lines = (
        "NOTIFY sip:127.0.0.1:5080 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx",
        f"From: {subscribe.get('to')};tag=y",
        f"To: {subscribe.get('from')}",
        f"Call-ID: {call or subscribe.call_id}",
        "CSeq: 1 NOTIFY",
        f"Event: {subscribe.get('event')}",
        "Subscription-State: terminated;reason=timeout",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", body)).encode()


def test_the_question() -> None:
    asked, subscribe = question()
    assert subscribe.method == "SUBSCRIBE"
    assert subscribe.uri == "sip:MAC%3A001565000102@224.0.1.75"
    assert subscribe.get("user-agent") == "Yealink SIP-T46S 66.86.0.15"
    assert subscribe.get("event") == (
        'ua-profile;profile-type="device";vendor="Yealink";model="T46S";version="66.86.0.15"'
    )
    assert asked.subscribe() == asked.subscribe()


@pytest.mark.parametrize(
    ("body", "kind", "call", "status", "url"),
    [
        (URL, "application/url", "", 200, URL),
        (f"{URL}\r\n", "application/x-gs-ucm-url", "", 200, URL),
        ("", "application/url", "", 415, ""),
        (URL, "text/plain", "", 415, ""),
        (URL, "application/url", "another@192.0.2.1", 481, ""),
    ],
)
def test_the_answer(body: str, kind: str, call: str, status: int, url: str) -> None:
    asked, subscribe = question()
    reply = parse(asked.receive(notify(subscribe, body, kind, call)))
    assert isinstance(reply, Response)
    assert (reply.status, asked.url) == (status, url)


def test_what_is_no_answer() -> None:
    asked, subscribe = question()
    assert asked.receive(b"\0\0") == b""
    assert asked.receive(subscribe.response(200).encode()) == b""
    assert asked.url == ""


async def answering(sock: socket.socket, url: str, starts: int) -> None:
    """A responder that answers so many starts."""
    loop = asyncio.get_running_loop()
    for _ in range(starts):
        data, source = await loop.sock_recvfrom(sock, 4096)
        subscribe = parse(data)
        assert isinstance(subscribe, Request)
        await loop.sock_sendto(sock, notify(subscribe, url), source)
        assert b"200 OK" in (await loop.sock_recvfrom(sock, 4096))[0]


def test_a_phone_finds_its_server_at_each_start_and_not_when_it_is_told_not_to() -> None:
    async def scene() -> None:
        with serving(YEALINK_FILES) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            responder = asyncio.create_task(answering(sock, f"{server.url}found", 2))
            phone = Handset(T46S, YEALINK, server.url, lambda: "c")
            phone.discover = lambda kind, flash: discover(
                kind, flash, "127.0.0.1", Random(1), sock.getsockname()
            )
            await phone.start()
            await phone.restart("told to")
            await asyncio.wait_for(responder, 5)
            assert {name.partition("/")[0] for _, name, _ in server.asked} == {"found"}
            server.files["found/y000000000066.cfg"] = (
                b"#!version:1.0.0.1\nstatic.auto_provision.pnp_enable = 0\n"
            )
            await phone.check()
            count = len(server.asked)
            await phone.restart("told to")
            assert {name.partition("/")[0] for _, name, _ in server.asked[count:]} != {"found"}

    asyncio.run(scene())


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pnp, "SECONDS", 0.01)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        found = discover(T46S, T46S.new(YEALINK), "127.0.0.1", Random(1), sock.getsockname())
        assert asyncio.run(found) == ""
        assert len({sock.recv(4096) for _ in range(pnp.ATTEMPTS)}) == 1


@pytest.mark.parametrize(("maker", "mac"), [("yealink", YEALINK), ("grandstream", "c074ad112233")])
def test_the_appliances_responder_and_a_phone_understand_each_other(maker: str, mac: str) -> None:
    kind = phone_type(maker)
    told: list[tuple[str, bool]] = []
    asks: list[Ask] = []

    def decide(ask: Ask) -> str:
        asks.append(ask)
        return URL

    responder = Responder(("192.0.2.1", 5060), decide, lambda: "t", lambda *came: told.append(came))
    asked = Discovery(kind, kind.new(mac), LOCAL, Random(1))
    sent = responder.asked(asked.subscribe(), LOCAL, 0.0)
    answers = [answer for each in sent if (answer := asked.receive(each.data))]
    for answer in answers:
        responder.answered(answer, LOCAL)
    assert (asked.url, told) == (URL, [(mac, True)])
    assert [(ask.identity.vendor, ask.identity.model, ask.identity.mac) for ask in asks] == [
        (maker, kind.token, mac)
    ]
