"""Dial-through: the one phone it is bound to is connected; to all others it is a number that nobody has."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from provisioner.edge.directory import Directory
from provisioner.sip.message import Response
from provisioner.store import records
from tests.edge.world import EDGE, MAIN, OUTSIDE, PATIENT, World, number_of, practice

POOL, UNKNOWN = "+14155550190", "+14155550199"
START = 1.7e9 + 1000.0  # the world's wall clock


def world(**changes: Any) -> World:
    snapshot = practice()
    pool = records.Number(id=POOL, label="Pool", dial_through=True)
    fields = {"number": POOL, "phone": PATIENT, "target": OUTSIDE, "calling": MAIN, "expires": START + 3600}
    bound = records.DialThrough(id="b1", **{**fields, **changes})
    made = World(practice(numbers={**snapshot.numbers, POOL: pool}, dial_throughs={"b1": bound}))
    made.spent = []  # type: ignore[attr-defined]
    made.edge.spent = made.spent.append  # type: ignore[attr-defined]
    made.register_all()
    return made


def call(made: World, to: str = POOL, caller: str = PATIENT, **more: Any) -> Any:
    return made.inbound(to=to, caller=caller, **more)


@pytest.mark.rule("outbound.dial-through", "outbound.caller-id")
@pytest.mark.parametrize("calling", [MAIN, number_of("102")])
def test_the_phone_reaches_its_target_which_sees_the_practice(calling: str) -> None:
    made = world(calling=calling)
    phone = call(made)
    out = made.core.calls[-1]
    assert out.invite.uri.startswith(f"sip:{OUTSIDE}@")
    assert f"sip:{calling}@" in out.invite.get("from")
    assert f"sip:{calling}@" in out.invite.get("p-asserted-identity")
    assert PATIENT[1:] not in out.invite.encode().decode()
    assert "Jane" not in out.invite.encode().decode()
    out.answer()
    assert (made.hears(phone), made.hears(out)) == (out, phone)
    assert all(not phone.calls for phone in made.phones.values())
    phone.hangup()
    row = [row for table, row in made.rows if table == "calls"][-1]
    assert (row["caller"], row["called"], row["direction"]) == (PATIENT, OUTSIDE, "outbound")
    made.end()
    made.assert_nothing_left()


def refusal(made: World, to: str, caller: str = "+12065550999") -> Response:
    failure: Response = call(made, to, caller).failure
    return failure


@pytest.mark.rule("outbound.dial-through")
@pytest.mark.parametrize(
    "caller", ["+12065550999", "anonymous", "+442079460000", OUTSIDE, "101", PATIENT[:-1]]
)
def test_from_any_other_phone_it_is_an_unknown_number(caller: str) -> None:
    made = world()
    answers = [refusal(made, to, caller) for to in (POOL, UNKNOWN)]
    own = ("via", "from", "to", "call-id", "cseq")
    seen = [
        (each.status, each.reason, [h for h in each.headers if h[0] not in own], each.body)
        for each in answers
    ]
    assert seen[0] == seen[1]
    assert seen[0][0] == 404
    assert made.core.calls[-1].invite.uri.startswith(f"sip:{UNKNOWN}@")  # nothing was placed
    assert made.edge.calls == {}
    assert [row for table, row in made.rows if table == "calls"] == []


@pytest.mark.rule("outbound.dial-through")
def test_when_it_has_expired_it_is_an_unknown_number() -> None:
    made = world(expires=START + 10)
    made.pass_time(11)
    assert refusal(made, POOL, PATIENT).status == 404


@pytest.mark.rule("outbound.dial-through")
def test_good_once() -> None:
    made = world(once=True)
    call(made).hangup()
    assert made.spent == ["b1"]  # type: ignore[attr-defined]
    assert refusal(made, POOL, PATIENT).status == 404
    many = world()
    call(many).hangup()
    assert not call(many).status


@pytest.mark.rule("outbound.dial-through")
def test_what_could_not_be_called_is_not_spent_and_refused_once() -> None:
    made = world(once=True, target="+18765551234")
    practice_ = msgspec.structs.replace(made.edge.directory.snapshot.practice, outbound_closed="00:00-23:59")
    made.edge.swap(Directory(msgspec.structs.replace(made.edge.directory.snapshot, practice=practice_)))
    call(made).hangup()
    assert made.spent == []  # type: ignore[attr-defined]
    assert made.edge.limits.view()["refused"] == {"outside calls are closed at this hour": 1}
    made.end()


@pytest.mark.rule("outbound.dial-through")
@pytest.mark.parametrize("target", ["911", "988", "+19005551234", "+442079460000", "102"])
def test_it_never_leads_where_the_dial_plan_does_not(target: str) -> None:
    made = world(target=target)
    call(made)
    assert made.core.requests("INVITE") == []
    assert all(not phone.calls for phone in made.phones.values())


@pytest.mark.rule("dialled.day-limit", "outbound.dial-through")
def test_it_counts_against_the_limits() -> None:
    made = world(target="+18765551234")
    call(made)
    assert made.edge.limits.view()["abroad"] == 1


def test_a_desk_phone_does_not_reach_it() -> None:
    made = world(phone=number_of("101"))
    made.phones["101"].call(POOL)
    assert made.core.calls[-1].invite.uri.startswith(f"sip:{POOL}@")  # out to the core, as any number
    assert EDGE[0] not in made.core.calls[-1].invite.uri
