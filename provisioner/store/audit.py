"""The audit log: its entries, and finding them by who, what, when and any words."""

from __future__ import annotations

import sqlite3

import msgspec

SHORTEST = 3  # letters of a word that is searched: the index holds threes


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one record; `before` and `after` are JSON, null where there was or is none.

    Entries of no record (sign-ins, tokens) have what happened in `after`.
    """

    seq: int
    at: float
    who: str
    kind: str
    id: str
    revision: int
    before: str | None
    after: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: what is empty does not matter. `since`, `until`: seconds since 1970; `before`: a `seq`.

    `text`: any part of a name, id or value, in three letters or more.
    """

    who: str = ""
    kind: str = ""
    name: str = ""
    since: float = 0.0
    until: float = 0.0
    before: int = 0
    revision: int = 0
    text: str = ""


def search(connection: sqlite3.Connection, limit: int, wanted: Wanted) -> list[Audit]:
    """The newest entries that are `wanted`; everything by an index."""
    where, values = ["1"], list[object]()
    for column, value in (("who", wanted.who), ("kind", wanted.kind), ("id", wanted.name)):
        if value:
            where.append(f"{column} = ?")
            values.append(value)
    if wanted.since:
        where.append("seq >= (SELECT coalesce(min(seq), 1 << 62) FROM audit WHERE at >= ?)")
        values.append(wanted.since)
    if wanted.until:
        where.append("seq < (SELECT coalesce(min(seq), 1 << 62) FROM audit WHERE at >= ?)")
        values.append(wanted.until)
    if wanted.before:
        where.append("seq < ?")
        values.append(wanted.before)
    if wanted.revision:
        where.append("seq IN (SELECT seq FROM audit WHERE revision = ?)")
        values.append(wanted.revision)
    for word in wanted.text.split():
        where.append("seq IN (SELECT rowid FROM audit_fts WHERE audit_fts MATCH ?)")
        values.append('"' + word.replace('"', '""') + '"')
    sql = f"SELECT * FROM audit WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"  # noqa: S608 - our own words
    return [Audit(**dict(row)) for row in connection.execute(sql, (*values, limit)).fetchall()]


def names(connection: sqlite3.Connection) -> list[str]:
    """Everybody who is named, in order; each is found by one look into the index of names."""
    sql = (
        "WITH RECURSIVE each(who) AS (SELECT min(who) FROM audit UNION ALL"
        " SELECT (SELECT min(who) FROM audit WHERE who > each.who) FROM each WHERE each.who IS NOT NULL)"
        " SELECT who FROM each WHERE who > ''"
    )
    return [row[0] for row in connection.execute(sql).fetchall()]
