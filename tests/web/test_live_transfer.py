"""A transfer by keypad, of a real appliance with simulated people, seen step by step on the page as it happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from browser import Appliance, shot

from provisioner.simulate.call import Call
from provisioner.simulate.phone import Phone
from provisioner.simulate.process import choose

pytestmark = pytest.mark.peer("chromium")
PHONES = {"101": "0004f2000101", "102": "001565000102", "103": "000b82000103"}
PATIENT, MAIN = "+16505550123", "+14155550100"
WIDTHS = (1280, 390)


class People:
    """The desks of the demo practice, on a loop of their own."""

    def __init__(self, server: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._rung: dict[str, asyncio.Queue[Call]] = {}
        self.phones = {
            extension: self.do(self._start(extension, mac, server)) for extension, mac in PHONES.items()
        }

    def do(self, work: Any) -> Any:
        """Run a coroutine over there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self, extension: str, mac: str, server: str) -> Phone:
        kind, _mac = choose(mac, "")[0]
        phone = Phone(kind, mac, server, Random(int(extension)))
        await phone.open()
        rung = self._rung[extension] = asyncio.Queue()
        phone.on_ring = rung.put_nowait
        await phone.boot()
        await phone.register()
        return phone

    def answers(self, extension: str) -> Call:
        async def answer() -> Call:
            call = await self._rung[extension].get()
            while call.state != "ringing":  # an earlier one, which somebody else took
                call = await self._rung[extension].get()
            await call.answer()
            return call

        found: Call = self.do(answer())
        return found

    def presses(self, call: Call, keys: str) -> None:
        async def press() -> None:
            await asyncio.wait([call.press(keys)])

        self.do(press())

    def hangs_up(self, call: Call) -> None:
        async def put_down() -> None:
            call.hangup()

        self.do(put_down())

    def close(self) -> None:
        for phone in self.phones.values():
            self.do(phone.close(0.1))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    with ExitStack() as stack:
        yield Appliance(tmp_path, stack, "--demo", "--no-life")


@pytest.fixture
def people(appliance: Appliance) -> Iterator[People]:
    people = People(appliance.info["http"])
    yield people
    people.close()


def test_a_live_transfer_is_seen_on_the_page(appliance: Appliance, people: People, browser: Any) -> None:
    contexts = [browser.new_context(viewport={"width": width, "height": 900}) for width in WIDTHS]
    first = contexts[0].new_page()
    first.goto(appliance.info["staff_url"])
    contexts[1].add_cookies(contexts[0].cookies())
    pages = [first, contexts[1].new_page()]
    for page in pages:
        page.goto(f"{appliance.info['http']}/staff/calls")
        page.locator("#live-state", has_text="Live").wait_for(state="attached")
        page.evaluate("window.same = true")

    def seen(words: str) -> None:
        for page in pages:
            page.locator("#live").get_by_text(words).first.wait_for()

    appliance.ask("core", "call", **{"from": PATIENT, "to": MAIN, "seconds": 60})
    seen("Ringing")
    desk = people.answers("101")
    seen("Talking")
    for page in pages:
        assert page.evaluate("window.same")  # it came without loading the page again
        page.locator("#live article a").first.click()
        page.get_by_role("heading", name="What happened").wait_for()
    people.presses(desk, "*")
    seen("Transfer: in the menu")
    people.presses(desk, "1")
    seen("Transfer: keying the target")
    people.presses(desk, "102#")
    seen("hears music")
    target = people.answers("102")
    seen("caller hears music")
    people.presses(desk, "*")
    seen("about to hand the call over")
    people.presses(desk, "1")
    seen("are connected")
    people.hangs_up(target)
    for page in pages:
        page.get_by_text("The call ends").wait_for()
        page.get_by_text("101 Front desk").first.wait_for()
        told = page.locator("ol.story li").all_inner_texts()
        assert ["presses *" in line for line in told].count(True) == 2
        assert page.locator("svg.chart[role=img]").count() == 1
        shot(page, "call")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        row = page.locator("table.cards tbody tr", has_text="who called")
        row.get_by_text("PCMU").wait_for()
