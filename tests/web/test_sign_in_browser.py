"""Signing in as people do, in a real browser: the first password, the second factor, and a change undone."""

from __future__ import annotations

import re
from typing import Any

import people
import pytest
from browser import Front, signed_in
from flask import Flask

from provisioner.people.second_factor import _totp
from provisioner.store.records import PhoneGroup

pytestmark = pytest.mark.peer("chromium")


@pytest.mark.parametrize("width", [1280, 390])
def test_from_the_first_user_to_the_second_factor(
    browser: Any, live: Front, app: Flask, edge, front, width: int
):
    now = app.extensions["provisioner"].now
    page = signed_in(browser, live, app, viewport={"width": width, "height": 850})
    page.goto(f"{live.url}/staff/users/new")
    page.get_by_label("Login name").fill("anna")
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_label("Once more").fill("short")
    page.evaluate("document.querySelector('#password').minLength = 0")  # the server judges too
    page.get_by_role("button", name="Add the user").click()
    page.get_by_text("5 characters").wait_for()
    page.get_by_label("Password", exact=True).fill(people.PASSWORD)
    page.get_by_label("Once more").fill(people.PASSWORD)
    page.get_by_role("button", name="Add the user").click()
    page.get_by_text("Tell them the login name anna").wait_for()
    page.context.clear_cookies()

    page.goto(f"{live.url}/staff/account/second-factor")
    page.get_by_label("Login name").fill("anna")
    page.get_by_label("Password", exact=True).fill(people.PASSWORD)
    page.keyboard.press("Enter")
    picture = page.get_by_alt_text("QR code of the key below")
    picture.evaluate("each => each.decode()")  # fails for what is no picture
    page.get_by_text("type this key").click()
    key = re.sub(r"\s", "", page.locator("code.wrap").inner_text())
    page.get_by_label("Type the six digits").fill(_totp(key).generate(int(now())).decode())
    page.get_by_label("And your password").fill(people.PASSWORD)
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_text("Write these codes down").wait_for()
    code = page.locator("ul.codes code").first.inner_text()

    page.context.clear_cookies()
    page.goto(f"{live.url}/staff/sign-in")
    page.get_by_label("Login name").fill("anna")
    page.get_by_label("Password", exact=True).fill(people.PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_label("Six digits").fill(code)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{live.url}/staff/")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [text for text in page.said if "Password forms" not in text and "status of 4" not in text] == []
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_change_is_found_and_undone_without_script(
    browser: Any, live: Front, app: Flask, edge, front, width: int
):
    inventory = people.store(app)
    for name in ("Nurses", "Doctors"):
        with inventory.change("bert") as change:
            change.put(PhoneGroup(id="g1", name=name))
    about = {"viewport": {"width": width, "height": 850}, "java_script_enabled": False}
    page = signed_in(browser, live, app, **about)
    page.goto(f"{live.url}/staff/audit")
    page.get_by_label("Search", exact=True).fill("Doctors")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Undo…").click()
    page.get_by_role("button", name="Undo: put back").click()
    page.get_by_text("Undone: it is as it was before").wait_for()
    assert inventory.get(PhoneGroup, "g1")[0].name == "Nurses"
    page.context.close()
