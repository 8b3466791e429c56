"""The log of requests: searches over the journal's requests that read a page of rows and no more. Pure.

A request that came later has a larger `id`: pages go by it. What an index answers is read from the index; words of
paths and agents are looked for in the newest `WINDOW` requests before where somebody is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from sqlite_utils import Database

from provisioner.store.call_log import safe

Row = dict[str, Any]
WINDOW = 50_000  # requests that one search for words looks through: about 20 ms
MAX_MACS = 20  # phones of a search: their requests are sorted together
INDEXED = ("mac", "rule", "status", "address")  # the others are words
# Ids grow with time: the oldest few are looked at, so that nothing else is read when there is nothing to delete.
PURGE = "DELETE FROM requests WHERE id IN (SELECT id FROM requests ORDER BY id LIMIT :most) AND at < :before"
COLUMNS = ("when", "mac", "address", "method", "path", "status", "bytes", "rule", "agent")


class Asked(NamedTuple):
    """Which requests: those whose `mac`, `rule`, `status` (0: any), `address`, `method` or `path` is this one.

    `macs`: one of these; `text`: in path, agent or address, or `part` in the MAC, or one of `rules`. `since`, `until`:
    when, seconds since 1970. `before`: only those with a smaller `id`; `after`: with a larger one (0: from the end).
    """

    mac: str = ""
    rule: str = ""
    status: int = 0
    address: str = ""
    method: str = ""
    path: str = ""
    macs: tuple[str, ...] = ()
    text: str = ""
    part: str = ""
    rules: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    before: int = 0
    after: int = 0


def index(db: Database) -> None:
    """The indices by which requests are found; each has `id` at its end, as SQLite's do."""
    requests = db.table("requests")
    for name in ("at", *INDEXED):
        requests.create_index([name], index_name=f"requests_by_{name}")


def query(asked: Asked, limit: int) -> tuple[str, list[float | str]]:
    """The SQL that reads a page, with its values; the newest first, those after `after` the oldest first."""
    terms, values = _terms(asked)
    for name, sign in (("before", "<"), ("after", ">")):
        if bound := getattr(asked, name):
            terms.append(f"id {sign} ?")
            values.append(bound)
    # Times are found by their index: it would be no help to the order.
    for sign, at, order in ((">=", asked.since, "at"), ("<", asked.until, "at DESC")):
        if at is not None:
            edge = f"SELECT id FROM requests WHERE at {sign} ? ORDER BY {order} LIMIT 1"  # noqa: S608
            terms.append(
                f"id {'>=' if sign == '>=' else '<='} coalesce(({edge}), {'9e18' if sign == '>=' else '0'})"
            )
            values.append(at)
    if bounded(asked):
        if asked.after:
            terms.append(f"id <= ? + {WINDOW}")
            values.append(asked.after)
        else:
            start = "?" if asked.before else "(SELECT max(id) + 1 FROM requests)"
            terms.append(f"id >= {start} - {WINDOW}")
            values += [asked.before] if asked.before else []
    order = "id" if asked.after else "id DESC"
    where = " AND ".join(terms) or "id > 0"
    return f"SELECT * FROM requests WHERE {where} ORDER BY {order} LIMIT {limit:d}", values  # noqa: S608


def bounded(asked: Asked) -> bool:
    """Whether only a part of the log is looked through: where what an index finds may be nearly all of it."""
    if asked.mac or asked.macs:
        return False
    words = bool(asked.text or asked.path or asked.method)
    return words or bool(asked.address and (asked.rule or asked.status)) or bool(asked.rule and asked.status)


def _terms(asked: Asked) -> tuple[list[str], list[float | str]]:
    terms: list[str] = []
    values: list[float | str] = []
    for name in ("mac", "rule", "status", "address", "method", "path"):
        if value := getattr(asked, name):
            terms.append(f"{name} = ?")
            values.append(value)
    if asked.macs:
        terms.append(f"mac IN ({', '.join('?' * len(asked.macs))})")
        values += asked.macs
    if asked.text:
        like = f"%{_escaped(asked.text)}%"
        fits = [f"{name} LIKE ? ESCAPE '\\'" for name in ("path", "agent", "address")]
        values += [like] * len(fits)
        if asked.part:
            fits.append("mac LIKE ?")
            values.append(f"%{asked.part}%")
        if asked.rules:
            fits.append(f"rule IN ({', '.join('?' * len(asked.rules))})")
            values += asked.rules
        terms.append(f"({' OR '.join(fits)})")
    return terms, values


def _escaped(text: str) -> str:
    """A text as LIKE takes it, with `ESCAPE '\\'`."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def lines(rows: Iterable[Row], zone: tzinfo) -> Iterator[str]:
    """The rows as CSV (RFC 4180), a line each, after one with the names; times as in `zone`."""
    yield _line(COLUMNS)
    for row in rows:
        at = datetime.fromtimestamp(row["at"], zone).isoformat(timespec="seconds")
        yield _line([at, *(safe(row[name]) for name in COLUMNS[1:])])


def _line(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
