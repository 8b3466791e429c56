"""The plan of extensions and the numbers, on their pages and by API."""

from __future__ import annotations

import re

import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient

from provisioner.dialing.classify import Origin
from provisioner.phones.retire import retire
from provisioner.store.inventory import Inventory
from provisioner.store.records import Line, Number, Phone
from provisioner.web.extensions import GOES
from tests.dialing import corpus

LIST = "/staff/extensions"


@pytest.fixture
def api(app: Flask) -> FlaskClient:
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("api", 60, "administrator")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def inventory(app: Flask) -> Inventory:
    held: Inventory = app.extensions["provisioner"].inventory
    return held


def text(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_list_shows_who_has_each_and_what_is_free(staff: FlaskClient, inventory: Inventory) -> None:
    retire(inventory, practice.GRANDSTREAM, "Kim", lambda: practice.NOW)
    page = text(staff, LIST)
    assert f'href="/staff/phones/{practice.POLYCOM}"' in page
    assert "In quarantine" in page
    assert "had it until" in page
    assert "100, 104, 105" in page
    assert "Dr. Adams" in text(staff, f"{LIST}?q=adams")
    assert "Dr. Adams" not in text(staff, f"{LIST}?show=quarantine")
    assert "No extension fits" in text(staff, f"{LIST}?q=nobody")


def test_reserve_and_release(
    staff: FlaskClient, csrf: str, edge: dict[str, int], inventory: Inventory
) -> None:
    form = {"csrf": csrf, "extension": "104", "name": "<b>nurse"}
    assert staff.post(f"{LIST}/reserve", data=form).status_code == 303
    assert inventory.snapshot().held_extensions["104"].who == "console link"
    assert edge["reloads"] == 1
    assert "&lt;b&gt;nurse" in text(staff, LIST)
    again = staff.post(f"{LIST}/reserve", data=form)
    assert again.status_code == 409
    assert "104 is reserved for" in again.get_data(as_text=True)
    assert staff.post(f"{LIST}/release", data={"csrf": csrf, "extension": "104"}).status_code == 303
    assert inventory.snapshot().held_extensions == {}
    assert staff.post(f"{LIST}/release", data={"csrf": csrf, "extension": "104"}).status_code == 409


def test_ranges(staff: FlaskClient, csrf: str, inventory: Inventory) -> None:
    form = {"csrf": csrf, "first": "110", "last": "115", "name": "Labs", "location": "lab"}
    assert staff.post(f"{LIST}/ranges", data=form).status_code == 303
    assert inventory.snapshot().extension_ranges["110-115"].location == "lab"
    assert ">110 to 115<" in text(staff, LIST)
    overlapping = staff.post(f"{LIST}/ranges", data={**form, "first": "100", "last": "110"})
    assert "it overlaps 110 to 115, Labs" in overlapping.get_data(as_text=True)
    assert staff.post(f"{LIST}/ranges/remove", data={"csrf": csrf, "range": "110-115"}).status_code == 303
    assert inventory.snapshot().extension_ranges == {}


def test_another_length_is_shown_first_and_done_as_it_was_shown(
    staff: FlaskClient, csrf: str, inventory: Inventory
) -> None:
    page = text(staff, f"{LIST}/length?length=4")
    assert "Nothing has been done yet" in page
    assert "1102" in page
    revision = re.findall(r'name="revision" value="(\d+)"', page)[0]
    with inventory.change("test") as change:
        change.put(Number(id="+14155550199", label="x"))
    stale = staff.post(f"{LIST}/length", data={"csrf": csrf, "length": "4", "revision": revision})
    assert (stale.status_code, "look at it again" in stale.get_data(as_text=True)) == (409, True)
    fresh = re.findall(r'name="revision" value="(\d+)"', stale.get_data(as_text=True))[0]
    assert (
        staff.post(f"{LIST}/length", data={"csrf": csrf, "length": "4", "revision": fresh}).status_code == 303
    )
    assert inventory.snapshot().extensions() == ["1101", "1102", "1103"]
    assert inventory.snapshot().ring_groups["main"].members == ("1101", "1102", "1103")


def test_a_length_that_cannot_be_shows_why_and_offers_nothing(staff: FlaskClient) -> None:
    page = text(staff, f"{LIST}/length?length=3")
    assert "the extensions have 3 digits already" in page
    assert 'name="revision"' not in page
    assert staff.get(f"{LIST}/length?length=5").status_code == 400
    assert staff.get(f"{LIST}/length").status_code == 400


def test_where_a_call_would_go(staff: FlaskClient) -> None:
    assert "An emergency call" in text(staff, f"{LIST}?dialled=911")
    assert "A call inside, to extension 102" in text(staff, f"{LIST}?dialled=102")
    assert "An outside call to (212) 555-1234" in text(staff, f"{LIST}?dialled=212-555-1234")
    assert "it counts against the limit a day" in text(staff, f"{LIST}?dialled=8765551234")
    assert "It is refused: begins with 911 but is longer" in text(staff, f"{LIST}?dialled=9112125551234")


def test_what_is_wrong_is_told(staff: FlaskClient, inventory: Inventory) -> None:
    with inventory.change("test") as change:
        change.put(
            Phone(id=practice.STRANGER, vendor="yealink", model="T46S", lines=(Line(extension="911"),))
        )
    assert "911 begins with 9, which is kept for outside calls and emergencies." in text(staff, LIST)


# numbers


def test_numbers_say_where_they_lead_and_for_where_they_are_registered(staff: FlaskClient) -> None:
    page = text(staff, "/staff/numbers")
    assert "(415) 555-0101" in page
    assert "Front desk, 500 Terry Francois" in page
    assert "(415) 555-0102" not in text(staff, "/staff/numbers?q=0101")
    assert "No number fits" in text(staff, "/staff/numbers?q=zzz")


def test_a_number_is_put_on_a_line(
    staff: FlaskClient, csrf: str, inventory: Inventory, edge: dict[str, int]
) -> None:
    form = {"csrf": csrf, "number": "+14155550101", "target": "102"}
    assert staff.post(f"/staff/numbers/{form['number']}/target", data=form).status_code == 303
    assert edge["reloads"] == 1
    assert inventory.snapshot().phones[practice.YEALINK].lines[0].number == "+14155550101"
    page = text(staff, "/staff/numbers")
    assert "(415) 555-0101 of extension 102 is registered for Front desk, but the phone is at Lab" in page
    assert "is registered for Front desk, but the phone is at Lab" in text(staff, "/staff/")


def test_none_without_an_address_is(staff: FlaskClient, csrf: str, inventory: Inventory) -> None:
    with inventory.change("test") as change:
        change.put(Number(id="+14155550199", label="New", location="desk"))
    form = {"csrf": csrf, "number": "+14155550199", "target": "102"}
    refused = staff.post(f"/staff/numbers/{form['number']}/target", data=form)
    assert refused.status_code == 409
    assert "is not registered, so no line may have it: register its address first" in refused.get_data(
        as_text=True
    )
    assert inventory.snapshot().phones[practice.YEALINK].lines[0].number == "+14155550102"


# API


def test_api_of_the_plan(api: FlaskClient, inventory: Inventory) -> None:
    assert [row["extension"] for row in api.get("/api/v1/extensions").json["items"]] == ["101", "102", "103"]
    assert api.get("/api/v1/extensions/next?count=3").json == {"extensions": ["100", "104", "105"]}
    assert api.get("/api/v1/extensions/next?count=x").status_code == 400
    one = api.get("/api/v1/extensions/911").json
    assert (one["usable"], one["why"]) == (
        False, "911 begins with 9, which is kept for outside calls and emergencies",
    )  # fmt: skip
    assert api.post("/api/v1/extensions/104/reserve", json={"name": "nurse"}).status_code == 201
    assert api.post("/api/v1/extensions/104/reserve", json={"name": "nurse"}).status_code == 409
    assert api.post("/api/v1/extensions/104/reserve", json={"name": 1}).status_code == 400
    assert api.post("/api/v1/extensions/104/release").json["name"] == "nurse"
    assert api.post("/api/v1/extensions/104/release").status_code == 409
    made = api.post("/api/v1/extension-ranges", json={"first": "110", "last": "119", "name": "Labs"})
    assert made.status_code == 201
    assert [each["id"] for each in api.get("/api/v1/extension-ranges").json["items"]] == ["110-119"]
    assert api.delete("/api/v1/extension-ranges/110-119").status_code == 204
    assert api.delete("/api/v1/extension-ranges/110-119").status_code == 404
    plan = api.post("/api/v1/extensions/length?dry_run=1", json={"length": 4}).json
    assert plan["moves"][0] == {"old": "101", "new": "1101", "name": "Front desk", "at_once": True}
    assert inventory.snapshot().practice.extension_length == 3
    assert api.post("/api/v1/extensions/length", json={"length": "4"}).status_code == 400
    done = api.post("/api/v1/extensions/length", json={"length": 4, "revision": plan["revision"]})
    assert done.status_code == 200
    assert inventory.snapshot().practice.extension_length == 4


def test_api_of_numbers(api: FlaskClient, inventory: Inventory) -> None:
    told = api.post("/api/v1/numbers/+14155550101/assign", json={"target": "102"}).json
    assert told["number"]["extension"] == "102"
    assert [each["extension"] for each in told["warnings"]] == ["102"]
    assert api.post("/api/v1/numbers/+14155550101/assign", json={}).status_code == 400
    missing = api.post("/api/v1/numbers/+14155559999/assign", json={"target": ""})
    assert missing.status_code == 409
    assert "none of this practice" in missing.json["detail"]


@pytest.mark.parametrize("origin", ["keypad", "software", "transfer"])
def test_api_holds_the_whole_corpus(api: FlaskClient, inventory: Inventory, origin: Origin) -> None:
    lines = (Line(extension="214"),)
    with inventory.change("test") as change:
        change.put(Phone(id=practice.STRANGER, vendor="yealink", model="T46S", lines=lines))
    for row in (row for row in corpus.ROWS if row.length == 3):
        asked = {"digits": row.dialled, "origin": origin, "from": corpus.EXTENSIONS[3][0]}
        told = api.get("/api/v1/dial", query_string=asked).json
        names = ("kind", "destination", "prompt", "status", "international")
        assert tuple(told[name] for name in names) == row.by(origin), row
        assert bool(told["reason"]) == (told["kind"] == "refused")


@pytest.mark.parametrize(
    "row", [row for row in corpus.ROWS if row.length == 3 and row.dialled.strip()], ids=str
)
def test_page_says_of_each_where_it_would_go(staff: FlaskClient, row: corpus.Row) -> None:
    answer = staff.get(LIST, query_string={"dialled": row.dialled}).get_data(as_text=True)
    if row.software.kind == "extension" and row.software.number == "214":
        assert "there is no such extension" in answer  # here nobody has it
    else:
        assert ("It is refused" in answer) == (row.software.kind == "refused")
        assert (f"{GOES[row.software.kind]} " if row.software.kind in GOES else "It is refused") in answer


def test_api_says_where_a_call_would_go(api: FlaskClient) -> None:
    assert api.get("/api/v1/dial?digits=911").json["kind"] == "emergency"
    transfer = api.get("/api/v1/dial?digits=101&origin=transfer&from=101").json
    assert transfer["prompt"] == "own-extension"
    assert api.get("/api/v1/dial?digits=101&origin=moon").status_code == 400
