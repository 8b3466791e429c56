"""API tokens: made once, good for what they say, revoked."""

from __future__ import annotations

import re

import people
import pytest
from flask import Flask
from flask.testing import FlaskClient

from provisioner.people import users
from provisioner.web import scopes
from provisioner.web.openapi import ROOT


def make(client: FlaskClient, **form: str):
    return client.post("/staff/tokens", data={"csrf": people.csrf(client), **form})


def bearer(app: Flask, token: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def test_a_token_is_shown_once(app: Flask, anna: FlaskClient):
    answer = make(anna, name="Grafana, office", role="viewer", days="90", **{"scope-phones": "read"})
    token = re.search(r'<code id="token">([0-9a-f]{64})</code>', answer.text)[1]
    page = anna.get("/staff/tokens").text
    assert token not in page
    assert "Grafana, office" in page
    assert "phones:read" in page
    program = bearer(app, token)
    assert program.get("/api/v1/phones").status_code == 200
    assert program.get("/api/v1/numbers").status_code == 403
    assert "needs numbers:read" in program.get("/api/v1/numbers").json["detail"]
    inventory = people.store(app)
    assert (inventory.audit(1)[0].who, inventory.audit(1)[0].kind) == ("anna", "token")
    assert token not in str(inventory.audit(100))
    number = inventory.tokens.listing("api")[0].id
    gone = anna.post(f"/staff/tokens/{number}/revoke", data={"csrf": people.csrf(anna)})
    assert gone.status_code == 303
    assert program.get("/api/v1/phones").status_code == 401
    assert '"revoked":true' in inventory.audit(1)[0].after


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": ""}, "Give it a name"),
        ({"name": "x" * 61}, "Give it a name"),
        ({"role": "boss"}, "The role is one of"),
        ({"days": "-1"}, "Give the days"),
        ({"everything": ""}, "Choose what it is good for"),
        ({"name": "held"}, "a token of that name already"),
    ],
)
def test_what_is_wrong_stands_by_its_field(app: Flask, anna: FlaskClient, form: dict[str, str], said: str):
    people.program(app, "viewer", name="held")
    answer = make(anna, **{"name": "one", "role": "viewer", "days": "30", "everything": "1", **form})
    assert answer.status_code == 422
    assert said in answer.text


def test_who_made_it_takes_it_along(app: Flask, anna: FlaskClient):
    people.add(app, "bert", "administrator")
    program = people.program(app, "administrator", name="tool", user="bert")
    assert program.patch("/api/v1/users/anna", json={"name": "A."}).status_code == 200
    users.edit(people.store(app), "bert", "anna", {"role": "viewer"})
    assert program.patch("/api/v1/users/anna", json={"name": "B."}).status_code == 403
    assert program.get("/api/v1/phones").status_code == 200
    users.edit(people.store(app), "bert", "anna", {"disabled": True})
    assert program.get("/api/v1/phones").status_code == 401


def test_an_endless_one(app: Flask, anna: FlaskClient):
    make(anna, name="for ever", role="viewer", days="0", everything="1")
    assert people.program(app, "administrator").get("/api/v1/tokens").json["items"][-1]["expires"] is None
    assert "no end" in anna.get("/staff/tokens").text


def test_by_api(app: Flask):
    api = people.program(app, "administrator", name="tool")
    made = api.post(
        "/api/v1/tokens", json={"name": "new", "role": "viewer", "scopes": ["calls:read"], "days": 1}
    )
    assert made.status_code == 201
    program = bearer(app, made.json["token"])
    assert program.get("/api/v1/calls").status_code == 200
    told = api.get("/api/v1/tokens").json["items"][0]
    assert (told["name"], told["scopes"], told["user"]) == ("new", ["calls:read"], "")
    assert told["last_used"] is not None
    assert made.json["token"] not in api.get("/api/v1/tokens").text
    assert api.delete(f"/api/v1/tokens/{told['number']}").status_code == 204
    assert api.delete(f"/api/v1/tokens/{told['number']}").status_code == 404
    assert api.delete("/api/v1/tokens/x").status_code == 404
    assert api.post("/api/v1/tokens", json={"name": "bad", "scopes": ["all:read"]}).status_code == 422


@pytest.mark.parametrize(
    ("held", "role", "wanted", "status"),
    [
        ("users:write", "viewer", ["users:read"], 201),
        ("users:write", "viewer", ["users:write"], 201),
        ("users:write", "viewer", ["phones:read"], 409),
        ("users:write", "viewer", [], 409),
        ("users:read", "viewer", [], 403),
        ("users:write phones:read", "viewer", ["phones:read"], 201),
        ("users:write phones:read", "viewer", ["phones:write"], 409),
        ("", "administrator", [], 201),
    ],
)
def test_a_token_hands_out_no_more_than_it_has(
    app: Flask, held: str, role: str, wanted: list[str], status: int
):
    api = people.program(app, "administrator", name="tool", scopes=held)
    body = {"name": "new", "role": role, "scopes": wanted, "days": 3650}
    assert api.post("/api/v1/tokens", json=body).status_code == status
    if status == 201:
        new, old = people.store(app).tokens.listing("api")
        assert new.expires <= old.expires


@pytest.mark.parametrize(
    ("held", "area", "method", "good"),
    [
        ("", "phones", "DELETE", True),
        ("phones:read", "phones", "GET", True),
        ("phones:read", "phones", "PUT", False),
        ("phones:write", "phones", "GET", True),
        ("phones:write", "calls", "GET", False),
        ("phones:write", "", "GET", False),
        ("metrics:read", "metrics", "GET", True),
    ],
)
def test_scopes(held: str, area: str, method: str, good: bool):
    assert scopes.allows(held, area, method == "GET") is good


def test_every_call_of_the_api_is_in_an_area(app: Flask):
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith(f"{ROOT}/")]
    assert [rule.endpoint for rule in rules if scopes.area(rule.endpoint) not in scopes.AREAS] == []
    assert len(rules) > 60
