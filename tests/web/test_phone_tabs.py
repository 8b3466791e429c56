"""One phone's tabs: keys drawn and changed one by one, differences of files, settings reset, history, replacing."""

from __future__ import annotations

import re

import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.phones.catalogue import Catalogue
from provisioner.phones.render import Renderer
from provisioner.phones.served import Memory
from provisioner.phones.settings import Addresses
from provisioner.store.journal import Journal
from provisioner.store.records import Credential, Key, PhoneGroup, PhoneSettings

PHONE = f"/staff/phones/{practice.YEALINK}"
API = f"/api/v1/phones/{practice.YEALINK}"
FILE = f"{practice.YEALINK}.cfg"
FREE = "\u2013"
SECRET = "s3cretpasswordofthisphone"


@pytest.fixture
def inventory(app, told_front, edge):
    return app.extensions["provisioner"].inventory


@pytest.fixture
def group(inventory):
    with inventory.change(who="test") as change:
        keys = (Key(position=2, function="blf", value="103", label="Lab"),)
        change.put(PhoneGroup(id="g1", name="Nurses", keys=keys))
        phone = change.get(practice.Phone, practice.YEALINK)[0]
        fields = {name: getattr(phone, name) for name in phone.__struct_fields__}
        change.put(practice.Phone(**{**fields, "group": "g1", "modules": ("EXP40",)}))
    return "g1"


# keys


def keycaps(page) -> list[tuple[str, str]]:
    return re.findall(r'class="keycap is-(\w+)".*?<b>([^<]*)</b>', page.get_data(as_text=True), re.S)


def test_keys_are_drawn_in_columns_pages_and_modules(staff, inventory, group):
    page = staff.get(PHONE + "/keys")
    assert keycaps(page)[:3] == [("empty", FREE), ("group", "Lab"), ("empty", FREE)]
    assert page.get_data(as_text=True).count('<ol class="keycolumn') == 2 * (3 + 2)
    assert "page 1 of 3" in text(page)
    assert "EXP40 1, key 1" in text(page)
    assert "Choose a key to change it." in text(page)


def test_one_key_is_changed_and_taken_back_without_script(staff, csrf, inventory, group):
    assert "Its group has here: lamp of 103" in text(staff.get(PHONE + "/keys?key=2"))
    typed = {"csrf": csrf, "function": "speed_dial", "value": "5550123", "label": "Supplier"}
    saved = staff.post(PHONE + "/keys/2", data=typed)
    assert saved.headers["Location"].endswith("/keys?key=2&saved=1#key-2")
    assert keycaps(staff.get(PHONE + "/keys"))[1] == ("own", "Supplier")
    staff.post(PHONE + "/keys/1", data={"csrf": csrf, "function": "line", "value": "1"})
    assert [key.position for key in inventory.snapshot().phones[practice.YEALINK].keys] == [1, 2]
    wrong = staff.post(PHONE + "/keys/3", data={**typed, "function": "blf", "value": "999", "key": "3"})
    assert wrong.status_code == 409
    assert "Key 3: there is no extension 999" in text(wrong)
    staff.post(PHONE + "/keys/2", data={"csrf": csrf, "clear": "1", "function": "speed_dial"})
    assert keycaps(staff.get(PHONE + "/keys"))[:2] == [("own", "102 Dr. Adams"), ("group", "Lab")]


def test_keys_by_api(api, inventory, group):
    plan = api.get(API + "/keys").json
    assert plan[1] == {
        "position": 2, "module": 0, "index": 2, "page": 1, "column": "left", "shown": "Lab", "source": "group",
        "key": {"position": 2, "function": "blf", "value": "103", "label": "Lab"},
    }  # fmt: skip
    body = {"function": "blf", "value": "101"}
    assert api.put(API + "/keys/28", json=body).json[0]["position"] == 28
    assert api.put(API + "/keys/28", json={**body, "value": "999"}).status_code == 409
    assert api.put(API + "/keys/28", json={**body, "function": "explode"}).status_code == 409
    assert api.put(API + "/keys/x", json=body).status_code == 404
    assert api.delete(API + "/keys/28").status_code == 204
    assert inventory.snapshot().phones[practice.YEALINK].keys == ()


