"""The edge among fake phones, a fake core and fake media, on one virtual wire and one virtual clock."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from provisioner.edge.directory import Directory
from provisioner.edge.edge import EMERGENCY_RESERVE, Edge
from provisioner.errors import PeerError
from provisioner.sip.agent import Agent
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Header, Request, Response, parse
from provisioner.sip.sdp import G711, MediaSession
from provisioner.sip.session import (
    Answered,
    Ended,
    Event,
    Failed,
    Offered,
    Progress,
    Session,
    body_of,
)
from provisioner.sip.timers import Timers
from provisioner.sip.transaction import Flow, ServerTransaction
from provisioner.store import records

EDGE = ("192.0.2.1", 5060)
CORE = ("198.51.100.10", 5060)
BACKUP = ("198.51.100.20", 5060)
PATIENT = "+12065550142"
OUTSIDE = "+12124567890"
MAIN = "+14155550100"
OF_CALLS = {
    f"provisioner.edge.{name}"
    for name in ("announce", "call", "click", "emergency", "features", "leg", "release", "rung")
}
EXTENSIONS = ("101", "102", "103")
MACS = {extension: f"0004f2000{extension}" for extension in EXTENSIONS}
CIVIC = {"country": "US", "A1": "CA", "A3": "Oakland", "RD": "Main", "STS": "Street", "HNO": "1", "FLR": "2"}


def number_of(extension: str) -> str:
    return f"+14155550{extension}"


def practice(**changes: Any) -> records.Snapshot:
    """The demo practice: three phones with a number each, a main number that rings all, a trunk."""
    numbers = [
        records.Number(
            id=number_of(extension),
            label=f"Desk {extension}",
            extension=extension,
            location="main",
            address_status="registered",
        )
        for extension in EXTENSIONS
    ]
    main = records.Number(id=MAIN, label="Reception", ring_group="all", location="main")
    phones = {
        MACS[extension]: records.Phone(
            id=MACS[extension],
            vendor="polycom",
            model="VVX 411",
            location="main",
            lines=(records.Line(extension=extension, number=number_of(extension), name=f"Room {extension}"),),
        )
        for extension in EXTENSIONS
    }
    accounts = {
        mac: records.Credential(
            id=mac,
            lines=(records.LineCredential(auth_user=f"user{extension}", password=f"secret{extension}"),),
        )
        for extension, mac in MACS.items()
    }
    whole: dict[str, Any] = {
        "revision": 1,
        "practice": records.Practice(id="practice", name="Demo", main_number=MAIN),
        "locations": {"main": records.Location(id="main", name="Main building", civic=CIVIC)},
        "numbers": {number.id: number for number in (*numbers, main)},
        "phones": phones,
        "ring_groups": {"all": records.RingGroup(id="all", name="All", members=EXTENSIONS)},
        "trunks": {"core": records.Trunk(id="core", uri=f"sip:{CORE[0]}:{CORE[1]}", profile="stand-in")},
        "credentials": accounts,
    }
    return records.Snapshot(**{**whole, **changes})


class FakeLeg:
    """A media leg that keeps the documents it was put."""

    def __init__(self, name: str, port: int) -> None:
        self.id = name
        self.port = port
        self.document: dict[str, Any] = {"source": None, "take": "", "send": True}
        self.dropped = False
        self.stats: dict[str, Any] | None = None  # what media tells of it when it is dropped
        self.pressed: list[tuple[str, int]] = []  # what signalling told of

    def put(self, **changes: Any) -> None:
        if not self.dropped:
            self.document.update(changes)

    def press(self, digit: str, milliseconds: int) -> None:
        self.pressed.append((digit, milliseconds))

    def drop(self, then: Callable[[dict[str, Any] | None], None] | None = None) -> None:
        if not self.dropped:
            self.dropped = True
            if then:
                then(self.stats)


class FakeMedia:
    """Hands out media legs, at most `capacity` at a time."""

    def __init__(self) -> None:
        self.legs: list[FakeLeg] = []
        self.capacity = 1000

    @property
    def open(self) -> list[FakeLeg]:
        return [leg for leg in self.legs if not leg.dropped]

    def take(self) -> FakeLeg | None:
        if len(self.open) >= self.capacity:
            return None
        number = len(self.legs)
        self.legs.append(FakeLeg(f"leg{number}", 20000 + 2 * number))
        return self.legs[-1]


class Talk:
    """One call leg at a fake party."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.session: Session
        self.events: list[Event] = []
        keys = random.Random(1).randbytes if party.srtp else None
        self.sdp = MediaSession(
            party.address[0], party.next_port(), 1, party.codecs, random=keys, secure=party.srtp
        )

    def listen(self, session: Session, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Answered | Progress) and event.sdp and not self.sdp.negotiated:
            if self.session.invite.body:
                self.sdp.accept(event.sdp)
        elif isinstance(event, Offered):
            try:
                body = self.sdp.answer(event.sdp) if event.sdp else self.sdp.offer()
            except PeerError as error:
                event.transaction.reply(error.status)
            else:
                session.answer(event.transaction, body)

    @property
    def up(self) -> bool:
        return self.session.state == "up"

    @property
    def over(self) -> bool:
        return self.session.state == "over"

    @property
    def status(self) -> int:
        """How our call failed; 0 while it did not."""
        return next((event.status for event in self.events if isinstance(event, Failed)), 0)

    @property
    def failure(self) -> Response:
        """The response that our call failed with."""
        failed = next(event for event in self.events if isinstance(event, Failed))
        assert failed.response
        return failed.response

    @property
    def ended(self) -> Ended | None:
        """How the other side ended it."""
        return next((event for event in self.events if isinstance(event, Ended)), None)

    @property
    def invite(self) -> Request:
        return self.session.invite

    def ring(self) -> None:
        self.session.progress(180)
        self.party.world.run()

    def early(self) -> None:
        self.session.progress(183, self._answer())
        self.party.world.run()

    def answer(self) -> None:
        """Pick up."""
        self.session.accept(self._answer())
        self.party.world.run()

    def _answer(self) -> bytes:
        offer = self.session.offer
        if not self.party.events:
            offer = offer.replace(b"telephone-event", b"x-unknown")
        return self.sdp.answer(offer) if offer else self.sdp.offer()

    def refuse(self, status: int) -> None:
        self.session.reject(status)
        self.party.world.run()

    def hangup(self) -> None:
        self.session.hangup()
        self.party.world.run()

    def reinvite(self, direction: str = "", connection: str = "") -> Response:
        """Offer again with `direction`; without one, ask the edge for an offer. The final response."""
        dialog = self.session.dialog
        assert dialog
        agent = self.party.agent
        request = dialog.request("INVITE")
        if direction:
            body = self.sdp.offer(direction)  # type: ignore[arg-type]
            if connection:
                body = body.replace(f"c=IN IP4 {self.sdp.host}".encode(), f"c=IN IP4 {connection}".encode())
            request.headers.append(("content-type", "application/sdp"))
            request.body = body
        answers: list[Response] = []

        def answered(response: Response | None) -> None:
            assert response
            if response.status < 200:
                return
            answers.append(response)
            if response.status < 300:
                ack = dialog.request("ACK", request.cseq[0])
                agent.add_via(ack, self.party.flow)
                if not direction:
                    ack.headers.append(("content-type", "application/sdp"))
                    ack.body = self.sdp.answer(body_of(response))
                agent.send(self.party.flow, ack.encode())

        agent.request_in(dialog, request, answered)
        self.party.world.run()
        return answers[0]


