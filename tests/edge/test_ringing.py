"""Who is rung, in which order: together or one by one, for how long, with whom in whose place, asked or not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.edge.ringing import ELSEWHERE, Member, Nobody, Plan, Ring, Ringing, Screen, Stop, Wait, Won

A, B, C = (Member(name) for name in "abc")
OUT = Member("out", 30.0)


def together(*members: Member) -> Ringing:
    """All ring, each with one leg named after it."""
    ringing = Ringing(Plan(members))
    actions = ringing.begin()
    assert [action for action in actions if isinstance(action, Ring)] == [
        Ring(turn, member) for turn, member in enumerate(members)
    ]
    for turn, member in enumerate(members):
        assert ringing.rung(turn, [member.target]) == []
    return ringing


def one_by_one(*members: Member) -> Ringing:
    ringing = Ringing(Plan(members, one_by_one=True))
    assert ringing.begin()[-1] == Ring(0, members[0])
    assert ringing.rung(0, [members[0].target]) == []
    return ringing


def test_first_wins_and_the_others_stop() -> None:
    ringing = together(A, B, C)
    assert ringing.answered("b") == [Stop("a", ELSEWHERE), Stop("c", ELSEWHERE), Won("b")]
    assert ringing.done


def test_too_late() -> None:
    ringing = together(A, B)
    ringing.answered("a")
    assert ringing.answered("b") == [Stop("b", ELSEWHERE)]
    assert ringing.accepted("b") == [Stop("b", ELSEWHERE)]
    assert ringing.failed("b", 487) == []
    assert ringing.timeout(0) == ringing.expired() == ringing.stop() == []


def test_who_failed_is_not_stopped() -> None:
    ringing = together(A, B)
    assert ringing.failed("a", 486) == [Wait(0, None)]
    assert ringing.answered("b") == [Won("b")]


@pytest.mark.parametrize(
    ("statuses", "answer"),
    [((486,), 486), ((600,), 486), ((486, 600), 486), ((486, 480), 480), ((603,), 480), ((503, 408), 480)],
)
def test_nobody(statuses: tuple[int, ...], answer: int) -> None:
    ringing = together(*(Member(str(index)) for index in range(len(statuses))))
    said = [ringing.failed(str(index), status) for index, status in enumerate(statuses)]
    assert [action for actions in said for action in actions if not isinstance(action, Wait)] == [
        Nobody(answer)
    ]
    assert ringing.statuses == {str(index): status for index, status in enumerate(statuses)}


def test_stop_ends_only_those_that_ring() -> None:
    ringing = together(A, B, C)
    ringing.failed("b", 486)
    assert ringing.stop("why") == [Stop("a", "why"), Stop("c", "why")]
    assert ringing.answered("a") == [Stop("a", ELSEWHERE)]


def test_nobody_to_ring() -> None:
    assert Ringing(Plan(())).begin() == [Nobody(480)]
    ringing = Ringing(Plan((A, B)))
    ringing.begin()
    assert ringing.rung(0, []) == [Wait(0, None)]
    assert ringing.rung(1, []) == [Wait(1, None), Nobody(480)]


def test_each_member_rings_for_its_own_seconds() -> None:
    ringing = Ringing(Plan((Member("a", 5.0), B)))
    assert ringing.begin() == [Wait(0, 5.0), Ring(0, Member("a", 5.0)), Ring(1, B)]
    ringing.rung(0, ["a"])
    ringing.rung(1, ["b"])
    assert ringing.timeout(0) == [Stop("a", late=True), Wait(0, None)]
    assert ringing.timeout(0) == []
    assert ringing.answered("a") == [Stop("a", ELSEWHERE)]  # its 200 crossed our CANCEL
    assert ringing.answered("b") == [Won("b")]


def test_one_after_the_other() -> None:
    ringing = one_by_one(Member("a", 5.0), Member("b", 7.0), C)
    assert ringing.timeout(0) == [
        Stop("a", late=True), Wait(0, None), Wait(1, 7.0), Ring(1, Member("b", 7.0)),
    ]  # fmt: skip
    ringing.rung(1, ["b"])
    assert ringing.failed("b", 486) == [Wait(1, None), Ring(2, C)]
    ringing.rung(2, ["c"])
    assert ringing.failed("c", 480) == [Wait(2, None), Nobody(480)]


def test_who_cannot_be_rung_is_passed_over_at_once() -> None:
    ringing = Ringing(Plan((A, B), one_by_one=True))
    ringing.begin()
    assert ringing.rung(0, []) == [Wait(0, None), Ring(1, B)]


def test_all_phones_of_a_member_stop_when_one_answers() -> None:
    ringing = Ringing(Plan((A,)))
    ringing.begin()
    ringing.rung(0, ["1", "2", "3"])
    assert ringing.failed("1", 486) == []
    assert ringing.answered("2") == [Stop("3", ELSEWHERE), Won("2")]


@pytest.mark.parametrize(
    ("status", "who"), [(486, "busy"), (600, "busy"), (603, "busy"), (480, "late"), (503, "late")]
)
def test_who_stands_in(status: int, who: str) -> None:
    """Busy and declined, or not there: each its own."""
    ringing = together(Member("a", busy=(Member("busy"),), late=(Member("late"),)))
    assert not ringing.alone
    assert ringing.failed("a", status) == [Wait(0, None), Ring(1, Member(who))]
    ringing.rung(1, ["x"])
    assert ringing.answered("x") == [Won("x")]


def test_who_stands_in_for_who_does_not_answer() -> None:
    ringing = together(Member("a", 20.0, late=(OUT,)))
    assert ringing.timeout(0) == [Stop("a", late=True), Wait(0, None), Wait(1, 30.0), Ring(1, OUT)]
    assert ringing.timed_out


def test_alone() -> None:
    assert together(A).alone
    assert not together(A, B).alone
    assert not together(Member("a", screened=True)).alone
    assert not one_by_one(A, B).alone


def test_time_for_all_is_over() -> None:
    ringing = one_by_one(A, B)
    assert ringing.expired() == [Stop("a", late=True), Nobody(480)]
    assert ringing.done
    assert ringing.timed_out


def test_time_for_all_is_over_and_nobody_stands_in() -> None:
    ringing = together(Member("a", late=(OUT,)))
    assert ringing.expired() == [Stop("a", late=True), Nobody(480)]


def test_a_plan_asks_when_anybody_in_it_is_asked() -> None:
    asked = Member("x", screened=True)
    assert not Plan((A, Member("b", busy=(B,), late=(C,)))).asks
    for member in (asked, Member("b", busy=(asked,)), Member("b", late=(Member("c", late=(asked,)),))):
        assert Plan((A, member)).asks


# asked first

ASKED = Member("a", screened=True)


@pytest.mark.rule("inbound.screening")
def test_picking_up_does_not_stop_the_others_but_accepting_does() -> None:
    ringing = together(ASKED, Member("b", screened=True))
    assert ringing.answered("a") == [Wait(0, None), Screen("a")]
    assert ringing.answered("b") == [Wait(1, None), Screen("b")]
    assert ringing.accepted("b") == [Stop("a", ELSEWHERE), Won("b")]
    assert ringing.accepted("a") == [Stop("a", ELSEWHERE)]


def test_picking_up_stops_the_other_phones_of_the_same_member() -> None:
    ringing = Ringing(Plan((ASKED, B)))
    ringing.begin()
    ringing.rung(0, ["1", "2"])
    ringing.rung(1, ["b"])
    assert ringing.answered("1") == [Wait(0, None), Stop("2", ELSEWHERE), Screen("1")]
    assert ringing.answered("2") == [Stop("2", ELSEWHERE)]


@pytest.mark.parametrize("hangs_up", [False, True])
def test_declined_is_as_if_it_had_not_answered(hangs_up: bool) -> None:
    ringing = together(ASKED)
    ringing.answered("a")
    actions = ringing.failed("a", 480) if hangs_up else ringing.declined("a")
    assert actions == [*([] if hangs_up else [Stop("a")]), Wait(0, None), Nobody(480)]


def test_declined_one_after_the_other_goes_on_to_the_next() -> None:
    ringing = one_by_one(ASKED, B)
    ringing.answered("a")
    assert ringing.timeout(0) == []  # its seconds are of ringing, not of being asked
    assert ringing.declined("a") == [Stop("a"), Wait(0, None), Ring(1, B)]


def test_who_is_asked_when_the_time_is_over_may_still_say_yes() -> None:
    ringing = together(ASKED, B)
    ringing.answered("a")
    assert ringing.expired() == [Stop("b", late=True)]
    assert ringing.accepted("a") == [Won("a")]


def test_who_is_asked_when_the_time_is_over_says_no() -> None:
    ringing = together(Member("a", screened=True, late=(OUT,)), B)
    ringing.answered("a")
    ringing.expired()
    assert ringing.declined("a") == [Stop("a"), Wait(0, None), Nobody(480)]


# whatever happens

EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abco"), st.sampled_from(["up", "yes", "no", "busy", "late", "expired", "stop"])
    ),
    max_size=16,
)
PLANS = st.builds(
    lambda screened, order: Plan(
        (Member("a", 5.0, screened, late=(Member("o"),)), Member("b", screened=screened), C), order
    ),
    st.booleans(),
    st.booleans(),
)


@settings(derandomize=True)
@given(PLANS, EVENTS)
def test_one_winner_or_one_verdict_and_nobody_rings_on(plan: Plan, events: list[tuple[str, str]]) -> None:
    ringing = Ringing(plan)
    live: set[str] = set()
    up: set[str] = set()
    asked: set[str] = set()
    ends: list[object] = []

    def carry_out(actions: list[object]) -> None:
        for action in actions:
            if isinstance(action, Ring):
                live.add(action.member.target)
                carry_out([*ringing.rung(action.turn, [action.member.target])])
            elif isinstance(action, Stop):
                live.discard(action.leg)
            elif isinstance(action, Screen):
                asked.add(action.leg)
            elif isinstance(action, Won | Nobody):
                ends.append(action)

    carry_out([*ringing.begin()])
    for leg, event in events:
        if event == "stop":
            carry_out([*ringing.stop()])
        elif event == "expired":
            carry_out([*ringing.expired()])
        elif leg in live and not ringing.done:
            if event == "busy":
                live.discard(leg)
                carry_out([*ringing.failed(leg, 486)])
            elif event == "late":
                carry_out([*ringing.timeout(list(ringing.statuses).index(leg))])
            elif leg in asked if event != "up" else leg not in up:
                up.add(leg)
                asked -= {leg}
                does = {"up": ringing.answered, "yes": ringing.accepted, "no": ringing.declined}[event]
                carry_out([*does(leg)])
    assert len(ends) <= 1
    if ringing.done:
        assert live == {end.leg for end in ends if isinstance(end, Won)}
    else:
        assert live
