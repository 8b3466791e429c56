"""The pages in a real browser: live without reloading, whole without script, nothing blocked."""

from __future__ import annotations

import re

import pytest
import web_practice as practice
from browser import signed_in

TELL_REQUESTS = """
document.body.addEventListener("htmx:beforeRequest", (e) => console.log("stopped", e.defaultPrevented))
"""
LIVE = re.compile(r"^Live$")
pytestmark = pytest.mark.peer("chromium")


def test_a_call_appears_and_moves_without_reloading(browser, live, app, edge, front):
    edge["status"] = practice.status(calls=[])
    page = signed_in(browser, live, app)
    page.get_by_text("No calls at the moment").wait_for()
    page.locator("#live-state", has_text=LIVE).wait_for()
    page.evaluate("window.same = true")
    edge["status"] = practice.status(calls=[practice.call(state="ringing", steps=[])])
    live.event("call")
    page.get_by_text("Ringing").wait_for()
    edge["status"] = practice.status(calls=[practice.call(state="dialling")])
    live.event("registration")  # does not hold up the call that comes right after it
    live.event("call")
    page.get_by_text("Transfer: calling Dr. Adams (102)").wait_for()
    edge["status"] = practice.status(calls=[practice.call(direction="emergency", to="911", desk="102")])
    live.event("emergency")
    page.get_by_role("alert").get_by_text("Emergency call from Dr. Adams").wait_for()
    assert page.evaluate("window.same")
    assert page.said == []
    page.context.close()


def test_what_someone_types_is_left_alone(browser, live, app, edge, front):
    page = signed_in(browser, live, app)
    page.goto(f"{live.url}/staff/phones")
    page.locator("#live-state", has_text=LIVE).wait_for()
    field = page.get_by_label("Extension for 00:15:65:00:01:99")
    field.fill("104")
    with page.expect_event("console") as told:
        page.evaluate(TELL_REQUESTS)
        live.event("call")
    assert told.value.text == "stopped true"
    assert field.input_value() == "104"
    page.get_by_role("button", name="Adopt 00:15:65:00:01:99").click()
    page.get_by_text("Adopted as extension 104").wait_for()
    page.context.close()


def test_the_focus_stays_where_it_is(browser, live, app, edge, front):
    page = signed_in(browser, live, app)
    page.goto(f"{live.url}/staff/phones")
    page.locator("#live-state", has_text=LIVE).wait_for()
    page.get_by_role("link", name="Dr. Adams").focus()
    page.evaluate("document.querySelector('#live a').dataset.old = 'yes'")
    live.event("call")
    page.locator("#live a[data-old]").wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent") == "Dr. Adams"
    page.context.close()


def test_phones_that_are_ticked_stay_ticked(browser, live, app, edge, front):
    page = signed_in(browser, live, app)
    page.goto(f"{live.url}/staff/phones")
    page.locator("#live-state", has_text=LIVE).wait_for()
    tick = page.get_by_label("Choose Dr. Adams")
    tick.check()
    page.get_by_role("heading", name="Phones").click()  # the focus goes elsewhere
    with page.expect_event("console") as told:
        page.evaluate(TELL_REQUESTS)
        live.event("call")
    assert told.value.text == "stopped true"
    assert tick.is_checked()
    page.context.close()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "phones",
            f"phones/{practice.POLYCOM}",
            "calls",
            "requests",
            "jobs",
            "retired",
            "phones/import",
        ),
        *(f"phones/{practice.YEALINK}/{page}" for page in ("edit", "keys", "settings", "files")),
        f"phones/{practice.YEALINK}/files/{practice.YEALINK}.cfg",
        *("settings", "settings/codecs?layer=site", "groups", "trust", "protection", "certificates"),
        *("dhcp", "dhcp?for=windows", "dhcp?for=kea"),
    ],
)
def test_no_page_is_wider_than_a_phone(browser, live, app, edge, told_front, path):
    page = signed_in(browser, live, app, viewport={"width": 360, "height": 740}, java_script_enabled=False)
    page.goto(f"{live.url}/staff/{path}")
    assert page.locator("html").bounding_box()["width"] == 360
    assert page.locator("main").bounding_box()["width"] <= 360
    assert page.said == []
    page.context.close()


