"""Calls from outside to people who are asked before they get them, through the whole edge in virtual time."""

from __future__ import annotations

import pytest

from provisioner.edge.ringing import ELSEWHERE
from tests.edge.test_inbound import features, group, live
from tests.edge.world import EDGE, Make, number_of

ONE = "1"


@pytest.mark.rule("inbound.screening")
def test_picking_up_does_not_stop_the_others_pressing_1_does(make: Make) -> None:
    world = make(**group("101", "102", screening=True))
    caller = world.inbound()
    first, second = world.ringing("101"), world.ringing("102")
    first.answer()
    assert live(world) == ["101", "102"]
    assert not caller.up
    second.answer()
    world.press(second, ONE)
    assert first.ended.reason == ELSEWHERE
    assert world.hears(caller) is second
    assert world.hears(second) is caller
    assert world.passed_on == []


@pytest.mark.rule("inbound.screening")
@pytest.mark.parametrize("how", ["hang-up", "wrong twice", "silence"])
def test_not_accepted_rings_the_others_on(make: Make, how: str) -> None:
    world = make(**group("101", "102", screening=True))
    caller = world.inbound()
    desk = world.ringing("101")
    desk.answer()
    if how == "hang-up":
        desk.hangup()
    elif how == "wrong twice":
        world.press(desk, "2")
        assert not desk.over
        world.press(desk, "2")
    else:
        world.prompt_ends(desk)
        world.pass_time(9.9)
        assert not desk.over
        world.pass_time(0.2)
    assert desk.over
    assert live(world) == ["102"]
    assert caller.status == 0
    world.pass_time(30)
    assert caller.status == 480
    assert {event.status for event in caller.events} == {180, 480}


@pytest.mark.rule("inbound.screening")
def test_screening_of_an_extension(make: Make) -> None:
    world = make(features("102", screening=True))
    caller = world.inbound(number_of("102"))
    desk = world.ringing("102")
    desk.early()
    desk.answer()
    assert not caller.up
    world.press(desk, ONE)
    assert world.hears(caller) is desk
    world.press(desk, "*")
    assert world.hears(desk) == "menu"  # its keys mean what they always do now


@pytest.mark.rule("inbound.screening")
def test_screening_of_an_extension_that_nobody_accepts_is_forwarded(make: Make) -> None:
    world = make(features("102", screening=True, forward_no_answer="103"))
    world.inbound(number_of("102"))
    world.ringing("102").answer()
    world.press(world.ringing("102"), "22")
    assert live(world) == ["103"]


@pytest.mark.rule("inbound.screening")
def test_the_caller_hangs_up_while_somebody_is_asked(make: Make) -> None:
    world = make(**group("101", "102", screening=True))
    caller = world.inbound()
    world.ringing("101").answer()
    caller.hangup()
    assert live(world) == []
    assert world.outcome() == "caller gave up"


@pytest.mark.rule("inbound.screening")
def test_a_colleague_is_announced_by_name_or_extension(make: Make) -> None:
    world = make(features("102", screening=True))
    world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    assert world.hears(desk) == "call-from say-room say-1 say-0 say-1 press-1"


@pytest.mark.rule("inbound.screening")
@pytest.mark.parametrize(
    ("who", "said"),
    [
        ('"Nurse Station" <sip:+12065550142@x>', "say-nurse say-station"),
        ('"Jane" <sip:+12065550142@x>', " ".join(f"say-{digit}" for digit in "2065550142")),
        ("<sip:+442071234567@x>", "caller-international"),
        ("<sip:anonymous@anonymous.invalid>", "caller-unknown"),
    ],
)
def test_who_is_announced(make: Make, who: str, said: str) -> None:
    world = make(features("102", screening=True))
    world.core.dial(f"sip:{number_of('102')}@{EDGE[0]}", who)
    desk = world.ringing("102")
    desk.answer()
    assert world.hears(desk) == f"call-from {said} press-1"


class Voice:
    """Speaks at once, or never."""

    def __init__(self, speaks: bool = True) -> None:
        self.names: dict[str, str] = {}
        self._speaks = speaks

    def prepare(self, call: str, name: str) -> None:
        self.names[call] = name

    def clip(self, call: str) -> str:
        return f"said-{call}" if self._speaks and self.names.get(call) else ""

    def forget(self, call: str) -> None:
        self.names.pop(call, None)


@pytest.mark.rule("inbound.screening")
@pytest.mark.parametrize("speaks", [True, False])
def test_a_name_is_spoken_once_a_voice_has_said_it_else_the_digits(make: Make, speaks: bool) -> None:
    world = make(features("102", screening=True))
    world.edge.speech = voice = Voice(speaks)
    caller = world.core.dial(f"sip:{number_of('102')}@{EDGE[0]}", '"Jane Patient" <sip:+12065550142@x>')
    (call,) = world.edge.calls
    assert voice.names == {call: "Jane Patient"}
    desk = world.ringing("102")
    desk.answer()
    digits = " ".join(f"say-{digit}" for digit in "2065550142")
    assert world.hears(desk) == f"call-from {f'said-{call}' if speaks else digits} press-1"
    caller.hangup()
    assert voice.names == {}


def test_no_name_is_spoken_where_nobody_is_asked_or_it_is_withheld(make: Make) -> None:
    world = make(features("102", screening=True))
    world.edge.speech = voice = Voice()
    world.core.dial(f"sip:{number_of('101')}@{EDGE[0]}", '"Jane Patient" <sip:+12065550142@x>')
    world.core.dial(
        f"sip:{number_of('102')}@{EDGE[0]}", '"Jane Patient" <sip:+12065550142@x>', [("privacy", "id")]
    )
    assert voice.names == {}
