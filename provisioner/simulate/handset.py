"""A phone as its provisioning server sees it: starts, checks, upgrades and restarts, and a record of why."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from provisioner.errors import PeerError
from provisioner.simulate import files
from provisioner.simulate.vendors.base import (
    Ask,
    Configuration,
    Flash,
    Outcome,
    Pass,
    PhoneType,
    Reply,
    Restart,
    UnreachableError,
)

MAX_RESTARTS = 5  # in a row: with new firmware, with the settings that it brings, and some more


@dataclass
class Restarted:
    """A restart that happened. `needless`: neither firmware nor a setting of the reboot class was new."""

    words: str
    needless: bool


@dataclass
class Handset:
    """One phone. `server`: what DHCP or a person told it; `pause(seconds)` waits; `discover` asks by multicast.

    `requests`: how many it sent; `asked`: they themselves, where `remember`; `restarts`: since it was made.
    """

    kind: PhoneType
    mac: str
    server: str
    new_cnonce: Callable[[], str]
    context: ssl.SSLContext | None = None
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    discover: Callable[[PhoneType, Flash], Awaitable[str]] | None = None
    remember: bool = False
    flash: Flash = field(init=False)
    configuration: Configuration = field(init=False)
    requests: int = 0
    asked: list[tuple[Ask, Reply]] = field(default_factory=list)
    restarts: list[Restarted] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Factory settings; firmware stays."""
        version = self.flash.version if hasattr(self, "flash") else ""
        self.flash = self.kind.new(self.mac)
        self.flash.version = version or self.flash.version
        self.configuration = self.kind.read({})

    async def start(self) -> Configuration:
        """Power on: ask for everything, restart as often as that takes. Raises UnreachableError or PeerError."""
        return await self._settle(await self._play(True))

    async def check(self) -> Configuration:
        """Ask again while running. Raises UnreachableError or PeerError."""
        return await self._settle(await self._play(False))

    async def restart(self, words: str) -> Configuration:
        """Somebody says so: needless, unless it brings something that only a restart brings into force."""
        told = Restarted(words, needless=True)
        self.restarts.append(told)
        outcome = await self._play(True)
        told.needless = outcome.restart is None
        return await self._settle(outcome)

    async def change(self, name: str, value: str) -> None:
        """Somebody changes a setting on the phone itself. Raises UnreachableError."""
        self.flash.local[name] = self.flash.settings[name] = value
        self.configuration = self.kind.read(self.flash.settings)
        client = files.Client(self.context)
        for ask in self.kind.maker.upload(self.flash, self.kind):
            await self._ask(client, self.server, ask)
        await client.close()

    async def _settle(self, outcome: Outcome) -> Configuration:
        """Restart until nothing asks for it any more."""
        for _ in range(MAX_RESTARTS):
            if outcome.restart is None:
                return self.configuration
            self.restarts.append(Restarted(outcome.restart.words, needless=False))
            outcome = await self._play(True)
        self.restarts.append(Restarted("without end", needless=True))
        why = outcome.restart or Restart("settings", "")
        raise PeerError(f"phone {self.mac} restarts again and again: {why.words}")

    async def _play(self, starting: bool) -> Outcome:
        """One pass: at the server that it was told of, and where that does not answer at the one it found first."""
        told = (await self._found() if starting else "") or self.configuration.server
        self.flash.faults.clear()
        try:
            outcome = await self._ask_all(starting, (told or self.server).rstrip("/") + "/")
        except UnreachableError:
            if not told:
                raise
            outcome = await self._ask_all(starting, self.server)
        self.flash.settings = outcome.settings
        self.configuration = self.kind.read(outcome.settings)
        return outcome

    async def _found(self) -> str:
        """What multicast says at this start; it beats everything else (facts 2.1)."""
        if not (self.discover and self.kind.maker.vendor and self.configuration.pnp):
            return ""
        return await self.discover(self.kind, self.flash)

    async def _ask_all(self, starting: bool, server: str) -> Outcome:
        run: Pass = self.kind.start(self.flash) if starting else self.kind.check(self.flash)
        client = files.Client(self.context)
        try:
            ask = next(run)
            while True:
                ask = run.send(await self._ask(client, server, ask))
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome
        finally:
            run.close()
            await client.close()

    async def _ask(self, client: files.Client, server: str, ask: Ask) -> Reply:
        """One file, as often as the phone was told to try (facts 3.2: Yealink; else once)."""
        now = self.configuration
        for attempt in range(1, now.attempts + 1):
            self.requests += 1
            try:
                reply = await files.fetch(client, server, ask, self.new_cnonce, now.user, now.password)
            except UnreachableError:
                if attempt == now.attempts:
                    raise
            else:
                if self.remember:
                    self.asked.append((ask, reply))
                if reply.status < 500 or attempt == now.attempts:
                    return reply
            await self.pause(now.attempt_pause)
        raise AssertionError("a phone tries at least once")
