"""More than one contact of an extension, and answers of phones that are no good, in virtual time."""

from __future__ import annotations

import pytest

from provisioner.edge.ringing import ELSEWHERE
from provisioner.sip.transaction import Flow
from tests.edge.world import (
    EDGE,
    Phone,
    World,
    number_of,
)  # fmt: skip


def second_contact(world: World, extension: str) -> Phone:
    """Another phone that registers for the same extension."""
    phone = Phone(world, extension)
    phone.address = ("10.0.9.9", 5060)
    phone.flow = Flow("UDP", phone.address, EDGE)
    assert world.add(phone).register(contact=f"<sip:{extension}@10.0.9.9>").status == 200
    return phone


def test_all_contacts_of_an_extension_ring(world: World) -> None:
    other = second_contact(world, "102")
    caller = world.phones["101"].call("102")
    first = world.ringing("102")
    other.calls[-1].early()
    assert {event.status for event in caller.events} == {180}  # whose early media would it be?
    other.calls[-1].answer()
    assert first.ended
    assert first.ended.reason == ELSEWHERE
    assert world.hears(caller) is other.calls[-1]


def test_busy_on_one_contact_rings_the_other_on(world: World) -> None:
    other = second_contact(world, "102")
    caller = world.phones["101"].call("102")
    world.ringing("102").refuse(486)
    assert not caller.over
    other.calls[-1].refuse(486)
    assert caller.status == 486


def test_early_media_of_one_of_two_targets_is_not_heard(world: World) -> None:
    other = second_contact(world, "102")
    world.inbound(number_of("101"))
    desk = world.ringing("101")
    desk.answer()
    world.press(desk, "*1102#")
    other.calls[-1].early()
    assert world.hears(desk) == "ringback"
    other.calls[-1].refuse(486)
    assert world.hears(desk) == "ringback"
    world.ringing("102").answer()
    assert world.hears(desk) is world.ringing("102")


@pytest.mark.parametrize(
    "body", [b"", b"junk", b"v=0\r\nm=audio 4000 RTP/AVP 9\r\n", b"v=0\r\nm=audio 0 RTP/AVP 0\r\n"]
)
def test_answer_without_usable_audio(world: World, body: bytes) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.session.accept(body)
    world.run()
    assert caller.status == 488
    assert desk.ended


def test_progress_with_unusable_sdp_is_just_ringing(world: World) -> None:
    caller = world.phones["101"].call("102")
    world.ringing("102").session.progress(183, b"junk")
    world.run()
    assert {event.status for event in caller.events} == {180}


def test_info_is_answered(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    assert desk.session.dialog
    request = desk.session.dialog.request("INFO")
    request.headers.append(("content-type", "application/dtmf-relay"))
    request.body = b"Signal=5\r\nDuration=100\r\n"
    answers = []
    desk.party.agent.request_in(desk.session.dialog, request, answers.append)
    world.run()
    assert [answer.status for answer in answers] == [200]
    assert caller.up


def test_phone_that_never_acknowledges(world: World) -> None:
    """Its call ends, and the other end's with it."""
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    world.phones["101"].dead = True
    desk.answer()
    world.pass_time(33)
    assert desk.ended
    assert world.edge.calls == {}
    world.phones["101"].dead = False
    caller.hangup()
