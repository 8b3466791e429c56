"""Putting a backup back: what would change, then all of it in one transaction, with a backup of what was there."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from provisioner.errors import OperatorError
from provisioner.keeping import archive, contents, making
from provisioner.keeping.archive import Manifest
from provisioner.keeping.making import Tell, quiet
from provisioner.paths import StateDir
from provisioner.phones.adopt import WELCOME_SECONDS, credential
from provisioner.store import database, inventory, journal
from provisioner.store.inventory import Change, Inventory, kind_of
from provisioner.store.journal import COLUMNS, Journal
from provisioner.store.records import (
    Credential,
    Phone,
    Provider,
    ProviderSecret,
    Record,
    Registration,
    Trunk,
    TrunkSecret,
)

ROWS = 2_000  # of the journal in one go: fewer than it queues
JOURNAL_SECONDS = 60.0
READING, STAGING, RECORDS, JOURNAL = (
    "Reads the backup",
    "Copies its files",
    "Writes the records",
    "Adds calls",
)
Undo = list[tuple[Path, Path]]  # what was renamed, from and to
_OWNERS: tuple[tuple[type[Record], type[Record]], ...] = (
    (Credential, Phone),
    (TrunkSecret, Trunk),
    (ProviderSecret, Provider),
)


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one kind of record, table or file."""

    part: str
    kind: str
    added: int = 0
    changed: int = 0
    removed: int = 0


class Warned(msgspec.Struct, frozen=True, kw_only=True):
    """Something that whoever restores should know; `values` go into the words that the page has for `kind`."""

    kind: Literal["address", "no-secrets", "practice", "users", "no-users", "old"]
    values: dict[str, str | int] = {}


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """All that a backup would do here."""

    manifest: Manifest
    counts: list[Count]
    warnings: list[Warned]


class Backup:
    """A backup that was unpacked into `folder`. Close it."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.inventory = Inventory.open(folder / "inventory.db")
        Journal.open(folder / "journal.db").close()

    def close(self) -> None:
        """Close its databases."""
        self.inventory.close()

    def records(self, kind: type[Record]) -> dict[str, Record]:
        """Its records of one kind, by id."""
        return {record.id: record for record in self.inventory.all(kind)}

    def secrets(self) -> dict[str, str]:
        """The secrets of the appliance that it was made of."""
        with closing(sqlite3.connect(self.folder / "inventory.db")) as connection:
            found = connection.execute("SELECT key, value FROM meta WHERE key LIKE 'secret:%'")
            return {key: value for key, value in found if key != "secret:csrf"}  # of sessions, which stay

    def files(self, part: str) -> dict[str, Path]:
        """The files of one part, by their names below the state directory."""
        return {name: self.folder / name for name in self.manifest.files if contents.part_of(name) == part}


def unpack(path: Path, folder: Path, passphrase: str, tell: Tell = quiet) -> Backup:
    """Open a backup into an empty folder, checked to the last byte. Raises OperatorError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    meter = making.Meter(tell)
    meter.begin(READING, path.stat().st_size * 3)
    manifest = archive.unpack(path, folder, passphrase, meter.add)
    strange = [name for name in manifest.files if "/" in name and not contents.part_of(name)]
    databases = {"inventory.db", "journal.db"}
    if strange or not databases <= manifest.files.keys():
        raise archive.not_one()
    for name, known in (("inventory", inventory.migrations), ("journal", journal.migrations)):
        ours = database.names(known)
        if not set(manifest.schema.get(name, [])) <= ours:
            raise archive.newer(manifest.product)
    return reopened(folder, manifest)


def reopened(folder: Path, manifest: Manifest) -> Backup:
    """A backup that was unpacked before. Raises OperatorError."""
    try:
        return Backup(folder, manifest)
    except (OperatorError, sqlite3.Error):
        raise OperatorError("this backup cannot be read", "take another one") from None


# What would change


