"""What is told of an emergency call, to whom, and what is sent again when; sans-I/O (docs/emergency.md).

A call is a row of the journal's `emergencies`; a notice is a row of `notices`. Everything here follows from rows, so
that whoever missed a call, or was restarted, comes to the same notices.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from provisioner.emergency.civic import written
from provisioner.emergency.schedule import hours
from provisioner.errors import UsageError
from provisioner.store.records import Location, Notifying, Practice

Row = dict[str, Any]
Occasion = Literal["placed", "answered", "failed", "trial"]

CODES = {"emergency": "911", "emergency-test": "933"}
STATUS = {
    "placed": "The call is being placed.",
    "answered": "The emergency centre has answered.",
    "failed": "THE CALL FAILED",
    "trial": "This is only a test of the notice: nobody called.",
}
BACKOFF = (5.0, 15.0, 60.0, 300.0, 900.0)  # seconds before each further try, the last again and again
GIVE_UP_SECONDS = 86_400.0


_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[A-Za-z0-9.-]+\Z")
_HOST = re.compile(r"[A-Za-z0-9.:-]*\Z")


def checked(settings: Notifying, password: str = "") -> Notifying:
    """The settings, when they make sense. Raises UsageError with what is wrong; nothing in it is a secret."""
    for address in (*settings.mail_to, *filter(None, [settings.mail_from])):
        if not address.isascii() or not _ADDRESS.match(address):
            raise UsageError("An e-mail address is written as name@example.com")
    if not _HOST.match(settings.mail_host) or not 0 < settings.mail_port < 65536:
        raise UsageError("The mail server is a name or an address, its port a number from 1 to 65535")
    secret = settings.mail_user or password
    if settings.mail_security == "none" and secret and not _loopback(settings.mail_host):
        raise UsageError("A password goes to a mail server by STARTTLS or TLS only")
    for url in settings.webhooks:
        checked_url(url)
    if not 0 <= settings.test_days <= 366:
        raise UsageError("Days between tests are 0 (never) to 366")
    hours(settings.test_hours)
    return settings


def checked_url(url: str) -> str:
    """A URL that notices may go to: https, or http to this machine. Raises UsageError."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise UsageError("A webhook is written as https://host/path") from None
    plain = parts.scheme == "http" and _loopback(host)
    if not host or parts.fragment or parts.username or not (parts.scheme == "https" or plain):
        raise UsageError(
            "A webhook begins with https:// (http:// only to this machine), without user and password"
        )
    if not url.isascii() or any(letter <= " " for letter in url):
        raise UsageError("A webhook's URL holds letters that no URL may hold")
    return url


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def place_words(location: Location | None) -> str:
    """Where a phone is, in one line; "" when nobody knows."""
    if location is None:
        return ""
    address = written(location.civic)
    area = " ".join(filter(None, (address.area, address.postal_code)))
    parts = (location.name, address.inside, address.street, address.city, area)
    return ", ".join(dict.fromkeys(filter(None, parts)))


def occasions(row: Row) -> list[Occasion]:
    """What there is to tell of a call as it is now."""
    found: list[Occasion] = ["placed"]
    if row["answered"] is not None:
        found.append("answered")
    elif row["ended"] is not None:
        found.append("failed")
    return found


def told(row: Row, occasion: str, practice: Practice) -> dict[str, Any]:
    """All that a notice says (47 CFR 9.3: that there was a call, call-back number, location), for a machine."""
    body = row["body"]
    return {
        "practice": practice.name,
        "called": CODES.get(row["kind"], "911"),
        "test": row["kind"] != "emergency",
        "occasion": occasion,
        "status": STATUS[occasion] + (f": {row['outcome']}." if occasion == "failed" else ""),
        "call": row["id"],
        "at": _clock(row["at"], practice.time_zone),
        "extension": row["extension"],
        "name": body.get("name", ""),
        "mac": row["mac"],
        "callback_number": row["number"],
        "address_known": bool(body.get("known")),
        "location": body.get("location", ""),
        "civic": body.get("civic", {}),
        "location_doubt": body.get("doubt", ""),
    }


def _clock(at: float, zone: str) -> str:
    """RFC 3339, in the practice's own time."""
    try:
        return datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat(timespec="seconds")
    except (ZoneInfoNotFoundError, ValueError):
        return datetime.fromtimestamp(at, ZoneInfo("UTC")).isoformat(timespec="seconds")


def who(facts: Mapping[str, Any]) -> str:
    """The phone that called."""
    name, extension = facts["name"], facts["extension"]
    return f"{name} ({extension})" if name and extension else extension or "a phone that is not known"


def subject(facts: Mapping[str, Any]) -> str:
    """One line."""
    head = "TEST of the notices" if facts["occasion"] == "trial" else f"{facts['called']} called"
    if facts["test"] and facts["occasion"] != "trial":
        head += " (a test call)"
    head += " AND THE CALL FAILED" if facts["occasion"] == "failed" else ""
    return f"{head}: {who(facts)}, {facts['location'] or 'place not known'}"


