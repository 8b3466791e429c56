"""Call screening: who picks up hears who calls, and has the call with key 1; a pure machine (docs/calls.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provisioner.dialing.transfer import PROMPT_SECONDS, Play
from provisioner.media import prompts

SILENCE_SECONDS = 10.0  # after the end of the prompt
WRONG_KEYS = 2


@dataclass(frozen=True)
class Ask:
    """Play this, and take all keys."""

    play: Play


@dataclass(frozen=True)
class Wait:
    """Call `timeout` in `seconds`; replaces the wait before it."""

    seconds: float


@dataclass(frozen=True)
class Decide:
    """The end of it: the call is wanted, or not."""

    accepted: bool


Action = Ask | Wait | Decide


@dataclass
class Screening:
    """The machine. `who`: the audio names that say who calls."""

    who: Sequence[str]
    over: bool = False
    _wrong: int = 0

    def start(self) -> list[Action]:
        """Somebody picked up."""
        return [Ask(Play(("call-from", *self.who, "press-1"))), Wait(PROMPT_SECONDS)]

    def digit(self, key: str) -> list[Action]:
        """A key of who picked up; it counts at once."""
        if self.over:
            return []
        if key == "1":
            return self._decide(True)
        self._wrong += 1
        return self._decide(False) if self._wrong >= WRONG_KEYS else self.start()

    def played(self) -> list[Action]:
        """All was said."""
        return [] if self.over else [Wait(SILENCE_SECONDS)]

    def timeout(self) -> list[Action]:
        """No key came."""
        return [] if self.over else self._decide(False)

    def _decide(self, accepted: bool) -> list[Action]:
        self.over = True
        return [Decide(accepted)]


def say(name: str) -> list[str] | None:
    """The audio names that speak `name`, its digits one by one; None where a word of it was never recorded."""
    words = name.lower().split()
    known = all(word.isdecimal() or f"say-{word}" in prompts.names() for word in words)
    return prompts.spell(name) if known and words else None
