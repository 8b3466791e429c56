"""The page "911 readiness", and its API."""

from __future__ import annotations

from typing import Any

import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient

from provisioner.store.records import Phone


def text(client: FlaskClient) -> str:
    answer = client.get("/staff/emergency/readiness")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_each_phone_the_worst_first(staff: FlaskClient, edge: dict[str, Any], front: None) -> None:
    page = text(staff)
    rows = page.partition("<tbody>")[2]
    assert rows.index("Waiting for adoption") < rows.index("Dr. Adams")
    assert "Nobody adopted it" in rows
    assert f'href="/staff/phones/{practice.YEALINK}"' in rows
    assert f'href="/staff/phones/{practice.STRANGER}"' not in rows
    assert "933 was never dialled" in rows
    assert 'aria-current="page">911<' in page


def test_without_the_edge_it_says_so_and_what_to_do(staff: FlaskClient) -> None:
    page = text(staff)
    assert "call process does not answer" in page
    assert "mobile phone" in page


def test_names_are_escaped(staff: FlaskClient, app: Flask, edge: dict[str, Any]) -> None:
    with app.extensions["provisioner"].inventory.change(who="test") as change:
        change.put(Phone(id=practice.YEALINK, vendor="yealink", model="<b>T46S"))
    assert "<b>T46S" not in text(staff)
    assert "It has no line" in text(staff)


def test_api_tells_the_same(api: FlaskClient, edge: dict[str, Any]) -> None:
    told = api.get("/api/v1/emergency/readiness").get_json()
    assert told["level"] == "bad"
    assert told["phones"][0]["level"] == "bad"
    rows = {row["extension"]: row for row in told["phones"]}
    assert rows["102"]["number"] == "+14155550102"
    assert rows["102"]["sent"]["address"].startswith("500 Terry Francois Blvd")
    assert rows["103"]["reachable"] is False


def test_strangers_see_nothing(visitor: FlaskClient) -> None:
    assert visitor.get("/api/v1/emergency/readiness").status_code == 401
    assert visitor.get("/staff/emergency/readiness").status_code in (302, 303, 401)
