"""Groups of phones: made, named, filled, given keys, deleted."""

from __future__ import annotations

import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.store.records import Key, PhoneSettings

PAGE = "/staff/groups"


@pytest.fixture
def inventory(app, edge, front):
    return app.extensions["provisioner"].inventory


@pytest.fixture
def group(staff, csrf, inventory):
    answer = staff.post(PAGE, data={"csrf": csrf, "name": "Nurses"})
    assert answer.status_code == 303
    return next(iter(inventory.snapshot().phone_groups))


def members(inventory, group):
    return sorted(phone.id for phone in inventory.snapshot().phones.values() if phone.group == group)


def test_phones_go_in_and_out(staff, csrf, inventory, group):
    staff.post(f"{PAGE}/{group}/join", data={"csrf": csrf, "phones": "101, 00:15:65:00:01:02"})
    assert members(inventory, group) == [practice.POLYCOM, practice.YEALINK]
    assert "Nurses 2 0 0 of its own" in text(staff.get(PAGE))
    staff.post(f"{PAGE}/{group}/leave", data={"csrf": csrf, "mac": practice.POLYCOM})
    assert members(inventory, group) == [practice.YEALINK]


@pytest.mark.parametrize(("named", "words"), [("999", "no phone has 999"), (" ", "Give extensions or MACs")])
def test_who_is_no_phone_goes_nowhere(staff, csrf, inventory, group, named, words):
    page = staff.post(f"{PAGE}/{group}/join", data={"csrf": csrf, "phones": f"{named}"})
    assert (page.status_code, words in text(page)) == (409, True)
    assert members(inventory, group) == []


def test_name_and_keys_are_changed(staff, csrf, inventory, group):
    form = {"csrf": csrf, "name": "Ward", "function-2": "blf", "value-2": "103", "label-2": "Lab"}
    staff.post(f"{PAGE}/{group}", data=form)
    held = inventory.snapshot().phone_groups[group]
    assert (held.name, held.keys) == ("Ward", (Key(position=2, function="blf", value="103", label="Lab"),))
    page = staff.post(f"{PAGE}/{group}", data={**form, "value-2": "999"})
    assert "Key 2: there is no extension 999" in text(page)


@pytest.mark.parametrize(
    ("name", "words"), [("", "Give the group a name"), ("nurses", "is a group nurses already")]
)
def test_a_name_that_cannot_be(staff, csrf, inventory, group, name, words):
    page = staff.post(PAGE, data={"csrf": csrf, "name": name})
    assert (page.status_code, words in text(page)) == (409, True)
    assert len(inventory.snapshot().phone_groups) == 1


def test_a_deleted_group_leaves_its_phones_and_takes_its_settings(staff, csrf, api, inventory, group):
    staff.post(f"{PAGE}/{group}/join", data={"csrf": csrf, "phones": "101"})
    api.patch(f"/api/v1/layers/group:{group}", json={"language": "es"})
    assert "1 phone has these settings." in text(staff.get(f"/staff/settings?layer=group:{group}"))
    staff.post(f"{PAGE}/{group}/delete", data={"csrf": csrf})
    assert inventory.snapshot().phones[practice.POLYCOM].group == ""
    assert inventory.all(PhoneSettings) == []
    assert staff.get(f"{PAGE}/{group}").status_code == 404


def test_by_api(api, inventory):
    key = {"position": 1, "function": "speed_dial", "value": "4155550123", "label": "Lab"}
    made = api.post("/api/v1/phone-groups", json={"name": "Desk", "keys": [key]})
    assert made.status_code == 201
    path = f"/api/v1/phone-groups/{made.json['id']}"
    changed = api.put(path, json={"members": ["101", practice.YEALINK]}).json
    assert (changed["name"], changed["keys"], sorted(changed["members"])) == (
        "Desk", [key], [practice.POLYCOM, practice.YEALINK],
    )  # fmt: skip
    assert api.put(path, json={"members": ["101"]}).json["members"] == [practice.POLYCOM]
    assert api.put(path, json={"members": ["999"]}).status_code == 409
    assert api.put(path, json={"members": "101"}).status_code == 400
    assert api.put(path, json={"keys": [{"position": "one"}]}).status_code == 400
    assert api.get("/api/v1/phone-groups").json["items"] == [api.get(path).json]
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
