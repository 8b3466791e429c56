"""Registering with a core, and digest as its client, in virtual time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from provisioner.edge.trunk import Peer
from provisioner.sip.message import Request
from provisioner.sip.transaction import ServerTransaction
from provisioner.store.records import TrunkSecret
from tests.edge.test_failover import FIRST, SECOND, call_from, dial, invites, reconfigured, tick
from tests.edge.world import CORE, EDGE, MAIN, Talk, World


class Core:
    """A core that keeps registrations; `answers` are statuses to give before that."""

    def __init__(self, world: World, *answers: tuple[int, list]) -> None:
        self.world = world
        self.answers = list(answers)
        self.requests: list[tuple[float, Request]] = []
        world.core.on_request = self.on_request

    def on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method != "REGISTER":
            transaction.reply(200)
            return
        self.requests.append((self.world.clock.now, request))
        status, headers = self.answers.pop(0) if self.answers else (200, [("expires", "100")])
        transaction.reply(status, "", headers)


SECRET = TrunkSecret(id="core", user="clinic", password="s3cret")
CHALLENGE = 'Digest realm="core", nonce="n{}", algorithm=SHA-256, qop="auth"'


def registering(world: World, **more: Any) -> Peer:
    return reconfigured(world, SECRET, settings={"authentication": "register", **more})


def stop(world: World) -> None:
    world.edge.trunks.update([])


def test_r10_registered_with_digest_and_refreshed_at_50_to_80_percent(world: World) -> None:
    peer = registering(world)
    core = Core(world, (401, [("www-authenticate", CHALLENGE.format(1))]))
    tick(world, 400)
    assert peer.registration
    assert peer.registration.registered
    first, second = core.requests[0][1], core.requests[1][1]
    assert first.get("authorization") == ""
    assert 'username="clinic"' in second.get("authorization")
    assert first.get("expires") == "600"
    assert first.uri == f"sip:{CORE[0]}"
    contacts = {request.get("contact") for _, request in core.requests}
    assert contacts == {f"<sip:{peer.token}@{EDGE[0]}:{EDGE[1]}>"}
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(core.requests[1:])]
    assert len(gaps) >= 4
    assert all(50 <= gap <= 80.1 for gap in gaps)
    assert len(set(gaps)) > 1
    assert "nc=00000002" in core.requests[2][1].get("authorization")  # the nonce is used again
    assert len({request.call_id for _, request in core.requests}) == 1
    seqs = [request.cseq[0] for _, request in core.requests]
    assert seqs == sorted(set(seqs))
    stop(world)


def test_r10_423_is_honoured_once(world: World) -> None:
    registering(world)
    core = Core(world, (423, [("min-expires", "1800")]), (423, [("min-expires", "1800")]))
    tick(world, 2)
    assert [request.get("expires") for _, request in core.requests] == ["600", "1800"]
    stop(world)


@pytest.mark.parametrize("headers", [[], [("min-expires", "junk")], [("min-expires", "60")]])
def test_r10_423_that_cannot_be_followed_is_a_failure(world: World, headers: list) -> None:
    registering(world)
    core = Core(world, (423, headers))
    tick(world, 2)
    assert len(core.requests) == 1
    world.pass_time(30)
    assert len(core.requests) == 2
    stop(world)


@pytest.mark.parametrize(
    ("contact", "shortest", "longest"),
    [("<sip:{}@x>;expires=200", 100, 160), ("<sip:other@x>;expires=200", 50, 80), ("junk", 50, 80)],
)
def test_r10_what_the_core_grants_to_our_contact_counts(
    world: World, contact: str, shortest: int, longest: int
) -> None:
    peer = registering(world)
    headers = [("contact", contact.format(peer.token)), ("expires", "100")]
    core = Core(world, (200, headers))
    tick(world, 2)
    world.pass_time(200)
    (first, _), (second, _), *_ = core.requests
    assert shortest <= second - first <= longest + 1
    stop(world)


def test_a_gateway_that_goes_down_takes_the_registration_along(world: World) -> None:
    peer = registering(world)
    peer.take([FIRST, SECOND], False)
    core = Core(world)
    world.backup.on_request = lambda transaction: transaction.reply(200, "", [("expires", "600")])
    tick(world, 12)
    assert (len(core.requests), world.backup.requests("REGISTER")) == (1, [])
    world.core.dead = True
    tick(world, 20)
    assert peer.registration
    assert peer.registration.registered
    assert len(world.backup.requests("REGISTER")) == 1
    stop(world)


def test_a_trunk_that_is_taken_away_is_registered_with_no_more(world: World) -> None:
    peer = registering(world)
    core = Core(world)
    tick(world, 2)
    stop(world)
    world.pass_time(500)
    assert len(core.requests) == 1
    assert peer.registration
    assert not peer.registration.registered


def test_r10_back_off_doubles_to_30_min_with_jitter(world: World) -> None:
    registering(world)
    core = Core(world, *[(403, [])] * 12)
    tick(world, 1)
    world.pass_time(9000)
    times = [at for at, _ in core.requests]
    gaps = [later - sooner for sooner, later in pairwise(times)]
    wholes = [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]
    assert len(gaps) >= 8
    assert all(whole / 2 <= gap <= whole + 1 for gap, whole in zip(gaps, wholes, strict=False))
    stop(world)


def test_r10_a_dead_core_is_left_for_the_next_gateway(world: World) -> None:
    peer = registering(world)
    peer.take([FIRST, SECOND], False)
    world.core.dead = True
    world.backup.on_request = lambda transaction: transaction.reply(200, "", [("expires", "600")])
    tick(world, 60)
    assert peer.registration
    assert peer.registration.registered
    assert world.backup.requests("REGISTER")
    stop(world)


def test_a_lost_connection_is_registered_over_anew(world: World) -> None:
    peer = registering(world)
    core = Core(world)
    tick(world, 2)
    assert peer.registration
    flow = world.edge.agent.connect("UDP", CORE)
    world.edge.flow_lost(flow)
    assert not peer.registration.registered
    world.pass_time(1)
    assert peer.registration.registered
    assert len(core.requests) == 2
    stop(world)


def test_c06_a_call_to_our_contact_is_the_cores_and_to_says_whom_it_is_for(world: World) -> None:
    peer = registering(world)
    Core(world)
    tick(world, 2)
    call_from(world, ("203.0.113.99", 5060), f"sip:{peer.token}@{EDGE[0]}", to=f"<sip:{MAIN}@core.example>")
    assert world.phones["101"].calls
    stop(world)


def test_the_secret_is_in_no_log_and_no_event(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    registering(world)
    Core(world, (401, [("www-authenticate", CHALLENGE.format(1))]), (403, []))
    tick(world, 5)
    assert "s3cret" not in caplog.text + str(world.events) + str(world.rows)
    stop(world)


def test_digest_per_invite_with_two_realms(world: World) -> None:
    reconfigured(world, SECRET, settings={"authentication": "invite"})
    proxy = 'Digest realm="edge", nonce="p1", qop="auth"'
    challenges = [[("proxy-authenticate", proxy)], [("www-authenticate", CHALLENGE.format(1))]]

    def on_call(talk: Talk) -> None:
        if challenges:
            headers = challenges.pop(0)
            talk.session.reject(407 if headers[0][0].startswith("proxy") else 401, "", headers)
        else:
            talk.session.progress(180)

    world.core.on_call = on_call
    caller = dial(world)
    world.core.calls[-1].answer()
    assert caller.up
    last = invites(world.core)[-1]
    assert 'realm="core"' in last.get("authorization")
    assert 'realm="edge"' in last.get("proxy-authorization")
    assert "nc=00000002" in last.get("proxy-authorization")
