"""Transaction timers (RFC 3261 17, RFC 6026), and whole calls, on a link that loses, delays, reorders, repeats packets.

All parties are sipp, in a network namespace; the link is that of link.py, for many kernels come without netem. What
the edge sends is captured on its own side of the link, before anything happens to it: so its repetitions can be seen
for what they are, and each packet that comes to it is one that it must have dealt with. Timer C (more than three
minutes) is left to the unit tests.
"""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.peers import sipp
from tests.peers.appliance import Account, Appliance
from tests.peers.capture import Capture, datagrams, judge, needs_capture
from tests.peers.link import Impairment, Link, needs_link
from tests.peers.sipp import Party
from tests.peers.wait import until

pytestmark = pytest.mark.peer

IMPAIRMENT = Impairment(loss=0.05, delay=0.1, jitter=0.1, reordered=0.05, duplicated=0.02)
T1, T2 = 0.5, 4.0  # seconds, as in RFC 3261
DOUBLING = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]  # timer A, from one to the next
CAPPED = [
    0.5,
    1.0,
    2.0,
    4.0,
    4.0,
    4.0,
    4.0,
    4.0,
    4.0,
    4.0,
]  # timers E and G, and a 2xx that waits for its ACK
LATE = 1.8  # a repetition may be so much too early or late, as a factor
PAIRS, CALLS = 5, 6  # of phones, calls of each
TALK = 1500  # ms
SECONDS = 60  # that any scenario may take

CALLED = {  # the phone's part, and how long (ms) its caller talks
    "timers_ab": 0,
    "timer_d": 0,
    "timers_ef": 500,
    "timer_k": 500,
    "timer_m": 23000,
}
CALLING = {"timers_gh": "", "timer_i": "", "timer_l": "take"}  # the caller's part, and that of the called


@dataclass(frozen=True)
class Phone:
    """A line and where it is."""

    account: Account
    host: str


@dataclass(frozen=True)
class Packet:
    """A SIP message on the edge's side of the link. `seconds` since 1970."""

    seconds: float
    data: bytes

    @property
    def first(self) -> str:
        """Its method, or its status code."""
        words = self.data.split(b" ", 2)
        return (words[1] if words[0] == b"SIP/2.0" else words[0]).decode()

    @property
    def method(self) -> str:
        """The method in its CSeq."""
        return self.header("CSeq").split()[1]

    def header(self, name: str) -> str:
        """The first with this name."""
        start = name.lower().encode() + b":"
        lines = self.data.split(b"\r\n")
        return next(line[len(start) :] for line in lines if line.lower().startswith(start)).decode().strip()


class Wire:
    """What went to and fro between the edge and each phone."""

    def __init__(self, path: Path, edge: tuple[str, int]) -> None:
        self._sent: dict[str, list[Packet]] = {}
        self._came: dict[str, list[Packet]] = {}
        here = socket.inet_aton(edge[0]), edge[1]
        for seconds, source, target, payload in datagrams(path.read_bytes()):
            if here in (source, target) and len(payload) > 20:
                book, other = (self._sent, target) if source == here else (self._came, source)
                book.setdefault(socket.inet_ntoa(other[0]), []).append(Packet(seconds, payload))

    def sent(self, host: str, first: str, method: str) -> list[Packet]:
        """By the edge: the requests or answers `first` of a transaction with `method`."""
        return [p for p in self._sent.get(host, []) if (p.first, p.method) == (first, method)]

    def came(self, host: str, first: str, method: str) -> list[Packet]:
        """To the edge."""
        return [p for p in self._came.get(host, []) if (p.first, p.method) == (first, method)]


