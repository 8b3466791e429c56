"""Trunks on the page and by API: kept whole or not at all, tried out before and after, passwords never shown."""

from __future__ import annotations

from typing import Any

import pytest
import web_practice as practice

from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import Trunk, TrunkSecret
from provisioner.trunks.profile import Profile
from provisioner.web import trunk_words

SECRET = "s3cret-of-the-trunk"
STEPS = [
    {
        "step": "name",
        "state": "good",
        "code": "found",
        "detail": {"host": "sip.example", "targets": [["UDP", "203.0.113.9:5060"]]},
    },
    {
        "step": "reach",
        "state": "good",
        "code": "reached",
        "detail": {"address": "203.0.113.9:5060", "transport": "UDP", "seen": "198.51.100.7"},
    },
    {"step": "answer", "state": "good", "code": "answered", "detail": {"status": 200}},
    {"step": "password", "state": "bad", "code": "rejected", "detail": {"status": 401}},
]


@pytest.fixture
def tried(state: StateDir):
    """An edge that tests trunks; what it was asked, and what it says."""
    held: dict[str, Any] = {"asked": [], "steps": STEPS, "done": True, "reloads": 0}

    def begin(args: dict[str, Any]) -> dict[str, Any]:
        held["asked"].append(args)
        return {"test": "t1", "trunk": "x", "done": False, "steps": STEPS[:0]}

    def reload(_args: dict[str, Any]) -> dict[str, Any]:
        held["reloads"] += 1
        return {"revision": 2}

    methods = {
        "status": lambda _: practice.status(),
        "reload": reload,
        "trunk_test": begin,
        "trunk_test_status": lambda args: {
            "test": args["test"],
            "trunk": "x",
            "done": held["done"],
            "steps": held["steps"],
        },
    }
    process = practice.Process(state, "edge", methods)
    yield held
    process.close()


def stored(state: StateDir, name: str) -> tuple[Trunk | None, TrunkSecret | None]:
    inventory = Inventory.open(state.inventory)
    found = inventory.get(Trunk, name), inventory.get(TrunkSecret, name)
    inventory.close()
    return found[0][0] if found[0] else None, found[1][0] if found[1] else None


FORM = {
    "profile": "telnyx",
    "uri": "sip.example",
    "transport": "tls",
    "user": "clinic",
    "password": SECRET,
    "order": "5",
    "transfer": "edge",
    "release": "bridge",
    "pidf_lo": "yes",
    "sources": "203.0.113.0/29\n198.51.100.7",
    "set-refer": "yes",
    "set-headers": "X-Tech-Prefix: 7",
    "set-expires": "300",
}


def test_a_trunk_is_added_and_its_password_never_shown(staff, csrf, state, tried) -> None:
    answer = staff.post("/staff/trunks/new", data={**FORM, "csrf": csrf, "do": "save"})
    assert answer.status_code == 303
    trunk, secret = stored(state, "telnyx")
    assert trunk == Trunk(
        id="telnyx",
        uri="sip:sip.example;transport=tls",
        order=5,
        profile="telnyx",
        sources=("203.0.113.0/29", "198.51.100.7"),
        settings={"refer": True, "headers": {"X-Tech-Prefix": "7"}, "expires": 300},
    )
    assert secret == TrunkSecret(id="telnyx", user="clinic", password=SECRET)
    assert tried["reloads"] == 1
    for path in ("/staff/trunks", "/staff/trunks/telnyx", "/api/v1/trunks", "/api/v1/trunks/telnyx"):
        assert SECRET not in staff.get(path).get_data(as_text=True)
    page = staff.get("/staff/trunks/telnyx").get_data(as_text=True)
    assert 'value="sip.example"' in page
    assert '<option value="tls" selected>' in page
    assert "X-Tech-Prefix: 7" in page


def test_what_is_typed_is_tried_before_it_is_saved(staff, csrf, state, tried) -> None:
    answer = staff.post("/staff/trunks/new", data={**FORM, "csrf": csrf, "do": "test"})
    assert answer.status_code == 303
    assert stored(state, "telnyx") == (None, None)
    (asked,) = tried["asked"]
    assert (asked["trunk"]["uri"], asked["password"]) == ("sip:sip.example;transport=tls", SECRET)
    page = staff.get(answer.location)
    text = practice.text_of(page)
    assert "203.0.113.9:5060 answers by UDP" in text
    assert "It sees this appliance at 198.51.100.7" in text
    assert "The user name or password is wrong Copy both anew" in text
    assert "It does not work yet" in text
    assert SECRET not in page.get_data(as_text=True)
    draft = answer.location.partition("draft=")[2].partition("#")[0]
    again = {**FORM, "password": "", "csrf": csrf, "draft": draft}
    assert staff.post("/staff/trunks/new", data={**again, "user": "other"}).status_code == 400
    assert staff.post("/staff/trunks/new", data=again).status_code == 303  # the password that was tried
    assert stored(state, "telnyx")[1] == TrunkSecret(id="telnyx", user="clinic", password=SECRET)


def test_a_test_that_goes_on_is_fetched_again(staff, csrf, tried) -> None:
    tried["done"], tried["steps"] = (
        False,
        [{"step": "name", "state": "running", "code": "", "detail": {"host": "sip.example"}}],
    )
    page = staff.get("/staff/trunks/core?test=t1").get_data(as_text=True)
    assert 'hx-get="/staff/trunks/tests/t1"' in page
    assert "Looking up sip.example" in page
    tried["done"], tried["steps"] = True, STEPS
    part = staff.get("/staff/trunks/tests/t1").get_data(as_text=True)
    assert "hx-get" not in part
    assert "Compare" not in part


