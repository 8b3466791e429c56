"""RFC 3263 server location: the rules as tables, and the resolver against a name server of ours."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine

import pytest

from provisioner.sip.headers import Uri
from provisioner.sip.resolve import (
    DnsDeadError,
    Located,
    Naptr,
    Resolver,
    Srv,
    Target,
    locate,
    ordered,
)
from tests.sip.nameserver import NameServer

ALL = ("UDP", "TCP", "TLS")
NAPTR = [
    Naptr(20, 10, "s", "SIP+D2U", "_sip._udp.example.com."),
    Naptr(10, 50, "s", "SIPS+D2T", "_sips._tcp.example.com."),
    Naptr(10, 60, "S", "sip+d2t", "_sip._tcp.example.com."),
    Naptr(1, 1, "u", "E2U+sip", "."),
    Naptr(1, 1, "s", "SIP+D2S", "_sip._sctp.example.com."),
]
ZONE: dict[tuple[str, str], list] = {
    ("_sip._udp.example.com", "SRV"): [
        Srv(20, 0, 5080, "b.example.com."),
        Srv(10, 0, 5070, "a.example.com."),
    ],
    ("_sip._tcp.example.com", "SRV"): [Srv(0, 0, 5090, "a.example.com.")],
    ("_sips._tcp.example.com", "SRV"): [Srv(0, 0, 5061, "b.example.com.")],
    ("a.example.com", "A"): ["192.0.2.1"],
    ("a.example.com", "AAAA"): ["2001:db8::1"],
    ("b.example.com", "A"): ["192.0.2.2", "192.0.2.3"],
    ("example.com", "A"): ["192.0.2.9"],
    ("bare.example.com", "A"): ["192.0.2.8"],
    ("gone.example.com", "A"): ["192.0.2.7"],
    ("_sip._udp.gone.example.com", "SRV"): [Srv(0, 0, 0, ".")],
    ("liar.example.com", "A"): ["0.0.0.0", "224.0.0.1", "255.255.255.255", "nonsense", "192.0.2.6"],
}
UDP = [
    Target("UDP", "192.0.2.1", 5070),
    Target("UDP", "2001:db8::1", 5070),
    Target("UDP", "192.0.2.2", 5080),
    Target("UDP", "192.0.2.3", 5080),
]
TCP = [Target("TCP", "192.0.2.1", 5090), Target("TCP", "2001:db8::1", 5090)]
TLS = [Target("TLS", "192.0.2.2", 5061), Target("TLS", "192.0.2.3", 5061)]


def found(uri: str, transports: tuple[str, ...] = ALL, zone: dict | None = None) -> tuple[list, list]:
    """Targets, and the questions that were asked for them."""
    asked: list[tuple[str, str]] = []
    steps = locate(Uri.parse(uri), transports, random.Random(1))
    try:
        question = next(steps)
        while True:
            asked.append(question)
            name, kind = question
            question = steps.send((zone or ZONE).get((name.rstrip("."), kind), []))
    except StopIteration as done:
        return done.value, asked


@pytest.mark.parametrize(
    ("uri", "transports", "targets"),
    [
        # numeric hosts and explicit ports: no SRV (4.2)
        ("sip:192.0.2.5", ALL, [Target("UDP", "192.0.2.5", 5060)]),
        ("sip:192.0.2.5:5099", ALL, [Target("UDP", "192.0.2.5", 5099)]),
        ("sips:192.0.2.5", ALL, [Target("TLS", "192.0.2.5", 5061)]),
        ("sip:[2001:db8::5]", ALL, [Target("UDP", "2001:db8::5", 5060)]),
        ("sip:[2001:db8::5]:5099;transport=tcp", ALL, [Target("TCP", "2001:db8::5", 5099)]),
        ("sip:192.0.2.5;transport=tls", ALL, [Target("TLS", "192.0.2.5", 5061)]),
        ("sip:example.com:5060", ALL, [Target("UDP", "192.0.2.9", 5060)]),
        ("sip:example.com:5060", ("TCP", "UDP"), [Target("TCP", "192.0.2.9", 5060)]),
        # SRV before A, by the transports that are allowed, in their order
        ("sip:example.com", ("UDP",), UDP),
        ("sip:example.com", ("TCP", "UDP"), TCP + UDP),
        ("sip:example.com;transport=tcp", ALL, TCP),
        ("sip:example.com;transport=TLS", ("UDP",), TLS),
        ("sips:example.com", ("UDP",), TLS),
        ("sips:example.com;transport=tcp", ALL, TLS),
        # no SRV: A with the default port
        ("sip:bare.example.com", ALL, [Target("UDP", "192.0.2.8", 5060)]),
        ("sips:bare.example.com", ALL, [Target("TLS", "192.0.2.8", 5061)]),
        # SRV says that there is no such service: no A after it (RFC 2782)
        ("sip:gone.example.com", ("UDP",), []),
        # what cannot be
        ("sip:example.com;transport=sctp", ALL, []),
        ("sips:example.com;transport=udp", ALL, []),
        ("sip:nowhere.example.com", ALL, []),
        ("sip:example.com", (), []),
        # maddr (RFC 3261 19.1.1), lies
        ("sip:example.com;maddr=192.0.2.77", ALL, [Target("UDP", "192.0.2.77", 5060)]),
        ("sip:liar.example.com:5060", ALL, [Target("UDP", "192.0.2.6", 5060)]),
        ("sip:0.0.0.0", ALL, []),
    ],
)
def test_t15_server_location(uri: str, transports: tuple[str, ...], targets: list[Target]) -> None:
    assert found(uri, transports)[0] == targets


def test_t15_naptr_decides_the_order_of_the_transports() -> None:
    zone = {**ZONE, ("example.com", "NAPTR"): NAPTR}
    assert found("sip:example.com", ALL, zone)[0] == TLS + TCP + UDP
    assert found("sip:example.com", ("UDP", "TCP"), zone)[0] == TCP + UDP
    assert found("sips:example.com", ALL, zone)[0] == TLS


@pytest.mark.parametrize(
    ("uri", "asked"),
    [
        ("sip:192.0.2.5", []),
        ("sip:bare.example.com:5060", [("bare.example.com", "A"), ("bare.example.com", "AAAA")]),
        (
            "sip:bare.example.com;transport=udp",
            [
                ("_sip._udp.bare.example.com", "SRV"),
                ("bare.example.com", "A"),
                ("bare.example.com", "AAAA"),
            ],
        ),
    ],
)
def test_t15_nothing_is_asked_in_vain(uri: str, asked: list) -> None:
    assert found(uri)[1] == asked


def test_t15_targets_are_few_however_many_records_there_are() -> None:
    zone = {("many.example.com", "A"): [f"192.0.2.{n}" for n in range(1, 200)]}
    assert len(found("sip:many.example.com", ("UDP",), zone)[0]) == 32


def test_t16_weights_are_chances() -> None:
    rng = random.Random(3)
    records = [Srv(1, 0, 1, "zero"), Srv(1, 30, 1, "light"), Srv(1, 70, 1, "heavy"), Srv(0, 5, 1, "first")]
    orders = [[record.target for record in ordered(records, rng)] for _ in range(2000)]
    assert {order[0] for order in orders} == {"first"}
    assert all(sorted(order) == ["first", "heavy", "light", "zero"] for order in orders)
    second = Counter(order[1] for order in orders)
    assert 1250 < second["heavy"] < 1550
    assert 450 < second["light"] < 750
    assert 0 < second["zero"] < 60


# the resolver and a real server

WIRE = {
    ("core.example", "NAPTR"): [
        '10 10 "s" "SIP+D2T" "" _sip._tcp.core.example.',
        '20 10 "s" "SIP+D2U" "" _sip._udp.core.example.',
    ],
    ("_sip._tcp.core.example", "SRV"): ["0 0 5062 a.core.example."],
    ("_sip._udp.core.example", "SRV"): ["0 0 5060 a.core.example."],
    ("a.core.example", "A"): ["192.0.2.1"],
    ("a.core.example", "AAAA"): ["2001:db8::1"],
    ("old.example", "A"): ["192.0.2.2"],
}
CORE = (
    Target("TCP", "192.0.2.1", 5062),
    Target("TCP", "2001:db8::1", 5062),
    Target("UDP", "192.0.2.1", 5060),
    Target("UDP", "2001:db8::1", 5060),
)


class Scene:
    def __init__(self, server: NameServer, deadline: float) -> None:
        self.now = 100.0
        self.server = server
        self.resolver = Resolver(
            lambda: self.now, random.Random(1), ["127.0.0.1"], server.port, deadline=deadline
        )

    async def locate(self, uri: str = "sip:core.example") -> Located:
        return await self.resolver.locate(Uri.parse(uri), ("UDP", "TCP"))


def played(scene: Callable[[Scene], Coroutine], deadline: float = 5.0) -> None:
    async def play() -> None:
        server = await NameServer(dict(WIRE)).open()
        try:
            async with asyncio.timeout(20):
                await scene(Scene(server, deadline))
        finally:
            server.close()

    asyncio.run(play())


def test_look_up_and_cache_by_ttl() -> None:
    async def scene(it: Scene) -> None:
        assert await it.locate() == Located(CORE, False, 160.0)
        assert it.server.asked == [
            ("core.example", "NAPTR"),
            ("_sip._tcp.core.example", "SRV"),
            ("a.core.example", "A"),
            ("a.core.example", "AAAA"),
            ("_sip._udp.core.example", "SRV"),
        ]
        it.now = 159.0
        await it.locate()
        assert len(it.server.asked) == 5
        it.now = 160.0
        it.server.zone[("a.core.example", "A")] = ["192.0.2.99"]
        assert (await it.locate()).targets[0].host == "192.0.2.99"

    played(scene)


def test_negative_answers_are_kept_for_the_minimum_of_the_soa() -> None:
    async def scene(it: Scene) -> None:
        assert await it.locate("sip:nobody.example") == Located((), False, 140.0)
        asked = len(it.server.asked)
        it.now = 139.0
        await it.locate("sip:nobody.example")
        assert len(it.server.asked) == asked
        it.now = 140.0
        await it.locate("sip:nobody.example")
        assert len(it.server.asked) == 2 * asked

    played(scene)


@pytest.mark.parametrize("mode", ["dead", "slow", "failing", "wrong id", "broken"])
def test_t16_stale_answers_are_used_and_flagged_when_dns_is_dead(mode: str) -> None:
    async def scene(it: Scene) -> None:
        it.server.ttl = 30
        await it.locate()
        it.now += 31
        it.server.mode, asked = mode, len(it.server.asked)
        stale = await it.locate()
        assert (stale.targets, stale.stale) == (CORE, True)
        assert len(it.server.asked) > asked
        it.now += 6
        it.server.mode = "good"
        assert (await it.locate()).stale is False

    played(scene, deadline=0.2)


def test_dead_dns_with_nothing_known_is_said_so_and_not_asked_at_once_again() -> None:
    async def scene(it: Scene) -> None:
        it.server.mode = "dead"
        with pytest.raises(DnsDeadError, match=r"no answer from DNS for _sip._udp.core.example"):
            await it.locate("sip:core.example;transport=udp")
        asked = len(it.server.asked)
        with pytest.raises(DnsDeadError):
            await it.locate("sip:core.example;transport=udp")
        assert len(it.server.asked) == asked
        it.now, it.server.mode = it.now + 5, "good"
        assert (await it.locate("sip:core.example;transport=udp")).targets == CORE[2:]

    played(scene, deadline=0.2)


def test_a_server_that_fails_on_naptr_only() -> None:
    async def scene(it: Scene) -> None:
        it.server.mode = "no naptr"
        assert (await it.locate()).targets == CORE[2:] + CORE[:2]

    played(scene)


def test_a_name_that_is_none_has_no_targets() -> None:
    async def scene(it: Scene) -> None:
        assert (await it.locate(f"sip:{'a' * 64}.example:5060")).targets == ()

    played(scene)


def test_without_a_resolv_conf_dns_is_just_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    async def scene(it: Scene) -> None:
        resolver = Resolver(lambda: 0.0, random.Random(1))
        monkeypatch.setattr("builtins.open", missing)
        with pytest.raises(DnsDeadError):
            await resolver.locate(Uri.parse("sip:core.example:5060"), ("UDP",))

    played(scene)
