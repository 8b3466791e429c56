"""The journal: what is queued is written, nobody waits, and a bad file or row loses nothing else."""

import queue
import sqlite3
import stat

import pytest

from provisioner.errors import OperatorError
from provisioner.store import database, journal
from provisioner.store.journal import Journal

NOW = 1_800_000_000.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def opened(path):
    kept = Journal.open(path, clock=lambda: NOW)
    yield kept
    kept.close()


def call(number, **more):
    return {"id": f"c{number}", "started": NOW + number, **more}


def test_a_call_comes_back_as_it_was_written(opened):
    row = {
        "id": "c1",
        "started": NOW,
        "answered": NOW + 2,
        "ended": NOW + 9,
        "direction": "inbound",
        "caller": "+12125550199",
        "called": "+14155550100",
        "desk": "102",
        "target": "103",
        "outcome": "joined",
        "emergency": False,
        "steps": [[3.5, "menu"], [5.0, "dialling 103"]],
        "ring_seconds": 2.0,
        "talk_seconds": 7.0,
        "loss": 0.5,
        "jitter_ms": 3.0,
        "mos": 4.3,
        "legs": [{"extension": "102", "mos": 4.3}],
    }
    opened.write("calls", row)
    assert opened.flush()
    assert opened.calls() == [{**row, "position": int(NOW) * 1_000_000}]
    assert opened.call("c1") == opened.calls()[0]
    assert opened.call("c2") is None


def test_the_same_call_again_replaces_the_row(opened):
    opened.write("calls", call(1))
    opened.write("calls", call(1, outcome="answered", emergency=True))
    assert opened.flush()
    assert [(row["outcome"], row["emergency"]) for row in opened.calls()] == [("answered", True)]


def test_calls_and_requests_come_newest_first(opened):
    for number in (1, 3, 2):
        opened.write("calls", call(number))
        opened.write("requests", {"at": NOW, "path": f"/{number}.cfg", "status": 200})
    assert opened.flush()
    assert [row["id"] for row in opened.calls(2)] == ["c3", "c2"]
    assert [row["path"] for row in opened.requests(2)] == ["/2.cfg", "/3.cfg"]


def test_a_sighting_keeps_the_first_time_and_what_was_known(opened):
    opened.write(
        "sightings", {"mac": "m", "vendor": "yealink", "model": "T46S", "last_seen": NOW, "rule": "wait"}
    )
    opened.write("sightings", {"mac": "m", "vendor": "", "model": "", "last_seen": NOW + 5, "address": "::1"})
    assert opened.flush()
    assert opened.sightings() == [
        {
            "mac": "m",
            "vendor": "yealink",
            "model": "T46S",
            "agent": None,
            "address": "::1",
            "first_seen": NOW,
            "last_seen": NOW + 5,
            "rule": "wait",
            "firmware": None,
        }
    ]


def test_firmware_is_kept_when_a_later_request_does_not_tell(opened, path):
    for version in ("5.9.7.4477", "", "6.3.0.1"):
        opened.write("sightings", {"mac": f"m{version}", "last_seen": NOW, "firmware": version})
        opened.write("sightings", {"mac": "m", "last_seen": NOW, "firmware": version})
    opened.write("sightings", {"mac": "m", "last_seen": NOW, "firmware": ""})
    assert opened.flush()
    assert opened.versions() == {"m": "6.3.0.1", "m5.9.7.4477": "5.9.7.4477", "m6.3.0.1": "6.3.0.1"}
    assert Journal(path.with_name("none.db")).versions() == {}


def test_what_was_served_is_kept_once_a_file_and_its_skeleton_while_it_is_used(opened):
    def served(skeleton, at, name="a.cfg"):
        row = {"id": skeleton, "at": at, "format": "lines", "text": f"x = {skeleton}", "settings": {"n": 1}}
        opened.write("skeletons", row)
        opened.write("served", {"mac": "m", "name": name, "at": at, "skeleton": skeleton, "own": ["m", ""]})

    served("s1", NOW)
    served("s2", NOW, "b.cfg")
    served("s3", NOW + 10)
    assert opened.flush()
    found = opened.served("m")
    assert [(row["name"], row["text"], row["own"]) for row in found] == [
        ("a.cfg", "x = s3", ["m", ""]),
        ("b.cfg", "x = s2", ["m", ""]),
    ]
    assert found[0]["settings"] == {"n": 1}
    assert opened.served("other") == []
    served("s4", NOW + 4000)
    assert opened.flush()
    served("s4", NOW + 4001)
    assert opened.flush()
    left = [row["id"] for row in opened._read("SELECT id FROM skeletons ORDER BY id")]
    assert left == ["s2", "s4"]


