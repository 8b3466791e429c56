"""Who may do what."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from provisioner.web import roles

TABLE = [
    ("staff.phones", "GET", "viewer"),
    ("staff.adopt", "POST", "operator"),
    ("api.adopt", "POST", "operator"),
    ("phone_api.api_edit", "PATCH", "operator"),
    ("staff.sign_out", "POST", "viewer"),
    ("trust.show", "GET", "viewer"),
    ("trust.save", "POST", "administrator"),
    ("trust_api.api_save", "PATCH", "administrator"),
    ("users.page", "GET", "administrator"),
    ("users_api.listing", "GET", "administrator"),
    ("extensions_api.api_length", "POST", "administrator"),
    ("extensions_api.api_reserve", "POST", "operator"),
    ("nobody.knows_this", "DELETE", "operator"),
]


@pytest.mark.parametrize(("endpoint", "method", "role"), TABLE)
def test_the_least_role(endpoint: str, method: str, role: str):
    assert roles.least(endpoint, method) == role


@pytest.mark.parametrize("role", ["", "staff", "admin", "Administrator"])
def test_a_role_that_is_none_may_nothing(role: str):
    assert not roles.enough(role, "viewer")


def with_token(app: Flask, kind: str, role: str) -> FlaskClient:
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token(kind, 60, role)
    if kind == "api":
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    else:
        assert client.get(f"/staff/sign-in/{token}").status_code == 303
    return client


def test_a_page_says_which_role_is_needed(app: Flask):
    viewer = with_token(app, "sign-in", "viewer")
    page = viewer.get("/staff/phones").get_data(as_text=True)
    token = page.partition('name="csrf" value="')[2].partition('"')[0]
    answer = viewer.post("/staff/trust", data={"csrf": token})
    assert answer.status_code == 403
    assert "needs the role administrator; you are signed in as viewer" in answer.get_data(as_text=True)


def test_a_problem_says_which_role_is_needed(app: Flask):
    answer = with_token(app, "api", "viewer").post("/api/v1/numbers/+14155550101/assign", json={"target": ""})
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert "needs the role operator" in answer.json["detail"]


def test_templates_ask_what_may_be_done(app: Flask):
    asked = "{{ may('staff.phones') }} {{ may('staff.adopt') }} {{ may('trust.save') }} {{ may('trust.show', 'POST') }}"

    @app.get("/staff/asked")
    def ask() -> str:
        from flask import render_template_string

        return render_template_string(asked)

    said = {role: with_token(app, "sign-in", role).get("/staff/asked").text for role in roles.ROLES}
    assert said == {
        "viewer": "True False False False",
        "operator": "True True False False",
        "administrator": "True True True True",
    }
    assert app.test_client().get("/staff/asked").text == "False False False False"
