"""One phone's pages: settings with layers, files, keys, what staff may change; and the same by API."""

from __future__ import annotations

import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.store.records import Credential, Key, PhoneGroup

PHONE = f"/staff/phones/{practice.YEALINK}"
API = f"/api/v1/phones/{practice.YEALINK}"
SECRET = "s3cretpasswordofthisphone"


@pytest.fixture
def inventory(app, told_front, edge):
    return app.extensions["provisioner"].inventory


@pytest.fixture
def group(inventory):
    with inventory.change(who="test") as change:
        key = Key(position=2, function="blf", value="103", label="Lab")
        change.put(PhoneGroup(id="g1", name="Nurses", keys=(key,)))
    return "g1"


def test_each_setting_has_its_layer_and_what_it_overrides(staff, api, inventory):
    api.patch("/api/v1/layers/site", json={"poll_seconds": 3600, "codecs": ["G722", "PCMU"]})
    api.patch(f"/api/v1/layers/phone:{practice.YEALINK}", json={"poll_seconds": 1800})
    page = text(staff.get(PHONE + "/settings"))
    assert (
        "Poll seconds poll_seconds 1800 Phone 102 Dr. Adams 3600 All phones of the site 7200 Built in" in page
    )
    assert "Codecs codecs G722, PCMU All phones of the site PCMU, PCMA Built in" in page
    told = {row["name"]: row for row in api.get(API + "/settings").json["settings"]}
    assert told["poll_seconds"]["layer"] == f"phone:{practice.YEALINK}"
    assert [each["value"] for each in told["poll_seconds"]["overrides"]] == [3600, 7200]


def test_settings_can_be_searched_and_those_as_built_in_left_out(staff, api, inventory):
    assert "Poll seconds" in text(staff.get(PHONE + "/settings?q=poll"))
    assert "Codecs" not in text(staff.get(PHONE + "/settings?q=poll"))
    api.patch("/api/v1/layers/site", json={"language": "es"})
    page = text(staff.get(PHONE + "/settings?changed=1"))
    assert "language es All phones of the site" in page
    assert "codecs" not in page


def test_files_are_listed_and_shown_without_their_secrets(staff, api, inventory):
    with inventory.change(who="test") as change:
        change.put(Credential(id=practice.YEALINK, admin_password=SECRET, path_secret=SECRET))
    page = text(staff.get(PHONE + "/files"))
    assert f"{practice.YEALINK}.cfg" in page
    assert "not yet" in page
    shown = staff.get(f"{PHONE}/files/{practice.YEALINK}.cfg").get_data(as_text=True)
    assert "account.1.user_name = 102" in shown
    assert "********" in shown
    told = api.get(f"{API}/files/{practice.YEALINK}.cfg").json
    assert SECRET not in shown + told["text"]
    names = [row["name"] for row in api.get(API + "/files").json["items"]]
    assert f"{practice.YEALINK}.boot" in names


def test_a_file_that_there_is_not(staff, api, inventory):
    assert staff.get(f"{PHONE}/files/nothing.cfg").status_code == 409
    assert api.get(f"{API}/files/nothing.cfg").status_code == 409


def test_firmware_that_is_there_is_named(staff, inventory, state):
    folder = state.root / "firmware" / "yealink"
    folder.mkdir(parents=True)
    name = "T46S(T48S,T42S,T41S)-66.86.0.15.rom"
    assert f"{name} not there" in text(staff.get(PHONE + "/files"))
    (folder / name.lower()).write_bytes(b"image")
    assert f"{name} there" in text(staff.get(PHONE + "/files"))


def test_name_group_location_and_modules_are_changed(staff, csrf, inventory, group):
    form = {
        "csrf": csrf,
        "name-102": " Dr.  Baker ",
        "group": group,
        "location": "desk",
        "module": ["EXP40", ""],
    }
    assert staff.post(PHONE + "/edit", data=form).status_code == 303
    phone = inventory.snapshot().phones[practice.YEALINK]
    assert (phone.lines[0].name, phone.group, phone.location) == ("Dr. Baker", group, "desk")
    assert phone.modules == ("EXP40",)
    page = text(staff.get(PHONE))
    assert "Group Nurses" in page
    assert "Modules EXP40" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"group": "no"}, "there is no group 'no'"),
        ({"location": "no"}, "there is no location 'no'"),
        ({"modules": ["EXP20"]}, "takes no EXP20: it takes EXP40"),
        ({"modules": ["EXP40"] * 7}, "takes 6 expansion modules at most"),
        ({"names": {"999": "x"}}, "no line 999"),
        ({"names": {"102": "x" * 41}}, "40 letters at most"),
        ({"names": {"102": "a\x07b"}}, "printable"),
    ],
)
def test_what_cannot_be_is_refused_whole(api, inventory, change, words):
    before = inventory.snapshot_revision()
    answer = api.patch(API, json={"group": "", **change})
    assert (answer.status_code, inventory.snapshot_revision()) == (409, before)
    assert words in answer.json["detail"]


