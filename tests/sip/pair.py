"""Two agents on one virtual wire and one virtual clock."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from provisioner.sip.agent import Agent
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import Event, Session
from provisioner.sip.timers import Timers
from provisioner.sip.transaction import Flow, ServerTransaction


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Party:
    """An application that records; `on_call` decides what becomes of an INVITE."""

    def __init__(self, wire: Wire, address: tuple[str, int], reliable: bool) -> None:
        self.wire = wire
        self.address = address
        self.transport = "TCP" if reliable else "UDP"
        self.timers = Timers(wire.clock)
        self.events: list[Event] = []
        self.sessions: list[Session] = []
        self.requests: list[ServerTransaction] = []
        self.on_call: Callable[[Session], None] = lambda session: None
        self.agent = Agent(self, self.timers, random.Random(address[1]), self.send, self.connect, "test")
        self.media = MediaSession(address[0], 4000, 1)

    def send(self, flow: Flow, data: bytes) -> None:
        self.wire.carry(self, flow.remote, data)

    def connect(self, transport: str, remote: tuple[str, int]) -> Flow:
        return Flow(transport, self.address, remote, 0 if transport == "UDP" else 1)

    def on_invite(self, session: Session) -> None:
        session.listener = self.listen
        self.sessions.append(session)
        self.on_call(session)

    def on_request(self, transaction: ServerTransaction) -> None:
        self.requests.append(transaction)
        transaction.reply(200)

    def listen(self, session: Session, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


class Wire:
    """Carries bytes between parties, in order; `lose(n, data)` may drop the n-th message."""

    def __init__(self, reliable: bool = False) -> None:
        self.clock = Clock()
        self.lose: Callable[[int, bytes], bool] = lambda number, data: False
        self.log: list[bytes] = []
        self._queue: deque[tuple[Party, Party, bytes]] = deque()
        self.a = Party(self, ("10.0.0.1", 5060), reliable)
        self.b = Party(self, ("10.0.0.2", 5060), reliable)

    def carry(self, sender: Party, remote: tuple[str, int], data: bytes) -> None:
        self.log.append(data)
        receiver = self.a if remote == self.a.address else self.b
        assert remote == receiver.address
        if not self.lose(len(self.log), data):
            self._queue.append((sender, receiver, data))

    def run(self) -> None:
        """Deliver all that is under way."""
        while self._queue:
            sender, receiver, data = self._queue.popleft()
            receiver.agent.receive(data, receiver.connect(receiver.transport, sender.address))

    def pass_time(self, seconds: float) -> None:
        """Let the clock run, firing each timer at its own time."""
        end = self.clock.now + seconds
        while True:
            self.run()
            due = [when for party in (self.a, self.b) if (when := party.timers.deadline()) is not None]
            if not due or min(due) > end:
                break
            self.clock.now = max(self.clock.now, min(due))
            self.a.timers.fire()
            self.b.timers.fire()
        self.clock.now = end

    def starts(self) -> list[str]:
        """Start lines of all that was sent."""
        return [data.split(b"\r\n")[0].decode() for data in self.log]
