"""The journal: calls, requests, sightings and registrations, written behind the caller's back.

Nothing that a call causes waits for the disk: `write` only queues. What cannot be written is dropped, oldest
first, and counted in `dropped`. Lists and dicts in a row are stored as JSON and come back as they were.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
from sqlite_utils import Database, Migrations

from provisioner.errors import OperatorError
from provisioner.store import call_log, call_tables, database, emergencies, request_log
from provisioner.store.call_log import Search
from provisioner.store.counted import Counted
from provisioner.store.request_log import Asked

MAX_QUEUED = 10_000  # about a minute of the busiest site
KEPT_REQUESTS = 1_000_000  # a month of a thousand phones; about 200 MB
KEPT_RESYNCS = 50_000  # phones of jobs: a few of the largest practice
KEPT_SERVED = 100_000  # files, a few of each phone of the largest practice
KEPT_SIGHTINGS = 5_000  # a liar with a million MAC addresses must not fill the disk
PAGE = 5_000  # calls that are read at once
PURGED = 2_000  # calls that are deleted in one transaction, so that no row waits for long
PURGE = "purge"
FORGET_REQUESTS = "forget-requests"
RETRY_SECONDS = 1.0
OPENING_SECONDS = 1.0  # a locked file must not hold up a start
GATHER_SECONDS = 0.1  # between two transactions: each costs more than a row
URGENT = frozenset(
    {"emergencies", "resyncs"}
)  # whose rows wait for nothing: evidence, orders with their page

Row = dict[str, Any]
EVERY_CALL = Search()
EVERY_REQUEST = Asked()
_log = logging.getLogger(__name__)

migrations = Migrations("journal")


@migrations(name="1")
def _first(db: Database) -> None:
    calls = db.table("calls").create(
        {
            "id": str,
            "started": float,
            "answered": float,
            "ended": float,
            "direction": str,
            "caller": str,
            "called": str,
            "desk": str,
            "target": str,
            "outcome": str,
            "emergency": int,
            "steps": str,
        },
        pk="id",
    )
    calls.create_index(["started"])
    db.table("requests").create(
        {
            "id": int,
            "at": float,
            "mac": str,
            "address": str,
            "method": str,
            "path": str,
            "status": int,
            "bytes": int,
            "rule": str,
            "agent": str,
        },
        pk="id",
    )
    sightings = db.table("sightings").create(
        {
            "mac": str,
            "vendor": str,
            "model": str,
            "agent": str,
            "address": str,
            "first_seen": float,
            "last_seen": float,
            "rule": str,
        },
        pk="mac",
    )
    sightings.create_index(["last_seen"])
    db.table("registrations").create(
        {"extension": str, "contact": str, "body": str, "expires": float}, pk=("extension", "contact")
    )


@migrations(name="resyncs")
def _resyncs(db: Database) -> None:
    db.table("resyncs").create(
        {
            "job": str,
            "mac": str,
            "at": float,
            "who": str,
            "mode": str,
            "wave": int,
            "state": str,
            "body": str,
        },
        pk=("job", "mac"),
    )


@migrations(name="served")
def _served(db: Database) -> None:
    """What each phone's files said when it last fetched them, without secrets; firmware that phones were seen with."""
    db.table("skeletons").create(
        {"id": str, "at": float, "format": str, "text": str, "settings": str}, pk="id"
    )
    served = db.table("served").create(
        {
            "mac": str,
            "name": str,
            "at": float,
            "revision": int,
            "digest": str,
            "firmware": str,
            "skeleton": str,
            "own": str,
        },
        pk=("mac", "name"),
    )
    served.create_index(["skeleton"])
    db.table("sightings").add_column("firmware", str)


@migrations(name="whereabouts")
def _whereabouts(db: Database) -> None:
    """Where each placed phone registers from, and since when it is suspect (emergency/moved.py)."""
    db.table("whereabouts").create({"mac": str, "since": float, "body": str}, pk="mac")