class Party:
    """A user agent on the wire that does what a test tells it. `on_call` sees each call that comes."""

    def __init__(self, world: World, address: tuple[str, int]) -> None:
        self.world = world
        self.address = address
        self.flow = Flow("UDP", address, EDGE)
        self.codecs: tuple[str, ...] = G711
        self.srtp = False
        self.events = True  # it takes telephone-events
        self.timers = Timers(world.clock)
        self.agent = Agent(self, self.timers, random.Random(address[0]), self.send, self.connect, "fake")
        self.calls: list[Talk] = []
        self.received: list[Request | Response] = []
        self.dead = False
        self.answers_late = True  # to an offer that comes with a 200: with an answer in the ACK
        self.on_call: Callable[[Talk], None] = lambda talk: talk.session.progress(180)
        self._port = 4000

    def next_port(self) -> int:
        self._port += 2
        return self._port

    def connect(self, transport: str, remote: tuple[str, int]) -> Flow:
        return Flow(transport, self.address, remote)

    def on_invite(self, session: Session) -> None:
        talk = Talk(self)
        talk.session = session
        session.listener = talk.listen
        self.calls.append(talk)
        self.on_call(talk)

    def on_request(self, transaction: ServerTransaction) -> None:
        transaction.reply(200)

    def dial(
        self,
        uri: str,
        from_: str,
        headers: list[Header] | None = None,
        offer: bool = True,
        account: tuple[str, str] | None = None,
    ) -> Talk:
        """Call `uri` through the edge."""
        talk = Talk(self)
        self.calls.append(talk)
        body = talk.sdp.offer() if offer else b""
        talk.session = self.agent.invite(
            uri,
            self.flow,
            NameAddr.parse(from_),
            NameAddr(Uri.parse(uri)),
            body,
            talk.listen,
            headers,
            credentials=(lambda _realm: account) if account else None,
        )
        self.world.run()
        return talk

    def receive(self, data: bytes) -> None:
        self.received.append(parse(data))
        self.agent.receive(data, self.flow)

    def send(self, flow: Flow, data: bytes) -> None:
        """Put bytes on the wire; an ACK of a 200 that held an offer gets its answer (RFC 3264 4)."""
        if data.startswith(b"ACK "):
            message = parse(data)
            talk = next((t for t in self.calls if t.session.invite.call_id == message.call_id), None)
            last = self.received[-1]
            ours = talk and not talk.session.incoming and not talk.session.invite.body
            if talk and ours and self.answers_late and last.call_id == message.call_id and last.body:
                message.body = talk.sdp.answer(last.body)
                message.headers.append(("content-type", "application/sdp"))
                data = message.encode()
        self.world.carry(self.address, flow.remote, data)

    def requests(self, method: str) -> list[Request]:
        """What the edge sent here, repeats included."""
        return [m for m in self.received if isinstance(m, Request) and m.method == method]


