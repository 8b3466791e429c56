"""Which phones have not fetched their files since something in them changed: by revisions, without rendering anything.

A change of a record that files are made of has a revision of the inventory; each phone's last fetch has one too
(`served.revision` of the journal). Who fetched before the change has not got it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from provisioner.phones.catalogue import Catalogue
from provisioner.phones.reach import layers_of
from provisioner.store.inventory import Audit
from provisioner.store.records import Phone, Snapshot

KINDS = ("phone_setting", "phone_group", "phone", "practice")
# Of these records only this is in files; of the others all.
_TOLD = {"phone": ("vendor", "model", "lines", "keys", "group", "modules"), "practice": ("time_zone",)}


class Change(NamedTuple):
    """The last change of a record that files are made of. `revision`: of the inventory; `at`: since 1970."""

    kind: str
    id: str
    revision: int
    at: float
    who: str


class Behind(NamedTuple):
    """One phone that has not fetched since these changes, the newest first."""

    mac: str
    changes: tuple[Change, ...]


class Changes:
    """What the audit log tells of changed files; `heard` takes new entries, in their order."""

    def __init__(self) -> None:
        self.seq = 0
        self._last: dict[tuple[str, str], Change] = {}

    def heard(self, entries: Iterable[Audit]) -> None:
        """Take further entries of the audit log, of KINDS."""
        for entry in entries:
            self.seq = max(self.seq, entry.seq)
            if _matters(entry):
                change = Change(entry.kind, entry.id, entry.revision, entry.at, entry.who)
                self._last[entry.kind, entry.id] = change

    def behind(self, snapshot: Snapshot, fetched: Mapping[str, int], catalogue: Catalogue) -> list[Behind]:
        """The phones that have fetched once, but not since a change. `fetched`: revisions by MAC."""
        if not self._last or max(each.revision for each in self._last.values()) <= min(
            fetched.values(), default=0
        ):
            return []
        found = []
        for mac, revision in fetched.items():
            phone = snapshot.phones.get(mac)
            if phone is None:
                continue
            changes = [
                change
                for key in _keys(phone, catalogue)
                if (change := self._last.get(key)) and change.revision > revision
            ]
            if changes:
                found.append(Behind(mac, tuple(sorted(changes, key=lambda each: -each.revision))))
        return found


def _keys(phone: Phone, catalogue: Catalogue) -> list[tuple[str, str]]:
    """The records that a phone's files are made of."""
    layers = [("phone_setting", layer) for layer in layers_of(phone, catalogue)]
    return [*layers, ("phone_group", phone.group), ("phone", phone.id), ("practice", "practice")]


def _matters(entry: Audit) -> bool:
    """Whether a change is in anybody's files."""
    if entry.kind not in _TOLD or not entry.before or not entry.after:
        return True
    before, after = (_lean(entry.kind, text) for text in (entry.before, entry.after))
    return bool(before != after)


def _lean(kind: str, text: str) -> Any:
    body = msgspec.json.decode(text)
    lean = {name: body.get(name) for name in _TOLD[kind]}
    for line in lean.get("lines") or ():
        line.pop("number", None)  # what it shows outside is the edge's business
    return lean
