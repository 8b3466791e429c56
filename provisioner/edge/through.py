"""Dial-through: a temporary number connects the one phone that it is bound to with its target (docs/calls.md).

To any other phone it is a number that nobody has: what is said then is said by the code for those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.edge import outbound
from provisioner.edge.announce import UNREACHABLE, Announcement
from provisioner.edge.call import Call
from provisioner.edge.placing import OUTBOUND_SECONDS
from provisioner.store.records import DialThrough

if TYPE_CHECKING:
    from provisioner.edge.callers import Caller
    from provisioner.edge.edge import Edge
    from provisioner.edge.leg import Leg


class Bindings:
    """Which dial-through numbers are good now; `edge.spent` is told of one that was good once only."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._spent: set[str] = set()

    def find(self, called: str, who: Caller) -> DialThrough | None:
        """What this phone reaches by that number; None for any other phone, and when it has expired."""
        records = self._edge.directory.snapshot.dial_throughs.values()
        now = self._edge.wall_clock()
        good = [
            each
            for each in records
            if each.number == called
            and each.phone == who.number
            and now < each.expires
            and each.id not in self._spent
        ]
        return good[0] if good else None

    def connect(self, leg: Leg, binding: DialThrough, trail: str) -> None:
        """Connect the phone with its target, which sees a number of the practice.

        One that is good once is not spent by a call that cannot be placed.
        """
        edge = self._edge
        found = outbound.destination(edge, binding.target, "software", None)
        refused = found.kind == "refused"
        attempts = [] if refused else outbound.attempts(edge, binding.target, None, binding.calling)
        if not attempts:
            refusal = found if refused else UNREACHABLE
            Announcement(edge, leg, refusal, binding.phone, binding.target).begin()
            return
        if binding.once:
            self._spent.add(binding.id)
            edge.spent(binding.id)
        call = Call(edge, "outbound", binding.phone, binding.target)
        call.trail = trail
        leg.owner = call
        call.begin(leg, attempts, OUTBOUND_SECONDS)
