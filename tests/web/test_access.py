"""Who gets in, and what every answer carries."""

from __future__ import annotations

import logging

import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient

SAMPLES = {
    "mac": practice.STRANGER, "token": "0" * 64, "filename": "staff.css", "name": "0" * 64,
    "layer": "site", "group": "none", "maker": "yealink", "form": "pem", "extension": "101",
    "number": "+14155550101",
}  # fmt: skip
OPEN = {
    "signing.form",
    "static",
    "staff.sign_in",
    "staff.signed_out",
    "language.choose",
    "health.healthz",
    "health.readyz",
}
FORMLESS = {
    "signing.password",
    "signing.code",
}  # nobody is signed in yet: guarded by where the request comes from


def routes(app: Flask) -> list[tuple[str, str, str]]:
    """All (endpoint, method, path) of the application."""
    return [
        (rule.endpoint, method, rule.build({name: SAMPLES.get(name, "1") for name in rule.arguments})[1])
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods & {"GET", "POST", "PUT", "PATCH", "DELETE"})
    ]


def test_without_a_session_nothing_is_told(app: Flask, visitor: FlaskClient):
    for endpoint, method, path in routes(app):
        if endpoint in OPEN | FORMLESS:
            continue
        answer = visitor.open(path, method=method)
        assert answer.status_code == 401, path
        assert b"Clinic" not in answer.data


def test_a_forms_token_of_another_session_is_no_good(app: Flask, staff: FlaskClient, csrf: str):
    other = app.test_client()
    other.get(
        "/staff/sign-in/" + app.extensions["provisioner"].inventory.new_token("sign-in", 60, "administrator")
    )
    assert other.post("/staff/sign-out", data={"csrf": csrf}).status_code == 403
    assert staff.post("/staff/sign-out", data={"csrf": csrf}).status_code == 303


def test_every_answer_has_the_headers(app: Flask, staff: FlaskClient):
    for endpoint, _, path in [route for route in routes(app) if route[1] == "GET"]:
        answer = staff.get(path)
        answer.close()
        headers = answer.headers
        assert "default-src 'none'; script-src 'self';" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == ("no-cache" if endpoint == "static" else "no-store"), path


def test_no_page_has_inline_script_or_style(staff: FlaskClient, edge: object):
    for path in (
        "/staff/",
        "/staff/phones",
        f"/staff/phones/{practice.POLYCOM}",
        "/staff/calls",
        "/staff/requests",
        "/staff/protection",
    ):
        page = staff.get(path).get_data(as_text=True)
        assert " style=" not in page
        assert "<style" not in page
        assert page.count("<script") == page.count("<script src=")
        assert " onclick" not in page
        assert " hx-on" not in page


def sign_in(app: Flask, client: FlaskClient, **kwargs: object) -> object:
    token = app.extensions["provisioner"].inventory.new_token("sign-in", 60, "administrator")
    return client.get(f"/staff/sign-in/{token}", **kwargs)


def test_a_link_works_once(app: Flask, visitor: FlaskClient):
    token = app.extensions["provisioner"].inventory.new_token("sign-in", 60, "administrator")
    path = f"/staff/sign-in/{token}"
    assert visitor.head(path).status_code == 200  # a preview does not use it up
    first = visitor.get(path)
    assert (first.status_code, first.headers["Location"]) == (303, "/staff/")
    assert visitor.get(path).status_code == 303  # opened twice in one browser: still signed in
    late = app.test_client().get(path)
    assert late.status_code == 410
    assert "provisioner sign-in" in late.get_data(as_text=True)
    assert "Set-Cookie" not in late.headers


def test_the_cookie(app: Flask, visitor: FlaskClient):
    plain = sign_in(app, visitor).headers["Set-Cookie"]
    assert plain.startswith("provisioner=")
    assert "HttpOnly" in plain
    assert "SameSite=Strict" in plain
    assert "Secure" not in plain
    secure = sign_in(app, app.test_client(), base_url="https://localhost").headers["Set-Cookie"]
    assert secure.startswith("__Host-provisioner=")
    assert "Secure" in secure
    assert "Path=/" in secure


def test_a_link_from_another_site_needs_no_redirect(app: Flask, visitor: FlaskClient):
    answer = sign_in(app, visitor, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert "You are signed in" in answer.get_data(as_text=True)
    assert visitor.get("/staff/session").status_code == 204


def test_signing_out_ends_the_session(staff: FlaskClient, csrf: str, app: Flask):
    cookie = staff.get_cookie("provisioner").value
    assert staff.get("/staff/session").status_code == 204
    assert staff.post("/staff/sign-out", data={"csrf": csrf}).headers["Location"] == "/staff/signed-out"
    assert staff.get_cookie("provisioner") is None
    assert staff.get("/staff/signed-out").status_code == 200
    thief = app.test_client()
    thief.set_cookie("provisioner", cookie)
    assert thief.get("/staff/session").status_code == 401


def test_a_page_left_open_past_its_session_is_loaded_again(visitor: FlaskClient):
    assert visitor.get("/staff/", headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"


def test_an_api_token_is_no_session_and_a_session_token_no_api_token(app: Flask, staff: FlaskClient):
    api = app.extensions["provisioner"].inventory.new_token("api", 60, "administrator")
    visitor = app.test_client()
    visitor.set_cookie("provisioner", api)
    assert visitor.get("/staff/").status_code == 401
    session = staff.get_cookie("provisioner").value
    other = app.test_client()
    assert other.get("/api/v1/phones", headers={"Authorization": f"Bearer {session}"}).status_code == 401


def test_no_outside_number_reaches_the_log(
    staff: FlaskClient, edge: object, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    staff.get("/staff/calls?q=6505550123")
    staff.get("/staff/nothing/6505550123")
    assert "0123" not in caplog.text


def test_a_bug_tells_nothing(app: Flask, staff: FlaskClient, caplog: pytest.LogCaptureFixture):
    app.extensions["provisioner"].journal.calls = lambda *_: 1 / 0
    answer = staff.get("/staff/calls")
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.get_data(as_text=True)
    assert "ZeroDivisionError" in caplog.text


def test_wrong_method_and_wrong_path(staff: FlaskClient):
    assert staff.get("/staff/sign-out").status_code == 405
    assert staff.get("/nowhere").status_code == 404
    assert staff.get("/staff/phones/").status_code == 404
