"""Do-not-disturb and forwarding by codes such as *78 (docs/calls.md): a pure machine, and the call that obeys it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provisioner.dialing.classify import Destination
from provisioner.dialing.forwarding import forward_target
from provisioner.dialing.transfer import DIGIT_SECONDS, MAX_DIGITS, PROMPT_SECONDS, SILENCE, TRIES, Play
from provisioner.edge.leg import Kind, Leg
from provisioner.media import prompts
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge

Values = dict[str, str | bool]


@dataclass(frozen=True)
class Code:
    """One code: the field of LineFeatures that it sets, to what, what confirms it; a number follows if it `asks`."""

    field: str
    value: str | bool = ""
    said: str = "forward-on"
    asks: bool = False


CODES = {  # the feature codes of North American telephone companies
    "*78": Code("do_not_disturb", True, "dnd-on"),
    "*79": Code("do_not_disturb", False, "dnd-off"),
    "*72": Code("forward_always", asks=True),
    "*73": Code("forward_always", said="forward-off"),
    "*90": Code("forward_busy", asks=True),
    "*91": Code("forward_busy", said="forward-off"),
    "*92": Code("forward_no_answer", asks=True),
    "*93": Code("forward_no_answer", said="forward-off"),
}
_DIALLED = re.compile(r"(\*[0-9]{2})([0-9+]*)#?")


@dataclass(frozen=True)
class Say:
    """Play this, and call `played`."""

    play: Play


@dataclass(frozen=True)
class Wait:
    """Call `timeout` in `seconds`; replaces the wait before it."""

    seconds: float


@dataclass(frozen=True)
class Change:
    """What is to be set for the extension."""

    values: Values


@dataclass(frozen=True)
class Done:
    """Hang up."""


Action = Say | Wait | Change | Done


@dataclass
class Dialogue:
    """The machine: takes the number where there is none yet, changes, confirms. `resolve` judges a number."""

    code: Code
    resolve: Callable[[str], Destination]
    digits: str = ""
    outcome: str = ""
    _tries: int = 0
    _ending: bool = False

    def start(self) -> list[Action]:
        """The phone hears us."""
        if not self.code.asks:
            return self._change(self.code.value, ())
        return self._judge() if self.digits else self._ask()

    def digit(self, key: str) -> list[Action]:
        """A key of the phone."""
        if self._ending:
            return []
        if key == "#":
            return self._judge()
        if key == "*":
            return self._ask()
        self.digits = (self.digits + key)[:MAX_DIGITS]
        return [Say(SILENCE), Wait(DIGIT_SECONDS)]

    def played(self) -> list[Action]:
        """What was said has ended."""
        return [Done()] if self._ending else [Wait(DIGIT_SECONDS)]

    def timeout(self) -> list[Action]:
        """No key came, or no end of a prompt."""
        return [Done()] if self._ending else self._judge()

    def _ask(self, *why: str) -> list[Action]:
        self.digits = ""
        return [Say(Play((*why, "forward-to"))), Wait(PROMPT_SECONDS)]

    def _judge(self) -> list[Action]:
        found = self.resolve(self.digits)
        if found.kind != "refused":
            return self._change(found.number, prompts.spell(found.number.removeprefix("+1")))
        self._tries += 1
        if self._tries < TRIES:
            return self._ask(*([found.prompt or "invalid"] if self.digits else []))
        self._ending, self.outcome = True, "nothing was changed"
        return [Say(Play(("not-changed",))), Wait(PROMPT_SECONDS)]

    def _change(self, value: str | bool, said: Sequence[str]) -> list[Action]:
        self._ending, self.outcome = (
            True,
            f"{self.code.field.replace('_', ' ')} was {'set' if value else 'ended'}",
        )
        return [Change({self.code.field: value}), Say(Play((self.code.said, *said))), Wait(PROMPT_SECONDS)]


def asked(dialled: str) -> tuple[str, str] | None:
    """The code and the number that a phone dialled; None when it is no such code."""
    match = _DIALLED.fullmatch(dialled)
    return (match[1], match[2]) if match and match[1] in CODES else None


class FeatureCall:
    """A desk phone's call to a code."""

    may_transfer = False

    def __init__(self, edge: Edge, leg: Leg, station: Station, code: str, digits: str) -> None:
        self.edge = edge
        self.id = edge.new_id()
        self.over = False
        self.started = edge.wall_clock()
        self.answered: float | None = None
        self._leg = leg
        self._station = station
        self._code = code
        self._timer: Timer | None = None
        plan = edge.directory.plan(station)
        self._dialogue = Dialogue(CODES[code], lambda keyed: forward_target(keyed, plan), digits)
        leg.owner = self

    def begin(self) -> None:
        """Answer, and go on by the machine."""
        self.edge.calls[self.id] = self
        if not self._leg.accept():
            self._finish("no codec in common")
            return
        self.answered = self.edge.wall_clock()
        self._leg.take("all")
        self._carry_out(self._dialogue.start())

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None:
        """The phone hung up."""
        if kind in ("ended", "failed"):
            self._finish(self._dialogue.outcome or "nothing was changed")

    def on_digit(self, leg: Leg, digit: str) -> None:
        """A key of the phone."""
        self._carry_out(self._dialogue.digit(digit))

    def on_played(self, leg: Leg) -> None:
        """What the phone was played has ended."""
        self._carry_out(self._dialogue.played())

    def dialogs(self) -> tuple[Leg, ...]:
        """Nobody is talked to."""
        return ()

    def hangup(self, outcome: str) -> None:
        """The appliance stops."""
        self._finish(outcome)

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Say):
                self._leg.hear(action.play)
            elif isinstance(action, Wait):
                self._wait(action.seconds)
            elif isinstance(action, Change):
                self.edge.set_features(self._station.extension, action.values)
            else:
                self._finish(self._dialogue.outcome)

    def _wait(self, seconds: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        timers = self.edge.timers
        self._timer = (
            timers.after(seconds, lambda: self._carry_out(self._dialogue.timeout())) if seconds else None
        )

    def _finish(self, outcome: str) -> None:
        if self.over:
            return
        self.over = True
        self._wait(None)
        self._leg.hangup()
        self.edge.call_over(self, outcome)

    def view(self) -> dict[str, Any]:
        """CallView of docs/internals.md."""
        return {
            "id": self.id,
            "direction": "internal",
            "state": "talking",
            "from": self._station.extension,
            "to": self._code,
            "desk": self._station.extension,
            "target": "",
            "started": self.started,
            "answered": self.answered,
            "outcome": "",
            "steps": [],
        }
