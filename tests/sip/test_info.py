"""Keys in INFO: every body in use, and a sender that keeps their order."""

import re

import pytest

from provisioner.sip.events import Info
from provisioner.sip.info import InfoSender, Key, body_of, parse
from tests.sip.pair import Wire
from tests.sip.test_session import call

RELAY = "application/dtmf-relay"


@pytest.mark.parametrize(
    ("kind", "body", "keys"),
    [
        (RELAY, "Signal=5\r\nDuration=160\r\n", [Key("5", 160)]),
        (RELAY, "Signal= *\r\nDuration= 100", [Key("*", 100)]),
        (RELAY, "signal=10\nDURATION=90\n", [Key("*", 90)]),
        (RELAY, "Signal=11\r\n", [Key("#")]),
        (RELAY, "Signal=a", [Key("A")]),
        (RELAY, "Signal=5\r\nDuration=7", [Key("5", 40)]),
        (RELAY, "Signal=5\r\nDuration=99999999999999999999", [Key("5")]),
        (RELAY, "Signal=16\r\nDuration=160", []),
        (RELAY, "Signal=hookflash", []),
        (RELAY, "Duration=160", []),
        ("Application/DTMF-Relay; charset=utf-8", "Signal=7", [Key("7")]),
        ("application/dtmf", "9", [Key("9")]),
        ("application/dtmf", " # \r\n", [Key("#")]),
        ("application/dtmf", "10", [Key("*")]),
        ("application/dtmf", "Signal=3\r\nDuration=200", [Key("3", 200)]),
        ("application/dtmf", "", []),
        (
            "application/vnd.nortelnetworks.digits",
            "p=Digit-Collection\r\ny=Digits\r\n\r\nd=Digits=4#",
            [Key("4"), Key("#")],
        ),
        ("audio/telephone-event", "Event=11\r\nDuration=320", [Key("#", 320)]),
        (RELAY, "\xff\x00=", []),
    ],
)
def test_bodies_that_are_in_use(kind, body, keys):
    assert list(parse(kind, body.encode("latin-1"))) == keys


def test_what_we_send_is_what_we_read():
    for digit in "0123456789*#ABCD":
        assert parse(RELAY, body_of(Key(digit, 160))) == (Key(digit, 160),)


def talking(wire):
    """A session of `a` that `b` has answered."""
    wire.b.on_call = lambda session: session.accept(wire.b.media.answer(session.offer))
    session = call(wire)
    wire.run()
    return session


def infos(wire):
    return [re.search(rb"Signal=.", data)[0].decode() for data in wire.log if data.startswith(b"INFO")]


def test_presses_go_one_at_a_time_and_in_order_although_one_is_lost():
    wire = Wire()
    sender = InfoSender(talking(wire))
    lost = []

    def lose(_number, data):
        if data.startswith(b"INFO") and b"Signal=2" in data and not lost:
            lost.append(data)
            return True
        return False

    wire.lose = lose
    for digit in "123":
        sender.send(Key(digit))
    wire.run()
    assert infos(wire) == ["Signal=1", "Signal=2"]
    wire.pass_time(2)
    heard = [
        parse(event.content_type, event.body)[0].digit for event in wire.b.events if isinstance(event, Info)
    ]
    assert heard == ["1", "2", "3"]
    assert infos(wire) == ["Signal=1", "Signal=2", "Signal=2", "Signal=3"]


def test_a_peer_that_knows_the_dialog_no_more_ends_the_call():
    wire = Wire()
    session = talking(wire)
    sender = InfoSender(session)
    wire.b.sessions[0].close()
    sender.send(Key("1"))
    wire.pass_time(1)
    assert session.state == "over"
    sender.send(Key("2"))
    assert len(infos(wire)) == 1


def test_a_refused_press_does_not_hold_up_the_next_one():
    wire = Wire()
    sender = InfoSender(talking(wire))
    wire.b.sessions[0]._on_info = lambda transaction: transaction.reply(415)
    sender.send(Key("1"))
    sender.send(Key("2"))
    wire.run()
    assert infos(wire) == ["Signal=1", "Signal=2"]


def test_a_press_that_another_request_overtook_is_sent_once_more():
    wire = Wire()
    session = talking(wire)
    sender = InfoSender(session)
    wire.lose = lambda _number, data: data.startswith(b"INFO") and len(infos(wire)) == 1
    sender.send(Key("1"))
    session.agent.request_in(session.dialog, session.dialog.request("UPDATE"))
    wire.pass_time(2)
    assert [parse(event.content_type, event.body) for event in wire.b.events if isinstance(event, Info)] == [
        (Key("1"),)
    ]


def test_each_of_two_equal_presses_is_sent_once_more_when_it_was_overtaken():
    wire = Wire()
    sender = InfoSender(talking(wire))
    seen = []

    def overtaken(transaction):
        seen.append(parse(transaction.request.get("content-type"), transaction.request.body)[0].digit)
        transaction.reply(500 if len(seen) in (1, 3) else 200)

    wire.b.sessions[0]._on_info = overtaken
    for key in "11":
        sender.send(Key(key))
    wire.run()
    assert seen == list("1111")
