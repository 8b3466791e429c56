"""The call log: searches over the journal's calls, and its form as CSV. Pure; the journal runs what is made here."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from provisioner.store.call_tables import MICRO
from provisioner.store.records import Snapshot

Row = dict[str, Any]

COLUMNS = (
    *(
        "id",
        "when",
        "direction",
        "from",
        "to",
        "extension",
        "target",
        "ring_seconds",
        "talk_seconds",
        "ended",
    ),
    *("emergency", "loss_percent", "jitter_ms", "mos", "steps"),
)
MAX_PARTIES = 100  # whose name fits a search
MAX_NUMBERS = 300  # outside numbers that a fragment may be of; of more, the newest
MIN_DIGITS = 3  # of a number, to be looked for
MARKS = ("answered", "missed", "busy", "unanswered", "refused", "emergency", "transferred", "poor")
_END = (1 << 63) - 1
_WORD = re.compile(r"[^\W_]+")
_SEPARATORS = str.maketrans("", "", " ()-.+/")
_FORMULA = ("=", "@", "-", "\t", "\r")  # how a spreadsheet knows a formula (OWASP, CSV injection)


class Search(NamedTuple):
    """Which calls: `text` in words of the row, digits of `text` in its numbers, or one of `parties` (exact).

    `since` and `until`: when they began, seconds since 1970. `marks`: of MARKS, all of which must hold; `direction`;
    `extension`: of a line that was in it. Empty: all.
    """

    text: str = ""
    parties: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    marks: tuple[str, ...] = ()
    direction: str = ""
    extension: str = ""


def named(snapshot: Snapshot, query: str) -> tuple[str, ...]:
    """Extensions and numbers of the practice whose name, or they themselves, fit what someone typed."""
    wanted = query.strip().lower()
    lines = [line for phone in snapshot.phones.values() for line in phone.lines]
    named = [(line.extension, line.name) for line in lines]
    named += [(number.id, number.label) for number in snapshot.numbers.values()]
    found = [value for value, name in named if wanted and (wanted == value or wanted in name.lower())]
    return tuple(found[:MAX_PARTIES])


def digits(text: str) -> str:
    """What someone typed as the digits of a number or of a part of one; "" when it is something else."""
    found = text.strip().translate(_SEPARATORS)
    return found if len(found) >= MIN_DIGITS and found.isdecimal() and found.isascii() else ""


def expression(search: Search, numbers: tuple[str, ...] = ()) -> str | None:
    """The search as an expression over `call_words`; "" for all calls, None where nothing can fit.

    `numbers`: digits of the outside numbers that `digits(search.text)` is a part of.
    """
    terms = [f'"q{mark}"' for mark in search.marks]
    terms += [
        f'"q{letter}{value}"' for letter, value in (("d", search.direction), ("x", search.extension)) if value
    ]
    if search.text.strip():
        fits = _fits(search, numbers)
        if not fits:
            return None
        terms.append(f"({' OR '.join(fits)})")
    return " AND ".join(terms)


def _fits(search: Search, numbers: tuple[str, ...]) -> list[str]:
    """What the text may mean, each alone enough."""
    fits = [_party(value) for value in search.parties]
    typed = digits(search.text)
    if typed:
        fits += [f'"qx{typed}"', *(f'"qn{number}"' for number in numbers[:MAX_NUMBERS])]
        if len(typed) == 3:
            fits.append(f'"qa{typed}"')
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", search.text) if not unicodedata.combining(letter)
    )
    words = _WORD.findall(plain)
    if words and not typed:
        quoted = [f'"{word}"' for word in words]
        fits.append(f"({' AND '.join(quoted)})")
    return fits


def _party(value: str) -> str:
    return f'"qn{value[1:]}"' if value.startswith("+") else f'"qx{value}"'


def newest(search: Search, numbers: tuple[str, ...], before: int = 0) -> tuple[str, list[float | str]]:
    """The query for the newest calls that fit, below the position `before` (0: all), and its values but the limit."""
    below = min(_position(search.until, _END), before or _END)
    return _query(search, numbers, _position(search.since, 0), below, "DESC")


def oldest(search: Search, numbers: tuple[str, ...], after: int) -> tuple[str, list[float | str]]:
    """The query for the oldest calls that fit, above the position `after`, and its values but the limit."""
    start = max(_position(search.since, 0), after + 1)
    return _query(search, numbers, start, _position(search.until, _END), "ASC")


def _query(
    search: Search, numbers: tuple[str, ...], start: int, end: int, order: str
) -> tuple[str, list[float | str]]:
    match = expression(search, numbers)
    if match is None:
        return "SELECT * FROM calls WHERE position < 0 LIMIT ?", []
    if not match:
        sql = f"SELECT * FROM calls WHERE position >= ? AND position < ? ORDER BY position {order} LIMIT ?"  # noqa: S608
        return sql, [start, end]
    # CROSS JOIN keeps the index outside: calls are looked up by what it found, in its order.
    sql = (
        "SELECT calls.* FROM call_words CROSS JOIN calls ON calls.position = call_words.rowid"  # noqa: S608
        " WHERE call_words MATCH ? AND call_words.rowid >= ? AND call_words.rowid < ?"
        f" ORDER BY call_words.rowid {order} LIMIT ?"
    )
    return sql, [match, start, end]


def _position(moment: float | None, default: int) -> int:
    return default if moment is None else max(0, min(int(moment * MICRO), _END))


def lines(rows: Iterable[Row], zone: tzinfo) -> Iterator[str]:
    """The rows as CSV (RFC 4180), a line each, after one with the names; times as in `zone`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    yield _taken(buffer)
    for row in rows:
        writer.writerow([safe(cell) for cell in _cells(row, zone)])
        yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _cells(row: Row, zone: tzinfo) -> list[object]:
    steps = "; ".join(f"{at:g} {what}" for at, what in row["steps"] or [])
    return [
        *(row["id"], datetime.fromtimestamp(row["started"], zone).isoformat(timespec="seconds")),
        *(row["direction"], row["caller"], row["called"], row["desk"], row["target"]),
        *(row["ring_seconds"], row["talk_seconds"], row["outcome"], "yes" if row["emergency"] else "no"),
        *(row["loss"], row["jitter_ms"], row["mos"], steps),
    ]


def safe(cell: object) -> object:
    """What the network sent must not run as a formula; a telephone number with its plus does not."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    formula = cell.startswith(_FORMULA) or (cell.startswith("+") and not cell[1:].isdecimal())
    return f"'{cell}" if formula else cell
