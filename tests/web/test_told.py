"""What rooms below say, in the language of the page."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from provisioner.web import language, told


@pytest.fixture
def spanish(app: Flask, monkeypatch: pytest.MonkeyPatch):
    """Tell in Spanish with these sentences."""
    pairs = [
        ("it is busy", "está ocupado"),
        ("{who} calls {whom}", "{who} llama a {whom}"),
        ("{name} is gone", "{name} ya no está"),
        ("{name} is gone: {why}", "Por «{why}» falta {name}"),
        ("write it as {{id}}", "escríbalo como {{id}}"),
        ("try again", "inténtelo de nuevo"),
    ]
    monkeypatch.setattr(language, "pairs", lambda _code, context: pairs if context else [])
    told._known.cache_clear()
    told._tell.cache_clear()
    with app.test_request_context("/staff/", headers={"Accept-Language": "es"}):
        yield
    told._known.cache_clear()
    told._tell.cache_clear()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("it is busy", "está ocupado"),
        ("It is busy.", "Está ocupado."),  # as a sentence of its own
        ("phone 101 is gone", "phone 101 ya no está"),
        (
            "line is gone: it is busy",
            "Por «está ocupado» falta line",
        ),  # a sentence within one, the fuller one first
        (
            "it is busy: try again",
            "está ocupado: inténtelo de nuevo",
        ),  # an OperatorError: what, and the remedy
        ("it is busy. Try again.", "está ocupado. Inténtelo de nuevo."),
        ("it is busy, and try again", "está ocupado y inténtelo de nuevo"),
        ("write it as {id}", "escríbalo como {id}"),
        ("101 calls 102", "101 llama a 102"),
        (
            "this one begins with outside calls and emergencies",
            "this one begins with outside calls and emergencies",
        ),
        ("nothing of the kind", "nothing of the kind"),
        ("", ""),
    ],
)
def test_sentences_are_matched(spanish: None, said: str, expected: str):
    assert told.tell(said) == expected


def test_english_stays(app: Flask):
    with app.test_request_context("/staff/", headers={"Accept-Language": "en"}):
        assert told.tell("it is busy") == "it is busy"


def test_an_error_from_below_is_spanish_on_the_page(staff: FlaskClient, csrf: str, edge, front):
    form = {"csrf": csrf, "extension": "911"}
    page = staff.post("/staff/phones/001565000199/adopt", data=form, headers={"Accept-Language": "es"})
    assert page.status_code == 409
    text = page.get_data(as_text=True)
    assert "empieza con" in text
    assert "begins with" not in text


def test_programs_are_told_in_english(api: FlaskClient, edge, front):
    answer = api.get("/api/v1/phones/000000000000", headers={"Accept-Language": "es"})
    assert "No phone with this address" in answer.json["detail"]
