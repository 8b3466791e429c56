"""Answers that are kept for a day, so that a request that is sent again is answered without being carried out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlite_utils import Database, Migrations

from provisioner.store import database

KEPT_SECONDS = 86_400.0
MOST = 10_000  # the oldest go first; nobody repeats a request that long after

migrations = Migrations("answers")


@migrations(name="1")
def _first(db: Database) -> None:
    db.table("answers").create(
        {"name": str, "at": float, "fingerprint": str, "status": int, "mimetype": str, "body": bytes},
        pk="name",
    ).create_index(["at"])


class Kept(NamedTuple):
    """An answer. `status`: of HTTP; 0: it is under way, or not kept; -1: it was to another request."""

    status: int
    mimetype: str = ""
    body: bytes = b""


class Answers:
    """A table in `journal.db`. `clock` gives seconds since 1970. Safe to use from any thread."""

    def __init__(self, path: Path, clock: Callable[[], float], connections: database.Connections) -> None:
        self._path = path
        self._clock = clock
        self._connections = connections

    @classmethod
    def open(cls, path: Path, clock: Callable[[], float]) -> Answers:
        """Make the table if it is missing. Raises OperatorError when that cannot be done."""
        with database.explained(path):
            database.prepare(path, migrations)
        return cls(path, clock, database.Connections(path))

    def close(self) -> None:
        """Close the file."""
        self._connections.close()

    def begin(self, name: str, fingerprint: str) -> Kept | None:
        """The answer under `name`; None when there is none, and from now on it is under way."""
        now = self._clock()
        with self._writing() as execute:
            execute("DELETE FROM answers WHERE at <= ?", (now - KEPT_SECONDS,))
            row = execute("SELECT * FROM answers WHERE name = ?", (name,)).fetchone()
            if row is not None:
                same = row["fingerprint"] == fingerprint
                return Kept(row["status"], row["mimetype"], row["body"]) if same else Kept(-1)
            execute(
                "DELETE FROM answers WHERE name IN (SELECT name FROM answers ORDER BY at DESC LIMIT -1 OFFSET ?)",
                (MOST - 1,),
            )
            execute("INSERT INTO answers VALUES (?, ?, ?, 0, '', x'')", (name, now, fingerprint))
        return None

    def keep(self, name: str, answer: Kept) -> None:
        """What was begun under `name` was answered so."""
        with self._writing() as execute:
            execute("UPDATE answers SET status = ?, mimetype = ?, body = ? WHERE name = ?", (*answer, name))

    def forget(self, name: str) -> None:
        """What was begun under `name` came to nothing, and may be tried again."""
        with self._writing() as execute:
            execute("DELETE FROM answers WHERE name = ?", (name,))

    @contextmanager
    def _writing(self) -> Iterator[Callable[..., Any]]:
        with database.explained(self._path):
            connection = self._connections.get()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection.execute
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
