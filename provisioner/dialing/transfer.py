"""The keypad warm transfer: a pure machine, event in, actions out (docs/calls.md); of the edge, and of the demo core.

Three parties: `caller` (who called), `desk` (who took the call and presses keys), `target` (who is asked to
take it over). Nobody but the desk moves the machine by keys. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

MENU_SECONDS = 8.0  # after the end of the prompt
PROMPT_SECONDS = 30.0  # longer than any prompt, for when its end is never told
DIGIT_SECONDS = 10.0
NO_ANSWER_SECONDS = 30.0
RECALL_SECONDS = 30.0
TRIES = 3  # wrong keys or silences in one menu before it gives up
MAX_DIGITS = 24

Party = Literal["caller", "desk", "target"]
State = Literal[
    "talking", "menu", "collecting", "dialling", "consulting", "completing",
    "joined", "referred", "recall", "group", "kept", "farewell", "over",
]  # fmt: skip


@dataclass(frozen=True)
class Play:
    """Audio files one after the other."""

    names: tuple[str, ...]
    loop: bool = False


Source = Party | Play | None

MUSIC = Play(("music",), loop=True)
DIALTONE = Play(("dialtone",), loop=True)
RINGBACK = Play(("ringback",), loop=True)
SILENCE = Play(("silence",), loop=True)


@dataclass(frozen=True)
class Hear:
    """`party` hears `source` from now on."""

    party: Party
    source: Source


@dataclass(frozen=True)
class Take:
    """Which of the desk's keys are kept from the others: none, the star, or all."""

    keys: Literal["", "*", "all"]


@dataclass(frozen=True)
class Wait:
    """Call `timeout` in `seconds`; None: not at all. Replaces the wait before it."""

    seconds: float | None


@dataclass(frozen=True)
class Dial:
    """Call this destination as the target."""

    destination: object


@dataclass(frozen=True)
class Release:
    """End the leg of `party`."""

    party: Party


@dataclass(frozen=True)
class Recall:
    """Ring the desk phone again."""


@dataclass(frozen=True)
class RingGroup:
    """Ring the group of the number that the caller dialled; without one, that fails at once."""


@dataclass(frozen=True)
class Promote:
    """The target takes the desk's place in this call."""


Action = Hear | Take | Wait | Dial | Release | Recall | RingGroup | Promote

# what each party hears on entering a state, and which keys are the machine's; others are left alone
_PICTURE: dict[State, tuple[Action, ...]] = {
    "talking": (Hear("caller", "desk"), Hear("desk", "caller"), Take("*"), Wait(None)),
    "menu": (Hear("caller", MUSIC), Take("all"), Wait(PROMPT_SECONDS)),
    "collecting": (Hear("caller", MUSIC), Hear("desk", DIALTONE), Take("all"), Wait(DIGIT_SECONDS)),
    "dialling": (Hear("caller", MUSIC), Hear("desk", RINGBACK), Take("all"), Wait(NO_ANSWER_SECONDS)),
    "consulting": (
        Hear("caller", MUSIC),
        Hear("desk", "target"),
        Hear("target", "desk"),
        Take("*"),
        Wait(None),
    ),
    "completing": (Hear("caller", MUSIC), Hear("target", MUSIC), Take("all"), Wait(PROMPT_SECONDS)),
    "joined": (Hear("caller", "target"), Hear("target", "caller"), Release("desk"), Wait(None), Promote()),
    "referred": (Hear("caller", RINGBACK), Hear("desk", None), Take(""), Wait(NO_ANSWER_SECONDS)),
    "recall": (Hear("caller", RINGBACK), Wait(RECALL_SECONDS), Recall()),
    "group": (Hear("caller", RINGBACK), Wait(None), RingGroup()),
    "kept": (Hear("desk", "target"), Hear("target", "desk"), Take(""), Wait(None)),
    "farewell": (Hear("desk", Play(("caller-hung-up",))), Take("all"), Wait(PROMPT_SECONDS)),
    "over": (Wait(None),),
}


def failure_prompt(status: int) -> str:
    """What the desk user hears when the target's leg failed with a SIP status (RFC 3261 section 21)."""
    if status in (486, 600, 603):
        return "busy-target"
    if status in (404, 410, 484, 604):
        return "invalid"
    return "no-answer" if status in (408, 480, 487) else "unreachable"


