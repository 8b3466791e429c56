"""Who is rung, in which order, and who has the call: a pure machine, event in, actions out (docs/calls.md).

A member has a *turn*, in which all legs that ring for it are its own. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'  # RFC 3326: no missed call on the others
_BUSY = frozenset({486, 600})
_TAKES_NO_CALL = _BUSY | {603}

Why = Literal["unconditional", "user-busy", "no-answer", "do-not-disturb", "follow-me"]  # RFC 5806 section 4


@dataclass(frozen=True)
class Diversion:
    """An extension or a number of the practice that sent the call on, and why."""

    by: str
    why: Why


@dataclass(frozen=True)
class Member:
    """Who is to be rung: an extension or an outside number.

    `seconds`: None for as long as all. `screened`: picking up is not enough. `busy`, `late`: who is rung in its place
    when it is busy, and when it does not answer or cannot be reached. `diverted`: who sent the call here, in order.
    """

    target: str = ""
    seconds: float | None = None
    screened: bool = False
    busy: tuple[Member, ...] = ()
    late: tuple[Member, ...] = ()
    diverted: tuple[Diversion, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Who is rung for a call; `group`: the ring group whose turn order moves on by it."""

    members: tuple[Member, ...]
    one_by_one: bool = False
    seconds: float | None = None
    group: str = ""

    @property
    def asks(self) -> bool:
        """Whether anybody in it may be asked, so that we have to speak."""
        return _asks(self.members)


@dataclass(frozen=True)
class Ring:
    """Ring `member`, and say by `rung` which legs that are."""

    turn: int
    member: Member


@dataclass(frozen=True)
class Wait:
    """Call `timeout` of the turn in `seconds`; None: not any more."""

    turn: int
    seconds: float | None


@dataclass(frozen=True)
class Stop:
    """End `leg`; `reason` is a Reason header value or empty. `late`: it has not answered in time."""

    leg: str
    reason: str = ""
    late: bool = False


@dataclass(frozen=True)
class Screen:
    """Ask who picked up on `leg` whether the call is wanted; `accepted`, `declined` or `failed` follow."""

    leg: str


@dataclass(frozen=True)
class Won:
    """`leg` has the call."""

    leg: str


@dataclass(frozen=True)
class Nobody:
    """No member took it; `status` is the answer to give."""

    status: int


def _asks(members: tuple[Member, ...]) -> bool:
    return any(each.screened or _asks(each.busy) or _asks(each.late) for each in members)


Action = Ring | Wait | Stop | Screen | Won | Nobody


@dataclass
class _Turn:
    member: Member
    legs: dict[str, int] = field(
        default_factory=dict
    )  # leg → the status that it failed with, 0 while it rings
    picked: str = ""  # the leg that is asked
    status: int = 0  # how the turn ended, 0 while it goes on

    @property
    def ringing(self) -> list[str]:
        return [leg for leg, status in self.legs.items() if not status]


