"""The schedule of tests: by night, spread, never two at once, kept over a restart; virtual time only."""

from __future__ import annotations

import random
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from provisioner.emergency.schedule import DAY, JITTER, Schedule, hours, within
from provisioner.errors import UsageError

ZONE, WINDOW = "America/Los_Angeles", "02:00-05:00"
NOW = 1_790_000_000.0
LINES = [str(number) for number in range(100, 140)]
STEP = 300.0


def play(
    schedule: Schedule, start: float, span: float, days: float = 10.0, fail: set[str] | None = None
) -> list:
    """(when, line) of all tests in virtual time."""
    done, now = [], start
    while now < start + span:
        extension = schedule.next(LINES, now, ZONE, days, WINDOW)
        if extension:
            done.append((now, extension))
            schedule.tested(extension, extension not in (fail or set()), now, days)
        now += STEP
    return done


def local(at: float) -> datetime:
    return datetime.fromtimestamp(at, ZoneInfo(ZONE))


def test_each_line_in_its_days_by_night_and_spread() -> None:
    done = play(Schedule(random.Random(1).random), NOW, 24 * DAY)
    assert {extension for _, extension in done} == set(LINES)
    assert all(2 <= local(at).hour < 5 for at, _ in done)
    assert len({at for at, _ in done}) == len(done)
    nights = {local(at).date() for at, _ in done}
    assert len(nights) > 15
    for line in LINES:
        times = [at for at, extension in done if extension == line]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(10 * DAY * (1 - JITTER) <= gap <= 10 * DAY * (1 + JITTER) + DAY for gap in gaps)
        assert times[0] <= NOW + 11 * DAY


def test_not_all_right_after_a_first_start() -> None:
    schedule = Schedule(random.Random(2).random)
    night = local(NOW).replace(hour=3).timestamp()
    schedule.next(LINES, night, ZONE, 10, WINDOW)
    assert sum(at <= night + STEP for at in schedule.due.values()) <= 1


def test_one_that_failed_is_tried_the_next_night() -> None:
    done = play(Schedule(random.Random(3).random), NOW, 20 * DAY, fail={"100"})
    times = [at for at, extension in done if extension == "100"]
    assert len(times) > 5
    assert all(later - earlier < 2 * DAY for earlier, later in pairwise(times))


def test_a_restart_changes_no_time_and_one_that_was_off_waits_for_the_night() -> None:
    first = Schedule(random.Random(4).random)
    first.next(LINES, NOW, ZONE, 10, WINDOW)
    second = Schedule(random.Random(99).random)
    second.due = dict(first.due)
    noon = local(NOW + 15 * DAY).replace(hour=12).timestamp()
    assert second.next(LINES, noon, ZONE, 10, WINDOW) == ""
    assert second.due == first.due
    night = local(noon + DAY).replace(hour=2, minute=1).timestamp()
    assert second.next(LINES, night, ZONE, 10, WINDOW) == min(first.due, key=lambda line: first.due[line])


def test_off_gone_lines_and_fewer_days() -> None:
    schedule = Schedule(random.Random(5).random)
    schedule.next(LINES, NOW, ZONE, 90, WINDOW)
    schedule.next(["100"], NOW, ZONE, 90, WINDOW)
    assert schedule.due.keys() == {"100"}
    schedule.due["100"] = NOW + 80 * DAY
    schedule.next(["100"], NOW, ZONE, 5, WINDOW)
    assert schedule.due["100"] <= NOW + 5 * DAY
    assert schedule.next(["100"], NOW, ZONE, 0, WINDOW) == ""
    assert schedule.due == {}


@pytest.mark.parametrize(
    ("clock", "window", "inside"),
    [
        ("02:00", WINDOW, True), ("01:59", WINDOW, False), ("05:00", WINDOW, False), ("23:30", "22:00-05:00", True),
        ("04:59", "22:00-05:00", True), ("12:00", "22:00-05:00", False), ("03:00", "junk", False),
    ],
)  # fmt: skip
def test_the_hours_of_the_practice(clock: str, window: str, inside: bool) -> None:
    hour, minute = map(int, clock.split(":"))
    assert within(local(NOW).replace(hour=hour, minute=minute, second=0).timestamp(), ZONE, window) is inside


@pytest.mark.parametrize("written", ["", "2-5", "02:00", "25:00-03:00", "02:00-02:00"])
def test_hours_that_are_none(written: str) -> None:
    with pytest.raises(UsageError):
        hours(written)
