"""Calls between phones, in from the core and out to it (docs/calls.md), in virtual time."""

from __future__ import annotations

from tests.edge.world import World


def test_extension_call_both_hear_each_other(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    assert not caller.up
    desk.answer()
    assert caller.up
    assert world.hears(caller) is desk
    assert world.hears(desk) is caller
    caller.hangup()
    assert desk.ended
    assert world.outcome() == "ended"
