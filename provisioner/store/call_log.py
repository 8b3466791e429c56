"""The call log: searches over the journal's calls, and its form as CSV. Pure; the journal runs what is made here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from provisioner.store.records import Snapshot

Row = dict[str, Any]

PARTIES = ("caller", "called", "desk", "target")
WORDS = ("direction", "outcome")
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
MAX_PARTIES = 100  # of a search: SQLite takes a limited number of values
MIN_DIGITS = 3  # of a number, to be looked for
_SEPARATORS = str.maketrans("", "", " ()-.+/")
_FORMULA = ("=", "@", "-", "\t", "\r")  # how a spreadsheet knows a formula (OWASP, CSV injection)


class Search(NamedTuple):
    """Which calls: `text` in words of the row, digits of `text` in its numbers, or one of `parties` (exact).

    `since` and `until`: when they began, seconds since 1970. Empty: all.
    """

    text: str = ""
    parties: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None


def named(snapshot: Snapshot, query: str) -> tuple[str, ...]:
    """Extensions and numbers of the practice whose name, or they themselves, fit what someone typed."""
    wanted = query.strip().lower()
    lines = [line for phone in snapshot.phones.values() for line in phone.lines]
    named = [(line.extension, line.name) for line in lines]
    named += [(number.id, number.label) for number in snapshot.numbers.values()]
    found = [value for value, name in named if wanted and (wanted == value or wanted in name.lower())]
    return tuple(found[:MAX_PARTIES])


def where(search: Search) -> tuple[str, list[float | str]]:
    """The condition as SQL, with its values."""
    terms: list[str] = []
    values: list[float | str] = []
    for column, sign, value in (("started", ">=", search.since), ("started", "<", search.until)):
        if value is not None:
            terms.append(f"{column} {sign} ?")
            values.append(value)
    text = search.text.strip()
    if text:
        fits, found = _fits(text, search.parties)
        terms.append(f"({' OR '.join(fits)})")
        values += found
    return " AND ".join(terms) or "1", values


def _fits(text: str, parties: tuple[str, ...]) -> tuple[list[str], list[float | str]]:
    fits: list[str] = [f"{column} LIKE ? ESCAPE '\\'" for column in WORDS]
    values: list[float | str] = [f"%{escaped(text)}%"] * len(WORDS)
    digits = text.translate(_SEPARATORS)
    if len(digits) >= MIN_DIGITS and digits.isdecimal() and digits.isascii():
        fits += [f"{column} LIKE ?" for column in PARTIES]
        values += [f"%{digits}%"] * len(PARTIES)
    if parties:
        marks = ", ".join("?" * len(parties))
        fits += [f"{column} IN ({marks})" for column in PARTIES]
        values += [*parties] * len(PARTIES)
    return fits, values


def escaped(text: str) -> str:
    """A text as LIKE takes it, with `ESCAPE '\\'`."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


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