def preview(state: StateDir, backup: Backup, now: float, held: Inventory) -> Preview:
    """What restoring all of it would change here. Raises OperatorError."""
    counts: list[Count] = []
    for part in backup.manifest.parts:
        for kind in contents.RECORDS.get(part, ()):
            ours = {record.id: record for record in held.all(kind)}
            counts.append(_count(part, kind_of(kind), backup.records(kind), ours))
        for table in contents.PARTS.get(part, contents.Part()).tables:
            counts.append(Count(part=part, kind=table, added=_new_rows(state, backup, table)))
        counts.append(_count(part, "files", *_digests(state, backup, part)))
    found = [count for count in counts if count.added or count.changed or count.removed]
    return Preview(manifest=backup.manifest, counts=found, warnings=_warnings(state, backup, held, now))


def _digests(state: StateDir, backup: Backup, part: str) -> tuple[dict[str, str], dict[str, str]]:
    """The files of a part there and here, by their digests; firmware, which is large, by its names alone."""
    theirs = {name: backup.manifest.files[name].sha256 for name in backup.files(part)}
    ours = dict(contents.files(state, part))
    if part == "firmware":
        return dict.fromkeys(theirs, ""), dict.fromkeys(ours, "")
    return theirs, {name: _digest(path) for name, path in ours.items()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _count(part: str, kind: str, theirs: dict[str, Any], ours: dict[str, Any]) -> Count:
    both = theirs.keys() & ours.keys()
    return Count(
        part=part,
        kind=kind,
        added=len(theirs.keys() - ours.keys()),
        changed=sum(theirs[name] != ours[name] for name in both),
        removed=len(ours.keys() - theirs.keys()),
    )


def _new_rows(state: StateDir, backup: Backup, table: str) -> int:
    with closing(sqlite3.connect(backup.folder / "journal.db")) as connection:
        connection.execute("ATTACH ? AS live", (str(state.journal),))
        found = connection.execute(_missing(table, "count(*)")).fetchone()[0]
    return int(found)


_KEYS = {"sightings": "mac", "served": "mac", "requests": "at"}


def _missing(table: str, what: str) -> str:
    """Rows of a backup that are not in the journal here (`live`)."""
    key = _KEYS.get(table, "id")
    return f"SELECT {what} FROM main.{table} WHERE {key} NOT IN (SELECT {key} FROM live.{table})"  # noqa: S608


def _warnings(state: StateDir, backup: Backup, held: Inventory, now: float) -> list[Warned]:
    manifest, found = backup.manifest, []
    here = making.address(state)
    if manifest.address and here and manifest.address != here:
        found.append(Warned(kind="address", values={"there": manifest.address, "here": here}))
    practice = held.snapshot().practice
    if practice.main_number and practice.name != manifest.practice:
        found.append(Warned(kind="practice", values={"there": manifest.practice, "here": practice.name}))
    if "secrets" not in manifest.parts:
        found.append(Warned(kind="no-secrets"))
    found.append(Warned(kind="users" if "users" in manifest.parts else "no-users"))
    if (days := int((now - manifest.made) / 86_400)) > 30:
        found.append(Warned(kind="old", values={"days": days}))
    return found


# Doing it


def restore(
    state: StateDir,
    backup: Backup,
    parts: frozenset[str],
    who: str,
    tell: Tell = quiet,
    now: Callable[[], float] = time.time,
) -> list[Count]:
    """Make the chosen parts what they are in the backup; what was done. Raises OperatorError, and nothing is changed.

    The records change in one transaction, after all files were copied beside those that they replace.
    """
    unknown = parts - set(backup.manifest.parts)
    if unknown or not parts:
        raise OperatorError("that is not in this backup", "choose among what is in it")
    held = Inventory.open(state.inventory, clock=now)
    meter = making.Meter(tell)
    try:
        done = [count for count in preview(state, backup, now(), held).counts if count.part in parts]
        with making.work_folder(state.root) as staged, _undone() as undo:
            _stage(backup, parts, staged, meter)
            with held.change(who=who) as change:
                meter.begin(RECORDS, 1)
                _write(change, backup, parts, now())
                _swap(state, staged, parts, backup, undo)
    finally:
        held.close()
    _add_rows(state, backup, parts, meter)
    return done


def _stage(backup: Backup, parts: frozenset[str], staged: Path, meter: making.Meter) -> None:
    names = {name: path for part in sorted(parts) for name, path in backup.files(part).items()}
    meter.begin(STAGING, sum(path.stat().st_size for path in names.values()))
    for name, path in names.items():
        target = staged / "new" / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(path, target)
        target.chmod(0o600)
        meter.add(path.stat().st_size)


def _write(change: Change, backup: Backup, parts: frozenset[str], now: float) -> None:
    for part in ("inventory", "secrets", "users"):
        if part not in parts:
            continue
        for kind in contents.RECORDS[part]:
            theirs = backup.records(kind)
            for record in change.all(kind):
                if record.id not in theirs:
                    change.delete(kind, record.id)
            for record in theirs.values():
                change.put(_asked_again(record, now))
    if "secrets" in parts:
        change.keep_secrets(backup.secrets())
    if "users" in parts:
        change.keep_tokens(_tokens(backup))
    if {"inventory", "secrets"} & parts:
        settle_secrets(change, now)


def _asked_again(record: Record, now: float) -> Record:
    """What is known of addresses at providers may be old: they are read again at once."""
    if isinstance(record, Registration) and record.step in ("", "read"):
        return msgspec.structs.replace(record, step="read", due=now)
    return record


def settle_secrets(change: Change, now: float) -> None:
    """Every phone has secrets, new ones where the backup had none; what is no more has none."""
    for secret, owner in _OWNERS:
        for held in change.all(secret):
            if change.get(owner, held.id) is None:
                change.delete(secret, held.id)
    for phone in change.all(Phone):
        found = change.get(Credential, phone.id)
        if found is None or len(found[0].lines) < len(phone.lines):
            change.put(credential(phone.id, len(phone.lines), welcome_until=now + WELCOME_SECONDS))


def _tokens(backup: Backup) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(backup.folder / "inventory.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM tokens WHERE kind = 'api'")]


