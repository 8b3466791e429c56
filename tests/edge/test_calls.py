"""Calls between phones, in from the core and out to it (docs/calls.md), in virtual time."""

from __future__ import annotations

import pytest

from provisioner.edge.ringing import ELSEWHERE
from provisioner.sip.message import Request
from tests.edge.world import (
    CORE,
    EDGE,
    MAIN,
    OUTSIDE,
    PATIENT,
    Party,
    Talk,
    World,
    number_of,
    practice,
)  # fmt: skip


def said(party: Party) -> str:
    """All that the edge sent to a party, as text."""
    return "\n".join(message.encode().decode() for message in party.received)


# extension to extension


def test_extension_call_both_hear_each_other(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    assert [event.status for event in caller.events] == [180]
    desk.answer()
    assert caller.up
    assert world.hears(caller) is desk
    assert world.hears(desk) is caller
    caller.hangup()
    assert desk.ended
    assert world.outcome() == "ended"


@pytest.mark.rule("log.row")
def test_end_of_a_call_is_told_once_with_its_outcome(world: World) -> None:
    caller = world.phones["101"].call("102")
    world.ringing("102").answer()
    caller.hangup()
    ended = [data for name, data in world.events if name == "call" and data["state"] == "ended"]
    assert [(data["outcome"], data["steps"][-1][1]) for data in ended] == [("ended", "ended")]


@pytest.mark.rule("outbound.extensions-stay", "unreachable.inside")
def test_extension_call_works_with_the_trunk_down(world: World) -> None:
    world.core.dead = True
    caller = world.phones["101"].call("102")
    world.ringing("102").answer()
    assert caller.up


def test_extension_call_shows_the_line_and_not_what_the_phone_claims(world: World) -> None:
    liar = '"The Director" <sip:103@192.0.2.1>'
    world.phones["101"].call("102", from_=liar, headers=[("p-asserted-identity", liar)])
    invite = world.ringing("102").invite
    assert invite.get("from").startswith(f"Room 101 <sip:101@{EDGE[0]}:5060>")
    assert "Director" not in said(world.phones["102"])


def test_desk_hangs_up(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    desk.hangup()
    assert caller.ended
    assert world.outcome() == "ended"


def test_busy(world: World) -> None:
    caller = world.phones["101"].call("102")
    world.ringing("102").refuse(486)
    assert caller.status == 486
    assert world.outcome() == "busy"


def test_no_answer_is_480_after_30_seconds(world: World) -> None:
    caller = world.phones["101"].call("102")
    world.pass_time(29.9)
    assert caller.session.state == "calling"
    world.pass_time(0.2)
    assert caller.status == 480
    assert world.ringing("102").ended
    assert world.outcome() == "no answer"


def test_caller_cancels(world: World) -> None:
    caller = world.phones["101"].call("102")
    caller.hangup()
    ended = world.ringing("102").ended
    assert ended
    assert ended.how == "cancelled"
    assert world.outcome() == "caller gave up"


def test_cancel_and_answer_cross(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    caller.session.hangup()
    desk.session.accept(desk._answer())
    world.run()
    assert desk.over
    assert caller.over
    assert world.edge.calls == {}


def test_a_phone_that_answers_nothing_is_taken_for_gone(world: World) -> None:
    world.phones["102"].dead = True
    caller = world.phones["101"].call("102")
    world.pass_time(30.1)
    assert caller.status == 480
    world.pass_time(5)
    assert world.phones["103"].call("102").status == 480  # at once: nobody to ring
    assert world.outcome() == "nobody to ring"


def test_own_extension_rings_nobody_else(world: World) -> None:
    caller = world.phones["101"].call("101")
    assert world.phones["102"].calls == world.phones["103"].calls == []
    caller.hangup()


def test_invite_without_credentials_is_407(world: World) -> None:
    assert world.phones["101"].call("102", account=None).status == 407
    assert world.phones["102"].calls == []


def test_invite_with_a_wrong_password_is_407_and_counted(world: World) -> None:
    assert world.phones["101"].call("102", account=("user101", "guess")).status == 407
    assert world.edge.counters["wrong-credentials"] >= 1


def test_no_codec_in_common_is_488_and_rings_nobody(world: World) -> None:
    phone = world.phones["101"]
    talk = Talk(phone)
    talk.sdp.codecs = ()
    phone.calls.append(talk)
    session = phone.agent.invite(
        f"sip:102@{EDGE[0]}", phone.flow, *_parties("101", "102"), b"v=0\r\nm=audio 4000 RTP/AVP 9\r\n",
        talk.listen, credentials=lambda _realm: phone.account,
    )  # fmt: skip
    talk.session = session
    world.run()
    assert talk.status == 488
    assert world.phones["102"].calls == []


def _parties(one: str, other: str) -> tuple:
    from provisioner.sip.headers import NameAddr, Uri

    return NameAddr(Uri("sip", EDGE[0], user=one)), NameAddr(Uri("sip", EDGE[0], user=other))


def test_without_media_ports_a_call_is_503_and_nothing_rings_on(world: World) -> None:
    world.media.capacity = 4
    assert world.phones["101"].call("102").status == 503  # the reserve is for emergencies
    world.media.capacity = 5
    caller = world.phones["101"].call("102")
    assert caller.status == 503  # one port for the caller, none for the phone
    assert world.edge.calls == {}


# holding


@pytest.mark.parametrize(
    ("direction", "connection"), [("sendonly", ""), ("inactive", ""), ("sendrecv", "0.0.0.0")]
)
def test_held_party_hears_music_until_resumed(world: World, direction: str, connection: str) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    assert desk.reinvite(direction, connection).status == 200
    assert world.hears(caller) == "music"
    assert world.hears(desk) is None
    assert desk.reinvite("sendrecv").status == 200
    assert world.hears(caller) is desk
    assert world.hears(desk) is caller


def test_resume_without_an_offer(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    desk.reinvite("sendonly")
    assert world.hears(caller) == "music"
    assert desk.reinvite().status == 200
    assert world.hears(caller) is desk
    assert world.hears(desk) is caller


def silent(world: World, *talks: Talk) -> None:
    for talk in talks:
        world.edge.on_media("silent", {"leg": world.leg_of(talk).id, "seconds": 60})


def test_d12_a_call_in_which_nobody_is_heard_any_more_ends(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    silent(world, desk)
    world.pass_time(100)
    silent(world, caller)
    assert caller.ended is None
    silent(world, desk)
    assert world.edge.calls == {}
    world.pass_time(40)
    assert caller.ended
    assert desk.ended


def test_d12_a_call_on_hold_may_be_silent(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    desk.reinvite("inactive")
    silent(world, desk, caller)
    assert len(world.edge.calls) == 1


def test_unusable_offer_leaves_the_call_as_it_was(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    desk.sdp.offer = lambda direction="sendrecv": b"v=0\r\nm=video 4000 RTP/AVP 31\r\n"  # type: ignore[method-assign]
    assert desk.reinvite("sendrecv").status == 488
    assert world.hears(caller) is desk


def test_late_offer(world: World) -> None:
    caller = world.phones["101"].call("102", offer=False)
    desk = world.ringing("102")
    desk.answer()
    assert caller.up
    assert world.hears(caller) is desk
    assert world.hears(desk) is caller


def test_late_offer_without_an_answer_ends(world: World) -> None:
    world.phones["101"].answers_late = False
    caller = world.phones["101"].call("102", offer=False)
    desk = world.ringing("102")
    desk.answer()
    assert caller.ended
    assert desk.ended


# in from the core


@pytest.mark.rule("inbound.number")
def test_number_of_an_extension_rings_it(world: World) -> None:
    caller = world.inbound(number_of("102"))
    assert world.phones["101"].calls == []
    desk = world.ringing("102")
    desk.answer()
    assert world.hears(caller) is desk
    assert world.hears(desk) is caller


@pytest.mark.parametrize("dialled", ["14155550102", "4155550102", "102"])
def test_ways_to_write_a_number(world: World, dialled: str) -> None:
    world.inbound(dialled)
    assert len(world.phones["102"].calls) == 1


@pytest.mark.rule("inbound.number")
def test_unknown_number_is_404(world: World) -> None:
    assert world.inbound("+14155559999").status == 404


@pytest.mark.rule("inbound.simultaneous")
def test_ring_group_first_wins_and_the_others_show_no_missed_call(world: World) -> None:
    caller = world.inbound()
    desks = [world.ringing(extension) for extension in ("101", "102", "103")]
    desks[1].answer()
    assert caller.up
    assert world.hears(caller) is desks[1]
    for desk in (desks[0], desks[2]):
        assert desk.ended
        assert desk.ended.reason == ELSEWHERE


@pytest.mark.rule("inbound.simultaneous")
def test_ring_group_two_pick_up_at_once(world: World) -> None:
    caller = world.inbound()
    first, second = world.ringing("101"), world.ringing("102")
    first.session.accept(first._answer())
    second.session.accept(second._answer())
    world.run()
    assert world.hears(caller) is first
    assert second.ended
    assert first.up


@pytest.mark.rule("inbound.nobody")
def test_ring_group_nobody_answers_is_480(world: World) -> None:
    caller = world.inbound()
    world.pass_time(30.1)
    assert caller.status == 480
    for extension in ("101", "102", "103"):
        assert world.ringing(extension).ended


def test_ring_group_one_busy_rings_the_others_on(world: World) -> None:
    caller = world.inbound()
    world.ringing("101").refuse(486)
    assert not caller.over
    world.ringing("102").answer()
    assert caller.up


def test_ring_group_all_refuse(world: World) -> None:
    caller = world.inbound()
    for extension in ("101", "102", "103"):
        world.ringing(extension).refuse(603)
    assert caller.status == 480


@pytest.mark.rule("inbound.passed-over")
def test_ring_group_nobody_registered_is_480(world: World) -> None:
    for phone in world.phones.values():
        phone.register(expires=0)
    assert world.inbound().status == 480


def test_caller_hangs_up_while_the_group_rings(world: World) -> None:
    world.inbound().hangup()
    for extension in ("101", "102", "103"):
        assert world.ringing(extension).over


@pytest.mark.rule("inbound.nobody")
def test_caller_is_never_answered_before_a_person_accepts(world: World) -> None:
    caller = world.inbound(number_of("102"))
    assert {event.status for event in caller.events} == {180}
    world.ringing("102").early()
    assert not caller.up


@pytest.mark.rule("inbound.privacy")
def test_caller_privacy(world: World) -> None:
    """Nothing that a phone gets holds the caller's number or name, in headers or SDP."""
    caller = world.inbound()
    world.ringing("102").answer()
    world.pass_time(40)
    caller.hangup()
    for phone in world.phones.values():
        text = said(phone)
        assert PATIENT[2:] not in text
        assert "Patient" not in text
        assert CORE[0] not in text
        assert caller.session.invite.call_id not in text
    assert world.phones["102"].requests("INVITE")[0].get("from").startswith(f"Reception <sip:{MAIN}@")


@pytest.mark.rule("inbound.privacy")
def test_caller_privacy_off_shows_the_number() -> None:
    snapshot = practice()
    number = snapshot.numbers[number_of("102")]
    shown = type(number)(id=number.id, label="Desk", extension="102", caller_privacy=False)
    world = World(practice(numbers={**snapshot.numbers, number.id: shown}))
    world.register_all()
    world.inbound(number_of("102"))
    assert f"sip:{PATIENT}@" in world.ringing("102").invite.get("from")
    world.end()
    world.assert_nothing_left()


@pytest.mark.rule("inbound.privacy", "log.row")
def test_the_log_holds_the_caller(world: World) -> None:
    world.inbound(number_of("102")).hangup()
    row = next(row for table, row in world.rows if table == "calls")
    assert (row["direction"], row["caller"], row["called"]) == ("inbound", PATIENT, number_of("102"))


def test_closing_refuses_calls(world: World) -> None:
    caller = world.inbound(number_of("102"))
    world.ringing("102").answer()
    world.edge.close()
    world.run()
    assert caller.ended
    assert world.ringing("102").ended
    assert world.inbound().status == 503
    assert world.phones["101"].call("102").status == 503


# out


@pytest.mark.rule("outbound.caller-id")
def test_outbound_shows_the_number_of_the_line(world: World) -> None:
    lies = [
        ("p-asserted-identity", "<sip:+12025550199@evil.example>"),
        ("p-preferred-identity", "<sip:+12025550199@evil.example>"),
        ("remote-party-id", "<sip:+12025550199@evil.example>"),
        ("subject", "secret subject"),
    ]
    who = '"Mallory" <sip:+12025550199@x.example>'
    caller = world.phones["102"].call("2124567890", from_=who, headers=lies)
    far = world.core.calls[-1]
    invite = far.invite
    assert invite.uri == f"sip:{OUTSIDE}@{CORE[0]}:{CORE[1]}"
    assert invite.get("p-asserted-identity") == f"<sip:{number_of('102')}@{EDGE[0]}>"
    assert invite.get("from").startswith(f"<sip:{number_of('102')}@{EDGE[0]}:5060>;tag=")
    text = said(world.core)
    for claimed in ("5550199", "Mallory", "secret", "10.0.0.102", "user102", "proxy-authorization"):
        assert claimed not in text
    far.answer()
    assert world.hears(caller) is far
    assert world.hears(far) is caller


@pytest.mark.rule("transfer.inbound-only")
def test_outbound_star_is_a_digit_like_any_other(world: World) -> None:
    caller = world.phones["102"].call("2124567890")
    far = world.core.calls[-1]
    far.answer()
    world.press(caller, "*1#")
    world.press(far, "*")
    assert world.passed_on == ["*", "1", "#", "*"]
    assert world.states() == ["talking"]


def test_outbound_early_media_is_heard(world: World) -> None:
    caller = world.phones["102"].call("2124567890")
    far = world.core.calls[-1]
    far.early()
    assert caller.events[-1].status == 183
    assert world.hears(caller) is far


def test_outbound_busy(world: World) -> None:
    caller = world.phones["102"].call("2124567890")
    world.core.calls[-1].refuse(486)
    assert caller.status == 486


def test_line_without_a_number_shows_the_main_number() -> None:
    snapshot = practice()
    phone = snapshot.phones["0004f2000101"]
    bare = type(phone)(
        id=phone.id, vendor="polycom", model="VVX 411", lines=(type(phone.lines[0])(extension="101"),)
    )
    world = World(practice(phones={**snapshot.phones, phone.id: bare}))
    world.register_all()
    world.phones["101"].call("2124567890")
    assert f"sip:{MAIN}@" in world.core.calls[-1].invite.get("p-asserted-identity")
    world.end()
    world.assert_nothing_left()


@pytest.mark.parametrize(
    ("dialled", "prompt", "status"),
    [
        ("011442071234567", "not-nanp", 403),
        ("19005551212", "refused", 403),
        ("12345", "invalid", 404),
        ("199", "invalid", 404),
        ("5551212", "area-code", 484),
        ("9112345678", "dial-911", 404),
        ("611", "refused", 403),
    ],
)
@pytest.mark.rule("dialled.invalid", "dialled.seven-digits", "dialled.not-nanp", "dialled.mistyped")
def test_refused_number_is_spoken_then_refused(world: World, dialled: str, prompt: str, status: int) -> None:
    caller = world.phones["101"].call(dialled)
    assert caller.events[0].status == 183
    caller.sdp.accept(caller.events[0].sdp)
    assert world.hears(caller) == prompt
    assert caller.status == 0
    world.prompt_ends(caller)
    assert caller.status == status
    assert world.core.calls == []


def test_refused_number_caller_hangs_up_while_it_is_spoken(world: World) -> None:
    caller = world.phones["101"].call("12345")
    caller.hangup()
    assert world.edge.calls == {}


def test_refused_number_media_never_says_that_it_has_played(world: World) -> None:
    caller = world.phones["101"].call("12345")
    world.pass_time(31)
    assert caller.status == 404


def test_refused_number_without_an_offer_is_refused_at_once(world: World) -> None:
    assert world.phones["101"].call("12345", offer=False).status == 404


# other requests


def test_options_and_stray_requests(world: World) -> None:
    phone = world.phones["101"]
    answers = {}
    for method in ("OPTIONS", "NOTIFY", "SUBSCRIBE", "MESSAGE", "BYE", "INFO", "FOO"):
        request = phone.agent.new_request(method, f"sip:{EDGE[0]}", *_parties("101", "101"), [])
        phone.agent.request(
            request, phone.flow, lambda response, m=method: answers.update({m: response and response.status})
        )
        world.run()
    assert answers == {
        "OPTIONS": 200, "NOTIFY": 200, "SUBSCRIBE": 401, "MESSAGE": 401, "BYE": 481, "INFO": 481, "FOO": 501,
    }  # fmt: skip


def test_phones_never_get_another_phones_address(world: World) -> None:
    world.phones["101"].call("102")
    world.ringing("102").answer()
    sent = [m for m in world.phones["102"].received if isinstance(m, Request)]
    assert not any("10.0.0.101" in request.encode().decode() for request in sent)
