"""The tree of locations: seen, searched, changed after a look at what that means for 911, removed when empty."""

from __future__ import annotations

import re

import pytest
import web_practice as practice
from msgspec.structs import replace
from web_practice import text_of as text

from provisioner.emergency import effects
from provisioner.emergency.locations import keep
from provisioner.store.journal import Journal
from provisioner.store.records import Location, Number, Phone, Provider

PAGE, CALL = "/staff/locations", "/api/v1/locations"
STREET = {
    "country": "US",
    "A1": "CA",
    "A3": "San Francisco",
    "RD": "Harbor",
    "STS": "Way",
    "HNO": "12",
    "PC": "94107",
}


@pytest.fixture
def inventory(app, edge, front):
    """A building with a floor and a room, where the Yealink is, beside what the practice has."""
    found = app.extensions["provisioner"].inventory
    with found.change("test") as change:
        change.put(Location(id="harbor", name="Harbor house", civic=STREET))
        change.put(
            Location(id="second", name="Second floor", civic={"FLR": "2"}, parent="harbor", level="floor")
        )
        change.put(Location(id="exam", name="Exam 3", civic={"ROOM": "3"}, parent="second", level="room"))
        change.put(Provider(id="core", api="core"))
        phone, number = change.get(Phone, practice.YEALINK)[0], change.get(Number, "+14155550102")[0]
        change.put(replace(phone, location="exam"))
        change.put(replace(number, location="exam", provider="core"))
    return found


def place(inventory, name):
    held = inventory.get(Location, name)
    return held[0] if held else None


def form(inventory, csrf, of="", **changes):
    held = inventory.get(Location, of) if of else None
    record, revision = held or (Location(id="", name="", civic={}), 0)
    values = {
        "csrf": csrf, "revision": str(revision), "read": "", "text": "", "name": record.name,
        "parent": record.parent, "level": record.level, "networks": " ".join(record.networks),
        "neighbours": "\n".join(record.neighbours), "identifiers": "",
        **{f"civic-{each}": value for each, value in record.civic.items()},
    }  # fmt: skip
    return values | changes


def sent_on(page, data):
    """The same form once more, with what the page has put into its hidden fields."""
    hidden = dict(
        re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.get_data(as_text=True))
    )
    shown = dict(re.findall(r'name="(civic-\w+)" value="([^"]*)"', page.get_data(as_text=True)))
    return data | shown | {name: hidden[name] for name in ("read", "mark", "revision") if name in hidden}


def test_the_tree_has_phones_and_numbers_where_they_are(staff, inventory):
    page = staff.get(PAGE).get_data(as_text=True)
    assert page.index("Harbor house") < page.index("Second floor") < page.index("Exam 3")
    assert page.index("Exam 3") < page.index("102</b> Dr. Adams")
    assert "12 Harbor Way, San Francisco CA 94107" in page


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("exam", ("Harbor house", "Exam 3"), ("Front desk",)),
        ("5550102", ("Exam 3",), ("101 ",)),
        ("adams", ("Second floor", "Exam 3", "Dr. Adams"), ("Lab",)),
        ("nothing such", ("No location fits",), ("Exam 3",)),
    ],
)
def test_it_is_searched(staff, inventory, query, there, not_there):
    page = text(staff.get(f"{PAGE}?q={query}")).partition("Search ")[2]
    assert all(words in page for words in there)
    assert not any(words in page for words in not_there)


def test_phones_without_a_place_are_told(staff, inventory):
    with inventory.change("test") as change:
        change.put(replace(change.get(Phone, practice.YEALINK)[0], location=""))
    assert "1 phone has no place" in text(staff.get(PAGE))


def test_an_address_as_people_type_it_is_read_shown_and_then_saved(staff, csrf, inventory):
    typed = form(inventory, csrf, name="", text="1 Market Plaza Ste 4, San Francisco CA 94105")
    typed["name"] = "Annex"
    page = staff.post(f"{PAGE}/new", data=typed)
    said = page.get_data(as_text=True)
    assert 'name="civic-HNO" value="1"' in said
    assert 'name="civic-UNIT" value="4"' in said
    assert "The address was read" in said
    assert place(inventory, "annex") is None
    made = staff.post(f"{PAGE}/new", data=sent_on(page, typed), follow_redirects=True)
    assert "Saved" in text(made)
    assert place(inventory, "annex").civic["RD"] == "Market"


