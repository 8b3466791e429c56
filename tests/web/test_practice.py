"""The practice's own settings: all on one page, all that is wrong at once, nothing lost, the same by API."""

from __future__ import annotations

import pytest
from web_practice import text_of as text

from provisioner.errors import Invalid
from provisioner.phones import practice as rules
from provisioner.store.records import Practice
from provisioner.web import practice
from provisioner.web.forms import as_text

PAGE, CALL = "/staff/practice", "/api/v1/practice"
FIELDS = {field.name: field for group in practice.GROUPS for field in group.fields}
GOOD = {
    "name": "  Bay  Street Family Clinic ",
    "main_number": "(415) 555-0101",
    "time_zone": "America/Denver",
    "on_hangup": "recall",
    "click_auto_answer": "1",
    "keep_calls_days": "90",
    "keep_requests_days": "14",
    "max_calls": "50",
    "outbound_closed": "22:00 \u2013 6:30",
    "international_calls_per_day": "0",
    "services": ["811", "211"],
    "outbound_at_once": "10",
    "outbound_per_line": "2",
    "outbound_per_hour": "30",
    "phone_networks": "192.168.1.7/24, 10.0.0.0/8",
    "routers": "00:11:22:aa:bb:cc 10.0.0.1",
    "location_askers": "2001:db8::/64",
    "extension_quarantine_days": "0.5",
}
KEPT = {
    "name": "Bay Street Family Clinic",
    "main_number": "+14155550101",
    "time_zone": "America/Denver",
    "on_hangup": "recall",
    "click_auto_answer": True,
    "keep_calls_days": 90,
    "keep_requests_days": 14,
    "max_calls": 50,
    "outbound_closed": "22:00-06:30",
    "international_calls_per_day": 0,
    "services": ("211", "811"),
    "outbound_at_once": 10,
    "outbound_per_line": 2,
    "outbound_per_hour": 30,
    "phone_networks": ("192.168.1.0/24", "10.0.0.0/8"),
    "routers": ("001122aabbcc", "10.0.0.1"),
    "location_askers": ("2001:db8::/64",),
    "extension_quarantine_days": 0.5,
}
WRONG = {
    "name": " ",
    "main_number": "555-0101",
    "time_zone": "Mars/Base",
    "on_hangup": "vanish",
    "keep_calls_days": "0",
    "keep_requests_days": "0",
    "max_calls": "many",
    "outbound_closed": "25:00-06:00",
    "international_calls_per_day": "2.5",
    "services": ["911"],
    "outbound_at_once": "0",
    "outbound_per_line": "-1",
    "outbound_per_hour": "",
    "phone_networks": "10.0.0.0/33",
    "routers": "the grey box",
    "location_askers": "everybody",
    "extension_quarantine_days": "9999",
}


@pytest.fixture
def inventory(app, edge, front):
    return app.extensions["provisioner"].inventory


def held(inventory):
    return inventory.get(Practice, "practice")


def form_of(inventory, csrf, **changes):
    record, revision = held(inventory)
    values = {name: as_text(getattr(record, name)) for name in FIELDS}
    values |= {"services": list(record.services), "csrf": csrf, "revision": str(revision)}
    if not record.click_auto_answer:
        del values["click_auto_answer"]
    return values | changes


def test_every_field_of_the_record_is_on_the_page_or_behind_another_door():
    assert FIELDS.keys() | rules.ELSEWHERE.keys() == set(Practice.__struct_fields__)
    assert GOOD.keys() == KEPT.keys() == FIELDS.keys() == WRONG.keys() | {"click_auto_answer"}


def test_all_fields_are_kept_at_once_as_they_are_meant(staff, csrf, inventory, edge):
    page = staff.post(PAGE, data=form_of(inventory, csrf, **GOOD), follow_redirects=True)
    assert "Saved. It holds from the next call on" in text(page)
    record = held(inventory)[0]
    assert {name: getattr(record, name) for name in FIELDS} == KEPT
    assert (record.adoption, record.extension_length, edge["reloads"]) == ("open", 3, 1)
    assert text(page).count("Changed.") == len(FIELDS) - 2  # name and main number have no default


def test_everything_that_is_wrong_is_said_at_once_and_what_was_typed_stays(staff, csrf, inventory):
    before = held(inventory)
    page = staff.post(PAGE, data=form_of(inventory, csrf, **WRONG))
    assert page.status_code == 422
    assert f"{len(WRONG)} fields need a look" in text(page)
    body = page.get_data(as_text=True)
    for name in WRONG:
        assert f'id="f-{name}-error"' in body
    assert "the grey box" in body
    assert held(inventory) == before


def test_a_number_of_somebody_else_is_no_main_number(staff, csrf, inventory):
    page = staff.post(PAGE, data=form_of(inventory, csrf, main_number="(415) 555-0199"))
    assert "none of the practice's numbers" in text(page)


def test_what_somebody_changed_meanwhile_is_not_lost(staff, csrf, inventory):
    old = form_of(inventory, csrf, keep_calls_days="30")
    rules.change(inventory, {"name": "Renamed"}, "a colleague")
    page = staff.post(PAGE, data=old)
    assert (page.status_code, held(inventory)[0].keep_calls_days) == (409, 365)
    assert "Somebody changed this" in text(page)
    assert "Stored now: Renamed" in text(page)
    again = old | {"revision": str(held(inventory)[1])}
    assert staff.post(PAGE, data=again).status_code == 303
    assert held(inventory)[0].keep_calls_days == 30


def test_the_api_reads_and_changes_with_a_revision(api, inventory, edge):
    answer = api.get(CALL)
    tag = answer.headers["ETag"]
    assert (answer.json["name"], tag) == ("Bay Street Clinic", f'"{held(inventory)[1]}"')
    changed = api.patch(CALL, json={"max_calls": 40}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json["max_calls"], edge["reloads"]) == (200, 40, 1)
    assert changed.headers["ETag"] != tag
    assert api.patch(CALL, json={"max_calls": 41}, headers={"If-Match": tag}).status_code == 412
    assert api.patch(CALL, json={"max_calls": 41}, headers={"If-Match": "*"}).status_code == 200
    assert api.patch(CALL, json={"max_calls": 42}, headers={"If-Match": "x"}).status_code == 412


def test_the_api_says_of_each_field_what_is_wrong(api, inventory):
    wrong = {"max_calls": 1, "services": ["911"], "routers": ["the grey box"]}
    answer = api.patch(CALL, json=wrong)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert {each["pointer"] for each in answer.json["errors"]} == {f"#/{name}" for name in wrong}


@pytest.mark.parametrize(
    "body", [{"extension_length": 4}, {"walls": 4}, {"max_calls": "x"}, {"adoption": "open"}]
)
def test_the_api_takes_nothing_else(api, inventory, body):
    assert api.patch(CALL, json=body).status_code == 400


def test_a_caller_from_the_console_hears_of_every_field(inventory):
    wrong = {"extension_length": 4, "walls": 4, "max_calls": "x", "services": [1], "adoption": "open"}
    with pytest.raises(Invalid) as told:
        rules.change(inventory, wrong, "console")
    assert told.value.errors.keys() == wrong.keys()
