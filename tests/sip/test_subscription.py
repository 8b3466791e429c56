"""Subscriptions of a peer, as their notifier (RFC 6665), in virtual time."""

from __future__ import annotations

import pytest

from provisioner.sip.message import Request, parse
from provisioner.sip.subscription import Subscription
from tests.sip.lone import Lone, answer, request


class Book:
    """Makes a subscription of each SUBSCRIBE; counts those that are gone."""

    def __init__(self, lone: Lone) -> None:
        self.lone = lone
        self.made: list[Subscription] = []
        self.gone: list[Subscription] = []
        self.state = b"idle"
        lone.agent.events = ("dialog",)
        lone.party.on_request = self.take

    def take(self, transaction: object) -> None:
        one = Subscription(
            self.lone.agent, transaction, lambda n: ("text/plain", self.state + b" %d" % n), self.gone.append
        )
        self.made.append(one)

    def notified(self) -> list[Request]:
        return [parse(data) for _, data in self.lone.sent if data.startswith(b"NOTIFY")]

    def acknowledge(self, status: int = 200) -> None:
        self.lone.hear(answer(self.notified()[-1], status))


def subscribe(lone: Lone, *lines: str, seq: int = 1, tag: str = "", event: str = "dialog") -> str:
    data = request("SUBSCRIBE", f"Event: {event}", *lines, branch=f"z9hG4bKs{seq}", seq=seq, to_tag=tag)
    lone.hear(data)
    final = next(
        parse(d) for _, d in reversed(lone.sent) if d.startswith(b"SIP/2.0") and parse(d).cseq[0] == seq
    )
    return str(final.status)


def begun(*lines: str) -> tuple[Lone, Book, str]:
    lone = Lone()
    book = Book(lone)
    assert subscribe(lone, *lines) == "200"
    return lone, book, lone.last("SIP/2.0 200").get("to").rpartition("=")[2]


def test_x11_200_and_a_notify_at_once() -> None:
    lone, book, tag = begun("Expires: 600")
    assert lone.last("SIP/2.0 200").get("expires") == "600"
    first = book.notified()[0]
    assert (first.get("event"), first.get("subscription-state")) == ("dialog", "active;expires=600")
    assert (first.body, first.get("content-type")) == (b"idle 0", "text/plain")
    assert first.get("from").endswith(f"tag={tag}")


@pytest.mark.parametrize(
    ("line", "seconds"), [("Expires: 99999", "3600"), ("X: y", "3600"), ("Expires: x", "3600")]
)
def test_x11_how_long_it_lasts(line: str, seconds: str) -> None:
    lone, _, _ = begun(line)
    assert lone.last("SIP/2.0 200").get("expires") == seconds


def test_x11_expires_0_is_one_fetch() -> None:
    lone, book, _ = begun("Expires: 0")
    assert [message.get("subscription-state") for message in book.notified()] == ["terminated;reason=timeout"]
    assert book.made[0].over
    book.made[0].changed()
    book.acknowledge()
    lone.run_until(100)
    assert lone.idle()
    assert lone.agent.subscriptions == {}


def test_x11_it_runs_out() -> None:
    lone, book, _ = begun("Expires: 100")
    book.acknowledge()
    lone.run_until(99.9)
    assert len(book.notified()) == 1
    lone.run_until(100)
    assert book.notified()[-1].get("subscription-state") == "terminated;reason=timeout"
    assert book.gone == book.made
    book.acknowledge()
    lone.run_until(200)
    assert lone.idle()


def test_x11_a_refresh_begins_anew_and_notifies() -> None:
    lone, book, tag = begun("Expires: 100")
    book.acknowledge()
    lone.run_until(50)
    assert subscribe(lone, "Expires: 100", seq=2, tag=tag) == "200"
    assert book.notified()[-1].body == b"idle 1"
    book.acknowledge()
    lone.run_until(149.9)
    assert book.gone == []
    lone.run_until(150)
    assert len(book.gone) == 1


def test_x11_given_up_by_its_subscriber() -> None:
    lone, book, tag = begun()
    book.acknowledge()
    assert subscribe(lone, "Expires: 0", seq=2, tag=tag) == "200"
    assert book.notified()[-1].get("subscription-state") == "terminated;reason=timeout"
    assert subscribe(lone, "Expires: 100", seq=3, tag=tag) == "481"


@pytest.mark.parametrize(
    ("lines", "seq", "event", "status"),
    [
        (("Expires: 59",), 2, "dialog", "423"),
        (("Expires: 1",), 2, "dialog", "423"),
        (("Expires: 60",), 2, "dialog", "200"),
        ((), 2, "presence", "489"),
        ((), 2, "Dialog;id=7", "200"),
    ],
)
def test_x11_refreshes_that_will_not_do(lines: tuple[str, ...], seq: int, event: str, status: str) -> None:
    lone, book, tag = begun()
    assert subscribe(lone, *lines, seq=seq, tag=tag, event=event) == status
    assert len(book.notified()) == (2 if status == "200" else 1)
    if status == "423":
        assert lone.last("SIP/2.0 423").get("min-expires") == "60"
    if status == "489":
        assert lone.last("SIP/2.0 489").get("allow-events") == "dialog"


def test_d03_numbers_grow_and_other_methods_are_answered() -> None:
    lone, _, tag = begun()
    for method, seq, status in (
        ("OPTIONS", 5, "200"),
        ("OPTIONS", 4, "500"),
        ("PUBLISH", 6, "501"),
        ("REFER", 7, "405"),
    ):
        lone.hear(request(method, branch=f"z9hG4bK{method}{seq}", seq=seq, to_tag=tag))
        assert lone.lines()[-1].split()[1] == status


def test_x10_changes_are_told_at_once_but_not_more_often_than_every_200_ms() -> None:
    lone, book, _ = begun()
    book.made[0].changed()
    book.state = b"busy"
    book.made[0].changed()
    assert len(book.notified()) == 1
    lone.run_until(0.2)
    assert [message.body for message in book.notified()] == [b"idle 0", b"busy 1"]
    lone.run_until(0.41)
    book.made[0].changed()
    assert book.notified()[-1].body == b"busy 2"
    lone.run_until(0.7)
    bodies = {message.body for message in book.notified()}
    assert bodies == {b"idle 0", b"busy 1", b"busy 2"}


@pytest.mark.parametrize("status", [404, 408, 481, 489, 501])
def test_x11_a_notify_that_fails_removes_it(status: int) -> None:
    lone, book, _ = begun()
    book.acknowledge(status)
    assert book.gone == book.made
    lone.run_until(5000)
    assert len(book.notified()) == 1
    assert lone.idle()


def test_x11_a_subscriber_that_is_silent_is_gone() -> None:
    lone, book, _ = begun()
    lone.run_until(32)
    assert book.gone == book.made


@pytest.mark.parametrize("status", [200, 202, 500, 503])
def test_x11_other_answers_keep_it(status: int) -> None:
    _, book, _ = begun()
    book.acknowledge(status)
    assert book.gone == []


def test_x11_ended_by_us_once() -> None:
    _, book, _ = begun()
    book.made[0].end("deactivated")
    book.made[0].end("noresource")
    assert [message.get("subscription-state") for message in book.notified()][1:] == [
        "terminated;reason=deactivated"
    ]
