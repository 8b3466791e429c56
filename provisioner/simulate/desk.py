"""The people at the demo's desk phones: they answer, talk, transfer by keypad and call each other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

from provisioner.errors import ProvisionerError
from provisioner.simulate.call import Call
from provisioner.simulate.phone import Phone

TRANSFERS = 0.3  # share of answered calls
CHAT_EVERY = (60.0, 120.0)  # seconds between calls from desk to desk


class Desk:
    """One person. `colleagues`: phones to call and to transfer to. `pace` multiplies all waiting."""

    def __init__(
        self, phone: Phone, colleagues: Sequence[Phone], rng: Random, busy: bool, pace: float = 1.0
    ) -> None:
        self.phone = phone
        self._colleagues = [other for other in colleagues if other is not phone]
        self._rng = rng
        self._busy = busy
        self._pace = pace
        self._tasks: set[asyncio.Task[None]] = set()
        phone.on_ring = self._on_ring
        if busy:
            self._begin(self._chat())

    async def leave(self) -> None:
        """Do nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, least: float, most: float) -> None:
        await asyncio.sleep(self._rng.uniform(least, most) * self._pace)

    def _on_ring(self, call: Call) -> None:
        if any(other is not call for other in self.phone.calls):
            call.reject(486)
        else:
            self._begin(self._take(call))

    async def _take(self, call: Call) -> None:
        await self._wait(2, 4)
        try:
            await call.answer()
            if self._busy and self._colleagues and self._rng.random() < TRANSFERS:
                await self._transfer(call)
        except (ProvisionerError, OSError) as error:
            self.phone.news(call, str(error))

    async def _transfer(self, call: Call) -> None:
        """The warm transfer: `*` `1` extension `#`, announce the caller, `*` `1`."""
        await self._wait(6, 9)
        other = self._rng.choice(self._colleagues).configuration.account
        if other is None:
            return
        for keys, least, most in (
            ("*", 1, 2),
            ("1", 1, 2),
            (other.user + "#", 10, 14),
            ("*", 1, 2),
            ("1", 0, 0),
        ):
            if call.state != "talking":
                return
            await call.press(keys)
            await self._wait(least, most)
        await self._wait(3, 5)
        if call.state == "talking":  # the caller has gone meanwhile: the colleagues have no more to say
            call.hangup()

    async def _chat(self) -> None:
        """Call a colleague now and then."""
        while True:
            await self._wait(*CHAT_EVERY)
            reachable = [other for other in self._colleagues if other.registered and not other.calls]
            if self.phone.calls or not self.phone.registered or not reachable:
                continue
            try:
                call = await self.phone.dial(self._rng.choice(reachable).account.user)
                await call.until("talking", 30)
                await self._wait(8, 15)
                call.hangup()
            except (ProvisionerError, OSError, TimeoutError) as error:
                self.phone.news(None, f"call to a colleague: {error}")
