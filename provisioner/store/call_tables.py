"""The call log's tables: calls by when they began, the words that they are found by, and counters for pictures.

A call's `position` is when it began, in microseconds since 1970 (one more where two began at once), and its row's
number: order, time ranges and pages are all one walk along the table. `call_words` says for each call by which tokens
it is found (`call_log.expression`); `callers` holds each outside number once, to find the numbers that a fragment is
of. Triggers keep both, and the counters, in the transaction that writes the row. Counters name nobody, and outlive the
calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlite_utils import Database

Row = dict[str, Any]

COLUMNS = [
    *("id", "started", "answered", "ended", "direction", "caller", "called", "desk", "target", "outcome"),
    *("emergency", "steps", "ring_seconds", "talk_seconds", "loss", "jitter_ms", "mos", "legs"),
]
POOR = 3.6  # a mean opinion score below it: many users are dissatisfied (ITU-T G.107, annex B)
SLOT = 1800  # seconds; half an hour is what zones differ by at least
MICRO = 1_000_000
KEPT_SLOTS = 2 * 366 * 48
KEPT_DAYS = 400
KEPT_MINUTES = 8 * 1440

_PARTIES = ("caller", "called", "desk", "target")
_HOW = """CASE WHEN {0}.answered IS NOT NULL THEN 'answered' WHEN {0}.outcome LIKE 'refused%' THEN 'refused'
 WHEN {0}.direction = 'inbound' THEN 'missed' WHEN {0}.outcome LIKE '%busy%' THEN 'busy' ELSE 'unanswered' END"""
_TRANSFERRED = "(coalesce({0}.steps, '') LIKE '%\"joined%' OR coalesce({0}.outcome, '') = 'transferred')"


def _party(column: str) -> str:
    """The tokens of one party: an extension, or an outside number with its area code."""
    return (
        f"CASE WHEN {column} LIKE '+1__________' THEN ' qn' || substr({column}, 2) || ' qa' || substr({column}, 3, 3)"
        f" WHEN {column} LIKE '+%' THEN ' qn' || substr({column}, 2)"
        f" WHEN {column} > '' THEN ' qx' || {column} || ' ' || {column} ELSE '' END"
    )


_WORDS = " || ".join([
    "coalesce(direction, '') || ' qd' || coalesce(direction, '') || ' ' || coalesce(outcome, '')",
    *(_party(column) for column in _PARTIES),
    f"' q' || {_HOW.format('calls')}",
    "CASE WHEN emergency THEN ' qemergency' ELSE '' END",
    f"CASE WHEN {_TRANSFERRED.format('calls')} THEN ' qtransferred' ELSE '' END",
    f"CASE WHEN mos < {POOR} THEN ' qpoor' ELSE '' END",
])  # fmt: skip

_TABLES = (
    """CREATE TABLE calls (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, started FLOAT, answered FLOAT, ended FLOAT,
  direction TEXT, caller TEXT, called TEXT, desk TEXT, target TEXT, outcome TEXT, emergency INTEGER, steps TEXT,
  ring_seconds FLOAT, talk_seconds FLOAT, loss FLOAT, jitter_ms FLOAT, mos FLOAT, legs TEXT)""",
    f"CREATE VIEW call_texts AS SELECT position, {_WORDS} AS words FROM calls",  # noqa: S608 - our own words
    """CREATE VIRTUAL TABLE call_words USING fts5(words, content='call_texts', content_rowid='position',
  tokenize='porter unicode61', detail='none', columnsize=0)""",
    "CREATE TABLE callers (number INTEGER PRIMARY KEY, digits TEXT NOT NULL UNIQUE, last INTEGER NOT NULL)",
    "CREATE INDEX callers_last ON callers (last)",
    """CREATE VIRTUAL TABLE caller_digits USING fts5(digits, content='callers', content_rowid='number',
  tokenize='trigram')""",
    """CREATE TABLE call_slots (slot INTEGER, direction TEXT, calls INTEGER, answered INTEGER, missed INTEGER,
  emergency INTEGER, transferred INTEGER, poor INTEGER, talk FLOAT, heard INTEGER, mos FLOAT, loss FLOAT,
  PRIMARY KEY (slot, direction)) WITHOUT ROWID""",
    """CREATE TABLE line_days (day INTEGER, extension TEXT, calls INTEGER, poor INTEGER, mos FLOAT, loss FLOAT,
  jitter FLOAT, PRIMARY KEY (day, extension)) WITHOUT ROWID""",
)


def _words_in(row: str) -> str:
    return (
        "INSERT INTO call_words (rowid, words)"  # noqa: S608 - our own words
        f" SELECT position, words FROM call_texts WHERE position = {row}.position"
    )


def _words_out(row: str) -> str:
    return (
        "INSERT INTO call_words (call_words, rowid, words)"  # noqa: S608 - our own words
        f" SELECT 'delete', position, words FROM call_texts WHERE position = {row}.position"
    )


def _count(row: str, sign: str) -> str:
    """The call's share of its half hour, added or taken away."""
    names = (
        "calls",
        "answered",
        "missed",
        "emergency",
        "transferred",
        "poor",
        "talk",
        "heard",
        "mos",
        "loss",
    )
    how = _HOW.format(row)
    shares = (
        "1", f"({how}) = 'answered'", f"({how}) = 'missed'", f"coalesce({row}.emergency, 0) <> 0",
        _TRANSFERRED.format(row), f"coalesce({row}.mos < {POOR}, 0)", f"coalesce({row}.talk_seconds, 0)",
        f"({row}.mos IS NOT NULL)", f"coalesce({row}.mos, 0)", f"coalesce({row}.loss, 0)",
    )  # fmt: skip
    values = ", ".join(f"{sign}({share})" for share in shares)
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
    return (
        f"INSERT INTO call_slots (slot, direction, {', '.join(names)}) SELECT"
        f" {row}.position / {SLOT * MICRO}, coalesce({row}.direction, ''), {values} WHERE true"
        f" ON CONFLICT DO UPDATE SET {added}"
    )


