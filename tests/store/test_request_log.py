"""Searches of the request log: what they find, that they read by indices, their pages, and what is deleted."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from provisioner.store import database, request_log
from provisioner.store.journal import Journal
from provisioner.store.request_log import Asked

NOW = 1_790_000_000.0
ONE, TWO = "001565000101", "0004f2000102"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal.open(path, clock=lambda: NOW)
    for number in range(12):
        journal.write(
            "requests",
            {
                "at": NOW - 1200 + number * 100,
                "mac": ONE if number % 2 else TWO,
                "address": f"192.0.2.{number % 3}",
                "method": "TFTP" if number == 4 else "GET",
                "path": f"/{number}_50%.cfg",
                "status": 404 if number % 4 == 3 else 200,
                "bytes": 10,
                "rule": "not-there" if number % 4 == 3 else "adopted",
                "agent": "=Yealink" if number % 2 else "Polycom",
            },
        )
    assert journal.flush()
    yield journal
    journal.close()


def ids(rows):
    return [row["id"] for row in rows]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Asked(), [12, 11, 10, 9, 8]),
        (Asked(mac=ONE), [12, 10, 8, 6, 4]),
        (Asked(macs=(ONE, TWO), status=404), [12, 8, 4]),
        (Asked(rule="not-there"), [12, 8, 4]),
        (Asked(rule="adopted", status=404), []),
        (Asked(address="192.0.2.1"), [11, 8, 5, 2]),
        (Asked(address="192.0.2.1", status=200), [11, 5, 2]),
        (Asked(method="TFTP"), [5]),
        (Asked(path="/7_50%.cfg"), [8]),
        (Asked(text="7_50%"), [8]),
        (Asked(text="7x50"), []),
        (Asked(text="yea"), [12, 10, 8, 6, 4]),
        (Asked(text="nothing", rules=("not-there",)), [12, 8, 4]),
        (Asked(text="nothing", part="f200"), [11, 9, 7, 5, 3]),
        (Asked(since=NOW - 250), [12, 11]),
        (Asked(until=NOW - 1000), [2, 1]),
        (Asked(since=NOW - 800, until=NOW - 600), [6, 5]),
        (Asked(since=NOW + 1), []),
        (Asked(until=NOW - 9000), []),
        (Asked(before=4), [3, 2, 1]),
        (Asked(after=10), [12, 11]),
        (Asked(after=2), [7, 6, 5, 4, 3]),
        (Asked(mac=ONE, after=2), [12, 10, 8, 6, 4]),
        (Asked(text="cfg", after=10), [12, 11]),
    ],
)
def test_what_is_found(journal, asked, found):
    assert ids(journal.requests(5, asked)) == found


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(before=9),
        Asked(after=9),
        *(Asked(**{name: "x"}) for name in ("mac", "rule", "address", "method", "path", "text")),
        Asked(status=404),
        Asked(rule="adopted", status=404),
        Asked(address="x", status=404, before=9),
        Asked(mac="x", rule="x", status=404, text="x"),
        Asked(macs=("x", "y")),
        Asked(text="x", rules=("y",), part="z", before=9),
        Asked(text="x", after=9),
        Asked(since=1.0, until=2.0, rule="x"),
        Asked(since=1.0),
    ],
)
def test_nothing_is_read_through(journal, path, asked):
    sql, values = request_log.query(asked, 50)
    with closing(database.connect(path)) as connection:
        plan = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert plan
    assert not [step for step in plan if step.startswith("SCAN requests") and "INDEX" not in step]
    sorted_together = bool(asked.macs)
    assert any("TEMP B-TREE" in step for step in plan) == sorted_together


def test_words_are_looked_for_in_a_part_of_the_log_only(journal, monkeypatch):
    monkeypatch.setattr(request_log, "WINDOW", 4)
    assert ids(journal.requests(50, Asked(text="cfg"))) == [12, 11, 10, 9]
    assert ids(journal.requests(50, Asked(text="cfg", before=9))) == [8, 7, 6, 5]
    assert ids(journal.requests(50, Asked(text="cfg", after=2))) == [6, 5, 4, 3]
    assert ids(journal.requests(50, Asked(mac=ONE, text="cfg"))) == [12, 10, 8, 6, 4, 2]


def test_one_and_the_last(journal):
    assert journal.request(5)["path"] == "/4_50%.cfg"
    assert journal.request(99) is None
    assert journal.last_request() == 12


def test_old_ones_are_deleted_some_at_a_time(journal, monkeypatch):
    monkeypatch.setattr("provisioner.store.journal.PURGED", 3)
    journal.purge_requests(NOW - 800)
    assert journal.flush()
    assert ids(journal.requests(50)) == [12, 11, 10, 9, 8, 7, 6, 5, 4]
    journal.purge_requests(NOW - 800)
    journal.purge_requests(NOW - 800)
    assert journal.flush()
    assert ids(journal.requests(50)) == [12, 11, 10, 9, 8, 7, 6, 5]


def test_as_csv(journal, monkeypatch):
    monkeypatch.setattr("provisioner.store.journal.PAGE", 2)
    rows = list(journal.walk_requests(Asked(mac=ONE), 5))
    assert ids(rows) == [12, 10, 8, 6, 4]
    table = list(csv.DictReader(request_log.lines(rows, ZoneInfo("America/Los_Angeles"))))
    assert table[0]["path"] == "/11_50%.cfg"
    assert table[0]["when"] == "2026-09-21T07:11:40-07:00"
    assert table[0]["agent"] == "'=Yealink"


def test_an_empty_log(path):
    journal = Journal.open(path, clock=lambda: NOW)
    assert journal.last_request() == 0
    assert journal.requests(5, Asked(text="x")) == []
    journal.close()