# files


@pytest.fixture
def fetched(inventory, state):
    """The phone has fetched its files as they are."""
    with inventory.change(who="test") as change:
        change.put(Credential(id=practice.YEALINK, admin_password=SECRET, http_user="102"))
    snapshot = inventory.snapshot()
    renderer = Renderer(snapshot, Addresses("192.0.2.10", 5060, "192.0.2.10", 8080), Catalogue())
    journal, memory = Journal.open(state.journal), Memory()
    for asked, who in renderer.files(snapshot.phones[practice.YEALINK]):
        for table, row in memory.rows(asked.name, renderer.rendered(asked, who), who, practice.NOW):
            journal.write(table, row)
    journal.flush()
    journal.close()


def test_the_difference_to_what_it_fetched_last(staff, api, inventory, fetched):
    same = text(staff.get(f"{PHONE}/files/{FILE}?difference=1"))
    assert "It is as the phone fetched it." in same
    api.patch(f"/api/v1/layers/phone:{practice.YEALINK}", json={"poll_seconds": 1800})
    page = staff.get(f"{PHONE}/files/{FILE}?difference=1").get_data(as_text=True)
    removed, added = (re.findall(rf"<{tag}>(\d+)</{tag}>", page) for tag in ("del", "ins"))
    assert (removed, added) == (["120"], ["30"])  # minutes
    assert '<tr class="added">' in page
    assert '<tr class="removed">' in page
    assert SECRET not in page
    told = api.get(f"{API}/files/{FILE}/difference").json
    assert {line[0] for line in told["lines"]} == {"same", "removed", "added", "gap"}
    assert told["fetched_at"] == practice.NOW


def test_a_file_that_was_never_fetched_has_no_difference(staff, inventory):
    assert "has not fetched this file yet" in text(staff.get(f"{PHONE}/files/{FILE}?difference=1"))


# settings


def test_a_setting_is_reset_to_what_is_inherited(staff, csrf, api, inventory):
    api.patch(f"/api/v1/layers/phone:{practice.YEALINK}", json={"poll_seconds": 1800, "language": "es"})
    own = text(staff.get(PHONE + "/settings?view=own"))
    assert "Poll seconds" in own
    assert "Codecs" not in own
    staff.post(PHONE + "/settings/poll_seconds/reset", data={"csrf": csrf})
    assert inventory.get(PhoneSettings, f"phone:{practice.YEALINK}")[0].values == {"language": "es"}
    assert "Poll seconds: it has what it inherits again" in text(
        staff.get(PHONE + "/settings?saved=poll_seconds")
    )
    assert api.delete(API + "/settings/language").status_code == 204
    assert inventory.get(PhoneSettings, f"phone:{practice.YEALINK}") is None
    assert "It has nothing of its own" in text(staff.get(PHONE + "/settings?view=own"))


# history and calls


def test_history_says_who_changed_what(staff, csrf, api, inventory):
    with inventory.change(who="Rosa Diaz") as change:
        change.put(Credential(id=practice.YEALINK, admin_password=SECRET))
    api.patch(API, json={"location": "desk"})
    api.patch(f"/api/v1/layers/phone:{practice.YEALINK}", json={"poll_seconds": 1800})
    page = text(staff.get(PHONE + "/history"))
    assert "changed: Location" in page
    assert "Location Lab Front desk" in page
    assert "Poll seconds 1800" in page
    assert (
        "Rosa Diaz Secrets of a phone 102 Dr. Adams · 00:15:65:00:01:02 made What it is, is kept secret."
        in page
    )
    assert SECRET not in page
    newest = api.get(API + "/history?limit=1").json["items"][0]
    assert newest["values"] == [["poll_seconds", "", "1800"]]