def test_doubts_are_marked_at_their_parts(staff, csrf, inventory):
    typed = form(inventory, csrf, name="", text="77 Broadway San Francisco CA 94111")
    page = staff.post(f"{PAGE}/new", data=typed | {"name": "X"})
    assert re.search(r"read, with \d doubts?", text(page))
    assert 'class="field doubt"' in page.get_data(as_text=True)


def test_a_floor_takes_only_what_is_inside(staff, csrf, inventory):
    typed = form(inventory, csrf, "second", text="5th floor, 99 Elm St, Oakland CA 94601")
    page = staff.post(f"{PAGE}/second", data=typed)
    assert 'name="civic-FLR" value="2 5"' not in page.get_data(as_text=True)
    assert 'name="civic-FLR" value="5"' in page.get_data(as_text=True)
    assert 'name="civic-HNO"' not in page.get_data(as_text=True)


def test_what_it_means_for_911_is_shown_before(staff, csrf, inventory):
    data = form(inventory, csrf, "second", **{"civic-FLR": "4"})
    page = staff.post(f"{PAGE}/second", data=data)
    said = text(page)
    assert "1 number is registered anew" in said
    assert "(415) 555-0102" in said
    assert "12 Harbor Way, FL 2 RM 3" in said
    assert "12 Harbor Way, FL 4 RM 3" in said
    assert "Calls to 911 from 1 phone tell another address" in said
    assert place(inventory, "second").civic == {"FLR": "2"}
    done = staff.post(f"{PAGE}/second", data=sent_on(page, data))
    assert done.status_code == 303
    assert place(inventory, "second").civic == {"FLR": "4"}


def test_what_was_shown_is_what_is_saved(staff, csrf, inventory):
    data = form(inventory, csrf, "second", **{"civic-FLR": "4"})
    other = sent_on(staff.post(f"{PAGE}/second", data=data), data) | {"civic-FLR": "9"}
    assert "What this means for 911" in text(staff.post(f"{PAGE}/second", data=other))
    assert place(inventory, "second").civic == {"FLR": "2"}


def test_another_name_means_nothing_and_is_saved_at_once(staff, csrf, inventory, edge):
    assert (
        staff.post(f"{PAGE}/exam", data=form(inventory, csrf, "exam", name="Exam three")).status_code == 303
    )
    assert (place(inventory, "exam").name, edge["reloads"]) == ("Exam three", 1)


def test_it_is_moved_in_the_tree_with_networks_and_neighbours(staff, csrf, inventory):
    changes = {
        "parent": "harbor", "networks": "10.1.0.0/16, 10.2.0.0/16", "neighbours": "aa-bb\ncc dd",
        "identifiers": "erl=B2F3",
    }  # fmt: skip
    data = form(inventory, csrf, "exam", **changes)
    page = staff.post(f"{PAGE}/exam", data=data)
    assert "counts as moved until somebody says where it is" in text(page)
    staff.post(f"{PAGE}/exam", data=sent_on(page, data))
    kept = place(inventory, "exam")
    assert (kept.parent, kept.networks) == ("harbor", ("10.1.0.0/16", "10.2.0.0/16"))
    assert (kept.neighbours, kept.identifiers) == (("aa-bb", "cc dd"), {"erl": "B2F3"})


