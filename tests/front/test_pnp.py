"""SIP plug-and-play: the machine by real phones' messages, and who is told."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from provisioner.front.pnp import TIMEOUT, Ask, Responder, Send
from provisioner.front.pnp_server import networks
from provisioner.sip.message import Request, Response, parse
from tests.front.harness import Front
from tests.phones.samples import MODELS

POLYCOM, YEALINK, GRANDSTREAM = MODELS
PHONE = ("192.0.2.21", 5080)
URL = "http://192.0.2.1:8080/"


def subscribe(
    mac: str = "MAC%3AC074AD112233",
    call_id: str = "490431573-5080-1@CJC.BGI.B.C",
    accept: str = "application/url",
    vendor: str = "Grandstream",
) -> bytes:
    lines = (
        f"SUBSCRIBE sip:{mac}@224.0.1.75 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.21:5080;branch=z9hG4bK1611133778;rport",
        f"From: <sip:{mac}@224.0.1.75>;tag=395400190",
        f"To: <sip:{mac}@224.0.1.75>",
        f"Call-ID: {call_id}",
        "CSeq: 20000 SUBSCRIBE",
        "Contact: <sip:192.0.2.21:5080>",
        "Max-Forwards: 70",
        "User-Agent: Grandstream GRP2612W 1.0.5.67",
        "Expires: 0",
        "Supported: replaces, path",
        f'Event: ua-profile;profile-type="device";vendor="{vendor}";model="GRP2612W";version="1.0.5.67"',
        f"Accept: {accept}",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode()


class Played:
    def __init__(self, url: str = URL) -> None:
        self.asks: list[Ask] = []
        self.took: list[tuple[str, bool]] = []
        tokens = map(str, itertools.count(1))
        self.machine = Responder(
            ("192.0.2.1", 40000),
            self.decide,
            lambda: next(tokens),
            lambda mac, took: self.took.append((mac, took)),
        )
        self.url = url

    def decide(self, ask: Ask) -> str:
        self.asks.append(ask)
        return self.url

    def ask(self, data: bytes = b"", now: float = 0.0) -> list[Send]:
        return self.machine.asked(data or subscribe(), PHONE, now)


def test_a_phone_is_answered_and_told() -> None:
    played = Played()
    answer, told = played.ask()
    response, notify = parse(answer.data), parse(told.data)
    assert isinstance(response, Response)
    assert (response.status, answer.answer, answer.to) == (200, True, PHONE)
    assert response.get("via").endswith("branch=z9hG4bK1611133778;rport=5080;received=192.0.2.21")
    assert (response.get("from"), response.get("cseq")) == (
        "<sip:MAC%3AC074AD112233@224.0.1.75>;tag=395400190",
        "20000 SUBSCRIBE",
    )
    assert response.get("to").startswith("<sip:MAC%3AC074AD112233@224.0.1.75>;tag=")
    assert isinstance(notify, Request)
    assert (notify.method, notify.uri, told.answer, told.to) == (
        "NOTIFY",
        "sip:192.0.2.21:5080",
        False,
        PHONE,
    )
    assert notify.get("from") == response.get("to")
    assert notify.get("to") == response.get("from")
    assert notify.call_id == response.call_id
    assert notify.cseq == (20001, "NOTIFY")
    assert notify.get("event").startswith('ua-profile;profile-type="device"')
    assert notify.get("subscription-state") == "terminated;reason=timeout"
    assert (notify.get("content-type"), notify.body) == ("application/url", URL.encode())
    (ask,) = played.asks
    assert (ask.identity.vendor, ask.identity.model, ask.identity.version, ask.identity.mac) == (
        "grandstream",
        "GRP2612W",
        "1.0.5.67",
        "c074ad112233",
    )
    assert (ask.agent, ask.source) == ("Grandstream GRP2612W 1.0.5.67", PHONE)


@pytest.mark.parametrize(
    ("user", "mac"),
    [
        ("MAC%3a805ec04d796d", "805ec04d796d"),
        ("MAC%3A805EC04D796D", "805ec04d796d"),
        ("MAC:805ec04d796d", "805ec04d796d"),
        ("mac%3a80%3a5e%3ac0%3a4d%3a79%3a6d", "805ec04d796d"),
        ("805ec04d796d", "805ec04d796d"),
        ("MAC%3a805ec04d79", ""),
        ("anonymous", ""),
        ("MAC%3a805ec04d796dff", ""),
    ],
)
def test_spellings_of_a_mac(user: str, mac: str) -> None:
    played = Played()
    sent = played.ask(subscribe(user))
    assert [ask.identity.mac for ask in played.asks] == ([mac] if mac else [])
    assert bool(sent) == bool(mac)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/url", "application/url"),
        ("application/x-gs-ucm-url", "application/x-gs-ucm-url"),
        ("application/x-gs-ucm-url, application/url", "application/x-gs-ucm-url"),
        ("", "application/url"),
        ("*/*", "application/url"),
    ],
)
def test_the_type_is_what_the_phone_takes(accept: str, content_type: str) -> None:
    notify = parse(Played().ask(subscribe(accept=accept))[1].data)
    assert notify.get("content-type") == content_type


def test_a_boot_is_told_once_and_answered_as_often_as_it_asks() -> None:
    played = Played()
    first = played.ask()
    assert played.ask(now=0.5) == first[:1]
    assert len(played.ask(subscribe(call_id="another"), now=0.6)) == 2
    assert len(played.asks) == 2
    assert len(played.ask(now=61.0)) == 2  # long after: another boot


def test_who_may_not_be_told_gets_no_answer_at_all() -> None:
    played = Played("")
    assert played.ask() == []
    assert played.ask(now=0.5) == []
    assert (len(played.asks), played.machine.deadline) == (1, None)


def test_the_notify_is_sent_again_until_it_is_answered() -> None:
    played = Played()
    told = played.ask()[1]
    times = []
    while (due := played.machine.deadline) is not None and due < 8:
        times.append(due)
        assert played.machine.expired(due) == [told]
    assert times == [0.5, 1.5, 3.5, 7.5]
    answer = Request.response(parse(told.data), 200).encode()  # type: ignore[arg-type]
    played.machine.answered(answer.replace(b"490431573", b"1"), PHONE)
    played.machine.answered(answer, ("192.0.2.99", 5060))
    played.machine.answered(answer.replace(b"SIP/2.0 200 OK", b"SIP/2.0 100 Trying"), PHONE)
    played.machine.answered(b"junk", PHONE)
    assert played.took == []
    played.machine.answered(answer, PHONE)
    assert (played.took, played.machine.deadline) == ([("c074ad112233", True)], None)
    played.machine.answered(answer, PHONE)
    assert len(played.took) == 1


def test_a_phone_that_does_not_answer_is_given_up() -> None:
    played = Played()
    played.ask()
    while (due := played.machine.deadline) is not None:
        assert due <= TIMEOUT
        played.machine.expired(due)
    assert played.took == [("c074ad112233", False)]


def test_a_phone_that_refuses() -> None:
    played = Played()
    told = played.ask()[1]
    played.machine.answered(Request.response(parse(told.data), 489).encode(), PHONE)  # type: ignore[arg-type]
    assert played.took == [("c074ad112233", False)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        subscribe().replace(b"SUBSCRIBE", b"REGISTER"),
        subscribe().replace(b"Event: ua-profile", b"Event: presence"),
        subscribe()[:200],
        b"SIP/2.0 200 OK\r\n\r\n",
    ],
)
def test_other_things_in_the_group_are_left_alone(data: bytes) -> None:
    played = Played()
    assert played.machine.asked(data, PHONE, 0.0) == []
    assert played.asks == []


def test_a_flood_has_an_end() -> None:
    played = Played()
    for number in range(6000):
        played.ask(subscribe(call_id=str(number)))
    assert len(played.asks) == 1000  # those that wait for an answer


@pytest.mark.parametrize(
    ("adoption", "mac", "url"),
    [
        ("open", YEALINK, URL),
        ("open", "001565000199", URL),
        ("closed", YEALINK, URL),
        ("closed", "001565000199", ""),
    ],
)
def test_whom_the_policy_lets_be_told(front: Front, adoption: str, mac: str, url: str) -> None:
    renderer = front.lookup.renderer
    assert renderer
    practice = msgspec.structs.replace(renderer.snapshot.practice, adoption=adoption)
    renderer.snapshot = msgspec.structs.replace(renderer.snapshot, practice=practice)
    assert front.lookup.url(mac, "192.0.2.1:8080") == url
    front.lookup.renderer = None
    assert front.lookup.url(mac, "192.0.2.1:8080") == ""


def test_the_demo_has_none() -> None:
    assert networks("127.0.0.1", False) == []
    assert networks("::1", False) == []
    assert networks("192.0.2.5", False) == ["192.0.2.5"]
    assert not any(each.startswith("127.") for each in networks("0.0.0.0", True))
