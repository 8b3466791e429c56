"""How keys of each party come and go: what media is told, and what media tells."""

from __future__ import annotations

import pytest

from provisioner.sip.info import InfoSender, Key
from provisioner.store import records
from tests.edge.world import CORE, World, practice


def connected(world: World) -> tuple:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    return caller, desk


def test_telephone_events_need_no_other_form(world: World) -> None:
    for talk in connected(world):
        assert world.leg_of(talk).document["keys"] == ""


@pytest.mark.parametrize(
    ("allow", "keys"), [("INVITE, ACK, BYE, INFO", "info"), ("INVITE, ACK, BYE", "inband")]
)
def test_without_events_keys_go_by_info_to_who_allows_it_else_as_tones(
    world: World, monkeypatch: pytest.MonkeyPatch, allow: str, keys: str
) -> None:
    phone = world.phones["102"]
    phone.events = False
    monkeypatch.setattr(type(phone.agent), "abilities", [("allow", allow)])
    caller, desk = connected(world)
    assert world.leg_of(desk).document["keys"] == keys
    assert world.leg_of(caller).document["keys"] == ""


def test_info_of_a_phone_is_told_to_media(world: World) -> None:
    _caller, desk = connected(world)
    sender = InfoSender(desk.session)
    sender.send(Key("5", 100))
    sender.send(Key("#", 60))
    world.run()
    assert world.leg_of(desk).pressed == [("5", 100), ("#", 60)]


def test_what_media_wants_pressed_is_sent_by_info(world: World) -> None:
    caller, desk = connected(world)
    for digit in "42":
        world.edge.on_media("press", {"leg": world.leg_of(caller).id, "digit": digit, "milliseconds": 160})
    world.run()
    del desk
    assert [event.body for event in caller.events if hasattr(event, "content_type")] == [
        b"Signal=4\r\nDuration=160\r\n",
        b"Signal=2\r\nDuration=160\r\n",
    ]


def test_a_trunk_may_want_another_form_than_was_agreed() -> None:
    trunk = records.Trunk(id="core", uri=f"sip:{CORE[0]}:{CORE[1]}", settings={"dtmf": "inband"})
    world = World(practice(trunks={"core": trunk}))
    world.register_all()
    out = world.phones["101"].call("4155552671")
    called = world.core.calls[-1]
    called.answer()
    inbound = world.inbound("+14155550102")
    world.ringing("102").answer()
    for talk in (called, inbound):
        document = world.leg_of(talk).document
        assert (document["event_out"], document["keys"]) == (None, "inband")
    assert world.leg_of(out).document["event_out"] == 101
    world.end()