@contextmanager
def _undone() -> Iterator[Undo]:
    """What was renamed inside gets its name back when anything fails."""
    undo: Undo = []
    try:
        yield undo
    except BaseException:
        for source, target in reversed(undo):
            os.replace(target, source)
        raise


def _swap(state: StateDir, staged: Path, parts: frozenset[str], backup: Backup, undo: Undo) -> None:
    """Put the copies in the place of what was there; nothing is copied here, only renamed."""
    for part in sorted(parts):
        theirs = backup.files(part)
        for name, path in contents.files(state, part):
            if name not in theirs and part != "firmware":
                _move(path, staged / "old" / name, undo)
        for name in theirs:
            target = state.root / name
            if target.exists():
                _move(target, staged / "old" / name, undo)
            _move(staged / "new" / name, target, undo)


def _move(source: Path, target: Path, undo: Undo) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.replace(source, target)
    undo.append((source, target))


def _add_rows(state: StateDir, backup: Backup, parts: frozenset[str], meter: making.Meter) -> None:
    """Rows that are not here; those that are stay. A notice that was still to be sent is not: its time is over."""
    live = Journal.open(state.journal)
    try:
        with closing(sqlite3.connect(backup.folder / "journal.db", isolation_level=None)) as connection:
            connection.execute("UPDATE notices SET state = 'given up', due = NULL WHERE state = 'pending'")
            connection.execute("ATTACH ? AS live", (str(state.journal),))
            connection.row_factory = sqlite3.Row
            for part in sorted(parts):
                for table in contents.PARTS[part].tables:
                    _add_table(connection, table, live, meter)
    finally:
        live.close()


def _add_table(connection: sqlite3.Connection, table: str, live: Journal, meter: making.Meter) -> None:
    wanted = [row[0] for row in connection.execute(_missing(table, f"{table}.rowid"))]
    meter.begin(JOURNAL, len(wanted))
    columns = ", ".join(COLUMNS[table])
    for first in range(0, len(wanted), ROWS):
        some = wanted[first : first + ROWS]
        marks = ", ".join("?" * len(some))
        rows = connection.execute(f"SELECT {columns} FROM main.{table} WHERE rowid IN ({marks})", some)  # noqa: S608
        for row in rows.fetchall():
            live.write(table, dict(row))
        if not live.flush(JOURNAL_SECONDS):
            raise OperatorError(
                "the call log cannot be written now", "look at the disk, then restore it again"
            )
        meter.add(len(some))
