"""Pictures of what many calls, requests and tests have in common; from counters, never from the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from flask import Blueprint, Response
from markupsafe import Markup

from provisioner.emergency.matrix import ORDER, Cell
from provisioner.ipc import Json
from provisioner.store.call_tables import POOR, SLOT
from provisioner.web import (
    api,
    call_words,
    charts,
    contract,
    emergency,
    language,
    paging,
    staff,
    views,
    words,
)
from provisioner.web.charts import Mark, Series
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources
from provisioner.web.shapes import Shape

HOUR, DAY = 3600.0, 86400.0
WEEKS = 4  # of the picture by weekday and hour
QUALITY_DAYS = 7
WORST = 12  # lines that are named
MINUTES = 120  # of the picture of requests
MONTHS = 6  # columns of it
WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
STANDING = {
    "passed": (N_("proven"), "good"),
    "overdue": (N_("due again"), "warn"),
    "stale": (N_("out of date"), "warn"),
    "failed": (N_("failed"), "bad"),
    "never": (N_("never tested"), "none"),
}

pages = Blueprint("trends", __name__, url_prefix="/staff")
calls = Blueprint("trends_api", __name__, url_prefix="/api/v1")
pages.before_request(staff.guard)
calls.before_request(api.guard)


def hours(slots: Sequence[Json], now: float, zone: tzinfo) -> Markup:
    """Calls of the last 24 hours: answered, missed, and not answered by others."""
    first = int(now // HOUR) - 23
    names = ("answered", "missed", "emergency", "calls")
    counts = {name: [0.0] * 24 for name in names}
    for row in slots:
        at = int(row["slot"]) * SLOT // int(HOUR) - first
        if 0 <= at < 24:
            for name in names:
                counts[name][at] += row[name]
    rest = [
        total - answered - missed
        for total, answered, missed in zip(counts["calls"], counts["answered"], counts["missed"], strict=True)
    ]
    series = [
        Series(_("answered"), "main", counts["answered"]),
        Series(_("missed"), "bad", counts["missed"]),
        Series(_("not answered by others, or refused"), "warn", rest),
    ]
    labels = [f"{datetime.fromtimestamp((first + at) * HOUR, zone):%H}" for at in range(24)]
    title = _(
        "Calls per hour, last 24 hours: {count} calls, {missed} missed, {alarms} to emergency numbers"
    ).format(
        count=int(sum(counts["calls"])),
        missed=int(sum(counts["missed"])),
        alarms=int(sum(counts["emergency"])),
    )
    return charts.bars("hours", title, _("Hour"), labels, series)


def week(slots: Sequence[Json], zone: tzinfo) -> Markup:
    """How busy each hour of the week is, as a mean of the last weeks."""
    counts = [[0.0] * 24 for _day in range(7)]
    for row in slots:
        moment = datetime.fromtimestamp(int(row["slot"]) * SLOT, zone)
        counts[moment.weekday()][moment.hour] += row["calls"] / WEEKS
    most = max(max(day) for day in counts)
    rows = [
        (
            _(WEEKDAYS[day]),
            [charts.Cell(charts.heat(value, most), charts.figure(round(value, 1))) for value in values],
        )
        for day, values in enumerate(counts)
    ]
    title = _(
        "Calls by weekday and hour, mean of the last {weeks} weeks; the busiest hour has {most}"
    ).format(weeks=WEEKS, most=charts.figure(round(most, 1)))
    legend = [(_("none"), "heat-0"), (_("few"), "heat-1"), (_("many"), "heat-4")]
    return charts.matrix("week", title, _("Weekday"), [f"{hour:02}" for hour in range(24)], rows, legend)


def sound(slots: Sequence[Json], now: float, zone: tzinfo) -> Markup:
    """How calls of the last 24 hours sounded, each half hour."""
    first = int(now // SLOT) - 47
    heard, mos = [0.0] * 48, [0.0] * 48
    for row in slots:
        at = int(row["slot"]) - first
        if 0 <= at < 48:
            heard[at] += row["heard"]
            mos[at] += row["mos"]
    means = [round(total / count, 2) if count else None for total, count in zip(mos, heard, strict=True)]
    labels = [f"{datetime.fromtimestamp((first + at) * SLOT, zone):%H:%M}" for at in range(48)]
    marks = [Mark(call_words.GOOD, _("good")), Mark(POOR, _("fair")), Mark(call_words.BAD, _("poor"))]
    known = [mean for mean in means if mean is not None]
    title = _(
        "Sound of calls (mean opinion score), last 24 hours: lowest half hour {low}, highest {high}"
    ).format(low=charts.figure(min(known, default=None)), high=charts.figure(max(known, default=None)))
    return charts.lines(
        "sound", title, _("Half hour from"), labels, [Series(_("mean opinion score"), "main", means)],
        2.5, 4.5, marks, every=8,
    )  # fmt: skip


def lines_by_sound(rows: Sequence[Json]) -> Markup:
    """How many lines sound how."""
    steps = [(4.3, "4.3-4.5"), (4.0, "4.0-4.3"), (3.6, "3.6-4.0"), (3.1, "3.1-3.6"), (0.0, "< 3.1")]
    levels = ("good", "good", "warn", "bad", "bad")
    counts = [0] * len(steps)
    for row in rows:
        counts[next(at for at, (low, _words) in enumerate(steps) if row["mos"] >= low)] += 1
    series = [
        Series(words, level, [count if at == here else 0 for here in range(len(steps))])
        for at, ((_low, words), level, count) in enumerate(zip(steps, levels, counts, strict=True))
    ]
    title = _("Lines by the mean sound of their calls, last {days} days").format(days=QUALITY_DAYS)
    labels = [label for _low, label in steps]
    merged = [Series(_("lines"), "main", counts)] if not any(counts) else series
    return charts.bars("lines", title, _("Mean opinion score"), labels, merged, every=1, legend=False)


def storm(rows: Sequence[Json], now: float, zone: tzinfo) -> Markup:
    """What phones asked for, minute by minute."""
    first = int(now // 60) - MINUTES + 1
    counts = {name: [0.0] * MINUTES for name in ("requests", "refused", "failed")}
    for row in rows:
        at = int(row["minute"]) - first
        if 0 <= at < MINUTES:
            for name, values in counts.items():
                values[at] = row[name]
    sent = [a - b - c for a, b, c in zip(*counts.values(), strict=True)]
    labels = [f"{datetime.fromtimestamp((first + at) * 60, zone):%H:%M}" for at in range(MINUTES)]
    series = [
        Series(_("answered"), "main", sent),
        Series(_("refused"), "warn", counts["refused"]),
        Series(_("failed"), "bad", counts["failed"]),
    ]
    title = _("Requests of phones per minute, last two hours: {most} at most, {failed} failed").format(
        most=int(max(counts["requests"])), failed=int(sum(counts["failed"]))
    )
    return charts.bars("storm", title, _("Minute"), labels, series, every=20)


def tests(cells: Sequence[Cell], now: float, zone: tzinfo) -> Markup:
    """Lines and months, and how the calls to 933 went; the last of a month counts."""
    months = _months(now, zone)
    rows = []
    for cell in cells:
        drawn = [charts.Cell("", "")] * MONTHS
        for result in reversed(cell.results):
            day = datetime.fromtimestamp(result.at, zone).date().isoformat()
            if day[:7] in months:
                told = _("passed, {day}") if result.passed else _("failed, {day}")
                level = "good" if result.passed else "bad"
                drawn[months.index(day[:7])] = charts.Cell(level, told.format(day=day))
        rows.append((f"{cell.extension} {cell.name}", drawn))
    legend = [(_("passed"), "good"), (_("failed"), "bad")]
    title = _("Calls to 933 of each line, by month")
    names = language.locale().months["format"]["abbreviated"]
    labels = [names[int(month[5:])] for month in months]
    return charts.matrix("tests", title, _("Line"), labels, rows, legend, gutter=30, every=1)


def _months(now: float, zone: tzinfo) -> list[str]:
    moment, found = datetime.fromtimestamp(now, zone), []
    for _at in range(MONTHS):
        found.append(moment.strftime("%Y-%m"))
        moment = moment.replace(day=1) - timedelta(days=1)
    return found[::-1]


def standings(cells: Sequence[Cell]) -> Markup:
    """How many lines are proven to reach an emergency centre."""
    parts = [
        (_(STANDING[standing][0]), STANDING[standing][1], sum(cell.standing == standing for cell in cells))
        for standing in reversed(ORDER)
    ]
    title = _("{proven} of {count} lines are proven by a call to 933").format(
        proven=parts[0][2], count=len(cells)
    )
    return charts.shares("standings", title, parts)


@pages.get("/calls/trends")
def of_calls() -> Response:
    """Calls by hour and weekday, and how they sounded."""
    world = sources().world()
    journal, now, zone = sources().journal, world.now, words.zone(world.snapshot.practice.time_zone)
    slots = journal.call_slots(now - DAY - HOUR, now)
    rows = journal.line_quality(now - QUALITY_DAYS * DAY)
    worst = [(views.party(world.snapshot, row["extension"]), row) for row in rows[:WORST]]
    return staff.page(
        "trends_calls.html",
        world,
        pictures=[
            (_("Calls per hour"), hours(slots, now, zone)),
            (_("When it is busy"), week(journal.busy_slots(now - WEEKS * 7 * DAY, now), zone)),
            (_("Sound over the day"), sound(slots, now, zone)),
            (_("Sound of the lines"), lines_by_sound(rows)),
        ],
        worst=[(party, row, call_words.quality(row["mos"])) for party, row in worst],
        days=QUALITY_DAYS,
    )


@pages.get("/requests/trends")
def of_requests() -> Response:
    """What phones asked for, minute by minute: a power cut shows as a mountain."""
    world = sources().world()
    zone = words.zone(world.snapshot.practice.time_zone)
    rows = sources().journal.request_minutes(world.now - MINUTES * 60)
    return staff.page("trends_requests.html", world, picture=storm(rows, world.now, zone))


@pages.get("/emergency/matrix")
def of_tests() -> Response:
    """Which lines are proven to reach an emergency centre, and when they were last tested."""
    world = sources().world()
    zone = words.zone(world.snapshot.practice.time_zone)
    cells = emergency.cells(world)
    window = paging.window(cells)
    shown = emergency.detailed(world, window.rows, 2 * MONTHS)
    return staff.page(
        "trends_tests.html",
        world,
        standings=standings(cells),
        picture=tests(shown, world.now, zone),
        window=window,
        link=paging.linker(),
    )


class CallCount(Shape, frozen=True):
    """What was counted of the calls of one half hour and direction. `at`: its beginning; `mos`: a mean, or null."""

    at: float
    direction: str
    calls: int
    answered: int
    missed: int
    emergency: int
    transferred: int
    poor: int
    talk_seconds: float
    mos: float | None


class LineSound(Shape, frozen=True):
    """How the calls of one line sounded."""

    extension: str
    calls: int
    poor: int
    mos: float
    loss: float
    jitter_ms: float


class RequestCount(Shape, frozen=True):
    """What phones asked for in one minute. `at`: its beginning."""

    at: float
    requests: int
    refused: int
    failed: int


class Trends(Shape, frozen=True):
    """The figures of the pictures: calls of the last day, lines of the last week, requests of the last two hours."""

    calls: list[CallCount]
    lines: list[LineSound]
    requests: list[RequestCount]


@calls.get("/trends")
@contract.call()
def figures() -> Trends:
    """Calls by half hour, sound by line, requests by minute."""
    journal, now = sources().journal, sources().now()
    return Trends(
        calls=[_call_count(row) for row in journal.call_slots(now - DAY, now)],
        lines=[
            LineSound(
                **{name: row[name] for name in ("extension", "calls", "poor")},
                **{
                    name: round(row[key], 2)
                    for name, key in (("mos", "mos"), ("loss", "loss"), ("jitter_ms", "jitter"))
                },
            )
            for row in journal.line_quality(now - QUALITY_DAYS * DAY)
        ],
        requests=[
            RequestCount(
                at=row["minute"] * 60.0, **{name: row[name] for name in ("requests", "refused", "failed")}
            )
            for row in journal.request_minutes(now - MINUTES * 60)
        ],
    )


def _call_count(row: dict[str, Any]) -> CallCount:
    counted = ("calls", "answered", "missed", "emergency", "transferred", "poor")
    return CallCount(
        at=float(row["slot"] * SLOT), direction=row["direction"], talk_seconds=round(row["talk"], 1),
        mos=round(row["mos"] / row["heard"], 2) if row["heard"] else None, **{name: int(row[name]) for name in counted},
    )  # fmt: skip
