"""A core that plays the menus, over loopback: a simulated phone is the whole practice, the patients are the core's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from provisioner.core.core import Core, calling_number
from provisioner.core.switch import Switch
from provisioner.simulate.call import Call
from provisioner.simulate.phone import Phone
from tests.core.test_core import LIMIT, Watch, play, soon
from tests.simulate.phones import phone_at

PATIENT = "+12125550143"
pytestmark = pytest.mark.rule("transfer.way-core")


class Scene:
    """A core, its switch, and the practice; `rung` are the calls that reached the practice, in order."""

    def __init__(self, core: Core, rows: Watch, switch: Switch, news: Watch, phone: Phone) -> None:
        self.core, self.rows, self.switch, self.news, self.phone = core, rows, switch, news, phone
        self.rung: asyncio.Queue[Call] = asyncio.Queue()
        phone.on_ring = self.rung.put_nowait

    async def next_call(self) -> Call:
        return await asyncio.wait_for(self.rung.get(), LIMIT)

    async def patient(self, to: str = "101") -> tuple[Any, Call]:
        """A patient who talks to a desk phone."""
        placed = await self.core.call(PATIENT, to, 1e6)
        desk = await self.next_call()
        assert desk.number == PATIENT
        await desk.answer()
        await self.state("talking")
        return placed, desk

    async def state(self, name: str) -> dict[str, Any]:
        return await self.news.until(lambda row: row["state"] == name)

    async def go(self, desk: Call, keys: str, name: str) -> dict[str, Any]:
        """Keys that lead to a state; rows before are not looked at again."""
        self.news.rows.clear()
        desk.press(keys)
        return await self.state(name)


@asynccontextmanager
async def scene(pace: float = 0.02) -> AsyncIterator[Scene]:
    rows, news = Watch(), Watch()
    core = Core(Random(1), None, rows, pace)
    address = await core.open("127.0.0.1", 0)
    async with phone_at(("127.0.0.1", 9), "101") as phone:
        practice = (phone.host, phone.port)
        switch = Switch(Random(2), practice, address, core.on_invite, calling_number, news)
        core.edge = await switch.open("127.0.0.1", 0)
        try:
            yield Scene(core, rows, switch, news, phone)
        finally:
            switch.close()
            await core.close()


def test_a_transfer_to_an_extension() -> None:
    async def act() -> None:
        async with scene() as s:
            placed, desk = await s.patient()
            await s.go(desk, "*", "menu")
            await soon(lambda: desk.endpoint.power(440, 0.5) < 0.5 and desk.endpoint.packets_in > 10)
            await s.go(desk, "1", "collecting")
            await s.go(desk, "102#", "dialling")
            target = await s.next_call()
            assert target.number == "101"  # it shows the desk that transfers
            await target.answer()
            await s.state("consulting")
            target.endpoint.tone(880)
            await soon(lambda: desk.endpoint.power(880, 0.3) > 0.8)
            await s.go(desk, "*", "completing")
            row = await s.go(desk, "1", "joined")
            assert (row["desk"], row["target"], row["heard"]) == ("102", "102", "*1102#*1")
            await desk.until("ended")
            await soon(lambda: placed.endpoint.power(880, 0.3) > 0.8)
            assert placed.heard == ""
            target.hangup()
            await s.rows.until(lambda row: row["state"] == "ended")

    play(act)


@pytest.mark.rule("transfer.way-core", "hold.no-voicemail")
def test_a_transfer_to_a_number_outside_passes_its_mailbox() -> None:
    async def act() -> None:
        async with scene(pace=0.001) as s:
            _placed, desk = await s.patient("+14155550101")
            await s.go(desk, "*12125550187#", "menu")
            row = await s.news.until(lambda row: row["target"] == "+12125550187" and row["state"] == "menu")
            assert row["heard"] == "*12125550187#"
            outside = next(row for row in s.core.calls() if row["kind"] == "mailbox")
            assert (outside["from"], outside["outcome"]) == ("+14155550101", "refused with 480")
            desk.hangup()

    play(act)


def test_without_such_a_wish_the_mailbox_answers() -> None:
    async def act() -> None:
        async with scene(pace=0.001) as s, phone_at(s.core.address, "102") as caller:
            call = await caller.call("+12125550187")
            await call.until("talking")

    play(act)


@pytest.mark.parametrize(
    ("keys", "status"), [("*1199#", 404), ("*1102#", 486), ("*1102#", 480), ("*1102#", 500)]
)
def test_a_target_that_refuses_leads_back_to_the_menu(keys: str, status: int) -> None:
    async def act() -> None:
        async with scene() as s:
            _placed, desk = await s.patient()
            await s.go(desk, keys, "dialling")
            (await s.next_call()).reject(status)
            await s.state("menu")
            await s.go(desk, "2", "talking")
            desk.hangup()
            await s.rows.until(lambda row: row["state"] == "ended")

    play(act)


@pytest.mark.parametrize("target", ["911", "988", "101", "411", "5551234"])
def test_what_is_no_target_rings_nobody(target: str) -> None:
    async def act() -> None:
        async with scene() as s:
            _placed, desk = await s.patient()
            await s.go(desk, f"*1{target}", "collecting")
            await s.go(desk, "#", "menu")
            assert s.rung.empty()

    play(act)


def test_the_desk_hangs_up_in_the_menu_and_is_rung_back() -> None:
    async def act() -> None:
        async with scene() as s:
            placed, desk = await s.patient()
            await s.go(desk, "*", "menu")
            desk.hangup()
            again = await s.next_call()
            assert again.number == PATIENT
            s.news.rows.clear()
            await again.answer()
            await s.state("talking")
            again.endpoint.tone(880)
            await soon(lambda: placed.endpoint.power(880, 0.3) > 0.8)

    play(act)


@pytest.mark.parametrize(("to", "rings"), [("101", 0), ("+14155550100", 1)])
def test_nobody_takes_the_caller_back(to: str, rings: int) -> None:
    """The number's own group is rung once more; an extension has none."""

    async def act() -> None:
        async with scene() as s:
            placed, desk = await s.patient(to)
            await s.go(desk, "*", "menu")
            desk.hangup()
            (await s.next_call()).reject(480)
            for _ in range(rings):
                (await s.next_call()).reject(480)
            await asyncio.wait_for(placed.over.wait(), LIMIT)
            assert s.rung.empty()

    play(act)


