"""The fault matrix of emergency calls where the fault is in SIP, DNS, limits or the inventory; in virtual time.

In each cell an INVITE that an emergency centre takes leaves at once by the first route that is left, and where that one
is no good, by the second within 8 s. Faults of processes, files and TLS: tests/peers/test_emergency_faults.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from provisioner.edge.edge import EMERGENCY_RESERVE
from provisioner.edge.trunk import Peer
from provisioner.sip.headers import NameAddr
from provisioner.sip.message import Request, parse
from provisioner.sip.resolve import DnsDeadError, Located, Target
from provisioner.sip.sdp import offered
from provisioner.store import records
from tests.edge.test_emergency import location_in
from tests.edge.world import BACKUP, CIVIC, CORE, EDGE, MAIN, Party, Phone, Talk, World, number_of, practice

CODES = ("911", "933", "988")
FIRST, SECOND = 4.0, 8.0  # seconds
REFUSALS = (
    400, 401, 403, 404, 405, 406, 407, 408, 410, 413, 414, 415, 416, 420, 421, 422, 423, 424, 433, 480, 481, 482, 483,
    484, 485, 486, 487, 488, 489, 491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 580, 600, 603, 604, 606,
    300, 301, 302, 305, 380,
)  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """An INVITE that left: when, in seconds after the phone's, and where to."""

    at: float
    to: tuple[str, int]
    invite: Request


class Matrix(World):
    """A world with two routes that keeps each INVITE of the edge to the outside, repeats left out."""

    def __init__(self, snapshot: records.Snapshot | None = None) -> None:
        super().__init__(snapshot or practice())
        self.sent: list[Sent] = []
        self.caller = self.phones["102"]
        self.number = number_of("102")
        self.civic: dict[str, str] = CIVIC
        self.name = ""  # of the first route
        self.dialled_at = 0.0
        self.edge.trunks.update(
            [
                records.Trunk(id="core", uri=f"sip:{CORE[0]}:{CORE[1]}", order=10, profile="stand-in"),
                records.Trunk(id="backup", uri=f"sip:{BACKUP[0]}:{BACKUP[1]}", order=20, profile="stand-in"),
            ]
        )
        self.add(Party(self, EDGE))  # what the edge sends to itself
        for extension in ("101", "102"):
            self.phones[extension].register()

    @property
    def first(self) -> Peer:
        return self.edge.trunks.peers[0]

    def carry(self, sender: tuple[str, int], receiver: tuple[str, int], data: bytes) -> None:
        """Note what the edge sends, also to who is dead; what goes to nobody is lost."""
        if receiver in self.parties:
            super().carry(sender, receiver, data)
        phones = {phone.address for phone in self.phones.values()}
        if sender == EDGE and receiver not in phones and data.startswith(b"INVITE "):
            invite = parse(data)
            assert isinstance(invite, Request)
            if all(invite.get("via") != each.invite.get("via") for each in self.sent):
                self.sent.append(Sent(self.clock.now - self.dialled_at, receiver, invite))

    def dial(self, code: str) -> Talk:
        """The phone dials, without credentials."""
        self.sent.clear()
        self.dialled_at = self.clock.now
        talk: Talk = self.caller.call(code, account=None)
        return talk


def acceptable(world: Matrix, code: str, sent: Sent, place: bool) -> None:
    """Whether an emergency centre takes it: right target, a number of the practice, sound, and where to send help."""
    invite = sent.invite
    assert invite.uri in (f"sip:{code}@{sent.to[0]}:{sent.to[1]}", f"sip:{code}@{world.name}")
    numbers = [NameAddr.parse(invite.get(name)).uri.user for name in ("from", "p-asserted-identity")]
    assert numbers == [world.number] * 2
    assert invite.get("privacy") == ""
    assert invite.get("priority") == "emergency"
    assert NameAddr.parse(invite.get("contact")).uri.host == EDGE[0]
    body = invite.body
    if place:
        assert location_in(invite) == world.civic
        assert invite.get("content-type").startswith("multipart/mixed;")
        body = body.partition(b"application/sdp\r\n")[2].partition(b"\r\n--")[0].strip() + b"\r\n"
    else:
        assert invite.get("geolocation") == ""
        assert invite.get("content-type") == "application/sdp"
    formats = [form.codec for form in offered(body, EDGE[0]).formats]
    assert "PCMU" in formats
    assert {leg.port for leg in world.media.legs} & {int(body.partition(b"m=audio ")[2].split()[0])}


Fault = Callable[[Matrix], None]


def none(world: Matrix) -> None:
    """Nothing is wrong."""


# of the core


def core_dead(world: Matrix) -> None:
    world.core.dead = True


def core_known_dead(world: Matrix) -> None:
    world.core.dead = True
    world.first.up = world.first.gateways[0].up = False


