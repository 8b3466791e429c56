"""Do-not-disturb and forwarding by codes that a phone dials."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.dialing.classify import Plan
from provisioner.dialing.forwarding import forward_target
from provisioner.dialing.transfer import DIGIT_SECONDS, PROMPT_SECONDS, SILENCE, Play
from provisioner.edge.features import CODES, Change, Dialogue, Done, Say, Wait, asked
from provisioner.media import prompts
from tests.edge.world import OUTSIDE, Talk, World, number_of

PLAN = Plan(frozenset({"101", "102", "103"}), "101")
ASK = [Say(Play(("forward-to",))), Wait(PROMPT_SECONDS)]


def dialogue(code: str, digits: str = "") -> Dialogue:
    return Dialogue(CODES[code], lambda keyed: forward_target(keyed, PLAN), digits)


def keyed(machine: Dialogue, keys: str) -> list[Any]:
    actions: list[Any] = []
    for key in keys:
        actions = machine.digit(key)
    return actions


@pytest.mark.parametrize(
    ("dialled", "means"),
    [
        ("*78", ("*78", "")), ("*79", ("*79", "")), ("*72", ("*72", "")), ("*722124567890", ("*72", "2124567890")),
        ("*90102", ("*90", "102")), ("*92102#", ("*92", "102")), ("*91", ("*91", "")), ("*93", ("*93", "")),
        ("*67", None), ("*71", None), ("*7", None), ("78", None), ("101", None), ("*911", ("*91", "1")), ("*988", None),
    ],
)  # fmt: skip
def test_codes(dialled: str, means: tuple[str, str] | None) -> None:
    assert asked(dialled) == means


@pytest.mark.parametrize(
    ("code", "values", "said"),
    [
        ("*78", {"do_not_disturb": True}, "dnd-on"),
        ("*79", {"do_not_disturb": False}, "dnd-off"),
        ("*73", {"forward_always": ""}, "forward-off"),
        ("*91", {"forward_busy": ""}, "forward-off"),
        ("*93", {"forward_no_answer": ""}, "forward-off"),
    ],
)
def test_set_and_confirmed(code: str, values: dict[str, Any], said: str) -> None:
    machine = dialogue(code)
    assert machine.start() == [Change(values), Say(Play((said,))), Wait(PROMPT_SECONDS)]
    assert machine.digit("1") == []
    assert machine.played() == machine.timeout() == [Done()]


@pytest.mark.parametrize(
    ("code", "field"), [("*72", "forward_always"), ("*90", "forward_busy"), ("*92", "forward_no_answer")]
)
def test_the_number_is_asked_for_and_read_back(code: str, field: str) -> None:
    machine = dialogue(code)
    assert machine.start() == ASK
    assert machine.digit("1") == [Say(SILENCE), Wait(DIGIT_SECONDS)]
    assert keyed(machine, "*2124567890#") == [
        Change({field: OUTSIDE}),
        Say(Play(("forward-on", *(f"say-{digit}" for digit in "2124567890")))),
        Wait(PROMPT_SECONDS),
    ]


def test_the_number_is_dialled_along() -> None:
    assert dialogue("*72", "103").start()[0] == Change({"forward_always": "103"})


def test_ten_seconds_end_a_number() -> None:
    machine = dialogue("*72")
    machine.start()
    assert machine.played() == [Wait(DIGIT_SECONDS)]
    keyed(machine, "103")
    assert machine.timeout()[0] == Change({"forward_always": "103"})


@pytest.mark.rule("dialled.crisis")
@pytest.mark.parametrize(
    ("digits", "why"),
    [("911", "emergency-target"), ("988", "crisis-target"), ("411", "refused"), ("101", "own-extension"),
     ("5551212", "area-code"), ("19005551212", "refused"), ("8765551234", "refused"), ("1", "invalid")],
)  # fmt: skip
def test_never_a_target(digits: str, why: str) -> None:
    machine = dialogue("*72", digits)
    again = [Say(Play((why, "forward-to"))), Wait(PROMPT_SECONDS)]
    assert machine.start() == again
    assert keyed(machine, digits + "#") == again
    assert keyed(machine, digits + "#") == [Say(Play(("not-changed",))), Wait(PROMPT_SECONDS)]
    assert machine.played() == [Done()]
    assert machine.outcome == "nothing was changed"


def test_silence_changes_nothing() -> None:
    machine = dialogue("*72")
    machine.start()
    assert machine.timeout() == machine.timeout() == ASK
    assert machine.timeout() == [Say(Play(("not-changed",))), Wait(PROMPT_SECONDS)]


def test_all_that_is_said_is_recorded() -> None:
    said = {code.said for code in CODES.values()} | {"forward-to", "not-changed"}
    assert said <= prompts.names()


# with a phone


def dial(world: World, code: str) -> Talk:
    return world.phones["102"].call(code)


def test_do_not_disturb_by_code(world: World) -> None:
    saved: list[tuple[str, dict[str, Any]]] = []
    world.edge.save = lambda extension, values: saved.append((extension, values))
    call = dial(world, "*78")
    assert call.up
    assert world.hears(call) == "dnd-on"
    world.prompt_ends(call)
    assert call.ended
    assert world.outcome() == "do not disturb was set"
    assert saved == [("102", {"do_not_disturb": True})]
    assert world.inbound(number_of("102")).status == 480
    world.prompt_ends(dial(world, "*79"))
    world.inbound(number_of("102"))
    assert world.phones["102"].calls[-1].session.incoming


def test_forward_by_code_and_keys(world: World) -> None:
    call = dial(world, "*72")
    assert world.hears(call) == "forward-to"
    world.press(call, "2124567890#")
    assert world.hears(call) == "forward-on " + " ".join(f"say-{digit}" for digit in "2124567890")
    world.prompt_ends(call)
    assert call.ended
    world.inbound(number_of("102"))
    assert world.core.calls[-1].invite.uri.startswith(f"sip:{OUTSIDE}@")
    world.prompt_ends(dial(world, "*73"))
    world.inbound(number_of("102"))
    assert world.phones["102"].calls[-1].session.incoming


def test_forward_dialled_along(world: World) -> None:
    world.prompt_ends(dial(world, "*90103"))
    assert world.edge.directory.features("102").forward_busy == "103"


def test_hung_up_before_a_number_was_given(world: World) -> None:
    call = dial(world, "*72")
    call.hangup()
    assert world.outcome() == "nothing was changed"
    assert world.edge.calls == {}


def test_the_appliance_stops_meanwhile(world: World) -> None:
    call = dial(world, "*72")
    world.edge.close()
    world.run()
    assert call.ended


def test_a_code_after_which_media_says_nothing_ends_all_the_same(world: World) -> None:
    call = dial(world, "*78")
    world.pass_time(PROMPT_SECONDS + 1)
    assert call.ended


def test_turns_survive_a_restart(world: World) -> None:
    told: list[str] = []
    world.edge.turned = lambda: told.append("turned")
    world.edge.take_turns({"all": "102", "odd": 1})
    assert world.edge.first == {"all": "102"}
    world.edge.take_turns(None)
    world.edge.rang_first("all", "103")
    world.edge.rang_first("", "101")
    assert world.edge.first == {"all": "103"}
    assert told == ["turned"]
