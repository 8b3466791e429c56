"""The process `simulate`: desk phones that boot from an appliance, register and live, or play a script."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from random import Random, SystemRandom

from provisioner.errors import ProvisionerError, UsageError
from provisioner.simulate.desk import Desk
from provisioner.simulate.files import check_url
from provisioner.simulate.phone import Phone
from provisioner.simulate.script import Player, Step, parse
from provisioner.simulate.vendors import MAKERS, phone_type
from provisioner.simulate.vendors.base import PhoneType

DEMO_PHONES = (("0004f2000101", "polycom"), ("001565000102", "yealink"), ("000b82000103", "grandstream"))
POLL_CAP = 5.0  # seconds; a demo must not wait an hour for its adoption

_log = logging.getLogger(__name__)


def choose(mac: str, vendor: str, model: str = "") -> list[tuple[PhoneType, str]]:
    """Which phones: one by MAC, vendor and model, or the three of the demo. Raises UsageError."""
    if not mac:
        return [(phone_type(name), each) for each, name in DEMO_PHONES]
    found = re.sub("[:.-]", "", mac).lower()
    if not re.fullmatch("[0-9a-f]{12}", found):
        raise UsageError(f"{mac!r} is no MAC address; give 12 hex digits")
    by_prefix = {each[:6]: name for each, name in DEMO_PHONES}
    name = vendor or by_prefix.get(found[:6], "")
    if name not in MAKERS:
        raise UsageError(f"say which make phone {found} is: --vendor {' | '.join(MAKERS)}")
    return [(phone_type(name, model), found)]


async def live(phones: list[Phone], rng: Random, busy: bool, stop: asyncio.Event) -> None:
    """Boot the phones and let people sit at them until `stop`. Raises what ended a phone before."""
    desks = [Desk(phone, phones, rng, busy) for phone in phones]
    running = [asyncio.create_task(phone.run()) for phone in phones]
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting, *running], return_when=asyncio.FIRST_COMPLETED)
    broken = [task for task in running if task.done()]
    for task in [waiting, *running]:
        task.cancel()
    await asyncio.gather(waiting, *running, *(desk.leave() for desk in desks), return_exceptions=True)
    for task in broken:
        task.result()


async def play(phone: Phone, steps: list[Step]) -> None:
    """Boot, register, play `steps`. Raises PeerError, UnreachableError or TimeoutError."""
    player = Player(phone)
    await phone.boot()
    await phone.register()
    await player.play(steps)


def _tell(phone: Phone, started: float, do: str) -> Callable[[str], None]:
    """Where news of a phone goes: to the terminal for a script, else to the log."""
    if do:
        return lambda line: print(f"{time.monotonic() - started:7.2f}  {line}", flush=True)
    return lambda line: _log.info("%s: %s", phone.flash.mac, line)


async def _run(
    server: str, which: list[tuple[PhoneType, str]], busy: bool, do: str, bind: str, rng: Random
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        phones = [Phone(kind, mac, server, rng, bind, POLL_CAP) for kind, mac in which]
        for phone in phones:
            phone.on_news = _tell(phone, started, do)
            await phone.open()
            stack.push_async_callback(phone.close)
        if not do:
            await live(phones, rng, busy, stop)
            return
        playing = asyncio.create_task(play(phones[0], parse(do)))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((playing, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if playing.done():
            playing.result()
        playing.cancel()


def main(
    server: str,
    mac: str = "",
    vendor: str = "",
    model: str = "",
    life: bool = False,
    do: str = "",
    bind: str = "127.0.0.1",
    rng: Random | None = None,
) -> int:
    """Run the phones until SIGTERM or the end of the script; 0. Raises ProvisionerError.

    `life`: the people also transfer calls and call each other. `do`: a script for the first phone.
    """
    parse(do)
    try:
        asyncio.run(
            _run(check_url(server), choose(mac, vendor, model), life, do, bind, rng or SystemRandom())
        )
    except TimeoutError:
        raise ProvisionerError("the script waited in vain; see the last line above") from None
    return 0