def core_silent(world: Matrix) -> None:
    """It says 100, and nothing more."""
    world.core.on_call = lambda talk: None


def core_slow(world: Matrix) -> None:
    """It says 100 at the last moment, and nothing more."""
    world.core.dead = True
    world.timers.after(3.8, lambda: setattr(world.core, "dead", False))
    world.core.on_call = lambda talk: None


def refusing(status: int) -> Fault:
    def fault(world: Matrix) -> None:
        world.core.on_call = lambda talk: talk.session.reject(status)

    return fault


def refusing_after_a_while(status: int) -> Fault:
    """It says 100, and refuses after 7 s; asked again without the location it says 100 and nothing more."""

    def refuse(world: Matrix, talk: Talk) -> None:
        if len(world.core.calls) == 1:
            world.core.timers.after(7.0, lambda: talk.session.reject(status))

    def fault(world: Matrix) -> None:
        world.core.on_call = lambda talk: refuse(world, talk)

    return fault


def challenging(status: int, header: str) -> Fault:
    challenge = 'Digest realm="core", nonce="n", algorithm=MD5, qop="auth"'

    def fault(world: Matrix) -> None:
        world.core.on_call = lambda talk: talk.session.reject(status, "", [(header, challenge)])

    return fault


def redirecting_to_us(world: Matrix) -> None:
    contact = [("contact", f"<sip:911@{EDGE[0]}:{EDGE[1]}>")]
    world.core.on_call = lambda talk: talk.session.reject(302, "", contact)


def core_sends_it_back(world: Matrix) -> None:
    """A proxy that leads our INVITE back to us, from an address of the practice's own network."""
    proxy = world.add(Party(world, ("10.0.0.250", 5060)))

    def back(talk: Talk) -> None:
        again = parse(talk.invite.encode())
        assert isinstance(again, Request)
        again.set("via", "SIP/2.0/UDP 10.0.0.250:5060;branch=z9hG4bKback")
        world.carry(proxy.address, EDGE, again.encode())

    world.core.on_call = back


def asking_for_silence(world: Matrix) -> None:
    """503 with Retry-After, also before this call."""
    world.core.on_call = lambda talk: talk.session.reject(503, "", [("retry-after", "3600")])
    world.first.gateways[0].failed(3600)


# of DNS


class Dns:
    """A resolver that answers with an address, with an error, or never."""

    def __init__(self, answer: Located | Exception | None) -> None:
        self._answer = answer

    async def locate(self, *_asked: object) -> Located:
        if self._answer is None:
            await asyncio.Event().wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        assert self._answer
        return self._answer


