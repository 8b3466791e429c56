"""The health of a trunk's gateways, as tables by a clock."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from provisioner.edge.gateway import Gateway, for_emergencies, in_order
from provisioner.sip.resolve import Target
from tests.edge.world import Clock


def gateway(clock: Clock, name: str = "192.0.2.1", probed: bool = True) -> Gateway:
    peer = SimpleNamespace(profile=SimpleNamespace(options=probed), up=True)
    return Gateway(peer, Target("UDP", name, 5060), clock)


@pytest.mark.parametrize(
    ("heard", "states"),
    [
        ("+", [True]),
        ("-", [None]),
        ("---", [None, None, False]),
        ("+--+", [True, True, True, True]),
        ("+---", [True, True, True, False]),
        ("---++", [None, None, False, False, False]),
        ("---+++", [None, None, False, False, False, True]),
        ("---++-+++", [None, None, False, False, False, False, False, False, True]),
    ],
)
def test_t19_three_failures_down_three_successes_up(heard: str, states: list) -> None:
    one = gateway(Clock())
    seen = []
    for sign in heard:
        one.succeeded() if sign == "+" else one.failed()
        seen.append(one.up)
    assert seen == states


def test_t18_quarantine_grows_from_5_s_to_5_min_and_shrinks_after_success() -> None:
    clock = Clock()
    one = gateway(clock)
    pauses = []
    for _ in range(9):
        one.failed()
        pauses.append(one.quarantined_until - clock.now)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    for _ in range(3):
        one.succeeded()
    assert not one.quarantined
    one.failed()
    assert one.quarantined_until - clock.now == 5


def test_t18_one_good_answer_does_not_end_a_quarantine() -> None:
    clock = Clock()
    one, other = gateway(clock), gateway(clock, "192.0.2.2")
    one.succeeded()
    one.failed()
    one.succeeded()
    assert one.usable
    assert in_order([one, other]) == [other, one]
    clock.now += 5
    assert in_order([one, other]) == [one, other]


@pytest.mark.parametrize(("asked", "given"), [(30.0, 30.0), (1e6, 3600.0)])
def test_t20_retry_after_stops_ordinary_calls_for_that_time(asked: float, given: float) -> None:
    clock = Clock()
    one, other = gateway(clock), gateway(clock, "192.0.2.2")
    one.failed(asked)
    one.succeeded()
    assert in_order([one, other]) == [other]
    assert for_emergencies([one, other]) == [other, one]
    clock.now += given
    assert one.usable


def test_one_that_is_never_probed_gets_its_chance_after_each_quarantine() -> None:
    clock = Clock()
    one = gateway(clock, probed=False)
    for _ in range(3):
        one.failed()
    assert (one.up, one.usable) == (False, False)
    clock.now += 20
    assert one.usable
