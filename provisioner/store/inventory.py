"""The inventory: the records of the practice, who changed them, and the appliance's own secrets and tokens.

Safe to use from any thread. Every error of the file is an OperatorError: one line that says what to do.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlite_utils import Database, Migrations

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.store import audit, database, tokens
from provisioner.store.audit import Audit as Audit
from provisioner.store.audit import Wanted
from provisioner.store.records import APART_KINDS, KINDS, SECRET_KINDS, Practice, Record, Snapshot
from provisioner.store.tokens import TokenKind, Tokens

R = TypeVar("R", bound=Record)

_encode = msgspec.json.Encoder().encode
_CHANGED = '"changed"'  # stands for a secret in the audit log
_UNSET = Practice(id="practice", name="New practice", main_number="")

migrations = Migrations("inventory")


@migrations(name="1")
def _first(db: Database) -> None:
    db.table("records").create(
        {"kind": str, "id": str, "revision": int, "body": str},
        pk=("kind", "id"),
        not_null={"kind", "id", "revision", "body"},
    )
    db.table("audit").create(
        {
            "seq": int,
            "at": float,
            "who": str,
            "kind": str,
            "id": str,
            "revision": int,
            "before": str,
            "after": str,
        },
        pk="seq",
    )
    db.table("meta").create({"key": str, "value": str}, pk="key")
    db.table("meta").insert({"key": "revision", "value": "0"})
    tokens = db.table("tokens").create(
        {
            "id": int,
            "kind": str,
            "hash": str,
            "role": str,
            "created": float,
            "expires": float,
            "used": float,
        },
        pk="id",
    )
    tokens.create_index(["hash"], unique=True)


WELCOME_SECONDS = 7 * 86400.0  # for phones that were there before they had a secret path


@migrations(name="2")
def _proofs(db: Database) -> None:
    """Phones get a secret path and credentials; adoption that was `closed` is for the `adopted` only."""
    for row in list(db.query("SELECT kind, id, body FROM records WHERE kind IN ('practice', 'credential')")):
        body = msgspec.json.decode(row["body"])
        if row["kind"] == "credential":
            body.setdefault("http_user", row["id"])
            body.setdefault("http_password", secrets.token_hex(12))
            body.setdefault("path_secret", secrets.token_hex(16))
            body.setdefault("welcome_until", time.time() + WELCOME_SECONDS)
        elif body.get("adoption") == "closed":
            body["adoption"] = "adopted"
        db.table("records").update((row["kind"], row["id"]), {"body": _encode(body).decode()})


INSIDE = ("FLR", "UNIT", "ROOM", "SEAT", "LOC")  # RFC 5139 elements that say where in a building


@migrations(name="3")
def _places(db: Database) -> None:
    """Locations become parts of each other: those with one street address get a building that they are in."""
    rows = db.query("SELECT kind, id, body FROM records WHERE kind = 'location' ORDER BY id")
    bodies = {row["id"]: msgspec.json.decode(row["body"]) for row in rows}
    parts: dict[bytes, list[str]] = {}
    for name, body in bodies.items():
        if body.get("civic", {}).keys() & set(INSIDE):
            street = {key: value for key, value in body["civic"].items() if key not in INSIDE}
            parts.setdefault(msgspec.json.encode(street, order="sorted"), []).append(name)
    revision = int(next(db.query("SELECT value FROM meta WHERE key = 'revision'"))["value"])
    for key, names in parts.items():
        street = msgspec.json.decode(key)
        whole = next((name for name, body in bodies.items() if body.get("civic") == street), "")
        if street and not whole:
            whole = next(free for n in range(1, len(bodies) + 2) if (free := f"building-{n}") not in bodies)
            words = f"{street.get('HNO', '')} {street.get('RD', '')}".strip() or "Building"
            bodies[whole] = {"kind": "location", "id": whole, "name": words, "civic": street}
        for name in names:
            inside = {key: value for key, value in bodies[name]["civic"].items() if key in INSIDE}
            level = "floor" if set(inside) == {"FLR"} else "room"
            bodies[name] |= {"parent": whole, "level": level, "civic": inside}
    for name, body in bodies.items():
        db.execute(
            "INSERT INTO records (kind, id, revision, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            ("location", name, revision, _encode(body).decode()),
        )


@migrations(name="4")
def _carriage(db: Database) -> None:
    """Whether a trunk takes a location was yes or no; now it is how. What was sent is sent on."""
    took = ("generic", "bandwidth", "kamailio")
    for row in list(db.query("SELECT kind, id, body FROM records WHERE kind = 'trunk'")):
        body = msgspec.json.decode(row["body"])
        settings = body.setdefault("settings", {})
        if settings.pop("pidf_lo", body.get("profile", "generic") in took):
            settings.setdefault("location", "value")
        db.table("records").update((row["kind"], row["id"]), {"body": _encode(body).decode()})


@migrations(name="5")
def _people(db: Database) -> None:
    """Tokens say whose they are and what they are good for; who had one before there were roles was let do all."""
    tokens = db.table("tokens")
    for column in ("user", "name", "scopes", "address", "agent"):
        tokens.add_column(column, str, not_null_default="")
    tokens.add_column("seen", float)
    tokens.create_index(["user"])
    db.execute("UPDATE tokens SET role = 'administrator' WHERE role IN ('staff', 'admin')")
    audit = db.table("audit")
    audit.create_index(["kind", "id", "seq"])
    audit.create_index(["who", "seq"])
    audit.create_index(["at"])


@migrations(name="6")
def _searchable_audit(db: Database) -> None:
    """The audit log is searched by any three letters of its entries, and read by kind."""
    db.table("audit").create_index(["kind", "seq"])
    db.table("audit").create_index(["revision"])
    columns = ["who", "kind", "id", "before", "after"]
    db.table("audit").enable_fts(columns, fts_version="FTS5", tokenize="trigram", create_triggers=True)


class Conflict(ProvisionerError):  # noqa: N818
    """The record is not the one that the caller read: somebody changed it meanwhile."""


def kind_of(record_type: type[Record]) -> str:
    """The name of a record type in the database, `phone` for Phone."""
    return str(record_type.__struct_config__.tag)


_DECODERS = {kind_of(kind): msgspec.json.Decoder(kind) for kind in KINDS}


def _decode(kind: str, name: str, body: str) -> Record:
    try:
        return _DECODERS[kind].decode(body)
    except (msgspec.MsgspecError, KeyError):
        raise OperatorError(
            f"the inventory's {kind} {name} cannot be read", "put a backup of inventory.db back"
        ) from None


class Change:
    """One transaction of changes, made by `who`; all its records get the inventory's new revision."""

    def __init__(self, connection: sqlite3.Connection, who: str, at: float) -> None:
        self._connection = connection
        self._who = who
        self._at = at
        self.revision = _revision(connection) + 1
        self.made = 0

    def put(self, record: Record, revision: int | None = None) -> int:
        """Write `record` and return its revision; nothing is written when it is stored just so.

        `revision`: the stored record must have this one (0: there must be none), else Conflict.
        """
        kind, body = kind_of(type(record)), _encode(record).decode()
        stored = self._stored(kind, record.id, revision)
        if stored and stored["body"] == body:
            return int(stored["revision"])
        self._connection.execute(
            "INSERT INTO records (kind, id, revision, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET revision = excluded.revision, body = excluded.body",
            (kind, record.id, self.revision, body),
        )
        self._note(kind, record.id, stored["body"] if stored else None, body)
        return self.revision

    def delete(self, record_type: type[Record], name: str, revision: int | None = None) -> bool:
        """Delete the record with id `name`; False when there is none. `revision` as for `put`."""
        kind = kind_of(record_type)
        stored = self._stored(kind, name, revision)
        if stored is None:
            return False
        self._connection.execute("DELETE FROM records WHERE kind = ? AND id = ?", (kind, name))
        self._note(kind, name, stored["body"], None)
        return True

    def get(self, record_type: type[R], name: str) -> tuple[R, int] | None:
        """The record as this transaction sees it, with its revision."""
        return _get(self._connection, record_type, name)

    def all(self, record_type: type[R]) -> list[R]:
        """All records of one type as this transaction sees them, by id."""
        return _all(self._connection, record_type)

    def end_tokens(self, user: str, keep: str = "", api: bool = False) -> None:
        """End the sessions of `user`, apart from that of the token `keep`; with `api` their programs' tokens too."""
        tokens.end_all(self._connection, user, keep, api)

    def keep_secrets(self, secrets: dict[str, str]) -> None:
        """Make these rows of `meta` (`secret:…`) the appliance's own secrets, as of a backup."""
        for key, value in secrets.items():
            if key.startswith("secret:"):
                self._connection.execute(
                    "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (key, value),
                )
                self.made += 1

    def keep_tokens(self, rows: list[dict[str, Any]]) -> None:
        """Add tokens (hashes) that are not here, as of a backup."""
        for row in rows:
            columns = [name for name in row if name != "id"]
            marks = ", ".join("?" * len(columns))
            self._connection.execute(
                f"INSERT OR IGNORE INTO tokens ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
                [row[name] for name in columns],
            )
            self.made += 1

    def _stored(self, kind: str, name: str, revision: int | None) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(
            "SELECT revision, body FROM records WHERE kind = ? AND id = ?", (kind, name)
        ).fetchone()
        if revision is not None and revision != (row["revision"] if row else 0):
            raise _conflict(kind, name)
        return row

    def _note(self, kind: str, name: str, before: str | None, after: str | None) -> None:
        if kind in SECRET_KINDS:
            before, after = before and _CHANGED, after and _CHANGED
        self._connection.execute(
            "INSERT INTO audit (at, who, kind, id, revision, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._at, self._who, kind, name, self.revision, before, after),
        )
        self.made += 1