def _judge(row: str, sign: str, source: str = "") -> str:
    """What the desk phones of the call heard, added to their day or taken away; `source`: of a whole table of calls."""
    names = ("calls", "poor", "mos", "loss", "jitter")
    shares = ("1", f"mos < {POOR}", "mos", "coalesce(loss, 0)", "coalesce(jitter, 0)")
    values = ", ".join(f"{sign}sum({share})" for share in shares)
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
    return (
        f"INSERT INTO line_days (day, extension, {', '.join(names)}) SELECT day, extension, {values} FROM"  # noqa: S608
        f" (SELECT {row}.position / {86400 * MICRO} AS day, value ->> 'extension' AS extension,"
        " value ->> 'mos' AS mos, value ->> 'loss' AS loss, value ->> 'jitter_ms' AS jitter"
        f" FROM {source}json_each({row}.legs)) WHERE extension > '' AND mos IS NOT NULL"
        f" GROUP BY day, extension ON CONFLICT DO UPDATE SET {added}"
    )


def _meet(row: str) -> list[str]:
    """Outside numbers of the call, and when they last called or were called."""
    return [
        f"INSERT INTO callers (digits, last) SELECT substr({row}.{column}, 2), {row}.position"
        f" WHERE {row}.{column} LIKE '+%' ON CONFLICT (digits) DO UPDATE SET last = max(last, excluded.last)"
        for column in _PARTIES
    ]


def _trigger(name: str, when: str, statements: list[str]) -> str:
    return f"CREATE TRIGGER {name} {when} BEGIN {'; '.join(statements)}; END"


_FTS_DELETE = (
    "INSERT INTO caller_digits (caller_digits, rowid, digits) VALUES ('delete', OLD.number, OLD.digits)"
)
TRIGGERS = (
    _trigger(
        "calls_in", "AFTER INSERT ON calls", [_words_in("NEW"), _count("NEW", "+"), _judge("NEW", "+"), *_meet("NEW")]
    ),
    _trigger("calls_change", "BEFORE UPDATE ON calls", [_words_out("OLD")]),
    _trigger(
        "calls_changed", "AFTER UPDATE ON calls",
        [
            *(_words_in("NEW"), _count("OLD", "-"), _count("NEW", "+")),
            *(_judge("OLD", "-"), _judge("NEW", "+"), *_meet("NEW")),
        ],
    ),
    _trigger("calls_out", "BEFORE DELETE ON calls", [_words_out("OLD")]),
    _trigger(
        "callers_in", "AFTER INSERT ON callers",
        ["INSERT INTO caller_digits (rowid, digits) VALUES (NEW.number, NEW.digits)"],
    ),
    _trigger("callers_out", "AFTER DELETE ON callers", [_FTS_DELETE]),
)  # fmt: skip

# A call that is written again keeps its place; where two began at the same microsecond, the second stands behind.
_PLACE = """(SELECT max(free) FROM (WITH RECURSIVE places(free) AS (VALUES(:position)
 UNION ALL SELECT free + 1 FROM places WHERE EXISTS (SELECT 1 FROM calls WHERE position = free AND id <> :id))
 SELECT free FROM places))"""
