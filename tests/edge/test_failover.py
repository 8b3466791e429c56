"""Trunks in virtual time: failover from gateway to gateway, outages, sources, what an INVITE says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from provisioner.edge import routes
from provisioner.edge.trunk import Peer
from provisioner.sip.headers import NameAddr, Uri, Via
from provisioner.sip.message import Request
from provisioner.sip.resolve import DnsDeadError, Located, Target
from provisioner.sip.transaction import Flow
from provisioner.store.records import Trunk, TrunkSecret
from tests.edge.world import BACKUP, CORE, EDGE, MAIN, OUTSIDE, Party, Talk, World

FIRST, SECOND = Target("UDP", *CORE), Target("UDP", *BACKUP)


def peer_of(world: World) -> Peer:
    return world.edge.trunks.peers[0]


def two_gateways(world: World) -> Peer:
    peer = peer_of(world)
    peer.take([FIRST, SECOND], False)
    return peer


def reconfigured(world: World, secret: TrunkSecret | None = None, **changes: Any) -> Peer:
    trunk = replace(peer_of(world).trunk, **changes)
    world.edge.trunks.update([trunk], {trunk.id: secret} if secret else {})
    return peer_of(world)


def tick(world: World, seconds: int) -> None:
    for _ in range(seconds):
        world.edge.trunks.tick()
        world.pass_time(1)


def invites(party: Party) -> list[Request]:
    """The INVITEs that a party got, repeats left out."""
    return list({request.get("via"): request for request in party.requests("INVITE")}.values())


def dial(world: World) -> Talk:
    return world.phones["101"].call("2124567890")


# failover


@pytest.mark.rule("unreachable.announced")
def test_t18_a_silent_gateway_is_left_after_4_s_for_the_next(world: World) -> None:
    two_gateways(world)
    world.core.dead = True
    caller = dial(world)
    world.pass_time(3.9)
    assert world.backup.calls == []
    world.pass_time(0.2)
    world.backup.calls[-1].answer()
    assert caller.up
    assert world.hears(caller) is world.backup.calls[-1]
    assert len(invites(world.backup)) == 1


@pytest.mark.parametrize("dialled", ["2124567890", "911"])
def test_a_gateway_that_answers_at_once_was_heard(world: World, dialled: str) -> None:
    """200 with no 100 before it: the call is not given up for silence later."""
    two_gateways(world)
    carry = world.carry
    world.carry = lambda *way: None if way[2].startswith(b"SIP/2.0 100") else carry(*way)  # type: ignore
    world.core.on_call = lambda talk: talk.session.accept(talk.sdp.answer(talk.session.offer))
    caller = world.phones["101"].call(dialled)
    assert caller.up
    world.pass_time(60)
    assert caller.up
    assert world.hears(caller) is world.core.calls[-1]
    assert world.backup.calls == []


def test_t17_503_leads_to_the_next_in_a_new_transaction_after_its_ack(world: World) -> None:
    two_gateways(world)
    caller = dial(world)
    first = world.core.calls[-1]
    first.refuse(503)
    second = world.backup.calls[-1]
    branches = {Via.parse(talk.invite.get("via")).branch for talk in (first, second)}
    assert len(branches) == 2
    assert len(world.core.requests("ACK")) == 1
    second.answer()
    assert caller.up


@pytest.mark.parametrize("status", [404, 480, 486, 500, 504, 600, 603])
def test_t17_any_other_refusal_is_final(world: World, status: int) -> None:
    two_gateways(world)
    caller = dial(world)
    world.core.calls[-1].refuse(status)
    assert world.backup.calls == []
    assert caller.over


def test_t17_an_undelivered_request_goes_to_the_next(world: World) -> None:
    two_gateways(world)
    world.core.dead = True
    dial(world)
    transactions = world.edge.agent.transactions
    world.edge.agent.transactions.transport_failed(next(iter(transactions.clients.values())).flow)
    world.run()
    world.backup.calls[-1].answer()
    assert world.states() == ["talking"]


def test_a_gateway_that_rings_long_keeps_the_call(world: World) -> None:
    two_gateways(world)
    dial(world)
    world.pass_time(100)
    assert world.backup.calls == []
    world.core.calls[-1].answer()
    assert world.states() == ["talking"]


@pytest.mark.parametrize("accepts", [False, True])
def test_t18_a_late_answer_is_cancelled_or_ended(world: World, accepts: bool) -> None:
    two_gateways(world)
    if accepts:
        world.core.on_call = lambda talk: talk.session.accept(talk.sdp.answer(talk.session.offer))
    world.core.dead = True
    caller = dial(world)
    world.pass_time(4.1)
    world.backup.calls[-1].answer()
    world.core.dead = False
    world.pass_time(5)  # timer A repeats the first INVITE
    late = world.core.calls[-1]
    assert late.ended
    assert late.ended.how == ("bye" if accepts else "cancelled")
    assert caller.up
    taken = world.backup.calls[-1]
    assert taken.up
    assert world.leg_of(taken).document["remote"] == (taken.sdp.host, taken.sdp.port)


def test_the_caller_gives_up_between_two_gateways(world: World) -> None:
    two_gateways(world)
    world.core.dead = world.backup.dead = True
    caller = dial(world)
    world.pass_time(4.1)
    caller.hangup()
    world.pass_time(20)
    assert world.edge.calls == {}
    assert world.outcome() == "caller gave up"


@pytest.mark.rule("unreachable.announced")
def test_t20_all_gateways_fail_and_the_phone_never_sees_503(world: World) -> None:
    two_gateways(world)
    world.core.dead = True
    caller = dial(world)
    world.pass_time(4.1)
    world.backup.calls[-1].refuse(503)
    caller.sdp.accept(caller.events[-1].sdp)
    assert world.hears(caller) == "trunk-down"
    world.prompt_ends(caller)
    assert caller.status == 480


def test_the_last_gateway_is_given_up_within_15_s(world: World) -> None:
    world.core.dead = True
    caller = dial(world)
    world.pass_time(12.1)
    caller.sdp.accept(caller.events[-1].sdp)
    assert world.hears(caller) == "trunk-down"


def test_trunks_follow_each_other_by_order(world: World) -> None:
    trunks = [Trunk(id="b", uri=f"sip:{BACKUP[0]}", order=1), Trunk(id="a", uri=f"sip:{CORE[0]}", order=2)]
    world.edge.trunks.update(trunks)
    dial(world)
    world.backup.calls[-1].refuse(503)
    world.core.calls[-1].answer()
    assert world.states() == ["talking"]


@pytest.mark.rule("unreachable.announced")
def test_t18_after_a_failure_the_other_is_tried_first_until_the_quarantine_ends(world: World) -> None:
    two_gateways(world)
    dial(world)
    world.core.calls[-1].refuse(503)
    world.backup.calls[-1].answer()
    dial(world).hangup()
    assert len(world.core.calls) == 1
    world.pass_time(5)
    dial(world)
    assert len(world.core.calls) == 2


def test_c07_a_call_that_is_up_keeps_its_path(world: World) -> None:
    two_gateways(world)
    caller = dial(world)
    talk = world.core.calls[-1]
    talk.answer()
    peer_of(world).gateways[0].up = False
    dial(world)
    assert world.backup.calls
    caller.hangup()
    assert talk.ended


def test_t20_retry_after_is_honoured(world: World) -> None:
    two_gateways(world)
    dial(world)
    world.core.calls[-1].session.reject(503, "", [("retry-after", "60 (busy)")])
    world.run()
    world.pass_time(59)
    dial(world)
    assert len(world.core.calls) == 1
    world.pass_time(2)
    dial(world)
    assert len(world.core.calls) == 2


# health


@pytest.mark.parametrize("offset", range(10))
@pytest.mark.rule("unreachable.detected")
def test_an_outage_is_seen_within_15_s(world: World, offset: int) -> None:
    tick(world, 20 + offset)
    assert peer_of(world).up
    world.core.dead = True
    tick(world, 15)
    assert ("trunk", {"id": "core", "up": False}) in world.events
    world.core.dead = False
    tick(world, 13)
    assert world.events[-1] == ("trunk", {"id": "core", "up": True})


def test_t19_probes_go_to_the_gateway_in_use_and_to_the_other_when_it_fails(world: World) -> None:
    two_gateways(world)
    tick(world, 30)
    assert 3 <= len(world.core.requests("OPTIONS")) <= 4
    assert len(world.backup.requests("OPTIONS")) <= 1
    world.core.dead = True
    tick(world, 15)
    assert world.backup.requests("OPTIONS")
    assert peer_of(world).up
    assert [gateway.up for gateway in peer_of(world).gateways] == [False, True]


@pytest.mark.parametrize(("status", "up"), [(200, True), (404, True), (405, True), (481, True), (503, False)])
def test_t19_any_final_answer_but_503_means_alive(world: World, status: int, up: bool) -> None:
    world.core.on_request = lambda transaction: transaction.reply(status)
    tick(world, 15)
    assert peer_of(world).up is up


def test_a_trunk_that_wants_no_options_gets_none(world: World) -> None:
    reconfigured(world, settings={"options": False})
    tick(world, 30)
    assert world.core.requests("OPTIONS") == []


def test_live_traffic_counts(world: World) -> None:
    world.core.on_call = lambda talk: talk.session.reject(503)
    for _ in range(3):
        caller = dial(world)
        caller.hangup()
        world.pass_time(30)
    assert peer_of(world).up is False


# emergency


@pytest.mark.rule("emergency.stripped", "emergency.always")
def test_emergency_calls_try_every_gateway_of_every_trunk_and_tls_in_the_clear(world: World) -> None:
    world.edge.trunks.update(
        [Trunk(id="tls", uri=f"sips:{BACKUP[0]}"), Trunk(id="core", uri=f"sip:{CORE[0]}", order=20)]
    )
    for gateway in world.edge.trunks.peers[0].gateways:
        gateway.failed(900)
    routes = [gateway.target for gateway in world.edge.trunks.for_emergencies()]
    assert routes == [FIRST, Target("TLS", BACKUP[0], 5061), SECOND]
    secure = world.add(Party(world, (BACKUP[0], 5061)))
    world.core.dead = secure.dead = True
    world.phones["101"].call("911")
    secure.dead = False
    secure.on_call = lambda talk: talk.session.reject(500)
    world.pass_time(4.5)
    (tls,), (clear,) = invites(secure), invites(world.backup)
    assert (tls.uri, Via.parse(tls.get("via")).transport) == (f"sips:911@{BACKUP[0]}", "TLS")
    assert (clear.uri, Via.parse(clear.get("via")).transport) == (f"sip:911@{BACKUP[0]}", "UDP")


@pytest.mark.parametrize("uri", [f"sip:{CORE[0]}:5061;transport=TLS", f"sips:{CORE[0]}"])
def test_a_call_in_the_clear_says_nothing_of_tls(world: World, uri: str) -> None:
    peer = reconfigured(world, uri=uri)
    attempt = routes.to_emergency(world.edge, peer.clear[0], "911", MAIN, b"")
    assert (attempt.uri, attempt.from_.uri.scheme) == (f"sip:911@{CORE[0]}", "sip")
    secure = routes.to_emergency(world.edge, peer.gateways[0], "911", MAIN, b"")
    assert secure.uri == uri.replace(":", ":911@", 1)
    assert secure.flow.transport == "TLS"


def test_911_passes_over_a_route_that_is_broken(world: World, caplog: pytest.LogCaptureFixture) -> None:
    peer = two_gateways(world)
    peer.gateways[0].target = None  # type: ignore[assignment]
    world.phones["101"].call("911")
    assert world.backup.calls
    assert "cannot be used" in caplog.text
    peer.take([SECOND], False)


# what an INVITE says


@pytest.mark.parametrize(
    ("settings", "uri", "from_", "headers"),
    [
        ({}, "+12124567890", "+14155550101", {"p-asserted-identity": f"<sip:+14155550101@{EDGE[0]}>"}),
        ({"number_format": "e164"}, "12124567890", "14155550101", {}),
        ({"number_format": "national"}, "2124567890", "4155550101", {}),
        (
            {"identity": "ppi"},
            "+12124567890",
            "+14155550101",
            {"p-preferred-identity": f"<sip:+14155550101@{EDGE[0]}>"},
        ),
        (
            {"identity": "rpid", "headers": {"X-Tech-Prefix": "7"}},
            "+12124567890",
            "+14155550101",
            {
                "remote-party-id": f"<sip:+14155550101@{EDGE[0]}>;party=calling;screen=yes;privacy=off",
                "x-tech-prefix": "7",
            },
        ),
        ({"from_user": "account"}, "+12124567890", "clinic", {}),
    ],
)
def test_c05_the_profile_decides_how_an_invite_looks(
    world: World, settings: dict, uri: str, from_: str, headers: dict
) -> None:
    reconfigured(world, TrunkSecret(id="core", user="clinic", password="x"), settings=settings)
    dial(world)
    (invite,) = invites(world.core)
    assert invite.uri == f"sip:{uri}@{CORE[0]}:{CORE[1]}"
    assert NameAddr.parse(invite.get("from")).uri.user == from_
    assert {name: invite.get(name) for name in headers} == headers
    assert "clinic" not in invite.get("p-asserted-identity")


@pytest.mark.parametrize(
    ("settings", "host"), [({}, "trunk.example"), ({"request_host": "target"}, f"{CORE[0]}:{CORE[1]}")]
)
def test_c01_the_host_of_the_request_uri(world: World, settings: dict, host: str) -> None:
    peer = reconfigured(world, uri="sip:trunk.example", settings={**settings, "from_host": "domain"})
    peer.take([FIRST], False)
    dial(world)
    (invite,) = invites(world.core)
    assert invite.uri == f"sip:+12124567890@{host}"
    assert NameAddr.parse(invite.get("from")).uri.host == "trunk.example"


@pytest.mark.parametrize(("trunk", "profile"), [(True, False), (False, True)])
@pytest.mark.rule("emergency.location")
def test_the_location_goes_only_to_a_core_that_takes_it(world: World, trunk: bool, profile: bool) -> None:
    reconfigured(world, pidf_lo=trunk, profile="stand-in" if profile else "generic")
    world.phones["101"].call("911")
    assert invites(world.core)[0].get("content-type") == "application/sdp"


def test_a_wrong_setting_is_said_and_calls_go_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for changes, words in (
        ({"settings": {"colour": "red"}}, "unknown field `colour`"),
        ({"settings": {"identity": 7}}, "is wrong"),
        ({"settings": {"headers": {"Via": "x"}}}, "cannot send the header 'Via'"),
        ({"settings": {"headers": {"X-A": "x\r\ny"}}}, "cannot send the header 'X-A'"),
        ({"settings": {}, "profile": "bell"}, "choose one of asterisk, bandwidth"),
        ({"profile": "generic", "sources": ("10.0.0.0/8", "gw.example")}, "gw.example is no address"),
        ({"sources": (), "authorities": "nonsense"}, "no PEM certificates"),
    ):
        if "authorities" in changes:
            from provisioner.sip import tls

            world.edge.trunks.trust = lambda peer: tls.client_context(peer.trunk.authorities) and None
        reconfigured(world, **changes)
        assert words in caplog.text
    dial(world)
    assert world.core.calls
    reconfigured(world, uri="nonsense")
    assert "no valid SIP URI" in caplog.text
    assert world.edge.trunks.for_calls() == []


# what comes in


def call_from(
    world: World, address: tuple[str, int], uri: str, headers: list | None = None, to: str = ""
) -> Talk:
    stranger = world.add(Party(world, address))
    talk = Talk(stranger)
    stranger.calls.append(talk)
    talk.session = stranger.agent.invite(
        uri,
        stranger.flow,
        NameAddr.parse(f"<sip:{OUTSIDE}@{address[0]}>"),
        NameAddr.parse(to or f"<{uri}>"),
        talk.sdp.offer(),
        talk.listen,
        headers or [],
    )
    world.run()
    return talk


@pytest.mark.parametrize(
    ("sources", "host", "taken"),
    [
        ((), "203.0.113.7", False),
        (("203.0.113.7",), "203.0.113.7", True),
        (("203.0.113.0/29",), "203.0.113.7", True),
        (("203.0.113.0/29",), "203.0.113.8", False),
        (("2001:db8::/32",), "203.0.113.7", False),
    ],
)
def test_c06_calls_are_taken_from_listed_networks(
    world: World, sources: tuple[str, ...], host: str, taken: bool
) -> None:
    reconfigured(world, sources=sources)
    call_from(world, (host, 5060), f"sip:{MAIN}@{EDGE[0]}")
    assert bool(world.phones["101"].calls) is taken


def test_c06_calls_are_taken_from_all_resolved_addresses(world: World) -> None:
    two_gateways(world)
    peer_of(world).take([FIRST], False)  # a call may still come from an address that DNS named before
    call_from(world, (BACKUP[0], 5060), f"sip:{MAIN}@{EDGE[0]}")
    assert world.phones["101"].calls


def test_c06_calls_are_taken_from_a_stream_that_we_opened(world: World) -> None:
    peer = reconfigured(world, uri="sips:trunk.example")
    request = Request("INVITE", f"sip:{MAIN}@{EDGE[0]}", [("via", "SIP/2.0/TLS 203.0.113.5;branch=z9hG4bKx")])
    ours = Flow("TLS", EDGE, ("203.0.113.5", 5061), 7, "trunk.example")
    theirs = Flow("TLS", EDGE, ("203.0.113.5", 40000), 8)
    assert world.edge.trunks.source(request, ours) is peer
    assert world.edge.trunks.source(request, theirs) is None


@pytest.mark.parametrize(
    ("called", "headers", "to"),
    [
        (["request-uri"], [], ""),
        (["to", "request-uri"], [], f"<sip:{MAIN}@x>"),
        (["request-uri", "p-called-party-id"], [("p-called-party-id", f"<sip:{MAIN}@x>")], ""),
        (
            ["request-uri", "diversion"],
            [("diversion", f"<sip:nobody@x>, <tel:{MAIN}>;reason=unconditional")],
            "",
        ),
        (["request-uri", "to"], [], f'"Clinic" <sip:{MAIN[2:]}@x>'),
    ],
)
def test_c06_where_the_called_number_stands(world: World, called: list, headers: list, to: str) -> None:
    reconfigured(world, settings={"called": called})
    user = MAIN if called == ["request-uri"] else "pilot"
    call_from(world, CORE, f"sip:{user}@{EDGE[0]}", headers, to)
    assert world.phones["101"].calls


# names


class Names:
    """A resolver that says what a test wants."""

    def __init__(self, *answers: Located | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def locate(self, uri: Uri, transports: object, families: object = ()) -> Located:
        self.asked.append(str(uri))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def resolved(world: World, *answers: Located | Exception) -> Names:
    names = Names(*answers)
    for _ in answers:
        asyncio.run(world.edge.trunks.resolve(peer_of(world), names))
    return names


def test_t16_the_last_good_answer_stays(world: World, caplog: pytest.LogCaptureFixture) -> None:
    peer = reconfigured(world, uri="sip:trunk.example")
    assert world.edge.trunks.for_calls() == []
    now = world.clock.now
    resolved(world, Located((FIRST, SECOND), False, now + 300))
    assert peer.resolve_at == now + 300
    gateways = list(peer.gateways)
    gateways[0].succeeded()
    resolved(world, DnsDeadError("dead"), Located((), False, now + 300), Located((SECOND, FIRST), True, now))
    assert peer.gateways == gateways[::-1]
    assert (peer.stale, peer.resolve_at, gateways[0].up) == (True, now + 10, True)
    assert caplog.text.count("its last addresses are used") == 1
    kept = world.edge.trunks.remember()

    other = World()
    other.edge.trunks.recall(kept)
    other.edge.trunks.update([peer.trunk])
    assert [gateway.target for gateway in peer_of(other).gateways] == [SECOND, FIRST]
    assert peer_of(other).stale


@pytest.mark.parametrize(
    "kept",
    [
        None,
        [],
        {},
        {"core": 1},
        {"core": {"uri": "sip:trunk.example", "targets": [[1]]}},
        {"core": {"uri": "sip:other.example", "targets": [["UDP", "192.0.2.1", 5060]]}},
    ],
)
def test_what_was_kept_wrong_is_left_out(world: World, kept: object) -> None:
    world.edge.trunks.recall(kept)
    assert reconfigured(world, uri="sip:trunk.example").gateways == []


def test_a_tls_trunk_is_located_in_the_clear_too(world: World) -> None:
    reconfigured(world, uri="sip:trunk.example;transport=tls")
    names = Names(
        Located((Target("TLS", *CORE),), False, 2000.0),
        Located((Target("TCP", *BACKUP),), False, 2000.0),
    )
    asyncio.run(world.edge.trunks.resolve(peer_of(world), names))
    assert names.asked == ["sip:trunk.example;transport=tls", "sip:trunk.example"]
    routes = [gateway.target for gateway in world.edge.trunks.for_emergencies()]
    assert routes == [Target("TLS", *CORE), Target("TCP", *BACKUP)]


def test_a_trunk_that_did_not_change_keeps_what_is_known_of_it(world: World) -> None:
    peer = two_gateways(world)
    assert reconfigured(world) is peer
    assert reconfigured(world, order=11) is not peer
