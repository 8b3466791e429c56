"""Orders to phones from page and API: what the edge is asked, what became of each phone, retirement, new secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient
from test_pages import text

from provisioner.edge.jobs import State
from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.phones.adopt import credential
from provisioner.store.journal import Journal
from provisioner.store.records import Credential
from provisioner.web.orders import STATES, UNDER_WAY

JOB = "feedfeedfeedfeed"


@pytest.fixture
def asked(state: StateDir) -> Iterator[dict[str, Any]]:
    """The edge notes what it is asked; `refused` and `fails` say what it answers."""
    said: dict[str, Any] = {"resync": [], "reloads": 0, "refused": [], "fails": ""}

    def resync(args: dict[str, Any]) -> dict[str, Any]:
        said["resync"].append(args)
        if said["fails"]:
            raise OperatorError(said["fails"], "do this")
        return {"job": JOB, "refused": said["refused"], "states": {}}

    def reload(_args: dict[str, Any]) -> dict[str, Any]:
        said["reloads"] += 1
        return {"revision": 2}

    process = practice.Process(
        state, "edge", {"resync": resync, "reload": reload, "status": lambda _: practice.status()}
    )
    yield said
    process.close()


@pytest.fixture
def api(app: Flask) -> FlaskClient:
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("api", 60, "administrator")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def put_job(state: StateDir, **states: str) -> None:
    journal = Journal.open(state.journal, clock=lambda: practice.NOW)
    file = ["x.cfg", practice.NOW - 20, 200, 41]
    for mac, phone_state in states.items():
        done = phone_state == "back"
        body = {
            "extension": "101",
            "note": "" if done else "It is in a call",
            "sent": practice.NOW - 30 if done else 0.0,
            "status": 200 if done else 0,
            "files": [file] if done else [],
            "registered": practice.NOW - 10 if done else 0.0,
        }
        row = {"job": JOB, "mac": mac, "at": practice.NOW - 60, "who": "Kim", "mode": "resync", "wave": 1}
        journal.write("resyncs", {**row, "state": phone_state, "body": body})
    assert journal.flush()
    journal.close()


def test_ticked_phones_are_told(staff: FlaskClient, csrf: str, asked: dict[str, Any]) -> None:
    form = {"csrf": csrf, "mac": [practice.POLYCOM, practice.YEALINK], "mode": "resync"}
    answer = staff.post("/staff/jobs", data=form)
    assert (answer.status_code, answer.location) == (303, f"/staff/jobs/{JOB}")
    assert asked["resync"] == [
        {"macs": [practice.POLYCOM, practice.YEALINK], "mode": "resync", "who": "console link"}
    ]
    assert asked["reloads"] == 0


def test_all_phones_are_told(staff: FlaskClient, csrf: str, asked: dict[str, Any]) -> None:
    staff.post("/staff/jobs", data={"csrf": csrf, "mac": practice.POLYCOM, "all": "all", "mode": "restart"})
    assert asked["resync"][0]["macs"] == "all"


@pytest.mark.parametrize(
    ("form", "words"), [({}, "Tick the phones first"), ({"mac": "nonsense"}, "no MAC address")]
)
def test_order_to_nobody(
    staff: FlaskClient, csrf: str, asked: dict[str, Any], form: dict[str, str], words: str
) -> None:
    answer = staff.post("/staff/jobs", data={"csrf": csrf, "mode": "resync", **form})
    assert answer.status_code == 409
    assert words in answer.get_data(as_text=True)
    assert asked["resync"] == []


def test_refusal_and_an_edge_that_is_away_are_said(
    staff: FlaskClient, csrf: str, asked: dict[str, Any], state: StateDir
) -> None:
    asked["fails"] = "it is in a job"
    form = {"csrf": csrf, "mac": practice.POLYCOM, "mode": "resync"}
    answer = staff.post("/staff/jobs", data=form)
    assert answer.status_code == 409
    assert "it is in a job: do this" in answer.get_data(as_text=True)


def test_edge_that_is_away(staff: FlaskClient, csrf: str) -> None:
    form = {"csrf": csrf, "mac": practice.POLYCOM, "mode": "resync"}
    answer = staff.post("/staff/jobs", data=form)
    assert (answer.status_code, b"does not answer" in answer.data) == (409, True)


def test_page_of_a_job(staff: FlaskClient, asked: dict[str, Any], state: StateDir) -> None:
    put_job(state, **{practice.POLYCOM: "back", practice.YEALINK: "busy"})
    page = text(staff, f"/staff/jobs/{JOB}")
    assert "Back 1" in page
    assert "Waits 1" in page
    assert "Waits It is in a call" in page
    assert "answered 200" in page
    assert "x.cfg" in page
    assert "inventory 41" in page
    assert "Phones go in waves" in page
    assert "Fetch files" in text(staff, "/staff/jobs")


def test_page_of_a_job_that_is_over(staff: FlaskClient, asked: dict[str, Any], state: StateDir) -> None:
    put_job(state, **{practice.POLYCOM: "back"})
    assert "It is over" in text(staff, f"/staff/jobs/{JOB}")
    assert "There is no such job" in text(staff, "/staff/jobs/other", 404)


def test_every_state_of_a_phone_has_words() -> None:
    assert set(STATES) == set(get_args(State))
    assert set(STATES) >= UNDER_WAY


@pytest.mark.parametrize(("refused", "renewed"), [([], True), ([practice.GRANDSTREAM], False)])
def test_reset_gives_new_secrets_to_those_who_were_told(
    staff: FlaskClient, csrf: str, asked: dict[str, Any], app: Flask, refused: list[str], renewed: bool
) -> None:
    inventory = app.extensions["provisioner"].inventory
    with inventory.change("test") as change:
        change.put(credential(practice.GRANDSTREAM))
    before = inventory.get(Credential, practice.GRANDSTREAM)
    asked["refused"] = refused
    staff.post("/staff/jobs", data={"csrf": csrf, "mac": practice.GRANDSTREAM, "mode": "reset"})
    after = inventory.get(Credential, practice.GRANDSTREAM)
    assert (before != after) is renewed
    assert asked["reloads"] == 1


@pytest.mark.parametrize("what", ["reset", "retire"])
def test_what_cannot_be_undone_is_asked_first(staff: FlaskClient, asked: dict[str, Any], what: str) -> None:
    page = text(staff, f"/staff/phones/{practice.POLYCOM}/{what}")
    assert "worth nothing from that moment on" in page
    assert "hold 1, 3 and 5" in page
    assert text(staff, f"/staff/phones/{practice.STRANGER}/{what}", 404)


def test_retire(staff: FlaskClient, csrf: str, asked: dict[str, Any], app: Flask) -> None:
    path = f"/staff/phones/{practice.YEALINK}/retire"
    assert staff.post(path, data={"csrf": csrf}).location == "/staff/retired"
    assert asked["reloads"] == 1
    assert practice.YEALINK not in app.extensions["provisioner"].inventory.snapshot().phones
    page = text(staff, "/staff/retired")
    assert "00:15:65:00:01:02" in page
    assert "Yealink T46S" in page
    assert "console link" in page
    seen = text(staff, f"/staff/phones/{practice.YEALINK}")
    assert "This phone was retired" in seen
    assert "It had extension 102" in seen
    assert "Was retired" in text(staff, "/staff/phones")
    again = staff.post(path, data={"csrf": csrf})
    assert (again.status_code, b"no phone of this practice" in again.data) == (409, True)


# API


def test_api_tells_phones(api: FlaskClient, asked: dict[str, Any], state: StateDir) -> None:
    answer = api.post("/api/v1/phones/jobs", json={"macs": ["00:04:F2:00:01:01"], "mode": "restart"})
    assert (answer.status_code, answer.json["job"]) == (202, JOB)
    api.post("/api/v1/phones/jobs", json={"macs": "all"})
    assert asked["resync"] == [
        {"macs": [practice.POLYCOM], "mode": "restart", "who": "api token"},
        {"macs": "all", "mode": "resync", "who": "api token"},
    ]
    asked["fails"] = "no"
    assert api.post("/api/v1/phones/jobs", json={"macs": "all"}).json["detail"] == "no: do this"


@pytest.mark.parametrize("body", [None, [], {}, {"macs": "some"}, {"macs": [1]}, {"macs": {"a": 1}}])
def test_api_body_that_is_no_order(api: FlaskClient, asked: dict[str, Any], body: object) -> None:
    assert api.post("/api/v1/phones/jobs", json=body).status_code == 400
    assert asked["resync"] == []


def test_api_shows_jobs(api: FlaskClient, asked: dict[str, Any], state: StateDir) -> None:
    put_job(state, **{practice.POLYCOM: "back", practice.YEALINK: "busy"})
    assert api.get("/api/v1/phones/jobs").json["items"] == [
        {
            "job": JOB,
            "at": practice.NOW - 60,
            "who": "Kim",
            "mode": "resync",
            "states": {"back": 1, "busy": 1},
        }
    ]
    page = api.get(f"/api/v1/phones/jobs/{JOB}?limit=1").json
    assert page["items"][0]["state"] in ("back", "busy")
    assert len(api.get(page["next"]).json["items"]) == 1
    assert api.get("/api/v1/phones/jobs/other").status_code == 404


def test_api_retires(api: FlaskClient, asked: dict[str, Any]) -> None:
    gone = api.post(f"/api/v1/phones/{practice.YEALINK}/retire").json
    assert (gone["id"], gone["extensions"], gone["who"]) == (practice.YEALINK, ["102"], "api token")
    assert [row["id"] for row in api.get("/api/v1/phones/retired").json["items"]] == [practice.YEALINK]
    assert api.post(f"/api/v1/phones/{practice.YEALINK}/retire").status_code == 409
