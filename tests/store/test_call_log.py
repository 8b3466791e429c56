"""The call log: searched, walked, purged, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from provisioner import demo
from provisioner.store import journal
from provisioner.store.call_log import COLUMNS, Search, lines, named
from provisioner.store.journal import Journal

NOW = 1_800_000_000.0
PATIENT = "+12065550142"


def call(number: int, **more: Any) -> dict[str, Any]:
    row = {
        "id": f"c{number}",
        "started": NOW + number,
        "direction": "inbound",
        "caller": PATIENT,
        "steps": [],
    }
    return {**row, "called": "+14155550100", "desk": "101", "target": "", "outcome": "ended", **more}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journal.db", clock=lambda: NOW)
    for row in (
        call(1),
        call(2, caller="102", called="+12124567890", desk="102", direction="outbound", outcome="busy"),
        call(3, target="103", outcome="100% done_"),
        call(4, caller="101", called="911", direction="emergency", emergency=1),
    ):
        opened.write("calls", row)
    assert opened.flush()
    yield opened
    opened.close()


def ids(rows: Any) -> str:
    return "".join(row["id"][1:] for row in rows)


@pytest.mark.rule("log.search", "log.row")
@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), "4321"),
        (Search("busy"), "2"),
        (Search("EMERGENCY"), "4"),
        (Search("(206) 555-0142"), "31"),
        (Search("0142"), "31"),
        (Search("206"), "31"),
        (Search("14"), ""),
        (Search("911"), "4"),
        (Search("100%"), "3"),
        (Search("done_"), "3"),
        (Search("%"), ""),
        (Search("done busy"), ""),
        (Search("doné 100"), "3"),
        (Search("\\"), ""),
        (Search("' OR 1=1 --"), ""),
        (Search("nurses", ("102",)), "2"),
        (Search("billing", ("103",)), "3"),
        (Search("nobody", ("999",)), ""),
        (Search(since=NOW + 2, until=NOW + 4), "32"),
        (Search("busy", since=NOW + 3), ""),
    ],
)
def test_what_a_search_finds(log: Journal, search: Search, found: str) -> None:
    assert ids(log.calls(100, search)) == found
    assert ids(log.walk_calls(search)) == found[::-1]


def test_the_next_page_begins_where_the_last_ended(log: Journal) -> None:
    first = log.calls(2)
    assert ids(first) == "43"
    assert ids(log.calls(2, before=first[-1]["position"])) == "21"


def test_names_lead_to_extensions_and_numbers() -> None:
    snapshot = demo.snapshot("sip:192.0.2.1")
    assert named(snapshot, "Nurses") == ("102", "+14155550102")
    assert named(snapshot, "main") == (demo.MAIN,)
    assert named(snapshot, "102") == ("102",)
    assert named(snapshot, "") == ()


def test_all_are_walked_where_many_began_at_once(log: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAGE", 3)
    for number in range(10, 20):
        log.write("calls", call(number, started=NOW + 9))
    assert log.flush()
    assert ids(log.walk_calls()) == "1234" + "".join(str(number) for number in range(10, 20))


@pytest.mark.rule("log.search")
def test_old_calls_leave_some_at_a_time(log: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PURGED", 2)
    log.purge_calls(NOW + 4)
    assert log.flush()
    assert ids(log.calls()) == "43"
    log.purge_calls(NOW + 4)
    assert log.flush()
    assert ids(log.calls()) == "4"


@pytest.mark.rule("log.search")
def test_csv(log: Journal) -> None:
    log.write(
        "calls",
        call(5, started=1_774_972_800.0, ring_seconds=3.0, talk_seconds=61.5, mos=4.31, loss=0.2, jitter_ms=1.0,
             steps=[[1.5, "menu"], [4, "dialling 103"]], emergency=0),
    )  # fmt: skip
    assert log.flush()
    text = "".join(lines(log.walk_calls(), ZoneInfo("America/Los_Angeles")))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.startswith(",".join(COLUMNS) + "\r\n")
    assert ids(rows) == "51234"
    assert rows[0] == {
        "id": "c5",
        "when": "2026-03-31T09:00:00-07:00",
        "direction": "inbound",
        "from": PATIENT,
        "to": "+14155550100",
        "extension": "101",
        "target": "",
        "ring_seconds": "3.0",
        "talk_seconds": "61.5",
        "ended": "ended",
        "emergency": "no",
        "loss_percent": "0.2",
        "jitter_ms": "1.0",
        "mos": "4.31",
        "steps": "1.5 menu; 4 dialling 103",
    }
    assert rows[4]["emergency"] == "yes"


@pytest.mark.parametrize("sent", ["=1+1", "@SUM(A1)", "-2+3", "+1+cmd|' /C calc'!A0", "\tx", "\rx"])
def test_what_a_caller_sent_is_no_formula(log: Journal, sent: str) -> None:
    log.write("calls", call(9, caller=sent))
    assert log.flush()
    text = "".join(lines(log.walk_calls(Search(since=NOW + 9)), ZoneInfo("UTC")))
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["from"] == f"'{sent}"
