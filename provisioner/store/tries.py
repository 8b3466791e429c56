"""Tries to sign in, remembered across a restart: how many failed from where, and the last code that each user used."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database, Migrations

from provisioner.errors import OperatorError
from provisioner.store import database

KEPT_SECONDS = 86_400.0
MOST = 20_000  # the longest ago go first
BUSY_SECONDS = 1.0  # who signs in waits meanwhile
_log = logging.getLogger(__name__)

migrations = Migrations("tries")


@migrations(name="1")
def _tables(db: Database) -> None:
    db.table("tries").create(
        {"name": str, "failures": int, "last": float, "until": float}, pk="name"
    ).create_index(["last"])
    db.table("codes_used").create({"name": str, "step": int}, pk="name")


class Failed(NamedTuple):
    """So many tries failed, the last one then; the next is heard at `until`. Both in seconds since 1970."""

    failures: int
    last: float
    until: float


class Tries:
    """Two tables in `journal.db`. Safe to use from any thread.

    A store that cannot be used must not keep anybody from signing in: then nothing is remembered. Names are kept as
    digests only, for people type passwords into the wrong field.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connections: database.Connections | None = None

    def close(self) -> None:
        """Close the file."""
        if self._connections:
            self._connections.close()

    def read(self, name: str) -> Failed | None:
        """What failed under `name`; None when nothing did."""
        row = self._first("SELECT failures, last, until FROM tries WHERE name = ?", _digest(name))
        return Failed(*row) if row else None

    def write(self, name: str, failed: Failed | None) -> None:
        """Keep what failed under `name`, or forget it. What is older than a day goes."""
        if failed is None:
            self._first("DELETE FROM tries WHERE name = ?", _digest(name))
            return
        self._first("INSERT OR REPLACE INTO tries VALUES (?, ?, ?, ?)", _digest(name), *failed)
        self._first("DELETE FROM tries WHERE last < ?", failed.last - KEPT_SECONDS)
        self._first(
            "DELETE FROM tries WHERE name IN (SELECT name FROM tries ORDER BY last DESC LIMIT -1 OFFSET ?)",
            MOST,
        )

    def step(self, user: str) -> int:
        """The time step of the last code (RFC 6238) that `user` used; 0 when none is known."""
        row = self._first("SELECT step FROM codes_used WHERE name = ?", _digest(user))
        return int(row[0]) if row else 0

    def use(self, user: str, step: int) -> None:
        """`user` used the code of that time step."""
        self._first("INSERT OR REPLACE INTO codes_used VALUES (?, ?)", _digest(user), step)

    def _first(self, statement: str, *values: object) -> sqlite3.Row | None:
        """Carry a statement out: its first row, None without one and where the store cannot be used."""
        try:
            with database.explained(self._path):
                if self._connections is None:
                    database.prepare(self._path, migrations, BUSY_SECONDS)
                    self._connections = database.Connections(self._path, BUSY_SECONDS)
                row: sqlite3.Row | None = self._connections.get().execute(statement, values).fetchone()
                return row
        except OperatorError as error:
            _log.warning("tries to sign in are not remembered: %s", error)
            return None


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