@migrations(name="call-log")
def _call_log(db: Database) -> None:
    """Times and quality of calls, and an index that answers searches without the rows themselves."""
    calls = db.table("calls")
    for name in ("ring_seconds", "talk_seconds", "loss", "jitter_ms", "mos"):
        calls.add_column(name, float)
    db.execute("DROP INDEX idx_calls_started")
    searched = ("started", "caller", "called", "desk", "target", "direction", "outcome")
    calls.create_index(searched, index_name="calls_searched")


@migrations(name="emergencies")
def _emergencies(db: Database) -> None:
    emergencies.create(db)


@migrations(name="emergency-tests")
def _emergency_tests(db: Database) -> None:
    """The last test of each line is found without reading all."""
    db.table("emergencies").create_index(["kind", "extension", "at"])


@migrations(name="call-tables")
def _call_tables(db: Database) -> None:
    call_tables.create(db)
    call_tables.create_minutes(db)


@migrations(name="fetched")
def _fetched(db: Database) -> None:
    """Who has fetched since a change is asked on every page."""
    db.table("served").create_index(["mac", "revision"])


@migrations(name="requests-indices")
def _requests_indices(db: Database) -> None:
    """Requests are found by phone, rule, status, address and time without reading the others."""
    request_log.index(db)


COLUMNS = {
    **emergencies.COLUMNS,
    "calls": call_tables.COLUMNS,
    "requests": ["at", "mac", "address", "method", "path", "status", "bytes", "rule", "agent"],
    "sightings": [
        *("mac", "vendor", "model", "agent", "address", "first_seen", "last_seen", "rule", "firmware"),
    ],
    "skeletons": ["id", "at", "format", "text", "settings"],
    "served": ["mac", "name", "at", "revision", "digest", "firmware", "skeleton", "own"],
    "registrations": ["extension", "contact", "body", "expires"],
    "whereabouts": ["mac", "since", "body"],
    "resyncs": ["job", "mac", "at", "who", "mode", "wave", "state", "body"],
}

# A phone that is seen again keeps when it was first seen, and what an earlier request told of it.
_SIGHTING = """
INSERT INTO sightings (mac, vendor, model, agent, address, first_seen, last_seen, rule, firmware)
VALUES (
  :mac, :vendor, :model, :agent, :address, coalesce(:first_seen, :last_seen), :last_seen, :rule, :firmware
)
ON CONFLICT (mac) DO UPDATE SET
  vendor = coalesce(nullif(excluded.vendor, ''), vendor), model = coalesce(nullif(excluded.model, ''), model),
  agent = coalesce(nullif(excluded.agent, ''), agent), address = coalesce(excluded.address, address),
  last_seen = max(excluded.last_seen, last_seen), rule = coalesce(excluded.rule, rule),
  firmware = coalesce(nullif(excluded.firmware, ''), firmware)
"""

_NESTED = frozenset({"steps", "body", "own", "settings", "legs"})  # columns that hold JSON


def _insert(table: str) -> str:
    columns = COLUMNS[table]
    values = ", ".join(f":{column}" for column in columns)
    return f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({values})"  # noqa: S608 - our own names


_STATEMENTS = {table: _insert(table) for table in COLUMNS} | {
    "sightings": _SIGHTING,
    "calls": call_tables.INSERT,
}
_TRIM = (
    *call_tables.TRIM,
    *emergencies.TRIM,
    ("DELETE FROM served WHERE rowid <= (SELECT max(rowid) FROM served) - ?", KEPT_SERVED),
    # A skeleton's row comes before the first of what was served by it: an hour is time enough for that one.
    (
        "DELETE FROM skeletons WHERE at < (SELECT max(at) FROM served) - ?"
        " AND NOT EXISTS (SELECT 1 FROM served WHERE served.skeleton = skeletons.id)",
        3600,
    ),
    ("DELETE FROM requests WHERE id <= (SELECT max(id) FROM requests) - ?", KEPT_REQUESTS),
    ("DELETE FROM resyncs WHERE rowid <= (SELECT max(rowid) FROM resyncs) - ?", KEPT_RESYNCS),
    (
        "DELETE FROM sightings WHERE last_seen <"
        " (SELECT last_seen FROM sightings ORDER BY last_seen DESC LIMIT 1 OFFSET ?)",
        KEPT_SIGHTINGS - 1,
    ),
)


