"""How the pages say things: telephone numbers, hardware addresses, times and street addresses for people."""

from __future__ import annotations

import functools
import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from provisioner.store.records import Snapshot
from provisioner.web import language
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.language import ngettext

_CIVIC_LINES = (  # RFC 5139 section 3.4 element names, in the order of a US postal address
    ("HNO", "HNS", "PRD", "RD", "STS", "POD"),
    ("NAM", "BLD", "LMK", "FLR", "UNIT", "ROOM", "LOC"),
    ("A3", "A1", "PC"),
)
_CIVIC_PREFIX = {
    "FLR": N_("floor {name}"),
    "ROOM": N_("room {name}"),
    "UNIT": N_("unit {name}"),
    "BLD": N_("building {name}"),
}

BANS = {
    "scanner": N_("It said that it is a program for finding telephone systems to misuse"),
    "many-targets": N_("It asked for many different extensions or numbers without ever proving who it is"),
    "wrong-passwords": N_("It tried many wrong passwords"),
    "flood": N_("It sent far more than a phone sends, and did not stop when told"),
    "junk": N_("It sent what no phone sends"),
}

QUARANTINE = {
    "sweep": N_("It asked for the files of many phones that it is not"),
    "flood": N_("It asked for far more files than phones do, and did not stop when told"),
}


def number(value: str) -> str:
    """An E.164 number as it is written in North America; anything else unchanged."""
    if value.startswith("+1") and len(value) == 12:
        return f"({value[2:5]}) {value[5:8]}-{value[8:]}"
    return value


def mac(value: str) -> str:
    """`0004f2000101` as `00:04:f2:00:01:01`."""
    return ":".join(value[at : at + 2] for at in range(0, len(value), 2))


_AGO = (  # from how many seconds on, the unit, words
    (86400, 86400, N_("{count} d ago")),
    (3600, 3600, N_("{count} h ago")),
    (60, 60, N_("{count} min ago")),
    (5, 1, N_("{count} s ago")),
)


def ago(at: float | None, now: float) -> str:
    """How long before `now` the time `at` was, in the largest fitting unit; both in seconds since 1970."""
    if not at:
        return _("never")
    seconds = max(0, int(now - at))
    for least, unit, words in _AGO:
        if seconds >= least:
            return _(words).format(count=seconds // unit)
    return _("just now")


def ban(reason: str) -> str:
    """Why the edge shut an address out."""
    return _(BANS.get(reason, N_("It behaved like an attacker")))


def quarantine(reason: str) -> str:
    """Why the front put a source in quarantine."""
    return _(QUARANTINE.get(reason, N_("It behaved like an attacker")))


def ahead(at: float, now: float) -> str:
    """How long after `now` the time `at` is, in whole minutes or hours; both in seconds since 1970."""
    minutes = max(1, round((at - now) / 60))
    if minutes < 120:
        return _("in {count} min").format(count=minutes)
    return _("in {count} h").format(count=round(minutes / 60))


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


_DAYS = {"en": "MMM d, HH:mm", "es": "d MMM, HH:mm"}  # CLDR patterns


def clock(at: float, now: float, tz: ZoneInfo) -> str:
    """`14:03:22` for today, `Nov 21, 14:03` or `21 nov, 14:03` for earlier days, in the practice's time zone."""
    moment, today = datetime.fromtimestamp(at, tz), datetime.fromtimestamp(now, tz)
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}"
    return _written(moment.replace(second=0, microsecond=0, tzinfo=None), language.current())


@functools.lru_cache(4096)  # minutes: a page that is polled shows the same ones
def _written(moment: datetime, spoken: str) -> str:
    return format_datetime(moment, _DAYS[spoken], locale=language.LOCALES[spoken])


def day(at: float, tz: ZoneInfo) -> str:
    """`Nov 21, 2026` or `21 nov 2026`, in the practice's time zone."""
    return format_date(datetime.fromtimestamp(at, tz), "medium", locale=language.locale())


def stamp(at: float, tz: ZoneInfo) -> str:
    """ISO 8601 with offset, for `<time datetime>`."""
    return datetime.fromtimestamp(at, tz).isoformat(timespec="seconds")


def civic(elements: dict[str, str]) -> str:
    """A civic address (RFC 5139 elements by name) on one line."""
    lines = []
    for names in _CIVIC_LINES:
        parts = [
            _(_CIVIC_PREFIX[name]).format(name=elements[name]) if name in _CIVIC_PREFIX else elements[name]
            for name in names
            if elements.get(name)
        ]
        joined = (", " if names[0] == "NAM" else " ").join(parts)
        if joined:
            lines.append(joined)
    return ", ".join(lines)


def plural(count: int, one: str, many: str = "") -> str:
    """`1 phone`, `2 phones`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


_ACRONYMS = re.compile(r"\b(vlan|dtmf|srtp|ntp|lldp|cdp|dhcp|qos|pnp|pc|id|api|url|uri|totp)\b")


def setting_name(name: str) -> str:
    """`pc_vlan_id` as `PC VLAN ID`, `poll_seconds` as `Poll seconds`: in English, and the text of the catalogues."""
    text = _ACRONYMS.sub(lambda found: found[0].upper(), name.replace("_", " "))
    return text[:1].upper() + text[1:]


def setting(name: str) -> str:
    """A setting of the phones in words."""
    return _(setting_name(name))


SHOWN = (N_("yes"), N_("no"), N_("none"))  # what vocabulary.shown says
LAYERS = {
    "site": N_("All phones of the site"),
    "built-in": N_("Built in"),
    "practice": N_("The practice"),
}


def layer(name: str, snapshot: Snapshot) -> str:
    """A layer of settings in words."""
    kind, _colon, what = name.partition(":")
    if kind == "group" and what in snapshot.phone_groups:
        return _("Group {name}").format(name=snapshot.phone_groups[what].name)
    if kind == "phone":
        phone = snapshot.phones.get(what)
        line = phone.lines[0] if phone and phone.lines else None
        called = f"{line.extension} {line.name}".rstrip() if line else mac(what)
        return _("Phone {name}").format(name=called)
    if kind == "model":
        vendor, _colon, model = what.partition("/")
        return _("All {model}").format(model=f"{vendor.capitalize()} {model}")
    if kind == "vendor":
        return _("All {maker} phones").format(maker=what.capitalize())
    return _(LAYERS[name]) if name in LAYERS else name


def size(count: int) -> str:
    """Bytes in the largest fitting unit."""
    for unit, word in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if count >= unit:
            return f"{format_decimal(count / unit, '0.0', locale=language.locale())} {word}"
    return ngettext("{count} byte", "{count} bytes", count).format(count=count)
