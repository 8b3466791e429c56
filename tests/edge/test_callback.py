"""The emergency centre calls back: it reaches the phone that called, whatever is set on it (docs/calls.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from provisioner.edge.callback import MOST, SECONDS, Callbacks
from provisioner.store.records import LineFeatures
from tests.edge.world import EDGE, MAIN, Talk, World, number_of, practice

PSAP = "+14155550911"
MARK = [("priority", "psap-callback")]


@pytest.fixture
def make() -> Callable[..., World]:
    def of(**changes: Any) -> World:
        world = World(practice(**changes))
        world.register_all()
        return world

    return of


def emergency(world: World, extension: str, code: str = "911") -> str:
    """Call and hang up; the number that the core saw."""
    caller = world.phones[extension].call(code)
    there = world.core.calls[-1]
    there.answer()
    caller.hangup()
    number: str = there.session.remote.uri.user
    return number


def back(world: World, to: str, headers: list[tuple[str, str]] | None = None) -> Talk:
    return world.core.dial(f"sip:{to}@{EDGE[0]}", f"<sip:{PSAP}@192.0.2.1>", headers=headers or [])


def rung(world: World) -> list[str]:
    """The extensions that ring now."""
    return sorted(
        extension for extension, phone in world.phones.items() for talk in phone.calls if not talk.over
    )


GUARDED = {
    "line_features": {
        "102": LineFeatures(id="102", do_not_disturb=True, forward_always="103", screening=True)
    }
}


@pytest.mark.rule("emergency.callback", "emergency.stripped")
@pytest.mark.parametrize("headers", [[], MARK])
def test_it_rings_the_phone_that_called_past_all_that_is_set(
    make: Callable[..., World], headers: list
) -> None:
    world = make(**GUARDED)
    number = emergency(world, "102")
    caller = back(world, number, headers)
    assert rung(world) == ["102"]
    desk = world.ringing("102")
    assert PSAP[1:] in desk.invite.get("from")
    desk.answer()
    assert caller.up
    assert world.hears(caller) is desk


@pytest.mark.rule("emergency.stripped")
@pytest.mark.parametrize("code", ["911", "933", "988"])
def test_while_it_is_up_no_other_call_beeps_there(make: Callable[..., World], code: str) -> None:
    world = make(line_features={"102": LineFeatures(id="102", forward_busy="103")})
    caller = world.phones["102"].call(code)
    world.core.calls[-1].answer()
    inside = world.phones["101"].call("102")
    assert rung(world) == ["101", "102", "103"]  # 103: as when it is busy
    assert [talk for talk in world.phones["102"].calls if not talk.over] == [caller]
    caller.hangup()
    inside.hangup()
    world.phones["101"].call("102")
    assert world.ringing("102")


@pytest.mark.rule("emergency.callback", "emergency.stripped")
def test_a_call_back_beeps_there_all_the_same(make: Callable[..., World]) -> None:
    world = make()
    world.phones["102"].call("911")
    world.core.calls[-1].answer()
    back(world, number_of("102"))
    assert rung(world) == ["102", "102"]


@pytest.mark.rule("emergency.callback")
def test_the_main_number_as_callback_number_rings_that_phone_and_not_the_group(
    make: Callable[..., World],
) -> None:
    world = make(numbers={MAIN: practice().numbers[MAIN]})
    number = emergency(world, "103")
    assert number == MAIN
    back(world, MAIN)
    assert rung(world) == ["103"]


@pytest.mark.rule("emergency.callback")
def test_a_marked_call_to_any_number_rings_all_phones_that_called(make: Callable[..., World]) -> None:
    world = make()
    emergency(world, "101")
    emergency(world, "103")
    back(world, MAIN, MARK)
    assert rung(world) == ["101", "103"]


@pytest.mark.rule("emergency.callback")
def test_nobody_answers_there_so_who_else_would_be_rung_is(make: Callable[..., World]) -> None:
    world = make(numbers={MAIN: practice().numbers[MAIN]})
    emergency(world, "103")
    back(world, MAIN)
    world.pass_time(31)
    assert rung(world) == ["101", "102"]


@pytest.mark.rule("emergency.callback")
@pytest.mark.parametrize("status", [302, 486, 603])
def test_a_phone_that_will_not_take_it_does_not_keep_it_from_the_others(
    make: Callable[..., World], status: int
) -> None:
    world = make(numbers={MAIN: practice().numbers[MAIN]})
    emergency(world, "103")
    back(world, MAIN)
    world.ringing("103").refuse(status)
    assert rung(world) == ["101", "102"]
    assert world.edge.counters["callback-refused"] == 1


@pytest.mark.rule("emergency.callback")
def test_after_half_an_hour_all_is_as_before(make: Callable[..., World]) -> None:
    world = make(**GUARDED)
    number = emergency(world, "102")
    world.pass_time(SECONDS + 1)
    back(world, number)
    assert rung(world) == ["103"]


@pytest.mark.parametrize("code", ["933", "988"])
def test_tests_and_the_crisis_line_open_no_window(make: Callable[..., World], code: str) -> None:
    world = make(**GUARDED)
    number = emergency(world, "102", code)
    back(world, number)
    assert rung(world) == ["103"]


def test_the_window_begins_when_the_call_ends(make: Callable[..., World]) -> None:
    world = make(**GUARDED)
    caller = world.phones["102"].call("911")
    there = world.core.calls[-1]
    there.answer()
    number = there.session.remote.uri.user
    world.pass_time(SECONDS - 10)
    caller.hangup()
    world.pass_time(60)
    back(world, number)
    assert rung(world) == ["102"]


def test_the_window_outlasts_a_restart() -> None:
    now = [1000.0]
    before = Callbacks(lambda: now[0])
    before.note("102", "+14155550102")
    before.note("", MAIN)
    kept = msgspec.json.decode(msgspec.json.encode(before.remember()))
    after = Callbacks(lambda: now[0])
    after.recall(kept)
    assert after.remember() == before.remember()
    now[0] += SECONDS
    assert after.remember() == []


@pytest.mark.parametrize("kept", [None, 7, {}, [{"extension": 1}], "x"])
def test_what_was_not_kept_well_is_nothing(kept: object) -> None:
    callbacks = Callbacks(lambda: 0.0)
    callbacks.recall(kept)
    assert callbacks.remember() == []


def test_it_remembers_so_many_and_no_more() -> None:
    callbacks = Callbacks(lambda: 0.0)
    for n in range(MOST + 50):
        callbacks.note(str(n), MAIN)
    assert len(callbacks.remember()) == MOST
