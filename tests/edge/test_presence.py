"""Busy lamps, waiting messages and texts between phones, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from provisioner.edge.presence import MAX_SUBSCRIPTIONS, NAMESPACE
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Response
from tests.edge.world import EDGE, PATIENT, Phone, World, number_of


def ask(
    phone: Any, method: str, user: str, *headers: tuple[str, str], body: bytes = b"", known: bool = True
) -> Response:
    me = NameAddr(Uri("sip", EDGE[0], user=getattr(phone, "extension", "core")))
    request = phone.agent.new_request(method, f"sip:{user}@{EDGE[0]}", me, me, list(headers))
    request.body = body
    answers: list[Response | None] = []
    account = (lambda _realm: phone.account) if known and isinstance(phone, Phone) else None
    phone.agent.request(request, phone.flow, answers.append, account)
    phone.world.run()
    assert answers[-1]
    return answers[-1]


def subscribe(phone: Phone, user: str, event: str = "dialog", expires: str = "600", **more: Any) -> Response:
    return ask(phone, "SUBSCRIBE", user, ("event", event), ("expires", expires), **more)


def lamps(phone: Phone) -> list[list[tuple[str, str, str]]]:
    """(state, direction, display of the other end) of each dialog, of each NOTIFY."""
    found = []
    for notify in phone.requests("NOTIFY"):
        root = etree.fromstring(notify.body)
        space = {"d": NAMESPACE}
        found.append([
            (d.findtext("d:state", namespaces=space), d.get("direction"), d.find(".//d:identity", space).get("display"))
            for d in root.findall("d:dialog", space)
        ])  # fmt: skip
    return found


@pytest.fixture(autouse=True)
def phones_know_their_subscriptions(world: World) -> Iterator[None]:
    """Fakes answer a NOTIFY of a dialog that they do not keep with 481; a phone says 200."""
    for phone in world.phones.values():
        agent = phone.agent
        usual = agent.on_request

        def on_request(transaction: Any, usual: Any = usual) -> None:
            if transaction.request.method == "NOTIFY":
                transaction.reply(200)
            else:
                usual(transaction)

        agent.on_request = on_request
    yield
    world.edge.presence.close()
    world.run()
    assert world.edge.agent.subscriptions == {}


def test_x10_a_lamp_follows_a_call(world: World) -> None:
    watcher = world.phones["103"]
    assert subscribe(watcher, "102").status == 200
    assert lamps(watcher) == [[]]
    world.pass_time(1)
    world.inbound(number_of("102"))
    world.pass_time(1)
    assert lamps(watcher)[-1] == [("early", "recipient", "Desk 102")]
    world.ringing("102").answer()
    world.pass_time(1)
    assert lamps(watcher)[-1] == [("confirmed", "recipient", "Desk 102")]
    world.ringing("102").hangup()
    world.pass_time(1)
    assert lamps(watcher)[-1] == []
    versions = [etree.fromstring(m.body).get("version") for m in watcher.requests("NOTIFY")]
    assert versions == [str(index) for index in range(len(versions))]
    assert PATIENT not in b"".join(m.body for m in watcher.requests("NOTIFY")).decode()  # caller privacy


def test_x10_both_ends_of_an_inside_call(world: World) -> None:
    watcher = world.phones["103"]
    subscribe(watcher, "101")
    world.phones["101"].call("102")
    world.pass_time(1)
    assert lamps(watcher)[-1] == [("early", "initiator", "Room 102")]


def test_x10_an_outside_number_is_nobodys_business(world: World) -> None:
    watcher = world.phones["103"]
    subscribe(watcher, "101")
    world.phones["101"].call("+12124567890")
    world.pass_time(1)
    assert lamps(watcher)[-1] == [("early", "initiator", "Outside call")]


def test_x10_an_emergency_call_lights_the_lamp(world: World) -> None:
    watcher = world.phones["103"]
    subscribe(watcher, "101")
    world.phones["101"].call("911")
    world.pass_time(1)
    assert [lamp[:2] for lamp in lamps(watcher)[-1]] == [("early", "initiator")]


@pytest.mark.parametrize(
    ("user", "event", "expires", "status"),
    [("102", "presence", "600", 489), ("102", "dialog", "59", 423), ("199", "dialog", "600", 404),
     ("102", "message-summary", "600", 403), ("102", "dialog", "0", 200)],
)  # fmt: skip
def test_x11_what_is_refused(world: World, user: str, event: str, expires: str, status: int) -> None:
    answer = subscribe(world.phones["101"], user, event, expires)
    assert answer.status == status
    if status == 489:
        assert answer.get("allow-events") == "dialog, message-summary"


def test_a04_a_subscriber_proves_who_it_is(world: World) -> None:
    assert subscribe(world.phones["101"], "102", known=False).status == 401


def test_h09_a_phone_has_so_many_subscriptions(world: World) -> None:
    phone = world.phones["101"]
    statuses = []
    for _ in range(MAX_SUBSCRIPTIONS + 1):
        statuses.append(subscribe(phone, "102").status)
        world.pass_time(2)
    assert statuses == [200] * MAX_SUBSCRIPTIONS + [403]
    world.edge.presence.close()


def summary(world: World, user: str, body: bytes) -> int:
    return ask(world.core, "NOTIFY", user, ("event", "message-summary"), body=body).status


def test_x09_waiting_messages(world: World) -> None:
    phone = world.phones["101"]
    assert subscribe(phone, "101", "message-summary").status == 200
    first = phone.requests("NOTIFY")[-1]
    assert first.body.startswith(b"Messages-Waiting: no\r\nMessage-Account: sip:101@")
    assert first.get("content-type") == "application/simple-message-summary"
    world.pass_time(1)
    body = b"Messages-Waiting: yes\r\nMessage-Account: sip:x@core\r\nVoice-Message: 2/8 (1/0)\r\n"
    assert summary(world, number_of("101"), body) == 200
    text = phone.requests("NOTIFY")[-1].body
    assert text.startswith(b"Messages-Waiting: yes\r\n")
    assert text.endswith(b"Voice-Message: 2/8 (1/0)\r\n")
    assert b"core" not in text
    assert summary(world, "+14155550199", body) == 404
    assert summary(world, number_of("101"), b"junk") == 400


def test_x09_a_phone_tells_nothing_of_mailboxes(world: World) -> None:
    phone = world.phones["102"]
    assert (
        ask(phone, "NOTIFY", "101", ("event", "message-summary"), body=b"Messages-Waiting: yes\r\n").status
        == 200
    )
    assert subscribe(world.phones["101"], "101", "message-summary").status == 200
    assert world.phones["101"].requests("NOTIFY")[-1].body.startswith(b"Messages-Waiting: no")


def test_p07_a_text_reaches_the_phones_of_an_extension(world: World) -> None:
    plain = ("content-type", "text/plain")
    assert ask(world.phones["101"], "MESSAGE", "102", plain, body=b"lunch?").status == 200
    got = world.phones["102"].requests("MESSAGE")[-1]
    assert (got.body, got.get("from").partition(";")[0]) == (b"lunch?", f"Room 101 <sip:101@{EDGE[0]}:5060>")
    assert ask(world.phones["101"], "MESSAGE", "+12124567890", plain, body=b"x").status == 405
    assert ask(world.phones["101"], "MESSAGE", "102", ("content-type", "text/html"), body=b"x").status == 415
    assert ask(world.phones["101"], "MESSAGE", "102", plain, body=b"x" * 1300).status == 413
    assert ask(world.phones["101"], "MESSAGE", "102", plain, body=b"x", known=False).status == 401
