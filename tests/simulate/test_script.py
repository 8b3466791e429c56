"""Scripts for one phone, and the people at the demo's desks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from provisioner.core.core import Core
from provisioner.errors import PeerError, UsageError
from provisioner.simulate.call import Call
from provisioner.simulate.desk import Desk
from provisioner.simulate.phone import Phone
from provisioner.simulate.script import Player, Step, parse
from provisioner.simulate.vendors.base import Configuration
from tests.simulate.phones import phone_at

LIMIT = 10.0
NOWHERE = ("127.0.0.1", 9)


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


def test_steps() -> None:
    assert parse(" call 101; wait 0.5;press *1103#;hangup; ") == [
        Step("call", "101"), Step("wait", "0.5"), Step("press", "*1103#"), Step("hangup", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jump", "'jump' is no step of a script; there are call, dial"),
        ("call", "'call' wants number"),
        ("press 1a", "'press' wants keys"),
        ("wait soon", "'wait' wants seconds"),
        ("hangup now", "'hangup' wants nothing"),
    ],
)
def test_what_cannot_be_understood(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(text)


def test_a_script_plays_a_whole_call() -> None:
    async def scene() -> None:
        core = Core(Random(1))
        await core.open("127.0.0.1", 0)
        async with phone_at(core.address) as phone:
            lines: list[str] = []
            phone.on_news = lines.append
            steps = parse("dial 988; press 12; hold; resume; wait 0; hangup")
            await asyncio.wait_for(Player(phone).play(steps), LIMIT)
            heard = core.calls()[0]["heard"]
        await core.close()
        assert heard == "12"
        assert lines == [
            "988: calling", "988: talking", "988: held", "988: talking", "988: ended: hung up",
        ]  # fmt: skip

    play(scene)


def test_a_script_takes_a_call_from_another() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE, "102") as other, phone_at(("127.0.0.1", other.port)) as phone:
            taking = Player(other).play(parse("answer; hangup"))
            placing = Player(phone).play(parse("call 102"))
            await asyncio.wait_for(asyncio.gather(taking, placing), LIMIT)
            assert phone.calls == other.calls == set()

    play(scene)


def test_the_last_key_may_end_the_call_and_none_follows_it() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE, "102") as other, phone_at(("127.0.0.1", other.port)) as phone:
            ended = asyncio.Event()

            def hear(line: str) -> None:
                if line == "101: heard 1":
                    next(iter(other.calls)).hangup()
                    ended.set()

            other.on_news = hear
            other.on_ring = lambda call: asyncio.ensure_future(call.answer())
            player = Player(phone)
            await asyncio.wait_for(player.play(parse("call 102; press 1")), LIMIT)
            await asyncio.wait_for(ended.wait(), LIMIT)
            await player.call.until("ended")
            with pytest.raises(PeerError, match="the call is over"):
                await player.play(parse("press 2"))

    play(scene)


def test_a_step_without_a_call_is_refused() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE) as phone:
            with pytest.raises(PeerError, match="no call yet"):
                await Player(phone).play(parse("press 1"))

    play(scene)


# desks


class Always(Random):
    """Chances always come true; waits are the shortest."""

    def random(self) -> float:
        return 0.0

    def uniform(self, a: float, b: float) -> float:
        return a


async def rung(phone: Phone, target: Phone) -> Call:
    phone.use(Configuration(phone.account.__class__("101", "u", "", "127.0.0.1", target.port)))
    return await phone.call(target.account.user)


def test_the_desk_answers_and_transfers_by_keypad() -> None:
    async def scene() -> None:
        async with (
            phone_at(NOWHERE) as caller,
            phone_at(NOWHERE, "102") as phone,
            phone_at(NOWHERE, "103") as colleague,
        ):
            desk = Desk(phone, [phone, colleague], Always(), busy=True, pace=0.01)
            call = await rung(caller, phone)
            await call.wait_for(lambda: call.digits == "*1103#*1", LIMIT)
            await call.until("ended", LIMIT)  # nobody took the desk out of it
            await desk.leave()

    play(scene)


def test_the_desk_takes_one_call_at_a_time() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE) as caller, phone_at(NOWHERE, "102") as phone:
            desk = Desk(phone, [phone], Always(), busy=False, pace=0.01)
            first = await rung(caller, phone)
            await first.until("talking")
            second = await rung(caller, phone)
            with pytest.raises(PeerError, match="486"):
                await second.until("talking")
            await desk.leave()

    play(scene)


def test_colleagues_call_each_other() -> None:
    async def scene() -> None:
        async with phone_at(NOWHERE, "102") as colleague, phone_at(("127.0.0.1", colleague.port)) as phone:
            phone.registered = colleague.registered = True
            ended = asyncio.Event()
            lines: list[str] = []

            def news(line: str) -> None:
                lines.append(line)
                if "ended" in line:
                    ended.set()

            phone.on_news = news
            desks = [
                Desk(phone, [phone, colleague], Always(), busy=True, pace=0.005),
                Desk(colleague, [colleague], Always(), busy=False, pace=0.005),
            ]
            await asyncio.wait_for(ended.wait(), LIMIT)
            for desk in desks:
                await desk.leave()
            assert lines[:4] == ["102: calling", "102: ringing", "102: talking", "102: ended: hung up"]

    play(scene)
