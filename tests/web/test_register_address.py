"""An address is typed, the provider has it otherwise, a person looks at both and approves, and 911 knows the place."""

from __future__ import annotations

import html
import os
import re
from random import Random

import pytest
import web_practice as practice
from browser import signed_in
from web_practice import text_of as text

from provisioner.core.providers import PROVIDERS
from provisioner.core.providers.account import Account, Held
from provisioner.emergency.registrar import Registrar, connect
from provisioner.store.records import Location, Number, Provider, ProviderSecret

NUMBER = "+14155550150"
ADDRESS = "77 Broadway St Ste 200\nSan Francisco, CA 94111"
SHOTS = os.environ.get("PROVISIONER_SHOTS", "")


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = practice.NOW

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def provider():
    stand_in = PROVIDERS["telnyx"](Account(numbers={NUMBER: Held()}), "corrects", 10)
    url = stand_in.serve()
    yield stand_in, url
    stand_in.close()


@pytest.fixture
def registrar(app, edge, front, provider, state):
    """`work()` does what is due at the provider, as the appliance does beside the pages."""
    stand_in, url = provider
    inventory = app.extensions["provisioner"].inventory
    with inventory.change("test") as change:
        change.put(Provider(id="tel", api="telnyx", url=url))
        change.put(ProviderSecret(id="tel", password=stand_in.account.password))
        change.put(Number(id=NUMBER, label="Annex"))
    clock = Clock()
    found = Registrar(
        inventory, lambda held, secret: connect(held, secret, state, clock, clock.pass_by), clock, Random(1)
    )

    def work():
        while found.turn():
            clock.pass_by(30)

    return work


def number(app):
    return app.extensions["provisioner"].inventory.get(Number, NUMBER)[0]


@pytest.mark.peer("chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_registered_with_a_correction_to_approve(browser, live, app, registrar, provider, width):
    page = signed_in(browser, live, app, viewport={"width": width, "height": 900})
    page.goto(f"{live.url}/staff/locations")
    page.get_by_role("button", name="Add a building").click()
    page.get_by_label("Name", exact=True).fill("Annex")
    page.get_by_label("Type it as you would write it").fill(ADDRESS)
    page.get_by_role("button", name="Read it").click()
    page.get_by_text("The address was read").wait_for()
    assert page.get_by_label("House number", exact=True).input_value() == "77"
    assert page.get_by_label("City", exact=True).input_value() == "San Francisco"
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("Saved. Emergency calls tell it from now on").wait_for()

    page.goto(f"{live.url}/staff/addresses/{NUMBER}")
    page.get_by_label("Place").select_option("annex")
    page.get_by_label("Provider").select_option("tel")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("On its way").wait_for()
    registrar()

    page.goto(f"{live.url}/staff/addresses")
    page.get_by_role("link", name="Needs your decision").click()
    page.get_by_role("link", name="(415) 555-0150").click()
    page.get_by_role("heading", name="The provider would have it so").wait_for()
    row = page.get_by_role("row").filter(has_text="San Francisco")
    assert row.locator("b").inner_text() != "San Francisco"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/register-{width}.png", full_page=True)
    page.get_by_role("button", name="Approve this address").click()
    page.get_by_role("heading", name="The provider would have it so").wait_for(state="detached")
    registrar()

    page.reload()
    page.get_by_role("paragraph").filter(has_text=re.compile("^Registered$")).wait_for()
    assert number(app).address_status == "registered"
    assert provider[0].account.numbers[NUMBER].address
    assert page.said == []
    page.context.close()


def _hidden(page):
    body = page.get_data(as_text=True)
    shown = dict(re.findall(r'name="(csrf|revision|read|mark|civic-\w+)" value="([^"]*)"', body))
    return {name: html.unescape(value) for name, value in shown.items()}


def test_it_is_registered_without_script(staff, csrf, app, registrar):
    new = "/staff/locations/new?level=building"
    typed = _hidden(staff.get(new)) | {"name": "Annex", "level": "building", "parent": "", "text": ADDRESS}
    read = staff.post("/staff/locations/new", data=typed)
    assert "The address was read" in text(read)
    staff.post("/staff/locations/new", data=typed | _hidden(read))
    assert app.extensions["provisioner"].inventory.get(Location, "annex")[0].civic["UNIT"] == "200"

    where = f"/staff/addresses/{NUMBER}"
    staff.post(where, data={"csrf": csrf, "decision": "place", "location": "annex", "provider": "tel"})
    registrar()
    page = text(staff.get(where))
    assert "The provider would have it so" in page
    assert re.search(r"City San Francisco \S+", page)
    assert number(app).address_status == "correction"
    staff.post(where, data={"csrf": csrf, "decision": "approve", "choice": "0"})
    registrar()
    assert "Registered" in text(staff.get(where))
    assert number(app).address_status == "registered"
