"""Each maker's words for a zone give, evaluated hour by hour, the clock that the IANA database has."""

from __future__ import annotations

import calendar
import re
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

from provisioner.phones.catalogue import Catalogue
from provisioner.phones.clock import Clock, Switch, clock

TODAY = date(2026, 11, 22)
HOURS = [datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour) for hour in range(2 * 365 * 24)]
COUNTRIES = {"US", "CA", "PR", "GU", "VI", "AS", "MP"}
US = "M3.2.0,M11.1.0"
CATALOGUE = Catalogue()


def _zones() -> list[str]:
    found = set()
    for folder in map(Path, zoneinfo.TZPATH):
        for table in (folder / "zone.tab", folder / "zone1970.tab"):
            for line in table.read_text().splitlines() if table.is_file() else ():
                countries, *rest = line.split("\t")
                if not line.startswith("#") and COUNTRIES & set(countries.split(",")):
                    found.add(rest[1])
    return sorted(found)


ZONES = _zones()


class Told(NamedTuple):
    """What a phone makes of its settings: offsets in seconds, and when it changes, in seconds of the local clock."""

    offset: int
    saved: int = 0
    start: tuple[int, int, int, int] = (0, 0, 0, 0)  # month, week (5: last), weekday (Sunday 0), seconds
    end: tuple[int, int, int, int] = (0, 0, 0, 0)

    def hours(self) -> list[int]:
        return _hours(self)


@lru_cache
def _hours(told: Told) -> list[int]:
    moves = []
    for year in range(2025, 2030) if told.saved else ():
        begin, stop = _moment(year, told.start), _moment(year, told.end)
        moves.append((begin - timedelta(seconds=told.offset), told.offset + told.saved))
        moves.append((stop - timedelta(seconds=told.offset + told.saved), told.offset))
    moves.sort()
    offsets, at, now = [], 0, told.offset
    for hour in HOURS:
        while at < len(moves) and moves[at][0] <= hour:
            now = moves[at][1]
            at += 1
        offsets.append(now)
    return offsets


def _moment(year: int, rule: tuple[int, int, int, int]) -> datetime:
    month, week, weekday, seconds = rule
    days = [
        day
        for day in range(1, calendar.monthrange(year, month)[1] + 1)
        if date(year, month, day).isoweekday() % 7 == weekday
    ]
    day = days[-1] if week == 5 else days[week - 1]
    return datetime(year, month, day, tzinfo=UTC) + timedelta(seconds=seconds)


def of_polycom(words: dict[str, str]) -> Told:
    if words["summer"] == "0":
        return Told(int(words["offset"]))
    rules = []
    for name in ("start", "stop"):
        week = 5 if words[f"{name}_last"] == "1" else (int(words[f"{name}_date"]) + 6) // 7
        weekday = int(words[f"{name}_day"]) - 1
        rules.append((int(words[f"{name}_month"]), week, weekday, 3600 * int(words[f"{name}_time"])))
    return Told(int(words["offset"]), 3600, *rules)


def of_yealink(words: dict[str, str]) -> Told:
    sign, hours, minutes = re.fullmatch(r"([+-]?)(\d+)(?::(\d\d))?", words["offset"]).groups()  # type: ignore[union-attr]
    offset = (int(hours) * 60 + int(minutes or 0)) * (-60 if sign == "-" else 60)
    if words["summer"] == "0":
        return Told(offset)
    rules = []
    for text in (words["start"], words["end"]):
        month, week, weekday, hour = map(int, text.split("/"))
        rules.append((month, week, weekday % 7, hour * 3600))
    return Told(offset, 60 * int(words["saved"]), *rules)


def of_grandstream(words: dict[str, str]) -> Told:
    """The self-defined zone, or the phone's own one: a POSIX string, with the US rule where it has none."""
    text = words["own"] if words["zone"] == "customize" else words["zone"]
    found = re.fullmatch(
        r"[A-Z]+([+-]?[\d:]+)(?:[A-Z]+([+-]?[\d:]+)?(?:,(.+))?)?", text.replace("HAW", "HST")
    )
    assert found, text
    offset = -_seconds(found[1])
    if not re.search(r"\d[A-Z]", text):
        return Told(offset)
    summer = -_seconds(found[2]) if found[2] else offset + 3600
    return Told(offset, summer - offset, *(_posix(part) for part in (found[3] or US).split(",")))


