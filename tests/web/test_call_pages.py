"""The call log for staff: searched on the page and by API, exported; outside numbers for nobody else."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import web_practice as practice
from flask.testing import FlaskClient

from provisioner.store.journal import Journal

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


@pytest.mark.rule("log.search")
def test_the_page_searches_all_that_is_kept(staff: FlaskClient, edge: Any) -> None:
    page = staff.get("/staff/calls?q=(212)+456-7892").get_data(as_text=True)
    assert "log2" not in page  # no steps, so no id
    assert "(212) 456-7892" in page
    assert "(212) 456-7891" not in page
    assert "/staff/calls.csv?q=(212)+456-7892" in page
    assert "4.2" in page


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