class Phone(Party):
    """A desk phone with its account."""

    def __init__(self, world: World, extension: str) -> None:
        super().__init__(world, (f"10.0.0.{extension}", 5060))
        self.extension = extension
        self.account = (f"user{extension}", f"secret{extension}")
        self._call_id = self.agent.new_tag()
        self._seq = 0

    def register(
        self,
        account: tuple[str, str] | None = None,
        aor: str = "",
        expires: int | None = 3600,
        contact: str = "",
        headers: list[Header] | None = None,
    ) -> Response:
        """REGISTER, challenge answered; the final response."""
        me = NameAddr(Uri("sip", EDGE[0], EDGE[1], aor or self.extension))
        known = account or self.account
        request = self.agent.new_request("REGISTER", f"sip:{EDGE[0]}", me, me, headers or [])
        request.set("call-id", self._call_id)
        request.set("cseq", f"{self._seq + 1} REGISTER")
        request.set("contact", contact or f"<sip:{self.extension}@{self.address[0]}:{self.address[1]}>")
        if expires is not None:
            request.set("expires", str(expires))
        responses: list[Response | None] = []
        self.agent.request(request, self.flow, responses.append, lambda _realm: known)
        self.world.run()
        self._seq += 2
        assert isinstance(responses[-1], Response)
        return responses[-1]

    def call(self, number: str, **more: Any) -> Talk:
        """Dial, with the digest that the edge asks for."""
        uri = number if ":" in number else f"sip:{number}@{EDGE[0]}"
        me = more.pop("from_", f"<sip:{self.extension}@{EDGE[0]}>")
        return self.dial(uri, me, account=more.pop("account", self.account), **more)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """All of it. `press`, `hears` and `prompt_ends` stand for what media does."""

    def __init__(self, snapshot: records.Snapshot | None = None) -> None:
        self.clock = Clock()
        self.parties: dict[tuple[str, int], Party] = {}
        self._queue: deque[tuple[tuple[str, int], tuple[str, int], bytes]] = deque()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.rows: list[tuple[str, dict[str, Any]]] = []
        self.passed_on: list[str] = []
        self.media = FakeMedia()
        self.over_tls: set[tuple[str, int]] = set()
        self.lose: Callable[[], bool] = lambda: False
        self.timers = Timers(self.clock)
        rng = random.Random(7)
        self.edge = Edge(
            Directory(snapshot or practice()),
            self.timers,
            rng,
            self.media,  # type: ignore[arg-type]
            lambda: 1.7e9 + self.clock.now,
            lambda name, data: self.events.append((name, data)),
            lambda table, row: self.rows.append((table, row)),
            b"key",
        )
        self.edge.agent = Agent(
            self.edge,
            self.timers,
            rng,
            lambda flow, data: self.carry(EDGE, flow.remote, data),
            lambda transport, remote, _name="": Flow(transport, EDGE, remote),
            "Edge",
        )
        self.edge.trunks.update(self.edge.directory.trunks)
        self.phones = {extension: self.add(Phone(self, extension)) for extension in EXTENSIONS}
        self.core = self.add(Party(self, CORE))
        self.backup = self.add(Party(self, BACKUP))

    def add(self, party: Any) -> Any:
        self.parties[party.address] = party
        return party

    def carry(self, sender: tuple[str, int], receiver: tuple[str, int], data: bytes) -> None:
        if not self.lose():
            self._queue.append((sender, receiver, data))

    def register_all(self) -> None:
        for phone in self.phones.values():
            assert phone.register().status == 200

    # the wire and the clock

    def run(self) -> None:
        """Deliver all that is under way."""
        while self._queue:
            sender, receiver, data = self._queue.popleft()
            if receiver == EDGE:
                if not self.parties[sender].dead:
                    transport = "TLS" if sender in self.over_tls else "UDP"
                    self.edge.agent.receive(data, Flow(transport, EDGE, sender))
            elif not self.parties[receiver].dead:
                self.parties[receiver].receive(data)

    def pass_time(self, seconds: float) -> None:
        """Let the clock run, firing each timer at its own time."""
        self.pass_to(self.clock.now + seconds)

    def pass_to(self, end: float) -> None:
        """The same, until that time of the clock."""
        everyone = [self.timers, *(party.timers for party in self.parties.values())]
        while True:
            self.run()
            due = [when for timers in everyone if (when := timers.deadline()) is not None]
            if not due or min(due) > end:
                break
            self.clock.now = max(self.clock.now, min(due))
            for timers in everyone:
                timers.fire()
        self.clock.now = end
        self.run()

    # media

    def leg_of(self, talk: Talk) -> FakeLeg:
        """The edge's media leg that this party sends to."""
        assert talk.sdp.negotiated
        port = talk.sdp.negotiated.remote[1]
        return next(leg for leg in self.media.legs if leg.port == port)

    def talks(self) -> Iterator[Talk]:
        for party in self.parties.values():
            yield from party.calls

    def hears(self, talk: Talk) -> Any:
        """The Talk whose voice this one hears, the names of what it is played, or None."""
        leg = self.leg_of(talk)
        source = leg.document["source"]
        if leg.dropped or not leg.document["send"] or source is None:
            return None
        host, port = leg.document["remote"]
        assert (host, port) == (talk.sdp.host, talk.sdp.port)
        if "play" in source:
            return " ".join(source["play"])
        for other in self.talks():
            if other.sdp.negotiated and self.leg_of(other).id == source["leg"]:
                return None if self.leg_of(other).dropped or other.over else other
        return None

    def press(self, talk: Talk, keys: str) -> None:
        """Keys of a party: media keeps those that it was told to take."""
        for key in keys:
            leg = self.leg_of(talk)
            take = leg.document["take"]
            if take == "all" or take == key:
                self.edge.on_media("digit", {"leg": leg.id, "digit": key, "source": "rfc4733"})
            else:
                self.passed_on.append(key)
            self.run()

    def prompt_ends(self, talk: Talk) -> None:
        """Media has played to the end."""
        leg = self.leg_of(talk)
        source = leg.document["source"]
        if source and "play" in source and not source["loop"]:
            self.edge.on_media("played", {"leg": leg.id, "token": source["token"]})
            self.run()

    # calls

    def inbound(self, to: str = MAIN, caller: str = PATIENT, **more: Any) -> Talk:
        """The core brings a patient's call."""
        who = f'"Jane Patient" <sip:{caller}@{CORE[0]}>'
        headers = [("p-asserted-identity", who), *more.pop("headers", [])]
        return self.core.dial(f"sip:{to}@{EDGE[0]}", who, headers=headers, **more)

    def ringing(self, extension: str) -> Talk:
        """The last call that a phone got."""
        talk: Talk = self.phones[extension].calls[-1]
        return talk

    def states(self) -> list[str]:
        """States of the calls that are on."""
        return [call.view()["state"] for call in self.edge.calls.values()]

    def outcome(self) -> str:
        """How the last call ended."""
        return next(str(row["outcome"]) for table, row in reversed(self.rows) if table == "calls")

    # the end

    def end(self) -> None:
        """All hang up; time goes on until nothing can be under way."""
        for talk in list(self.talks()):
            talk.session.hangup()
        self.run()
        self.assert_no_timer_of_the_dead()
        self.pass_time(300)

    def assert_no_timer_of_the_dead(self) -> None:
        """No timer of what is over; without a call none of those that calls set."""
        for _, _, timer in self.timers._heap:
            if timer.callback:
                assert not getattr(getattr(timer.callback, "__self__", None), "over", False)
                assert self.edge.calls or timer.callback.__module__ not in OF_CALLS

    def assert_nothing_left(self) -> None:
        edge = self.edge
        assert edge.calls == {}
        assert edge.media_owners == {}
        assert edge.records.pending == 0
        assert edge.agent.sessions == {}
        assert edge.agent.transactions.clients == {}
        assert edge.agent.transactions.servers == {}
        assert self.timers.pending() == 0
        assert len(self.media.open) <= EMERGENCY_RESERVE
        assert edge.agent.transactions.malformed == 0


Make = Callable[..., World]
