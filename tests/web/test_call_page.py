"""One call on its page and in the API: live and past, in words, with its legs; and the pictures of many."""

from __future__ import annotations

import re
from typing import Any

import pytest
import web_practice as practice
from flask.testing import FlaskClient

from provisioner.store.journal import Journal
from provisioner.web import call_words

NOW = practice.NOW
STEPS, LEGS, ROW = practice.STEPS, practice.LEGS, practice.MOVED


def write(state: Any, *rows: tuple[str, dict[str, Any]]) -> None:
    journal = Journal.open(state.journal, clock=lambda: NOW)
    for table, row in rows:
        journal.write(table, row)
    assert journal.flush()
    journal.close()


def text(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    page = re.sub(r"<(?!/?title)[^>]*>", " ", answer.get_data(as_text=True))
    return re.sub(r"\s+", " ", page)


def test_a_transfer_is_told_step_by_step(staff: FlaskClient, edge: Any, state: Any) -> None:
    write(state, ("calls", ROW))
    page = text(staff, "/staff/calls/moved")
    told = [
        "0:00 (650) 555-0123 calls Main",
        "0:05 Front desk answers: they talk",
        "0:40 Front desk presses *: (650) 555-0123 hears music, Front desk the menu",
        "0:43 Front desk presses 1 and keys in the number",
        "0:48 Dr. Adams is called; (650) 555-0123 hears music",
        "0:52 Dr. Adams answers: Front desk and Dr. Adams talk, (650) 555-0123 hears music",
        "1:10 Front desk presses *: about to hand the call over",
        "1:15 (650) 555-0123 and Dr. Adams are connected; Front desk is free",
        "2:00 The call ends",
    ]
    places = [page.find(each) for each in told]
    assert -1 not in places
    assert places == sorted(places)


def test_its_parties_say_how_they_were_reached_and_how_they_sounded(
    staff: FlaskClient, edge: Any, state: Any
) -> None:
    write(state, ("calls", ROW))
    page = text(staff, "/staff/calls/moved")
    for words in (
        "trunk core", "198.51.100.5", "encrypted (SRTP)", "not encrypted", "busy", "PCMU",
        "good 4.3", "poor 3.3", "6.5 % lost, jitter 9.0 ms", "who called", "answered at 0:52", "Talked 1:55",
    ):  # fmt: skip
        assert words in page, words
    raw = staff.get("/staff/calls/moved").get_data(as_text=True)
    assert f'href="/staff/phones/{practice.POLYCOM}"' in raw
    assert not [one for one in re.findall(r'href="([^"]*)"', raw) if "0123" in one]


def test_who_heard_whom_is_drawn(staff: FlaskClient, edge: Any, state: Any) -> None:
    write(state, ("calls", ROW))
    hints = re.findall(
        r"<rect[^>]*><title>([^<]*)</title>", staff.get("/staff/calls/moved").get_data(as_text=True)
    )
    assert hints == [
        "(650) 555-0123: hears ringing",
        "(650) 555-0123: talks with Front desk",
        "(650) 555-0123: hears music",
        "(650) 555-0123: talks with Dr. Adams",
        "101 Front desk: rings",
        "101 Front desk: talks with (650) 555-0123",
        "101 Front desk: hears the menu",
        "101 Front desk: keys in the number",
        "101 Front desk: hears ringing",
        "101 Front desk: talks with Dr. Adams",
        "101 Front desk: hears the menu",
        "102 Dr. Adams: rings",
        "102 Dr. Adams: talks with Front desk",
        "102 Dr. Adams: hears music",
        "102 Dr. Adams: talks with (650) 555-0123",
        "103 Lab: rings",
    ]


def test_why_a_phone_that_rang_has_no_more_to_say(staff: FlaskClient, edge: Any, state: Any) -> None:
    rung = {"extension": "103", "called": True, "transport": "UDP", "from": 0.0, "to": 3.0}
    write(
        state,
        ("calls", {**ROW, "legs": [rung]}),
        ("calls", {**ROW, "id": "lost", "answered": None, "legs": [rung]}),
    )
    assert "another phone took it" in text(staff, "/staff/calls/moved")
    assert "did not answer" in text(staff, "/staff/calls/lost")


def test_all_calls_with_the_same_number_are_one_click_away(staff: FlaskClient, edge: Any, state: Any) -> None:
    write(state, ("calls", ROW))
    raw = staff.get("/staff/calls/moved").get_data(as_text=True)
    link = re.search(r'href="(/staff/calls\?find=[^"]*)"', raw)
    assert link
    found = staff.get(link[1]).get_data(as_text=True)
    assert "/staff/calls/moved" in found
    assert "/staff/calls/p1" in found  # the same patient
    assert "/staff/calls/p2" not in found


def test_a_live_call_has_its_page(staff: FlaskClient, edge: Any, legs: list[Any]) -> None:
    legs += [{**LEGS[1], "to": None}]
    page = text(staff, "/staff/calls/c1")
    assert "Transfer: talking to Dr. Adams (102), caller hears music" in page
    assert "Front desk" in page
    assert "told at the end" not in page  # this one has its quality
    assert 'hx-trigger="sse:call' in staff.get("/staff/calls/c1").get_data(as_text=True)


@pytest.fixture
def legs(state: Any) -> Any:
    """What the edge answers of the legs of a live call; takes the place of the usual stand-in."""
    said: list[Any] = []
    methods = {
        "status": lambda _: practice.status(),
        "legs": lambda args: {"legs": said if args["call"] == "c1" else []},
    }
    process = practice.Process(state, "edge", methods)
    yield said
    process.close()


def test_an_emergency_call_says_who_was_told(staff: FlaskClient, edge: Any, state: Any) -> None:
    notice = {"id": "n1", "call": "alarm", "at": NOW - 90, "channel": "mail", "target": "desk@example.com",
              "occasion": "placed", "state": "failed", "tries": 3, "problem": "no answer"}  # fmt: skip
    steps = [[1.0, "route silent"], [4.0, "route refused (503)"], [5.0, "talking"]]
    row = {
        **ROW,
        "id": "alarm",
        "direction": "emergency",
        "caller": "101",
        "called": "911",
        "desk": "101",
        "steps": steps,
    }
    row |= {"legs": None, "emergency": 1}
    write(state, ("calls", row), ("notices", notice))
    page = text(staff, "/staff/calls/alarm")
    assert "desk@example.com mail: no answer not told" in page
    assert "0:01 This way out says nothing: the next is tried" in page
    assert "0:04 This way out refused the call: the next is tried" in page


def test_a_call_nobody_knows(staff: FlaskClient, edge: Any) -> None:
    assert "No call has this address" in text(staff, "/staff/calls/none", 404)


def test_the_api_tells_the_same(api: FlaskClient, edge: Any, state: Any) -> None:
    write(state, ("calls", ROW))
    told = api.get("/api/v1/calls/moved").get_json()
    assert told["call"]["story"][0] == [0.0, "(650) 555-0123 calls Main"]
    assert [leg["quality"] for leg in told["legs"]] == ["good", "poor", "", ""]
    assert [leg["why"] for leg in told["legs"]] == ["", "", "busy", ""]
    assert api.get("/api/v1/calls/none").status_code == 404


@pytest.mark.parametrize(
    ("mos", "level", "word"),
    [
        (4.2, "good", "good"),
        (4.0, "good", "good"),
        (3.6, "warn", "fair"),
        (3.1, "bad", "poor"),
        (1.0, "bad", "bad"),
    ],
)
def test_a_score_in_words(app: Any, mos: float, level: str, word: str) -> None:
    with app.test_request_context():
        assert call_words.quality(mos) == (level, word)


@pytest.mark.parametrize(
    ("steps", "end", "states"),
    [
        ([], 9, ["ringing"]),
        ([[2, "talking"]], 9, ["ringing", "talking"]),
        (
            [[2, "talking"], [5, "joined 102"], [7, "menu"]],
            9,
            ["ringing", "talking", "joined", "talking", "menu"],
        ),
        ([[2, "something new"]], 1, ["ringing", "something new"]),
    ],
)
def test_moments(steps: list[Any], end: float, states: list[str]) -> None:
    found = call_words.moments({"steps": steps, "direction": "inbound", "desk": "101"}, end)
    assert [each.state for each in found] == states
    assert [each.start for each in found[1:]] == [each.end for each in found[:-1]]


def test_axis_marks_are_few_and_round() -> None:
    assert call_words.ticks(9) == [0, 2, 4, 6, 8]
    assert call_words.ticks(125) == [0, 30, 60, 90, 120]
    assert len(call_words.ticks(90_000)) <= 13


# pictures of many


def test_pictures_of_calls(staff: FlaskClient, edge: Any, state: Any) -> None:
    write(
        state, ("calls", ROW), ("calls", {**ROW, "id": "gone", "answered": None, "mos": None, "legs": None})
    )
    page = text(staff, "/staff/calls/trends")
    assert "Calls per hour, last 24 hours: 4 calls, 1 missed, 0 to emergency numbers" in page
    assert "lowest half hour 3.3, highest 3.3" in page
    assert "Lines by the mean sound of their calls, last 7 days" in page
    assert "Front desk 101 poor 3.30 1 1 6.5 % 9 ms" in page
    assert "Calls by weekday and hour, mean of the last 4 weeks; the busiest hour has 0.5" in page


def test_pictures_of_an_empty_log(staff: FlaskClient, edge: Any, state: Any, app: Any) -> None:
    state.journal.unlink()
    page = text(staff, "/staff/calls/trends")
    assert "Calls per hour, last 24 hours: 0 calls" in page
    assert "No call of these days was long enough to say" in page


def test_a_boot_storm(staff: FlaskClient, edge: Any, state: Any) -> None:
    storm = [
        ("requests", {"at": NOW - 300, "path": "/x.cfg", "status": 200 if at % 5 else 503})
        for at in range(50)
    ]
    write(state, *storm)
    page = text(staff, "/staff/requests/trends")
    assert "Requests of phones per minute, last two hours: 50 at most, 10 failed" in page


def test_lines_proven_by_933(staff: FlaskClient, edge: Any, state: Any) -> None:
    test = {
        "kind": "emergency-test",
        "mac": practice.POLYCOM,
        "extension": "101",
        "number": "",
        "outcome": "read back",
    }
    write(
        state,
        (
            "emergencies",
            {
                **test,
                "id": "t1",
                "at": NOW - 40 * 86400,
                "answered": None,
                "ended": NOW - 40 * 86400,
                "body": {},
            },
        ),
        (
            "emergencies",
            {**test, "id": "t2", "at": NOW - 3600, "answered": NOW - 3590, "ended": NOW - 3580, "body": {}},
        ),
    )
    page = text(staff, "/staff/emergency/matrix")
    assert "0 of 3 lines are proven by a call to 933" in page
    assert "out of date 1" in page
    assert "never tested 2" in page
    assert "passed, 2026-09-21" in page
    assert "failed, 2026-08-12" in page


def test_figures_by_the_api(api: FlaskClient, edge: Any, state: Any) -> None:
    write(state, ("calls", ROW), ("requests", {"at": NOW - 60, "path": "/x", "status": 503}))
    told = api.get("/api/v1/trends").get_json()
    assert [(row["calls"], row["transferred"], row["mos"]) for row in told["calls"] if row["mos"]] == [
        (1, 1, 3.3)
    ]
    assert told["lines"] == [
        {"extension": "101", "calls": 1, "poor": 1, "mos": 3.3, "loss": 6.5, "jitter_ms": 9.0}
    ]
    assert [row["failed"] for row in told["requests"]][-1] == 1
