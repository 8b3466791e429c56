"""Who is rung for a number, an extension, a ring group: features, forwards, turns; pure tables."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.dialing.classify import Destination
from provisioner.edge import leads
from provisioner.edge.directory import Directory
from provisioner.edge.ringing import Diversion, Member, Plan
from provisioner.store import records
from tests.edge.world import MAIN, OUTSIDE, number_of, practice

CELL = OUTSIDE


def directory(*features: records.LineFeatures, group: records.RingGroup | None = None) -> Directory:
    more: dict[str, Any] = {"ring_groups": {"all": group}} if group else {}
    return Directory(practice(line_features={each.id: each for each in features}, **more))


def features(extension: str, **of: Any) -> records.LineFeatures:
    return records.LineFeatures(id=extension, **of)


def targets(members: tuple[Member, ...]) -> list[str]:
    return [member.target for member in members]


@pytest.mark.rule("inbound.number")
def test_a_number_leads_to_an_extension_a_group_or_nowhere() -> None:
    known = directory()
    assert leads.of_number(known, number_of("102"), {}) == Plan((Member("102", 30.0),))
    assert leads.of_number(known, "102", {}) == Plan((Member("102", 30.0),))
    assert leads.of_number(known, MAIN, {}) == Plan(
        (Member("101"), Member("102"), Member("103")), False, 30.0, "all"
    )
    assert leads.of_number(known, "+14155559999", {}) is None


# forwarding


def test_always() -> None:
    (member,) = leads.of_extension(directory(features("101", forward_always=CELL)), "101")
    assert member == Member(CELL, 30.0, diverted=(Diversion("101", "unconditional"),))


def test_busy_and_no_answer() -> None:
    known = directory(
        features("101", forward_busy="102", forward_no_answer=CELL, forward_no_answer_seconds=12)
    )
    (member,) = leads.of_extension(known, "101")
    assert (member.target, member.seconds) == ("101", 12.0)
    assert member.busy == (Member("102", 30.0, diverted=(Diversion("101", "user-busy"),)),)
    assert member.late == (Member(CELL, 30.0, diverted=(Diversion("101", "no-answer"),)),)


@pytest.mark.parametrize(
    ("of", "rung"),
    [
        ({}, []),
        ({"forward_busy": "102"}, ["102"]),
        ({"forward_no_answer": "103"}, ["103"]),
        ({"forward_busy": "102", "forward_no_answer": "103"}, ["102"]),
        ({"forward_always": "103", "forward_busy": "102"}, ["103"]),
    ],
)
def test_do_not_disturb(of: dict[str, str], rung: list[str]) -> None:
    known = directory(features("101", do_not_disturb=True, **of))
    assert targets(leads.of_extension(known, "101")) == rung


def test_a_number_of_the_practice_is_its_extension_or_group() -> None:
    known = directory(features("101", forward_always=number_of("102")), features("103", forward_always=MAIN))
    assert targets(leads.of_extension(known, "101")) == ["102"]
    assert targets(leads.of_extension(known, "103")) == ["102"]
    group = leads.of_extension(directory(features("103", forward_busy=MAIN)), "103")[0].busy
    assert targets(group) == ["101", "102"]
    assert {member.seconds for member in group} == {30.0}


@pytest.mark.parametrize(
    "target",
    ["911", "9911", "112", "933", "988", "1988", "911123", "411", "611", "211", "19005551212", "9765551212",
     "+442071234567", "+528112345678", "+18765551234", "5551212", "999", "junk", "*72"],
)  # fmt: skip
def test_never_a_target(target: str) -> None:
    """An emergency or crisis code, N11, what is refused, what is abroad: as if it were not set."""
    known = directory(
        features("101", forward_always=target, forward_busy=target, forward_no_answer=target),
        group=records.RingGroup(id="all", name="All", members=("101", target)),
    )
    assert leads.of_extension(known, "101") == (Member("101", 30.0),)
    found = leads.of_number(known, MAIN, {})
    assert found
    assert CELL not in targets(found.members)
    assert target not in targets(found.members)


def test_circles_end() -> None:
    known = directory(features("101", forward_always="102"), features("102", forward_always="101"))
    assert targets(leads.of_extension(known, "101")) == ["102"]
    assert targets(leads.of_extension(known, "102")) == ["101"]
    itself = directory(features("101", forward_always="101"))
    assert targets(leads.of_extension(itself, "101")) == ["101"]


def test_who_calls_is_not_rung() -> None:
    known = directory(features("102", forward_always="101"))
    assert targets(leads.of_extension(known, "102", trail=("101",))) == ["102"]


def test_forwards_of_forwards_end_with_the_fifth() -> None:
    phones = {f"{n}": records.Phone(id=f"{n}", vendor="polycom", model="VVX 411",
              lines=(records.Line(extension=f"{n}"),)) for n in range(101, 109)}  # fmt: skip
    chain = {f"{n}": features(f"{n}", forward_always=f"{n + 1}") for n in range(101, 108)}
    known = Directory(practice(phones=phones, line_features=chain))
    (member,) = leads.of_extension(known, "101")
    assert member.target == "106"
    assert [each.by for each in member.diverted] == ["101", "102", "103", "104", "105"]


# ring groups


def group_of(*members: records.Member | str, **of: Any) -> records.RingGroup:
    return records.RingGroup(id="all", name="All", members=members, **of)


def found(known: Directory, first: dict[str, str] | None = None, urgent: bool = False) -> Plan:
    plan = leads.of_number(known, MAIN, first or {}, urgent)
    assert plan
    return plan


@pytest.mark.rule("inbound.passed-over")
@pytest.mark.parametrize("of", [{"do_not_disturb": True}, {"forward_always": CELL}])
def test_who_does_not_want_to_be_disturbed_is_passed_over(of: dict[str, Any]) -> None:
    assert targets(found(directory(features("102", **of))).members) == ["101", "103"]


def test_other_forwards_of_members_are_not_followed() -> None:
    plan = found(directory(features("102", forward_busy="103", forward_no_answer=CELL)))
    assert plan.members[1] == Member("102")


@pytest.mark.rule("inbound.sequential")
@pytest.mark.parametrize(
    ("last", "order"),
    [("", "101 102 103"), ("101", "102 103 101"), ("103", "101 102 103"), ("gone", "101 102 103")],
)
def test_sequential_begins_behind_who_was_first(last: str, order: str) -> None:
    known = directory(group=group_of("101", "102", "103", mode="sequential"))
    assert targets(found(known, {"all": last}).members) == order.split()


def test_sequential_begins_behind_who_was_first_even_when_that_one_is_passed_over_now() -> None:
    known = directory(
        features("101", do_not_disturb=True), group=group_of("101", "102", "103", mode="sequential")
    )
    assert targets(found(known, {"all": "101"}).members) == ["102", "103"]


@pytest.mark.parametrize(
    ("mode", "seconds", "each", "overall"),
    [
        ("simultaneous", 0, [None, 7.0], 30.0),
        ("simultaneous", 45, [None, 7.0], 45.0),
        ("sequential", 0, [15.0, 7.0], None),
        ("sequential", 60, [15.0, 7.0], 60.0),
    ],
)
def test_seconds(mode: Any, seconds: int, each: list[float | None], overall: float | None) -> None:
    known = directory(
        group=group_of("101", records.Member(target="102", seconds=7), mode=mode, seconds=seconds)
    )
    plan = found(known)
    assert [member.seconds for member in plan.members] == each
    assert (plan.seconds, plan.one_by_one) == (overall, mode == "sequential")


@pytest.mark.rule("inbound.outside-members")
def test_outside_members_are_asked_and_say_for_whom() -> None:
    known = directory(group=group_of("101", records.Member(target="2124567890", seconds=20)))
    assert found(known).members[1] == Member(CELL, 20.0, True, diverted=(Diversion(MAIN, "follow-me"),))


def test_an_outside_member_that_is_ours_is_its_phone_and_nobody_rings_twice() -> None:
    known = directory(group=group_of("101", number_of("101"), number_of("102"), MAIN))
    assert targets(found(known).members) == ["101", "102"]


@pytest.mark.rule("inbound.screening")
def test_screening_of_the_group_or_of_the_extension() -> None:
    one = directory(features("102", screening=True))
    assert [member.screened for member in found(one).members] == [False, True, False]
    assert leads.of_extension(one, "102")[0].screened
    assert all(m.screened for m in found(directory(group=group_of("101", "102", screening=True))).members)


@pytest.mark.rule("emergency.callback")
def test_an_urgent_call_rings_past_everything() -> None:
    of = features("101", do_not_disturb=True, forward_always=CELL, screening=True)
    assert leads.of_extension(directory(of), "101", urgent=True) == (Member("101", 30.0),)
    plan = found(directory(of, group=group_of("101", "102", screening=True)), urgent=True)
    assert plan.members == (Member("101"), Member("102"))


# transfers


def test_target_of_a_transfer() -> None:
    known = directory(features("102", screening=True), features("103", forward_always="101"))
    assert leads.of_target(known, Destination("extension", "102"), "101").members == (Member("102"),)
    assert targets(leads.of_target(known, Destination("extension", "103"), "101").members) == ["103"]
    assert leads.of_target(known, Destination("outbound", CELL), "101").members == (Member(CELL),)
    quiet = directory(features("102", do_not_disturb=True))
    assert leads.of_target(quiet, Destination("extension", "102"), "101").members == ()
