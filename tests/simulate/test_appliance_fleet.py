"""Thirty phones of all makers against a running appliance: first boot, upgrade, a change of settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from provisioner.simulate.fleet import roster
from provisioner.simulate.phone import Phone
from provisioner.store.inventory import Inventory
from provisioner.store.records import PhoneSettings
from tests.peers.appliance import Appliance

COUNT = 30


@asynccontextmanager
async def fleet(url: str) -> AsyncIterator[list[Phone]]:
    phones = [Phone(kind, mac, url, Random(mac)) for kind, mac in roster(COUNT)]
    for phone in phones:
        phone.handset.remember = True
        await phone.open()
    try:
        yield phones
    finally:
        await asyncio.gather(*(phone.close(0.0) for phone in phones))


async def every(phones: Sequence[Phone], what: Callable[[Phone], Awaitable[Any]]) -> None:
    """A few at a time: phones of a practice do not ask in the same millisecond."""
    for at in range(0, len(phones), 10):
        await asyncio.gather(*(what(phone) for phone in phones[at : at + 10]))


def restarts(phones: Sequence[Phone]) -> dict[str, list[str]]:
    return {
        f"{phone.kind.name} {phone.flash.mac}": [each.words for each in phone.handset.restarts]
        for phone in phones
    }


def needless(phones: Sequence[Phone]) -> list[str]:
    return [phone.kind.name for phone in phones if any(each.needless for each in phone.handset.restarts)]


def faults(phones: Sequence[Phone]) -> dict[str, list[str]]:
    return {phone.kind.name: phone.flash.faults for phone in phones if phone.flash.faults}


async def settle(appliance: Appliance, **values: Any) -> None:
    """Change settings of the site, and see them in force."""
    inventory = Inventory.open(appliance.state / "inventory.db")
    try:
        with inventory.change(who="test") as change:
            change.put(PhoneSettings(id="site", values=values))
        revision = inventory.snapshot_revision()
    finally:
        inventory.close()
    front = appliance.control("front")
    reply = await asyncio.to_thread(front.call, "reload")
    assert reply["revision"] >= revision


@pytest.fixture
def appliance(tmp_path: Path) -> Any:
    with Appliance(tmp_path) as running:
        yield running


def test_a_fleet_from_first_boot_to_a_change_of_settings(appliance: Appliance) -> None:
    async def scene() -> None:
        async with fleet(server(appliance) + "/") as phones:
            await every(phones, lambda phone: phone.handset.start())
            assert [phone.kind.name for phone in phones if phone.configuration.account] == []
            for phone in phones:
                await asyncio.to_thread(appliance.adopt_seen, phone.flash.mac)

            await every(phones, lambda phone: phone.boot("check"))
            await every(phones, lambda phone: phone.register())
            assert [phone.kind.name for phone in phones if not phone.registered] == []
            assert (needless(phones), faults(phones)) == ([], {})

            before = restarts(phones)
            await every(phones, lambda phone: phone.boot("check"))
            assert restarts(phones) == before, "the same files restart nothing"

            before = restarts(phones)
            await settle(appliance, firmware_server=server(appliance), time_format="24", poll_seconds=10800)
            await every(phones, lambda phone: phone.boot("check"))
            assert {phone.configuration.poll for phone in phones} == {10800}
            assert changed(before, restarts(phones)) == for_any_change(phones)
            assert (needless(phones), faults(phones)) == ([], {})

    asyncio.run(asyncio.wait_for(scene(), 90))


def server(appliance: Appliance) -> str:
    return str(appliance.info["http"]).rstrip("/")


def for_any_change(phones: Sequence[Phone]) -> set[str]:
    """Models that restart for whatever changes (vendors/polycom.toml): not needless, for them."""
    return {phone.kind.name for phone in phones if "*" in phone.kind.family.reboots_running}


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> set[str]:
    return {name.rpartition(" ")[0] for name, words in after.items() if words != before[name]}
