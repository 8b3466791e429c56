"""Time zones to choose from, each with the time that it is there now; and the zone of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from provisioner.web.language import later as N_

LOCALTIME = Path("/etc/localtime")
NEAR = (  # the places that most practices are in; names as people know them
    ("America/New_York", N_("Eastern (New York)")),
    ("America/Chicago", N_("Central (Chicago)")),
    ("America/Denver", N_("Mountain (Denver)")),
    ("America/Phoenix", N_("Arizona (Phoenix)")),
    ("America/Los_Angeles", N_("Pacific (Los Angeles)")),
    ("America/Anchorage", N_("Alaska (Anchorage)")),
    ("Pacific/Honolulu", N_("Hawaii (Honolulu)")),
    ("America/Puerto_Rico", N_("Puerto Rico")),
    ("America/Halifax", N_("Atlantic (Halifax)")),
    ("America/Toronto", N_("Eastern (Toronto)")),
    ("America/Winnipeg", N_("Central (Winnipeg)")),
    ("America/Edmonton", N_("Mountain (Edmonton)")),
    ("America/Vancouver", N_("Pacific (Vancouver)")),
)


class Zone(NamedTuple):
    """A zone: its name, what people call it, and the time that it is there."""

    name: str
    words: str
    clock: str


def _zone(name: str, words: str, now: float) -> Zone:
    there = datetime.fromtimestamp(now, ZoneInfo(name))
    return Zone(name, words, f"{there:%I:%M %p}".lstrip("0"))


def near(now: float) -> Iterator[Zone]:
    """Those that most practices are in. `now`: seconds since 1970."""
    return (_zone(name, words, now) for name, words in NEAR)


def others(now: float) -> Iterator[Zone]:
    """All the rest, by name."""
    known = {name for name, _words in NEAR}
    kept = (name for name in available_timezones() if "/" in name and name not in known)
    areas = ("America/", "Pacific/", "Atlantic/", "Europe/", "Asia/", "Africa/", "Australia/", "Indian/")
    return (
        _zone(name, name.replace("_", " "), now)
        for name in sorted(name for name in kept if name.startswith(areas))
    )


def of_machine() -> str:
    """The zone that this machine is set to, "" where it says nothing of use."""
    named = os.environ.get("TZ", "").removeprefix(":")
    try:
        target = named or str(LOCALTIME.resolve())
    except OSError:
        return ""
    name = target.partition("zoneinfo/")[2] or target
    return name if "/" in name and name in available_timezones() and not name.startswith("Etc/") else ""
