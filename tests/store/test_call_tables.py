"""Tables of the call log: every query by an index, counters that add up, and the way there from before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from provisioner.store import call_log, call_tables, database, journal
from provisioner.store.call_log import MARKS, Search
from provisioner.store.journal import Journal
from tests.store.test_call_log import NOW
from tests.store.test_call_log import call as usual

STEPS = [[1.0, "talking"], [9.0, "joined 103"]]


def call(number: int, **more: Any) -> dict[str, Any]:
    """One that was answered."""
    return usual(number, **{"answered": NOW + number, "talk_seconds": 10.0, "emergency": 0, **more})


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journal.db", clock=lambda: NOW)
    yield opened
    opened.close()


def written(log: Journal, *rows: dict[str, Any]) -> None:
    for row in rows:
        log.write("calls", row)
    assert log.flush()


def ids(rows: Any) -> str:
    return "".join(row["id"][1:] for row in rows)


SEARCHES = [
    Search(),
    Search("busy"),
    Search("busy done", since=1.0, until=NOW + 9),
    Search("0142"),
    Search("nurses", ("102", "+14155550102")),
    Search(marks=("missed", "poor"), direction="inbound", extension="101"),
    Search("nothing", since=NOW),
]


def plan(connection: sqlite3.Connection, sql: str, values: list[Any]) -> str:
    return "; ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))


@pytest.mark.rule("log.search")
@pytest.mark.parametrize("search", SEARCHES)
def test_no_query_of_calls_scans_or_sorts_them(log: Journal, tmp_path: Path, search: Search) -> None:
    with closing(database.connect(tmp_path / "journal.db")) as connection:
        for sql, values in (call_log.newest(search, ("12065550142",), 5), call_log.oldest(search, (), 5)):
            told = plan(connection, sql, [*values, 50])
            assert "SCAN calls" not in told
            assert "TEMP B-TREE" not in told
            assert "SEARCH calls USING INTEGER PRIMARY KEY" in told
            assert ("call_words VIRTUAL TABLE" in told) == bool(call_log.expression(search))


@pytest.mark.parametrize(
    "sql",
    [
        call_tables.PURGE.replace(":before", "1").replace(":most", "9"),
        call_tables.FORGET.replace(":before", "1").replace(":most", "9"),
        "SELECT * FROM calls WHERE id = 'x'",
        "SELECT * FROM call_slots WHERE slot >= 1 AND slot < 9 ORDER BY slot",
        "SELECT * FROM request_minutes WHERE minute >= 1 ORDER BY minute",
        *(
            f"SELECT * FROM requests WHERE {name} = 1 ORDER BY id DESC LIMIT 9"
            for name in ("mac", "rule", "status")
        ),
        "SELECT * FROM requests WHERE id > 1 AND at >= 2 ORDER BY id",
    ],
)
def test_no_other_query_of_a_page_does(log: Journal, tmp_path: Path, sql: str) -> None:
    with closing(database.connect(tmp_path / "journal.db")) as connection:
        told = plan(connection, sql, [])
    assert "SEARCH" in told
    assert not {"SCAN calls", "SCAN requests", "TEMP B-TREE"} & set(told.split("; "))
    assert "TEMP B-TREE" not in told


@pytest.mark.rule("log.search")
@pytest.mark.parametrize(
    ("search", "found"),
    [
        *(
            (Search(marks=(mark,)), found)
            for mark, found in zip(MARKS, ("8721", "3", "4", "5", "6", "7", "2", "8"), strict=True)
        ),
        (Search(marks=("answered", "poor")), "8"),
        (Search(marks=("missed", "poor")), ""),
        (Search(direction="outbound"), "65"),
        (Search(extension="103"), "2"),
        (Search("ended", direction="internal"), "4"),
        (Search("206", extension="101"), "8321"),
        (Search("5550142"), "8321"),
        (Search("+1 (206) 555-0142"), "8321"),
    ],
)
def test_what_a_filter_finds(log: Journal, search: Search, found: str) -> None:
    lost = {"answered": None, "talk_seconds": 0.0}
    written(
        log,
        call(1),
        call(2, target="103", steps=STEPS),
        call(3, **lost, outcome="caller gave up"),
        call(4, **lost, direction="internal", caller="104", called="105", desk="104", outcome="busy, ended"),
        call(
            5,
            **lost,
            direction="outbound",
            caller="102",
            called="+13125550199",
            desk="102",
            outcome="no answer",
        ),
        call(
            6,
            **lost,
            direction="outbound",
            caller="102",
            called="+19005550199",
            desk="102",
            outcome="refused: premium",
        ),
        call(7, direction="emergency", caller="102", called="933", desk="102", emergency=1),
        call(8, mos=3.1, loss=5.0),
    )
    assert ids(log.calls(99, search)) == found
    assert ids(log.walk_calls(search)) == found[::-1]


def test_of_more_numbers_than_are_looked_at_the_newest_are(
    log: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_log, "MAX_NUMBERS", 2)
    written(log, *(call(number, caller=f"+1206555000{number}") for number in range(1, 5)))
    assert ids(log.calls(9, Search("5550"))) == "43"
    assert len(log.fragments(Search("5550"))) == 3


def test_a_row_that_is_written_again_keeps_its_place_and_is_found_by_its_new_words(log: Journal) -> None:
    written(log, call(1, outcome="first"), call(2), call(1, outcome="second", caller="+13125550111"))
    assert ids(log.calls()) == "21"
    assert ids(log.calls(9, Search("second"))) == "1"
    assert ids(log.calls(9, Search("first"))) == ""
    assert ids(log.calls(9, Search("3125550111"))) == "1"


def test_two_that_began_at_once_stand_one_behind_the_other(log: Journal) -> None:
    written(
        log,
        call(1),
        call(2, started=NOW + 1),
        call(3, started=NOW + 1),
        call(2, started=NOW + 1, outcome="again"),
    )
    assert ids(log.calls()) == "321"
    assert [row["position"] % 10 for row in log.calls()] == [2, 1, 0]


LEG = {"extension": "101", "mos": 4.0, "loss": 1.0, "jitter_ms": 2.0}


def test_half_hours_count_each_call_once(log: Journal) -> None:
    written(
        log,
        call(1),
        call(1, mos=3.0, loss=4.0, legs=[LEG]),
        call(2, mos=4.0, loss=0.0),
        call(3, answered=None),
    )
    written(log, call(2000, direction="outbound", emergency=1, steps=STEPS))
    first, second = log.call_slots(NOW, NOW + 3600)
    assert (first["direction"], second["direction"]) == ("inbound", "outbound")
    assert [first[name] for name in ("calls", "answered", "missed", "poor", "heard", "mos", "loss")] == [
        3,
        2,
        1,
        1,
        2,
        7.0,
        4.0,
    ]
    assert (second["emergency"], second["transferred"], second["slot"]) == (1, 1, first["slot"] + 1)
    assert log.call_slots(NOW + 3600, NOW + 7200) == []


def test_how_each_line_was_heard(log: Journal) -> None:
    bad = {**LEG, "extension": "102", "mos": 3.0, "loss": 9.0}
    written(
        log,
        call(1, legs=[LEG]),
        call(2, legs=[{**LEG, "mos": 3.0}, bad, {"extension": "", "mos": 1.0}, {"extension": "103"}]),
    )
    assert log.line_quality(NOW) == [
        {"extension": "102", "calls": 1, "poor": 1, "mos": 3.0, "loss": 9.0, "jitter": 2.0},
        {"extension": "101", "calls": 2, "poor": 1, "mos": 3.5, "loss": 1.0, "jitter": 2.0},
    ]
    written(log, call(2, legs=[LEG]))
    assert [(row["extension"], row["calls"], row["mos"]) for row in log.line_quality(NOW)] == [
        ("101", 2, 4.0)
    ]
    assert log.line_quality(NOW + 2 * 86400) == []


def test_requests_are_counted_by_minute(log: Journal) -> None:
    for second, status in ((0, 200), (1, 401), (2, 404), (3, 403), (61, 503), (62, None)):
        log.write("requests", {"at": NOW + second, "path": "/x.cfg", "status": status})
    assert log.flush()
    minute = int(NOW // 60)
    assert log.request_minutes(NOW) == [
        {"minute": minute, "requests": 4, "refused": 1, "failed": 0},
        {"minute": minute + 1, "requests": 2, "refused": 0, "failed": 1},
    ]


def test_calls_that_leave_take_their_numbers_along_and_stay_counted(log: Journal) -> None:
    written(log, call(1, caller="+13125550111"), call(5))
    log.purge_calls(NOW + 3)
    assert log.flush()
    assert ids(log.calls()) == "5"
    assert log.fragments(Search("3125550111")) == ()
    assert log.calls(9, Search("3125550111")) == []
    assert [row["calls"] for row in log.call_slots(NOW, NOW + 9)] == [2]


def test_a_journal_of_before_is_put_in_order_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as connection:
        before = [
            one for one in journal.migrations.pending(Database(":memory:")) if one.name != "call-tables"
        ]
        db = Database(connection)
        for migration in before:
            migration.fn(db)
        db["_sqlite_migrations"].insert_all(
            {"migration_set": "journal", "name": one.name, "applied_at": "then"} for one in before
        )
        for number, started in ((1, NOW + 5), (2, NOW), (3, NOW)):
            row = {**call(number, caller="+13125550111", emergency=0), "started": started, "steps": "[]"}
            db["calls"].insert(row)
        db["requests"].insert({"id": 1, "at": NOW, "status": 503})
        connection.commit()
    log = Journal.open(path, clock=lambda: NOW)
    assert log.flush()
    assert ids(log.calls()) == "132"
    assert ids(log.calls(9, Search("3125550111"))) == "132"
    assert [(row["calls"], row["answered"]) for row in log.call_slots(NOW, NOW + 9)] == [(3, 3)]
    assert [row["failed"] for row in log.request_minutes(NOW)] == [1]
    written(log, call(1, started=NOW + 5, outcome="again"))
    assert ids(log.calls(9, Search("again"))) == "1"
    log.close()
