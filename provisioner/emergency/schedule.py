"""When which line calls 933 by itself: by night, each at its time, one at a time; sans-I/O (RFC 6881 ED-80, ED-81)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from provisioner.errors import UsageError

DAY = 86_400.0
JITTER = 0.2  # of the days between two tests
AGAIN_DAYS = 1.0  # after one that failed
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)\Z")


def hours(written: str) -> tuple[int, int]:
    """`22:00-05:30` as minutes of the day. Raises UsageError."""
    found = _HOURS.match(written)
    if not found:
        raise UsageError("Write the hours as 02:00-05:00")
    first, last = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
    if first == last:
        raise UsageError("The hours must begin and end at different times")
    return first, last


class Schedule:
    """`due`: since 1970, by extension; it is what has to be kept. `random` gives [0, 1)."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self.due: dict[str, float] = {}

    def next(self, lines: Iterable[str], now: float, zone: str, days: float, window: str) -> str:
        """The line whose test is due now, "" for none. Lines that are new get their time, gone ones lose it."""
        present = set(lines)
        self.due = {extension: at for extension, at in self.due.items() if extension in present}
        if days <= 0:
            self.due.clear()
            return ""
        latest = now + days * DAY * (1 + JITTER)
        for extension in sorted(present):
            if self.due.get(extension, latest + 1) > latest:  # it is new, or the days were more before
                self.due[extension] = now + days * DAY * self._random()
        if not within(now, zone, window):
            return ""
        ready = [(at, extension) for extension, at in self.due.items() if at <= now]
        return min(ready)[1] if ready else ""

    def tested(self, extension: str, passed: bool, now: float, days: float) -> None:
        """A test is over, by whomever it was made: the next one is after `days`, of a failed one tomorrow."""
        spread = 1 - JITTER + 2 * JITTER * self._random()
        self.due[extension] = now + DAY * (max(days, AGAIN_DAYS) * spread if passed else AGAIN_DAYS * 0.5)


def within(now: float, zone: str, window: str) -> bool:
    """Whether `now` is in these hours of the practice; never when they cannot be read."""
    try:
        first, last = hours(window)
        local = datetime.fromtimestamp(now, ZoneInfo(zone))
    except (UsageError, ZoneInfoNotFoundError, ValueError):
        return False
    length = timedelta(minutes=(last - first) % 1440)
    start = local.replace(hour=first // 60, minute=first % 60, second=0, microsecond=0)
    return any(begin <= local < begin + length for begin in (start, start - timedelta(days=1)))
