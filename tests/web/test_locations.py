"""Locations and phones in them: by the API and on the page of a phone; moved phones are a finding until confirmed."""

from __future__ import annotations

from typing import Any

import pytest
import web_practice as practice
from flask.testing import FlaskClient

from provisioner.emergency.moved import Whereabouts
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal

SUSPECT = {
    "mac": practice.POLYCOM,
    "location": "desk",
    "address": "10.9.9.9",
    "since": practice.NOW,
    "why": ["network"],
}


@pytest.fixture
def api(app: Any) -> FlaskClient:
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("api", 600, "administrator")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def moved(state: StateDir, edge: dict[str, Any]) -> dict[str, Any]:
    """The Polycom registers from elsewhere."""
    edge["status"] = {**practice.status(), "suspects": [SUSPECT]}
    held = Whereabouts(
        mac=practice.POLYCOM, location="desk", network="10.0.0.0/24", address="10.9.9.9", port="aa",
        since=practice.NOW, why=("network",),
    )  # fmt: skip
    import msgspec

    journal = Journal.open(state.journal)
    journal.write("whereabouts", {"mac": held.mac, "since": held.since, "body": msgspec.to_builtins(held)})
    assert journal.flush()
    journal.close()
    return edge


def snapshot(state: StateDir) -> Any:
    inventory = Inventory.open(state.inventory)
    try:
        return inventory.snapshot()
    finally:
        inventory.close()


ROOM = {"name": "Exam 3", "parent": "desk", "level": "room", "civic": {"ROOM": "3"}}


def test_a_location_is_made_shown_and_forgotten(
    api: FlaskClient, state: StateDir, edge: dict[str, Any]
) -> None:
    made = api.put("/api/v1/locations/exam", json=ROOM)
    assert (made.status_code, made.json["civic"]) == (200, {"ROOM": "3"})
    assert edge["reloads"] == 1
    shown = {row["id"]: row for row in api.get("/api/v1/locations").json["items"]}["exam"]
    assert (shown["own"], shown["civic"]["HNO"], shown["civic"]["ROOM"]) == ({"ROOM": "3"}, "500", "3")
    assert api.delete("/api/v1/locations/exam").status_code == 204
    assert "exam" not in snapshot(state).locations
    assert api.delete("/api/v1/locations/exam").status_code == 404


def test_a_location_in_use_stays(api: FlaskClient, state: StateDir) -> None:
    answer = api.delete("/api/v1/locations/desk")
    assert (answer.status_code, answer.json["title"]) == (409, "The location is in use")
    assert "desk" in snapshot(state).locations


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ([], 400, "'object'"),
        ({**ROOM, "parent": "attic"}, 422, "no location attic"),
        ({"name": 1}, 400, "expected 'str'"),
    ],
)
def test_a_location_that_cannot_be_kept(api: FlaskClient, body: Any, status: int, words: str) -> None:
    answer = api.put("/api/v1/locations/exam", json=body)
    assert answer.status_code == status
    assert words in answer.json["detail"]


def test_a_moved_phone_is_a_finding(api: FlaskClient, moved: dict[str, Any]) -> None:
    found = [each for each in api.get("/api/v1/status").json["findings"] if "moved" in each["what"]]
    assert [(each["level"], each["what"]) for each in found] == [
        ("bad", "1 phone may have been moved: 101 Front desk")
    ]
    assert "confirm" in found[0]["remedy"]
    rows = {row["mac"]: row["doubt"] for row in api.get("/api/v1/phones").json["items"]}
    assert rows[practice.POLYCOM] == "it registers from another network"
    assert rows[practice.YEALINK] == ""


def test_no_finding_without_a_suspect(api: FlaskClient, edge: dict[str, Any]) -> None:
    assert not [each for each in api.get("/api/v1/status").json["findings"] if "moved" in each["what"]]


def test_it_is_confirmed_by_the_api(api: FlaskClient, state: StateDir, moved: dict[str, Any]) -> None:
    answer = api.post(f"/api/v1/phones/{practice.POLYCOM}/location")
    assert answer.status_code == 200
    assert answer.json == {
        "kind": "placement",
        "id": practice.POLYCOM,
        "location": "desk",
        "network": "10.9.9.0/24",
        "neighbour": "aa",
        "at": practice.NOW,
        "who": "api token",
    }
    assert moved["reloads"] == 1
    assert snapshot(state).placements[practice.POLYCOM].location == "desk"


def test_it_is_placed_elsewhere_by_the_api(api: FlaskClient, state: StateDir) -> None:
    body = {"location": "lab"}
    assert api.post(f"/api/v1/phones/{practice.POLYCOM}/location", json=body).status_code == 200
    assert snapshot(state).phones[practice.POLYCOM].location == "lab"


@pytest.mark.parametrize(
    ("mac", "body", "status"),
    [
        ("aabbccddeeff", {}, 404),
        (practice.POLYCOM, {"location": "attic"}, 409),
        (practice.POLYCOM, {"location": 7}, 400),
        (practice.POLYCOM, [], 400),
    ],
)
def test_a_confirmation_that_says_nothing(api: FlaskClient, mac: str, body: Any, status: int) -> None:
    assert api.post(f"/api/v1/phones/{mac}/location", json=body).status_code == status


def test_it_is_confirmed_on_its_page(staff: FlaskClient, state: StateDir, moved: dict[str, Any]) -> None:
    page = staff.get(f"/staff/phones/{practice.POLYCOM}").get_data(as_text=True)
    assert "It may have been moved: it registers from another network" in page
    token = page.split('name="csrf" value="', 1)[1].split('"', 1)[0]
    path = f"/staff/phones/{practice.POLYCOM}/location"
    assert staff.post(path, data={"location": "desk"}).status_code in (400, 403)
    answer = staff.post(path, data={"location": "desk", "csrf": token})
    assert answer.status_code == 303
    assert snapshot(state).placements[practice.POLYCOM].who == "console link"


def test_nothing_is_asked_about_a_phone_at_its_place(staff: FlaskClient, edge: dict[str, Any]) -> None:
    page = staff.get(f"/staff/phones/{practice.POLYCOM}").get_data(as_text=True)
    assert "may have been moved" not in page


def test_b45_a_core_that_refuses_locations_is_a_finding(api: FlaskClient, edge: dict[str, Any]) -> None:
    def found() -> list[str]:
        return [
            each["what"] for each in api.get("/api/v1/status").json["findings"] if "refused" in each["what"]
        ]

    assert found() == []
    edge["status"]["counters"] |= {"location-refused": 2}
    assert found() == ["2 emergency calls went out without a location: the core refused it"]


def test_b78_a_phone_that_turned_a_call_back_away_is_a_finding(
    api: FlaskClient, edge: dict[str, Any]
) -> None:
    edge["status"]["counters"]["callback-refused"] = 1
    (found,) = [each for each in api.get("/api/v1/status").json["findings"] if "call back" in each["what"]]
    assert found["what"].startswith("1 call back of an emergency centre was turned away")
    assert found["level"] == "bad"