def named(answer: Located | Exception | None) -> Fault:
    """The first trunk has a name, whose address was right until DNS began to give `answer`."""

    def fault(world: Matrix) -> None:
        trunk = records.Trunk(id="core", uri="sip:core.example", order=10, profile="stand-in", pidf_lo=True)
        world.edge.trunks.update([trunk, world.edge.trunks.peers[1].trunk])
        world.name = "core.example"
        world.first.take([Target("UDP", *CORE)], False)
        world.first.gateways[0].succeeded()

        async def ask() -> None:
            task = asyncio.ensure_future(world.edge.trunks.resolve(world.first, Dns(answer)))
            await asyncio.wait([task], timeout=0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(ask())

    return fault


def lie(host: str, port: int = 5060) -> Fault:
    return named(Located((Target("UDP", host, port),), False, 1e9))


def lie_about_the_only_trunk(world: Matrix) -> None:
    """Where it once was is the second route."""
    lie("203.0.113.9")(world)
    world.edge.trunks.update([world.first.trunk])


# of load


def flooded(world: Matrix) -> None:
    """Ten times as many calls as there is room for, and a loop that is seconds late."""
    world.media.capacity = EMERGENCY_RESERVE + 10
    for number in range(50):
        world.phones["101"].call(f"21255501{number:02}")
        world.phones["103"].call(f"21255502{number:02}")
    world.edge.gate.overload.measured(10.0)
    assert world.edge.gate.overload.refuses(0)
    assert world.edge.media.take() is None


def limits_reached(world: Matrix) -> None:
    nothing = records.Practice(
        id="practice", name="Demo", main_number=MAIN, outbound_at_once=0, outbound_per_line=0,
        outbound_per_hour=0, outbound_closed="00:00-23:59",
    )  # fmt: skip
    _inventory(world, practice(practice=nothing))


def banned(world: Matrix) -> None:
    """Somebody behind the phone's address has been thrown out."""
    world.caller.register(expires=0)
    for _ in range(100):
        world.edge.gate.guard.blame(world.caller.address[0], "flood", 5.0)
    assert world.edge.gate.guard.banned(world.caller.address[0])


def stopping(world: Matrix) -> None:
    world.edge.close()


def restarted(world: Matrix) -> None:
    """Nothing is registered yet, nothing is known of the routes, and the control socket has no reader."""
    for phone in world.phones.values():
        phone.register(expires=0)


def nothing_can_be_told(world: Matrix) -> None:
    """Journal and events fail at every turn."""

    class Broken(list[tuple[str, dict[str, object]]]):
        def append(self, _told: object) -> None:
            raise OSError("no space left on device")

    world.rows = world.events = Broken()


# of the phone and its line


def _inventory(world: Matrix, snapshot: records.Snapshot) -> None:
    world.edge.swap(type(world.edge.directory)(snapshot))


def unregistered(world: Matrix) -> None:
    world.caller.register(expires=0)


def not_adopted(world: Matrix) -> None:
    """Nobody knows which phone it is: the main number, and an operator who asks."""
    world.caller = world.add(Phone(world, "109"))
    world.number, world.civic = MAIN, {}


def without_number(world: Matrix) -> None:
    """The line has none of its own: one that is registered for the same place."""
    snapshot = practice()
    line = records.Line(extension="102", number="", name="Room 102")
    phone = records.Phone(
        id="0004f2000102", vendor="polycom", model="VVX 411", location="main", lines=(line,)
    )
    _inventory(world, practice(phones={**snapshot.phones, phone.id: phone}))
    world.number = number_of("101")


def without_address(world: Matrix) -> None:
    """No number of the practice has a registered address, and the location has none either."""
    numbers = {
        name: records.Number(id=name, label=number.label, extension=number.extension, location="main")
        for name, number in practice().numbers.items()
    }
    places = {"main": records.Location(id="main", name="Main building", civic={})}
    _inventory(world, practice(numbers=numbers, locations=places))
    world.civic = {}


def without_location(world: Matrix) -> None:
    phone = records.Phone(
        id="0004f2000102", vendor="polycom", model="VVX 411", location="gone",
        lines=(records.Line(extension="102", number=number_of("102")),),
    )  # fmt: skip
    _inventory(world, practice(phones={**practice().phones, phone.id: phone}))
    world.number, world.civic = MAIN, {}  # no address that might be the wrong one


@dataclass(frozen=True)
class Row:
    """A fault. `second`: the first route is no good."""

    name: str
    fault: Fault
    second: bool = False


ROWS = (
    Row("none", none),
    Row("core-dead", core_dead, True),
    Row("core-known-dead", core_known_dead),
    Row("core-silent", core_silent, True),
    Row("core-slow", core_slow, True),
    *(Row(f"core-refuses-{status}", refusing(status), True) for status in REFUSALS),
    *(Row(f"core-refuses-{status}-late", refusing_after_a_while(status), True) for status in (424, 500, 486)),
    Row("core-challenges-401", challenging(401, "www-authenticate"), True),
    Row("core-challenges-407", challenging(407, "proxy-authenticate"), True),
    Row("core-redirects-to-us", redirecting_to_us, True),
    Row("core-sends-it-back", core_sends_it_back, True),
    Row("core-asks-for-silence", asking_for_silence),
    Row("dns-dead", named(DnsDeadError("core.example"))),
    Row("dns-empty", named(Located((), False, 1e9))),
    Row("dns-slow", named(None)),
    Row("dns-lies-nowhere", lie("203.0.113.9"), True),
    Row("dns-lies-about-the-only-trunk", lie_about_the_only_trunk, True),
    Row("dns-lies-to-us", lie(*EDGE), True),
    Row("ten-times-the-calls", flooded),
    Row("limits-reached", limits_reached),
    Row("address-banned", banned),
    Row("stopping", stopping),
    Row("restarted", restarted),
    Row("nothing-can-be-told", nothing_can_be_told),
    Row("phone-unregistered", unregistered),
    Row("phone-not-adopted", not_adopted),
    Row("line-without-number", without_number),
    Row("line-without-address", without_address),
    Row("phone-without-location", without_location),
)


@pytest.mark.rule("emergency.always")
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_gets_out(row: Row, code: str) -> None:
    world = Matrix()
    row.fault(world)
    caller = world.dial(code)
    assert world.sent[0].at == 0.0  # nothing is waited for
    world.pass_time(SECOND)
    routes = {sent.to: sent.at for sent in reversed(world.sent)}
    assert list(routes.values())[-1] <= FIRST
    if row.second:
        assert len(routes) > 1
        assert sorted(routes.values())[1] <= SECOND
    for sent in world.sent:
        again = any(each.to == sent.to and each.at <= sent.at for each in world.sent if each is not sent)
        placed = bool(world.civic) and code != "988"
        acceptable(world, code, sent, placed and not (again and sent.invite.get("geolocation") == ""))
    talks = (talk for party in (world.backup, world.core) for talk in party.calls if not talk.over)
    taken = next(talk for talk in talks if talk.invite.uri.startswith(f"sip:{code}@"))
    taken.answer()
    assert caller.up
    assert world.hears(caller) is taken
