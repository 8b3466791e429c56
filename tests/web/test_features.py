"""Do-not-disturb, forwarding and screening of an extension: the page and the API."""

from __future__ import annotations

import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient

from provisioner.store.records import LineFeatures

PATH = "/api/v1/extensions/101/features"
PAGE = "/staff/extensions/101"


@pytest.fixture
def api(app: Flask) -> FlaskClient:
    """A program with an API token."""
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("api", 60, "administrator")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def stored(app: Flask) -> LineFeatures | None:
    return app.extensions["provisioner"].inventory.snapshot().line_features.get("101")


def test_api_changes_what_the_body_names(app, api, edge):
    assert api.get(PATH).json["forward_always"] == ""
    answer = api.put(PATH, json={"do_not_disturb": True, "forward_busy": "(212) 456-7890"})
    assert answer.status_code == 200
    assert (answer.json["do_not_disturb"], answer.json["forward_busy"]) == (True, "+12124567890")
    api.put(PATH, json={"forward_no_answer": "102", "forward_no_answer_seconds": 12})
    assert stored(app) == LineFeatures(
        id="101",
        do_not_disturb=True,
        forward_busy="+12124567890",
        forward_no_answer="102",
        forward_no_answer_seconds=12,
    )
    assert edge["reloads"] == 2
    assert app.extensions["provisioner"].inventory.audit(1)[0].who == "api token"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"forward_always": "911"}, "emergency"),
        ({"forward_always": "988"}, "crisis"),
        ({"forward_busy": "411"}, "service code"),
        ({"forward_busy": "101"}, "own extension"),
        ({"forward_no_answer": "+442071234567"}, "North American"),
        ({"forward_no_answer": "8765551234"}, "Canada only"),
        ({"forward_always": 911}, "expected 'str'"),
        ({"do_not_disturb": "yes"}, "expected 'bool'"),
        ({"forward_no_answer_seconds": 1}, "5 to 120"),
        ({"id": "102"}, "id is not known"),
    ],
)
def test_what_is_refused_changes_nothing(app, api, edge, body, why):
    answer = api.put(PATH, json=body)
    assert answer.status_code == (400 if "errors" in answer.json else 422)
    assert why.lower() in answer.json["detail"].lower()
    assert stored(app) is None
    assert edge["reloads"] == 0


def test_api_without_a_body_or_such_an_extension(api, edge):
    assert api.put(PATH, data="x").status_code == 415
    assert api.put(PATH).status_code == 400
    assert api.get("/api/v1/extensions/999/features").status_code == 404
    assert api.put("/api/v1/extensions/999/features", json={}).status_code == 404


def test_visitors_see_nothing(visitor, edge):
    assert visitor.get(PATH).status_code == 401
    assert visitor.put(PATH, json={}).status_code == 401
    assert visitor.get(PAGE).status_code == 401
    assert visitor.post(PAGE).status_code == 401


def test_page(app, staff: FlaskClient, csrf: str, edge):
    assert f'href="{PAGE}"' in staff.get(f"/staff/phones/{practice.POLYCOM}").text
    form = {
        "csrf": csrf,
        "screening": "on",
        "forward_always": "212 456 7890",
        "forward_no_answer_seconds": "30",
    }
    answer = staff.post(PAGE, data=form)
    assert answer.status_code == 303
    page = staff.get(answer.location).text
    assert "Changed." in page
    assert 'value="(212) 456-7890"' in page
    assert stored(app) == LineFeatures(
        id="101", screening=True, forward_always="+12124567890", forward_no_answer_seconds=30
    )


def test_page_says_what_is_wrong_and_keeps_what_was_typed(app, staff: FlaskClient, csrf: str, edge):
    form = {"csrf": csrf, "do_not_disturb": "on", "forward_busy": "911", "forward_no_answer_seconds": "20"}
    answer = staff.post(PAGE, data=form)
    assert answer.status_code == 409
    assert "no transfer to an emergency number" in answer.text
    assert 'value="911"' in answer.text
    assert stored(app) is None
    assert "5 to 120 seconds" in staff.post(PAGE, data={"csrf": csrf}).text
    assert staff.post("/staff/extensions/999", data={"csrf": csrf}).status_code == 404


def test_page_wants_its_own_token(app, staff: FlaskClient, csrf: str, edge):
    assert staff.post(PAGE, data={"do_not_disturb": "on"}).status_code == 403
    assert stored(app) is None