@pytest.mark.parametrize("body", [[], {"group": 1}, {"modules": "EXP40"}, {"mac": "x"}])
def test_a_body_that_is_none_is_refused(api, inventory, body):
    assert api.patch(API, json=body).status_code == 400


def test_keys_are_laid_out_by_place_with_the_groups(staff, csrf, api, inventory, group):
    api.patch(API, json={"group": group, "modules": ["EXP40"]})
    page = text(staff.get(PHONE + "/keys?view=table"))
    assert "as the group: lamp of an extension 103" in page
    assert "Key 27 " in page
    assert "EXP40 1, key 40" in page
    form = {
        "csrf": csrf,
        "function-3": "speed_dial",
        "value-3": "4155550199",
        "label-3": "Lab",
        "function-4": "",
    }
    assert staff.post(PHONE + "/keys?view=table", data=form).status_code == 303
    keys = inventory.snapshot().phones[practice.YEALINK].keys
    assert keys == (Key(position=3, function="speed_dial", value="4155550199", label="Lab"),)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"position": 28, "function": "blf", "value": "101"}, "Key 28: there are 27 keys"),
        ({"position": 1, "function": "line", "value": "2"}, "Key 1: the number of a line is 1 to 1"),
        ({"position": 1, "function": "blf", "value": "999"}, "Key 1: there is no extension 999"),
        ({"position": 1, "function": "speed_dial", "value": "a\n"}, "Key 1: give what it dials"),
        ({"position": 1, "function": "speed_dial", "value": "911"}, "Key 1: 911, 933 and 988 are dialled"),
        ({"position": 1, "function": "speed_dial", "value": "*67988"}, "Key 1: 911, 933 and 988 are dialled"),
        ({"position": 1, "function": "speed_dial", "value": "9112"}, "Key 1: 911, 933 and 988 are dialled"),
    ],
)
def test_a_wrong_key_is_refused(api, staff, csrf, inventory, key, words):
    answer = api.put(API + "/keys", json=[key])
    assert (answer.status_code, words in answer.json["detail"]) == (409, True)
    form = {f"{name}-{key['position']}": key[name] for name in ("function", "value")}
    page = staff.post(PHONE + "/keys", data={"csrf": csrf, **form})
    assert (page.status_code, words in text(page)) == (409, True)
    assert inventory.snapshot().phones[practice.YEALINK].keys == ()


def test_the_same_place_twice_is_refused(api, inventory):
    key = {"position": 1, "function": "blf", "value": "101"}
    assert "there twice" in api.put(API + "/keys", json=[key, key]).json["detail"]


def test_a_key_that_was_there_is_not_judged_anew(api, inventory):
    keys = [{"position": 1, "function": "blf", "value": "103", "label": ""}]
    assert api.put(API + "/keys", json=keys).status_code == 200
    api.post(f"/api/v1/phones/{practice.GRANDSTREAM}/retire")
    more = [*keys, {"position": 2, "function": "blf", "value": "101", "label": ""}]
    assert api.put(API + "/keys", json=more).json == more


def test_a_phone_is_welcomed_anew(staff, csrf, api, inventory):
    with inventory.change(who="test") as change:
        change.put(Credential(id=practice.YEALINK))
    page = staff.post(PHONE + "/welcome", data={"csrf": csrf}, follow_redirects=True)
    assert "without a proof, once" in text(page)
    assert inventory.snapshot().credentials[practice.YEALINK].welcome_until == pytest.approx(
        practice.NOW + 86400
    )
    assert api.post(API + "/welcome").json["welcome_until"] == practice.NOW + 86400


def test_one_phone_by_api(api, inventory):
    told = api.get(API).json
    assert (told["phone"]["status"], told["record"]["model"], told["sighting"]["mac"]) == (
        "ready",
        "T46S",
        practice.YEALINK,
    )
    waiting = api.get(f"/api/v1/phones/{practice.STRANGER}").json
    assert (waiting["phone"]["status"], waiting["record"]) == ("waiting", None)
    assert api.get("/api/v1/phones/000000000000").status_code == 404


@pytest.mark.parametrize("page", ["settings", "files", "keys", "edit"])
def test_a_phone_that_is_not_adopted_has_no_such_page(staff, inventory, page):
    assert staff.get(f"/staff/phones/{practice.STRANGER}/{page}").status_code == 404


def test_without_the_front_the_page_says_so(staff, edge):
    page = staff.get(PHONE + "/settings")
    assert page.status_code == 503
    assert "the front process does not answer" in text(page)
