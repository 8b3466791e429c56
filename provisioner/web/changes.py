"""Entries of the audit log in words: what was changed, which fields, from what to what; grouped as they were made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from flask import url_for

from provisioner.store.audit import Audit
from provisioner.store.inventory import kind_of
from provisioner.store.records import KINDS, SECRET_KINDS, Snapshot
from provisioner.web import words
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_

RECORDS = frozenset(kind_of(each) for each in KINDS)
WORDS = {
    "practice": N_("Practice"),
    "location": N_("Location"),
    "placement": N_("Whereabouts of a phone"),
    "number": N_("Number"),
    "dial_through": N_("Temporary number"),
    "provider": N_("Provider"),
    "provider_secret": N_("Password of a provider"),
    "registration": N_("Emergency address"),
    "phone": N_("Phone"),
    "retired_phone": N_("Retired phone"),
    "phone_group": N_("Group of phones"),
    "phone_setting": N_("Phone settings"),
    "extension_range": N_("Range of extensions"),
    "held_extension": N_("Extension that is kept"),
    "recording": N_("Recording"),
    "ring_group": N_("Ring group"),
    "line_feature": N_("Call handling of"),
    "trunk": N_("Calling service"),
    "trunk_secret": N_("Password of the calling service"),
    "credential": N_("Secrets of a phone"),
    "notice_setting": N_("Notices of emergency calls"),
    "notice_secret": N_("Password of the notices"),
    "user": N_("User"),
    "user_secret": N_("Password of"),
    "sign_in": N_("Sign-in"),
    "session": N_("Sessions of"),
    "token": N_("API token"),
    "backup": N_("Backup"),
    "backup_plan": N_("Daily backup"),
    "backup_secret": N_("Passphrase of the daily backup"),
    "ignored_phone": N_("Ignored phone"),
    "setup": N_("First start"),
    "certificate": N_("Certificate"),
}
# Where a record is seen: its endpoint, and the name that its id has there ("": none).
PLACES = {
    "practice": ("practice.show", ""),
    "number": ("addresses.one", "number"),
    "registration": ("addresses.one", "number"),
    "provider": ("providers.one", "name"),
    "phone": ("staff.phone", "mac"),
    "credential": ("staff.phone", "mac"),
    "placement": ("staff.phone", "mac"),
    "phone_group": ("groups.group", "group"),
    "phone_setting": ("layers.show", "layer"),
    "ring_group": ("ringing.one", "group"),
    "line_feature": ("features.page", "extension"),
    "trunk": ("trunks.one", "name"),
    "notice_setting": ("emergency.page", ""),
    "user": ("users.one", "user"),
    "user_secret": ("users.one", "user"),
    "token": ("tokens.page", ""),
    "certificate": ("https.show", ""),
}
LONG_AGO = 1e9  # seconds since 1970 (2001): numbers above are moments
_IDENTITIES = ("position", "extension", "target")  # by which the parts of a list are told apart


class Field(NamedTuple):
    """One field that changed; "" where there is nothing."""

    label: str
    before: str
    after: str


class Entry(NamedTuple):
    """One entry in words. `act`: made, changed, removed or noted; `url`: where the record is seen, or ""."""

    audit: Audit
    what: str
    name: str
    act: str
    url: str
    fields: list[Field]


class Change(NamedTuple):
    """Entries that were made at once, by one person."""

    at: float
    who: str
    revision: int
    entries: list[Entry]
    record: bool


def _values(body: str | None, snapshot: Snapshot) -> dict[str, str]:
    held = msgspec.json.decode(body) if body else {}
    return dict(_flat("", held, snapshot)) if isinstance(held, dict) else {}


def _label(path: str) -> str:
    """`lines 102` as `Lines 102`: fields in words, what tells the parts of a list apart as it is."""
    parts = [part for part in path.split(" ") if part != "values"]
    return " ".join(words.setting(part) if part.isidentifier() and part.islower() else part for part in parts)


def _flat(label: str, value: Any, snapshot: Snapshot) -> list[tuple[str, str]]:
    """A document as labels and texts, one for each that may change by itself."""
    if isinstance(value, dict):
        skipped = ("kind", "id") if not label else ()
        parts = [(f"{label} {name}".strip(), each) for name, each in value.items() if name not in skipped]
        return [pair for name, each in parts for pair in _flat(name, each, snapshot)]
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        found = []
        for place, each in enumerate(value, 1):
            key = next((name for name in _IDENTITIES if name in each), "")
            rest = ", ".join(
                _text(part, snapshot) for name, part in each.items() if name != key and part not in ("", None)
            )
            found.append((f"{label} {each[key] if key else place}", rest or _("there")))
        return found
    return [(label, _named(label, value, snapshot) or _text(value, snapshot))]


def _named(field: str, value: Any, snapshot: Snapshot) -> str:
    """What is meant by an id, where it is still there; "" for what is no id."""
    known: dict[str, Mapping[str, Any]] = {
        "group": snapshot.phone_groups,
        "location": snapshot.locations,
        "parent": snapshot.locations,
        "ring_group": snapshot.ring_groups,
    }
    held = known.get(field, {}).get(value) if isinstance(value, str) else None
    return str(held.name) if held else ""


def _moment(at: float, snapshot: Snapshot) -> str:
    zone = words.zone(snapshot.practice.time_zone)
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M:%S}"


def _text(value: Any, snapshot: Snapshot) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return _moment(value, snapshot) if value > LONG_AGO else f"{value:.15g}"
    if isinstance(value, list):
        return ", ".join(_text(each, snapshot) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each, snapshot)}" for name, each in value.items())
    text = "" if value is None else str(value)
    return words.number(text) if text.startswith("+1") else text


def fields(entry: Audit, snapshot: Snapshot) -> list[Field]:
    """What changed, field by field; all of it where a record was made or removed."""
    if entry.kind in SECRET_KINDS:
        return []
    before, after = _values(entry.before, snapshot), _values(entry.after, snapshot)
    names = list(dict.fromkeys([*before, *after]))
    pairs = [(name, before.get(name, ""), after.get(name, "")) for name in names]
    return [Field(_label(name), old, new) for name, old, new in pairs if old != new]


def _name(entry: Audit, snapshot: Snapshot) -> str:
    held = entry.after or entry.before
    body = msgspec.json.decode(held) if held else {}
    body = body if isinstance(body, dict) else {}
    if entry.kind in ("phone", "credential", "placement", "retired_phone"):
        lines = body.get("lines") if entry.kind == "phone" else ()
        line = f"{lines[0]['extension']} {lines[0]['name']}" if lines else ""
        phone = snapshot.phones.get(entry.id)
        if not line and phone and phone.lines:
            line = f"{phone.lines[0].extension} {phone.lines[0].name}"
        return f"{line} · {words.mac(entry.id)}".strip(" ·")
    if entry.kind == "phone_setting":
        return words.layer(entry.id, snapshot)
    if entry.kind in ("number", "registration"):
        return words.number(entry.id)
    if entry.kind in ("practice", "notice_setting", "notice_secret"):
        return ""
    name = body.get("name") if entry.kind in RECORDS - SECRET_KINDS else ""
    return f"{name} ({entry.id})" if name and entry.kind == "user" else str(name or entry.id)


def act(entry: Audit) -> str:
    """What was done to the record: made, changed or removed; or `noted`, of what is none."""
    if entry.kind not in RECORDS:
        return "noted"
    return "made" if entry.before is None else "removed" if entry.after is None else "changed"


def _there(entry: Audit, snapshot: Snapshot) -> str:
    """Where the record is seen; "" when it is gone, or has no page."""
    endpoint, argument = PLACES.get(entry.kind, ("", ""))
    if not endpoint or entry.after is None:
        return ""
    held = getattr(snapshot, f"{entry.kind}s", None)
    if isinstance(held, dict) and entry.kind != "line_feature" and entry.id not in held:
        return ""
    values: dict[str, Any] = {argument: entry.id} if argument else {}
    return url_for(endpoint, **values)


def told(entry: Audit, snapshot: Snapshot) -> Entry:
    """An entry in words."""
    what = _(WORDS.get(entry.kind, entry.kind))
    url, changed = _there(entry, snapshot), fields(entry, snapshot)
    return Entry(entry, what, _name(entry, snapshot), act(entry), url, changed)


def grouped(entries: list[Audit], snapshot: Snapshot) -> list[Change]:
    """Entries, the newest first, as the changes that they were."""
    found = []
    key = lambda each: (each.revision, each.who, each.at, each.kind in RECORDS)  # noqa: E731
    for (revision, who, at, record), each in groupby(entries, key):
        found.append(Change(at, who, revision, [told(entry, snapshot) for entry in each], record))
    return found
