"""Trunks: which requests are the core's, and what an outage sounds like."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from provisioner.edge import routes, trunk
from provisioner.edge.trunk import Peer
from provisioner.sip.message import Request
from provisioner.sip.resolve import Target
from provisioner.sip.transaction import Flow
from provisioner.store import records
from tests.edge.world import CORE, EDGE, World


def request(via: str = f"SIP/2.0/UDP {CORE[0]}:{CORE[1]};branch=z9hG4bKx") -> Request:
    return Request("INVITE", "sip:x", [("via", via)])


def came(world: World, remote: tuple[str, int], transport: str = "UDP", **more: str) -> bool:
    flow = Flow(transport, EDGE, remote, int(transport != "UDP"))
    return world.edge.trunks.source(request(**more), flow) is not None


def use(world: World, **changes: Any) -> Peer:
    kept = {"id": "core", "uri": f"sip:{CORE[0]}:{CORE[1]}", **changes}
    world.edge.trunks.update([records.Trunk(**kept)])
    return world.edge.trunks.peers[0]


def test_the_core_is_known_by_its_address(world: World) -> None:
    assert came(world, CORE)
    assert came(world, (CORE[0], 40000))  # some cores send from another port
    assert not came(world, ("203.0.113.9", 5060))
    assert not came(world, ("10.0.0.101", 5060))


def test_further_sources(world: World) -> None:
    use(world, sources=("203.0.113.9",))
    assert came(world, ("203.0.113.9", 5060))


def test_where_phones_share_the_address_of_the_core_the_port_decides(world: World) -> None:
    use(world, uri="sip:10.0.0.101:5070")
    assert came(world, ("10.0.0.101", 5070))
    assert not came(world, ("10.0.0.101", 5060))
    via = "SIP/2.0/TCP 10.0.0.101:{};branch=z9hG4bKx"
    assert came(world, ("10.0.0.101", 40000), "TCP", via=via.format(5070))
    assert not came(world, ("10.0.0.101", 40000), "TCP", via=via.format(5060))


def test_a_name_that_was_never_found_is_no_route(world: World) -> None:
    peer = use(world, uri="sip:core.example")
    assert world.edge.trunks.by_preference() == []
    assert not came(world, CORE)
    peer.take([Target("UDP", *CORE)], False)
    assert world.edge.trunks.by_preference() == [peer]


@pytest.mark.parametrize("uri", ["sip:198.51.100.10", "sip:[2001:db8::1]:5070"])
def test_an_address_is_not_looked_up(world: World, uri: str) -> None:
    assert use(world, uri=uri).resolve_at == float("inf")


def test_watching_resolves_and_probes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        pass

    async def stop(_seconds: float) -> None:
        raise Enough

    async def watch() -> None:
        monkeypatch.setattr(trunk.asyncio, "sleep", stop)
        await world.edge.trunks.watch()

    with pytest.raises(Enough):
        asyncio.run(watch())
    world.run()
    assert world.edge.trunks.peers[0].up


# the core is unreachable


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_trunk_that_answers_is_up(world: World, transport: str) -> None:
    trunk = records.Trunk(id="core", uri=f"sip:{CORE[0]}:{CORE[1]};transport={transport.lower()}")
    world.edge.trunks.update([trunk])
    world.edge.trunks._probe(world.edge.trunks.peers[0])
    world.run()
    assert world.events[-1] == ("trunk", {"id": "core", "up": True})
    assert f"SIP/2.0/{transport} " in world.core.requests("OPTIONS")[0].get("via")


def test_trunk_that_is_overloaded_is_down(world: World) -> None:
    world.core.on_request = lambda transaction: transaction.reply(503)  # type: ignore[method-assign]
    world.edge.trunks._probe(world.edge.trunks.peers[0])
    world.pass_time(2)
    assert world.events[-1] == ("trunk", {"id": "core", "up": False})


def test_trunk_that_is_slow_to_answer_is_up_again(world: World) -> None:
    asked = []
    answering = world.core.on_request
    world.core.on_request = asked.append  # type: ignore[method-assign]
    world.edge.trunks._probe(world.edge.trunks.peers[0])
    world.pass_time(4.1)
    assert world.events[-1] == ("trunk", {"id": "core", "up": False})
    for transaction in asked:
        transaction.reply(200)  # too late
    world.core.on_request = answering  # type: ignore[method-assign]
    world.edge.trunks._probe(world.edge.trunks.peers[0])
    world.pass_time(2)
    assert world.events[-1] == ("trunk", {"id": "core", "up": True})


def test_trunk_without_a_valid_uri_is_left_out(world: World) -> None:
    world.edge.trunks.update([records.Trunk(id="bad", uri="mailto:x"), *world.edge.directory.trunks])
    world.phones["101"].call("2124567890")
    assert len(world.core.calls) == 1


def test_trunks_that_stay_keep_what_is_known(world: World) -> None:
    peer = world.edge.trunks.peers[0]
    peer.up = True
    world.edge.trunks.update(list(world.edge.directory.trunks))
    assert world.edge.trunks.peers == [peer]


def test_outage_seen_by_the_probe_is_announced_at_once(world: World) -> None:
    world.core.dead = True
    world.edge.trunks._probe(world.edge.trunks.peers[0])
    world.pass_time(4.1)
    assert ("trunk", {"id": "core", "up": False}) in world.events
    caller = world.phones["101"].call("2124567890")
    caller.sdp.accept(caller.events[0].sdp)
    assert world.hears(caller) == "trunk-down"
    world.prompt_ends(caller)
    assert caller.status == 480


@pytest.mark.parametrize("status", [0, 503])
def test_outage_not_yet_seen_is_announced_after_the_attempt(world: World, status: int) -> None:
    world.core.dead = not status
    caller = world.phones["101"].call("2124567890")
    if status:
        world.core.calls[-1].refuse(status)
    else:
        world.pass_time(33)
    caller.sdp.accept(caller.events[-1].sdp)
    assert world.hears(caller) == "trunk-down"
    world.prompt_ends(caller)
    assert caller.status == 480


def test_back_in_service_without_a_restart(world: World) -> None:
    peer = world.edge.trunks.peers[0]
    world.core.dead = True
    world.edge.trunks._probe(peer)
    world.pass_time(33)
    world.core.dead = False
    world.edge.trunks._probe(peer)
    world.run()
    assert peer.up is False
    world.pass_time(2)
    assert peer.up
    world.phones["101"].call("2124567890")
    world.core.calls[-1].answer()
    assert world.states() == ["talking"]


# what an INVITE says


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ([("p-asserted-identity", '"A" <sip:+12065550142@x>'), ("from", "<sip:y@x>")], ("+12065550142", "A")),
        ([("p-asserted-identity", "<tel:+12065550142>"), ("from", "<sip:y@x>")], ("+12065550142", "")),
        ([("p-asserted-identity", "junk"), ("from", "B <sip:y@x>")], ("y", "B")),
        ([("from", "<sip:anonymous@anonymous.invalid>")], ("anonymous", "")),
        ([("from", "junk")], ("", "")),
    ],
)
def test_who_calls(headers: list[tuple[str, str]], caller: tuple[str, str]) -> None:
    assert routes.caller_of(Request("INVITE", "sip:x", headers)) == caller


@pytest.mark.parametrize(
    ("dialled", "number"),
    [
        ("+14155550101", "+14155550101"),
        ("14155550101", "+14155550101"),
        ("4155550101", "+14155550101"),
        ("+1-415-555-0101", "+14155550101"),
        ("1(415)555.0101", "+14155550101"),
        ("+44-20-7946-0958", "+442079460958"),
        ("dr.house-2", "dr.house-2"),
        ("101", "101"),
        ("", ""),
        ("+", "+"),
    ],
)
def test_what_the_core_called(dialled: str, number: str) -> None:
    assert routes.called_number(dialled) == number


def test_a_phone_at_the_address_of_the_core_registers() -> None:
    world = World()
    phone = world.phones["101"]
    use(world, uri=f"sip:{phone.address[0]}:5070")
    assert phone.register().status == 200


@pytest.mark.parametrize(
    ("contact", "supported", "required"),
    [
        ('<sip:101@10.0.0.101>;reg-id=1;+sip.instance="<urn:uuid:1>"', "path, outbound", "outbound"),
        ("<sip:101@10.0.0.101>", "outbound", ""),
        ("<sip:101@10.0.0.101>;reg-id=1", "", ""),
    ],
)
def test_flows_are_confirmed_to_who_asks_for_them(
    world: World, contact: str, supported: str, required: str
) -> None:
    answer = world.phones["101"].register(contact=contact, headers=[("supported", supported)])
    assert answer.get("require") == required


@pytest.mark.parametrize("wanted", [True, False])
def test_a_session_timer_is_asked_for_as_the_profile_says(world: World, wanted: bool) -> None:
    use(world, settings={"session_timers": wanted})
    world.phones["101"].call("6502530000")
    world.run()
    assert bool(world.core.calls[-1].invite.get("session-expires")) is wanted


@pytest.mark.parametrize("wanted", [True, False])
def test_early_media_to_the_core_is_reliable_as_the_profile_says(world: World, wanted: bool) -> None:
    peer = use(world, settings={"reliable_provisional": wanted})
    call = world.inbound("+14155550101")
    world.run()
    assert peer.profile.reliable_provisional is wanted
    caller = next(iter(world.edge.calls.values())).legs["caller"]
    assert caller.session.reliable_early is wanted
    assert call.ended is None
