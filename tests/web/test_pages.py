"""What the overview and the lists say, with and without the other processes."""

from __future__ import annotations

import re

import pytest
import web_practice as practice
from flask.testing import FlaskClient

from provisioner.paths import StateDir
from provisioner.phones.trust import RULES

PAGES = (
    "/staff/",
    "/staff/phones",
    f"/staff/phones/{practice.POLYCOM}",
    "/staff/calls",
    "/staff/requests",
    "/staff/protection",
    "/staff/jobs",
    "/staff/retired",
    "/staff/phones/import",
)


WITHOUT_PROCESSES = {"/staff/requests", "/staff/jobs", "/staff/retired", "/staff/phones/import"}


def text(client: FlaskClient, path: str, status: int = 200) -> str:
    """What a person reads on a page, tags and runs of spaces taken out."""
    answer = client.get(path)
    assert answer.status_code == status
    return practice.text_of(answer)


def test_overview_shows_calls_with_their_transfer_state(staff, edge, front):
    page = text(staff, "/staff/")
    assert "Transfer: talking to Dr. Adams (102), caller hears music" in page
    assert "(650) 555-0123" in page
    assert "0:40 pressed *" in page
    assert "1 phone offline: 103 Lab" in page
    assert "1 phone waiting for adoption" in page


def test_overview_says_when_all_is_well(staff, edge, front, app):
    edge["status"]["registrations"] = [
        *practice.REGISTRATIONS,
        {**practice.REGISTRATIONS[0], "mac": practice.GRANDSTREAM, "extension": "103"},
    ]
    app.extensions["provisioner"].journal.sightings = list
    assert "All is well" in text(staff, "/staff/")


def test_overview_says_what_is_wrong_first(staff, edge, front):
    edge["status"] = practice.status(up=False)
    page = staff.get("/staff/").get_data(as_text=True)
    wrong = page.index("The calling service at 198.51.100.5:5060 does not answer")
    assert wrong < page.index("1 phone waiting for adoption") < page.index("phones online")


@pytest.mark.parametrize("path", PAGES)
def test_pages_work_without_the_edge(staff, path):
    page = text(staff, path)
    assert "process does not answer" in page or path in WITHOUT_PROCESSES
    assert "Traceback" not in page


@pytest.mark.parametrize("path", PAGES)
def test_pages_work_with_an_edge_that_does_not_reply(staff, state: StateDir, path):
    import asyncio

    async def never(_args: dict[str, object]) -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    process = practice.Process(state, "edge", {"status": never})
    try:
        page = text(staff, path)
    finally:
        process.close()
    assert "Not known now: the edge process did not answer" in page or path in WITHOUT_PROCESSES


def test_phones_show_what_the_inventory_and_the_edge_know(staff, edge, front):
    page = text(staff, "/staff/phones")
    assert (
        "In a call Front desk 00:04:f2:00:01:01 101 (415) 555-0101 Front desk Polycom VVX 411 6.4.6.2494"
        in page
    )
    assert "Offline Lab 00:0b:82:00:01:03 103" in page
    assert (
        page.index("Waiting for adoption 1" if "Waiting for adoption 1" in page else "Waiting for adoption")
        > 0
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("00:04:F2:00:01:01", ["Front desk"]),
        ("0004f2000101", ["Front desk"]),
        ("103", ["Lab"]),
        ("(415) 555-0102", ["Dr. Adams"]),
        ("adams", ["Dr. Adams"]),
        ("192.0.2.22", ["Dr. Adams"]),
        ("terry", ["Front desk", "Dr. Adams", "Lab"]),
        ("nothing like it", []),
    ],
)
def test_phones_are_found(staff, edge, query, found):
    page = staff.get("/staff/phones", query_string={"q": query}).get_data(as_text=True)
    assert re.findall(r"<b>(Front desk|Dr. Adams|Lab)</b></a>", page) == found


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("", ["Front desk", "Dr. Adams", "Lab"]),
        ("ready", ["Front desk", "Dr. Adams"]),
        ("offline", ["Lab"]),
        ("attention", ["Lab"]),
        ("waiting", []),
    ],
)
def test_tiles_lead_to_filtered_lists(staff, edge, status, found):
    page = staff.get("/staff/phones", query_string={"status": status}).get_data(as_text=True)
    assert re.findall(r"<b>(Front desk|Dr. Adams|Lab)</b></a>", page) == found


def test_one_phone(staff, edge, front):
    page = text(staff, f"/staff/phones/{practice.POLYCOM}")
    assert "500 Terry Francois Blvd, floor 1, room 100, San Francisco CA 94158" in page
    assert "sip:101@192.0.2.21:5060 , good for 4:00 more" in page
    assert f"GET /0004f2000101.cfg agent sent 200 {RULES['adopted'][1]} 21,814" in page


def test_one_phone_waiting(staff, edge):
    page = text(staff, f"/staff/phones/{practice.STRANGER}")
    assert "the phone waits for adoption" in page
    assert f"sent 200 {RULES['waiting'][1]}" in page


def test_a_phone_nobody_knows(staff):
    assert "No phone with this address" in text(staff, "/staff/phones/ffffffffffff", 404)


def test_calls_live_and_past(staff, edge):
    page = text(staff, "/staff/calls")
    assert "talked, the caller hung up" in page
    assert "2:00" in page
    assert "/staff/calls/p1" in staff.get("/staff/calls").get_data(as_text=True)
    found = text(staff, "/staff/calls?q=adams")
    assert "Not answered in time" in found
    assert "hung up" not in found