def _values(table: str, row: Row) -> Row:
    """`row` as SQLite takes it. Raises KeyError for an unknown column, TypeError for what is not JSON."""
    unknown = row.keys() - set(COLUMNS[table])
    if unknown:
        raise KeyError(", ".join(sorted(unknown)))
    values: Row = dict.fromkeys(COLUMNS[table])
    for column, value in row.items():
        nested = isinstance(value, list | tuple | dict)
        values[column] = msgspec.json.encode(value).decode() if nested else value
    if table == "calls":
        values["position"] = call_tables.place(row.get("started"))
    return values


class Journal(Counted):
    """`journal.db`. `clock` gives seconds since 1970; one thread of its own writes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._queue: deque[tuple[str, Row]] = deque()
        self._changed = threading.Condition()
        self._busy = True
        self._closing = False
        self._awaited = 0  # who waits until all is written
        self._urgent = False  # a row that waits for nothing is queued
        self._told = ""
        self._pool = database.Pool(path)
        self._writer = _Writer(path, clock)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self.dropped = 0

    @classmethod
    def open(cls, path: Path, clock: Callable[[], float] = time.time) -> Journal:
        """Open the file, or put it aside when it is no database. Never raises: faults are in the log."""
        journal = cls(path, clock)
        journal._thread.start()
        journal.flush(OPENING_SECONDS)
        return journal

    def write(self, table: str, row: Row) -> None:
        """Queue a row of any table of `COLUMNS`; never waits and never raises.

        A row with the key of an earlier one replaces it; a sighting keeps `first_seen`. A registration whose
        `expires` has passed is deleted.
        """
        with self._changed:
            first = not self._queue
            self._put([(table, dict(row))])
            self._urgent |= table in URGENT
            if first or self._urgent:
                self._changed.notify_all()

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until all is written, `seconds` at most; False when it is not."""
        with self._changed:
            self._awaited += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._queue and not self._busy, seconds)
            finally:
                self._awaited -= 1

    def close(self) -> None:
        """Write what is queued, as far as that can be done, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(2 * RETRY_SECONDS)
        self._pool.close()

    def calls(self, limit: int = 100, search: Search = EVERY_CALL, before: int = 0) -> list[Row]:
        """The last calls that fit, newest first; `before`: only those below this `position`, for the next page."""
        sql, values = call_log.newest(search, self.fragments(search), before)
        return self._read(sql, *values, limit)

    def call(self, name: str) -> Row | None:
        """The call with this id."""
        found = self._read("SELECT * FROM calls WHERE id = ?", name)
        return found[0] if found else None

    def fragments(self, search: Search) -> tuple[str, ...]:
        """Digits of the outside numbers that what was typed is a part of: the newest ones, MAX_NUMBERS and one."""
        digits = call_log.digits(search.text)
        if not digits:
            return ()
        sql = "SELECT digits FROM caller_digits WHERE digits MATCH ? ORDER BY rowid DESC LIMIT ?"
        return tuple(row["digits"] for row in self._read(sql, f'"{digits}"', call_log.MAX_NUMBERS + 1))

    def walk_calls(self, search: Search = EVERY_CALL) -> Iterator[Row]:
        """All calls that fit, the oldest first, read a page at a time."""
        numbers, last = self.fragments(search), 0
        while True:
            sql, values = call_log.oldest(search, numbers, last)
            page = self._read(sql, *values, PAGE)
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1]["position"]

    def purge_requests(self, before: float) -> None:
        """Have the requests that came before that time deleted, some at a time; never waits."""
        with self._changed:
            self._put([(FORGET_REQUESTS, {"before": before})])
            self._changed.notify_all()

    def purge_calls(self, before: float) -> None:
        """Have the calls that began before that time deleted, some at a time; never waits."""
        with self._changed:
            self._put([(PURGE, {"before": call_tables.place(before)})])
            self._changed.notify_all()

    def requests(self, limit: int = 100, asked: Asked = EVERY_REQUEST) -> list[Row]:
        """The last requests of phones that fit, newest first."""
        sql, values = request_log.query(asked, limit)
        rows = self._read(sql, *values)
        return rows[::-1] if asked.after else rows

    def walk_requests(self, asked: Asked, most: int) -> Iterator[Row]:
        """The newest requests that fit, `most` of them, read a page at a time."""
        before, left = asked.before, most
        while left > 0:
            page = self.requests(min(PAGE, left), asked._replace(before=before))
            yield from page
            if len(page) < PAGE:
                return
            before, left = page[-1]["id"], left - len(page)

    def last_request(self) -> int:
        """The `id` of the newest request, 0 when there is none."""
        return int(self._read("SELECT coalesce(max(id), 0) AS id FROM requests")[0]["id"])

    def request(self, number: int) -> Row | None:
        """The request with this `id`, None when it is gone."""
        return next(iter(self._read("SELECT * FROM requests WHERE id = ?", number)), None)

    def requests_after(self, number: int, at: float) -> list[Row]:
        """The requests of phones with a larger `id` than `number` and not before `at`, oldest first."""
        sql = "SELECT * FROM requests WHERE id > ? AND at >= ? ORDER BY id"
        return self._read(sql, number, at)

    def resyncs(self, job: str = "", since: float = 0.0) -> list[Row]:
        """Each phone of the job `job`, else of all jobs that began after `since`; the newest job first."""
        where = "job = ?" if job else "at >= ?"
        sql = f"SELECT * FROM resyncs WHERE {where} ORDER BY at DESC, job, wave, mac"  # noqa: S608 - our own words
        return self._read(sql, job or since)

    def resync_jobs(self, limit: int = 20) -> list[Row]:
        """The newest jobs: `job`, `at`, `who`, `mode`, and `states` {state: phones}."""
        sql = (
            "SELECT job, max(at) AS at, who, mode, state, count(*) AS phones FROM resyncs WHERE job IN"
            " (SELECT job FROM resyncs GROUP BY job ORDER BY max(at) DESC LIMIT ?)"
            " GROUP BY job, state ORDER BY at DESC, job"
        )
        jobs: dict[str, Row] = {}
        for row in self._read(sql, limit):
            states = jobs.setdefault(row["job"], {name: row[name] for name in ("job", "at", "who", "mode")})
            states.setdefault("states", {})[row["state"]] = row["phones"]
        return list(jobs.values())

    def sightings(self, limit: int = 1000) -> list[Row]:
        """The phones that asked for files, the last seen first."""
        return self._read("SELECT * FROM sightings ORDER BY last_seen DESC, mac LIMIT ?", limit)

    def versions(self) -> dict[str, str]:
        """The firmware that each phone was last seen with, by MAC; none when the journal cannot be read."""
        try:
            rows = self._read("SELECT mac, firmware FROM sightings WHERE firmware > ''")
        except OperatorError:
            return {}
        return {row["mac"]: row["firmware"] for row in rows}

    def served(self, mac: str) -> list[Row]:
        """What the phone's files said when it last fetched each, without secrets (provisioner.phones.served)."""
        return self._read(
            "SELECT served.*, format, text, settings FROM served JOIN skeletons ON skeletons.id = skeleton"
            " WHERE mac = ? ORDER BY name",
            mac,
        )

    def fetched(self) -> dict[str, int]:
        """The newest revision of the inventory that each phone has a file of, by MAC."""
        rows = self._read("SELECT mac, max(revision) AS revision FROM served GROUP BY mac")
        return {row["mac"]: row["revision"] for row in rows}

    def registrations(self) -> list[Row]:
        """The registrations that have not expired; `expires` in seconds since 1970."""
        return self._read(
            "SELECT * FROM registrations WHERE expires > ? ORDER BY extension, contact", self._clock()
        )

    def whereabouts(self) -> list[Row]:
        """Where each placed phone registers from: `mac`, `since` (or None: not suspect), `body`."""
        return self._read("SELECT * FROM whereabouts ORDER BY mac")

    def _read(self, sql: str, *values: float | str) -> list[Row]:
        """Rows of one query. Raises OperatorError."""
        with database.explained(self._path), self._pool.lent() as connection:
            cursor = connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        for column in _NESTED.intersection(names):
            for row in rows:
                row[column] = msgspec.json.decode(row[column]) if row[column] else None
        if "emergency" in names:
            for row in rows:
                row["emergency"] = bool(row["emergency"])
        return rows

    def _put(self, rows: list[tuple[str, Row]]) -> None:
        self._queue.extend(rows)
        while len(self._queue) > MAX_QUEUED:
            self._queue.popleft()
            self.dropped += 1

    def _run(self) -> None:
        batch: list[tuple[str, Row]] = []
        while True:
            written = self._try(batch)
            with self._changed:
                self._busy = False
                if not written:
                    newer, self._queue = self._queue, deque()
                    self._put([*batch, *newer])
                self._changed.notify_all()
                if self._closing and (not written or not self._queue):
                    break
                if not written:
                    self._changed.wait_for(lambda: self._closing, RETRY_SECONDS)
                elif batch:
                    self._changed.wait_for(self._hurried, GATHER_SECONDS)
                self._changed.wait_for(lambda: self._queue or self._closing)
                batch, self._queue = list(self._queue), deque()
                self._busy, self._urgent = True, False
        self._writer.close()

    def _hurried(self) -> bool:
        return bool(self._urgent or self._awaited or self._closing)

    def _try(self, batch: list[tuple[str, Row]]) -> bool:
        """One transaction; False when the rows must wait. What is wrong is logged once, not every second."""
        try:
            self.dropped += self._writer.write(batch)
        except (sqlite3.Error, OperatorError, OSError) as error:
            told = str(database.explain(error, self._path) if isinstance(error, sqlite3.Error) else error)
            if told != self._told:
                _log.error("%s (what is queued is kept for now)", told)
            self._told = told
            return False
        self._told = ""
        return True