class Stage:
    """The appliance, the phones, and what sipp plays with them: the parts for the timers all at once."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory, self._stack = directory, stack
        self.link = stack.enter_context(Link(IMPAIRMENT))
        self.appliance = stack.enter_context(Appliance(directory, link=self.link))
        self.capture = stack.enter_context(Capture(directory, self.appliance))
        roles = [
            *CALLED,
            *(f"caller of {name}" for name in CALLED),
            *CALLING,
            *(f"called by {name}" for name in CALLING),
        ]
        roles += [
            "timer_j",
            *(f"{side} {number}" for side in ("calling", "called") for number in range(PAIRS)),
        ]
        self.phones = {role: self._phone(number) for number, role in enumerate(roles)}
        registered = [
            role for role in roles if not role.startswith("called by") or role == "called by timer_l"
        ]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._register, (self.phones[role] for role in registered if role != "timer_j")))
        self.parties: dict[str, Party] = {}

    def _phone(self, number: int) -> Phone:
        mac = f"0015650020{number:02x}"
        self.appliance.adopt(mac)
        return Phone(self.appliance.account(mac), self.appliance.new_host())

    def _register(self, phone: Phone) -> None:
        sipp.register(self._directory, self.appliance, phone.account, phone.host)

    def play(self, role: str, scenario: str, callee: str = "", talk: int = TALK, calls: int = 1) -> Party:
        """A phone's part."""
        phone = self.phones[role]
        arguments = ["-au", phone.account.auth_user, "-ap", phone.account.password, "-l", "1"]
        if callee:
            arguments += ["-key", "callee", self.phones[callee].account.user]
        party = Party(
            self._directory, f"loss/{scenario}", phone.host, self.appliance,
            number=phone.account.user, calls=calls, seconds=SECONDS, arguments=arguments, TALK=str(talk),
        )  # fmt: skip
        self._stack.callback(party.stop)
        self.parties[role] = party
        return party

    def timers(self) -> None:
        """Begin all parts of the timers."""
        for name in CALLED:
            self.play(name, name).listening()
        for name, talk in CALLED.items():
            self.play(f"caller of {name}", "dial", name, talk)
        for name, called in CALLING.items():
            if called:
                self.play(f"called by {name}", called).listening()
            self.play(name, name, f"called by {name}")
        self.play("timer_j", "timer_j")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    needs_capture()
    needs_link()
    with ExitStack() as stack:
        stage = Stage(tmp_path_factory.mktemp("loss"), stack)
        stage.timers()
        yield stage


def test_thirty_whole_calls(stage: Stage) -> None:
    callees = [stage.play(f"called {n}", "take", calls=CALLS).listening() for n in range(PAIRS)]
    callers = [stage.play(f"calling {n}", "whole", f"called {n}", calls=CALLS) for n in range(PAIRS)]
    for party in (*callers, *callees):
        party.finish(SECONDS)
    users = {stage.phones[f"calling {n}"].account.user for n in range(PAIRS)}
    ended = [
        e["data"]
        for e in stage.appliance.edge.events
        if e["event"] == "call" and e["data"]["state"] == "ended"
    ]
    answered = [call for call in ended if call["from"] in users and call["answered"]]
    assert len(answered) == PAIRS * CALLS
    assert {call["outcome"] for call in answered} == {"ended"}


@pytest.fixture(scope="module")
def wire(stage: Stage) -> Wire:
    """All that the timers' parts sent and got, when the last of them is through."""
    for party in stage.parties.values():
        party.finish(SECONDS)
    until(lambda: not stage.appliance.calls(), "no call is left", 40, stage.appliance.tail)
    stage.capture.stop()
    return Wire(stage.capture.path, (stage.appliance.host, stage.appliance.port))


def repeated(packets: list[Packet], gaps: list[float]) -> None:
    """They are one message, sent with about these `gaps`."""
    assert len({packet.data for packet in packets}) == 1
    found = [after.seconds - before.seconds for before, after in pairwise(packets)]
    assert len(found) == len(gaps), found
    assert all(gap / LATE < real < gap * LATE for real, gap in zip(found, gaps, strict=True)), found


