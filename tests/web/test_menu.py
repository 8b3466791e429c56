"""The menu leads to pages that are there, and marks where one is."""

from __future__ import annotations

import re

import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient

from provisioner.web import menu


def current(page: str) -> list[tuple[str, str]]:
    """What is marked on a page: how, and the words."""
    return re.findall(r'aria-current="(\w+)">([^<]+)<', page)


def test_each_row_has_its_page(app: Flask):
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert {row.endpoint for row in (*menu.NAV, *menu.TABS)} <= endpoints


def test_each_tab_is_in_an_area_of_the_navigation():
    assert {row.area for row in menu.TABS} - {"phone"} <= {row.area for row in menu.NAV}


def test_the_page_is_marked_in_navigation_and_tabs(staff: FlaskClient, told_front: None):
    marks = current(staff.get("/staff/trust").get_data(as_text=True))
    assert set(marks) == {("true", "Settings"), ("true", "Phones"), ("page", "Trust")}
    marks = current(staff.get(f"/staff/phones/{practice.YEALINK}/edit").get_data(as_text=True))
    assert set(marks) == {("true", "Phones"), ("page", "Name and group")}


def test_a_form_with_a_mistake_keeps_its_tabs(staff: FlaskClient, csrf: str):
    answer = staff.post("/staff/practice", data={"csrf": csrf, "time_zone": "Mars/Olympus"})
    assert answer.status_code == 422
    marks = current(answer.get_data(as_text=True))
    assert set(marks) == {("true", "Settings"), ("true", "Practice"), ("page", "Practice")}


def test_a_key_with_a_mistake_keeps_its_tab(staff: FlaskClient, csrf: str, told_front: None):
    keys = f"/staff/phones/{practice.YEALINK}/keys"
    data = {"csrf": csrf, "function": "speed_dial", "value": "no number", "key": "2"}
    answer = staff.post(f"{keys}/2", data=data)
    assert answer.status_code in (400, 409, 422)
    assert ("page", "Keys") in current(answer.get_data(as_text=True))


def test_a_page_that_is_no_tab_has_its_area_and_no_tabs(staff: FlaskClient):
    page = staff.get(f"/staff/phones/{practice.YEALINK}/retire").get_data(as_text=True)
    assert set(current(page)) == {("true", "Phones")}
    assert 'class="filters"' not in page
