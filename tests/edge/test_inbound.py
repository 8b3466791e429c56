"""Calls from outside: turns, members outside, forwards, who is shown; the whole edge in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.edge.edge import EMERGENCY_RESERVE
from provisioner.edge.ringing import ELSEWHERE
from provisioner.store import records
from tests.edge.world import CORE, EDGE, MAIN, OUTSIDE, PATIENT, Make, Talk, World, number_of, practice

CELL = OUTSIDE


def group(*members: records.Member | str, **of: Any) -> dict[str, Any]:
    return {"ring_groups": {"all": records.RingGroup(id="all", name="All", members=members, **of)}}


def member(target: str, seconds: int = 0) -> records.Member:
    return records.Member(target=target, seconds=seconds)


def features(extension: str, **of: Any) -> records.LineFeatures:
    return records.LineFeatures(id=extension, **of)


def public(**of: Any) -> dict[str, Any]:
    """Numbers, those of the reception and of 102 without caller privacy, or with what is said."""
    numbers = practice().numbers
    of = {"caller_privacy": False, **of}
    main = records.Number(id=MAIN, label="Reception", ring_group="all", **of)
    direct = records.Number(id=number_of("102"), label="Desk 102", extension="102", **of)
    return {"numbers": {**numbers, MAIN: main, direct.id: direct}}


def live(world: World) -> list[str]:
    """The extensions that ring now, and "core" for a leg outside."""
    found = [extension for extension, phone in world.phones.items() for call in phone.calls if not call.over]
    outside = [call for call in world.core.calls if call.session.incoming and not call.over]
    return found + ["core"] * len(outside)


def row(world: World) -> dict[str, Any]:
    return next(row for table, row in reversed(world.rows) if table == "calls")


# one after the other


@pytest.mark.rule("inbound.sequential")
def test_each_rings_alone_for_its_own_seconds(make: Make) -> None:
    world = make(**group(member("101", 5), member("102", 7), "103", mode="sequential"))
    caller = world.inbound()
    assert live(world) == ["101"]
    world.pass_time(4.9)
    assert live(world) == ["101"]
    world.pass_time(0.2)
    assert live(world) == ["102"]
    world.pass_time(7)
    assert live(world) == ["103"]
    world.pass_time(14.8)
    assert live(world) == ["103"]
    assert caller.status == 0
    world.pass_time(0.2)
    assert caller.status == 480
    assert world.outcome() == "no answer"
    assert not caller.up


@pytest.mark.rule("inbound.sequential")
def test_each_call_begins_behind_who_was_first_last_time(make: Make) -> None:
    world = make(**group("101", "102", "103", mode="sequential"))
    first = []
    for _ in range(5):
        caller = world.inbound()
        first += live(world)
        caller.hangup()
    assert first == ["101", "102", "103", "101", "102"]


@pytest.mark.rule("inbound.sequential")
def test_two_calls_at_once_begin_with_two_phones(make: Make) -> None:
    world = make(**group("101", "102", "103", mode="sequential"))
    world.inbound()
    world.inbound()
    assert live(world) == ["101", "102"]


@pytest.mark.rule("inbound.sequential")
def test_who_declines_is_followed_at_once(make: Make) -> None:
    world = make(**group("101", "102", mode="sequential"))
    caller = world.inbound()
    world.ringing("101").refuse(486)
    assert live(world) == ["102"]
    world.ringing("102").answer()
    assert world.hears(caller) is world.ringing("102")


@pytest.mark.rule("inbound.passed-over")
def test_who_is_not_registered_is_passed_over_and_does_not_count_as_first(make: Make) -> None:
    world = make(**group("101", "102", "103", mode="sequential"))
    world.phones["101"].register(expires=0)
    first = []
    for _ in range(3):
        caller = world.inbound()
        first += live(world)
        caller.hangup()
    assert first == ["102", "103", "102"]


@pytest.mark.rule("inbound.passed-over")
@pytest.mark.parametrize("mode", ["simultaneous", "sequential"])
def test_who_does_not_want_to_be_disturbed_is_passed_over(make: Make, mode: str) -> None:
    world = make(features("101", do_not_disturb=True), **group("101", "102", mode=mode))
    world.inbound()
    assert live(world) == ["102"]


@pytest.mark.rule("inbound.nobody")
@pytest.mark.parametrize("mode", ["simultaneous", "sequential"])
def test_all_passed_over_is_480_at_once(make: Make, mode: str) -> None:
    quiet = [features(extension, do_not_disturb=True) for extension in ("101", "102")]
    world = make(*quiet, **group("101", "102", mode=mode))
    caller = world.inbound()
    assert caller.status == 480
    assert world.outcome() == "nobody to ring"


@pytest.mark.rule("inbound.nobody")
def test_overall_seconds_end_a_sequential_group(make: Make) -> None:
    world = make(**group("101", "102", "103", mode="sequential", seconds=20))
    caller = world.inbound()
    world.pass_time(20.1)
    assert caller.status == 480
    assert live(world) == []


@pytest.mark.rule("inbound.nobody")
@pytest.mark.parametrize("mode", ["simultaneous", "sequential"])
def test_a_group_whose_members_are_all_busy_is_480(make: Make, mode: str) -> None:
    world = make(**group("101", "102", mode=mode))
    caller = world.inbound()
    for extension in ("101", "102"):
        world.ringing(extension).refuse(486)
    assert caller.status == 480


@pytest.mark.rule("inbound.simultaneous")
def test_a_member_of_a_simultaneous_group_stops_after_its_own_seconds(make: Make) -> None:
    world = make(**group(member("101", 5), "102"))
    caller = world.inbound()
    assert live(world) == ["101", "102"]
    world.pass_time(5.1)
    assert live(world) == ["102"]
    world.ringing("102").answer()
    assert caller.up


@pytest.mark.rule("inbound.nobody")
def test_no_media_port_left(make: Make) -> None:
    world = make()
    world.media.capacity = len(world.media.open) + EMERGENCY_RESERVE + 1
    assert world.inbound().status == 503
    assert world.outcome() == "no media port"


# members outside


@pytest.mark.rule("inbound.outside-members")
def test_member_outside_is_called_through_the_core_in_the_practices_name(make: Make) -> None:
    world = make(**group("101", member(CELL, 20)))
    caller = world.inbound()
    far = world.core.calls[-1]
    assert far.invite.uri == f"sip:{CELL}@{CORE[0]}:{CORE[1]}"
    assert far.invite.get("p-asserted-identity") == f"<sip:{MAIN}@{EDGE[0]}>"
    assert far.invite.get("diversion") == f"<sip:{MAIN}@{EDGE[0]}>;reason=follow-me;counter=1;privacy=off"
    assert PATIENT[2:] not in far.invite.encode().decode()
    far.answer()
    assert not caller.up  # a mailbox would have taken the call now
    assert live(world) == ["101", "core"]
    assert world.hears(far) == "call-from " + " ".join(f"say-{digit}" for digit in PATIENT[2:]) + " press-1"
    world.press(far, "1")
    assert caller.up
    assert world.hears(caller) is far
    assert world.hears(far) is caller
    assert world.ringing("101").ended.reason == ELSEWHERE
    far.hangup()
    assert (row(world)["desk"], row(world)["outcome"]) == (CELL, "ended")


@pytest.mark.rule("inbound.outside-members")
def test_a_mailbox_of_a_member_outside_never_gets_the_call(make: Make) -> None:
    world = make(**group(CELL, mode="sequential"))
    caller = world.inbound()
    far = world.core.calls[-1]
    far.answer()
    world.prompt_ends(far)
    world.pass_time(10.1)
    assert far.ended
    assert caller.status == 480
    assert {event.status for event in caller.events} == {180, 480}


@pytest.mark.rule("inbound.outside-members")
def test_member_outside_rings_for_its_own_seconds(make: Make) -> None:
    world = make(**group(member(CELL, 8), "101", mode="sequential"))
    world.inbound()
    assert live(world) == ["core"]
    world.pass_time(8.1)
    assert live(world) == ["101"]


@pytest.mark.rule("inbound.outside-members")
def test_early_media_of_a_member_outside_is_not_heard(make: Make) -> None:
    world = make(**group(CELL, "101"))
    caller = world.inbound()
    world.core.calls[-1].early()
    assert {event.status for event in caller.events} == {180}


def test_a_call_that_comes_back_from_where_it_was_sent_does_not_go_out_again(make: Make) -> None:
    world = make(**group("101", CELL))
    world.inbound()
    world.inbound(caller=MAIN)
    assert live(world) == ["101", "101", "core"]
    assert world.edge.counters["diverted-too-often"] == 1


def test_a_call_that_was_diverted_often_does_not_go_out_again(make: Make) -> None:
    world = make(**group("101", CELL))
    world.inbound(headers=[("diversion", "<sip:+12125550111@x.example>;reason=unknown;counter=5")])
    assert live(world) == ["101"]


# forwards


def test_do_not_disturb_is_480_for_the_core_and_for_a_colleague(make: Make) -> None:
    world = make(features("102", do_not_disturb=True))
    assert world.inbound(number_of("102")).status == 480
    assert world.phones["101"].call("102").status == 480
    assert world.phones["102"].calls == []


def test_forward_always_to_an_extension(make: Make) -> None:
    world = make(features("102", forward_always="103"))
    caller = world.inbound(number_of("102"))
    assert live(world) == ["103"]
    desk = world.ringing("103")
    assert desk.invite.get("diversion") == f"<sip:102@{EDGE[0]}>;reason=unconditional;counter=1;privacy=off"
    assert desk.invite.get("history-info") == (
        f"<sip:102@{EDGE[0]}>;index=1, <sip:103@{EDGE[0]};cause=302>;index=1.1;mp=1"
    )
    desk.answer()
    assert world.hears(caller) is desk


def test_forward_outside_shows_the_practices_number_and_who_sent_it(make: Make) -> None:
    world = make(features("102", forward_always=CELL))
    caller = world.inbound(
        number_of("102"), headers=[("diversion", "<sip:+12125550111@x.example>;counter=2")]
    )
    far = world.core.calls[-1]
    assert far.invite.get("p-asserted-identity") == f"<sip:{number_of('102')}@{EDGE[0]}>"
    assert far.invite.all("diversion") == [
        f"<sip:{number_of('102')}@{EDGE[0]}>;reason=unconditional;counter=3;privacy=off"
    ]
    assert f"<sip:{CELL}@{EDGE[0]};cause=302>;index=1.1;mp=1" in far.invite.get("history-info")
    assert PATIENT[2:] not in far.invite.encode().decode()
    far.answer()
    assert world.hears(caller) is far


def test_forward_when_busy(make: Make) -> None:
    world = make(features("102", forward_busy="103"))
    caller = world.phones["101"].call("102")
    world.ringing("102").refuse(486)
    assert "reason=user-busy" in world.ringing("103").invite.get("diversion")
    world.ringing("103").answer()
    assert world.hears(caller) is world.ringing("103")


def test_forward_when_it_does_not_answer(make: Make) -> None:
    world = make(features("102", forward_no_answer="103", forward_no_answer_seconds=12))
    caller = world.inbound(number_of("102"))
    world.pass_time(11.9)
    assert live(world) == ["102"]
    world.pass_time(0.2)
    assert live(world) == ["103"]
    world.pass_time(30)
    assert caller.status == 480


def test_forward_when_it_is_not_registered(make: Make) -> None:
    world = make(features("102", forward_no_answer=CELL))
    world.phones["102"].register(expires=0)
    world.inbound(number_of("102"))
    assert live(world) == ["core"]


def test_forwards_in_a_circle_ring_the_last_phone(make: Make) -> None:
    world = make(features("101", forward_always="102"), features("102", forward_always="101"))
    world.inbound(number_of("101"))
    assert live(world) == ["102"]


def test_the_target_of_a_transfer_is_forwarded_and_disturbed_by_nobody(make: Make) -> None:
    world = make(features("102", do_not_disturb=True), features("103", forward_always=CELL))
    caller = world.inbound(number_of("101"))
    desk = world.ringing("101")
    desk.answer()
    world.press(desk, "*1102#")
    assert world.hears(desk) == "no-answer menu"
    world.press(desk, "1103#")
    far = world.core.calls[-1]
    assert far.invite.get("p-asserted-identity") == f"<sip:{number_of('103')}@{EDGE[0]}>"
    far.answer()
    assert world.hears(desk) is far
    assert world.hears(caller) == "music"


# who is shown


def said(world: World) -> str:
    """All that the edge sent to desk phones."""
    return "\n".join(m.encode().decode() for phone in world.phones.values() for m in phone.received)


TELLTALES = [
    ("p-asserted-identity", '"Jane Patient" <sip:+12065550142@core.example>'),
    ("p-asserted-identity", "<tel:+12065550142>"),
    ("p-preferred-identity", '"Jane Patient" <sip:+12065550142@core.example>'),
    ("remote-party-id", '"Jane Patient" <sip:+12065550142@core.example>;party=calling'),
    ("call-info", "<http://core.example/jane-patient-2065550142.png>;purpose=icon"),
    ("alert-info", "<http://core.example/2065550142.wav>"),
    ("subject", "Jane Patient 2065550142"),
    ("referred-by", "<sip:+12065550142@core.example>"),
    ("diversion", "<sip:2065550142@core.example>;counter=1"),
    ("history-info", "<sip:2065550142@core.example>;index=1"),
    ("user-agent", "Patient-2065550142"),
    ("organization", "Jane Patient"),
    ("reply-to", "<sip:2065550142@core.example>"),
    ("x-caller", "2065550142"),
]


@pytest.mark.rule("inbound.privacy")
@pytest.mark.parametrize("of", [features("102"), features("102", forward_busy="103")])
def test_nothing_of_the_caller_reaches_a_phone(make: Make, of: records.LineFeatures) -> None:
    world = make(of)
    caller = world.inbound(number_of("102"), headers=TELLTALES)
    if of.forward_busy:
        world.ringing("102").refuse(486)
    desk = world.ringing("103" if of.forward_busy else "102")
    desk.answer()
    caller.session.hangup(reason='SIP;cause=200;text="Jane Patient 2065550142"')
    world.run()
    assert desk.over
    assert "2065550142" not in said(world)
    assert "Patient" not in said(world)
    assert desk.invite.get("from").startswith(f"Desk 102 <sip:{number_of('102')}@")
    assert row(world)["caller"] == PATIENT


@pytest.mark.rule("inbound.privacy")
def test_the_caller_gives_up_and_says_why_with_a_name(make: Make) -> None:
    world = make()
    caller = world.inbound(number_of("102"))
    caller.session.hangup(reason='SIP;cause=487;text="Jane Patient 2065550142"')
    world.run()
    assert "Patient" not in said(world)
    assert "SIP;cause=487" in said(world)


@pytest.mark.rule("inbound.privacy")
def test_without_privacy_name_and_number_are_shown(make: Make) -> None:
    world = make(**public())
    world.inbound(number_of("102"))
    assert world.ringing("102").invite.get("from").startswith(f"Jane Patient <sip:{PATIENT}@")


@pytest.mark.rule("inbound.privacy")
@pytest.mark.parametrize("value", ["id", "id;critical", "user;id", "header"])
def test_a_caller_who_withholds_the_number_is_anonymous_without_privacy_too(make: Make, value: str) -> None:
    world = make(**public())
    world.inbound(number_of("102"), headers=[("privacy", value)])
    assert world.ringing("102").invite.get("from").startswith(f"Anonymous <sip:anonymous@{EDGE[0]}")
    assert PATIENT[2:] not in said(world)


@pytest.mark.rule("inbound.privacy")
def test_privacy_none_withholds_nothing(make: Make) -> None:
    world = make(**public())
    world.inbound(number_of("102"), headers=[("privacy", "none")])
    assert PATIENT in world.ringing("102").invite.get("from")


@pytest.mark.rule("inbound.international")
@pytest.mark.parametrize("privacy", [True, False])
@pytest.mark.parametrize(
    "number",
    [
        "+442071234567",
        "+44-20-7123-4567",
        "442071234567",
        "011442071234567",
        "00442071234567",
        "+528112345678",
        "+1206555",
    ],
)
def test_international_caller_is_shown_as_that_and_not_stored(make: Make, number: str, privacy: bool) -> None:
    world = make(**public(caller_privacy=privacy))
    who = f'"Ann {number}" <sip:{number}@{CORE[0]}>'
    caller = world.core.dial(f"sip:{number_of('102')}@{EDGE[0]}", who, headers=[("p-asserted-identity", who)])
    desk = world.ringing("102")
    shown = f"Desk 102 <sip:{number_of('102')}@" if privacy else "International caller <sip:anonymous@"
    assert desk.invite.get("from").startswith(shown)
    desk.answer()
    caller.hangup()
    assert row(world)["caller"] == "International caller"
    digits = number.removeprefix("+")[-7:]
    assert digits not in said(world)
    assert digits not in str(world.rows)
    assert digits not in str(world.events)


@pytest.mark.rule("inbound.international")
def test_a_nanp_caller_without_its_plus_is_stored_as_e164(make: Make) -> None:
    world = make()
    who = f"<sip:{PATIENT[2:]}@{CORE[0]}>"
    world.core.dial(f"sip:{number_of('102')}@{EDGE[0]}", who).hangup()
    assert row(world)["caller"] == PATIENT


# urgent calls


@pytest.mark.rule("emergency.callback")
def test_who_calls_back_from_an_emergency_centre_rings_past_everything(make: Make) -> None:
    world = make(
        features("102", do_not_disturb=True, forward_always=CELL, screening=True),
        **public(caller_privacy=True),
    )
    caller = world.inbound(number_of("102"), headers=[("priority", "psap-callback")])
    desk: Talk = world.ringing("102")
    assert PATIENT in desk.invite.get("from")
    desk.answer()
    assert caller.up
