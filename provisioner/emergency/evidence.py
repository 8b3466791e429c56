"""The emergency log as evidence: rows for people and machines, and one archive of a span of days. Pure."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from provisioner.emergency.matrix import WORDS, Cell, Standing
from provisioner.errors import UsageError
from provisioner.store.records import Snapshot

Row = dict[str, Any]

KINDS = {"emergency": "911", "emergency-test": "933", "crisis": "988"}
STANDING: dict[Standing, str] = {
    "passed": "passed",
    "stale": "no longer says anything",
    "overdue": "overdue",
    "failed": "FAILED",
    "never": "never tested",
}
COLUMNS = (
    *(
        "called",
        "at",
        "extension",
        "name",
        "mac",
        "number_shown",
        "address_known",
        "location",
        "location_doubt",
    ),
    *("origin", "routes", "location_sent", "answered", "ended", "outcome", "told", "not_told", "id"),
)


def zone_of(name: str) -> ZoneInfo:
    """A time zone; UTC when the system does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def year(now: float, zone: str) -> tuple[str, str]:
    """The first and the last day, as 2026-01-31, of the year that ends today in a time zone."""
    today = datetime.fromtimestamp(now, zone_of(zone)).date()
    return (today - timedelta(days=365)).isoformat(), today.isoformat()


def days(first: str, last: str, zone: str) -> tuple[float, float]:
    """From the start of the day `first` to the end of `last` in a time zone; since 1970. Raises UsageError."""
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise UsageError("Write days as 2026-01-31") from None
    at = zone_of(zone)
    begin, stop = (datetime(day.year, day.month, day.day, tzinfo=at).timestamp() for day in (start, end))
    return begin, stop


def calls(rows: Iterable[Row], notices: Iterable[Row]) -> list[Row]:
    """Each call with the notices of it, and in words who was told and who was not; no address that may be a secret."""
    told: dict[str, list[Row]] = {}
    names = ("at", "channel", "target", "occasion", "state", "tries", "problem")
    for notice in notices:
        told.setdefault(notice["call"], []).append({name: notice[name] for name in names})
    return [
        {
            **{name: row[name] for name in row if name != "body"},
            **(row["body"] or {}),
            "notices": told.get(row["id"], []),
            **_words(told.get(row["id"], [])),
        }
        for row in rows
    ]


def _words(notices: list[Row]) -> dict[str, str]:
    told = [each for each in notices if each["state"] == "delivered"]
    missed = [each for each in notices if each["state"] != "delivered"]
    return {
        "told": "; ".join(f"{_target(each)} ({each['occasion']})" for each in told),
        "not_told": "; ".join(f"{_target(each)}: {each['problem'] or each['state']}" for each in missed),
    }


def _stamp(at: float | None, zone: str) -> str:
    return datetime.fromtimestamp(at, zone_of(zone)).isoformat(timespec="seconds") if at else ""


def flat(call: Mapping[str, Any], zone: str) -> Row:
    """A call as one row of a table; keys are COLUMNS."""
    routes = call.get("routes") or []
    return {
        "called": KINDS.get(call["kind"], call["kind"]),
        "at": _stamp(call["at"], zone),
        "extension": call["extension"],
        "name": call.get("name", ""),
        "mac": call["mac"],
        "number_shown": call["number"],
        "address_known": _yes(call.get("known")),
        "location": call.get("location", ""),
        "location_doubt": call.get("doubt", ""),
        "origin": call.get("origin", ""),
        "routes": "; ".join(map(_route, routes)),
        "location_sent": _yes(any(each["location"] != "none" for each in routes)) if routes else "",
        "answered": _stamp(call["answered"], zone),
        "ended": _stamp(call["ended"], zone),
        "outcome": call["outcome"] or "",
        **_words(call["notices"]),
        "id": call["id"],
    }  # fmt: skip


def _route(route: Row) -> str:
    return f"{route['trunk']} {route['address']} after {route['at']} s: {route['result']}"


def _target(notice: Row) -> str:
    return f"{notice['channel']} {notice['target']}"


def _yes(value: object) -> str:
    return "" if value is None else "yes" if value else "no"


