"""Settings in layers: choosing one, changing it, how many phones it touches, what was changed."""

from __future__ import annotations

import html
import re

import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.phones import editing
from provisioner.phones.vocabulary import SETTINGS
from provisioner.store.records import PhoneSettings
from provisioner.web.setting_groups import GROUPS

PAGE = "/staff/settings"


@pytest.fixture
def inventory(app, edge, front):
    return app.extensions["provisioner"].inventory


def stored(inventory, layer="site"):
    held = inventory.get(PhoneSettings, layer)
    return held[0].values if held else None


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("poll_seconds", "3600", 3600),
        ("call_waiting", "false", False),
        ("language", "es", "es"),
        ("codecs", "G722, PCMU", ["G722", "PCMU"]),
        ("ring_tones", "urgent=emergency, desk = internal", {"urgent": "emergency", "desk": "internal"}),
        ("time_zone", "America/Phoenix", "America/Phoenix"),
        ("voicemail_number", "*97", "*97"),
        ("syslog_host", "", ""),
    ],
)
def test_a_setting_of_each_type_is_set_and_taken_back(staff, csrf, inventory, edge, name, typed, value):
    form = {"csrf": csrf, "layer": "site", "value": typed}
    page = staff.post(f"{PAGE}/{name}", data=form, follow_redirects=True)
    assert "saved. 3 phones get it" in text(page)
    assert stored(inventory) == {name: value}
    assert staff.get(f"{PAGE}/{name}?layer=site").status_code == 200
    staff.post(f"{PAGE}/{name}", data={"csrf": csrf, "layer": "site", "remove": "1"})
    assert stored(inventory) is None
    assert edge["reloads"] == 2
    changes = text(staff.get(PAGE))
    assert "console link" in changes
    assert [row.who for row in inventory.audit(2)] == ["console link", "console link"]


