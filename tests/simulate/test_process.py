"""The process `simulate` from outside: a script on the command line, phones that live until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from random import Random

import pytest

from provisioner.errors import UsageError
from provisioner.simulate.phone import Phone
from provisioner.simulate.process import DEMO_PHONES, choose, live, main
from provisioner.simulate.vendors import phone_type
from tests.simulate.fixtures import GRANDSTREAM, GRANDSTREAM_FILES
from tests.simulate.registrar import Registrar, registering
from tests.simulate.server import serving

START = "import sys; from provisioner.simulate.process import main; sys.exit(main({arguments}))"


def test_phones_to_choose_from() -> None:
    assert [(kind.maker.name, mac) for kind, mac in choose("", "")] == [
        (name, mac) for mac, name in DEMO_PHONES
    ]
    assert [(kind.maker.name, mac) for kind, mac in choose("00:15:65:AA:BB:CC", "")] == [
        ("yealink", "001565aabbcc")
    ]
    assert choose("aabbccddeeff", "polycom")[0][0].maker.name == "polycom"


@pytest.mark.parametrize(
    ("mac", "vendor", "said"),
    [("12", "", "no MAC"), ("aabbccddeeff", "", "--vendor polycom"), (GRANDSTREAM, "x", "say")],
)
def test_phones_that_cannot_be(mac: str, vendor: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose(mac, vendor)


def test_wrong_use_is_said_before_anything_starts() -> None:
    with pytest.raises(UsageError, match="no step"):
        main("http://127.0.0.1:9", do="fly")
    with pytest.raises(UsageError, match="--server"):
        main("127.0.0.1")


def test_desks_live_until_they_are_told_to_stop() -> None:
    async def scene() -> None:
        async with registering() as registrar:
            with serving(files_for(registrar)) as server:
                phone = Phone(phone_type("grandstream"), GRANDSTREAM, server.url, Random(1))
                await phone.open()
                stop = asyncio.Event()
                living = asyncio.create_task(live([phone], Random(1), True, stop))
                await asyncio.wait_for(registrar.registered.get(), 10)
                stop.set()
                await asyncio.wait_for(living, 10)
                await phone.close()

    asyncio.run(scene())


def test_a_phone_that_breaks_is_not_hidden() -> None:
    async def scene() -> None:
        phone = Phone(phone_type("grandstream"), GRANDSTREAM, "http://127.0.0.1:9/", Random(1))
        with pytest.raises(AttributeError):  # it was never opened
            await asyncio.wait_for(live([phone], Random(1), False, asyncio.Event()), 10)

    asyncio.run(scene())


def files_for(registrar: Registrar) -> dict[str, bytes]:
    port = str(registrar.address[1]).encode()
    return {name: body.replace(b"5070", port) for name, body in GRANDSTREAM_FILES.items()}


async def started(arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        START.format(arguments=arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_script_prints_what_happened_and_ends() -> None:
    async def scene() -> None:
        async with registering() as registrar:
            with serving(files_for(registrar)) as server:
                process = await started(f"{server.url!r}, {GRANDSTREAM!r}, do='wait 0'")
                out, _ = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0
        assert out.decode().split(maxsplit=1)[1] == "registered as 103 for 300 s\n"

    asyncio.run(scene())


def test_phones_live_until_sigterm() -> None:
    async def scene() -> None:
        async with registering() as registrar:
            with serving(files_for(registrar)) as server:
                process = await started(f"{server.url!r}, {GRANDSTREAM!r}, life=True")
                await asyncio.wait_for(registrar.registered.get(), 20)
                os.kill(process.pid, signal.SIGTERM)
                assert await asyncio.wait_for(process.wait(), 5) == 0

    asyncio.run(scene())