def _seconds(text: str) -> int:
    hours, _, rest = text.lstrip("+-").partition(":")
    return (int(hours) * 3600 + int(rest or 0) * 60) * (-1 if text.startswith("-") else 1)


def _posix(text: str) -> tuple[int, int, int, int]:
    rule, _, time = text.partition("/")
    month, week, weekday = map(int, rule[1:].split("."))
    hours, minutes, seconds = map(int, (time or "2:0:0").split(":"))
    return month, week, weekday, hours * 3600 + minutes * 60 + seconds


READ = {"polycom": of_polycom, "yealink": of_yealink, "grandstream": of_grandstream}


@lru_cache(maxsize=1)
def truth(zone: str) -> list[int]:
    of = zoneinfo.ZoneInfo(zone)
    return [int(hour.astimezone(of).utcoffset().total_seconds()) for hour in HOURS]  # type: ignore[union-attr]


def test_the_database_has_the_zones() -> None:
    assert {"America/Los_Angeles", "America/St_Johns", "America/Regina", "Pacific/Guam"} <= set(ZONES)
    assert len(ZONES) >= 55


@pytest.mark.parametrize("zone", [*ZONES, "Asia/Kolkata", "Europe/London", "Australia/Sydney"])
def test_every_hour_of_two_years(zone: str) -> None:
    for vendor, read in READ.items():
        words = CATALOGUE.time_zone(vendor, zone, TODAY)
        assert words, (vendor, zone)
        assert read(words).hours() == truth(zone), (vendor, words)


def test_old_grandstream_numbers() -> None:
    words = CATALOGUE.time_zone("grandstream", "America/St_Johns", TODAY)
    assert words
    assert (words["minutes"], words["summer"]) == ("510", "1")


@pytest.mark.parametrize(
    ("vendor", "zone", "name"),
    [
        ("yealink", "America/Detroit", "United States-Eastern Time"),
        ("yealink", "Pacific/Honolulu", "United States-Hawaii-Aleutian"),
        ("yealink", "America/Adak", ""),
        ("yealink", "America/Regina", ""),
        ("yealink", "America/Whitehorse", "United States-MST no DST"),
    ],
)
def test_names_serve_all_zones_with_the_same_clock(vendor: str, zone: str, name: str) -> None:
    assert (CATALOGUE.time_zone(vendor, zone, TODAY) or {})["name"] == name


def test_week_of_the_month() -> None:
    assert clock("America/New_York", TODAY) == Clock(
        -18000, 3600, Switch(3, 2, 0, 7200), Switch(11, 1, 0, 7200), ("EST", "EDT")
    )
    london = clock("Europe/London", TODAY)
    assert london
    assert (london.start, london.end) == (Switch(3, 5, 0, 3600), Switch(10, 5, 0, 7200))


def test_a_rule_ends_with_its_last_change() -> None:
    # The Yukon gave summer time up on 1 November 2020, after a last change in March.
    before = clock("America/Whitehorse", date(2020, 2, 1))
    after = clock("America/Whitehorse", date(2020, 12, 1))
    assert before
    assert before.start
    assert after == Clock(-25200, names=("MST", ""))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "Africa/Casablanca"])
def test_no_zone_and_no_rule(zone: str) -> None:
    assert clock(zone, TODAY) is None
    assert CATALOGUE.time_zone("polycom", zone, TODAY) is None


def test_what_a_maker_cannot_say() -> None:
    assert CATALOGUE.time_zone("polycom", "Australia/Lord_Howe", TODAY) is None  # half an hour is saved
    assert CATALOGUE.time_zone("yealink", "Pacific/Chatham", TODAY) is None  # at a quarter to three
    words = CATALOGUE.time_zone("grandstream", "Pacific/Chatham", TODAY)
    assert words
    assert of_grandstream(words).hours() == truth("Pacific/Chatham")
