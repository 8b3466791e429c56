"""From a fresh state directory to a call that rings: the real appliance, a calling service beside it, one phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browser import Appliance, press, shot

from tests.peers.wait import until

PHONE = "001565aa0001"
PASSWORD = "four quiet lamps at noon"
pytestmark = pytest.mark.peer("chromium")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Appliance]:
    """An appliance on a fresh directory, and the stand-in core as the calling service beside it."""
    with ExitStack() as stack:
        appliance = Appliance(tmp_path, stack)
        where = ["--state", str(appliance.state.root), "--edge-sip", appliance.info["sip"]]
        appliance.start("core", *where)
        until(lambda: appliance.ask("core", "status"), "the core answers")
        yield appliance


def heading(page: Any, words: str) -> None:
    page.get_by_role("heading", name=words, exact=True, level=1).wait_for()


def account_and_practice(page: Any) -> None:
    heading(page, "Welcome")
    shot(page, "1-account")
    page.get_by_label("Your name").fill("Kim Chen")
    page.get_by_label("Login name").fill("kim")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    press(page, "Next")
    heading(page, "The practice")
    assert page.get_by_label("Time zone").input_value() == "America/Denver"  # as the browser says
    shot(page, "2-practice")
    page.get_by_label("Name of the practice").fill("Larkspur Clinic")
    press(page, "Next")
    heading(page, "Network")
    page.get_by_role("cell", name=re.compile("Open, not at the usual")).first.wait_for()
    shot(page, "3-network")
    press(page, "Next")


def trunk(page: Any, address: str) -> None:
    """Typed wrongly first, as happens."""
    heading(page, "Calling service")
    page.get_by_label("Calling service", exact=False).first.select_option("stand-in")
    page.get_by_label("Address of the service").fill("127.0.0.1:9")
    page.get_by_label("Connection").select_option("tcp")
    press(page, "Test")
    page.get_by_text("It cannot be reached").wait_for()
    page.get_by_text("It does not work yet").wait_for()
    shot(page, "4-trunk-wrong")
    page.get_by_label("Address of the service").fill(address)
    page.get_by_label("Connection").select_option("")
    press(page, "Test")
    page.get_by_text("It works").wait_for()
    page.get_by_text("No password is needed").wait_for()
    shot(page, "4-trunk-right")
    press(page, "Save and go on")


def numbers_and_place(page: Any) -> None:
    heading(page, "Numbers")
    shot(page, "5-numbers-empty")
    page.get_by_role("button", name="The stand-in core of the demo").click()
    press(page, "Save and import")
    page.get_by_text("0 numbers came from the provider").wait_for()
    page.get_by_label("Your telephone numbers").fill("(415) 555-0100 Main\n415 555 0101, 415-555-0102")
    press(page, "Add, and stay here")
    page.get_by_label("(415) 555-0100 Main").wait_for()
    shot(page, "5-numbers")
    press(page, "Next")
    heading(page, "Address")
    page.get_by_label("Address").fill("500 Terry Francois Blvd, Suite 210\nSan Francisco, CA 94158")
    press(page, "Read it")
    page.get_by_text("This is how it was read").wait_for()
    shot(page, "6-place-read")
    press(page, "It is right: save it")
    page.get_by_text("Registered", exact=True).nth(2).wait_for()
    shot(page, "6-place")
    press(page, "Next")


@pytest.mark.parametrize("width", [1280, 390])
def test_from_a_fresh_start_to_a_call_that_rings(fresh, browser, width) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, timezone_id="America/Denver",
        color_scheme="light" if width > 1000 else "dark",
    )  # fmt: skip
    page = context.new_page()
    page.set_default_timeout(15_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(fresh.info["staff_url"])
    account_and_practice(page)
    trunk(page, fresh.ask("core", "status")["sip"])
    numbers_and_place(page)
    heading(page, "Plug in a phone now")
    page.get_by_text("Nobody yet").wait_for()
    shot(page, "7-phones-empty")
    fresh.plug_in(PHONE)
    page.get_by_text("Yealink T46S").wait_for()
    page.get_by_label("Name").fill("Front desk")
    shot(page, "7-phones-found")
    press(page, "It is mine: adopt it")
    page.locator(".found.ours", has_text="Front desk").get_by_text("Ready").wait_for()
    shot(page, "7-phones-ready")
    press(page, "Next")
    heading(page, "Would 911 work now?")
    shot(page, "8-emergency")
    press(page, "Call 933 from 100")
    page.get_by_text("933 answers").wait_for()
    shot(page, "8-emergency-tested")
    press(page, "Finish")
    page.get_by_role("heading", name="Calls now").wait_for()
    fresh.ask("core", "call", **{"from": "+16505550123", "to": "+14155550100", "seconds": 20})
    ringing = page.locator("article.call", has_text="(650) 555-0123").filter(has_text="desk phone 100")
    ringing.locator(".state", has_text="Talking").wait_for()
    assert [row["state"] for row in fresh.ask("core", "calls")["calls"] if row["kind"] == "inbound"] == [
        "talking"
    ]
    shot(page, "9-overview")
    assert said == []
    assert page.locator("html").bounding_box()["width"] == width
    context.close()