def line(call: Mapping[str, Any], zone: str) -> str:
    """A call as one line for a person."""
    row = flat(call, zone)
    who = (
        f"extension {row['extension']}"
        if row["extension"]
        else "a phone"
        if row["called"] != "988"
        else "somebody"
    )
    parts = [f"{row['at']}  {row['called']}  {who}", row["location"], row["number_shown"]]
    parts.append("answered" if row["answered"] else "NOT ANSWERED" if row["ended"] else "being placed")
    parts += [row["outcome"], f"told: {row['told']}" if row["told"] else ""]
    parts.append(f"NOT TOLD: {row['not_told']}" if row["not_told"] else "")
    return ", ".join(filter(None, parts))


def cell_line(cell: Cell, zone: str) -> str:
    """A line of the matrix as one line for a person."""
    words = [f"{cell.extension}  {cell.name}".rstrip(), STANDING[cell.standing]]
    if cell.results:
        words.append(f"last {_stamp(cell.results[0].at, zone)} ({cell.results[0].outcome})")
    if cell.changed:
        words.append("changed since: " + ", ".join(WORDS[name] for name in cell.changed))
    return "  ".join(words)


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """A table for spreadsheets (RFC 4180); what could be taken for a formula is marked as text."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _harmless(row[name]) for name in columns})
    return out.getvalue()


def _harmless(value: object) -> object:
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    digits = isinstance(value, str) and value[1:].isdecimal()  # +14155550100 is no formula
    return f"'{value}" if risky and not digits else value


def archive(
    snapshot: Snapshot, rows: Sequence[Row], notices: Iterable[Row], cells: Sequence[Cell],
    first: str, last: str, now: float,
) -> bytes:  # fmt: skip
    """A ZIP of the calls of these days and of how each line stood at their end, with a digest of each file."""
    zone = snapshot.practice.time_zone
    told = calls(rows, notices)
    tables = [flat(call, zone) for call in told]
    lines = [
        {
            "extension": cell.extension, "mac": cell.mac, "name": cell.name, "standing": cell.standing,
            "changed": " ".join(cell.changed), "tests": len(cell.results),
            "last": _stamp(cell.results[0].at if cell.results else None, zone),
            "outcome": cell.results[0].outcome if cell.results else "",
        }
        for cell in cells
    ]  # fmt: skip
    names = ("extension", "mac", "name", "standing", "changed", "tests", "last", "outcome")
    files = {
        "summary.txt": _summary(snapshot, told, cells, first, last, now).encode(),
        "calls.csv": as_csv(tables).encode(),
        "calls.json": msgspec.json.format(msgspec.json.encode(told), indent=1),
        "lines.csv": as_csv(lines, names).encode(),
        "lines.json": msgspec.json.format(msgspec.json.encode(cells), indent=1),
    }
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def _summary(
    snapshot: Snapshot, told: Sequence[Row], cells: Sequence[Cell], first: str, last: str, now: float
) -> str:
    zone = snapshot.practice.time_zone
    kinds = Counter(KINDS.get(call["kind"], call["kind"]) for call in told)
    good = Counter(KINDS.get(call["kind"], "") for call in told if call["answered"])
    missed = sum(each["state"] != "delivered" for call in told for each in call["notices"])
    standing = Counter(cell.standing for cell in cells)
    out = [
        f"Emergency calls and tests of {snapshot.practice.name}",
        f"{first} to {last}, times of {zone}; written {_stamp(now, zone)}",
        "",
        *(f"Calls to {code}: {kinds[code]}, answered: {good[code]}" for code in KINDS.values()),
        f"Notices that were not delivered: {missed}",
        "",
        "Lines by their last test (933) at the end of these days:",
        *(f"  {STANDING[name]}: {standing[name]}" for name in STANDING),
        "",
        *(cell_line(cell, zone) for cell in cells),
        "",
        "Calls to 911 and 933:",
        *(line(call, zone) for call in told if call["kind"] != "crisis"),
        "",
        "calls.csv and calls.json hold each call, lines.csv and lines.json each line; SHA256SUMS is checked with",
        "sha256sum -c. Calls to 988 are counted, and nothing else of them is kept.",
    ]
    return "\n".join(out) + "\n"