def test_registrations_last_until_they_expire(opened, path):
    body = {"address": ["127.0.0.1", 5060]}
    opened.write("registrations", {"extension": "101", "contact": "a", "body": body, "expires": NOW + 60})
    opened.write("registrations", {"extension": "102", "contact": "b", "body": {}, "expires": NOW + 60})
    opened.write("registrations", {"extension": "102", "contact": "b", "body": {}, "expires": 0})
    assert opened.flush()
    assert opened.registrations() == [{"extension": "101", "contact": "a", "body": body, "expires": NOW + 60}]
    assert Journal(path, clock=lambda: NOW + 60).registrations() == []


def test_a_row_that_is_no_good_is_counted_and_the_others_are_written(opened, caplog):
    opened.write("nowhere", {"id": 1})
    opened.write("calls", {"id": "c0", "nothing": 1})
    opened.write("calls", {"id": object()})
    opened.write("calls", {"id": "c0", "steps": [object()]})
    opened.write("calls", {"id": "c0", "started": 1 << 70})
    opened.write("calls", call(1))
    assert opened.flush()
    assert [row["id"] for row in opened.calls()] == ["c1"]
    assert opened.dropped == 5
    assert "a row for nowhere is no good (KeyError)" in caplog.text


def test_a_full_queue_drops_the_oldest(path, monkeypatch):
    monkeypatch.setattr(journal, "MAX_QUEUED", 3)
    waiting = Journal(path, clock=lambda: NOW)  # its thread does not run yet
    for number in range(5):
        waiting.write("calls", call(number))
    assert waiting.dropped == 2
    waiting._thread.start()
    assert waiting.flush()
    assert [row["id"] for row in waiting.calls()] == ["c4", "c3", "c2"]
    waiting.close()


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("emergencies", {"id": "e1", "at": NOW}),
        ("resyncs", {"job": "j1", "mac": "0004f2000001", "at": NOW}),
    ],
)
def test_rows_are_gathered_into_few_transactions_but_some_wait_for_nothing(opened, monkeypatch, table, row):
    monkeypatch.setattr(journal, "GATHER_SECONDS", 1000)
    write, batches = opened._writer.write, queue.SimpleQueue()

    def told(batch):
        batches.put([name for name, _ in batch])
        return write(batch)

    monkeypatch.setattr(opened._writer, "write", told)
    opened.write("calls", call(1))
    assert batches.get(timeout=10) == ["calls"]
    opened.write("calls", call(2))
    opened.write("calls", call(3))
    opened.write(table, row)
    assert batches.get(timeout=10) == ["calls", "calls", table]
    opened.write("calls", call(4))
    assert opened.flush()
    assert [row["id"] for row in opened.calls()] == ["c4", "c3", "c2", "c1"]


def test_what_is_queued_is_written_on_closing(path):
    kept = Journal.open(path, clock=lambda: NOW)
    kept.write("calls", call(1))
    kept.close()
    assert [row["id"] for row in kept.calls()] == ["c1"]


def test_requests_and_sightings_are_bounded(path, monkeypatch):
    (sql,) = (sql for sql, kept in journal._TRIM if kept == journal.KEPT_REQUESTS)
    monkeypatch.setattr(journal, "_TRIM", [(sql, 100), *journal._TRIM])
    kept = Journal.open(path, clock=lambda: NOW)
    for number in range(105):
        kept.write("requests", {"at": NOW, "path": str(number)})
    for number in range(journal.KEPT_SIGHTINGS + 5):
        kept.write("sightings", {"mac": str(number), "last_seen": NOW + number})
    assert kept.flush()
    assert len(kept.requests(99_999)) == 100
    assert len(kept.sightings(99_999)) == journal.KEPT_SIGHTINGS
    assert kept.sightings(99_999)[-1]["mac"] == "5"
    kept.close()


