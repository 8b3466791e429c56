"""Ringing of several members at once: a pure machine, event in, actions out (docs/calls.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'  # RFC 3326: no missed call on the others


@dataclass(frozen=True)
class Stop:
    """Stop ringing `member`; `reason` is a Reason header value or empty."""

    member: str
    reason: str = ""


@dataclass(frozen=True)
class Won:
    """`member` has the call."""

    member: str


@dataclass(frozen=True)
class Nobody:
    """No member took it; `status` is the answer to give."""

    status: int


Action = Stop | Won | Nobody

_BUSY = frozenset({486, 600})


@dataclass
class Ringing:
    """Members that ring together; the first to answer wins."""

    members: Iterable[str]
    ringing: dict[str, int] = field(init=False)  # member → the status that it failed with, 0 while it rings
    done: bool = False

    def __post_init__(self) -> None:
        self.ringing = dict.fromkeys(self.members, 0)

    def answered(self, member: str) -> list[Action]:
        """`member` picked up; too late when another has it already."""
        if self.done:
            return [Stop(member, ELSEWHERE)]
        self.done = True
        others = [other for other, status in self.ringing.items() if not status and other != member]
        return [*(Stop(other, ELSEWHERE) for other in others), Won(member)]

    def failed(self, member: str, status: int) -> list[Action]:
        """`member` refused, or its leg failed."""
        if self.done:
            return []
        self.ringing[member] = status
        if not all(self.ringing.values()):
            return []
        self.done = True
        only = set(self.ringing.values())
        return [Nobody(486 if only and only <= _BUSY else 480)]

    def stop(self, reason: str = "") -> list[Action]:
        """The caller gave up, or time is over: nobody rings any more."""
        if self.done:
            return []
        self.done = True
        return [Stop(member, reason) for member, status in self.ringing.items() if not status]
