"""The call log for staff: searched on the page and by API, exported; outside numbers for nobody else."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any

import pytest
import web_practice as practice
from flask.testing import FlaskClient

from provisioner.store.journal import Journal
from provisioner.web import call_log

NOW = practice.NOW


@pytest.fixture(autouse=True)
def past(state: Any) -> None:
    journal = Journal.open(state.journal)
    for number in range(3):
        journal.write(
            "calls",
            {"id": f"log{number}", "started": NOW - 86400 * number - 7200, "direction": "inbound",
             "caller": f"+1212456789{number}", "called": "+14155550100", "desk": "103", "outcome": "ended",
             "steps": [], "emergency": 0, "talk_seconds": 5.0, "ring_seconds": 1.0, "mos": 4.2, "loss": 0.5,
             "jitter_ms": 2.0},
        )  # fmt: skip
    assert journal.flush()
    journal.close()


def bearer(visitor: FlaskClient) -> dict[str, str]:
    inventory = visitor.application.extensions["provisioner"].inventory
    return {"Authorization": f"Bearer {inventory.new_token('api', 60, 'administrator')}"}


def searched(staff: FlaskClient, csrf: str, **form: str) -> tuple[str, str]:
    """The address that a search leads to, and its page."""
    answer = staff.post("/staff/calls/find", data={"csrf": csrf, **form})
    assert answer.status_code == 303
    return answer.location, staff.get(answer.location).get_data(as_text=True)


@pytest.mark.rule("log.search", "log.masked")
def test_the_page_searches_all_that_is_kept_and_no_address_says_what(
    staff: FlaskClient, csrf: str, edge: Any
) -> None:
    address, page = searched(staff, csrf, q=" (212) 456-7892 ")
    assert "/staff/calls/log2" in page
    assert "/staff/calls/log1" not in page
    assert "(212) 456-7892" in page
    assert "good" in page
    addresses = [address, *re.findall(r'(?:href|hx-get|action)="([^"]*)"', page)]
    assert any(one.startswith("/staff/calls.csv?find=") for one in addresses)
    assert not [one for one in addresses if "7892" in one]
    csv_of_it = next(one for one in addresses if one.startswith("/staff/calls.csv"))
    assert staff.get(csv_of_it).get_data(as_text=True).count("log2") == 1


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ({"show": "missed"}, ["gone", "log2"]),
        ({"show": "transferred"}, ["moved"]),
        ({"show": "poor"}, ["moved"]),
        ({"direction": "outbound"}, []),
        ({"extension": "102"}, ["moved"]),
        ({"since": "2026-09-21", "until": "2026-09-21"}, ["moved", "gone", "log0"]),
        ({"q": "Dr. Adams"}, ["moved"]),
        ({"q": "gave up", "since": "2026-09-22"}, []),
    ],
)
def test_filters(
    staff: FlaskClient, csrf: str, edge: Any, state: Any, form: dict[str, str], found: list[str]
) -> None:
    journal = Journal.open(state.journal)
    row = {"direction": "inbound", "caller": practice.PATIENT, "called": "+14155550100", "emergency": 0}
    journal.write(
        "calls", {**row, "id": "gone", "started": NOW - 3700, "outcome": "caller gave up", "steps": []}
    )
    steps = [[9, "talking"], [20, "joined 102"]]
    moved = {
        "id": "moved",
        "started": NOW - 3600,
        "answered": NOW - 3590,
        "desk": "102",
        "target": "102",
        "steps": steps,
    }
    journal.write("calls", {**row, **moved, "mos": 3.0, "outcome": "ended"})
    assert journal.flush()
    journal.close()
    _address, page = searched(staff, csrf, **form)
    shown = [
        one
        for one in re.findall(r'href="/staff/calls/(\w+)"', page)
        if one in ("moved", "gone", "log0", "log2")
    ]
    if form.get("show") == "missed":
        assert shown[0] == "gone"
    else:
        assert shown == found


def test_pages_of_the_log_are_led_to_by_where_the_last_ended(
    staff: FlaskClient, edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_log, "CALLS", 2)
    page = staff.get("/staff/calls?direction=inbound&q=inbound").get_data(as_text=True)
    seen = re.findall(r'href="/staff/calls/(\w+)"><time', page)
    while older := re.search(r'rel="next" href="([^"]*)"', page):
        assert "q=" not in older[1]
        page = staff.get(html.unescape(older[1])).get_data(as_text=True)
        assert "Newest" in page
        seen += re.findall(r'href="/staff/calls/(\w+)"><time', page)
    everything = staff.get("/staff/calls.csv?direction=inbound&q=inbound").get_data(as_text=True)
    assert seen == [row["id"] for row in csv.DictReader(io.StringIO(everything))][::-1]
    assert len(seen) == len(set(seen)) > 1


def test_what_is_no_seal_of_ours_finds_all(staff: FlaskClient, edge: Any) -> None:
    for sealed in ("x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "é"):
        assert "/staff/calls/log0" in staff.get("/staff/calls", query_string={"find": sealed}).get_data(
            as_text=True
        )


def test_a_viewer_may_search(app: Any, edge: Any) -> None:
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("sign-in", 60, "viewer")
    client.get(f"/staff/sign-in/{token}")
    page = client.get("/staff/calls").get_data(as_text=True)
    assert "Place a call" not in page
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    assert client.post("/staff/calls/find", data={"csrf": csrf, "q": "x"}).status_code == 303


@pytest.mark.rule("log.search")
def test_csv_has_what_the_page_was_asked_for(staff: FlaskClient, edge: Any) -> None:
    answer = staff.get("/staff/calls.csv?q=212456789")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert [row["id"] for row in rows] == ["log2", "log1", "log0"]


@pytest.mark.rule("log.search")
def test_the_api_searches_and_pages(visitor: FlaskClient, edge: Any) -> None:
    token = bearer(visitor)
    found = visitor.get("/api/v1/calls?q=212456789&limit=2", headers=token).get_json()
    assert [row["id"] for row in found["items"]] == ["log0", "log1"]
    rest = visitor.get(found["next"], headers=token).get_json()
    assert ([row["id"] for row in rest["items"]], rest["next"]) == (["log2"], None)
    assert rest["items"][0]["mos"] == 4.2


def test_the_api_finds_by_a_body_too(visitor: FlaskClient, edge: Any) -> None:
    token = bearer(visitor)
    found = visitor.post(
        "/api/v1/calls/search", json={"q": "+1 212 456 789", "limit": 2}, headers=token
    ).get_json()
    assert [row["id"] for row in found["items"]] == ["log0", "log1"]
    assert "456" not in found["next"]
    rest = visitor.get(found["next"], headers=token).get_json()
    assert ([row["id"] for row in rest["items"]], rest["next"]) == (["log2"], None)
    assert visitor.post("/api/v1/calls/search", json={"show": "x"}, headers=token).status_code == 400


@pytest.mark.parametrize(
    ("since", "found"), [("2026-09-20", ["log1", "log0"]), ("2026-09-20T13:00", ["log0"])]
)
def test_since_is_of_the_practices_zone(
    visitor: FlaskClient, edge: Any, since: str, found: list[str]
) -> None:
    answer = visitor.get(f"/api/v1/calls.csv?q=212456789&since={since}", headers=bearer(visitor))
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert [row["id"] for row in rows] == found


def test_a_date_that_is_none(visitor: FlaskClient, edge: Any) -> None:
    answer = visitor.get("/api/v1/calls?since=yesterday", headers=bearer(visitor))
    assert answer.status_code == 422
    assert "2026-03-31" in answer.get_json()["detail"]


@pytest.mark.rule("log.masked")
@pytest.mark.parametrize("path", ["/staff/calls", "/staff/calls.csv", "/api/v1/calls", "/api/v1/calls.csv"])
def test_nobody_else_sees_outside_numbers(visitor: FlaskClient, edge: Any, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 401
    assert "4567890" not in answer.get_data(as_text=True)


@pytest.mark.rule("log.masked")
def test_no_outside_number_in_metrics(visitor: FlaskClient, edge: Any) -> None:
    answer = visitor.get("/metrics", headers=bearer(visitor))
    assert "4567890" not in answer.get_data(as_text=True)