class Ringing:
    """The machine. `done`: somebody has the call, or nobody will."""

    def __init__(self, plan: Plan) -> None:
        self.done = False
        self.timed_out = False
        self._one_by_one = plan.one_by_one
        self._pending = list(plan.members)
        self._turns: list[_Turn] = []
        self._expired = False

    @property
    def statuses(self) -> dict[str, int]:
        """How each leg failed, 0 for those that did not."""
        return {leg: status for turn in self._turns for leg, status in turn.legs.items()}

    @property
    def alone(self) -> bool:
        """Only one leg can ever have the call, by picking up."""
        members = [turn.member for turn in self._turns]
        follow = any(member.busy or member.late or member.screened for member in members)
        return len(self.statuses) == 1 and not follow and not self._pending

    def begin(self) -> list[Action]:
        """Ring all, or the first."""
        first = self._pending[:1] if self._one_by_one else self._pending
        self._pending = self._pending[len(first) :]
        return self._start(first) if first else self._verdict()

    def rung(self, turn: int, legs: Iterable[str], busy: bool = False) -> list[Action]:
        """These legs ring for a turn; without any it has failed, for nobody is there or since it is `busy`."""
        self._turns[turn].legs = dict.fromkeys(legs, 0)
        return [] if self._turns[turn].legs else self._over(self._turns[turn], 486 if busy else 480)

    def answered(self, leg: str) -> list[Action]:
        """Somebody picked up."""
        turn = self._turn(leg)
        if self.done or turn.legs[leg] or turn.picked:
            return [Stop(leg, ELSEWHERE)]
        if not turn.member.screened:
            return self.accepted(leg)
        turn.picked = leg
        others = self._end([other for other in turn.ringing if other != leg], 487, ELSEWHERE)
        return [Wait(self._turns.index(turn), None), *others, Screen(leg)]

    def accepted(self, leg: str) -> list[Action]:
        """Who picked up wants the call."""
        if self.done:
            return [Stop(leg, ELSEWHERE)]
        self.done = True
        return [*(Stop(other, ELSEWHERE) for other in self._ringing() if other != leg), Won(leg)]

    def declined(self, leg: str) -> list[Action]:
        """Who picked up does not want it."""
        return [Stop(leg), *self.failed(leg, 480)]

    def failed(self, leg: str, status: int) -> list[Action]:
        """A leg was refused, or ended before it had the call."""
        turn = self._turn(leg)
        if self.done or turn.status:
            return []
        turn.legs[leg] = status
        if turn.ringing:
            return []
        busy = all(known in _TAKES_NO_CALL for known in turn.legs.values() if known != 487)
        return self._over(turn, 486 if busy else status if status not in _TAKES_NO_CALL else 480)

    def timeout(self, turn: int) -> list[Action]:
        """The seconds of a turn are over."""
        late = self._turns[turn]
        if self.done or late.status or late.picked:
            return []
        self.timed_out = True
        return [*self._end(late.ringing, 408, late=True), *self._over(late, 408)]

    def expired(self) -> list[Action]:
        """The time for all is over: nobody else is rung; who is being asked may still say yes."""
        if self.done:
            return []
        self._expired = self.timed_out = True
        self._pending = []
        actions: list[Action] = []
        for turn in self._turns:
            if not turn.status and not turn.picked:
                actions += self._end(turn.ringing, 408, late=True)
                turn.status = 408
        return actions + self._verdict()

    def stop(self, reason: str = "") -> list[Action]:
        """The caller gave up: nobody rings any more."""
        if self.done:
            return []
        self.done = True
        return [Stop(leg, reason) for leg in self._ringing()]

    def _ringing(self) -> list[str]:
        return [leg for turn in self._turns for leg in turn.ringing]

    def _turn(self, leg: str) -> _Turn:
        return next(turn for turn in self._turns if leg in turn.legs)

    def _start(self, members: Iterable[Member]) -> list[Action]:
        actions: list[Action] = []
        for member in members:
            number = len(self._turns)
            self._turns.append(_Turn(member))
            if member.seconds is not None:
                actions.append(Wait(number, member.seconds))
            actions.append(Ring(number, member))
        return actions

    def _end(self, legs: list[str], status: int, reason: str = "", late: bool = False) -> list[Stop]:
        for leg in legs:
            self._turn(leg).legs[leg] = status
        return [Stop(leg, reason, late) for leg in legs]

    def _over(self, turn: _Turn, status: int) -> list[Action]:
        """A turn is over without success: who stands in for it, else who is next."""
        turn.status = status
        follow = turn.member.busy if status in _BUSY else turn.member.late
        if self._expired:
            follow = ()
        if not follow and self._one_by_one and all(each.status for each in self._turns):
            follow, self._pending = tuple(self._pending[:1]), self._pending[1:]
        return [Wait(self._turns.index(turn), None), *(self._start(follow) if follow else self._verdict())]

    def _verdict(self) -> list[Action]:
        if self._pending or not all(turn.status for turn in self._turns):
            return []
        self.done = True
        final = set(self.statuses.values())
        return [Nobody(486 if final and final <= _BUSY else 480)]
