"""Limits against toll fraud: calls abroad a day, calls at once, calls an hour. Pure; emergencies never come here."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from provisioner.dialing.classify import Destination
from provisioner.store.records import Practice

HOUR = 3600.0

DAY_LIMIT = Destination(
    "refused",
    reason="the limit of calls to other countries is reached for today",
    prompt="day-limit",
    status=403,
)
TOO_MANY = Destination(
    "refused", reason="there are too many outside calls at once", prompt="too-many-calls", status=480
)
TOO_OFTEN = Destination(
    "refused",
    reason="this line has placed too many outside calls within an hour",
    prompt="too-many-calls",
    status=480,
)
NOT_NOW = Destination("refused", reason="outside calls are closed at this hour", prompt="not-now", status=403)


def local(now: float, practice: Practice) -> datetime:
    """The wall clock of the practice at `now` (seconds since 1970)."""
    try:
        zone = ZoneInfo(practice.time_zone)
    except (KeyError, OSError, ValueError):  # no such zone, or no zone's name at all
        zone = ZoneInfo("UTC")
    return datetime.fromtimestamp(now, zone)


def closed(at: datetime, hours: str) -> bool:
    """Whether `at` lies within `hours`, as `22:00-06:00`; never within what cannot be read, or ""."""
    begin, _, end = hours.partition("-")
    try:
        first, last = time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())
    except ValueError:
        return False
    now = at.time()
    return first <= now < last if first <= last else now >= first or now < last


class Limits:
    """What was placed, and what may still be. `busy(line)` says how many outside calls a line has now, None: all lines.

    `changed` is called when a count that must survive a restart has changed. A line is an extension; "" stands for
    calls that no line places (forwards of a number, dial-through).
    """

    def __init__(
        self,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        practice: Callable[[], Practice],
        busy: Callable[[str | None], int],
    ) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._clock = clock
        self._wall_clock = wall_clock
        self._practice = practice
        self._busy = busy
        self._date = ""
        self._abroad = 0
        self._refused: Counter[str] = Counter()
        self._placed: dict[str, deque[float]] = {}

    def refusal(self, destination: Destination, line: str) -> Destination | None:
        """Why an outside call may not be placed now; None when it may. Only outside calls and services are limited."""
        if destination.kind not in ("outbound", "service"):
            return None
        practice = self._practice()
        self._turn(practice)
        if closed(local(self._wall_clock(), practice), practice.outbound_closed):
            return NOT_NOW
        if destination.international and self._abroad >= practice.international_calls_per_day:
            return DAY_LIMIT
        if self._busy(None) >= practice.outbound_at_once:
            return TOO_MANY
        if line and self._busy(line) >= practice.outbound_per_line:
            return TOO_MANY
        if line and len(self._recent(line)) >= practice.outbound_per_hour:
            return TOO_OFTEN
        return None

    def placed(self, destination: Destination, line: str) -> None:
        """Count a call that goes out now."""
        self._turn(self._practice())
        if line:
            self._recent(line).append(self._clock())
        if destination.international:
            self._abroad += 1
            self.changed()

    def refused(self, refusal: Destination) -> None:
        """Count a refusal, for the page."""
        self._turn(self._practice())
        self._refused[refusal.reason] += 1

    def _recent(self, line: str) -> deque[float]:
        """When the line's calls of the last hour were placed."""
        times = self._placed.setdefault(line, deque())
        while times and times[0] <= self._clock() - HOUR:
            times.popleft()
        return times

    def _turn(self, practice: Practice) -> None:
        """A new day begins at midnight of the practice's own clock."""
        today = local(self._wall_clock(), practice).date().isoformat()
        if today != self._date:
            self._date, self._abroad = today, 0
            self._refused.clear()

    def view(self) -> dict[str, Any]:
        """`limits` of the edge's `status` (docs/internals.md)."""
        practice = self._practice()
        self._turn(practice)
        return {
            "date": self._date,
            "abroad": self._abroad,
            "abroad_allowed": practice.international_calls_per_day,
            "refused": dict(self._refused),
        }

    def remember(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {"date": self._date, "abroad": self._abroad}

    def recall(self, kept: object) -> None:
        """Take what `remember` gave; anything odd in it is left out."""
        if isinstance(kept, dict):
            date, abroad = kept.get("date"), kept.get("abroad")
            if isinstance(date, str) and isinstance(abroad, int):
                self._date, self._abroad = date, max(0, abroad)
