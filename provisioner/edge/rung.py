"""Those who are being rung for a call: carries out what the machines of ringing and screening say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from provisioner.edge import ringing, screening
from provisioner.edge.emergency import engaged
from provisioner.edge.leg import Attempt, Kind, Leg
from provisioner.edge.ringing import Member, Plan, Ringing
from provisioner.edge.screening import Screening
from provisioner.sip.sdp import AudioOffer
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge
    from provisioner.edge.leg import Owner

Purpose = Literal["call", "target", "recall"]
Reach = Callable[[Member], list[Attempt]]


class Caller(Protocol):
    """The call that somebody is rung for. `urgent`: it rings phones that are in an emergency call, too."""

    @property
    def urgent(self) -> bool: ...

    def won(self, ring: Rung, leg: Leg, member: Member) -> None: ...

    def nobody(self, ring: Rung, status: int) -> None: ...

    def rings(self, ring: Rung, leg: Leg, kind: Kind) -> None: ...

    def announced(self) -> Sequence[str]: ...


class Rung:
    """One round of ringing, for one purpose. `reach`: how a member is reached; `offer`: what each leg is offered."""

    def __init__(
        self, edge: Edge, call: Caller, owner: Owner, purpose: Purpose, plan: Plan, reach: Reach,
        offers: Sequence[AudioOffer],
    ) -> None:  # fmt: skip
        self.purpose = purpose
        self.machine = Ringing(plan)
        self.legs: dict[str, Leg] = {}
        self.no_media = False  # somebody could not be rung for want of a media port
        self._edge = edge
        self._call = call
        self._owner = owner
        self.plan = plan
        self._reach = reach
        self._offers = offers
        self._members: dict[str, Member] = {}
        self._asked: dict[str, Screening] = {}
        self._timers: dict[int | str, Timer] = {}
        self._first = True

    def begin(self) -> None:
        """Ring the first, or all."""
        if self.plan.seconds is not None:
            self._timers["all"] = self._edge.timers.after(
                self.plan.seconds, lambda: self._carry_out(self.machine.expired())
            )
        self._carry_out(self.machine.begin())

    @property
    def unreachable(self) -> bool:
        """All failed without a word from the far end, or because it can take no calls at all."""
        statuses = self.machine.statuses
        return all(
            statuses[name] == 503 or (statuses[name] == 408 and not leg.heard)
            for name, leg in self.legs.items()
        )

    @property
    def answered(self) -> list[Leg]:
        """The legs of those who have picked up and are asked."""
        return [self.legs[name] for name in self._asked]

    def name_of(self, leg: Leg) -> str:
        """The machine's name of a leg, "" for one that is not rung here."""
        return next((name for name, other in self.legs.items() if other is leg), "")

    # news

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None:
        """A leg says what became of it."""
        name = self.name_of(leg)
        if kind == "answered":
            self._carry_out(self.machine.answered(name))
        elif kind in ("failed", "ended"):
            status = detail if isinstance(detail, int) else 480
            if status == 408:
                self._edge.contact_failed(leg)
            self._asked.pop(name, None)
            self._cancel(name)
            self._carry_out(self.machine.failed(name, status))
        elif name not in self._asked:
            self._call.rings(self, leg, kind)

    def on_digit(self, leg: Leg, digit: str) -> None:
        """A key of who picked up."""
        name = self.name_of(leg)
        if name in self._asked:
            self._screen(name, self._asked[name].digit(digit))

    def on_played(self, leg: Leg) -> None:
        """What was said to who picked up has ended."""
        name = self.name_of(leg)
        if name in self._asked:
            self._screen(name, self._asked[name].played())

    def take_over(self, old: Leg, new: Leg) -> None:
        """`new`, which is answered, picks up in the place of `old`."""
        name = self.name_of(old)
        self.legs[name] = new
        self._carry_out(self.machine.accepted(name))

    def stop(self, reason: str = "") -> None:
        """Nobody is rung any more."""
        actions = self.machine.stop(reason)
        self._end()
        self._carry_out(actions)

    # what the machines say

    def _carry_out(self, actions: Sequence[ringing.Action]) -> None:
        for action in actions:
            if isinstance(action, ringing.Ring):
                self._ring(action.turn, action.member)
            elif isinstance(action, ringing.Wait):
                self._wait(action.turn, action.seconds)
            elif isinstance(action, ringing.Stop):
                self._stop(action)
            elif isinstance(action, ringing.Screen):
                asked = self._asked[action.leg] = Screening(self._call.announced())
                self._screen(action.leg, asked.start())
            elif isinstance(action, ringing.Won):
                self._end()
                self._call.won(self, self.legs[action.leg], self._members[action.leg])
            else:
                self._end()
                self._call.nobody(self, action.status)

    def _ring(self, turn: int, member: Member) -> None:
        if self.machine.done:
            return
        names = []
        busy = not self._call.urgent and engaged(self._edge, member.target)
        for attempt in () if busy else self._reach(member):
            media = self._edge.take_media()
            if media is None:
                self.no_media = True
                continue
            name = str(len(self.legs))
            names.append(name)
            self._members[name] = member
            self.legs[name] = Leg.dial(self._edge, self._owner, attempt, media, self._offers)
        if names and self._first:
            self._first = False
            self._edge.rang_first(self.plan.group, member.target)
        self._carry_out(self.machine.rung(turn, names, busy))

    def _stop(self, stop: ringing.Stop) -> None:
        leg = self.legs[stop.leg]
        self._asked.pop(stop.leg, None)
        self._cancel(stop.leg)
        if stop.late:
            self._edge.contact_failed(leg)
        leg.hangup(reason=stop.reason)

    def _screen(self, name: str, actions: Sequence[screening.Action]) -> None:
        leg = self.legs[name]
        for action in actions:
            if isinstance(action, screening.Ask):
                leg.take("all")
                leg.hear(action.play)
            elif isinstance(action, screening.Wait):
                self._wait(name, action.seconds)
            else:
                del self._asked[name]
                self._cancel(name)
                machine = self.machine
                self._carry_out(machine.accepted(name) if action.accepted else machine.declined(name))

    def _wait(self, key: int | str, seconds: float | None) -> None:
        self._cancel(key)
        if seconds is not None and not self.machine.done:
            self._timers[key] = self._edge.timers.after(seconds, lambda: self._timeout(key))

    def _timeout(self, key: int | str) -> None:
        if isinstance(key, int):
            self._carry_out(self.machine.timeout(key))
        elif key in self._asked:
            self._screen(key, self._asked[key].timeout())

    def _cancel(self, key: int | str) -> None:
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()

    def _end(self) -> None:
        for key in list(self._timers):
            self._cancel(key)
