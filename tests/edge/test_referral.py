"""A phone's own transfer and pickup keys: REFER and Replaces, in virtual time."""

from __future__ import annotations

import pytest

from provisioner.sip.message import Request, Response
from tests.edge.world import EDGE, OUTSIDE, PATIENT, Talk, World, number_of


def refer(talk: Talk, to: str, *headers: tuple[str, str]) -> Response:
    """REFER inside a call of a phone; the answer."""
    dialog = talk.session.dialog
    assert dialog
    request = dialog.request("REFER")
    request.headers += [("refer-to", to), *headers]
    answers: list[Response | None] = []
    talk.party.agent.request_in(dialog, request, answers.append)
    talk.party.world.run()
    assert answers[0]
    return answers[0]


def told(talk: Talk) -> list[str]:
    """What the NOTIFYs of a referral said."""
    return [message.body.decode().split()[1] for message in talk.party.requests("NOTIFY")]


def connected(world: World, caller: str = "101", desk: str = "102") -> tuple[Talk, Talk]:
    first = world.phones[caller].call(desk)
    second = world.ringing(desk)
    second.answer()
    return first, second


def to(user: str) -> str:
    return f"<sip:{user}@{EDGE[0]}>"


def replacing(talk: Talk, user: str) -> str:
    """Refer-To that replaces a dialog of this phone with us."""
    dialog = talk.session.dialog
    assert dialog
    tags = f"%3Bto-tag%3D{dialog.remote.tag}%3Bfrom-tag%3D{dialog.local.tag}"
    return f"<sip:{user}@{EDGE[0]}?Replaces={dialog.call_id}{tags}>"


def test_x02_blind_transfer_of_an_inbound_call(world: World) -> None:
    patient = world.inbound(number_of("101"))
    desk = world.ringing("101")
    desk.answer()
    assert refer(desk, to("102"), ("referred-by", to("101"))).status == 202
    target = world.ringing("102")
    assert world.hears(patient) == "ringback"
    assert told(desk) == ["100", "180"]
    target.answer()
    assert told(desk)[-1] == "200"
    assert desk.ended
    assert world.hears(patient) is target
    assert world.hears(target) is patient
    assert desk.party.requests("NOTIFY")[-1].get("subscription-state") == "terminated;reason=noresource"


def test_x02_blind_transfer_by_who_called(world: World) -> None:
    caller, desk = connected(world)
    assert refer(caller, to("103")).status == 202
    target = world.ringing("103")
    target.answer()
    assert caller.ended
    assert world.hears(desk) is target
    assert world.hears(target) is desk


def test_x02_blind_transfer_to_the_outside(world: World) -> None:
    _, desk = connected(world)
    assert refer(desk, to(OUTSIDE)).status == 202
    world.core.calls[-1].answer()
    assert desk.ended


@pytest.mark.parametrize("by_caller", [False, True])
@pytest.mark.parametrize(
    ("status", "said"), [(486, "486"), (603, "603"), (404, "404"), (302, "480"), (503, "480")]
)
def test_x02_a_failed_transfer_resumes_the_call(
    world: World, by_caller: bool, status: int, said: str
) -> None:
    caller, desk = connected(world)
    who = caller if by_caller else desk
    assert refer(who, to("103")).status == 202
    world.ringing("103").refuse(status)
    assert told(who)[-1] == said
    assert world.hears(caller) is desk
    assert world.hears(desk) is caller
    assert refer(who, to("103")).status == 202  # it may try again
    world.ringing("103").answer()
    assert who.ended


def test_x06_nobody_takes_it_in_time(world: World) -> None:
    caller, desk = connected(world)
    refer(desk, to("103"))
    world.pass_time(30.1)
    assert told(desk)[-1] == "408"
    assert world.hears(caller) is desk


def test_x06_the_referrer_hangs_up_and_is_rung_back_when_it_fails(world: World) -> None:
    caller, desk = connected(world)
    refer(desk, to("103"))
    desk.hangup()
    assert world.hears(caller) == "ringback"
    world.ringing("103").refuse(486)
    back = world.ringing("102")
    assert back is not desk
    back.answer()
    assert world.hears(caller) is back


def test_x06_the_referrer_hangs_up_and_it_goes_through(world: World) -> None:
    caller, desk = connected(world)
    refer(desk, to("103"))
    desk.hangup()
    world.ringing("103").answer()
    assert world.hears(caller) is world.ringing("103")


def test_x06_who_was_transferred_hangs_up(world: World) -> None:
    caller, desk = connected(world)
    refer(desk, to("103"))
    caller.hangup()
    assert desk.ended
    assert world.ringing("103").over
    assert world.edge.calls == {}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("911", 403),
        ("988", 403),
        ("933", 403),
        ("411", 403),
        ("102", 403),
        ("199", 404),
        ("+442079460000", 403),
    ],
)
def test_x01_what_may_not_be_dialled_may_not_be_referred_to(world: World, target: str, status: int) -> None:
    caller, desk = connected(world)
    assert refer(desk, to(target)).status == status
    assert told(desk) == []
    assert world.hears(caller) is desk


def test_x06_no_second_transfer_while_one_is_under_way(world: World) -> None:
    caller, desk = connected(world)
    refer(desk, to("103"))
    assert refer(desk, to("103")).status == 603
    assert refer(caller, to("103")).status == 603
    world.ringing("103").answer()


def test_e04_an_emergency_call_cannot_be_transferred(world: World) -> None:
    caller = world.phones["101"].call("911")
    world.core.calls[-1].answer()
    assert refer(caller, to("102")).status == 603
    assert caller.up


def test_x01_a_core_may_not_transfer(world: World) -> None:
    patient = world.inbound(number_of("101"))
    world.ringing("101").answer()
    assert refer(patient, to("102")).status == 603