def damaged(path):
    return [file.name for file in path.parent.iterdir() if "damaged" in file.name]


def test_a_garbage_file_is_put_aside_and_a_new_one_begun(path, caplog):
    path.write_bytes(b"garbage, " * 1000)
    kept = Journal.open(path, clock=lambda: NOW)
    kept.write("calls", call(1))
    assert kept.flush()
    assert [row["id"] for row in kept.calls()] == ["c1"]
    assert damaged(path) == ["journal.db.damaged-1800000000"]
    assert "journal.db is damaged; it is now journal.db.damaged-1800000000" in caplog.text
    kept.close()


def test_a_file_that_becomes_garbage_while_open_is_put_aside(opened, path):
    opened.write("calls", call(1))
    assert opened.flush()
    path.write_bytes(b"garbage, " * 1000)
    opened.write("calls", call(2))
    assert opened.flush()
    assert [row["id"] for row in opened.calls()] == ["c2"]
    assert damaged(path)


def test_a_file_that_was_deleted_is_made_anew(opened, path):
    path.unlink()
    opened.write("calls", call(2))
    assert opened.flush()
    assert [row["id"] for row in opened.calls()] == ["c2"]


def test_a_file_that_another_process_replaced_is_not_put_aside_twice(opened, path):
    opened._writer._put_aside()
    assert damaged(path) == []


def test_a_locked_file_keeps_the_rows_and_says_so_once(path, caplog, monkeypatch):
    monkeypatch.setattr(journal, "RETRY_SECONDS", 0.01)
    connect = database.connect
    monkeypatch.setattr(database, "connect", lambda path, busy_seconds=0: connect(path, 0.0))
    kept = Journal.open(path, clock=lambda: NOW)
    holder = connect(path)
    holder.execute("BEGIN IMMEDIATE")
    kept.write("calls", call(1))
    assert not kept.flush(0.1)
    assert caplog.text.count("journal.db is locked by another program") == 1
    holder.close()
    assert kept.flush()
    assert [row["id"] for row in kept.calls()] == ["c1"]
    assert kept.dropped == 0
    kept.close()


def test_closing_does_not_wait_for_a_file_that_cannot_be_written(tmp_path, caplog):
    kept = Journal.open(tmp_path / "none" / "journal.db")
    kept.write("calls", call(1))
    kept.close()
    assert not kept._thread.is_alive()
    assert "cannot be opened (No such file or directory)" in caplog.text


def test_reading_a_garbage_file_says_what_to_do(path):
    path.write_bytes(b"garbage, " * 1000)
    with pytest.raises(OperatorError, match="is not a database"):
        Journal(path).calls()


def test_queries_share_a_connection_until_another_file_takes_the_place(opened, path, monkeypatch):
    opened.write("calls", call(1))
    assert opened.flush()
    made = []
    connect = database.connect
    monkeypatch.setattr(database, "connect", lambda path, busy=5.0: made.append(path) or connect(path, busy))
    assert [row["id"] for row in opened.calls()] == ["c1"]
    assert opened.call("c1")
    assert made == [path]
    path.unlink()
    opened.write("calls", call(2))
    assert opened.flush()
    made.clear()
    assert [row["id"] for row in opened.calls()] == ["c2"]
    assert made == [path]


def test_a_query_that_fails_leaves_no_connection_behind(opened, path, monkeypatch):
    opened.write("calls", call(1))
    assert opened.flush()
    for _again in range(2):
        with pytest.raises(OperatorError, match="cannot be used"):
            opened._read("SELECT * FROM nothing")
    assert opened._pool._idle == []
    assert [row["id"] for row in opened.calls()] == ["c1"]


def test_the_file_is_for_this_user_only(opened, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


WITH_NAMES = ("calls", "skeletons", "emergencies", "notices")  # whose id is a name, not a number of SQLite's


def test_every_column_that_is_written_is_in_the_schema(opened, path):
    connection = sqlite3.connect(path)
    for table, columns in journal.COLUMNS.items():
        stored = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        stored = [column for column in stored if column != "position"]
        assert [column for column in stored if column != "id" or table in WITH_NAMES] == columns
    connection.close()
