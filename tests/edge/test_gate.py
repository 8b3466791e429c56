"""What the edge answers to strangers, scanners, storms and overload, and what none of them can touch."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from provisioner.edge.placing import MAX_DIALOGS
from provisioner.errors import OperatorError
from provisioner.sip import digest
from provisioner.sip.message import MAX_HEADERS, Response, parse
from provisioner.sip.timers import Timers
from provisioner.sip.transaction import AMPLIFICATION, Flow
from provisioner.store import records
from tests.edge.world import CORE, EDGE, MAIN, Phone, World, practice

INSIDE = ("10.0.0.66", 5060)
OUTSIDE = ("203.0.113.66", 5060)


class Stranger:
    """Someone who writes requests by hand."""

    def __init__(self, world: World, address: tuple[str, int] = INSIDE) -> None:
        self.world = world
        self.address = address
        self.timers = Timers(world.clock)
        self.calls: list[Any] = []
        self.dead = False
        self.flow = Flow("UDP", address, EDGE)
        self.received: list[bytes] = []
        self.number = 0
        world.add(self)

    def receive(self, data: bytes) -> None:
        self.received.append(data)

    def send(
        self,
        method: str,
        target: str = "500",
        *lines: str,
        body: bytes = b"",
        to_tag: str = "",
        agent: str = "Phone",
        branch: str = "",
    ) -> list[Response]:
        """One request with its size as real ones have it; the answers to it."""
        self.number += 1
        head = [
            f"{method} sip:{target}@{EDGE[0]} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address[0]}:{self.address[1]};branch=z9hG4bK{branch or self.number};rport",
            f"From: <sip:{target}@{EDGE[0]}>;tag=mine",
            f"To: <sip:{target}@{EDGE[0]}>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {self.number:08}@{self.address[0]}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:{target}@{self.address[0]}:{self.address[1]}>",
            "Max-Forwards: 70",
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, INFO, UPDATE",
            f"User-Agent: {agent}",
            *lines,
            f"Content-Length: {len(body)}",
        ]
        self.asked = "\r\n".join(head).encode() + b"\r\n\r\n" + body
        return self.put(self.asked)

    def put(self, data: bytes) -> list[Response]:
        before = len(self.received)
        self.world.carry(self.address, EDGE, data)
        self.world.run()
        return [message for message in map(parse, self.received[before:]) if isinstance(message, Response)]

    def statuses(self, method: str, target: str = "500", *lines: str, **more: Any) -> list[int]:
        return [answer.status for answer in self.send(method, target, *lines, **more)]

    def authorized(
        self, method: str, user: str, password: str, realm: str = "", target: str = ""
    ) -> list[Response]:
        """A request whose challenge is answered with these credentials."""
        header = "authorization" if method == "REGISTER" else "proxy-authorization"
        (challenged,) = self.send(method, target or user)
        name = "www-authenticate" if method == "REGISTER" else "proxy-authenticate"
        challenge = challenged.get(name)
        if realm:
            challenge = challenge.replace('realm="provisioner"', f'realm="{realm}"')
        value = digest.answer(challenge, user, password, method, f"sip:{EDGE[0]}", "cnonce")
        return self.send(method, target or user, f"{header}: {value}")


def counters(world: World) -> dict[str, int]:
    """What the gate has counted since the phones registered."""
    names = ("challenges", "wrong-credentials", "bans")
    return {
        name: count
        for name, count in world.edge.counters.items()
        if name in names or name.startswith(("dropped", "refused"))
    }


def state_of(world: World) -> tuple[int, int, int, int]:
    """How much is kept: transactions, sessions, timers, media legs."""
    layer = world.edge.agent.transactions
    sessions, legs = len(world.edge.agent.sessions), len(world.edge.media_owners)
    return len(layer.servers), sessions, world.timers.pending(), legs


# stateless challenges


@pytest.mark.parametrize(("method", "status"), [("REGISTER", 401), ("INVITE", 407)])
def test_a_challenge_leaves_nothing_behind_and_is_said_once(world: World, method: str, status: int) -> None:
    world.pass_time(60)
    stranger, before = Stranger(world), state_of(world)
    assert stranger.statuses(method) == [status]
    assert state_of(world) == before
    world.pass_time(60)
    assert len(stranger.received) == 1


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_wrong_credentials_leave_nothing_behind_either(world: World, method: str) -> None:
    world.pass_time(60)
    stranger, before = Stranger(world), state_of(world)
    (answer,) = stranger.authorized(method, "user101", "guess")
    assert answer.status in (401, 407)
    assert state_of(world) == before


def test_a_repeated_request_gets_the_same_to_tag(world: World) -> None:
    """RFC 3261 8.2.7: a stateless server makes its tags out of the request."""
    stranger = Stranger(world)
    first, again = stranger.send("INVITE", branch="same"), stranger.put(stranger.asked)
    assert first[0].get("to") == again[0].get("to")
    assert stranger.send("INVITE", branch="other")[0].get("to") != first[0].get("to")


def test_the_ack_of_a_challenge_is_swallowed(world: World) -> None:
    stranger = Stranger(world)
    (answer,) = stranger.send("INVITE")
    assert stranger.statuses("ACK", to_tag=answer.get("to").partition("tag=")[2]) == []


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS", "BYE", "SUBSCRIBE"])
def test_answers_over_udp_are_not_larger_than_half_again(world: World, method: str) -> None:
    stranger = Stranger(world)
    stranger.send(method)
    assert len(stranger.received) == 1
    assert len(stranger.received[0]) <= AMPLIFICATION * len(stranger.asked)


def test_a_request_too_small_for_its_challenge_gets_none(world: World) -> None:
    stranger = Stranger(world)
    tiny = (
        b"REGISTER sip:a SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.66;branch=z9hG4bKt\r\nf: <sip:1@a>;tag=1\r\n"
        b"t: <sip:1@a>\r\ni: x\r\nCSeq: 1 REGISTER\r\nl: 0\r\n\r\n"
    )
    assert stranger.put(tiny) == []
    over_tcp: list[bytes] = []
    world.edge.agent.send = world.edge.agent.transactions.send = lambda _flow, data: over_tcp.append(data)
    world.edge.agent.receive(tiny, Flow("TCP", EDGE, INSIDE, 1))  # nobody forges the source of a connection
    assert [data[:11] for data in over_tcp] == [b"SIP/2.0 401"]


# no enumeration


def _shape(answer: Response, *echoes: str) -> bytes:
    """An answer without what is an echo of the request or random."""
    challenge = answer.get("www-authenticate") or answer.get("proxy-authenticate")
    nonce = str(digest.parse_credentials(challenge)["nonce"])
    assert len(nonce) == 48
    text = answer.encode().decode().replace(nonce, "nonce")
    for value in (*echoes, answer.get("to").partition("tag=")[2], answer.get("via"), answer.call_id):
        text = text.replace(value, "echo")
    return text.encode()


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_whatever_is_wrong_the_answer_and_the_work_are_the_same(
    world: World, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many users of each kind; hashes are counted, for they are all that a known user could cost more."""
    work: list[int] = []

    class Counting:
        """Every hash that digest computes, with its blocks."""

        def __call__(self, data: bytes = b"", **_more: Any) -> Any:
            work.append(len(data) // 64)
            return hashlib._hashlib.openssl_md5(data, usedforsecurity=False)  # type: ignore[attr-defined]

    monkeypatch.setattr(digest.hashlib, "md5", Counting())
    seen: dict[str, set[tuple[bytes, int, tuple[int, ...]]]] = {}
    for number, (kind, user, realm) in enumerate(
        [("wrong", "user101", ""), ("unknown", "user201", ""), ("realm", "user102", "elsewhere00")] * 20
    ):
        stranger = Stranger(world, (f"10.0.1.{number + 100}", 5060))
        (challenged,) = stranger.send(method, user)
        name = "www-authenticate" if method == "REGISTER" else "proxy-authenticate"
        challenge = challenged.get(name).replace("provisioner", realm or "provisioner")
        value = digest.answer(challenge, user, "guess", method, f"sip:{EDGE[0]}", "cnonce")
        header = "authorization" if method == "REGISTER" else "proxy-authorization"
        work.clear()
        (answer,) = stranger.send(method, user, f"{header}: {value}")
        size = len(stranger.received[-1])
        seen.setdefault(kind, set()).add((_shape(answer, user, stranger.address[0]), size, tuple(work)))
    assert seen["wrong"] == seen["unknown"] == seen["realm"]
    assert [len(forms) for forms in seen.values()] == [1, 1, 1]
    assert len(next(iter(seen["wrong"]))[2]) == 3  # HA1, HA2, response


def test_without_credentials_known_and_unknown_are_alike(world: World) -> None:
    for method in ("REGISTER", "INVITE", "OPTIONS"):
        lengths, statuses = set(), set()
        for target in ("101", "555"):
            stranger = Stranger(world, ("10.0.1.77", 5060))
            statuses.add(tuple(stranger.statuses(method, target)))
            lengths.add(len(stranger.received[0]))
        assert (len(lengths), len(statuses)) == (1, 1)


def test_bans_come_at_the_same_number_of_tries_for_known_and_unknown_users(world: World) -> None:
    tries = []
    for address, user in ((("10.0.1.1", 5060), "user101"), (("10.0.1.2", 5060), "nobody1")):
        stranger = Stranger(world, address)
        answers = 0
        while stranger.send("REGISTER", user) and stranger.authorized("REGISTER", user, "guess"):
            answers += 1
        tries.append(answers)
    assert tries == [5, 5]


# scanners


def test_a_known_scanner_hears_nothing_and_is_banned(world: World) -> None:
    stranger = Stranger(world)
    assert stranger.statuses("OPTIONS", agent="friendly-scanner") == []
    assert stranger.statuses("OPTIONS") == [200]
    assert stranger.statuses("INVITE", body=b"v=0\r\ns=sipcli\r\n") == []
    assert stranger.statuses("OPTIONS") == []
    assert stranger.statuses("REGISTER") == []
    (ban,) = world.edge.gate.bans()
    assert ban == {"source": INSIDE[0], "reason": "scanner", "until": round(1.7e9 + 1300), "hits": 2}
    assert counters(world) == {"challenges": 3, "dropped-scanner": 2, "bans": 1, "dropped-banned": 2}
    world.pass_time(300)
    assert stranger.statuses("OPTIONS") == [200]
    assert world.edge.gate.bans() == []


def test_a_sweep_over_extensions_bans_its_source(world: World) -> None:
    stranger = Stranger(world)
    answered = sum(bool(stranger.send("REGISTER", str(100 + number))) for number in range(100))
    assert answered == 40
    assert [ban["reason"] for ban in world.edge.gate.bans()] == ["many-targets"]


def test_too_fast_hears_one_503_and_then_nothing(world: World) -> None:
    stranger = Stranger(world)
    answers = [stranger.send("OPTIONS") for _ in range(130)]
    assert [answer[0].status for answer in answers if answer] == [200] * 120 + [503]
    assert 5 <= int(answers[120][0].get("retry-after")) <= 30
    assert counters(world)["dropped-rate"] == 9
    world.pass_time(5)
    assert stranger.statuses("OPTIONS") == [200]


def test_who_goes_on_too_fast_is_banned(world: World) -> None:
    stranger = Stranger(world)
    for _ in range(121 + 79):
        stranger.send("OPTIONS")
    assert world.edge.gate.bans() == []
    stranger.send("OPTIONS")
    assert [ban["reason"] for ban in world.edge.gate.bans()] == ["flood"]


def test_junk_is_held_against_its_source(world: World) -> None:
    stranger = Stranger(world)
    junk = b"REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.66;branch=z9hG4bKt\r\nSubject: %b\r\n\r\n" % (
        b"x" * 200
    )
    for _ in range(20):
        world.carry(INSIDE, EDGE, junk)
        world.run()
    assert [ban["reason"] for ban in world.edge.gate.bans()] == ["junk"]
    heard = len(stranger.received)
    world.carry(INSIDE, EDGE, junk)
    world.run()
    assert (heard, len(stranger.received)) == (20, 20)
    assert stranger.received[0].startswith(b"SIP/2.0 400 No From header")
    world.edge.agent.transactions.malformed = 0


def test_outside_of_the_phone_networks_there_is_no_answer(world: World) -> None:
    stranger = Stranger(world, OUTSIDE)
    assert stranger.statuses("REGISTER", "101") == []
    assert stranger.statuses("INVITE", "101") == []
    assert stranger.statuses("INVITE", "911") == []
    assert counters(world)["dropped-outside"] == 3
    assert world.edge.calls == {}


def test_phone_networks_are_a_setting() -> None:
    where = records.Practice(id="practice", name="D", main_number=MAIN, phone_networks=("203.0.113.0/24",))
    world = World(practice(practice=where))
    assert Stranger(world, OUTSIDE).statuses("REGISTER", "101") == [401]
    assert Stranger(world, INSIDE).statuses("REGISTER", "101") == []


# what nobody can touch


def ban(world: World, host: str) -> None:
    world.edge.gate.guard.blame(host, "scanner", 10)
    assert world.edge.gate.guard.banned(host)


@pytest.mark.parametrize("code", ["911", "988", "933"])
def test_a_ban_never_touches_emergency_calls_from_our_networks(world: World, code: str) -> None:
    phone = world.add(Phone(world, "166"))
    ban(world, phone.address[0])
    talk = phone.call(code)
    assert [call["to"] for call in (held.view() for held in world.edge.calls.values())] == [code]
    world.core.calls[-1].answer()
    assert talk.up
    talk.hangup()  # BYE of a call that is on passes too
    assert world.core.calls[-1].over
    assert world.edge.calls == {}


def test_an_emergency_call_needs_no_rate_and_no_relief(world: World) -> None:
    phone = world.phones["101"]
    for _ in range(200):
        world.edge.gate.guard.rate(phone.address[0], True)
    world.edge.gate.overload.measured(100)
    phone.call("911")
    world.core.calls[-1].answer()
    assert phone.calls[-1].up


def test_a_registered_phone_is_heard_though_its_address_is_banned(world: World) -> None:
    """Somebody else behind the same NAT misbehaves."""
    phone = world.phones["101"]
    ban(world, phone.address[0])
    caller = phone.call("102")
    world.ringing("102").answer()
    assert caller.up
    assert Stranger(world, (phone.address[0], 9999)).statuses("OPTIONS") == []


def test_who_shares_its_address_cannot_use_up_a_phones_rate_or_name(world: World) -> None:
    phone = world.phones["101"]
    neighbour = Stranger(world, (phone.address[0], 9999))
    for _ in range(5):
        neighbour.authorized("REGISTER", "user101", "guess")
    assert neighbour.authorized("REGISTER", "user101", "secret101") == []
    while neighbour.send("OPTIONS"):
        pass
    assert phone.register().status == 200
    phone.call("102")
    world.ringing("102").answer()
    assert len(world.edge.calls) == 1


def test_a_registered_phone_and_a_trunk_are_never_banned(world: World) -> None:
    phone = world.phones["101"]
    for _ in range(20):
        Stranger.send(_impostor(world, phone), "REGISTER", "x", agent="friendly-scanner")
        Stranger.send(_impostor(world, world.core), "REGISTER", "x", agent="friendly-scanner")
    assert world.edge.gate.bans() == []


def _impostor(world: World, party: Any) -> Stranger:
    """A hand that writes from a party's own address, which goes on to receive."""
    stranger = Stranger.__new__(Stranger)
    stranger.world, stranger.address, stranger.number, stranger.received = world, party.address, 900, []
    return stranger


def test_a_call_that_is_on_is_served_first(world: World) -> None:
    caller = world.phones["101"].call("102")
    world.ringing("102").answer()
    world.edge.gate.overload.measured(100)
    for _ in range(300):
        world.edge.gate.guard.rate(world.phones["101"].address[0], True)
    assert caller.reinvite("sendonly").status == 200
    caller.hangup()
    assert world.ringing("102").over


def test_cancel_goes_through_when_over_rate(world: World) -> None:
    caller = world.phones["101"].call("102")
    for _ in range(300):
        world.edge.gate.guard.rate(world.phones["101"].address[0], True)
    caller.hangup()
    assert world.ringing("102").over
    assert world.outcome() == "caller gave up"


def test_requests_of_dialogs_that_are_not_get_481_and_never_503(world: World) -> None:
    stranger = Stranger(world)
    before = len(world.edge.agent.transactions.servers)
    assert stranger.statuses("BYE", to_tag="old") == [481]
    assert stranger.statuses("INVITE", to_tag="old") == [481]
    assert stranger.statuses("CANCEL") == [481]
    assert len(world.edge.agent.transactions.servers) == before
    for _ in range(200):
        world.edge.gate.guard.rate(INSIDE[0], True)
    world.pass_time(6)
    world.edge.gate.guard._source(INSIDE[0]).bucket._tokens = -1000
    assert stranger.statuses("BYE", to_tag="old") == []


# overload


def test_new_calls_are_refused_while_we_are_late(world: World) -> None:
    world.edge.gate.overload.measured(100)
    refused = world.phones["101"].call("102")
    assert refused.status == 503
    assert 5 <= int(refused.failure.get("retry-after")) <= 30
    inbound = world.inbound()
    assert inbound.status == 503
    assert world.edge.calls == {}
    for _ in range(30):
        world.edge.gate.overload.measured(0)
    world.phones["101"].call("102")
    world.ringing("102").answer()
    assert len(world.edge.calls) == 1
    assert counters(world)["refused-overload"] == 2


def test_an_emergency_centre_that_calls_back_is_let_in(world: World) -> None:
    world.edge.gate.overload.measured(100)
    world.inbound(headers=[("priority", "psap-callback")])
    assert len(world.edge.calls) == 1


def test_calls_beyond_the_limit_are_refused() -> None:
    few = records.Practice(id="practice", name="D", main_number=MAIN, max_calls=1)
    world = World(practice(practice=few))
    world.register_all()
    world.phones["101"].call("102")
    assert world.phones["103"].call("102").status == 503
    world.phones["103"].call("911")
    assert [call.view()["direction"] for call in world.edge.calls.values()] == ["internal", "emergency"]
    world.end()


def test_retry_after_is_not_the_same_for_all(world: World) -> None:
    world.edge.gate.overload.measured(100)
    waits = {
        Stranger(world, (f"10.0.2.{number}", 5060)).send("REGISTER")[0].get("retry-after")
        for number in range(40)
    }
    assert len(waits) > 10


# the storm after a power cut (R08)


def _many(count: int) -> records.Snapshot:
    whole = practice()
    names = [f"{200 + number}" for number in range(count)]
    phones = {
        f"0004f2001{name}": records.Phone(
            id=f"0004f2001{name}", vendor="polycom", model="VVX 411", lines=(records.Line(extension=name),)
        )
        for name in names
    }
    accounts = {
        mac: records.Credential(
            id=mac,
            lines=(records.LineCredential(auth_user=f"user{mac[-3:]}", password=f"secret{mac[-3:]}"),),
        )
        for mac in phones
    }
    return records.Snapshot(
        revision=2, practice=whole.practice, phones=phones, credentials=accounts, trunks=whole.trunks
    )


@pytest.mark.parametrize("nat", [False, True])
def test_200_phones_that_come_back_within_5_s_all_register_within_10(nat: bool) -> None:
    """Each with its own address, and all behind one."""
    world = World(_many(200))
    world.phones.clear()
    for number in range(200):
        phone = Phone(world, str(200 + number))
        phone.address = ("10.0.4.1", 20000 + number) if nat else (f"10.0.4.{number}", 5060)
        phone.flow = Flow("UDP", phone.address, EDGE)
        world.add(phone)
        assert phone.register().status == 200
        world.pass_time(5 / 200)
    assert len(list(world.edge.registrar.all())) == 200
    assert counters(world) == {"challenges": 200}
    assert world.edge.gate.bans() == []


def test_200_phones_at_one_instant_are_all_challenged_before_any_can_answer() -> None:
    world = World(_many(200))
    strangers = [Stranger(world, (f"10.3.0.{number}", 5060)) for number in range(200)]
    assert all(who.statuses("REGISTER", str(200 + n)) == [401] for n, who in enumerate(strangers))


def test_a_storm_beyond_all_measure_is_paced_and_known_phones_do_not_notice(world: World) -> None:
    answers = []
    for number in range(900):
        stranger = Stranger(world, (f"10.{number >> 8}.5.{number & 255}", 5060))
        answers += stranger.statuses("REGISTER", "500")
    assert answers == [401] * 500 + [503] * 400
    assert world.phones["101"].register().status == 200


# limits (H09)


def test_a_line_has_at_most_so_many_calls(world: World) -> None:
    world.edge.media.capacity = 10000  # type: ignore[attr-defined]
    phone = world.phones["101"]
    for number in range(MAX_DIALOGS):
        phone.call("102" if number % 2 else "103")
    refused = phone.call("102")
    assert refused.status == 403
    assert refused.failure.reason == "Too many calls from this phone"


def test_a_phone_with_all_the_calls_that_it_may_have_is_not_rung(world: World) -> None:
    for _ in range(MAX_DIALOGS // 2):
        world.phones["101"].call("103")
        world.phones["102"].call("103")
    rung = len(world.phones["103"].calls)
    assert world.phones["102"].call("103").status == 480
    assert len(world.phones["103"].calls) == rung
    assert world.edge.counters["too-many-dialogs"] == 1


def test_too_many_headers_are_refused_in_words(world: World) -> None:
    stranger = Stranger(world)
    (answer,) = stranger.send("OPTIONS", "500", *[f"X-{number}: 1" for number in range(MAX_HEADERS)])
    assert (answer.status, answer.reason) == (513, "Too many or too long headers")
    world.edge.agent.transactions.malformed = 0


# for people


def test_a_ban_can_be_lifted(world: World) -> None:
    ban(world, INSIDE[0])
    assert world.edge.gate.unban(INSIDE[0]) == {"source": INSIDE[0]}
    assert Stranger(world).statuses("OPTIONS") == [200]
    with pytest.raises(OperatorError, match="that address is not banned"):
        world.edge.gate.unban(INSIDE[0])


def test_connections_of_the_banned_are_refused_unless_they_may_be_911(world: World) -> None:
    gate = world.edge.gate
    assert gate.connects(OUTSIDE[0])
    ban(world, OUTSIDE[0])
    ban(world, INSIDE[0])
    assert not gate.connects(OUTSIDE[0])
    assert gate.connects(INSIDE[0])
    assert gate.connects(CORE[0])


def test_a_wrong_network_is_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    where = records.Practice(id="practice", name="D", main_number=MAIN, phone_networks=("192.168.1",))
    other = World(practice(practice=where))
    other.register_all()
    assert [record.getMessage() for record in caplog.records].count(
        "'192.168.1' in phone_networks is no network: write it as 192.168.1.0/24"
    ) == 1
