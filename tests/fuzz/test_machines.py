"""Two agents, a bad wire and restless users: whatever happens in whatever order, all of it ends."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from provisioner.errors import PeerError
from provisioner.sip.session import Event, Offered, Session
from tests.sip.lone import ME, YOU
from tests.sip.pair import Party, Wire

CALLS = 4  # a party's, at most
TABLE = 400  # more transactions than the rules can make within their time would be a leak


class BadWire(Wire):
    """Carries nothing by itself: what is under way is delivered, lost or doubled as the rules say."""

    def __init__(self, reliable: bool) -> None:
        super().__init__(reliable)
        self.under_way: list[tuple[Party, Party, bytes]] = []

    def carry(self, sender: Party, remote: tuple[str, int], data: bytes) -> None:
        receiver = self.a if remote == self.a.address else self.b
        self.under_way.append((sender, receiver, data))

    def deliver(self, which: int, keep: bool = False) -> None:
        sender, receiver, data = self.under_way[which]
        if not keep:
            del self.under_way[which]
        receiver.agent.receive(data, receiver.connect(receiver.transport, sender.address))


class Calls(RuleBasedStateMachine):
    """Rules are what a wire does, what time does, and what users do."""

    @initialize(reliable=st.booleans(), ringing=st.booleans())
    def begin(self, reliable: bool, ringing: bool) -> None:
        self.wire = BadWire(reliable)
        self.reliable = reliable
        self.offers: list[tuple[Session, Offered]] = []
        for party in (self.wire.a, self.wire.b):
            party.listen = self._listen
            party.on_call = (lambda session: session.progress(180)) if ringing else (lambda session: None)
        self.made: list[Session] = []

    def _listen(self, session: Session, event: Event) -> None:
        if isinstance(event, Offered):
            self.offers.append((session, event))

    def _sessions(self) -> list[Session]:
        return [*self.wire.a.sessions, *self.wire.b.sessions, *self.made]

    def _one(self, which: int, *states: str) -> Session | None:
        found = [session for session in self._sessions() if session.state in states]
        return found[which % len(found)] if found else None

    # the wire

    @rule(which=st.integers(0, 3))
    def deliver(self, which: int) -> None:
        if self.wire.under_way:  # an order other than that of sending is what UDP may do
            self.wire.deliver(0 if self.reliable else which % len(self.wire.under_way))

    @rule()
    def deliver_all(self) -> None:
        for _ in range(40):
            if self.wire.under_way:
                self.wire.deliver(0)

    @rule(which=st.integers(0, 9))
    def lose(self, which: int) -> None:
        if self.wire.under_way and not self.reliable:
            del self.wire.under_way[which % len(self.wire.under_way)]

    @rule(which=st.integers(0, 9))
    def double(self, which: int) -> None:
        if self.wire.under_way and not self.reliable:
            self.wire.deliver(which % len(self.wire.under_way), keep=True)

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0, 5.0, 33.0, 182.0]))
    def wait(self, seconds: float) -> None:
        end = self.wire.clock.now + seconds
        parties = (self.wire.a, self.wire.b)
        while due := [when for p in parties if (when := p.timers.deadline()) is not None and when <= end]:
            self.wire.clock.now = max(self.wire.clock.now, min(due))
            for party in parties:
                party.timers.fire()
        self.wire.clock.now = end

    @rule(side=st.booleans())
    def break_off(self, side: bool) -> None:
        """The transport says that nothing can be delivered."""
        party, other = (self.wire.a, self.wire.b) if side else (self.wire.b, self.wire.a)
        party.agent.transactions.transport_failed(party.connect(party.transport, other.address))

    # the users

    @rule(side=st.booleans(), offer=st.booleans())
    def call(self, side: bool, offer: bool) -> None:
        party, other = (self.wire.a, self.wire.b) if side else (self.wire.b, self.wire.a)
        if len(self.made) < 2 * CALLS:
            flow = party.connect(party.transport, other.address)
            body = party.media.offer() if offer else b""
            uri = f"sip:bob@{other.address[0]}"
            self.made.append(party.agent.invite(uri, flow, ME, YOU, body, party.listen))

    @rule(side=st.booleans())
    def talk(self, side: bool) -> None:
        """A call that is taken, while the wire is good."""
        if len(self.made) < 2 * CALLS:
            self.call(side, offer=True)
            self.deliver_all()
            for session in self._sessions():
                if session.state == "incoming":
                    self.accept(0)
            self.deliver_all()

    @rule(which=st.integers(0, 9), early=st.booleans())
    def ring(self, which: int, early: bool) -> None:
        if session := self._one(which, "incoming"):
            media = session.agent.application.media
            session.progress(183, media.answer(session.offer) if early and session.offer else b"")

    @rule(which=st.integers(0, 9))
    def accept(self, which: int) -> None:
        if session := self._one(which, "incoming"):
            media = session.agent.application.media
            session.accept(media.answer(session.offer) if session.offer else media.offer())

    @rule(which=st.integers(0, 9), status=st.sampled_from([404, 486, 503, 603]))
    def refuse(self, which: int, status: int) -> None:
        if session := self._one(which, "incoming"):
            session.reject(status)

    @rule(which=st.integers(0, 9))
    def hang_up(self, which: int) -> None:
        if session := self._one(which, "incoming", "calling", "up"):
            session.hangup()

    @rule(
        which=st.integers(0, 9),
        method=st.sampled_from(["INFO", "UPDATE", "OPTIONS", "BYE", "PRACK", "REFER"]),
    )
    def ask(self, which: int, method: str) -> None:
        """A request in the dialog, at a time that need not be right."""
        session = self._one(which, "incoming", "up")
        if session and session.dialog:
            request = session.dialog.request(method)
            if method == "UPDATE":
                request.headers.append(("content-type", "application/sdp"))
                request.body = session.agent.application.media.offer("sendonly")
            session.agent.request_in(session.dialog, request)

    @rule(which=st.integers(0, 9), good=st.booleans())
    def answer(self, which: int, good: bool) -> None:
        """What was offered inside a call."""
        if self.offers:
            session, offered = self.offers.pop(which % len(self.offers))
            try:
                if good:
                    session.answer(offered.transaction, session.agent.application.media.answer(offered.sdp))
                else:
                    offered.transaction.reply(488)
            except PeerError as error:
                offered.transaction.reply(error.status)

    # what always holds

    @invariant()
    def tables_are_bounded(self) -> None:
        if hasattr(self, "wire"):
            for party in (self.wire.a, self.wire.b):
                layer = party.agent.transactions
                assert len(layer.clients) + len(layer.servers) < TABLE
                assert len(party.agent.sessions) <= 8 * CALLS

    def teardown(self) -> None:
        """Everyone hangs up, the wire delivers all or nothing more; after a while nothing is left."""
        if not hasattr(self, "wire"):
            return
        deaf = len(self.made) % 2
        for _ in range(3):
            for session in self._sessions():
                session.hangup()
            for _ in range(200):
                while self.wire.under_way and not deaf:
                    self.wire.deliver(0)
                self.wire.under_way.clear()
                self.wait(2.0)
        for party in (self.wire.a, self.wire.b):
            layer = party.agent.transactions
            assert not layer.clients, [key[1] for key in layer.clients]
            assert not layer.servers, [key[-1] for key in layer.servers]
            assert not party.agent.sessions
            assert party.timers.pending() == 0


Calls.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
test_calls_end = Calls.TestCase
