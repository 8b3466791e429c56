"""The list of phones: filters and order in the address, pages of fifty, and what is done to many at once."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.store.journal import Journal
from provisioner.store.records import Line, Location, Phone, PhoneGroup

MACS = {"Front desk": practice.POLYCOM, "Dr. Adams": practice.YEALINK, "Lab": practice.GRANDSTREAM}


@pytest.fixture
def inventory(app, edge, front):
    inventory = app.extensions["provisioner"].inventory
    with inventory.change(who="test") as change:
        change.put(PhoneGroup(id="g1", name="Nurses"))
    return inventory


def shown(client, query: str) -> list[str]:
    page = client.get(f"/staff/phones?{query}").get_data(as_text=True)
    table = page.partition("<tbody>")[2]
    return re.findall(r"<b>([^<]+)</b></a>", table) + re.findall(
        r'<a class="num"[^>]*>([0-9a-f:]{17})</a>', table
    )


WAITING = "00:15:65:00:01:99"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("model=yealink", ["Dr. Adams", WAITING]),
        ("model=polycom/VVX+411", ["Front desk"]),
        ("group=g1", ["Dr. Adams"]),
        ("group=none", ["Front desk", "Lab"]),
        ("location=lab", ["Dr. Adams", "Lab"]),
        ("location=building-1", ["Front desk", "Dr. Adams", "Lab"]),
        ("location=none", []),
        ("firmware=behind", ["Lab"]),
        ("firmware=unknown", []),
        ("location=lab&q=adams", ["Dr. Adams"]),
        ("q=vvx", ["Front desk"]),
        ("q=nurses", ["Dr. Adams"]),
        ("sort=name&status=", ["Dr. Adams", "Front desk", "Lab", WAITING]),
        ("sort=-extension", ["Lab", "Dr. Adams", "Front desk", WAITING]),
        ("sort=status", ["Lab", "Front desk", "Dr. Adams", WAITING]),
        ("sort=nonsense", ["Front desk", "Dr. Adams", "Lab", WAITING]),
    ],
)
def test_filters_and_order_are_in_the_address(staff, inventory, query, found):
    with inventory.change(who="test") as change:
        change.put(Location(id="building-1", name="House", civic={}))
        for name in ("lab", "desk"):
            place = change.get(Location, name)[0]
            change.put(msgspec.structs.replace(place, parent="building-1", level="floor"))
        phone = change.get(Phone, practice.YEALINK)[0]
        change.put(msgspec.structs.replace(phone, group="g1"))
    names = shown(staff, query)
    assert [each for each in names if each in found] == found
    assert len(names) == len(found)


def test_firmware_that_is_behind_says_what_is_newer(staff, inventory):
    assert "1.0.11.64 1.0.11.85 is newer" in text(staff.get("/staff/phones?firmware=behind"))


def test_filters_are_links_with_counts_and_keep_each_other(staff, inventory):
    page = staff.get("/staff/phones?q=0&sort=-name").get_data(as_text=True)
    addresses = re.findall(r'href="(/staff/phones\?[^"]+)"', page.replace("&amp;", "&"))
    links = [parse_qs(urlsplit(link).query) for link in addresses]
    assert {"q": ["0"], "sort": ["-name"], "location": ["lab"]} in links
    assert {"q": ["0"], "sort": ["-name"], "status": ["waiting"]} in links
    assert "Grandstream GXP2170 1" in text(staff.get("/staff/phones?q=0"))


@pytest.fixture
def many_phones(inventory):
    with inventory.change(who="test") as change:
        for index in range(120):
            line = Line(extension=f"{200 + index}", name=f"Room {index}")
            change.put(Phone(id=f"0015651{index:05}", vendor="yealink", model="T46S", lines=(line,)))
    return inventory


def test_pages_of_fifty(staff, many_phones):
    page = text(staff.get("/staff/phones?q=001565:1&page=2"))
    assert "51 to 100 of 120" in page
    assert "Room 50 " in page
    assert "Room 49 " not in page
    last = staff.get("/staff/phones?q=001565:1&page=99").get_data(as_text=True)
    assert "101 to 120 of 120" in last
    assert 'rel="next"' not in last
    assert "page=2" in last
    assert "1 to 50 of 120" in text(staff.get("/staff/phones?q=001565:1&page=x"))


# what is done to many


def post(staff, csrf, **fields):
    return staff.post("/staff/phones/many", data={"csrf": csrf, **fields})


def mark(page) -> str:
    return re.findall(r'name="shown" value="([0-9a-f]+)"', page.get_data(as_text=True))[0]


def test_assigning_is_previewed_then_done_in_one_change(staff, csrf, inventory, edge):
    ticked = {"action": "assign", "mac": [practice.POLYCOM, practice.YEALINK]}
    first = post(staff, csrf, **ticked)
    assert "Choose, then look" in text(first)
    assert 'name="do"' not in first.get_data(as_text=True)
    wanted = {**ticked, "to-group": "g1", "to-location": "=", "to-desk": "yes"}
    preview = post(staff, csrf, **wanted)
    assert "2 phones would change" in text(preview)
    assert "group: Nurses" in text(preview)
    before = inventory.snapshot_revision()
    done = post(staff, csrf, **wanted, do="1", shown=mark(preview))
    assert "2 phones were changed" in text(done)
    assert inventory.snapshot_revision() == before + 1
    assert edge["reloads"] == 1
    phones = inventory.snapshot().phones
    assert [phones[mac].group for mac in MACS.values()] == ["g1", "g1", ""]
    assert phones[practice.POLYCOM].front_desk
    assert phones[practice.POLYCOM].location == "desk"


def test_what_was_not_shown_is_not_done(staff, csrf, inventory):
    wanted = {"action": "assign", "mac": practice.POLYCOM, "to-group": "g1"}
    preview = post(staff, csrf, **wanted)
    with inventory.change(who="other") as change:
        phone = change.get(Phone, practice.POLYCOM)[0]
        change.put(msgspec.structs.replace(phone, group="g1"))
    late = post(staff, csrf, **wanted, do="1", shown=mark(preview))
    assert late.status_code == 409
    assert "Something has changed meanwhile" in text(late)


def test_all_that_are_found_are_taken_from_every_page(staff, csrf, many_phones):
    wanted = {"action": "assign", "found": "1", "q": "0015651", "to-group": "g1"}
    preview = post(staff, csrf, **wanted)
    assert "120 phones would change" in text(preview)
    macs = re.findall(r'name="macs" value="([^"]+)"', preview.get_data(as_text=True))[0]
    assert len(macs.split()) == 120
    fields = {"action": "assign", "macs": macs, "to-group": "g1"}
    assert "120 phones were changed" in text(post(staff, csrf, **fields, do="1", shown=mark(preview)))
    assert sum(phone.group == "g1" for phone in many_phones.snapshot().phones.values()) == 120


def test_waiting_phones_are_adopted_with_extensions_proposed_or_typed(staff, csrf, inventory, state):
    journal = Journal.open(state.journal)
    for number in range(3):
        row = {
            "mac": f"00156500030{number}",
            "vendor": "yealink",
            "model": "T46S",
            "last_seen": practice.NOW - 5,
        }
        journal.write("sightings", row)
    journal.flush()
    journal.close()
    ticked = {"action": "adopt", "found": "1", "status": "waiting"}
    preview = post(staff, csrf, **ticked)
    assert "Adopt 4 phones" in text(preview)
    assert 'placeholder="104"' in preview.get_data(as_text=True)
    fields = {
        "action": "adopt",
        "macs": f"001565000300 001565000301 {practice.POLYCOM}",
        "extension-001565000301": "150",
    }
    preview = post(staff, csrf, **fields)
    assert "it is adopted already" in text(preview)
    done = post(staff, csrf, **fields, do="1", shown=mark(preview))
    assert "2 phones were changed" in text(done)
    phones = inventory.snapshot().phones
    assert phones["001565000301"].lines[0].extension == "150"
    assert phones["001565000300"].lines[0].extension == "100"


def test_retiring_wants_their_number_typed(staff, csrf, inventory):
    fields = {"action": "retire", "macs": f"{practice.POLYCOM} {practice.YEALINK}"}
    preview = post(staff, csrf, **fields)
    wrong = post(staff, csrf, **fields, do="1", shown=mark(preview), count="3")
    assert wrong.status_code == 409
    assert "Type how many phones" in text(wrong)
    assert len(inventory.snapshot().phones) == 3
    done = post(staff, csrf, **fields, do="1", shown=mark(preview), count="2")
    assert "2 phones were changed" in text(done)
    assert set(inventory.snapshot().phones) == {practice.GRANDSTREAM}


def test_moving_says_what_a_911_call_tells_then(staff, csrf, inventory):
    fields = {"action": "move", "macs": practice.POLYCOM}
    assert "Choose, then look" in text(post(staff, csrf, **fields))
    preview = post(staff, csrf, **fields, **{"to-location": "lab"})
    page = text(preview)
    assert "location: Front desk Lab" in page
    # The number of the front desk is not registered for the lab; another is, and is shown in its place.
    assert "101: (415) 555-0101 (415) 555-0102 known there: Lab" in page
    moved = {**fields, "to-location": "lab", "there": "1"}
    preview = post(staff, csrf, **moved)
    assert "1 phone was changed" in text(post(staff, csrf, **moved, do="1", shown=mark(preview)))
    after = inventory.snapshot()
    assert after.phones[practice.POLYCOM].location == "lab"
    assert after.placements[practice.POLYCOM].location == "lab"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"action": "assign"}, "Tick the phones first"),
        ({"action": "explode", "macs": practice.POLYCOM}, "Choose what"),
        ({"action": "retire", "macs": "what"}, "no MAC address"),
        ({"action": "assign", "macs": practice.POLYCOM, "to-group": "g9"}, "no such group"),
    ],
)
def test_what_makes_no_sense_is_said(staff, csrf, inventory, fields, why):
    answer = post(staff, csrf, **fields)
    assert answer.status_code == 409
    assert why in text(answer)


# the same by API


def test_api_does_the_same(api, inventory, edge):
    body = {"action": "assign", "macs": ["00:04:F2:00:01:01"], "group": "g1", "dry_run": True}
    told = api.post("/api/v1/phones/many", json=body)
    assert told.json["items"][0]["changes"] == [["group", "", "Nurses"]]
    assert inventory.snapshot().phones[practice.POLYCOM].group == ""
    body = {"action": "assign", "found": {"model": "yealink"}, "group": "g1"}
    items = api.post("/api/v1/phones/many", json=body).json["items"]
    assert {each["mac"]: each["problem"] for each in items} == {
        practice.YEALINK: "",
        practice.STRANGER: "it is not adopted",
    }
    assert inventory.snapshot().phones[practice.YEALINK].group == "g1"
    move = {"action": "move", "macs": [practice.YEALINK], "location": "desk"}
    assert api.post("/api/v1/phones/many", json=move).json["items"][0]["changes"] == [
        ["location", "Lab", "Front desk"]
    ]
    assert practice.YEALINK not in inventory.snapshot().placements
    gone = api.post("/api/v1/phones/many", json={"action": "retire", "macs": [practice.YEALINK]})
    assert gone.status_code == 200
    assert practice.YEALINK not in inventory.snapshot().phones


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "explode"}, 400),
        ({"macs": []}, 400),
        ({"action": "assign", "macs": [], "group": "g1"}, 409),
        ({"action": "move", "macs": [practice.YEALINK]}, 409),
        ({"action": "adopt", "macs": [practice.YEALINK]}, 409),
    ],
)
def test_api_refuses(api, inventory, body, status):
    assert api.post("/api/v1/phones/many", json=body).status_code == status


def test_api_lists_as_the_page_does(api, inventory):
    def listed(query: str) -> list[str]:
        return [row["mac"] for row in api.get(f"/api/v1/phones?{query}").json["items"]]

    assert listed("") == [practice.STRANGER, *MACS.values()]
    assert listed("model=yealink&sort=-extension") == [practice.YEALINK, practice.STRANGER]
    assert listed("location=lab") == [practice.YEALINK, practice.GRANDSTREAM]
    assert listed("firmware=behind") == [practice.GRANDSTREAM]
    assert api.get("/api/v1/phones?firmware=behind").json["items"][0]["newest"] == "1.0.11.85"
    assert api.get("/api/v1/phones?sort=nonsense").status_code == 400
