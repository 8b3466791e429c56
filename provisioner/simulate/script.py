"""A small script for one phone: `call 101; wait 3; press *1103#; hangup`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from provisioner.errors import PeerError, UsageError
from provisioner.simulate.call import Call
from provisioner.simulate.phone import Phone

RING_SECONDS = 60.0  # how long a script waits for an answer, or for a call
KEYS = frozenset("0123456789*#")


class Step(NamedTuple):
    """One command with its argument, "" without one."""

    verb: str
    argument: str


def parse(text: str) -> list[Step]:
    """The steps of a script. Raises UsageError that names the one which cannot be understood."""
    steps = []
    for part in text.split(";"):
        verb, _, argument = part.strip().partition(" ")
        if verb:
            steps.append(_checked(Step(verb, argument.strip())))
    return steps


def _checked(step: Step) -> Step:
    verb, argument = step
    if verb not in VERBS:
        raise UsageError(f"{verb!r} is no step of a script; there are {', '.join(VERBS)}")
    wants = VERBS[verb].wants
    good = {
        "": not argument,
        "number": bool(argument),
        "keys": bool(argument) and set(argument) <= KEYS,
        "seconds": argument.replace(".", "", 1).isdecimal(),
    }
    if not good[wants]:
        raise UsageError(f"the step {verb!r} wants {wants or 'nothing'} after it, not {argument!r}")
    return step


class Player:
    """Plays steps on a phone; the call that it works on is the latest."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._call: Call | None = None
        self._rung = asyncio.Event()
        phone.on_ring = self._on_ring

    def _on_ring(self, call: Call) -> None:
        self._call = call
        self._rung.set()

    @property
    def call(self) -> Call:
        """The call. Raises PeerError when there is none."""
        if self._call is None:
            raise PeerError("there is no call yet; begin with `call NUMBER`, `dial KEYS` or `answer`")
        return self._call

    async def play(self, steps: list[Step]) -> None:
        """Play all steps. Raises PeerError or TimeoutError at the first that cannot be done."""
        for step in steps:
            await VERBS[step.verb].do(self, step.argument)

    async def place(self, number: str) -> None:
        """Call and wait for the answer."""
        self._call = await self.phone.call(number)
        await self.call.until("talking", RING_SECONDS)

    async def dial(self, keys: str) -> None:
        """Press keys on the idle phone and wait for the answer."""
        self._call = await self.phone.dial(keys)
        await self.call.until("talking", RING_SECONDS)

    async def answer(self, _argument: str) -> None:
        """Wait for a call and take it."""
        async with asyncio.timeout(RING_SECONDS):
            await self._rung.wait()
        self._rung.clear()
        await self.call.answer()

    async def press(self, keys: str) -> None:
        """Press keys in the call, to the last; the last one may end it, as a transfer does."""
        await asyncio.wait([self.call.press(keys)])

    async def wait(self, seconds: str) -> None:
        """Let time pass."""
        await asyncio.sleep(float(seconds))

    async def hold(self, _argument: str) -> None:
        """Hold the call."""
        await self.call.hold()

    async def resume(self, _argument: str) -> None:
        """Take it back."""
        await self.call.resume()

    async def hangup(self, _argument: str) -> None:
        """End the call."""
        self.call.hangup()


class Verb(NamedTuple):
    """What a step does, and what it wants: "", "number", "keys" or "seconds"."""

    do: Callable[[Player, str], Awaitable[None]]
    wants: str = ""


VERBS = {
    "call": Verb(Player.place, "number"),
    "dial": Verb(Player.dial, "keys"),
    "answer": Verb(Player.answer),
    "press": Verb(Player.press, "keys"),
    "wait": Verb(Player.wait, "seconds"),
    "hold": Verb(Player.hold),
    "resume": Verb(Player.resume),
    "hangup": Verb(Player.hangup),
}
