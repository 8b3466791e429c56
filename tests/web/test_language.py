"""Which language a page is in."""

from __future__ import annotations

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from provisioner.web import language


def lang(answer) -> str:
    return answer.get_data(as_text=True).partition('<html lang="')[2][:2]


@pytest.mark.parametrize(
    ("header", "expected"),
    [("es-MX,es;q=0.9,en;q=0.5", "es"), ("en-US,es;q=0.5", "en"), ("fr", "en"), ("", "en"), ("es", "es")],
)
def test_the_browser_says_which(staff: FlaskClient, header: str, expected: str):
    assert lang(staff.get("/staff/phones", headers={"Accept-Language": header})) == expected


def test_a_choice_stays_and_leads_back(staff: FlaskClient, csrf: str):
    form = {"csrf": csrf, "language": "es", "back": "/staff/calls?q=1"}
    answer = staff.post("/staff/language", data=form)
    assert (answer.status_code, answer.location) == (303, "/staff/calls?q=1")
    assert lang(staff.get("/staff/calls", headers={"Accept-Language": "en"})) == "es"


def test_before_the_sign_in_too(visitor: FlaskClient):
    assert lang(visitor.get("/staff/signed-out")) == "en"
    visitor.post("/staff/language", data={"csrf": "", "language": "es", "back": "/staff/signed-out"})
    assert lang(visitor.get("/staff/signed-out")) == "es"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "/elsewhere", ""])
def test_a_choice_leads_nowhere_else(staff: FlaskClient, csrf: str, back: str):
    answer = staff.post("/staff/language", data={"csrf": csrf, "language": "es", "back": back})
    assert answer.location == "/staff/"


def test_only_what_there_is(staff: FlaskClient, csrf: str):
    assert staff.post("/staff/language", data={"csrf": csrf, "language": "tlh"}).status_code == 400


def test_a_user_who_has_said_so_comes_first(app: Flask):
    with app.test_request_context("/staff/", headers={"Cookie": "language=en"}):
        g.preferred_language = "es"
        assert language.current() == "es"


def test_programs_get_english(app: Flask):
    with app.test_request_context("/api/v1/phones", headers={"Accept-Language": "es"}):
        assert language.current() == "en"
