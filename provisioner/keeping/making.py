"""Making a backup while everything runs: copies of both databases as they are at one moment, and files."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from sqlite_utils import Database, Migrations

from provisioner.errors import OperatorError
from provisioner.ipc import Gone, Refused, ask
from provisioner.keeping import archive, contents, seal
from provisioner.keeping.archive import Cover, Manifest
from provisioner.paths import StateDir, check_file
from provisioner.store import database, inventory, journal
from provisioner.store.inventory import Inventory, kind_of
from provisioner.store.journal import COLUMNS, Journal
from provisioner.store.records import SECRET_KINDS, Practice

PAGES = 256  # of the inventory, copied at once
ROWS = 20_000  # of the journal
MIN_PASSPHRASE = 8
Tell = Callable[[int, int, str], None]  # done, total, what is done now

COPYING, PACKING, SEALING = "Copies the databases", "Packs", "Encrypts"


class Wanted(NamedTuple):
    """What a backup is to be. `passphrase` "": without secrets. `optional`: parts beside the usual ones."""

    passphrase: str = ""
    optional: frozenset[str] = frozenset()
    who: str = "console"
    occasion: str = "hand"


def quiet(_done: int, _total: int, _what: str) -> None:
    """Where nobody wants to know how far it is."""


def check_passphrase(text: str) -> None:
    """Raise OperatorError for one that is too short to keep anything."""
    if text and len(text) < MIN_PASSPHRASE:
        raise OperatorError(
            f"a passphrase has at least {MIN_PASSPHRASE} characters", "choose a longer one, or leave it empty"
        )


def make(
    state: StateDir,
    target: Path,
    wanted: Wanted,
    tell: Tell = quiet,
    now: Callable[[], float] = time.time,
    random: Callable[[int], bytes] = secrets.token_bytes,
    cost: int = seal.COST,
) -> Manifest:
    """Write a backup to `target` (mode 0600), whole or not at all. Raises OperatorError or OSError."""
    check_passphrase(wanted.passphrase)
    check_file(target)
    parts = contents.wanted(bool(wanted.passphrase), wanted.optional)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with work_folder(target.parent) as folder:
        meter = Meter(tell)
        rows, schema = copy_databases(state, folder, parts, meter)
        names = {name: folder / name for name in ("inventory.db", "journal.db")}
        names |= {name: path for part in parts for name, path in contents.files(state, part)}
        meter.begin(PACKING, sum(path.stat().st_size for path in names.values()))
        about = Manifest(
            made=now(), practice=_practice(folder / "inventory.db"), who=wanted.who, occasion=wanted.occasion,
            address=address(state), parts=parts, schema=schema, rows=rows,
        )  # fmt: skip
        plain, result = folder / "plain.zip", folder / "result.zip"
        manifest = archive.write(folder, names, plain, about, meter.add)
        if wanted.passphrase:
            lock, key = seal.lock(wanted.passphrase, random(16), cost)
            meter.begin(SEALING, plain.stat().st_size)
            cover = Cover(made=manifest.made, practice=manifest.practice, lock=lock)
            archive.cover_up(plain, result, cover, key, meter.add)
        else:
            plain.rename(result)
        _put(result, target)
    return manifest


class Meter:
    """Counts bytes for who watches."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.done = self.total = 0
        self.what = ""

    def begin(self, what: str, total: int) -> None:
        """Count anew towards `total`."""
        self.what, self.done, self.total = what, 0, max(total, 1)
        self.add(0)

    def add(self, count: int) -> None:
        """So much more is done."""
        self.done = min(self.done + count, self.total)
        self._tell(self.done, self.total, self.what)


@contextmanager
def work_folder(place: Path) -> Iterator[Path]:
    """A folder of our own in `place`, gone at the end; what lay there of a process that died goes too."""
    for old in place.glob(".work-*"):
        if time.time() - old.stat().st_mtime > 86_400:
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".work-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(result: Path, target: Path) -> None:
    result.chmod(0o600)
    with result.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(result, target)