def test_a_stored_trunk_is_tested_by_its_name(staff, csrf, tried) -> None:
    answer = staff.post("/staff/trunks/core/test", data={"csrf": csrf})
    assert answer.location == "/staff/trunks/core?test=t1#test"
    assert tried["asked"] == [{"trunk": "core"}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uri": ""}, "Give the address of the service"),
        ({"uri": "http://x"}, "is no address of a calling service"),
        ({"uri": "clinic@sip.example"}, "is no address of a calling service"),
        ({"uri": "sip:clinic@sip.example"}, "Leave the user out"),
        ({"profile": ""}, "Choose what kind of calling service"),
        ({"sources": "everywhere"}, "everywhere is no address and no network"),
        ({"password": ""}, "Give the password that belongs to the user name"),
        ({"user": ""}, "There is a password, but no user name"),
        ({"order": "first"}, "The order must be a number"),
        ({"authorities": "no PEM"}, "no PEM certificates"),
        ({"set-headers": "X-Tech-Prefix 7"}, "write each line as Name: value"),
        ({"set-expires": "long"}, "expires must be a number"),
        ({"set-transports": "smoke"}, "a setting of trunk telnyx is wrong"),
        ({"set-headers": "Via: 7"}, "cannot send the header"),
    ],
)
def test_wrong_input_is_said_and_nothing_typed_is_lost(staff, csrf, state, tried, change, words) -> None:
    answer = staff.post("/staff/trunks/new", data={**FORM, "csrf": csrf, **change})
    assert answer.status_code == 400
    assert words in practice.text_of(answer)
    page = answer.get_data(as_text=True)
    assert SECRET not in page
    assert change.get("uri", "sip.example") in page
    assert stored(state, "telnyx") == (None, None)


def test_two_people_do_not_overwrite_each_other(staff, csrf, state, tried) -> None:
    page = staff.get("/staff/trunks/core").get_data(as_text=True)
    revision = page.partition('name="revision" value="')[2].partition('"')[0]
    form = {**FORM, "csrf": csrf, "revision": revision, "profile": "generic"}
    assert staff.post("/staff/trunks/core", data={**form, "order": "7"}).status_code == 303
    answer = staff.post("/staff/trunks/core", data={**form, "order": "9"})
    assert answer.status_code == 409
    assert "changed by someone else meanwhile" in practice.text_of(answer)
    trunk = stored(state, "core")[0]
    assert trunk
    assert trunk.order == 7


def test_removing_the_only_one_is_asked_about(staff, csrf, state, tried) -> None:
    assert "It is the only one" in practice.text_of(staff.get("/staff/trunks/core/remove"))
    assert staff.post("/staff/trunks/core/remove", data={"csrf": csrf}).status_code == 303
    assert stored(state, "core") == (None, None)
    assert "No calling service yet" in practice.text_of(staff.get("/staff/trunks"))
    assert staff.get("/staff/trunks/core").status_code == 404


def test_the_api_does_what_the_page_does(api, state, tried) -> None:
    body = {"uri": "sip.example", "profile": "telnyx", "user": "clinic", "password": SECRET}
    made = api.put("/api/v1/trunks/one", json=body)
    assert made.status_code == 200
    assert (made.json["has_password"], made.json["uri"]) == (True, "sip:sip.example")
    assert SECRET not in made.get_data(as_text=True)
    changed = api.put("/api/v1/trunks/one", json={"order": 3})
    assert (changed.json["order"], changed.json["profile"]) == (3, "telnyx")
    assert stored(state, "one")[1] == TrunkSecret(id="one", user="clinic", password=SECRET)
    assert api.put("/api/v1/trunks/one", json={"order": 4}, headers={"If-Match": '"1"'}).status_code == 412
    assert api.put("/api/v1/trunks/One", json=body).status_code == 409
    begun = api.post("/api/v1/trunks/one/test")
    assert (begun.status_code, begun.json["level"]) == (202, "bad")
    assert begun.json["steps"][3]["what"] == "The user name or password is wrong"
    assert api.post("/api/v1/trunks/one/test", json={"uri": "other.example"}).status_code == 202
    assert tried["asked"][-1]["trunk"]["uri"] == "sip:other.example"
    assert tried["asked"][-1]["password"] == SECRET
    assert "telnyx" in api.get("/api/v1/trunks/profiles").json
    assert api.delete("/api/v1/trunks/one").status_code == 204
    assert api.delete("/api/v1/trunks/one").status_code == 404


def test_without_the_edge_the_test_says_so(staff, csrf) -> None:
    answer = staff.post("/staff/trunks/core/test", data={"csrf": csrf})
    assert answer.status_code == 409
    assert "the trunk cannot be tested: the edge process does not answer" in practice.text_of(answer)


def test_every_key_of_a_profile_has_a_field_with_help() -> None:
    keys = {setting.key for _group, rows in trunk_words.SETTINGS for setting in rows if setting.help}
    assert keys == {*Profile.__struct_fields__} - {"label"}


def test_every_outcome_of_a_test_has_words() -> None:
    source = (practice.Path(trunk_words.__file__).parents[1] / "edge" / "trunk_test.py").read_text()
    codes = {code for _step, code in trunk_words._WORDS}
    for code in codes:
        assert f'"{code}"' in source
