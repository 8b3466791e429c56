"""How a phone dials: keys with the times at which they are pressed, into what is sent and when. No clock of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from provisioner.errors import PeerError
from provisioner.simulate import patterns
from provisioner.simulate.patterns import Rule

Why = Literal["match", "end key", "pause", "partial", "send key", "refused"]
Wait = Literal["at once", "pause", "send key", "refused"]
Impossible = Literal["send", "refuse", "collect"]
_WAITS: dict[Why, Wait] = {
    "match": "at once",
    "end key": "at once",
    "pause": "pause",
    "partial": "pause",
    "send key": "send key",
    "refused": "refused",
}


class Dialled(NamedTuple):
    """What becomes of keys: the number sent ("" when refused) and what the phone waited for before."""

    number: str
    wait: Wait


class Sent(NamedTuple):
    """The end of dialling: the number ("" when refused), when (seconds, the caller's clock), and why then."""

    number: str
    at: float
    why: Why


@dataclass(frozen=True)
class DialPlan:
    """A phone's map with what its maker does around it. Times in seconds.

    `eager`: a whole match without T leaves though a longer one is possible, else after a pause.
    `delay`: between a match and its sending. `pause`: what a T or a match that could grow waits for.
    `partial`: after so long what is no whole match leaves too; None: it needs the Send key.
    `impossible`: what happens at a key that no rule allows. `strict`: the Send key and a pause dial whole matches only.
    `end_key`: ends dialling, is not sent. `strip`: a last key that is not sent.
    """

    rules: tuple[Rule, ...] = ()
    eager: bool = True
    impossible: Impossible = "collect"
    end_key: str = ""
    strip: str = ""
    delay: float = 0.0
    pause: float = 3.0
    partial: float | None = None
    strict: bool = False

    def dial(self, keys: str) -> Dialled:
        """Press `keys` one right after the other off-hook; then wait, and press Send where that does nothing."""
        dialling = Dialling(self)
        for key in keys:
            if sent := dialling.press(key, 0.0):
                return Dialled(sent.number, _WAITS[sent.why])
        deadline = dialling.deadline
        sent = (dialling.tick(deadline) if deadline is not None else None) or dialling.send(0.0)
        return Dialled(sent.number, "pause" if sent.why == "match" else _WAITS[sent.why])


class Dialling:
    """One number being dialled. `deadline`: when `tick` is due, None: never."""

    def __init__(self, plan: DialPlan) -> None:
        self.plan = plan
        self.keys = ""
        self.deadline: float | None = None
        self._matched: Rule | None = None
        self._why: Why = "pause"
        self._collecting = False  # a key came that no rule allows

    def press(self, key: str, now: float) -> Sent | None:
        """A key goes down at `now`; what is sent, None: the phone goes on listening."""
        plan = self.plan
        if self.keys and key == plan.end_key:
            return self._send(now, "end key")
        self.keys += key
        state = [(rule, *rule.follow(self.keys)) for rule in plan.rules]
        whole = [rule for rule, complete, _ in state if complete]
        growing = any(grows for _, _, grows in state)
        if plan.rules and not whole and not growing:
            return self._impossible(now)
        self._matched = next((rule for rule in whole if rule.refuses), whole[0] if whole else None)
        at_once = [rule for rule in whole if not rule.waits and (plan.eager or not growing)]
        if at_once:
            self._matched = next((rule for rule in whole if rule.refuses), at_once[0])
            self._wait(now, plan.delay, "match")
            return self.tick(now)
        pauses = [plan.pause if rule.pause is None else rule.pause for rule in whole]
        self._wait(now, min(pauses) if pauses else plan.partial, "pause" if pauses else "partial")
        return None

    def tick(self, now: float) -> Sent | None:
        """Time has passed; what is sent now."""
        if self.deadline is None or now < self.deadline:
            return None
        return self._send(self.deadline, self._why)

    def send(self, now: float) -> Sent:
        """The Send key."""
        return self._send(now, "send key")

    def _wait(self, now: float, seconds: float | None, why: Why) -> None:
        self.deadline, self._why = None if seconds is None else now + seconds, why

    def _impossible(self, now: float) -> Sent | None:
        self._matched = None
        if self.plan.impossible == "refuse":
            return Sent("", now, "refused")
        if self.plan.impossible == "send":
            return self._send(now, "match")
        self._wait(now, self.plan.partial, "partial")
        return None

    def _send(self, now: float, why: Why) -> Sent:
        """Send what the keys make, unless the plan refuses it."""
        keys, rule = self.keys, self._matched
        self.deadline = None
        if (rule and rule.refuses) or (self.plan.strict and self.plan.rules and rule is None):
            return Sent("", now, "refused")
        number = rule.sends(keys) if rule else keys
        if self.plan.strip and len(number) > 1:
            number = number.removesuffix(self.plan.strip)
        return Sent(number, now, why)


class Limit(NamedTuple):
    """The longest map that a phone takes: in characters and in alternatives."""

    characters: int = 1 << 16
    alternatives: int = 1 << 10


NO_LIMIT = Limit()


def read(
    text: str, grammar: str, pauses: Sequence[float] = (), limit: Limit = NO_LIMIT
) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """The rules of a map, and what was wrong with the alternatives that are left out.

    `pauses`: seconds for the T of each alternative in its place, the last for all further ones. Raises PeerError when
    the map is over the `limit`.
    """
    rules: list[Rule] = []
    faults: list[str] = []
    parts = patterns.alternatives(text, grammar)
    if len(text) > limit.characters or len(parts) > limit.alternatives:
        raise PeerError(
            f"the digit map has {len(text)} characters in {len(parts)} alternatives; "
            f"this phone takes {limit.characters} in {limit.alternatives}"
        )
    for place, part in enumerate(parts):
        try:
            found = patterns.rule(part, grammar)
        except PeerError as error:
            faults.append(str(error))
            continue
        if pauses and found.waits and found.pause is None:
            found = found._replace(pause=pauses[min(place, len(pauses) - 1)])
        rules.append(found)
    return tuple(rules), tuple(faults)


def seconds(text: str | None) -> tuple[float, ...]:
    """`3|3|5` as a list of seconds; nothing of a list with anything else in it."""
    parts = [part.strip() for part in (text or "").split("|")]
    return tuple(float(part) for part in parts) if all(part.isdecimal() for part in parts) else ()