def address(state: StateDir) -> str:
    """Where phones find this appliance, "" while the front does not say."""
    try:
        return str(ask(state.socket("front"), "status", timeout=1.0).get("phones", ""))
    except (Gone, Refused):
        return ""


def copy_databases(
    state: StateDir, folder: Path, parts: tuple[str, ...], meter: Meter
) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Both databases into `folder`, with what belongs to `parts` only: their rows by kind, and their schemas."""
    with database.explained(folder / "inventory.db"):
        rows = _copy_inventory(state.inventory, folder / "inventory.db", parts, meter)
    Journal.open(state.journal).close()  # so that both have the schema of this version
    Journal.open(folder / "journal.db").close()
    with database.explained(folder / "journal.db"):
        rows |= _copy_journal(state.journal, folder / "journal.db", parts, meter)
    known = {
        "inventory": _schema(folder / "inventory.db", inventory.migrations),
        "journal": _schema(folder / "journal.db", journal.migrations),
    }
    return rows, known


def _schema(path: Path, known: Migrations) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [migration.name for migration in known.applied(Database(connection, execute_plugins=False))]


def _copy_inventory(source: Path, target: Path, parts: tuple[str, ...], meter: Meter) -> dict[str, int]:
    Inventory.open(source).close()
    meter.begin(COPYING, source.stat().st_size)
    with closing(database.connect(source)) as held, closing(sqlite3.connect(target)) as copy:
        size = held.execute("PRAGMA page_size").fetchone()[0]
        held.backup(copy, pages=PAGES, progress=lambda *_: meter.add(PAGES * size))
        copy.execute("DELETE FROM audit")
        copy.execute("DELETE FROM tokens WHERE kind != 'api'")
        left_out = set(SECRET_KINDS | contents.USER_KINDS)
        for part in ("secrets", "users"):
            if part in parts:
                left_out -= {kind_of(kind) for kind in contents.RECORDS[part]}
        copy.executemany("DELETE FROM records WHERE kind = ?", [(kind,) for kind in left_out])
        if "secrets" not in parts:
            copy.execute("DELETE FROM meta WHERE key LIKE 'secret:%'")
        if "users" not in parts:
            copy.execute("DELETE FROM tokens")
        copy.commit()
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute("VACUUM")  # what was deleted is in the file until then
        return dict(copy.execute("SELECT kind, count(*) FROM records GROUP BY kind"))


def _copy_journal(source: Path, target: Path, parts: tuple[str, ...], meter: Meter) -> dict[str, int]:
    tables = [table for part in parts for table in contents.PARTS[part].tables]
    rows: dict[str, int] = {}
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("ATTACH ? AS live", (str(source),))
        copy.execute("PRAGMA synchronous = OFF")
        # What triggers keep is made anew where the rows are written again.
        for (name,) in copy.execute("SELECT name FROM main.sqlite_master WHERE type = 'trigger'").fetchall():
            copy.execute(f"DROP TRIGGER main.{name}")
        copy.execute("BEGIN")
        for table in tables:
            rows[table] = copy.execute(f"SELECT count(*) FROM live.{table}").fetchone()[0]  # noqa: S608
            meter.begin(COPYING, rows[table])
            _copy_table(copy, table, meter)
        copy.execute("COMMIT")
        copy.execute("DETACH live")
        copy.execute("PRAGMA journal_mode = DELETE")
    return rows


def _copy_table(copy: sqlite3.Connection, table: str, meter: Meter) -> None:
    """A table row by row in the order of row numbers, which may be any."""
    columns, last = ", ".join(COLUMNS[table]), -(1 << 63)
    statement = (
        f"INSERT INTO main.{table} (rowid, {columns}) SELECT rowid, {columns} FROM live.{table}"  # noqa: S608
        " WHERE rowid > ? ORDER BY rowid LIMIT ?"
    )
    while copied := copy.execute(statement, (last, ROWS)).rowcount:
        last = copy.execute(f"SELECT max(rowid) FROM main.{table}").fetchone()[0]  # noqa: S608
        meter.add(copied)


def _practice(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT body FROM records WHERE kind = 'practice'").fetchone()
    return msgspec.json.decode(row[0], type=Practice).name if row else ""
