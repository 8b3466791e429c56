"""The overview: what is wrong before all, then the figures of this moment, each a link to what it counts."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from flask import Blueprint, Response, url_for

from provisioner.emergency.readiness import Report
from provisioner.store.records import User
from provisioner.web import api, contract, findings, readiness, roles, shapes, staff, trends, views, words
from provisioner.web.language import gettext as _
from provisioner.web.language import ngettext
from provisioner.web.session import sources
from provisioner.web.sources import World
from provisioner.web.views import Finding, Level, PhoneRow

LAST_CALLS = 8
FEW_PHONES = 10  # that need attention, or were seen last
OPEN_FINDINGS = 4  # the rest is folded: a screenful at most
HOUR, DAY = 3600.0, 86400.0

calls = Blueprint("dashboard_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class Tile(NamedTuple):
    """One figure: a link to what it counts, how that is, and what to say beside and below it."""

    url: str
    figure: str
    beside: str
    words: str
    level: Level


def _phones(world: World, rows: list[PhoneRow]) -> Tile:
    adopted = sum(row.adopted for row in rows)
    ready = sum(row.status in ("ready", "in-call") for row in rows)
    offline = sum(row.status == "offline" for row in rows)
    url = url_for("staff.phones", status="offline" if offline else "ready")
    figure = str(ready) if world.edge else "-"
    below = _("phones online")
    if offline:
        below = ngettext("phones online, {count} offline", "phones online, {count} offline", offline).format(
            count=offline
        )
    level: Level = "bad" if offline else "good" if ready else "none"
    return Tile(url, figure, _("of {count}").format(count=adopted), below, level)


def _trunk(world: World) -> Tile:
    rows = findings.trunks(world)
    url = url_for("trunks.show")
    up = sum(bool(row.up) for row in rows)
    if not rows:
        return Tile(url, _("None"), "", _("calling service"), "bad")
    if world.edge is None or all(row.up is None for row in rows):
        return Tile(url, _("Not known"), "", _("calling service"), "none")
    level: Level = "good" if up == len(rows) else "warn" if up else "bad"
    beside = _("{up} of {count}").format(up=up, count=len(rows)) if len(rows) > 1 else ""
    return Tile(url, _("Answers") if up else _("Silent"), beside, _("calling service"), level)


def _emergency(report: Report) -> Tile:
    red = sum(row.level == "bad" for row in report.phones)
    shown = {"bad": _("Not ready"), "warn": _("To do"), "good": _("Ready")}[report.level]
    below = ngettext("for 911: {count} phone", "for 911: {count} phones", red).format(count=red)
    return Tile(url_for("readiness.page"), shown, "", below if red else _("for 911"), report.level)


def _disk(world: World) -> Tile:
    url = url_for("practice.show")
    held = world.disk
    if held is None:
        return Tile(url, _("Not known"), "", _("room on the disk"), "none")
    log = _("free on the disk; log {size}").format(size=words.size(held.journal))
    return Tile(url, words.size(held.free), "", log, held.level)


def _stamp(world: World, at: float) -> str:
    """A minute in the practice's time, as filters take it."""
    zone = words.zone(world.snapshot.practice.time_zone)
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%dT%H:%M}"


def tiles(world: World, rows: list[PhoneRow], report: Report) -> list[Tile]:
    """The figures, phones first."""
    on = len(views.live_calls(world))
    minutes = sources().journal.request_minutes(world.now - HOUR)
    asked = sum(int(row["requests"]) for row in minutes)
    failed = sum(int(row["failed"]) for row in minutes)
    waiting = sum(row.status == "waiting" for row in rows)
    found = [
        _phones(world, rows),
        Tile(
            url_for("staff.calls"),
            str(on) if world.edge else "-",
            "",
            ngettext("call now", "calls now", on),
            "busy" if on else "none",
        ),
        _trunk(world),
        _emergency(report),
        _disk(world),
        Tile(
            url_for("staff.requests", since=_stamp(world, world.now - HOUR)),
            f"{asked:,}",
            _("{count} failed").format(count=failed) if failed else "",
            ngettext("request in the last hour", "requests in the last hour", asked),
            "warn" if failed else "none",
        ),
    ]
    if waiting:
        url = url_for("staff.phones", status="waiting")
        found.insert(1, Tile(url, str(waiting), "", _("waiting for adoption"), "warn"))
    return found


@staff.blueprint.get("/", endpoint="overview")
def overview() -> Response:
    """What is wrong, the figures, who needs attention, and the calls at this moment."""
    world = sources().world()
    rows = views.phones(world)
    report = readiness.report(world)
    attention = [row for row in rows if row.needs_attention]
    others = sorted((row for row in rows if not row.needs_attention), key=lambda row: -(row.last_seen or 0))
    slots = sources().journal.call_slots(world.now - DAY - HOUR, world.now)
    return staff.page(
        "overview.html",
        world,
        findings=findings.findings(world, rows),
        open_findings=OPEN_FINDINGS,
        tiles=tiles(world, rows, report),
        attention=attention[:FEW_PHONES],
        more_attention=max(0, len(attention) - FEW_PHONES),
        recent=others[: FEW_PHONES - min(len(attention), FEW_PHONES // 2)],
        count=len(rows),
        calls=views.calls_now(world),
        past=views.calls_past(world)[:LAST_CALLS],
        nobody=not sources().inventory.all(User) and roles.may("users.add"),
        hours=trends.hours(slots, world.now, words.zone(world.snapshot.practice.time_zone)),
    )


class Overview(shapes.Shape, frozen=True):
    """The overview as figures. `disk`: bytes; `requests`: of phones, in the last hour; `emergency`: bad, warn, good."""

    phones_online: int
    phones_adopted: int
    phones_attention: int
    phones_waiting: int
    calls: int | None
    trunks_up: int
    trunks: int
    emergency: str
    disk_free: int | None
    journal_size: int | None
    requests: int
    findings: list[Finding]


@calls.get("/overview")
@contract.call()
def api_overview() -> Overview:
    """What is wrong, the worst first, and the figures of this moment."""
    world = sources().world()
    rows = views.phones(world)
    minutes = sources().journal.request_minutes(world.now - HOUR)
    trunks = findings.trunks(world)
    return Overview(
        phones_online=sum(row.status in ("ready", "in-call") for row in rows),
        phones_adopted=sum(row.adopted for row in rows),
        phones_attention=sum(row.needs_attention for row in rows),
        phones_waiting=sum(row.status == "waiting" for row in rows),
        calls=len(views.live_calls(world)) if world.edge else None,
        trunks_up=sum(bool(row.up) for row in trunks),
        trunks=len(trunks),
        emergency=readiness.report(world).level,
        disk_free=world.disk.free if world.disk else None,
        journal_size=world.disk.journal if world.disk else None,
        requests=sum(int(row["requests"]) for row in minutes),
        findings=findings.findings(world, rows),
    )