class Inventory:
    """`inventory.db`. `clock` gives seconds since 1970, `random` that many random bytes."""

    def __init__(
        self, path: Path, clock: Callable[[], float], random: Callable[[int], bytes], busy_seconds: float
    ) -> None:
        self._path = path
        self._clock = clock
        self._random = random
        self._connections = database.Connections(path, busy_seconds)
        self._mine = threading.local()
        self.tokens = Tokens(self._reading, self._writing, clock, random)

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
        busy_seconds: float = database.BUSY_SECONDS,
    ) -> Inventory:
        """Make the file if it is missing and bring it up to date. Raises OperatorError when it cannot."""
        with database.explained(path):
            database.prepare(path, migrations, busy_seconds)
        return cls(path, clock, random, busy_seconds)

    def close(self) -> None:
        """Close the file."""
        self._connections.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with database.explained(self._path):
            yield self._connections.get()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def get(self, record_type: type[R], name: str) -> tuple[R, int] | None:
        """The record with id `name` and its revision, None when there is none."""
        with self._reading() as connection:
            return _get(connection, record_type, name)

    def all(self, record_type: type[R]) -> list[R]:
        """All records of one type, by id."""
        with self._reading() as connection:
            return _all(connection, record_type)

    @contextmanager
    def change(self, who: str) -> Iterator[Change]:
        """One transaction, all or nothing; an exception inside undoes it. `who` is named in the audit log."""
        with self._writing() as connection:
            self._check_expected(connection)
            change = Change(connection, who, self._clock())
            yield change
            if change.made:
                connection.execute("UPDATE meta SET value = ? WHERE key = 'revision'", (change.revision,))

    @contextmanager
    def expecting(self, record_type: type[Record], name: str, fits: Callable[[int], bool]) -> Iterator[None]:
        """Inside, this thread's first change raises Conflict unless the revision of that record `fits` (0: none)."""
        self._mine.expected = (record_type, name, fits)
        try:
            yield
        finally:
            self._mine.expected = None

    def _check_expected(self, connection: sqlite3.Connection) -> None:
        expected = getattr(self._mine, "expected", None)
        if expected is None:
            return
        self._mine.expected = None  # what follows builds on a change of one's own
        record_type, name, fits = expected
        held = _get(connection, record_type, name)
        if not fits(held[1] if held else 0):
            raise _conflict(kind_of(record_type), name)

    def snapshot_revision(self) -> int:
        """The inventory's revision, without reading the rest; it grows with every change."""
        with self._reading() as connection:
            return _revision(connection)

    def snapshot(self) -> Snapshot:
        """Everything, as it is at one moment; before there is a practice, one with an empty main number."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                revision = _revision(connection)
                rows = connection.execute("SELECT kind, id, body FROM records ORDER BY kind, id").fetchall()
            finally:
                connection.execute("ROLLBACK")
        by_kind: dict[str, dict[str, Record]] = {kind: {} for kind in _DECODERS}
        for kind, name, body in rows:
            by_kind.setdefault(kind, {})[name] = _decode(kind, name, body)
        practice = by_kind.pop("practice").get("practice", _UNSET)
        fields = {f"{kind}s": records for kind, records in by_kind.items() if kind not in APART_KINDS}
        return Snapshot(revision=revision, practice=practice, **fields)  # type: ignore[arg-type]

    def audit(self, limit: int = 100, kind: str = "", name: str = "") -> list[Audit]:
        """The last changes, newest first; of one record when `kind` (`kind_of`) and its id are given."""
        return self.trail(limit, Wanted(kind=kind, name=name))

    def trail(self, limit: int, wanted: Wanted) -> list[Audit]:
        """The entries of the audit log that are `wanted`, the newest first."""
        with self._reading() as connection:
            return audit.search(connection, limit, wanted)

    def names_in_audit(self) -> list[str]:
        """Everybody who is named in the audit log."""
        with self._reading() as connection:
            return audit.names(connection)

    def audit_after(self, seq: int, kinds: Collection[str]) -> list[Audit]:
        """The changes of records of these kinds behind the one numbered `seq`, in their order."""
        marks = ", ".join("?" * len(kinds))
        sql = f"SELECT * FROM audit WHERE seq > ? AND kind IN ({marks}) ORDER BY seq"  # noqa: S608 - only marks
        with self._reading() as connection:
            rows = connection.execute(sql, (seq, *kinds)).fetchall()
        return [Audit(**dict(row)) for row in rows]

    def note(self, who: str, kind: str, name: str, told: Mapping[str, object]) -> None:
        """An entry of the audit log that is no record's: a sign-in, a token. `told` must hold no secret."""
        body = msgspec.json.encode(told).decode()
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO audit (at, who, kind, id, revision, before, after) VALUES (?, ?, ?, ?, ?, NULL, ?)",
                (self._clock(), who, kind, name, _revision(connection), body),
            )

    def secret(self, name: str) -> bytes:
        """The appliance's own secret of that name: 32 random bytes, made once."""
        key = f"secret:{name}"
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            with self._writing() as connection:
                connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, self._random(32).hex()))
                row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return bytes.fromhex(row["value"])

    def new_token(self, kind: TokenKind, seconds: float, role: str, **about: str) -> str:
        """A new token of `role`, good for `seconds`; only its SHA-256 is stored. `about`: fields of Token."""
        return self.tokens.new(kind, seconds, role, **about)

    def check_token(self, kind: TokenKind, token: str) -> str | None:
        """The role that `token` gives, None when it is not good. A sign-in token is good once."""
        found = self.tokens.check(kind, token)
        return found.role if found else None

    def revoke_token(self, kind: TokenKind, token: str) -> None:
        """Make `token` worthless at once (sign-out)."""
        self.tokens.revoke(kind, token)


def _conflict(kind: str, name: str) -> Conflict:
    return Conflict(f"{kind} {name} was changed by someone else meanwhile: read it again, then repeat")


def _revision(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()["value"])


def _get(connection: sqlite3.Connection, record_type: type[R], name: str) -> tuple[R, int] | None:
    kind = kind_of(record_type)
    row = connection.execute(
        "SELECT revision, body FROM records WHERE kind = ? AND id = ?", (kind, name)
    ).fetchone()
    return (_decode(kind, name, row["body"]), row["revision"]) if row else None  # type: ignore[return-value]


def _all(connection: sqlite3.Connection, record_type: type[R]) -> list[R]:
    kind = kind_of(record_type)
    rows = connection.execute("SELECT id, body FROM records WHERE kind = ? ORDER BY id", (kind,)).fetchall()
    return [_decode(kind, row["id"], row["body"]) for row in rows]  # type: ignore[misc]
