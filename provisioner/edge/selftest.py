"""Calls to 933 that the edge makes in the name of a line: by hand, and at night by a schedule (docs/emergency.md).

The very code of a call to 911 from that line: its number, its location, the same routes. Only nobody holds a handset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from provisioner.edge.emergency import EmergencyCall
from provisioner.edge.leg import Leg
from provisioner.edge.offers import PLAIN
from provisioner.emergency.schedule import Schedule
from provisioner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.edge.edge import Edge
    from provisioner.sip.sdp import AudioOffer

LISTEN_SECONDS = 30.0  # to the address that is read back; then we hang up
SPACING_SECONDS = 60.0  # from the end of a test to the next


class Listener:
    """The caller of a test: takes the answer, and hangs up when it has heard enough."""

    extension = ""
    over = False

    def __init__(self, edge: Edge, done: Callable[[], None]) -> None:
        self._edge = edge
        self._done = done

    def offers(self, spoken: bool) -> Sequence[AudioOffer]:
        """What every core takes."""
        return (PLAIN,)

    def progress(self, status: int = 180) -> None:
        """Nobody waits."""

    def early(self, other: Leg | None = None) -> bool:
        """Nobody hears it."""
        return True

    def accept(self, other: Leg | None = None) -> bool:
        """It is answered: listen for a while."""
        self._edge.timers.after(LISTEN_SECONDS, self._done)
        return True

    def hear(self, source: Leg) -> None:
        """Nobody hears it."""

    def hangup(self, status: int = 480) -> None:
        """Nobody is left to be told."""
        self.over = True


class SelfTests:
    """Never two at once, and not one right after the other. `changed` is called when there is news to keep."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._free_at = 0.0
        self._running: EmergencyCall | None = None
        self.schedule = Schedule(lambda: edge.rng.randrange(1_000_000) / 1_000_000)
        self.changed: Callable[[], None] = lambda: None

    def start(self, extension: str, origin: str) -> str:
        """Begin a test; the call's id. Raises UsageError when there is no such line, or it is not the time."""
        edge, now = self._edge, self._edge.wall_clock()
        station = edge.directory.stations.get(extension)
        if station is None:
            raise UsageError(f"No phone has extension {extension}")
        if self._running:
            raise UsageError("A test call is on already: wait until it is over")
        if any(isinstance(call, EmergencyCall) for call in edge.calls.values()):
            raise UsageError("An emergency call is on: no test now")
        if now < self._free_at:
            raise UsageError(f"The last test was a moment ago: wait {self._free_at - now:.0f} s")

        def done() -> None:
            if not call.over:
                call.hangup("read back")

        call = EmergencyCall(edge, Listener(edge, done), "933", "emergency-test", station, origin)
        self._running = call
        call.begin()
        return call.id

    def close(self) -> None:
        """The appliance stops: no test holds that up, as an emergency call would."""
        if self._running:
            self._running.hangup("the appliance stopped")

    def ended(self, call: EmergencyCall) -> None:
        """A call to 933 is over, whoever made it."""
        now = self._edge.wall_clock()
        if call is self._running:
            self._running = None
            self._free_at = now + SPACING_SECONDS
        if call.station:
            days = self._edge.directory.snapshot.notifying.test_days
            self.schedule.tested(call.station.extension, call.answered is not None, now, days)
            self.changed()

    def tick(self) -> None:
        """Begin the test that is due, when one may be made now."""
        settings, practice = self._edge.directory.snapshot.notifying, self._edge.directory.snapshot.practice
        now = self._edge.wall_clock()
        before = dict(self.schedule.due)
        lines = self._edge.directory.stations.keys()
        extension = self.schedule.next(
            lines, now, practice.time_zone, settings.test_days, settings.test_hours
        )
        if self.schedule.due != before:
            self.changed()
        quiet = now >= self._free_at and not self._running and not self._edge.closing
        if extension and quiet and not self._edge.calls:
            self.start(extension, "schedule")

    def recall(self, kept: object) -> None:
        """Take what was kept; anything else is left."""
        try:
            self.schedule.due = msgspec.convert(kept, dict[str, float])
        except msgspec.ValidationError:
            self.schedule.due = {}
