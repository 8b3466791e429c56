"""Click-to-call: the desk phone first, then who is called; refusals are told to who asked, or spoken."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.edge import click
from provisioner.errors import OperatorError
from provisioner.store import records
from tests.edge.world import EDGE, MAIN, OUTSIDE, Talk, World, number_of, practice


def rung(world: World, to: str = OUTSIDE, number: str = "", extension: str = "101") -> Talk:
    """The desk phone's leg of a call by click."""
    click.call(world.edge, extension, to, number)
    world.run()
    return world.ringing(extension)


@pytest.mark.rule("outbound.click-to-call")
def test_the_desk_phone_rings_first_and_shows_whom_it_is_about_to_call(world: World) -> None:
    desk = rung(world)
    shown = f'"Call (212) 456-7890" <sip:{OUTSIDE}@{EDGE[0]}:{EDGE[1]}>'
    assert desk.invite.get("from").startswith(shown)
    assert desk.invite.get("p-asserted-identity") == shown
    assert desk.invite.get("call-info") == desk.invite.get("alert-info") == ""
    assert world.core.calls == []
    assert world.states() == ["ringing"]
    desk.answer()
    (out,) = world.core.calls
    assert out.invite.uri.startswith(f"sip:{OUTSIDE}@")
    assert world.hears(desk) == "ringback"
    out.answer()
    assert (world.hears(desk), world.hears(out)) == (out, desk)
    assert world.states() == ["talking"]
    out.hangup()
    assert desk.over
    rows = [row for table, row in world.rows if table == "calls"]
    assert [(row["caller"], row["called"], row["direction"], row["outcome"]) for row in rows] == [
        ("101", OUTSIDE, "outbound", "ended")
    ]
    world.end()
    world.assert_nothing_left()


@pytest.mark.rule("outbound.click-to-call", "outbound.caller-id")
@pytest.mark.parametrize("number", ["", MAIN, number_of("103")])
def test_the_chosen_caller_id(world: World, number: str) -> None:
    rung(world, number=number).answer()
    shown = number or number_of("101")
    invite = world.core.calls[-1].invite
    assert f"sip:{shown}@" in invite.get("from")
    assert f"sip:{shown}@" in invite.get("p-asserted-identity")


@pytest.mark.rule("outbound.click-to-call")
@pytest.mark.parametrize(
    ("extension", "to", "number", "words"),
    [
        ("999", OUTSIDE, "", "no line has extension"),
        ("101", OUTSIDE, "+19005550199", "not one of the practice"),
        ("101", "5551234", "", "the area code is missing"),
        ("101", "9111", "", "dial 911 for emergencies"),
        ("101", "+442079460000", "", "outside the North American Numbering Plan"),
        ("101", "", "", "that number is not valid"),
        ("101", "101", "", "own extension"),
    ],
)
def test_what_is_not_called_is_told_and_nothing_rings(
    world: World, extension: str, to: str, number: str, words: str
) -> None:
    with pytest.raises(OperatorError, match=words):
        click.call(world.edge, extension, to, number)
    world.run()
    assert world.phones["101"].calls == []
    assert world.edge.calls == {}


def test_a_refusal_has_a_row_in_the_log(world: World) -> None:
    with pytest.raises(OperatorError):
        click.call(world.edge, "101", "5551234")
    assert world.outcome() == "refused: the area code is missing"


@pytest.mark.rule("emergency.stripped")
def test_a_phone_in_an_emergency_call_is_left_alone(world: World) -> None:
    world.phones["101"].call("911")
    world.core.calls[-1].answer()
    with pytest.raises(OperatorError, match="in an emergency call"):
        click.call(world.edge, "101", OUTSIDE, "")
    assert len(world.phones["101"].calls) == 1
    world.pass_time(60)
    assert [call.state for call in world.edge.calls.values()] == ["talking"]


def test_a_phone_that_is_not_there(world: World) -> None:
    for binding in world.edge.registrar.contacts("101"):
        world.edge.registrar.drop(binding)
    with pytest.raises(OperatorError, match="is not there"):
        click.call(world.edge, "101", OUTSIDE)
    assert world.outcome() == "the desk phone is not registered"
    world.end()
    world.assert_nothing_left()


