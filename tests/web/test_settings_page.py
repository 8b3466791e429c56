"""Settings in layers: choosing one, changing it, how many phones it touches, what was changed."""

from __future__ import annotations

import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.store.records import PhoneSettings

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
    assert "es en Built in 2 1 has another value" in page
    one = text(staff.get(f"{PAGE}/language?layer=site"))
    assert "This is for 3 phones; 1 of them has another value from a narrower layer, and keep it" in one


def test_a_phone_is_chosen_by_extension_or_mac(staff, inventory):
    for named in ("102", "00:15:65:00:01:02"):
        assert "Phone 102 Dr. Adams : 1 phone." in text(staff.get(PAGE, query_string={"phone": named}))
    assert staff.get(f"{PAGE}?phone=999").status_code == 404


def test_a_model_is_chosen_however_it_is_spelled(staff, api, inventory):
    assert "All Polycom VVX 411 : 1 phone." in text(staff.get(f"{PAGE}?layer=model:polycom/vvx_411"))
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
    assert "How often phones ask for their files again. 3600 All phones of the site" in page
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
