"""Time zones from the IANA database: what a clock shows, as one rule, and as each maker's words for it."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_YEARS = 6  # how far a rule is followed: second and last Sunday are told apart by then
_LAST = 5

Words = dict[str, str]


class Switch(NamedTuple):
    """When the clock is moved: `week` 1 to 4, or 5 for the last; `weekday` 0 is Sunday; seconds by the clock before."""

    month: int
    week: int
    weekday: int
    seconds: int


class Clock(NamedTuple):
    """A zone's rule. `offset`: seconds east of Greenwich without summer time; `saved`: what summer time adds.

    Without summer time `start` and `end` are None. `names`: the abbreviations without and with it.
    """

    offset: int
    saved: int = 0
    start: Switch | None = None
    end: Switch | None = None
    names: tuple[str, str] = ("", "")

    @property
    def rule(self) -> tuple[object, ...]:
        """What two zones with the same clock share."""
        return self[:4]


class _Move(NamedTuple):
    """One transition: the clock's date and seconds of the day before it, and what it adds."""

    day: date
    seconds: int
    added: int


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Whether the IANA database has a zone of this name."""
    return _zone(name) is not None


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=256)
def clock(name: str, today: date) -> Clock | None:
    """The rule by which the clocks of a zone go from `today` on; None for no zone, or when no one rule fits.

    A zone that gives up summer time keeps its rule until its last change.
    """
    zone = _zone(name)
    if zone is None:
        return None
    moves = _moves(zone, today)
    now = datetime(today.year, today.month, today.day, tzinfo=UTC)
    if not any(move.day >= today for move in moves):
        return Clock(_offset(zone, now), names=(_name(zone, now), ""))
    forth = [move for move in moves if move.added > 0]
    back = [move for move in moves if move.added < 0]
    start, end = _switch(forth, today), _switch(back, today)
    if not (start and end) or forth[0].added != -back[0].added:
        return None
    winter, summer = (_after(move) for move in (back[0], forth[0]))
    return Clock(
        _offset(zone, winter), forth[0].added, start, end, (_name(zone, winter), _name(zone, summer))
    )


def _offset(zone: ZoneInfo, at: datetime) -> int:
    return int((at.astimezone(zone).utcoffset() or timedelta()).total_seconds())


def _name(zone: ZoneInfo, at: datetime) -> str:
    return at.astimezone(zone).tzname() or ""


def _after(move: _Move) -> datetime:
    """A moment (UTC) at which what `move` set is in force."""
    return datetime(move.day.year, move.day.month, move.day.day, tzinfo=UTC) + timedelta(days=2)


def _moves(zone: ZoneInfo, today: date) -> list[_Move]:
    """The transitions from a year ago on."""
    at = datetime(today.year - 1, today.month, 1, tzinfo=UTC)
    found = []
    for _ in range(12 * (_YEARS + 1)):
        later = at + timedelta(days=31)
        if _offset(zone, at) != _offset(zone, later):
            found.append(_move(zone, at, later))
        at = later
    return found


def _move(zone: ZoneInfo, before: datetime, after: datetime) -> _Move:
    """The transition between two moments, to the second."""
    old = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    wall = after + timedelta(seconds=old)
    seconds = wall.hour * 3600 + wall.minute * 60 + wall.second
    return _Move(wall.date(), seconds, _offset(zone, after) - old)


def _switch(moves: list[_Move], today: date) -> Switch | None:
    """The rule that all these follow; what was before the last year does not matter."""
    rules = [_rules(move) for move in moves if move.day >= today - timedelta(days=366)]
    shared = set.intersection(*rules) if rules else set()
    # Where all fit both, the numbered week is as good as the last.
    return min(shared, default=None)


def _rules(move: _Move) -> set[Switch]:
    day = move.day
    weekday = day.isoweekday() % 7
    found = {Switch(day.month, (day.day - 1) // 7 + 1, weekday, move.seconds)}
    if day.day + 7 > calendar.monthrange(day.year, day.month)[1]:
        found.add(Switch(day.month, _LAST, weekday, move.seconds))
    return {switch for switch in found if switch.week <= _LAST}


def polycom(clock: Clock) -> Words | None:
    """`offset` in seconds, `summer` 0 or 1, and `start_…`, `stop_…`: Polycom's numbers, Sunday is 1.

    Of a numbered week `date` is the first day that it can fall on; for the last week of a month `last` is 1.
    """
    words = {"offset": str(clock.offset), "summer": "1" if clock.start else "0"}
    if not (clock.start and clock.end):
        return words
    if clock.saved != 3600:
        return None
    for name, switch in (("start", clock.start), ("stop", clock.end)):
        if switch.seconds % 3600:
            return None
        words |= {
            f"{name}_month": str(switch.month),
            f"{name}_date": str(7 * (switch.week - 1) + 1 if switch.week < _LAST else 1),
            f"{name}_day": str(switch.weekday + 1),
            f"{name}_last": str(int(switch.week == _LAST)),
            f"{name}_time": str(switch.seconds // 3600),
        }
    return words


def yealink(clock: Clock) -> Words | None:
    """`offset` as -3:30, `summer` 0 or 1, and `start`, `end` as month/week/weekday/hour, Sunday is 7.

    `saved` in minutes; "" of all three without summer time.
    """
    minutes = clock.offset // 60
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+" if minutes else ""
    words = {
        "offset": f"{sign}{hours}" + (f":{rest:02}" if rest else ""),
        "name": "",
        "summer": "0",
        "start": "",
        "end": "",
        "saved": "",
    }
    if clock.start and clock.end:
        if clock.start.seconds % 3600 or clock.end.seconds % 3600 or clock.saved % 60:
            return None
        words |= {
            "summer": "1",
            "start": _by_week(clock.start),
            "end": _by_week(clock.end),
            "saved": str(clock.saved // 60),
        }
    return words


def _by_week(switch: Switch) -> str:
    return f"{switch.month}/{switch.week}/{switch.weekday or 7}/{switch.seconds // 3600}"


def grandstream(clock: Clock) -> Words | None:
    """`zone` is `customize`, `own` the POSIX string for it; `minutes` and `summer` are old firmware's numbers."""
    return {
        "zone": "customize",
        "own": _posix(clock),
        "minutes": str(720 + clock.offset // 60),
        "summer": "1" if clock.start else "0",
    }


def _posix(clock: Clock) -> str:
    winter, summer = (
        name.upper() if name.isalpha() else other
        for name, other in zip(clock.names, ("TZT", "TZD"), strict=True)
    )
    text = winter + _west(clock.offset)
    if not (clock.start and clock.end):
        return text
    rules = ",".join(_posix_switch(switch) for switch in (clock.start, clock.end))
    return f"{text}{summer}{_west(clock.offset + clock.saved)},{rules}"


def _west(offset: int) -> str:
    """Hours west of Greenwich, as POSIX counts."""
    hours, rest = divmod(abs(offset) // 60, 60)
    return f"{'-' if offset > 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def _posix_switch(switch: Switch) -> str:
    hours, rest = divmod(switch.seconds, 3600)
    time = "" if (hours, rest) == (2, 0) else f"/{hours:02}:{rest // 60:02}:{rest % 60:02}"
    return f"M{switch.month}.{switch.week}.{switch.weekday}{time}"


# A maker's words for a clock; None when it has none for it.
WORDS: dict[str, Callable[[Clock], Words | None]] = {
    "polycom": polycom,
    "yealink": yealink,
    "grandstream": grandstream,
}


def words(maker: str, name: str, today: date, named: dict[str, Words]) -> Words | None:
    """A maker's words for an IANA zone; None when the clock is to be left alone.

    `named`: the maker's own names for some zones; they serve all zones with the same clock, and replace
    what is said otherwise.
    """
    rule = clock(name, today)
    spell = WORDS.get(maker)
    said = spell(rule) if rule and spell else None
    if rule is None or said is None:
        return None
    if name in named:
        return said | named[name]
    same = (own for zone, own in named.items() if (it := clock(zone, today)) and it.rule == rule.rule)
    return said | next(same, {})
