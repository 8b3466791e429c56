"""Ringing together: who wins, who stops, and what is answered when nobody takes it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.edge.ringing import ELSEWHERE, Nobody, Ringing, Stop, Won


def test_first_wins_and_the_others_stop() -> None:
    ringing = Ringing(["a", "b", "c"])
    assert ringing.answered("b") == [Stop("a", ELSEWHERE), Stop("c", ELSEWHERE), Won("b")]


def test_too_late() -> None:
    ringing = Ringing(["a", "b"])
    ringing.answered("a")
    assert ringing.answered("b") == [Stop("b", ELSEWHERE)]
    assert ringing.failed("b", 487) == []
    assert ringing.stop() == []


def test_who_failed_is_not_stopped() -> None:
    ringing = Ringing(["a", "b"])
    assert ringing.failed("a", 486) == []
    assert ringing.answered("b") == [Won("b")]


@pytest.mark.parametrize(
    ("statuses", "answer"),
    [((486,), 486), ((600,), 486), ((486, 600), 486), ((486, 480), 480), ((603,), 480), ((503, 408), 480)],
)
def test_nobody(statuses: tuple[int, ...], answer: int) -> None:
    ringing = Ringing([str(index) for index in range(len(statuses))])
    said = [ringing.failed(str(index), status) for index, status in enumerate(statuses)]
    assert said == [[] for _ in statuses[1:]] + [[Nobody(answer)]]


def test_stop_ends_only_those_that_ring() -> None:
    ringing = Ringing(["a", "b", "c"])
    ringing.failed("b", 486)
    assert ringing.stop("why") == [Stop("a", "why"), Stop("c", "why")]
    assert ringing.answered("a") == [Stop("a", ELSEWHERE)]


EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 200, 486, 487])), max_size=12)


@settings(derandomize=True)
@given(EVENTS)
def test_one_winner_or_one_verdict_at_most(events: list[tuple[str, int]]) -> None:
    ringing = Ringing("abc")
    actions = []
    for member, status in events:
        if status == 0:
            actions += ringing.stop()
        elif status == 200:
            actions += ringing.answered(member)
        else:
            actions += ringing.failed(member, status)
    assert sum(isinstance(action, Won | Nobody) for action in actions) <= 1
    if ringing.done:
        won = {action.member for action in actions if isinstance(action, Won)}
        stopped = {action.member for action in actions if isinstance(action, Stop)}
        failed = {member for member, status in ringing.ringing.items() if status}
        assert won | stopped | failed == set("abc")