class _Writer:
    """The one connection that writes; makes the file, and puts a garbage one aside."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)

    def write(self, batch: list[tuple[str, Row]]) -> int:
        """Write all rows, or raise sqlite3.Error, OperatorError or OSError; the number that were no good."""
        try:
            return self._transaction(self._open(), batch)
        except sqlite3.Error as error:
            self.close()
            if database.primary_code(error) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
        self._put_aside()
        return self._transaction(self._open(), batch)

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection and self._path.exists() and database.identity(self._path) == self._identity:
            with closing(database.connect(self._path)) as fresh:  # ours may go on from its cache over garbage
                fresh.execute("PRAGMA schema_version")
            return self._connection
        self.close()
        database.prepare(self._path, migrations)
        self._connection = database.connect(self._path)
        self._identity = database.identity(self._path)
        return self._connection

    def _transaction(self, connection: sqlite3.Connection, batch: list[tuple[str, Row]]) -> int:
        bad = 0
        connection.execute("BEGIN IMMEDIATE")
        for table, row in batch:
            if table == PURGE:
                for statement in (call_tables.PURGE, call_tables.FORGET):
                    connection.execute(statement, {**row, "most": PURGED})
                continue
            if table == FORGET_REQUESTS:
                connection.execute(request_log.PURGE, {**row, "most": PURGED})
                continue
            try:
                connection.execute(_STATEMENTS[table], _values(table, row))
            except (
                sqlite3.IntegrityError,
                sqlite3.ProgrammingError,
                OverflowError,
                KeyError,
                TypeError,
            ) as error:
                bad += 1
                _log.error("a row for %s is no good (%s) and was dropped", table, type(error).__name__)
        for statement, kept in _TRIM:
            connection.execute(statement, (kept,))
        connection.execute("DELETE FROM registrations WHERE expires <= ?", (self._clock(),))
        connection.execute("COMMIT")
        return bad

    def _put_aside(self) -> None:
        """Rename the file that is no database, unless another process did so already."""
        with database.alone(self._path):
            try:
                with closing(database.connect(self._path)) as connection:
                    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
                        return
            except sqlite3.DatabaseError:
                pass
            aside = self._path.with_name(f"{self._path.name}.damaged-{self._clock():.0f}")
            self._path.rename(aside)
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    Path(f"{self._path}{suffix}").rename(f"{aside}{suffix}")
        _log.error("%s is damaged; it is now %s, and a new one was begun", self._path, aside.name)