INSERT = (
    f"INSERT INTO calls (position, {', '.join(COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES (coalesce((SELECT position FROM calls WHERE id = :id), {_PLACE}),"
    f" {', '.join(f':{column}' for column in COLUMNS)})"
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in COLUMNS[1:])}"
)
PURGE = """DELETE FROM calls WHERE position IN
 (SELECT position FROM calls WHERE position < :before ORDER BY position LIMIT :most)"""
FORGET = """DELETE FROM callers WHERE number IN
 (SELECT number FROM callers WHERE last < :before ORDER BY last LIMIT :most)"""
TRIM = (
    ("DELETE FROM call_slots WHERE slot <= (SELECT max(slot) FROM call_slots) - ?", KEPT_SLOTS),
    ("DELETE FROM line_days WHERE day <= (SELECT max(day) FROM line_days) - ?", KEPT_DAYS),
    (
        "DELETE FROM request_minutes WHERE minute <= (SELECT max(minute) FROM request_minutes) - ?",
        KEPT_MINUTES,
    ),
)

_REQUESTS = (
    "CREATE INDEX requests_mac ON requests (mac, id)",
    "CREATE INDEX requests_rule ON requests (rule, id)",
    "CREATE INDEX requests_status ON requests (status, id)",
    "CREATE TABLE request_minutes (minute INTEGER PRIMARY KEY, requests INTEGER, refused INTEGER, failed INTEGER)",
)
# 401 is how a phone is asked for its password, 404 the answer to files that not every phone has.
_MINUTE = """INSERT INTO request_minutes (minute, requests, refused, failed)
 SELECT cast({at} / 60 AS INTEGER), {sum}(1),
 {sum}(coalesce({status}, 0) BETWEEN 400 AND 499 AND {status} NOT IN (401, 404)),
 {sum}(coalesce({status}, 0) >= 500) {source}
 ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, refused = refused + excluded.refused,
 failed = failed + excluded.failed"""
COUNT_REQUESTS = _MINUTE.format(
    at="at", status="status", sum="sum", source="FROM requests WHERE at IS NOT NULL GROUP BY 1"
)
REQUEST_TRIGGER = _trigger(
    "requests_in", "AFTER INSERT ON requests",
    [_MINUTE.format(at="NEW.at", status="NEW.status", sum="", source="WHERE NEW.at IS NOT NULL")],
)  # fmt: skip


def place(started: object) -> int:
    """The position of a call that began at `started`, seconds since 1970, were it alone."""
    return int(float(started) * MICRO) if isinstance(started, int | float) else 0


def create(db: Database) -> None:
    """Put the calls that there are in their order, and index and count all of them, once."""
    db.execute("ALTER TABLE calls RENAME TO calls_before")
    db.execute("DROP INDEX IF EXISTS calls_searched")
    for statement in _TABLES:
        db.execute(statement)
    names = ", ".join(COLUMNS[:-1])
    rows = db.conn.execute(f"SELECT {names} FROM calls_before ORDER BY started, id")  # noqa: S608 - our own names
    marks = ", ".join("?" * len(COLUMNS))
    db.conn.executemany(f"INSERT INTO calls (position, {names}) VALUES ({marks})", _placed(rows))  # noqa: S608
    db.execute("DROP TABLE calls_before")
    rebuild(db.conn)
    for statement in TRIGGERS:
        db.execute(statement)


def _placed(rows: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
    last = -1
    for row in rows:
        last = max(place(row[1]), last + 1)
        yield (last, *row)


def rebuild(connection: Any) -> None:
    """Index and count calls that no trigger saw."""
    connection.execute("INSERT INTO call_words (call_words) VALUES ('rebuild')")
    for column in _PARTIES:
        connection.execute(
            f"INSERT INTO callers (digits, last) SELECT substr({column}, 2), max(position) FROM calls"  # noqa: S608
            f" WHERE {column} LIKE '+%' GROUP BY {column}"
            " ON CONFLICT (digits) DO UPDATE SET last = max(last, excluded.last)"
        )
    connection.execute("INSERT INTO caller_digits (caller_digits) VALUES ('rebuild')")
    connection.execute(_counted())
    connection.execute(_judge("calls", "+", "calls, "))


def _counted() -> str:
    """All calls' shares at once, in the words of `_count`."""
    statement = _count("calls", "+").replace("WHERE true", "FROM calls WHERE true GROUP BY 1, 2")
    head, shares, rest = statement.partition("coalesce(calls.direction, ''), ")
    body, where, tail = rest.partition(" FROM calls WHERE true")
    return head + shares + body.replace("+(", "sum(") + where + tail


def create_minutes(db: Database) -> None:
    """What the request log is searched by, and its counters, once from what is there."""
    for statement in _REQUESTS:
        db.execute(statement)
    db.execute(COUNT_REQUESTS)
    db.execute(REQUEST_TRIGGER)