def test_the_desk_hangs_up_while_consulting_and_the_transfer_completes() -> None:
    async def act() -> None:
        async with scene() as s:
            placed, desk = await s.patient()
            await s.go(desk, "*1102#", "dialling")
            target = await s.next_call()
            await target.answer()
            await s.state("consulting")
            desk.hangup()
            await s.state("joined")
            placed.hangup()
            await target.until("ended")

    play(act)


def test_the_caller_hangs_up_and_the_desk_keeps_the_target() -> None:
    async def act() -> None:
        async with scene() as s:
            placed, desk = await s.patient()
            await s.go(desk, "*1102#", "dialling")
            target = await s.next_call()
            await target.answer()
            await s.state("consulting")
            placed.hangup()
            await s.state("kept")
            target.endpoint.tone(880)
            await soon(lambda: desk.endpoint.power(880, 0.3) > 0.8)
            target.hangup()
            await desk.until("ended")

    play(act)


def test_hold_of_the_desk_gives_the_caller_music() -> None:
    async def act() -> None:
        async with scene() as s:
            placed, desk = await s.patient()
            desk.endpoint.tone(880)
            await soon(lambda: placed.endpoint.power(880, 0.3) > 0.8)
            await desk.hold()
            await soon(lambda: placed.endpoint.power(880, 0.3) < 0.2)
            await desk.resume()
            desk.endpoint.tone(880)
            await soon(lambda: placed.endpoint.power(880, 0.3) > 0.8)

    play(act)


def test_the_practice_is_not_there() -> None:
    async def act() -> None:
        async with scene() as s:
            s.switch.practice = None
            placed = await s.core.call(PATIENT, "101", 5.0)
            await asyncio.wait_for(placed.over.wait(), LIMIT)
            assert placed.outcome.startswith("503")

    play(act)


def test_a_call_of_the_practice_reaches_the_network() -> None:
    async def act() -> None:
        async with scene() as s:
            s.switch._own = ("127.0.0.1", 1)
            async with phone_at(s.switch.address, "102") as phone:
                s.switch.practice = (phone.host, phone.port)
                call = await phone.call("+12125550199")
                await call.until("talking")
                row = await s.rows.until(lambda row: row["state"] == "talking")
                assert row["kind"] == "patient"

    play(act)