def test_the_link_was_as_bad_as_it_should_be(stage: Stage, wire: Wire) -> None:
    seen = stage.link.seen
    print(dict(seen))
    assert 0.02 < seen["lost"] / seen["packets"] < 0.1
    assert seen["duplicated"] > 0
    assert seen["overtaken"] > 0


def test_a_and_b(stage: Stage, wire: Wire) -> None:
    invites = wire.sent(stage.phones["timers_ab"].host, "INVITE", "INVITE")
    repeated(invites, DOUBLING)
    caller = wire.sent(stage.phones["caller of timers_ab"].host, "480", "INVITE")
    assert caller


def test_d(stage: Stage, wire: Wire) -> None:
    host = stage.phones["timer_d"].host
    refusals, acks = wire.came(host, "486", "INVITE"), wire.sent(host, "ACK", "ACK")
    first = refusals[0].seconds
    within = [packet for packet in refusals if packet.seconds - first < 31]
    assert len(within) >= 3
    assert len(acks) == len(within)
    assert len({ack.data for ack in acks}) == 1
    (invite, *_) = wire.sent(host, "INVITE", "INVITE")
    assert acks[0].header("Via") == invite.header("Via")


def test_e_and_f(stage: Stage, wire: Wire) -> None:
    repeated(wire.sent(stage.phones["timers_ef"].host, "BYE", "BYE"), CAPPED)


def test_g_and_h(stage: Stage, wire: Wire) -> None:
    repeated(wire.sent(stage.phones["timers_gh"].host, "480", "INVITE"), CAPPED)


def test_i(stage: Stage, wire: Wire) -> None:
    host = stage.phones["timer_i"].host
    refusals = wire.sent(host, "480", "INVITE")
    ack = next(p for p in wire.came(host, "ACK", "ACK") if p.header("CSeq") == "2 ACK")
    assert len(refusals) >= 3
    assert all(packet.seconds < ack.seconds + 0.1 for packet in refusals)
    late = [p for p in wire.came(host, "INVITE", "INVITE") if p.seconds > ack.seconds]
    assert late


def test_j(stage: Stage, wire: Wire) -> None:
    host = stage.phones["timer_j"].host
    asked = [p for p in wire.came(host, "REGISTER", "REGISTER") if p.header("CSeq") == "2 REGISTER"]
    answers = wire.sent(host, "200", "REGISTER")
    assert len(asked) >= 3
    assert len(answers) == len(asked)
    assert len({answer.data for answer in answers}) == 1


def test_k(stage: Stage, wire: Wire) -> None:
    host = stage.phones["timer_k"].host
    answers = wire.came(host, "200", "BYE")
    assert len(answers) >= 3
    assert all(bye.seconds < answers[0].seconds + 0.1 for bye in wire.sent(host, "BYE", "BYE"))


def test_l(stage: Stage, wire: Wire) -> None:
    host = stage.phones["timer_l"].host
    repeated(wire.sent(host, "200", "INVITE"), CAPPED)
    (bye, *_) = wire.sent(host, "BYE", "BYE")
    assert bye.seconds - wire.sent(host, "200", "INVITE")[0].seconds > 64 * T1 / LATE


def test_m(stage: Stage, wire: Wire) -> None:
    host = stage.phones["timer_m"].host
    answers, acks = wire.came(host, "200", "INVITE"), wire.sent(host, "ACK", "ACK")
    assert len(answers) >= 4
    assert len(acks) == len(answers)
    assert len({ack.data for ack in acks}) == 1


def test_nothing_is_left(stage: Stage, wire: Wire) -> None:
    status = stage.appliance.edge.call("status")
    assert status["calls"] == []
    assert status["bans"] == []
    counters = status["counters"]
    print(counters)
    assert counters["malformed"] == 0
    assert not {name for name in counters if name.startswith(("dropped", "refused"))}, counters
    judge(stage.capture.path, [stage.appliance.port])