def test_how_its_phones_look_on_the_network_is_proposed(staff, state, inventory):
    journal = Journal.open(state.journal)
    body = {
        "mac": practice.YEALINK,
        "location": "exam",
        "network": "10.0.0.0/24",
        "address": "10.9.9.9",
        "port": "sw1",
    }
    journal.write("whereabouts", {"mac": practice.YEALINK, "since": None, "body": body})
    assert journal.flush()
    journal.close()
    page = text(staff.get(f"{PAGE}/exam"))
    assert "Seen now: 10.9.9.0/24" in page
    assert "Seen now: sw1" in page


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("harbor", {"civic-HNO": ""}, "House number is missing"),
        ("harbor", {"civic-RD": "PO Box 7"}, "A post box is no place"),
        ("harbor", {"name": " "}, "Give it a name"),
        ("harbor", {"level": "room"}, "move its parts elsewhere first"),
        ("exam", {"networks": "the lobby"}, "lobby is no network"),
        ("exam", {"identifiers": "erl=a b"}, "letters, digits"),
        ("second", {"parent": "exam"}, "A floor cannot be a part of a room"),
        ("second", {"parent": "attic"}, "There is no location attic"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_saved(staff, csrf, inventory, name, changes, words):
    before = place(inventory, name)
    page = staff.post(f"{PAGE}/{name}", data=form(inventory, csrf, name, **changes))
    assert page.status_code == 422
    assert words in text(page)
    assert 'aria-invalid="true"' in page.get_data(as_text=True)
    assert place(inventory, name) == before


def test_two_people_at_once(staff, csrf, inventory):
    old = form(inventory, csrf, "exam", name="Mine")
    keep(
        inventory,
        "exam",
        {"name": "Theirs", "civic": {"ROOM": "3"}, "parent": "second", "level": "room"},
        "x",
    )
    page = staff.post(f"{PAGE}/exam", data=old)
    assert (page.status_code, "Somebody changed this" in text(page)) == (409, True)
    assert place(inventory, "exam").name == "Theirs"


def test_it_is_removed_only_when_nothing_is_there(staff, csrf, inventory):
    for name, words in (("harbor", "Second floor"), ("exam", "102 Dr. Adams, +14155550102")):
        page = staff.post(f"{PAGE}/{name}/remove", data={"csrf": csrf})
        assert (page.status_code, f"{words} would be nowhere" in text(page)) == (409, True)
    staff.post(
        f"{PAGE}/new", data=form(inventory, csrf) | {"name": "Store", "parent": "second", "level": "room"}
    )
    assert staff.post(f"{PAGE}/store/remove", data={"csrf": csrf}).status_code == 303
    assert place(inventory, "store") is None


def test_a_location_may_be_called_as_the_page_that_makes_one(staff, csrf, inventory):
    data = form(inventory, csrf) | {"name": "New", "parent": "second", "level": "room"}
    made = staff.post(f"{PAGE}/new", data=data)
    assert "New" in text(staff.get(made.location))
    assert inventory.get(Location, "new-2")[0].name == "New"


@pytest.mark.parametrize("path", ["/new?level=attic", "/new?parent=attic", "/attic"])
def test_what_is_not_there(staff, inventory, path):
    assert staff.get(PAGE + path).status_code == 404


def test_two_of_one_name_get_two_ids(staff, csrf, inventory):
    for _ in range(2):
        data = form(inventory, csrf) | {"name": "Exam!", "parent": "second", "level": "room"}
        assert staff.post(f"{PAGE}/new", data=data).status_code == 303
    assert place(inventory, "exam-2").name == "Exam!"
    assert place(inventory, "exam-3").name == "Exam!"


# API


def test_the_api_tells_what_a_change_would_mean(api, inventory):
    body = {"name": "Second floor", "parent": "harbor", "level": "floor", "civic": {"FLR": "4"}}
    told = api.post(f"{CALL}/second/effects", json=body).json
    assert [(each["number"], each["becomes"]["inside"]) for each in told["numbers"]] == [
        ("+14155550102", "FL 4 RM 3")
    ]
    assert [each["extension"] for each in told["phones"]] == ["102"]
    assert place(inventory, "second").civic == {"FLR": "2"}
    assert api.post(f"{CALL}/second/effects", json=body | {"parent": "attic"}).status_code == 422


def test_the_api_reads_an_address(api, inventory):
    told = api.post("/api/v1/addresses/read", json={"text": "12 Harbor Way\nSan Francisco CA 94107"}).json
    assert (told["civic"]["HNO"], told["civic"]["A3"], told["doubts"]) == ("12", "San Francisco", [])


def test_a_number_without_a_place_is_not_touched(inventory):
    means = effects.of_change(inventory.snapshot(), replace(place(inventory, "desk"), name="Other"))
    assert not means.any
