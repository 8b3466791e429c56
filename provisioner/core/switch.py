"""The demo core's own switch, for way `core`: it stands between the practice and the public network.

What the practice calls goes to the public network of `core.py`. Calls to the practice are led through here, so
that whoever takes one can transfer it by keypad: the menus are played here, by the machine that the edge uses too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Literal

from provisioner.core import network
from provisioner.core.audio import Audio
from provisioner.core.bridge import Bridge
from provisioner.core.line import Dialling, Line, Listener
from provisioner.dialing.classify import Plan, classify
from provisioner.errors import PeerError
from provisioner.sip.agent import Agent
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Header
from provisioner.sip.session import Session
from provisioner.sip.transaction import ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport

KEPT = 200  # calls that are remembered
NO_MAILBOX: Header = ("reject-contact", '*;actor="msg-taker"')  # RFC 3841 9.2

Address = tuple[str, int]


class Switch:
    """`practice`: where the edge listens, or the proxy before it. `public`: where outside numbers are called.

    `outbound` takes the calls of the practice, `caller_of` says who makes one; `on_change` gets each row that changed.
    """

    def __init__(
        self,
        rng: Random,
        practice: Address | None,
        public: Address,
        outbound: Callable[[Session], None],
        caller_of: Callable[[Any], str],
        on_change: Callable[[dict[str, Any]], None],
        on_hangup: Literal["complete", "recall"] = "complete",
    ) -> None:
        self.practice, self.public = practice, public
        self.on_hangup: Literal["complete", "recall"] = on_hangup
        self.address: Address = ("", 0)
        self.bridges: deque[Bridge] = deque(maxlen=KEPT)
        self.agent: Agent
        self._own = public  # of the public network that is ours, wherever `public` leads now
        self._rng = rng
        self._outbound, self._caller_of, self._on_change = outbound, caller_of, on_change
        self._transport = SipTransport()
        self._audio: Audio

    async def open(self, host: str, port: int) -> Address:
        """Listen for SIP. Raises OperatorError when the port is taken."""
        classify(
            "2125550100", "transfer", Plan()
        )  # the library reads its tables now, not in the midst of audio
        self._audio = Audio(self._rng)
        self.address = await self._transport.open(host, port)
        timers = LoopTimers(asyncio.get_running_loop())
        transport = self._transport
        self.agent = Agent(self, timers, self._rng, transport.send, transport.connect, "Demo-Core")
        transport.agent = self.agent
        return self.address

    def close(self) -> None:
        """Hang up all calls, and free the sockets."""
        for bridge in list(self.bridges):
            bridge.hangup()
        self._audio.close()
        self._transport.close()

    def changed(self, bridge: Bridge) -> None:
        """A call has changed."""
        self._on_change(bridge.view())

    def on_request(self, transaction: ServerTransaction) -> None:
        """OPTIONS is how the edge sees that we are there."""
        known = transaction.request.method == "OPTIONS"
        transaction.reply(200 if known else 405, "", self.agent.abilities)

    def on_invite(self, session: Session) -> None:
        """A call of the practice, or one for it."""
        remote = session.flow.remote
        if self.practice and remote[0] == self.practice[0] and remote != self._own:
            self._outbound(session)
            return
        try:
            number = network.e164(Uri.parse(session.invite.uri).dialled)
        except PeerError as error:
            session.reject(error.status)
            return
        bridge = Bridge(self, session, self._caller_of(session.invite), number)
        self.bridges.append(bridge)
        bridge.begin()

    def line(self, remote: str, listener: Listener) -> Line:
        """A line towards `remote`. Raises OSError when no audio port is free."""
        return Line(self.agent, self._audio, self._transport.local_host(remote), listener)

    def dial(self, number: str, calling: str, listener: Listener, outside: bool) -> Line:
        """Call the practice, or a number `outside`, where no mailbox may answer.

        Raises OSError when there is nowhere to call, or no audio port.
        """
        where = self.public if outside else self.practice
        if where is None:
            raise OSError("no practice to call")
        line = self.line(where[0], listener)
        from_ = NameAddr(Uri("sip", *self.address, user=calling))
        headers = [("p-asserted-identity", str(from_)), *([NO_MAILBOX] if outside else [])]
        to = Uri("sip", *where, user=number)
        flow = self._transport.connect("UDP", where)
        line.call(Dialling(str(to), flow, from_, NameAddr(to), tuple(headers)))
        return line
