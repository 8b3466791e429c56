"""A simulated phone against a registrar, a provisioning server and another phone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from provisioner.errors import PeerError
from provisioner.simulate.call import Call
from provisioner.simulate.phone import Phone
from provisioner.simulate.vendors import phone_type
from provisioner.simulate.vendors.base import Account, Configuration
from tests.simulate.fixtures import GRANDSTREAM, GRANDSTREAM_FILES
from tests.simulate.phones import phone_at
from tests.simulate.registrar import registering
from tests.simulate.server import serving

LIMIT = 10.0
NOWHERE = ("127.0.0.1", 9)


async def when(condition: Callable[[], bool]) -> None:
    """Until it is so."""
    while not condition():  # noqa: ASYNC110 - what arrives by network announces itself to nobody
        await asyncio.sleep(0.005)


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_registers_with_digest_and_refreshes(transport: str) -> None:
    async def scene() -> None:
        async with registering() as registrar, phone_at(registrar.address, transport=transport) as phone:
            registrar.granted = 1
            assert await phone.register() == 1
            first = await registrar.registered.get()
            again = await asyncio.wait_for(registrar.registered.get(), LIMIT)
            assert first.call_id == again.call_id
            assert first.cseq[0] < again.cseq[0]
            assert first.get("contact").startswith(f"<sip:101@127.0.0.1:{phone.port}")
            assert first.get("user-agent") == "PolycomVVX-VVX_411-UA/5.9.7.4477"

    play(scene)


def test_takes_the_interval_that_the_registrar_wants() -> None:
    async def scene() -> None:
        async with registering() as registrar, phone_at(registrar.address) as phone:
            registrar.least = 7200
            await phone.register()
            assert (await registrar.registered.get()).get("expires") == "7200"

    play(scene)


def test_a_wrong_password_is_said_and_not_repeated_at_once() -> None:
    async def scene() -> None:
        async with registering("other") as registrar, phone_at(registrar.address) as phone:
            with pytest.raises(PeerError, match="refused with 403"):
                await phone.register()
            assert not phone.registered
            assert registrar.refused.qsize() == 1

    play(scene)


def test_the_second_registrar_is_asked_where_the_first_is_out_of_service() -> None:
    async def scene() -> None:
        async with registering() as first, registering() as second, phone_at(first.address) as phone:
            phone.use(Configuration(replace(phone.account, backup=second.address)))
            first.out = True
            assert await phone.register() == 300
            assert (first.registered.qsize(), second.registered.qsize()) == (0, 1)
            first.out = False
            await phone.register()
            assert (first.registered.qsize(), second.registered.qsize()) == (1, 1)

    play(scene)


def test_a_phone_without_an_account_cannot_call() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE) as phone:
            phone.use(Configuration())
            with pytest.raises(PeerError, match="adopt"):
                await phone.call("101")
            assert phone.calls == set()

    play(scene)


def test_keys_that_the_map_refuses_are_not_called() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE) as phone:
            plan = phone_type("grandstream").read({"P290": "{ 10x }"}).dial_plan
            phone.use(Configuration(phone.account, plan))
            with pytest.raises(PeerError, match="refuses 3 keys"):
                await phone.dial("555")

    play(scene)


def test_emergency_calls_go_to_the_server_of_their_own() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE, "102") as other, phone_at(NOWHERE) as phone:
            rung: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
            other.on_ring = rung.set_result
            phone.use(Configuration(phone.account, emergency={"911": ("127.0.0.1", other.port)}))
            call = await phone.call("911")
            await asyncio.wait_for(rung, LIMIT)
            await call.until("ringing")

    play(scene)


async def connected(phone: Phone, other: Phone) -> tuple[Call, Call]:
    """A call from `phone` straight to `other`, answered."""
    rung: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
    other.on_ring = rung.set_result
    account = phone.account
    phone.use(Configuration(Account(account.user, account.auth_user, "", "127.0.0.1", other.port)))
    placed = await phone.call(other.account.user)
    taken = await asyncio.wait_for(rung, LIMIT)
    await taken.answer()
    await placed.until("talking")
    return placed, taken


def test_two_phones_talk_and_either_hangs_up() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE) as phone, phone_at(NOWHERE, "102") as other:
            placed, taken = await connected(phone, other)
            await taken.press("12")
            await placed.wait_for(lambda: placed.digits == "12")
            taken.hangup()
            await placed.until("ended")
            assert (placed.outcome, taken.outcome) == ("bye", "hung up")
            assert phone.calls == other.calls == set()
            with pytest.raises(PeerError, match="the call ended: bye"):
                await placed.until("held")

    play(scene)


def test_the_other_side_is_put_on_hold_and_taken_back() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE) as phone, phone_at(NOWHERE, "102") as other:
            placed, taken = await connected(phone, other)
            await placed.hold()
            await taken.hold()
            await placed.resume()
            await taken.resume()
            assert placed.state == taken.state == "talking"

    play(scene)


def test_a_call_that_is_cancelled_while_it_is_picked_up() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE) as phone, phone_at(NOWHERE, "102") as other:
            rung: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
            other.on_ring = rung.set_result
            phone.use(Configuration(Account("101", "u101", "", "127.0.0.1", other.port)))
            placed = await phone.call("102")
            taken = await asyncio.wait_for(rung, LIMIT)
            await placed.until("ringing")
            placed.hangup()
            await taken.until("ended")
            await taken.answer()
            assert taken.history == ["ringing", "ended"]
            assert taken.outcome == "cancelled"

    play(scene)


# NOTIFY


@pytest.mark.parametrize("maker", ["polycom", "grandstream"])
def test_check_sync_makes_the_phone_boot_again(maker: str) -> None:
    async def scene() -> None:
        async with registering() as registrar, phone_at(registrar.address, maker=maker) as phone:
            assert phone.agent.user == "101"
            for event in ("message-summary", "check-sync;reboot=true"):
                response = await registrar.notify(("127.0.0.1", phone.port), "101", event)
                assert response
                assert response.status == 200
            await asyncio.wait_for(phone.told.wait(), LIMIT)

    play(scene)


@pytest.mark.parametrize(
    ("event", "settings", "left", "news"),
    [
        ("resync", {"P26015": "1", "P51": "7"}, "7", ""),
        ("check-sync;reboot=true", {"P26015": "1", "P51": "7"}, "7", "restarts: told to"),
        ("reset", {"P26015": "1", "P51": "7"}, "", "restarts: told to"),
    ],
)
def test_what_a_running_phone_does_when_it_is_told(
    event: str, settings: dict[str, str], left: str, news: str
) -> None:
    async def scene() -> None:
        async with registering() as registrar:
            name = f"cfg{GRANDSTREAM}.xml"
            own = GRANDSTREAM_FILES[name].replace(b"5070", str(registrar.address[1]).encode())
            with serving({name: own}) as server:
                phone = Phone(phone_type("grandstream"), GRANDSTREAM, server.url, Random(1))
                told: list[str] = []
                phone.on_news = told.append
                await phone.open()
                running = asyncio.create_task(phone.run())
                async with asyncio.timeout(LIMIT):
                    await registrar.registered.get()
                    await when(lambda: phone.idle)
                    phone.flash.settings |= settings
                    count = len(server.asked)
                    await registrar.notify(("127.0.0.1", phone.port), "103", event)
                    await when(lambda: phone.idle and len(server.asked) > count)
                assert phone.flash.settings.get("P51", "") == left
                assert [line for line in told if line.startswith("restarts")] == [news] * bool(news)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await phone.close()

    play(scene)


def test_grandstream_does_not_obey_a_stranger() -> None:
    async def scene() -> None:
        async with registering() as registrar, phone_at(registrar.address, maker="grandstream") as phone:
            registrar.password = "guess"
            response = await registrar.notify(("127.0.0.1", phone.port), "101", "check-sync")
            assert response
            assert response.status == 401
            assert not phone.told.is_set()

    play(scene)


# the whole life


def test_a_phone_waits_until_it_is_adopted_and_comes_back_when_told_to() -> None:
    async def scene() -> None:
        name = f"cfg{GRANDSTREAM}.xml"
        waiting = b"<gs_provision><config version='1'><P194>1</P194><P193>60</P193></config></gs_provision>"
        async with registering() as registrar:
            adopted = GRANDSTREAM_FILES[name].replace(b"5070", str(registrar.address[1]).encode())
            with serving({name: waiting}) as server:
                news: asyncio.Queue[str] = asyncio.Queue()
                phone = Phone(phone_type("grandstream"), GRANDSTREAM, server.url, Random(1), poll_cap=0.01)
                phone.on_news = news.put_nowait
                await phone.open()
                running = asyncio.create_task(phone.run())
                async with asyncio.timeout(LIMIT):
                    assert await news.get() == "waits to be adopted"
                    server.files[name] = adopted
                    while (await news.get()) != "registered as 103 for 300 s":
                        pass
                    asked = len(server.asked)
                    await registrar.notify(("127.0.0.1", phone.port), "103", "check-sync")
                    server.files[name] = adopted.replace(b"Exam room", b"Reception")
                    while (await news.get()) != "registered as 103 for 300 s":
                        pass
                assert len(server.asked) > asked
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await phone.close()

    play(scene)


def test_a_server_that_is_away_is_news_and_asked_again() -> None:
    async def scene() -> None:
        with serving({}) as server:
            url = server.url
        news: asyncio.Queue[str] = asyncio.Queue()
        phone = Phone(phone_type("yealink"), "001565000102", url, Random(1), poll_cap=0.01)
        phone.on_news = news.put_nowait
        await phone.open()
        running = asyncio.create_task(phone.run())
        async with asyncio.timeout(LIMIT):
            assert "does not answer" in await news.get()
            assert "does not answer" in await news.get()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await phone.close()

    play(scene)