def test_x03_attended_transfer(world: World) -> None:
    patient = world.inbound(number_of("101"))
    desk = world.ringing("101")
    desk.answer()
    consult = world.phones["101"].call("102")
    target = world.ringing("102")
    target.answer()
    assert refer(desk, replacing(consult, "102")).status == 202
    assert told(desk) == ["100", "200"]
    assert desk.ended
    assert consult.ended
    assert world.hears(patient) is target
    assert world.hears(target) is patient
    assert len(world.edge.calls) == 1


def test_x06_semi_attended_transfer_rings_on_for_the_caller(world: World) -> None:
    patient = world.inbound(number_of("101"))
    desk = world.ringing("101")
    desk.answer()
    consult = world.phones["101"].call("102")
    dialog = consult.session.present
    assert dialog
    tags = f"%3Bto-tag%3D{dialog.remote.tag}%3Bfrom-tag%3D{dialog.local.tag}"
    assert refer(desk, f"<sip:102@{EDGE[0]}?Replaces={dialog.call_id}{tags}>").status == 202
    assert consult.over
    world.ringing("102").answer()
    assert world.hears(patient) is world.ringing("102")


def test_x03_an_unknown_dialog_is_481_in_the_notify(world: World) -> None:
    caller, desk = connected(world)
    assert refer(desk, f"<sip:103@{EDGE[0]}?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>").status == 202
    assert told(desk) == ["100", "481"]
    assert world.hears(caller) is desk


def test_x03_nobody_joins_the_calls_of_others(world: World) -> None:
    caller, desk = connected(world)
    other = world.phones["103"].call(OUTSIDE)
    world.core.calls[-1].answer()
    assert refer(desk, replacing(other, "1")).status == 603
    assert refer(desk, replacing(desk, "1")).status == 603
    assert world.hears(caller) is desk
    assert other.up


# Replaces


def pickup(
    world: World, extension: str, talk: Talk, user: str, early_only: bool = False, swap: bool = False
) -> Talk:
    dialog = talk.session.dialog
    assert dialog
    ours, theirs = (dialog.local.tag, dialog.remote.tag) if swap else (dialog.remote.tag, dialog.local.tag)
    value = f"{dialog.call_id};to-tag={ours};from-tag={theirs}" + (";early-only" if early_only else "")
    return world.phones[extension].call(user, headers=[("require", "replaces"), ("replaces", value)])


@pytest.mark.parametrize("swap", [False, True])
def test_x10_a_ringing_call_is_picked_up_by_another_phone(world: World, swap: bool) -> None:
    patient = world.inbound(number_of("102"))
    ringing = world.ringing("102")
    taken = pickup(world, "103", ringing, "102", swap=swap)
    assert taken.up
    assert ringing.ended
    assert "cause=200" in ringing.ended.reason
    assert world.hears(patient) is taken
    assert world.hears(taken) is patient
    assert next(iter(world.edge.calls.values())).view()["desk"] == "103"


def test_x04_a_call_that_is_up_is_replaced_only_by_the_same_phone(world: World) -> None:
    patient = world.inbound(number_of("102"))
    desk = world.ringing("102")
    desk.answer()
    assert pickup(world, "103", desk, "102").status == 403
    assert pickup(world, "102", desk, "102", early_only=True).status == 486
    again = pickup(world, "102", desk, "102")
    assert again.up
    assert desk.ended
    assert world.hears(patient) is again


def test_x04_unknown_and_malformed(world: World) -> None:
    for value, status in (("x;to-tag=1;from-tag=2", 481), ("x", 400)):
        talk = world.phones["101"].call("102", headers=[("replaces", value)])
        assert talk.status == status
    assert world.phones["102"].calls == []


def test_x04_an_early_call_of_a_phone_itself_is_not_replaced(world: World) -> None:
    caller = world.phones["101"].call("102")
    dialog = caller.session.present
    assert dialog
    value = f"{dialog.call_id};to-tag={dialog.remote.tag};from-tag={dialog.local.tag}"
    assert world.phones["103"].call("102", headers=[("replaces", value)]).status == 481


# what goes from leg to leg


def test_d10_reason_goes_on(world: World) -> None:
    patient = world.inbound(number_of("101"))
    desk = world.ringing("101")
    patient.session.hangup(reason='SIP;cause=200;text="Call completed elsewhere"')
    world.run()
    assert desk.ended
    assert desk.ended.reason == 'SIP;cause=200;text="Call completed elsewhere"'


@pytest.mark.parametrize(
    ("status", "mapped"), [(401, 500), (404, 404), (302, 480), (600, 600), (603, 603), (480, 480)]
)
def test_d10_what_a_phone_hears_of_the_core(world: World, status: int, mapped: int) -> None:
    caller = world.phones["101"].call(OUTSIDE)
    world.core.calls[-1].refuse(status)
    assert caller.status == mapped


def test_t13_hops_are_counted_across_us(world: World) -> None:
    world.phones["101"].call("102", headers=[("max-forwards", "7")])
    assert world.ringing("102").invite.get("max-forwards") == "6"
    assert world.phones["101"].call("102", headers=[("max-forwards", "0")]).status == 483


def test_t13_a_call_that_came_round_is_482(world: World) -> None:
    world.phones["101"].call(OUTSIDE)
    invite = world.core.calls[-1].invite
    trail = world.edge.agent.trail(f"core {number_of('102')}")
    assert not world.edge.agent.looped(invite, trail)
    request = Request("INVITE", "sip:x@y", [("call-id", f"a-{trail}")])
    assert world.edge.agent.looped(request, trail)
    assert PATIENT not in trail
