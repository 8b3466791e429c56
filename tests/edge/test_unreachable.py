"""No core can be reached: phones are told, the building goes on, outside calls are announced, and all comes back."""

from __future__ import annotations

import pytest

from provisioner.edge.notices import BACK, DOWN
from provisioner.store import records
from tests.edge.world import BACKUP, CORE, OUTSIDE, World, practice

GONE_SECONDS = 15


def tick(world: World, seconds: int) -> None:
    for _ in range(seconds):
        world.edge.trunks.tick()
        world.pass_time(1)


def messages(world: World, extension: str) -> list[str]:
    return [request.body.decode() for request in world.phones[extension].requests("MESSAGE")]


@pytest.fixture
def gone(world: World) -> World:
    """The core has died after it was there."""
    tick(world, 10)
    assert world.edge.trunks.peers[0].up is True
    world.core.dead = True
    tick(world, GONE_SECONDS)
    return world


@pytest.mark.rule("unreachable.detected")
def test_within_15_seconds_it_is_known_and_each_phone_is_told_once(gone: World) -> None:
    assert gone.edge.trunks.peers[0].up is False
    assert [data for name, data in gone.events if name == "trunk"][-1] == {"id": "core", "up": False}
    tick(gone, 60)
    for extension in gone.phones:
        assert messages(gone, extension) == [DOWN]
    message = gone.phones["101"].requests("MESSAGE")[0]
    assert message.get("content-type") == "text/plain;charset=utf-8"
    assert message.get("from").startswith("Demo <") or message.get("from").startswith('"Demo" <')


@pytest.mark.rule("unreachable.detected", "unreachable.delivered")
def test_when_it_is_back_they_are_told_and_calls_go_out(gone: World) -> None:
    gone.core.dead = False
    tick(gone, 15)
    for extension in gone.phones:
        assert messages(gone, extension) == [DOWN, BACK]
    gone.phones["101"].call(OUTSIDE)
    assert gone.core.requests("INVITE")[-1].uri.startswith(f"sip:{OUTSIDE}@")


@pytest.mark.rule("unreachable.detected")
def test_a_phone_that_registers_meanwhile_is_told_too(world: World) -> None:
    for binding in world.edge.registrar.contacts("103"):
        world.edge.registrar.drop(binding)
    tick(world, 10)
    world.core.dead = True
    tick(world, GONE_SECONDS)
    assert messages(world, "103") == []
    world.phones["103"].register()
    world.phones["103"].register()
    assert messages(world, "103") == [DOWN]


@pytest.mark.rule("unreachable.announced")
def test_outside_calls_are_announced(gone: World) -> None:
    talk = gone.phones["101"].call(OUTSIDE)
    assert gone.hears(talk) == "trunk-down"
    gone.prompt_ends(talk)
    assert talk.status == 480
    assert gone.outcome() == "refused: no core answers"


@pytest.mark.rule("unreachable.inside", "outbound.extensions-stay")
def test_the_building_goes_on_with_transfers(gone: World) -> None:
    caller = gone.phones["101"].call("102")
    desk = gone.ringing("102")
    desk.answer()
    gone.press(desk, "*1103#")
    target = gone.ringing("103")
    target.answer()
    gone.press(desk, "*1")
    assert desk.over
    assert (gone.hears(caller), gone.hears(target)) == (target, caller)


@pytest.mark.rule("unreachable.announced")
def test_the_next_core_has_the_calls_and_nobody_is_told_of_an_outage() -> None:
    trunks = {
        name: records.Trunk(id=name, uri=f"sip:{host}:{port}", order=order)
        for order, (name, (host, port)) in enumerate({"core": CORE, "second": BACKUP}.items())
    }
    world = World(practice(trunks=trunks))
    world.register_all()
    tick(world, 10)
    world.core.dead = True
    tick(world, GONE_SECONDS)
    assert [peer.up for peer in world.edge.trunks.peers] == [False, True]
    assert messages(world, "101") == []
    world.phones["101"].call(OUTSIDE)
    assert world.backup.requests("INVITE")[-1].uri.startswith(f"sip:{OUTSIDE}@")


@pytest.mark.rule("unreachable.detected")
def test_without_any_trunk_there_is_nothing_to_tell(world: World) -> None:
    world.edge.trunks.update([])
    world.edge.notices.check()
    assert messages(world, "101") == []
