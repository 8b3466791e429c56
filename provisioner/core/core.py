"""The stand-in cloud core: the public network, its emergency centre and the provider API."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from provisioner.core import location, network
from provisioner.core.call import Call
from provisioner.core.network import Behaviour
from provisioner.errors import PeerError, ProvisionerError
from provisioner.logs import mask
from provisioner.media import prompts
from provisioner.sip.agent import Agent
from provisioner.sip.headers import NameAddr, Uri, join_host, split_host, split_list
from provisioner.sip.message import Request
from provisioner.sip.session import Session
from provisioner.sip.transaction import ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport

Json = dict[str, Any]

KEPT = 500  # calls that the record holds
MAX_CALLS = 200  # at once; the demo needs three
DOMAIN = "core.example"

_log = logging.getLogger(__name__)


def calling_number(invite: Request) -> str:
    """Who calls: P-Asserted-Identity, a tel URI first, else From (RFC 3325 9.1)."""
    asserted = [each for value in invite.all("p-asserted-identity") for each in split_list(value)]
    for text in [*asserted, invite.get("from")]:
        try:
            user = NameAddr.parse(text).uri.dialled
        except PeerError:
            continue
        if user:
            return network.e164(user)
    return ""


class Core:
    """The core. `edge`: the SIP address of the trunk's other end. `on_call` gets each row that changed.

    `pace` multiplies how long people take: they ring, talk and read at 1.
    """

    def __init__(
        self,
        rng: Random,
        edge: tuple[str, int] | None = None,
        on_call: Callable[[Json], None] = lambda row: None,
        pace: float = 1.0,
    ) -> None:
        self.edge = edge
        self.address: tuple[str, int] = ("", 0)
        self.active: dict[str, Call] = {}
        self.addresses: dict[str, Json] = {}
        self._rng = rng
        self._pace = pace
        self._on_call = on_call
        self._record: deque[Call] = deque(maxlen=KEPT)
        self._transport = SipTransport()
        self._tasks: set[asyncio.Task[None]] = set()
        self._agent: Agent

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen for SIP. Raises OperatorError when the port is taken."""
        timers = LoopTimers(asyncio.get_running_loop())
        self.address = await self._transport.open(host, port)
        send, connect = self._transport.send, self._transport.connect
        self._agent = Agent(self, timers, self._rng, send, connect, "Demo-Core")
        self._transport.agent = self._agent
        return self.address

    async def close(self, seconds: float = 1.0) -> None:
        """Hang up all calls, give their BYEs `seconds` to be answered, and free the sockets."""
        for call in list(self.active.values()):
            call.hangup("the core stops")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        waiting, clock = self._agent.transactions.clients, self._agent.timers.clock
        limit = clock() + seconds
        while clock() < limit and any(  # noqa: ASYNC110  the transactions have no event for it
            one.state in ("trying", "proceeding") for one in waiting.values()
        ):
            await asyncio.sleep(0.01)
        self._transport.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            _log.error("a call failed", exc_info=task.exception())

    def _new_call(self, from_: str, to: str, kind: network.Kind, remote: str) -> Call:
        host = self._transport.local_host(remote)
        call = Call(self._agent.new_tag(), from_, to, kind, host, self._rng, self._changed)
        self.active[call.id] = call
        self._record.append(call)
        return call

    def _changed(self, call: Call) -> None:
        if call.over.is_set():
            self.active.pop(call.id, None)
        self._on_call(call.record())

    # calls from the practice

    def on_request(self, transaction: ServerTransaction) -> None:
        """OPTIONS is how the edge sees that we are there."""
        known = transaction.request.method == "OPTIONS"
        transaction.reply(200 if known else 405, "", self._agent.abilities)

    def on_invite(self, session: Session) -> None:
        """Find out who is called, and let them answer."""
        invite = session.invite
        try:
            dialled = Uri.parse(invite.uri).dialled
        except PeerError as error:
            session.reject(error.status)
            return
        who = network.behaviour(dialled)
        if who and any("msg-taker" in value for value in invite.all("reject-contact")):  # RFC 3841 9.2
            who = network.past_mailboxes(who)
        emergency = who is not None and who.kind in ("emergency", "emergency-test")
        if who is None or (len(self.active) >= MAX_CALLS and not emergency):
            session.reject(404 if who is None else 503)
            return
        call = self._new_call(calling_number(invite), network.e164(dialled), who.kind, session.flow.remote[0])
        call.session = session
        session.listener = call.on_event
        if emergency:
            call.extra = self._located(call.from_, invite)
        self._changed(call)
        _log.info("%s call from %s to %s", call.kind, mask(call.from_), mask(call.to))
        self._begin(self._answer(call, who))

    def _located(self, callback: str, invite: Request) -> Json:
        """Where the caller of 911 is: what the call says, else what is registered for its number."""
        registered = self.addresses.get(callback)
        fault = ""
        try:
            civic = location.location_of(invite)
        except PeerError as error:  # an emergency call is never refused for its location (RFC 6881 SP-33)
            civic, fault = None, str(error)
            _log.warning("the location of an emergency call cannot be read: %s", error)
        source = "pidf-lo" if civic else "registered" if registered else "none"
        found = civic or (registered["civic"] if registered else {})
        return {"callback": callback, "civic": found, "source": source, "fault": fault}

    async def _answer(self, call: Call, who: Behaviour) -> None:
        """The called side, from ringing to the end."""
        session = call.session
        assert session
        if not await call.open():
            return
        try:
            sdp = call.agree()
        except PeerError as error:
            call.reject(error.status)
            return
        if who.ring:
            session.progress(183 if who.early else 180, sdp if who.early else b"")
            if who.early:
                call.endpoint.play(["ringback"], loop=True)
            if await self._over_within(call, who.ring):
                return
        if who.refuse:
            call.reject(who.refuse)
            return
        call.accept(sdp)
        await self._speak(call, who)

    async def _speak(self, call: Call, who: Behaviour) -> None:
        says = list(who.says)
        if who.kind in ("emergency", "emergency-test"):
            says = location.read_back(says[0], call.extra["civic"], call.extra["callback"])
        elif who.kind in ("crisis", "service"):
            says += prompts.spell(call.to)
        call.endpoint.play(says, loop=who.kind in ("patient", "emergency"))
        if who.talk is None:
            await call.over.wait()
            return
        seconds = self._rng.uniform(*who.talk)
        if who.kind != "patient":  # a machine hangs up when it has said all
            seconds += sum(prompts.length(name) for name in says)
        if not await self._over_within(call, seconds):
            call.hangup()

    async def _over_within(self, call: Call, seconds: float) -> bool:
        """Whether the call ended within so many of its people's seconds."""
        try:
            async with asyncio.timeout(seconds * self._pace):
                await call.over.wait()
        except TimeoutError:
            return False
        return True

    # calls to the practice

    async def call(self, from_: str, to: str, seconds: float) -> Call:
        """A patient calls `to` and hangs up `seconds` after the answer. Raises ProvisionerError: no edge."""
        if self.edge is None:
            raise ProvisionerError(
                "the core has no edge to call; give it one with --edge-sip or the call `edge`"
            )
        call = self._new_call(from_, to, "inbound", self.edge[0])
        await call.open()
        self._begin(self._wait_and_talk(call, seconds))
        caller = NameAddr(Uri("sip", DOMAIN, user=from_), network.PATIENTS.get(from_, ""))
        target = Uri("sip", *self.edge, user=to)
        headers = [("p-asserted-identity", str(caller))]
        flow = self._transport.connect("UDP", self.edge)
        to_ = NameAddr(Uri("sip", self.edge[0], user=to))
        session = self._agent.invite(str(target), flow, caller, to_, call.offer(), call.on_event, headers)
        call.session = session
        self._changed(call)
        return call

    async def _wait_and_talk(self, call: Call, seconds: float) -> None:
        answered = asyncio.ensure_future(call.answered.wait())
        over = asyncio.ensure_future(call.over.wait())
        try:
            await asyncio.wait((answered, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered.cancel()
            over.cancel()
        if call.over.is_set():
            return
        call.endpoint.play(["patient-hello", "patient-talk"], loop=True)
        if not await self._over_within(call, seconds):
            call.hangup()

    async def live(self, main_number: str) -> None:
        """Patients call `main_number` every 25 s or so, for ever."""
        while True:
            await asyncio.sleep(self._rng.uniform(15.0, 35.0) * self._pace)
            if self.edge is None:
                continue
            patient = self._rng.choice(sorted(network.PATIENTS))
            try:
                await self.call(patient, main_number, self._rng.uniform(20.0, 40.0))
            except OSError as error:  # no port just now; the next patient may find one
                _log.warning("a patient cannot call: %s", error)

    # control

    def calls(self) -> list[Json]:
        """The rows of all calls that are remembered, oldest first."""
        return [call.record() for call in self._record]

    def register_address(self, number: str, civic: dict[str, str], name: str) -> None:
        """What a provider's API does: this number calls 911 from this address."""
        self.addresses[network.e164(number)] = {"civic": civic, "name": name}


def address_of(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `sip:HOST:PORT` as an address; port 5060 when there is none. Raises ProvisionerError."""
    try:
        host, port = split_host(text.removeprefix("sip:").partition(";")[0], 5060)
    except PeerError:
        raise ProvisionerError(f"{text!r} is no SIP address; give HOST:PORT") from None
    return host, port or 5060


def text_of(address: tuple[str, int]) -> str:
    """An address as `HOST:PORT`."""
    return join_host(*address)
