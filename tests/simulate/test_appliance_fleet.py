"""Thirty phones of all makers against a running appliance: first boot, upgrade, a change of settings."""

from __future__ import annotations

import asyncio
import json
import re
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
SEALED = {"encrypt_files": True, "directory": True}
WAVE = 20  # as many as the appliance tells at once


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


def put_images(appliance: Appliance, phones: Sequence[Phone]) -> int:
    """A newer image under each name that a phone asked for in vain; how many."""
    wanted: dict[Path, str] = {}
    for phone in phones:
        for ask, reply in phone.handset.asked:
            if ask.running is not None and reply.status == 404:
                name = ask.path.partition("?")[0].rpartition("/")[2]
                folder = appliance.state / "firmware" / phone.kind.maker.name
                head, _, last = ask.running.rpartition(".")
                wanted.setdefault(folder / name, f"{head}.{int(re.sub('[^0-9]', '', last)) + 1}")
    for path, version in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image\0" + version.encode() + b"\0" + bytes(20_000))
    return len(wanted)


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

            await upgrade(appliance, phones)
            before = restarts(phones)
            await settle(
                appliance, firmware_server=server(appliance), time_format="24", poll_seconds=10800, **SEALED
            )
            await resync(appliance, phones[:WAVE])
            await every(phones[WAVE:], lambda phone: phone.boot("check"))
            assert {phone.configuration.poll for phone in phones} == {10800}
            assert changed(before, restarts(phones)) == for_any_change(phones)
            await every(phones, lambda phone: phone.boot("check"))
            assert {phone.kind.maker.name for phone in phones if sealed(phone)} == {"yealink", "grandstream"}
            assert (needless(phones), faults(phones)) == ([], {})

    asyncio.run(asyncio.wait_for(scene(), 90))


def server(appliance: Appliance) -> str:
    return str(appliance.info["http"]).rstrip("/")


def sealed(phone: Phone) -> bool:
    """Whether its own file came encrypted last time."""
    names = (f"{phone.flash.mac}.cfg", f"cfg{phone.flash.mac}.xml")
    own = [reply.body for ask, reply in phone.handset.asked if ask.path in names and reply.status == 200]
    return bool(own) and not own[-1].startswith((b"<", b"#!"))


def for_any_change(phones: Sequence[Phone]) -> set[str]:
    """Models that restart for whatever changes (vendors/polycom.toml): not needless, for them."""
    return {phone.kind.name for phone in phones if "*" in phone.kind.family.reboots_running}


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> set[str]:
    return {name.rpartition(" ")[0] for name, words in after.items() if words != before[name]}


async def upgrade(appliance: Appliance, phones: Sequence[Phone]) -> None:
    """Images come, a setting says where: every phone that asks takes its own, restarts for it, and is done."""
    await settle(appliance, firmware_server=server(appliance))
    await every(phones, lambda phone: phone.boot("check"))
    assert put_images(appliance, phones) > 0
    asking = [phone for phone in phones if any(ask.running is not None for ask, _ in phone.handset.asked)]
    assert {phone.kind.maker.name for phone in asking} == {"polycom", "yealink", "grandstream"}
    await every(phones, lambda phone: phone.handset.restart("power"))
    assert [phone.kind.name for phone in asking if not phone.flash.upgrades] == []
    assert [name for name, words in restarts(asking).items() if not words[-1].startswith("firmware")] == []
    after = restarts(phones)
    await every(phones, lambda phone: phone.boot("check"))
    assert restarts(phones) == after, "the same firmware restarts nothing"
    for phone in phones:  # a restart that a person asked for is not the appliance's
        phone.handset.restarts[:] = [each for each in phone.handset.restarts if each.words != "power"]


async def resync(appliance: Appliance, phones: Sequence[Phone]) -> None:
    """The appliance tells phones by NOTIFY; they ask again, Grandstream's after a digest."""
    living = [asyncio.create_task(phone.run("check")) for phone in phones]
    await when(lambda: all(phone.idle for phone in phones))
    counts = [phone.handset.requests for phone in phones]
    body = json.dumps({"macs": [phone.flash.mac for phone in phones], "mode": "resync"}).encode()
    await asyncio.to_thread(appliance.api, "phones/jobs", body)
    await when(
        lambda: all(
            phone.idle and phone.handset.requests > count for phone, count in zip(phones, counts, strict=True)
        )
    )
    for task in living:
        task.cancel()
    await asyncio.gather(*living, return_exceptions=True)


async def when(condition: Callable[[], bool]) -> None:
    """Until it is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)
