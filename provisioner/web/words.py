"""How the pages say things: telephone numbers, hardware addresses, times and street addresses for people."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from provisioner.store.records import Snapshot

_CIVIC_LINES = (  # RFC 5139 section 3.4 element names, in the order of a US postal address
    ("HNO", "HNS", "PRD", "RD", "STS", "POD"),
    ("NAM", "BLD", "LMK", "FLR", "UNIT", "ROOM", "LOC"),
    ("A3", "A1", "PC"),
)
_CIVIC_PREFIX = {"FLR": "floor ", "ROOM": "room ", "UNIT": "unit ", "BLD": "building "}


BANS = {
    "scanner": "It said that it is a program for finding telephone systems to misuse",
    "many-targets": "It asked for many different extensions or numbers without ever proving who it is",
    "wrong-passwords": "It tried many wrong passwords",
    "flood": "It sent far more than a phone sends, and did not stop when told",
    "junk": "It sent what no phone sends",
}

QUARANTINE = {
    "sweep": "It asked for the files of many phones that it is not",
    "flood": "It asked for far more files than phones do, and did not stop when told",
}


def number(value: str) -> str:
    """An E.164 number as it is written in North America; anything else unchanged."""
    if value.startswith("+1") and len(value) == 12:
        return f"({value[2:5]}) {value[5:8]}-{value[8:]}"
    return value


def mac(value: str) -> str:
    """`0004f2000101` as `00:04:f2:00:01:01`."""
    return ":".join(value[at : at + 2] for at in range(0, len(value), 2))


def ago(at: float | None, now: float) -> str:
    """How long before `now` the time `at` was, in the largest fitting unit; both in seconds since 1970."""
    if not at:
        return "never"
    seconds = max(0, int(now - at))
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {word} ago"
    return "just now" if seconds < 5 else f"{seconds} s ago"


def ban(reason: str) -> str:
    """Why the edge shut an address out."""
    return BANS.get(reason, "It behaved like an attacker")


def quarantine(reason: str) -> str:
    """Why the front put a source in quarantine."""
    return QUARANTINE.get(reason, "It behaved like an attacker")


def ahead(at: float, now: float) -> str:
    """How long after `now` the time `at` is, in whole minutes or hours; both in seconds since 1970."""
    minutes = max(1, round((at - now) / 60))
    return f"in {minutes} min" if minutes < 120 else f"in {round(minutes / 60)} h"


def duration(seconds: float | None) -> str:
    """Seconds as `m:ss` or `h:mm:ss`; empty for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def zone(name: str) -> ZoneInfo:
    """The practice's time zone; UTC when the system does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def clock(at: float, now: float, tz: ZoneInfo) -> str:
    """`14:03:22` for today, `Nov 21, 14:03` for earlier days, in the practice's time zone."""
    moment, today = datetime.fromtimestamp(at, tz), datetime.fromtimestamp(now, tz)
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%b} {moment.day}, {moment:%H:%M}"


def stamp(at: float, tz: ZoneInfo) -> str:
    """ISO 8601 with offset, for `<time datetime>`."""
    return datetime.fromtimestamp(at, tz).isoformat(timespec="seconds")


def civic(elements: dict[str, str]) -> str:
    """A civic address (RFC 5139 elements by name) on one line."""
    lines = []
    for names in _CIVIC_LINES:
        parts = [_CIVIC_PREFIX.get(name, "") + elements[name] for name in names if elements.get(name)]
        joined = (", " if names[0] == "NAM" else " ").join(parts)
        if joined:
            lines.append(joined)
    return ", ".join(lines)


def plural(count: int, one: str, many: str = "") -> str:
    """`1 phone`, `2 phones`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


_ACRONYMS = re.compile(r"\b(vlan|dtmf|srtp|ntp|lldp|cdp|dhcp|qos|pnp|pc|id)\b")


def setting(name: str) -> str:
    """`pc_vlan_id` as `PC VLAN ID`, `poll_seconds` as `Poll seconds`."""
    text = _ACRONYMS.sub(lambda found: found[0].upper(), name.replace("_", " "))
    return text[:1].upper() + text[1:]


def layer(name: str, snapshot: Snapshot) -> str:
    """A layer of settings in words."""
    kind, _, what = name.partition(":")
    if kind == "group" and what in snapshot.phone_groups:
        return f"Group {snapshot.phone_groups[what].name}"
    if kind == "phone":
        phone = snapshot.phones.get(what)
        line = phone.lines[0] if phone and phone.lines else None
        return f"Phone {line.extension} {line.name}".rstrip() if line else f"Phone {mac(what)}"
    if kind == "model":
        vendor, _, model = what.partition("/")
        return f"All {vendor.capitalize()} {model}"
    named = {"site": "All phones of the site", "built-in": "Built in", "practice": "The practice"}
    return named.get(name) or (f"All {what.capitalize()} phones" if kind == "vendor" else name)


def size(count: int) -> str:
    """Bytes in the largest fitting unit."""
    for unit, word in ((1 << 20, "MB"), (1 << 10, "KB")):
        if count >= unit:
            return f"{count / unit:.1f} {word}"
    return f"{count} bytes"
