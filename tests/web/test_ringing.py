"""Ring groups and numbers: seen, changed by plain forms and by API, and what happens at a call told in words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from web_practice import PATIENT, YEALINK
from web_practice import text_of as text

from provisioner.phones import ring_groups
from provisioner.store.records import LineFeatures, Member, Number, Phone, RingGroup

PAGE, CALL = "/staff/ring-groups", "/api/v1/ring-groups"
MAIN = "+14155550100"


@pytest.fixture
def inventory(app, edge, front):
    return app.extensions["provisioner"].inventory


def group(inventory, name="main"):
    return inventory.get(RingGroup, name)


def form(inventory, csrf, **changes):
    record, revision = group(inventory)
    values = {
        "csrf": csrf,
        "revision": str(revision),
        "name": record.name,
        "mode": record.mode,
        "target": [each.target for each in record.each],
        "member_seconds": [str(each.seconds or "") for each in record.each],
    }
    return values | changes


def test_groups_are_listed_and_found(staff, inventory):
    page = text(staff.get(PAGE))
    assert "Main" in page
    assert "(415) 555-0100" in page
    assert "101 Front desk, 102 Dr. Adams, 103 Lab" in page
    assert "No ring group fits" in text(staff.get(f"{PAGE}?q=billing"))
    assert "102 Dr. Adams" in text(staff.get(f"{PAGE}?q=adams"))


def test_rows_move_without_script_and_nothing_is_saved_by_that(staff, csrf, inventory):
    before = group(inventory)
    page = staff.post(f"{PAGE}/main", data=form(inventory, csrf, act="up-2")).get_data(as_text=True)
    assert "not saved yet" in page
    assert page.index('value="103 Lab"') < page.index('value="102 Dr. Adams"')
    page = staff.post(f"{PAGE}/main", data=form(inventory, csrf, act="down-2")).get_data(as_text=True)
    assert page.index('value="102 Dr. Adams"') < page.index('value="103 Lab"')  # the last one stays
    page = staff.post(f"{PAGE}/main", data=form(inventory, csrf, act="drop-0")).get_data(as_text=True)
    assert 'value="101 Front desk" list' not in page
    assert staff.post(f"{PAGE}/main", data=form(inventory, csrf, act="drop-9")).status_code == 200
    assert group(inventory) == before


def test_all_of_a_group_is_changed_at_once(staff, csrf, inventory, edge):
    changes = {
        "name": " Front   desk ",
        "mode": "sequential",
        "seconds": "90",
        "screening": "1",
        "target": ["103 Lab", "", "101", "(650) 555-0123"],
        "member_seconds": ["", "", "25", ""],
    }
    page = staff.post(f"{PAGE}/main", data=form(inventory, csrf, **changes), follow_redirects=True)
    assert "Saved" in text(page)
    assert group(inventory)[0] == RingGroup(
        id="main",
        name="Front desk",
        members=("103", Member(target="101", seconds=25), PATIENT),
        mode="sequential",
        seconds=90,
        screening=True,
    )
    assert edge["reloads"] == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "at most 40 letters"),
        ({"target": [""], "member_seconds": [""]}, "1 to 50 members"),
        ({"target": ["911"], "member_seconds": [""]}, "emergency"),
        ({"target": ["101", "199"], "member_seconds": ["", ""]}, "no such extension"),
        ({"target": ["101", "101"], "member_seconds": ["", ""]}, "there twice"),
        ({"target": ["101"], "member_seconds": ["soon"]}, "0 to 120 seconds"),
        ({"target": [MAIN], "member_seconds": [""]}, "leads to no extension"),
        ({"seconds": "9999"}, "0 to 600 seconds"),
        ({"mode": "odd", "name": "x" * 41}, "at most 40 letters"),
    ],
)
def test_what_is_wrong_is_said_beside_its_row_and_stays_typed(staff, csrf, inventory, changes, words):
    before = group(inventory)
    page = staff.post(f"{PAGE}/main", data=form(inventory, csrf, **changes))
    assert page.status_code == 422
    assert words in text(page)
    assert 'aria-invalid="true"' in page.get_data(as_text=True) or "members" in words
    assert group(inventory) == before


def test_two_people_at_once(staff, csrf, inventory):
    old = form(inventory, csrf, seconds="40")
    ring_groups.put(inventory, {"name": "Meanwhile"}, "a colleague", "main")
    page = staff.post(f"{PAGE}/main", data=old)
    assert (page.status_code, "Somebody changed this" in text(page)) == (409, True)
    assert group(inventory)[0].seconds == 0


def test_a_group_is_made_given_a_number_and_deleted(staff, csrf, inventory):
    assert staff.get(f"{PAGE}/new").status_code == 200
    new = {"csrf": csrf, "name": "Nurses", "mode": "simultaneous", "target": "102", "member_seconds": ""}
    made = staff.post(f"{PAGE}/new", data=new)
    where = made.headers["Location"].partition("?")[0]
    assert "nobody reaches this group" in text(staff.get(where))
    name = where.rpartition("/")[2]
    staff.post(f"{where}/numbers", data={"csrf": csrf, "number": MAIN})
    assert inventory.get(Number, MAIN)[0].ring_group == name
    refused = staff.post(f"{where}/delete", data={"csrf": csrf})
    assert (refused.status_code, "would lead nowhere" in text(refused)) == (409, True)
    staff.post(f"{where}/numbers", data={"csrf": csrf, "drop": MAIN})
    assert staff.post(f"{where}/delete", data={"csrf": csrf}).status_code == 303
    assert group(inventory, name) is None
    assert staff.get(where).status_code == 404
    assert (
        staff.post(f"{PAGE}/main/numbers", data={"csrf": csrf, "number": "+14155550199"}).status_code == 409
    )


def test_the_api_makes_changes_and_deletes(api, inventory):
    made = api.post(CALL, json={"name": "Nurses", "members": ["102", {"target": "103", "seconds": 9}]})
    assert (made.status_code, made.json["mode"]) == (201, "simultaneous")
    one = f"{CALL}/{made.json['id']}"
    tag = api.get(one).headers["ETag"]
    assert api.patch(one, json={"seconds": 20}, headers={"If-Match": tag}).json["seconds"] == 20
    assert api.patch(one, json={"seconds": 21}, headers={"If-Match": tag}).status_code == 412
    wrong = api.patch(one, json={"members": ["911", "199"]})
    assert (wrong.status_code, [each["pointer"] for each in wrong.json["errors"]]) == (
        422,
        ["#/members/0", "#/members/1"],
    )
    assert len(api.get(CALL).json["items"]) == 2
    assert [each["what"] for each in api.get(f"{one}/handling").json] == ["together"]
    assert api.delete(one).status_code == 204
    assert api.get(one).status_code == 404
    assert api.delete(f"{CALL}/main").status_code == 409


# numbers


def test_what_happens_at_a_call_is_told(staff, inventory):
    with inventory.change("test") as change:
        change.put(LineFeatures(id="102", do_not_disturb=True))
    page = text(staff.get(f"/staff/numbers/{MAIN}"))
    assert "Phones show “Main” and nothing of who calls" in page
    assert "All of Main ring at once, for up to 30 seconds" in page
    assert "Dr. Adams (102) is passed over: do not disturb is on" in page
    assert "Lab (103) rings, for up to 30 seconds" in page
    assert "not registered at this moment" in page  # 103 is offline
    assert "Nobody took it" in page


def test_a_number_leads_elsewhere_and_has_other_words(staff, csrf, inventory):
    where = f"/staff/numbers/{MAIN}"
    page = staff.post(
        f"{where}/target", data={"csrf": csrf, "target": "101 Front desk"}, follow_redirects=True
    )
    assert "Front desk (101) rings" in text(page)
    assert inventory.get(Number, MAIN)[0].extension == "101"
    refused = staff.post(f"{where}/target", data={"csrf": csrf, "target": "199"})
    assert (refused.status_code, "no phone and no ring group is 199" in text(refused)) == (409, True)
    _held, revision = inventory.get(Number, MAIN)
    words = {"csrf": csrf, "revision": str(revision), "label": "Front door"}
    assert staff.post(where, data=words).status_code == 303
    assert (inventory.get(Number, MAIN)[0].label, inventory.get(Number, MAIN)[0].caller_privacy) == (
        "Front door",
        False,
    )
    assert staff.post(where, data=words).status_code == 409  # the revision is old now
    wrong = staff.post(where, data={"csrf": csrf, "label": "", "dial_through": "1"})
    assert (wrong.status_code, text(wrong).count("Give it words")) == (422, 2)
    assert "let it lead nowhere first" in text(wrong)
    assert staff.get("/staff/numbers/+14155550199").status_code == 404


def test_numbers_are_searched_and_shown_by_what_is_wrong(staff, inventory):
    with inventory.change("test") as change:
        change.put(Number(id="+14155550104", label="Spare"))
    assert "Spare" in text(staff.get("/staff/numbers?q=5550104"))
    assert "Spare" not in text(staff.get("/staff/numbers?q=adams"))
    unused = text(staff.get("/staff/numbers?show=unused"))
    assert "Spare" in unused
    assert "Dr. Adams" not in unused
    assert "Spare" in text(staff.get("/staff/numbers?show=unregistered"))
    assert "No number fits" in text(staff.get("/staff/numbers?show=odd&q=nothing"))


def test_ticked_numbers_change_together(staff, csrf, inventory):
    ticked = ["+14155550101", "+14155550102"]
    data = {"csrf": csrf, "number": ticked}
    page = staff.post(
        "/staff/numbers/many", data=data | {"do": "lead", "target": "main"}, follow_redirects=True
    )
    assert "2 numbers were changed" in text(page)
    assert {inventory.get(Number, each)[0].ring_group for each in ticked} == {"main"}
    staff.post("/staff/numbers/many", data=data | {"do": "place", "location": "lab"})
    assert {inventory.get(Number, each)[0].location for each in ticked} == {"lab"}
    nowhere = staff.post("/staff/numbers/many", data=data | {"do": "place", "location": "attic"})
    assert (nowhere.status_code, "0 numbers were changed" in text(nowhere)) == (409, True)
    assert staff.post("/staff/numbers/many", data={"csrf": csrf, "do": "lead"}).status_code == 409
    assert (
        staff.post("/staff/numbers/many", data=data | {"do": "provider", "provider": "x"}).status_code == 409
    )


def test_the_api_tells_and_changes_a_number(api, inventory):
    where = f"/api/v1/numbers/{MAIN}"
    assert api.get(where).json["label"] == "Main"
    told = [each["what"] for each in api.get(f"{where}/handling").json]
    assert told == ["private", "together", "nobody"]
    assert api.patch(where, json={"caller_privacy": False}).json["caller_privacy"] is False
    assert api.patch(where, json={"label": ""}).status_code == 422
    assert api.patch(where, json={"location": "lab"}).status_code == 400
    assert api.get("/api/v1/numbers/+14155550199").status_code == 404
    assert api.post(f"{where}/assign", json={"target": ""}).json["number"]["ring_group"] == ""
    through = api.patch(where, json={"dial_through": True})
    assert through.json["dial_through"] is True
    assert api.post(f"{where}/assign", json={"target": "101"}).status_code == 409


def test_extensions_get_numbers_of_their_own(staff, csrf, inventory):
    """One that is registered for the phone's place and leads nowhere; who has one keeps it."""
    with inventory.change("test") as change:
        for digits, status in (("0201", "unregistered"), ("0202", "registered"), ("0203", "registered")):
            number = f"+1415555{digits}"
            change.put(Number(id=number, label=number, location="lab", address_status=status))
        phone = change.get(Phone, YEALINK)[0]
        change.put(replace(phone, lines=(replace(phone.lines[0], number=""),)))
    page = staff.post("/staff/extensions/numbers", data={"csrf": csrf, "extension": ["101", "102", "199"]})
    assert "1 number was given" in text(page)
    assert "102 : (415) 555-0202" in text(page)
    assert "it has this number already" in text(page)
    assert "no phone has this extension" in text(page)
    snapshot = inventory.snapshot()
    assert snapshot.phones[YEALINK].lines[0].number == "+14155550202"
    assert snapshot.numbers["+14155550202"].extension == "102"


def test_no_number_is_given_that_is_registered_elsewhere(api, inventory):
    with inventory.change("test") as change:
        change.put(Number(id="+14155550202", label="Desk", location="desk", address_status="registered"))
        phone = change.get(Phone, YEALINK)[0]
        change.put(replace(phone, lines=(replace(phone.lines[0], number=""),)))
    (given,) = api.post("/api/v1/extensions/numbers", json={"extensions": ["102"]}).json
    assert given == {"extension": "102", "number": "", "why": "no number that is registered for Lab is free"}


def test_the_list_of_extensions_says_all_of_a_line(staff, inventory):
    with inventory.change("test") as change:
        change.put(LineFeatures(id="102", do_not_disturb=True, forward_busy="101"))
    page = text(staff.get("/staff/extensions"))
    assert "Ready" in page
    assert "Not registered" in page  # 103
    assert "do not disturb, forwarded when busy" in page
    one = text(staff.get("/staff/extensions/102"))
    assert "Dr. Adams (102) does not want to be disturbed" in one
    assert "Front desk (101) rings, for up to 30 seconds" in one
    assert "It is in: Main" in one