def test_adopting_and_signing_out_need_no_script(browser, live, app, edge, front):
    page = signed_in(browser, live, app, java_script_enabled=False)
    page.goto(f"{live.url}/staff/phones?status=waiting")
    page.get_by_role("button", name="Adopt 00:15:65:00:01:99").click()
    page.get_by_text("Adopted as extension 100").wait_for()
    page.locator("summary", has_text="Account").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out").wait_for()
    page.context.close()


@pytest.mark.parametrize("script", [True, False])
def test_a_setting_of_the_site_shows_on_a_phones_page_with_its_layer(
    browser, live, app, edge, told_front, script
):
    page = signed_in(browser, live, app, java_script_enabled=script)
    page.goto(f"{live.url}/staff/settings")
    page.get_by_label("Poll seconds").fill("3600")
    page.get_by_role("button", name="Save").last.click()
    page.get_by_text("3 phones get it").wait_for()
    page.goto(f"{live.url}/staff/phones/{practice.YEALINK}/settings")
    row = page.locator("#poll_seconds")
    told = " ".join(row.inner_text().split())
    assert "3600" in told
    assert "All phones of the site" in told
    page.goto(f"{live.url}/staff/settings")
    page.get_by_role("button", name="Reset Poll seconds").click()
    page.get_by_role("button", name="Reset Poll seconds").wait_for(state="detached")
    page.goto(f"{live.url}/staff/phones/{practice.YEALINK}/settings")
    assert "All phones of the site" not in row.inner_text()
    assert page.said == []
    page.context.close()


def test_the_dhcp_help_has_the_right_values_and_copies_them(browser, live, app, edge, told_front):
    page = signed_in(browser, live, app, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{live.url}/staff/dhcp")
    row = page.get_by_role("row", name="Polycom and Poly 160")
    assert row.locator("code").inner_text() == "http://192.0.2.10:8080/"
    page.get_by_role("link", name="ISC dhcpd").click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert 'option phone-server "http://192.0.2.10:8080/";' in copied
    assert "option phone-tftp-servers 192.0.2.10;" in copied
    assert page.said == []
    page.context.close()


def test_a_table_of_phones_is_shown_before_it_is_imported(browser, live, app, edge, told_front):
    page = signed_in(browser, live, app, java_script_enabled=False)
    page.goto(f"{live.url}/staff/phones")
    page.get_by_role("link", name="Import phones").click()
    table = b"MAC,Model,Name,Extension,Number\n00:15:65:00:01:77,T46S,Room 7,107,\n00:15:65:00:01:78,T99,Room 8,108,\n"
    file = {"name": "phones.csv", "mimeType": "text/csv", "buffer": table}
    page.get_by_label("Table").set_input_files(file)
    page.get_by_role("button", name="Show").click()
    assert "T99" in page.get_by_role("row", name="Problem").inner_text()
    page.get_by_label("Table").set_input_files({**file, "buffer": table[: table.rindex(b"00:15")]})
    page.get_by_role("button", name="Show").click()
    page.get_by_role("button", name="Import").click()
    page.get_by_role("link", name="Load again").or_(page.get_by_text("1 new phone.")).first.wait_for()
    page.context.close()


def test_keys_are_set_without_script_on_a_phones_width(browser, live, app, edge, told_front):
    page = signed_in(browser, live, app, viewport={"width": 360, "height": 740}, java_script_enabled=False)
    page.goto(f"{live.url}/staff/phones/{practice.YEALINK}/keys?view=table")
    page.get_by_label("Key 2: what it does").select_option("Lamp of an extension")
    page.get_by_label("Key 2: number").fill("103")
    page.get_by_label("Key 2: label").fill("Lab")
    page.get_by_role("button", name="Save keys").click()
    page.get_by_text("Saved. Phones get it").wait_for()
    assert page.get_by_label("Key 2: number").input_value() == "103"
    page.context.close()
