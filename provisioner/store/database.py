"""What both databases share: connections, numbered migrations, and errors that a person can act on."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database, Migrations

from provisioner.errors import OperatorError

BUSY_SECONDS = 5.0
_log = logging.getLogger(__name__)

_LOCKED = ("is locked by another program", "close the program that holds it, then try again")
_NO_RIGHT = ("cannot be written", "give this user the right to write it and its directory")
_BROKEN = "stop the appliance, put a good copy in its place, and start again"
_REMEDIES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _NO_RIGHT,
    sqlite3.SQLITE_PERM: _NO_RIGHT,
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check that it and its directory may be read and written"),
    sqlite3.SQLITE_FULL: ("cannot grow, the disk is full", "free some space on its disk, then try again"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "check the disk and its free space"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _BROKEN),
    sqlite3.SQLITE_NOTADB: ("is not a database", _BROKEN),
}
_UNKNOWN = ("cannot be used", _BROKEN)


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of `error` (sqlite.org/rescode.html); 0 when it is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def explain(error: sqlite3.Error, path: Path) -> OperatorError:
    """`error` as one line that says what to do about `path`."""
    what, remedy = _REMEDIES.get(primary_code(error), _UNKNOWN)
    return OperatorError(f"{path} {what}", remedy)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors inside become OperatorError; only misuse of the module stays what it is."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        raise explain(error, path) from error


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Only one process at a time is inside, for all files of `path`'s directory."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def connect(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """A connection in autocommit mode to an existing file. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.row_factory = sqlite3.Row
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare(path: Path, migrations: Migrations, busy_seconds: float = BUSY_SECONDS) -> None:
    """Make the file if it is missing (mode 0600), and bring its schema up to date.

    Raises sqlite3.Error, and OperatorError for what SQLite does not say itself.
    """
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with alone(path), closing(connect(path, busy_seconds)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(Database(connection, execute_plugins=False), path, migrations)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be opened ({error.strerror})", "give this user the right to read and write it"
        ) from None


def names(migrations: Migrations) -> set[str]:
    """The names of all migrations of a database."""
    with closing(sqlite3.connect(":memory:")) as empty:
        return {migration.name for migration in migrations.pending(Database(empty, execute_plugins=False))}


def _migrate(db: Database, path: Path, migrations: Migrations) -> None:
    known, applied = names(migrations), {migration.name for migration in migrations.applied(db)}
    if applied - known:
        raise OperatorError(f"{path} is of a newer version", "install that version, or go back to a backup")
    if applied and known - applied:
        keep_copy(db, path)
    migrations.apply(db)


COPIES = "backups"  # folder of the state directory
KEPT_COPIES = 3  # of each database


def keep_copy(db: Database, path: Path) -> Path | None:
    """A copy of `path` as it is before its schema changes (mode 0600); None, and a log line, without room for it."""
    folder = path.parent / COPIES
    folder.mkdir(mode=0o700, exist_ok=True)
    old = sorted(folder.glob(f"before-update-*-{path.name}"), key=lambda each: each.stat().st_mtime)
    for each in old[: max(0, len(old) - KEPT_COPIES + 1)]:
        each.unlink()
    if shutil.disk_usage(folder).free < 2 * path.stat().st_size:
        _log.warning("no copy of %s is kept before its update: the disk has no room", path.name)
        return None
    target = folder / f"before-update-{datetime.now(UTC):%Y%m%d-%H%M%S}-{path.name}"
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(target)) as copy:
        db.conn.backup(copy)
    _log.info("%s was copied to %s before its update", path.name, target)
    return target


def identity(path: Path) -> tuple[int, int]:
    """What tells a file from one put in its place. Raises OSError.

    Never opens the file: closing any descriptor of it drops all POSIX locks that SQLite holds in this process
    (sqlite.org/howtocorrupt.html, 2.2), and another process may then throw the write-ahead log away.
    """
    found = path.stat()
    return found.st_dev, found.st_ino


class Connections:
    """One connection a thread to one file; opened again when the file was replaced (a backup put back)."""

    def __init__(self, path: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._mine = threading.local()
        self._all: list[sqlite3.Connection] = []

    def get(self) -> sqlite3.Connection:
        """This thread's connection. Raises sqlite3.Error, and OperatorError when the file is gone."""
        try:
            now = identity(self.path)
        except OSError as error:
            raise OperatorError(
                f"{self.path} cannot be opened ({error.strerror})",
                "put it back from a backup, or start again",
            ) from None
        if getattr(self._mine, "identity", None) != now:
            self._mine.connection = connect(self.path, self._busy_seconds)
            self._mine.identity = now
            self._all.append(self._mine.connection)
        connection: sqlite3.Connection = self._mine.connection
        return connection

    def close(self) -> None:
        """Close the connections of all threads; none may be in use."""
        while self._all:
            self._all.pop().close()
        self._mine = threading.local()


class Pool:
    """Connections that are kept between queries, for rows as tuples; of another file when that took the place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[tuple[tuple[int, int], sqlite3.Connection]] = []

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """A connection for one query; closed when that fails. Raises sqlite3.Error."""
        connection, known = self._taken()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append((known, connection))

    def close(self) -> None:
        """Close those that are not in use."""
        while self._idle:
            self._idle.pop()[1].close()

    def _taken(self) -> tuple[sqlite3.Connection, tuple[int, int]]:
        try:
            now = identity(self.path)
        except OSError:
            now = (0, 0)  # then `connect` says what is wrong
        with suppress(IndexError):  # another thread may take the last one
            while True:
                known, connection = self._idle.pop()
                if known == now:
                    return connection, known
                connection.close()
        connection = connect(self.path)
        connection.row_factory = None
        return connection, now