@dataclass
class Transfer:
    """The machine. `resolve` turns digits into a destination, or into the name of the prompt that refuses."""

    resolve: Callable[[str], object]
    on_hangup: Literal["complete", "recall"] = "complete"
    state: State = "talking"
    digits: str = ""
    steps: list[State] = field(default_factory=list)
    _tries: int = 0
    _desk_gone: bool = False  # while referred: it may hang up, and has done its part

    def _enter(self, state: State, *more: Action) -> list[Action]:
        if state != self.state:
            self._tries = 0
        self.state = state
        self.steps.append(state)
        return [*_PICTURE[state], *more]

    def start(self) -> list[Action]:
        """Caller and desk are connected."""
        self._desk_gone = False
        return self._enter("talking")

    def _menu(self, *why: str) -> list[Action]:
        return self._enter("menu", Hear("desk", Play((*why, "menu"))))

    def _completing(self) -> list[Action]:
        return self._enter("completing", Hear("desk", Play(("completing",))))

    def _again(self) -> list[Action]:
        """A wrong key or silence in one of the two menus."""
        self._tries += 1
        in_menu = self.state == "menu"
        if self._tries >= TRIES:
            return self._enter("talking" if in_menu else "consulting")
        return self._menu() if in_menu else self._completing()

    # the desk's own transfer key (REFER)

    def refer(self, destination: object) -> list[Action]:
        """The desk phone asks that the caller be connected to `destination`, without talking first."""
        return self._enter("referred", Dial(destination))

    def join(self) -> list[Action]:
        """The desk phone has talked to the target in another call, which is now here."""
        return self._enter("joined")

    def _back(self) -> list[Action]:
        """The target did not take it: the caller is with the desk again, which may have to be rung."""
        return self._enter("recall") if self._desk_gone else self.start()

    # the desk's keys

    def digit(self, key: str) -> list[Action]:
        """The desk pressed `key`."""
        if self.state == "talking":
            return self._menu() if key == "*" else []
        if self.state == "menu":
            choices = {"1": self._collect, "2": self.start}
            return choices.get(key, self._again)()
        if self.state == "collecting":
            return self._collecting(key)
        if self.state == "dialling":
            return [Release("target"), *self._menu()] if key == "*" else []
        if self.state == "consulting":
            return self._completing() if key == "*" else []
        if self.state == "completing":
            choices = {"1": lambda: self._enter("joined"), "2": self._cancel}
            return choices.get(key, self._again)()
        return []

    def _cancel(self) -> list[Action]:
        return [Release("target"), *self.start()]

    def _collect(self) -> list[Action]:
        self.digits = ""
        return self._enter("collecting")

    def _collecting(self, key: str) -> list[Action]:
        if key == "*":
            return self._collect()
        if key == "#":
            return self._resolve()
        self.digits = (self.digits + key)[:MAX_DIGITS]
        return [Hear("desk", SILENCE), Wait(DIGIT_SECONDS)]

    def _resolve(self) -> list[Action]:
        if not self.digits:
            return self._menu()
        destination = self.resolve(self.digits)
        if isinstance(destination, str):
            return self._menu(destination)
        return self._enter("dialling", Dial(destination))

    # time

    def played(self) -> list[Action]:
        """What the desk was played has ended."""
        if self.state in ("menu", "completing"):
            return [Wait(MENU_SECONDS)]
        return self._leave_farewell() if self.state == "farewell" else []

    def timeout(self) -> list[Action]:
        """The wait is over."""
        if self.state in ("menu", "completing"):
            return self._again()
        if self.state == "collecting":
            return self._resolve()
        if self.state == "dialling":
            return [Release("target"), *self._menu("no-answer")]
        if self.state == "referred":
            return [Release("target"), *self._back()]
        if self.state == "recall":
            return [Release("desk"), *self._enter("group")]
        return self._leave_farewell() if self.state == "farewell" else []

    def _leave_farewell(self) -> list[Action]:
        return [Release("desk"), *self._enter("over")]

    # the target

    def target_early(self) -> list[Action]:
        """The target's leg has early media."""
        if self.state == "referred":
            return [Hear("caller", "target")]
        return [Hear("desk", "target")] if self.state == "dialling" else []

    def target_answered(self) -> list[Action]:
        if self.state == "referred":
            return self._enter("joined")
        return self._enter("consulting") if self.state == "dialling" else []

    def target_failed(self, status: int) -> list[Action]:
        """The target's leg failed with a SIP status."""
        if self.state == "referred":
            return self._back()
        return self._menu(failure_prompt(status)) if self.state == "dialling" else []

    def target_ended(self) -> list[Action]:
        if self.state in ("consulting", "completing"):
            return self._menu()
        return self._leave_farewell() if self.state == "kept" else []

    # the caller

    def caller_ended(self) -> list[Action]:
        """The caller hung up: the desk keeps the target when they talk, else hears why nobody is there."""
        if self.state in ("consulting", "completing"):
            return self._enter("kept")
        if self.state in ("menu", "collecting"):
            return self._enter("farewell")
        if self.state == "dialling":
            return [Release("target"), *self._enter("farewell")]
        if self.state == "referred":
            return [Release("target"), Release("desk"), *self._enter("over")]
        return [Release("desk"), *self._enter("over")]

    # the desk

    def desk_ended(self) -> list[Action]:
        """The desk hung up: the caller is never lost."""
        if self.state in ("menu", "collecting"):
            return self._enter("recall")
        if self.state == "dialling":
            return [Release("target"), *self._enter("recall")]
        if self.state == "referred":
            self._desk_gone = True
            return []
        if self.state in ("consulting", "completing"):
            if self.on_hangup == "complete":
                return self._enter("joined")
            return [Release("target"), *self._enter("recall")]
        if self.state == "kept":
            return [Release("target"), *self._enter("over")]
        if self.state == "talking":
            return [Release("caller"), *self._enter("over")]
        return self._enter("over")

    def desk_answered(self) -> list[Action]:
        """The desk phone, or one of the group, took the caller back."""
        return self.start() if self.state in ("recall", "group") else []

    def desk_failed(self) -> list[Action]:
        """Nobody took the caller back."""
        if self.state == "recall":
            return self._enter("group")
        return [Release("caller"), *self._enter("over")] if self.state == "group" else []
