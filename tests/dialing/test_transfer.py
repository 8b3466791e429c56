"""The transfer machine: every state and every event of the table in docs/calls.md, and its promises at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from provisioner.dialing.transfer import (
    DIALTONE,
    DIGIT_SECONDS,
    MENU_SECONDS,
    MUSIC,
    NO_ANSWER_SECONDS,
    PROMPT_SECONDS,
    RECALL_SECONDS,
    RINGBACK,
    SILENCE,
    TRIES,
    Action,
    Dial,
    Hear,
    Play,
    Promote,
    Recall,
    Release,
    RingGroup,
    State,
    Take,
    Transfer,
    Wait,
    failure_prompt,
)

KEYS = "0123456789*#ABCD"
MENU = Play(("menu",))
COMPLETING = Play(("completing",))
GOODBYE = Play(("caller-hung-up",))

TO_TALKING = [Hear("caller", "desk"), Hear("desk", "caller"), Take("*"), Wait(None)]
TO_COLLECTING = [Hear("caller", MUSIC), Hear("desk", DIALTONE), Take("all"), Wait(DIGIT_SECONDS)]
TO_CONSULTING = [Hear("caller", MUSIC), Hear("desk", "target"), Hear("target", "desk"), Take("*"), Wait(None)]
TO_COMPLETING = [
    Hear("caller", MUSIC), Hear("target", MUSIC), Take("all"), Wait(PROMPT_SECONDS), Hear("desk", COMPLETING),
]  # fmt: skip
TO_JOINED = [Hear("caller", "target"), Hear("target", "caller"), Release("desk"), Wait(None), Promote()]
TO_RECALL = [Hear("caller", RINGBACK), Wait(RECALL_SECONDS), Recall()]
TO_GROUP = [Hear("caller", RINGBACK), Wait(None), RingGroup()]
TO_KEPT = [Hear("desk", "target"), Hear("target", "desk"), Take(""), Wait(None)]
TO_FAREWELL = [Hear("desk", GOODBYE), Take("all"), Wait(PROMPT_SECONDS)]
OVER = [Wait(None)]


def to_menu(*why: str) -> list[Action]:
    return [Hear("caller", MUSIC), Take("all"), Wait(PROMPT_SECONDS), Hear("desk", Play((*why, "menu")))]


def to_dialling(destination: object) -> list[Action]:
    return [
        Hear("caller", MUSIC), Hear("desk", RINGBACK), Take("all"), Wait(NO_ANSWER_SECONDS), Dial(destination),
    ]  # fmt: skip


def resolve(digits: str) -> object:
    """102 is a target, anything else is not."""
    return ("extension", digits) if digits == "102" else "invalid"


PATHS: dict[State, Callable[[Transfer], Any]] = {
    "talking": lambda m: m.start(),
    "menu": lambda m: press(m, "*"),
    "collecting": lambda m: press(m, "*1"),
    "dialling": lambda m: press(m, "*1102#"),
    "consulting": lambda m: (press(m, "*1102#"), m.target_answered()),
    "completing": lambda m: (press(m, "*1102#"), m.target_answered(), press(m, "*")),
    "joined": lambda m: (press(m, "*1102#"), m.target_answered(), press(m, "*1")),
    "recall": lambda m: (press(m, "*"), m.desk_ended()),
    "group": lambda m: (press(m, "*"), m.desk_ended(), m.desk_failed()),
    "kept": lambda m: (press(m, "*1102#"), m.target_answered(), m.caller_ended()),
    "farewell": lambda m: (press(m, "*"), m.caller_ended()),
    "over": lambda m: m.caller_ended(),
}


def press(machine: Transfer, keys: str) -> list[Action]:
    actions: list[Action] = []
    for key in keys:
        actions = machine.digit(key)
    return actions


def machine_in(state: State, on_hangup: Any = "complete") -> Transfer:
    machine = Transfer(resolve, on_hangup)
    machine.start()
    PATHS[state](machine)
    assert machine.state == state
    return machine


EVENTS: dict[str, Callable[[Transfer], list[Action]]] = {
    **{f"key {key}": (lambda m, key=key: m.digit(key)) for key in KEYS},  # type: ignore[misc]
    "timeout": lambda m: m.timeout(),
    "played": lambda m: m.played(),
    "target early": lambda m: m.target_early(),
    "target answered": lambda m: m.target_answered(),
    "target 486": lambda m: m.target_failed(486),
    "target 600": lambda m: m.target_failed(600),
    "target 480": lambda m: m.target_failed(480),
    "target 408": lambda m: m.target_failed(408),
    "target 503": lambda m: m.target_failed(503),
    "target 404": lambda m: m.target_failed(404),
    "target ended": lambda m: m.target_ended(),
    "caller ended": lambda m: m.caller_ended(),
    "desk ended": lambda m: m.desk_ended(),
    "desk answered": lambda m: m.desk_answered(),
    "desk failed": lambda m: m.desk_failed(),
}

Cell = tuple[State, list[Action]]

# what leaves a cell empty: the event means nothing there
TABLE: dict[State, dict[str, Cell]] = {
    "talking": {
        "key *": ("menu", to_menu()),
        "caller ended": ("over", [Release("desk"), *OVER]),
        "desk ended": ("over", [Release("caller"), *OVER]),
    },
    "menu": {
        **{f"key {key}": ("menu", to_menu()) for key in KEYS},
        "key 1": ("collecting", TO_COLLECTING),
        "key 2": ("talking", TO_TALKING),
        "timeout": ("menu", to_menu()),
        "played": ("menu", [Wait(MENU_SECONDS)]),
        "caller ended": ("farewell", TO_FAREWELL),
        "desk ended": ("recall", TO_RECALL),
    },
    "collecting": {
        **{f"key {key}": ("collecting", [Hear("desk", SILENCE), Wait(DIGIT_SECONDS)]) for key in KEYS},
        "key *": ("collecting", TO_COLLECTING),
        "key #": ("menu", to_menu()),
        "timeout": ("menu", to_menu()),
        "caller ended": ("farewell", TO_FAREWELL),
        "desk ended": ("recall", TO_RECALL),
    },
    "dialling": {
        "key *": ("menu", [Release("target"), *to_menu()]),
        "timeout": ("menu", [Release("target"), *to_menu("no-answer")]),
        "target early": ("dialling", [Hear("desk", "target")]),
        "target answered": ("consulting", TO_CONSULTING),
        "target 486": ("menu", to_menu("busy-target")),
        "target 600": ("menu", to_menu("busy-target")),
        "target 480": ("menu", to_menu("no-answer")),
        "target 408": ("menu", to_menu("no-answer")),
        "target 503": ("menu", to_menu("unreachable")),
        "target 404": ("menu", to_menu("invalid")),
        "caller ended": ("farewell", [Release("target"), *TO_FAREWELL]),
        "desk ended": ("recall", [Release("target"), *TO_RECALL]),
    },
    "consulting": {
        "key *": ("completing", TO_COMPLETING),
        "target ended": ("menu", to_menu()),
        "caller ended": ("kept", TO_KEPT),
        "desk ended": ("joined", TO_JOINED),
    },
    "completing": {
        **{f"key {key}": ("completing", TO_COMPLETING) for key in KEYS},
        "key 1": ("joined", TO_JOINED),
        "key 2": ("talking", [Release("target"), *TO_TALKING]),
        "timeout": ("completing", TO_COMPLETING),
        "played": ("completing", [Wait(MENU_SECONDS)]),
        "target ended": ("menu", to_menu()),
        "caller ended": ("kept", TO_KEPT),
        "desk ended": ("joined", TO_JOINED),
    },
    "recall": {
        "timeout": ("group", [Release("desk"), *TO_GROUP]),
        "caller ended": ("over", [Release("desk"), *OVER]),
        "desk answered": ("talking", TO_TALKING),
        "desk failed": ("group", TO_GROUP),
    },
    "group": {
        "caller ended": ("over", [Release("desk"), *OVER]),
        "desk answered": ("talking", TO_TALKING),
        "desk failed": ("over", [Release("caller"), *OVER]),
    },
    "kept": {
        "target ended": ("over", [Release("desk"), *OVER]),
        "desk ended": ("over", [Release("target"), *OVER]),
    },
    "farewell": {
        "timeout": ("over", [Release("desk"), *OVER]),
        "played": ("over", [Release("desk"), *OVER]),
        "desk ended": ("over", OVER),
    },
}

# the parties that are gone in a state cannot have events there
GONE = {
    "talking": ("target", "desk answered", "desk failed"),
    "menu": ("target", "desk answered", "desk failed"),
    "collecting": ("target", "desk answered", "desk failed"),
    "dialling": ("desk answered", "desk failed", "target ended"),
    "consulting": ("desk answered", "desk failed"),
    "completing": ("desk answered", "desk failed"),
    "recall": ("target", "desk ended"),
    "group": ("target", "desk ended"),
    "kept": ("caller", "desk answered", "desk failed"),
    "farewell": ("caller", "target", "desk answered", "desk failed"),
}

CELLS = [
    (state, event)
    for state in TABLE
    for event in EVENTS
    if not any(event.startswith(gone) for gone in GONE[state])
]


@pytest.mark.rule(
    "transfer.talking", "transfer.menu", "transfer.collecting", "transfer.resolve", "transfer.dialling",
    "transfer.consulting", "transfer.completing", "transfer.joined", "hold.caller-never-lost",
    "hold.caller-hangs-up",
)  # fmt: skip
@pytest.mark.parametrize(("state", "event"), CELLS)
def test_cell(state: State, event: str) -> None:
    machine = machine_in(state)
    expected_state, expected_actions = TABLE[state].get(event, (state, []))
    assert EVENTS[event](machine) == expected_actions
    assert machine.state == expected_state


def test_start() -> None:
    assert Transfer(resolve).start() == TO_TALKING


@pytest.mark.parametrize("digits", ["102", "199"])
@pytest.mark.parametrize("how", ["key #", "timeout"])
def test_resolving(digits: str, how: str) -> None:
    machine = machine_in("collecting")
    press(machine, digits)
    actions = EVENTS[how](machine)
    if digits == "102":
        assert actions == to_dialling(("extension", "102"))
        assert machine.state == "dialling"
    else:
        assert actions == to_menu("invalid")
        assert machine.state == "menu"


def test_star_clears_the_digits() -> None:
    machine = machine_in("collecting")
    press(machine, "99*102")
    assert machine.digits == "102"


def test_collecting_again_begins_with_no_digits() -> None:
    machine = machine_in("collecting")
    press(machine, "199#1")
    assert machine.digits == ""


def test_no_end_of_digits_fills_no_memory() -> None:
    machine = machine_in("collecting")
    press(machine, "1" * 1000)
    assert len(machine.digits) < 30


@pytest.mark.parametrize("event", ["key 5", "timeout"])
@pytest.mark.parametrize(
    ("state", "back", "actions"),
    [("menu", "talking", TO_TALKING), ("completing", "consulting", TO_CONSULTING)],
)
def test_the_third_wrong_key_or_silence_leaves(state: State, back: State, actions: Any, event: str) -> None:
    machine = machine_in(state)
    for _ in range(TRIES - 1):
        EVENTS[event](machine)
        assert machine.state == state
    assert EVENTS[event](machine) == actions
    assert machine.state == back


def test_tries_begin_anew_with_each_visit() -> None:
    machine = machine_in("menu")
    press(machine, "552*55")
    assert machine.state == "menu"
    press(machine, "5")
    assert machine.state == "talking"


def test_a_refused_target_begins_the_tries_anew() -> None:
    machine = machine_in("menu")
    press(machine, "551199#55")
    assert machine.state == "menu"


@pytest.mark.parametrize("state", ["consulting", "completing"])
def test_desk_hangs_up_and_is_rung_back_by_setting(state: State) -> None:
    machine = machine_in(state, "recall")
    assert machine.desk_ended() == [Release("target"), *TO_RECALL]
    assert machine.state == "recall"


def test_failure_prompts() -> None:
    told = {
        status: failure_prompt(status)
        for status in (404, 408, 410, 484, 480, 486, 487, 488, 500, 503, 600, 603)
    }
    assert told == {
        404: "invalid", 408: "no-answer", 410: "invalid", 484: "invalid", 480: "no-answer",
        486: "busy-target", 487: "no-answer", 488: "unreachable", 500: "unreachable",
        503: "unreachable", 600: "busy-target", 603: "busy-target",
    }  # fmt: skip


def test_every_wait_is_replaced_on_leaving() -> None:
    """No timer of one state may fire in another."""
    for state, event in CELLS:
        machine = machine_in(state)
        actions = EVENTS[event](machine)
        if machine.state != state:
            assert any(isinstance(action, Wait) for action in actions), (state, event)


class Parties(RuleBasedStateMachine):
    """Random events, only such as can happen; the actions are carried out on three imagined parties."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Transfer(resolve)
        self.here = {"caller", "desk"}
        self.ringing: set[str] = set()
        self.hears: dict[str, Any] = {}
        self.wait: float | None = None
        self.carry_out(self.machine.start())

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Hear):
                self.hears[action.party] = action.source
            elif isinstance(action, Release):
                self.here.discard(action.party)
                self.ringing.discard(action.party)
            elif isinstance(action, Wait):
                self.wait = action.seconds
            elif isinstance(action, Dial):
                self.ringing.add("target")
            elif isinstance(action, Recall | RingGroup):
                self.ringing.add("desk")
            elif isinstance(action, Promote):
                self.machine = Transfer(resolve)
                self.here.discard("target")
                self.here.add("desk")
                self.carry_out(self.machine.start())

    @precondition(lambda self: "desk" in self.here)
    @rule(keys=st.sampled_from(["*", "1", "2", "*1102#", "1102#", "102#", "5", "9", "#"]))
    def desk_presses(self, keys: str) -> None:
        for key in keys:
            self.carry_out(self.machine.digit(key))

    @precondition(lambda self: self.wait is not None)
    @rule()
    def time_is_up(self) -> None:
        self.wait = None
        self.carry_out(self.machine.timeout())

    @rule()
    def played(self) -> None:
        source = self.hears.get("desk")
        if "desk" in self.here and isinstance(source, Play) and not source.loop:
            self.carry_out(self.machine.played())

    @precondition(lambda self: "target" in self.ringing)
    @rule(status=st.sampled_from([0, 183, 200, 486, 503]))
    def target_answers(self, status: int) -> None:
        if status == 200:
            self.ringing.discard("target")
            self.here.add("target")
            self.carry_out(self.machine.target_answered())
        elif status == 183:
            self.carry_out(self.machine.target_early())
        elif status:
            self.ringing.discard("target")
            self.carry_out(self.machine.target_failed(status))

    @precondition(lambda self: "desk" in self.ringing)
    @rule(answers=st.booleans())
    def desk_is_rung(self, answers: bool) -> None:
        self.ringing.discard("desk")
        if answers:
            self.here.add("desk")
            self.carry_out(self.machine.desk_answered())
        else:
            self.carry_out(self.machine.desk_failed())

    @precondition(lambda self: "caller" in self.here)
    @rule()
    def caller_hangs_up(self) -> None:
        self.here.discard("caller")
        self.carry_out(self.machine.caller_ended())

    @precondition(lambda self: "target" in self.here)
    @rule()
    def target_hangs_up(self) -> None:
        self.here.discard("target")
        self.carry_out(self.machine.target_ended())

    @precondition(lambda self: "desk" in self.here)
    @rule()
    def desk_hangs_up(self) -> None:
        self.here.discard("desk")
        self.carry_out(self.machine.desk_ended())

    @invariant()
    def the_caller_is_never_lost(self) -> None:
        if "caller" in self.here:
            source = self.hears["caller"]
            assert source in (MUSIC, RINGBACK) or source in self.here, (source, self.machine.state)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Who is left hears somebody, or something that ends by itself or by its own key."""
        if "caller" in self.here and "desk" not in self.here:
            assert "desk" in self.ringing, self.machine.state
        if "desk" in self.here and "caller" not in self.here:
            assert "target" in self.here or self.hears["desk"] == GOODBYE, self.machine.state

    @invariant()
    def over_means_over(self) -> None:
        if self.machine.state == "over":
            assert not self.here
            assert not self.ringing
            assert self.wait is None

    def teardown(self) -> None:
        """Whatever happened: when the caller and the desk hang up, nobody is left."""
        for party, end in (
            ("caller", self.machine.caller_ended),
            ("desk", self.machine.desk_ended),
            ("target", self.machine.target_ended),
        ):
            if party in self.here:
                self.here.discard(party)
                self.carry_out(end())
        assert not self.here
        assert not self.ringing


Parties.TestCase.settings = settings(
    max_examples=200, stateful_step_count=30, deadline=None, derandomize=True
)
TestParties = Parties.TestCase