def test_calls_of_its_lines(staff, inventory):
    page = text(staff.get(f"/staff/phones/{practice.POLYCOM}/calls"))
    assert "(650) 555-0123" in page
    assert "talked, the caller hung up" in page
    assert "Transfer: talking to Dr. Adams" in page
    assert "No calls yet" in text(staff.get(f"/staff/phones/{practice.GRANDSTREAM}/calls"))


def test_the_overview_says_how_it_is(staff, inventory, edge):
    row = {**practice.REGISTRATIONS[0], "transport": "TLS", "since": practice.NOW - 600}
    edge["status"] = {**practice.status(), "registrations": [row]}
    page = text(staff.get(f"/staff/phones/{practice.POLYCOM}"))
    assert "Registered since 07:03:20 , sip:101@192.0.2.21:5060 , good for 4:00 more" in page
    assert "From 192.0.2.21 over TLS, encrypted" in page
    assert "Last file fetched 06:58:20 /0004f2000101.cfg" in page
    assert "A 911 call from 101 shows (415) 555-0101 : help is sent to Front desk" in page


# another phone in its place


def test_replacing_is_shown_before_it_is_done(staff, csrf, inventory, edge):
    page = text(staff.get(PHONE + "/replace"))
    assert "00:15:65:00:01:99 · Yealink T46S" in page
    shown = staff.get(f"{PHONE}/replace?by={practice.STRANGER}")
    assert "Lab, as now: 911 calls tell the same" in text(shown)
    before = inventory.snapshot().phones[practice.YEALINK]
    fields = {"csrf": csrf, "other": practice.STRANGER, "model": "yealink/T46S"}
    done = staff.post(PHONE + "/replace", data=fields)
    assert done.headers["Location"] == f"/staff/phones/{practice.STRANGER}?replaced={practice.YEALINK}"
    after = inventory.snapshot()
    assert practice.YEALINK not in after.phones
    assert after.phones[practice.STRANGER].lines == before.lines
    assert after.phones[practice.STRANGER].location == before.location
    assert "It is in the place of 00:15:65:00:01:02 now" in text(staff.get(done.headers["Location"]))


def test_what_cannot_take_its_place(staff, csrf, inventory):
    assert "no MAC address" in text(staff.get(PHONE + "/replace?other=what&model=yealink/T46S"))
    assert "adopted already" in text(
        staff.get(f"{PHONE}/replace?other={practice.POLYCOM}&model=polycom/VVX+411")
    )
    wrong = staff.post(
        PHONE + "/replace", data={"csrf": csrf, "other": "0015650009ff", "model": "yealink/T99"}
    )
    assert wrong.status_code == 409


def test_replacing_by_api(api, inventory):
    body = {"by": "00:15:65:00:09:ff", "vendor": "yealink", "model": "T42S", "dry_run": True}
    assert api.post(API + "/replace", json=body).json["phone"]["model"] == "T42S"
    assert practice.YEALINK in inventory.snapshot().phones
    assert api.post(API + "/replace", json={**body, "dry_run": False}).status_code == 200
    assert "0015650009ff" in inventory.snapshot().phones
    assert api.post(API + "/replace", json={"by": practice.STRANGER}).status_code == 404


def test_a_viewer_sees_it_all_and_no_button_that_is_not_theirs(app, inventory, group):
    client = app.test_client()
    token = inventory.new_token("sign-in", 60, "viewer")
    client.get(f"/staff/sign-in/{token}")
    tabs = (
        "",
        "/edit",
        "/keys?key=2",
        "/keys?view=table",
        "/settings",
        "/files",
        "/history",
        "/calls",
        "/replace",
    )
    for path in (*(PHONE + tab for tab in tabs), "/staff/phones", "/staff/phones/import", "/staff/discovery"):
        page = client.get(path)
        assert page.status_code == 200, path
        forms = re.findall(r'<form[^>]*method="post"[^>]*>(.*?)</form>', page.get_data(as_text=True), re.S)
        ours = [
            form for form in forms if "<button" in form and "language" not in form and "Sign out" not in form
        ]
        assert ours == [], path