@pytest.mark.parametrize(
    ("name", "typed"),
    [("poll_seconds", "1"), ("poll_seconds", "many"), ("codecs", "MP3"), ("registrar_host", "a b"), ("srtp", "maybe"),
     ("emergency_numbers", "988"), ("ring_tones", "urgent"), ("call_waiting", "1"), ("time_zone", "Mars/Base")],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_what_it_takes(staff, csrf, inventory, name, typed):
    page = staff.post(f"{PAGE}/{name}", data={"csrf": csrf, "layer": "site", "value": typed})
    assert page.status_code == 409
    assert "it takes" in text(page)
    assert f'value="{typed}"' in page.get_data(as_text=True) or name in ("srtp", "call_waiting")
    assert stored(inventory) is None


def test_a_layer_says_how_many_phones_it_touches(staff, api, inventory):
    api.patch(f"/api/v1/layers/phone:{practice.YEALINK}", json={"language": "fr"})
    assert api.patch("/api/v1/layers/site", json={"language": "es"}).json == {
        "layer": "site", "values": {"language": "es"}, "phones": 3, "overridden": {"language": 1},
    }  # fmt: skip
    assert api.patch("/api/v1/layers/vendor:yealink", json={"language": "de"}).json["overridden"] == {
        "language": 1
    }
    page = text(staff.get(PAGE))
    assert "1 phone has another value of its own" in page
    one = text(staff.get(f"{PAGE}/language?layer=site"))
    assert "1 of them has another value from a narrower layer, and keeps it" in one


def test_a_phone_is_chosen_by_extension_or_mac(staff, inventory):
    for named in ("102", "00:15:65:00:01:02"):
        page = staff.get(PAGE, query_string={"phone": named}).get_data(as_text=True)
        assert "<h1>Phone 102 Dr. Adams</h1>" in page
        assert "1 phone has these settings." in page
    assert staff.get(f"{PAGE}?phone=999").status_code == 404


def test_a_model_is_chosen_however_it_is_spelled(staff, api, inventory):
    page = staff.get(f"{PAGE}?layer=model:polycom/vvx_411").get_data(as_text=True)
    assert "<h1>All Polycom VVX 411</h1>" in page
    assert "1 phone has these settings." in page
    assert api.patch("/api/v1/layers/model:polycom/vvx_411", json={"language": "es"}).json["phones"] == 1
    assert stored(inventory, "model:polycom/VVX 411") == {"language": "es"}


@pytest.mark.parametrize(
    "layer", ["nothing", "group:no", "model:yealink/T99", "vendor:cisco", "phone:000000000000"]
)
def test_a_layer_that_there_is_not(staff, api, inventory, layer):
    assert staff.get(PAGE, query_string={"layer": layer}).status_code == 404
    assert api.get(f"/api/v1/layers/{layer}").status_code == 404


def test_a_setting_that_there_is_not(staff, api, csrf, inventory):
    assert staff.get(f"{PAGE}/colour").status_code == 404
    assert (
        staff.post(f"{PAGE}/colour", data={"csrf": csrf, "layer": "site", "value": "red"}).status_code == 404
    )
    assert "no setting 'colour'" in api.patch("/api/v1/layers/site", json={"colour": "red"}).json["detail"]


def test_what_a_layer_would_say_otherwise(staff, api, inventory):
    api.patch("/api/v1/layers/site", json={"poll_seconds": 3600})
    page = text(staff.get(f"{PAGE}?layer=phone:{practice.YEALINK}&q=poll"))
    assert "Default: 7200 · inherited: 3600, from All phones of the site" in page
    assert "registrar" not in page.lower()


def test_the_vocabulary_and_the_layers_by_api(api, inventory):
    rows = {row["name"]: row for row in api.get("/api/v1/settings").json["items"]}
    assert rows["codecs"]["allowed"] == "a list of PCMU PCMA G722 G729 Opus"
    assert api.get("/api/v1/layers").json["items"] == []
    api.patch("/api/v1/layers/site", json={"language": "es"})
    assert [row["layer"] for row in api.get("/api/v1/layers").json["items"]] == ["site"]
    assert api.get("/api/v1/layers/vendor:yealink").json["values"] == {}


def test_a_wrong_value_from_before_is_not_in_the_way(api, inventory):
    with inventory.change(who="test") as change:
        change.put(PhoneSettings(id="site", values={"poll_seconds": 1}))
    assert api.patch("/api/v1/layers/site", json={"language": "es"}).status_code == 200
    assert (
        api.patch("/api/v1/layers/site", json={"poll_seconds": None, "language": None}).json["values"] == {}
    )


# all of a layer at once


def fields(page):
    """The fields of a layer's form, as a browser would send them back."""
    body = page.get_data(as_text=True)
    found = dict(re.findall(r'name="(s-\w+)" value="([^"]*)"', body))
    for name, options in re.findall(
        r'<select id="s-\w+" name="(s-\w+)"[^>]*>(.*?)</select>', body, re.DOTALL
    ):
        found[name] = next(iter(re.findall(r'value="([^"]*)" selected', options)), "")
    hidden = dict(re.findall(r'<input type="hidden" name="(revision|layer)" value="([^"]*)"', body))
    return {name: html.unescape(value) for name, value in (found | hidden).items()}


def test_every_setting_is_in_one_group():
    names = [name for group in GROUPS for name in (*group.basic, *group.expert)]
    assert sorted(names) == sorted(SETTINGS)


def test_common_settings_come_first_and_all_are_one_link_away(staff, inventory):
    common, everything = fields(staff.get(PAGE)), fields(staff.get(f"{PAGE}?all=1"))
    assert "s-poll_seconds" in common
    assert "s-dtmf_payload" not in common
    assert {name.removeprefix("s-") for name in everything if name.startswith("s-")} == SETTINGS.keys()
    editing.set_layer(inventory, "site", {"dtmf_payload": 100}, "x")
    assert "s-dtmf_payload" in fields(staff.get(PAGE))  # what is set is always there
    assert "s-srtp" in fields(staff.get(f"{PAGE}?q=encryption"))


def test_a_form_sent_back_as_it_is_changes_nothing(staff, csrf, api, inventory):
    values = {"language": "es", "call_waiting": False, "codecs": ["G722", "PCMU"], "voicemail_number": "",
              "ring_tones": {"urgent": "emergency"}, "poll_seconds": 600}  # fmt: skip
    api.patch("/api/v1/layers/site", json=values)
    revision = inventory.snapshot_revision()
    sent = fields(staff.get(f"{PAGE}?all=1")) | {"csrf": csrf}
    assert staff.post(PAGE, data=sent).status_code == 303
    assert (stored(inventory), inventory.snapshot_revision()) == (values, revision)


def test_several_are_set_and_taken_back_at_once(staff, csrf, inventory):
    sent = fields(staff.get(PAGE)) | {"csrf": csrf, "s-poll_seconds": "600", "s-call_waiting": "false"}
    page = staff.post(PAGE, data=sent, follow_redirects=True)
    assert "saved. 3 phones get it" in text(page)
    assert "2 are set here" in text(page)
    assert stored(inventory) == {"poll_seconds": 600, "call_waiting": False}
    sent = fields(page) | {"csrf": csrf, "s-call_waiting": ""}
    staff.post(PAGE, data=sent)
    assert stored(inventory) == {"poll_seconds": 600}
    sent = fields(staff.get(PAGE)) | {"csrf": csrf, "reset": "poll_seconds"}
    staff.post(PAGE, data=sent)
    assert stored(inventory) is None


def test_nothing_at_all_is_a_value_too(staff, csrf, api, inventory):
    sent = fields(staff.get(PAGE)) | {"csrf": csrf, "s-voicemail_number": '""'}
    staff.post(PAGE, data=sent)
    assert stored(inventory) == {"voicemail_number": ""}
    assert fields(staff.get(PAGE))["s-voicemail_number"] == '""'


def test_all_that_is_wrong_is_said_at_once(staff, csrf, inventory):
    wrong = {"s-poll_seconds": "1", "s-codecs": "MP3", "s-firmware_server": "over there"}
    page = staff.post(PAGE, data=fields(staff.get(PAGE)) | {"csrf": csrf} | wrong)
    assert (page.status_code, stored(inventory)) == (422, None)
    assert "3 settings need a look" in text(page)
    assert page.get_data(as_text=True).count('aria-invalid="true"') == 3
    assert fields(page)["s-codecs"] == "MP3"


def test_two_people_at_once(staff, csrf, inventory):
    sent = fields(staff.get(PAGE)) | {"csrf": csrf, "s-poll_seconds": "600"}
    editing.set_layer(inventory, "site", {"language": "es"}, "a colleague")
    page = staff.post(PAGE, data=sent)
    assert (page.status_code, "Somebody changed this" in text(page)) == (409, True)
    assert stored(inventory) == {"language": "es"}
