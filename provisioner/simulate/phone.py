"""A simulated desk phone: boots from its server, registers, places and takes calls."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from random import Random

from provisioner.errors import PeerError, ProvisionerError
from provisioner.simulate.call import Call
from provisioner.simulate.handset import Handset
from provisioner.simulate.vendors.base import Account, Action, Configuration, Flash, PhoneType, integer
from provisioner.sip.agent import Agent
from provisioner.sip.digest import Authenticator
from provisioner.sip.headers import NameAddr, Uri, split_list
from provisioner.sip.message import Response
from provisioner.sip.session import Session
from provisioner.sip.transaction import Flow, ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport

RETRY = 30.0  # seconds until a refused registration is tried again
REGISTER_SECONDS = 40.0  # longer than any SIP transaction
ESCAPES = str.maketrans({"#": "%23", "%": "%25"})


class Phone:
    """One phone. `on_ring` gets each call that comes in; `on_news(line)` what happens, in words.

    `speech`: the audio names that the person says. `poll_cap`: the longest time in seconds that a phone
    without an account waits until it asks again, whatever its file says.
    """

    def __init__(
        self,
        kind: PhoneType,
        mac: str,
        server: str,
        rng: Random,
        bind: str = "127.0.0.1",
        poll_cap: float = 3600.0,
    ) -> None:
        self.kind = kind
        self.handset = Handset(kind, mac, server, lambda: f"{rng.getrandbits(64):016x}")
        self.rng = rng
        self.host, self.port = bind, 0  # of SIP
        self.poll_cap = poll_cap
        self.calls: set[Call] = set()
        self.registered = False
        self.speech: tuple[str, ...] = ("desk-hello", "desk-talk")
        self.on_ring: Callable[[Call], None] = lambda call: None
        self.on_news: Callable[[str], None] = lambda line: None
        self.agent: Agent
        self._transport = SipTransport()
        self.told = asyncio.Event()  # a NOTIFY said what is in `action`
        self.action: Action = "check"
        self.idle = False  # it waits for the next poll, or to be told
        self._refresh: asyncio.Task[None] | None = None
        self._call_id = ""
        self._seq = 0
        self._authenticator: Authenticator

    async def open(self) -> None:
        """Take a SIP port. Raises OperatorError when there is none."""
        timers = LoopTimers(asyncio.get_running_loop())
        transport = self._transport
        _, self.port = await transport.open(self.host, 0)
        name = self.kind.sip_agent(self.flash)
        self.agent = Agent(self, timers, self.rng, transport.send, transport.connect, name)
        transport.agent = self.agent
        self._call_id = self.agent.new_tag()
        secret = self.rng.getrandbits(128).to_bytes(16, "big")
        self._authenticator = Authenticator(self.kind.maker.name, secret, timers.clock)

    async def close(self, seconds: float = 1.0) -> None:
        """Hang up, give what is under way `seconds` to be answered, and free the sockets."""
        for call in list(self.calls):
            call.hangup()
        if self._refresh:
            self._refresh.cancel()
            await asyncio.gather(self._refresh, return_exceptions=True)
        waiting, clock = self.agent.transactions.clients, self.agent.timers.clock
        limit = clock() + seconds
        while clock() < limit and any(  # noqa: ASYNC110  the transactions have no event for it
            one.state in ("trying", "proceeding") for one in waiting.values()
        ):
            await asyncio.sleep(0.01)
        self._transport.close()

    def news(self, call: Call | None, what: str) -> None:
        """Pass on what happened."""
        self.on_news(f"{call.number}: {what}" if call else what)

    # settings

    @property
    def flash(self) -> Flash:
        """What it keeps over a restart."""
        return self.handset.flash

    @property
    def configuration(self) -> Configuration:
        """What it works with."""
        return self.handset.configuration

    @property
    def account(self) -> Account:
        """Line 1. Raises PeerError while the phone has none."""
        if self.configuration.account is None:
            raise PeerError(f"phone {self.flash.mac} has no account yet; adopt it first")
        return self.configuration.account

    def credentials(self, _realm: str) -> tuple[str, str]:
        """A phone answers any realm with its account."""
        return self.account.auth_user, self.account.password

    def use(self, configuration: Configuration) -> None:
        """Work with `configuration`, as a start would find it."""
        self.handset.configuration = configuration
        self.agent.name = self.kind.sip_agent(self.flash)
        if configuration.account:
            self.agent.user = configuration.account.user

    async def boot(self, action: Action = "restart") -> Configuration:
        """Ask the server for all files in the model's order, and use them. Raises UnreachableError or PeerError."""
        before = len(self.handset.restarts)
        try:
            if action == "check":
                await self.handset.check()
            elif before or self.handset.requests:
                await self.handset.restart("told to")
            else:
                await self.handset.start()
        finally:
            self.use(self.handset.configuration)
            self.registered &= len(self.handset.restarts) == before
            for restart in self.handset.restarts[before:]:
                self.news(None, f"restarts: {restart.words}")
        for fault in self.flash.faults:
            self.news(None, fault)
        return self.configuration

    async def run(self, action: Action = "restart") -> None:
        """Start, register when there is an account, ask again when the poll interval or a NOTIFY says so."""
        before: Account | None = None
        while True:
            poll: float | None = self.poll_cap
            try:
                if action == "reset":
                    self.handset.reset()
                configuration = await self.boot(action)
                if configuration.account:
                    poll = configuration.poll
                    if configuration.account != before or not self.registered:
                        await self.register()
                    before = configuration.account
                else:
                    self.news(None, "waits to be adopted")
                    poll = min(configuration.poll or self.poll_cap, self.poll_cap)
            except (ProvisionerError, OSError, TimeoutError) as error:
                self.news(None, str(error) or "no answer in time")
            action = await self._pause(poll)

    async def _pause(self, seconds: float | None) -> Action:
        """What to do after at most so many seconds."""
        self.idle = True
        try:
            async with asyncio.timeout(seconds):
                await self.told.wait()
        except TimeoutError:
            return "check"
        finally:
            self.idle = False
        self.told.clear()
        return self.action

    # registration

    async def register(self) -> int:
        """Register now, and again before it ends; the seconds granted. Raises PeerError with the status."""
        granted = 0
        try:
            granted = await self._granted()
        finally:
            self.registered = granted > 0
            if self._refresh and self._refresh is not asyncio.current_task():
                self._refresh.cancel()
            self._refresh = asyncio.create_task(self._register_again(granted / 2 or RETRY))
        self.news(None, f"registered as {self.account.user} for {granted} s")
        return granted

    async def _granted(self) -> int:
        wanted = self.account.expires
        response = await self._register(wanted)
        if response and response.status == 423:
            wanted = integer(response.get("min-expires"), wanted)
            response = await self._register(wanted)
        granted = _granted(response, wanted) if response and response.status == 200 else 0
        if not granted:
            status = response.status if response else 408
            raise PeerError(f"registration as {self.account.user} was refused with {status}", status)
        return granted

    async def _register(self, expires: int) -> Response | None:
        """At the first registrar, and where that does not answer or is out of service at the second."""
        response = await self._register_at((self.account.host, self.account.port), expires)
        failed = response is None or response.status == 503
        if failed and self.account.backup:
            return await self._register_at(self.account.backup, expires)
        return response

    async def _register_at(self, server: tuple[str, int], expires: int) -> Response | None:
        flow = await self._flow(*server)
        me = NameAddr(self._uri(self.account.user), self.account.display)
        target = str(self._uri(""))
        request = self.agent.new_request(
            "REGISTER", target, me, NameAddr(me.uri), [("expires", str(expires))]
        )
        self._seq += 1
        request.set("call-id", self._call_id)
        request.set("cseq", f"{self._seq} REGISTER")
        final: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

        def on_response(response: Response | None) -> None:
            if not final.done() and (response is None or response.status >= 200):
                final.set_result(response)

        exchange = self.agent.request(request, flow, on_response, self.credentials)
        response = await asyncio.wait_for(final, REGISTER_SECONDS)
        self._seq = exchange.request.cseq[0]
        return response

    async def _register_again(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await self.register()
        except (ProvisionerError, OSError, TimeoutError) as error:
            self.news(None, str(error) or "no answer in time")

    # calls

    async def call(self, number: str) -> Call:
        """Call `number` (no digit map); the INVITE is out when this returns."""
        host, port = self.configuration.emergency.get(number, (self.account.host, self.account.port))
        flow = await self._flow(host, port)
        call = Call(self, number)
        await call.open()
        self.calls.add(call)
        self.news(call, "calling")
        to = self._uri(number)
        me = NameAddr(self._uri(self.account.user), self.account.display)
        session = self.agent.invite(
            str(to), flow, me, NameAddr(to), call.offer(), call.on_event, credentials=self.credentials
        )
        call.placed(session)
        return call

    async def dial(self, keys: str) -> Call:
        """Press `keys` on the idle phone and call what its digit map makes of them. Raises PeerError."""
        dialled = self.configuration.dial_plan.dial(keys)
        if not dialled.number:
            raise PeerError(f"the phone's digit map refuses {len(keys)} keys")
        return await self.call(dialled.number)

    def on_invite(self, session: Session) -> None:
        """Ring."""
        call = Call(self, session.remote.uri.dialled, session)
        session.listener = call.on_event
        session.progress(180)
        self.calls.add(call)
        self.news(call, "rings")
        self.on_ring(call)

    def on_request(self, transaction: ServerTransaction) -> None:
        """OPTIONS is answered, NOTIFY obeyed."""
        method = transaction.request.method
        if method == "NOTIFY":
            self._on_notify(transaction)
        else:
            transaction.reply(200 if method == "OPTIONS" else 405, "", self.agent.abilities)

    def _on_notify(self, transaction: ServerTransaction) -> None:
        """Obey as the maker's phones do (facts 7), a Grandstream only who knows its account."""
        request, source = transaction.request, transaction.flow.remote[0]
        action = self.kind.maker.notified(request.get("event"), self.flash.settings)
        if action and self.configuration.challenges and not self._proved(transaction, source):
            return
        transaction.reply(200)
        if action:
            self.action = action
            self.told.set()

    def _proved(self, transaction: ServerTransaction, source: str) -> bool:
        """Whether a NOTIFY has the digest of this phone's account; else it is challenged."""
        known = self.configuration.account
        verdict = self._authenticator.check(
            transaction.request.get("authorization"),
            "NOTIFY",
            source,
            lambda user: known.password if known and user == known.auth_user else None,
        )
        if verdict.outcome == "ok":
            return True
        challenges = self._authenticator.challenges(source, verdict.outcome == "stale")
        transaction.reply(401, "", [("www-authenticate", each) for each in challenges])
        return False

    def _uri(self, user: str) -> Uri:
        port = self.account.port if self.account.port != 5060 else None
        return Uri("sip", self.account.host, port, user.translate(ESCAPES))

    async def _flow(self, host: str, port: int) -> Flow:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        address = (str(found[0][4][0]), port)
        self.host = self._transport.local_host(address[0])
        return self._transport.connect(self.account.transport, address)


def _granted(response: Response, wanted: int) -> int:
    """Seconds that a registrar granted: of the Contact that it lists, else of the Expires header."""
    for value in response.all("contact"):
        for each in split_list(value):
            text = NameAddr.parse(each).params.get("expires") or ""
            if text.isdecimal():
                return int(text)
    text = response.get("expires")
    return int(text) if text.isdecimal() else wanted