def text(facts: Mapping[str, Any]) -> str:
    """The notice for a person."""
    lines = [
        subject(facts),
        "",
        facts["status"],
        f"Who: {who(facts)}",
        f"Where: {facts['location'] or 'not known: an operator has to ask'}",
        f"Call-back number: {facts['callback_number'] or 'none'}",
        f"When: {facts['at']}",
    ]
    if not facts["address_known"]:
        lines.append("The emergency centre does not see the address of this phone by that number.")
    if facts["location_doubt"]:
        lines.append(f"The phone may have been moved: {facts['location_doubt']}.")
    if facts["occasion"] in ("placed", "answered") and not facts["test"]:
        lines.append(
            "Go there, and send somebody to the door. Whoever misdialled must not hang up, but say so."
        )
    if facts["occasion"] == "failed" and not facts["test"]:
        lines.append("Call 911 from another phone, such as a mobile phone, at once.")
    return "\n".join(lines) + "\n"


def targets(settings: Notifying) -> list[tuple[str, str]]:
    """(channel, address) of all that are told outside of the phones."""
    mail = [("mail", address) for address in settings.mail_to] if settings.mail_host else []
    return mail + [("webhook", url) for url in settings.webhooks]


def shown(channel: str, target: str) -> str:
    """A target as people may see it: of a URL only the host, its path may be a secret."""
    return urlsplit(target).hostname or "webhook" if channel == "webhook" else target


def notice_id(call: str, occasion: str, channel: str, target: str) -> str:
    """The same for the same notice, whoever makes it."""
    return hashlib.sha256("\0".join((call, occasion, channel, target)).encode()).hexdigest()[:24]


def wanted(row: Row, settings: Notifying, practice: Practice, now: float) -> list[Row]:
    """The notices of a call as it is now, as rows that are due at once."""
    if row["kind"] == "crisis" or (row["kind"] == "emergency-test" and not settings.tests):
        return []
    return [each for occasion in occasions(row) for each in notices(row, occasion, settings, practice, now)]


def notices(row: Row, occasion: str, settings: Notifying, practice: Practice, now: float) -> list[Row]:
    """A notice for each target."""
    facts = told(row, occasion, practice)
    return [
        {
            "id": notice_id(row["id"], occasion, channel, target),
            "call": row["id"],
            "at": now,
            "channel": channel,
            "target": shown(channel, target),
            "occasion": occasion,
            "state": "pending",
            "tries": 0,
            "due": now,
            "problem": "",
            "body": {**facts, "to": target},
        }
        for channel, target in targets(settings)
    ]


class Outbox:
    """Notices until they are delivered or given up. Times are the wall clock's: they must outlast a restart."""

    def __init__(self) -> None:
        self._held: dict[str, Row] = {}
        self._known: set[str] = set()
        self._busy: set[str] = set()

    def know(self, rows: Iterable[Row]) -> None:
        """What the journal holds: those that are pending go on, of the others none is made again."""
        for row in rows:
            if row["id"] not in self._known:
                self._known.add(row["id"])
                if row["state"] == "pending":
                    self._held[row["id"]] = row

    def add(self, rows: Iterable[Row]) -> list[Row]:
        """Take notices; those that are new."""
        new = [row for row in rows if row["id"] not in self._known]
        self.know(new)
        return new

    def due(self, now: float) -> list[Row]:
        """The notices to send now: of each target the oldest, so that one that hangs holds up no other."""
        found: dict[tuple[str, str], Row] = {}
        taken = {self._lane(self._held[name]) for name in self._busy}
        for row in sorted(self._held.values(), key=lambda row: (row["tries"], row["at"], row["id"])):
            lane = self._lane(row)
            if row["due"] <= now and lane not in taken:
                found.setdefault(lane, row)
        self._busy |= {row["id"] for row in found.values()}
        return list(found.values())

    @staticmethod
    def _lane(row: Row) -> tuple[str, str]:
        return row["channel"], row["body"]["to"]

    def settle(self, name: str, problem: str, now: float) -> Row:
        """What came of a try ("" : it was delivered); the row as it is now."""
        self._busy.discard(name)
        row = self._held.pop(name)
        tries = row["tries"] + 1
        row = {**row, "tries": tries, "problem": problem, "due": now + BACKOFF[min(tries, len(BACKOFF)) - 1]}
        row["state"] = "delivered" if not problem else "pending"
        if problem and now - row["at"] > GIVE_UP_SECONDS:
            row["state"] = "given up"
        if row["state"] == "pending":
            self._held[name] = row
        return row

    @property
    def waiting(self) -> float | None:
        """When the next is due; None when none is."""
        return min((row["due"] for row in self._held.values() if row["id"] not in self._busy), default=None)