@pytest.mark.rule("outbound.click-to-call")
@pytest.mark.parametrize(
    ("status", "prompt", "outcome"),
    [
        (486, "busy-target", "busy"),
        (480, "no-answer", "nobody answered"),
        (404, "invalid", "nobody answered"),
        (503, "trunk-down", "refused: no core answers"),
    ],
)
def test_a_failure_is_spoken(world: World, status: int, prompt: str, outcome: str) -> None:
    desk = rung(world)
    desk.answer()
    world.core.calls[-1].refuse(status)
    assert world.hears(desk) == prompt
    world.prompt_ends(desk)
    assert desk.over
    assert world.outcome() == outcome
    world.end()
    world.assert_nothing_left()


@pytest.mark.rule("outbound.click-to-call")
def test_a_limit_reached_meanwhile_is_spoken() -> None:
    limited = records.Practice(id="practice", name="x", main_number=MAIN, outbound_per_line=1)
    made = World(practice(practice=limited))
    made.register_all()
    desk = rung(made)
    made.phones["101"].call(OUTSIDE)
    desk.answer()
    assert made.hears(desk) == "too-many-calls"
    with pytest.raises(OperatorError, match="too many outside calls"):
        click.call(made.edge, "101", OUTSIDE)


@pytest.mark.rule("outbound.click-to-call")
def test_early_media_of_the_core_is_heard(world: World) -> None:
    desk = rung(world)
    desk.answer()
    out = world.core.calls[-1]
    out.early()
    assert world.hears(desk) is out


@pytest.mark.parametrize("how", ["refuses", "is silent", "hangs up before"])
def test_a_desk_phone_that_does_not_want(world: World, how: str) -> None:
    desk = rung(world)
    if how == "refuses":
        desk.refuse(486)
    elif how == "is silent":
        desk.ring()
        world.pass_time(31)
    else:
        desk.answer()
        desk.hangup()
        assert world.core.calls[-1].over
    assert world.edge.calls == {}
    world.end()
    world.assert_nothing_left()


def test_all_phones_of_the_line_ring_and_one_has_it(world: World) -> None:
    world.phones["102"].register(
        account=world.phones["101"].account, aor="101", contact="<sip:101@10.0.0.102:5060>"
    )
    click.call(world.edge, "101", OUTSIDE)
    world.run()
    first, second = world.ringing("101"), world.phones["102"].calls[-1]
    second.answer()
    assert first.over
    world.core.calls[-1].answer()
    assert world.hears(second) is world.core.calls[-1]
    second.hangup()
    world.end()
    world.assert_nothing_left()


def test_an_extension_by_click(world: World) -> None:
    desk = rung(world, "102")
    desk.answer()
    other = world.ringing("102")
    assert "Room 101" in other.invite.get("from")
    other.answer()
    assert world.hears(other) is desk


@pytest.mark.rule("outbound.click-to-call", "emergency.always")
@pytest.mark.parametrize("code", ["911", "933", "988"])
def test_an_exact_code_is_an_emergency_call(world: World, code: str) -> None:
    desk = rung(world, code)
    desk.answer()
    out = world.core.calls[-1]
    assert out.invite.uri.startswith(f"sip:{code}@")
    out.answer()
    assert world.hears(out) is desk
    assert next(iter(world.edge.calls.values())).view()["direction"] == "emergency"
    desk.hangup()
    world.end()
    world.assert_nothing_left()


@pytest.mark.parametrize(
    ("vendor", "header"), [("polycom", "alert-info"), ("yealink", "call-info"), ("grandstream", "call-info")]
)
def test_auto_answer_where_it_is_wanted(vendor: str, header: str) -> None:
    snapshot = practice()
    wanted = records.Practice(id="practice", name="x", main_number=MAIN, click_auto_answer=True)
    phones: dict[str, Any] = {
        mac: records.Phone(id=mac, vendor=vendor, model="x", lines=phone.lines, location="main")
        for mac, phone in snapshot.phones.items()
    }
    made = World(practice(practice=wanted, phones=phones))
    made.register_all()
    value = rung(made).invite.get(header)
    assert "alert-autoanswer" in value or "answer-after=0" in value