def test_a_live_call_is_not_listed_as_past(staff, edge, app):
    journal = app.extensions["provisioner"].journal
    journal.write(
        "calls", {"id": "c1", "started": practice.NOW - 75, "caller": "101", "called": "102", "steps": []}
    )
    assert journal.flush()
    assert 'id="call-c1"' not in staff.get("/staff/calls").get_data(as_text=True)


def test_requests_are_searched(staff, front):
    listed = text(staff, "/staff/requests?q=00:04:f2:00:01:01").partition("Asked for")[2]
    assert RULES["adopted"][1] in listed
    page = text(staff, "/staff/requests?q=waits+for+adoption").partition("Asked for")[2]
    assert RULES["waiting"][1] in page
    assert RULES["adopted"][1] not in page
    assert "Nothing fits" in text(staff, "/staff/requests?q=404")


def emergency(**changes: object) -> dict[str, object]:
    return practice.call(
        **{
            "id": "e1",
            "direction": "emergency",
            "state": "talking",
            "from": "102",
            "desk": "102",
            "to": "911",
            **changes,
        }
    )


@pytest.mark.parametrize("path", PAGES)
def test_a_911_call_is_on_every_page(staff, edge, path):
    edge["status"] = practice.status(calls=[emergency()])
    page = text(staff, path)
    assert "Emergency call from Dr. Adams (102) going on now" in page
    assert (
        "Where Lab, 500 Terry Francois Blvd, floor 2, San Francisco CA Call-back number (415) 555-0102"
        in page
    )


def test_a_911_call_stays_for_half_an_hour(staff, edge, app):
    journal = app.extensions["provisioner"].journal
    row = {
        "direction": "emergency",
        "caller": "102",
        "desk": "102",
        "called": "911",
        "steps": [],
        "outcome": "answered",
    }
    journal.write("calls", {"id": "e1", "started": practice.NOW - 1700, **row})
    journal.write("calls", {"id": "e2", "started": practice.NOW - 1900, **row})
    assert journal.flush()
    page = text(staff, "/staff/")
    assert page.count("Emergency call from") == 1
    assert "going on now" not in page


def test_a_test_call_is_called_so_and_988_is_not_shown(staff, edge):
    edge["status"] = practice.status(calls=[emergency(to="933"), emergency(id="e2", to="988")])
    page = text(staff, "/staff/")
    assert page.count("Emergency test call (933)") == 1
    assert "Emergency call from" not in page


def test_an_emergency_without_a_place_says_so(staff, edge):
    edge["status"] = practice.status(calls=[emergency(**{"from": "199", "desk": "199"})])
    page = text(staff, "/staff/")
    assert "Call-back number (415) 555-0100 (its address is not registered for this place)" in page
    assert "No known place: an operator has to ask" in page


def test_the_callback_number_is_of_the_same_place(staff, edge, app):
    from provisioner.store.records import Number

    with app.extensions["provisioner"].inventory.change(who="test") as change:
        change.put(Number(id="+14155550102", label="Dr. Adams", extension="102", location="lab"))
    edge["status"] = practice.status(calls=[emergency()])
    page = text(staff, "/staff/")
    assert "Call-back number (415) 555-0103 Dialed" in page
    assert "(415) 555-0102 has no registered emergency address" in page


def test_findings_about_numbers_and_places(staff, edge, app):
    from provisioner.store.records import Number, Phone

    inventory = app.extensions["provisioner"].inventory
    with inventory.change(who="test") as change:
        phone = change.get(Phone, practice.POLYCOM)[0]
        change.put(Phone(id=phone.id, vendor=phone.vendor, model=phone.model, lines=phone.lines))
        change.put(Number(id="+14155550101", label="Front desk", extension="101"))
        change.put(Number(id="+14155550109", label="Spare", address_status="registered"))
    page = text(staff, "/staff/")
    assert "1 phone without a location: 101 Front desk" in page
    assert "(415) 555-0101 has no registered emergency address" in page
    assert "Nobody answers (415) 555-0109" in page


def test_a_broken_store_is_one_sentence(staff, state: StateDir):
    state.inventory.write_bytes(b"this is no database" * 500)
    page = text(staff, "/staff/", 503)
    assert "This cannot be done now" in page
    assert re.search(r"inventory.db is (damaged|not a database). Stop the appliance", page)


def test_a_practice_that_has_nothing_yet(tmp_path):
    from provisioner.store.records import Setup
    from provisioner.web.app import create_app

    app = create_app(StateDir.create(tmp_path), patience=0.1)
    inventory = app.extensions["provisioner"].inventory
    client = app.test_client()
    client.get("/staff/sign-in/" + inventory.new_token("sign-in", 60, "administrator"))
    with inventory.change("test") as change:
        change.put(Setup(id="setup", done=1.0))
    assert "Connect one to the network and start it" in text(client, "/staff/phones")
    assert "No connection to a calling service is set up" in text(client, "/staff/")
    app.extensions["provisioner"].close()


def test_what_comes_from_outside_is_text(staff, edge, app):
    journal = app.extensions["provisioner"].journal
    journal.write(
        "sightings", {"mac": "aabbccddeeff", "agent": "<script>x</script>", "last_seen": practice.NOW}
    )
    assert journal.flush()
    page = staff.get("/staff/phones/aabbccddeeff").get_data(as_text=True)
    assert "&lt;script&gt;x&lt;/script&gt;" in page
    assert "<script>x" not in page
