"""What must hold in every state of a transfer: offers, keys and prompts, whoever sends them and whenever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.edge.test_transfer_calls import STATES, State, Transfer
from tests.edge.world import MAIN, Talk, World

EVERY = (*STATES, "talking", "joined", "recall", "group", "kept", "farewell")
REFRESHES = ("sendrecv", "")  # an offer like the last, and a request for ours


def reached(world: World, state: State) -> Transfer:
    """A call to the main number in any state, also those that come when somebody has hung up."""
    transfer = Transfer(world, MAIN)
    if state in ("recall", "group"):
        transfer.reach("menu")
        transfer.desk.hangup()
        if state == "group":
            world.ringing("101").refuse(486)
    elif state in ("kept", "farewell"):
        transfer.reach("consulting" if state == "kept" else "menu")
        transfer.caller.hangup()
    else:
        transfer.reach(state)
    assert world.states() == [state]
    return transfer


def present(world: World) -> list[Talk]:
    """The legs that are up now."""
    return [talk for talk in world.talks() if talk.up and talk.sdp.negotiated]


def scene(world: World) -> dict[Talk, object]:
    return {talk: world.hears(talk) for talk in present(world)}


@pytest.mark.rule("hold.re-invites")
@pytest.mark.parametrize("direction", REFRESHES)
@pytest.mark.parametrize("state", EVERY)
def test_a_session_refresh_of_anybody_changes_nothing(world: World, state: State, direction: str) -> None:
    reached(world, state)
    before = scene(world)
    for talk in present(world):
        assert talk.reinvite(direction).status == 200
        assert scene(world) == before
        assert world.states() == [state]


@pytest.mark.rule("hold.re-invites")
@pytest.mark.parametrize("way", ["sendonly", "inactive"])
@pytest.mark.parametrize("state", EVERY)
def test_anybody_on_hold_and_back_changes_nothing(world: World, state: State, way: str) -> None:
    """Who is held hears music where a voice was; nobody hears another party for it."""
    reached(world, state)
    before = scene(world)
    for talk in present(world):
        assert talk.reinvite(way).status == 200
        during = {other: source for other, source in scene(world).items() if other is not talk}
        assert during == {
            other: "music" if source is talk else source
            for other, source in before.items()
            if other is not talk
        }
        assert talk.reinvite("sendrecv").status == 200
        assert scene(world) == before
        assert world.states() == [state]


@pytest.mark.rule("hold.re-invites")
@pytest.mark.parametrize("state", STATES)
def test_a_transfer_goes_on_while_the_desk_has_it_on_hold(world: World, state: State) -> None:
    """A phone that puts the call on hold sends keys all the same."""
    transfer = reached(world, state)
    transfer.desk.reinvite("sendonly")
    rest = {"menu": "1102#", "collecting": "102#", "dialling": "", "consulting": "", "completing": ""}
    transfer.press(rest[state])
    target = world.ringing("102")
    if not target.up:
        target.answer()
    transfer.press("1" if state == "completing" else "*1")
    assert transfer.desk.ended
    assert world.hears(transfer.caller) is target
    assert world.hears(target) is transfer.caller


@pytest.mark.rule("hold.re-invites")
@pytest.mark.parametrize("state", STATES)
def test_a_transfer_goes_on_after_offers_of_everybody(world: World, state: State) -> None:
    transfer = reached(world, state)
    for talk in present(world):
        talk.reinvite("sendrecv")
        talk.reinvite("inactive")
        talk.reinvite("")
    if state in ("menu", "collecting", "dialling"):
        transfer.press({"menu": "1", "collecting": "", "dialling": "*1"}[state] + "103#")
        transfer.target = world.ringing("103")
        transfer.target.answer()
    transfer.press("1" if state == "completing" else "*1")
    assert world.hears(transfer.caller) is transfer.target
    assert world.states() == ["joined"]


@pytest.mark.rule("hold.key-cuts-prompt")
@pytest.mark.parametrize(
    ("keys", "prompt", "key", "hears"),
    [
        ("*", "menu", "1", "dialtone"),
        ("*", "menu", "5", "menu"),
        ("*1199#", "invalid menu", "1", "dialtone"),
        ("*1911#", "emergency-target menu", "1", "dialtone"),
    ],
)
def test_a_key_cuts_a_prompt_short(world: World, keys: str, prompt: str, key: str, hears: str) -> None:
    transfer = Transfer(world)
    transfer.press(keys)
    assert transfer.hears() == ("music", prompt)
    token = world.leg_of(transfer.desk).document["source"]["token"]
    transfer.press(key)
    assert transfer.hears() == ("music", hears)
    assert world.leg_of(transfer.desk).document["source"]["token"] != token  # begun anew, not gone on


@pytest.mark.rule("hold.key-cuts-prompt")
def test_all_keys_of_a_transfer_ahead_of_every_prompt(world: World) -> None:
    transfer = Transfer(world)
    transfer.press("*1102#")
    transfer.target = world.ringing("102")
    transfer.target.answer()
    transfer.press("*1")
    assert world.hears(transfer.caller) is transfer.target


@pytest.mark.rule("hold.key-cuts-prompt")
def test_the_end_of_a_prompt_that_was_cut_short_means_nothing(world: World) -> None:
    transfer = Transfer(world)
    transfer.press("*")
    old = world.leg_of(transfer.desk).document["source"]["token"]
    transfer.press("5")
    world.edge.on_media("played", {"leg": world.leg_of(transfer.desk).id, "token": old})
    world.pass_time(8.1)
    assert transfer.hears() == ("music", "menu")
    assert world.states() == ["menu"]  # the second round lasts for its own prompt, and 8 s


@pytest.mark.rule("hold.key-cuts-prompt")
@pytest.mark.parametrize("state", EVERY)
def test_only_the_desk_moves_it_by_keys(world: World, state: State) -> None:
    transfer = reached(world, state)
    before = scene(world)
    desk = None if state in ("recall", "group") else transfer.target if state == "joined" else transfer.desk
    for talk in present(world):
        if talk is not desk:
            world.press(talk, "*1102#*12")
    assert scene(world) == before
    assert world.states() == [state]


@pytest.mark.rule("hold.caller-never-lost", "hold.caller-hangs-up")
@pytest.mark.parametrize("first", ["caller", "desk", "target"])
@pytest.mark.parametrize("second", ["caller", "desk", "target"])
@pytest.mark.parametrize("state", [*STATES, "talking", "joined"])
def test_two_hang_up_one_after_the_other(world: World, state: State, first: str, second: str) -> None:
    """Whoever is left then is talked to, is rung for, or is let go within a minute."""
    transfer = reached(world, state)
    for role in (first, second):
        talk = getattr(transfer, role, None)
        if talk and talk.up:
            talk.hangup()
    heard = [source for talk, source in scene(world).items()]
    assert None not in heard
    world.pass_time(130)
    for talk in present(world):
        assert world.hears(talk) in present(world)


@pytest.mark.rule("hold.caller-never-lost")
@pytest.mark.parametrize("how", ["refuse", "answer", "silence"])
@pytest.mark.parametrize("state", ["menu", "collecting", "dialling"])
def test_desk_hangs_up_then_the_group(world: World, state: State, how: str) -> None:
    transfer = reached(world, state)
    transfer.desk.hangup()
    again = world.ringing("101")
    assert world.hears(transfer.caller) == "ringback"
    acts: dict[str, Callable[[], None]] = {
        "refuse": lambda: again.refuse(486),
        "answer": again.answer,
        "silence": lambda: world.pass_time(30.1),
    }
    acts[how]()
    if how == "answer":
        assert world.hears(transfer.caller) is again
        return
    assert world.hears(transfer.caller) == "ringback"
    assert not world.ringing("103").over
    world.pass_time(30.1)
    assert transfer.caller.ended
