"""A SIP user agent without I/O: transactions, dialogs and sessions behind one `receive` (RFC 3261)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from provisioner.errors import PeerError
from provisioner.sip import digest
from provisioner.sip.dialog import Dialog
from provisioner.sip.events import tokens
from provisioner.sip.headers import NameAddr, Uri, Via, default_port, join_host, numeric
from provisioner.sip.message import Header, MessageError, Request, Response, parse
from provisioner.sip.session import SDP, Listener, Session, speaks
from provisioner.sip.session_timer import INTERVAL
from provisioner.sip.subscription import Subscription
from provisioner.sip.timers import Timers
from provisioner.sip.transaction import (
    MAGIC,
    ClientTransaction,
    Flow,
    Send,
    ServerTransaction,
    TransactionLayer,
)

Credentials = Callable[[str], tuple[str, str] | None]
"""Realm → (user, password), None when there are none for it."""

LARGEST_DATAGRAM = 1300  # bytes of a request on a path whose MTU is not known (18.1.1)
MAX_CHALLENGES = 3  # some cores challenge again with a new nonce before they accept
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY, SUBSCRIBE, MESSAGE"
SUPPORTED = ("timer", "100rel")
_ALLOWED = frozenset(ALLOW.split(", "))
_ONLY_IN_DIALOG = frozenset({"BYE", "INFO", "UPDATE", "PRACK"})


class Random(Protocol):
    """The part of `random.Random` that is used."""

    def getrandbits(self, k: int, /) -> int: ...

    def randbytes(self, n: int, /) -> bytes: ...

    def randrange(self, stop: int, /) -> int: ...


class Connect(Protocol):
    """Makes a flow to an address. `name`: the domain that it is for; given for streams to a trunk."""

    def __call__(self, transport: str, remote: tuple[str, int], name: str = "", /) -> Flow: ...


class Application(Protocol):
    """What stands on a user agent. Both calls must reply in their own time."""

    def on_invite(self, session: Session) -> None: ...

    def on_request(self, transaction: ServerTransaction) -> None: ...


class Exchange:
    """One request of ours until its final answer, challenges answered on the way (RFC 3261 22.2)."""

    def __init__(
        self,
        agent: Agent,
        request: Request,
        flow: Flow,
        on_response: Callable[[Response | None], None],
        credentials: Credentials | None,
    ) -> None:
        self._agent = agent
        self._asked_for = flow
        self.flow = flow  # that the request went over in the end
        self._on_response = on_response
        self._credentials = credentials
        self._answered: set[str] = set()  # nonces: the same one again means a wrong password
        self._rounds = 0
        self._challenges = (
            credentials.challenges if isinstance(credentials, digest.Account) else digest.Challenges()
        )
        self.abandoned = False  # cancelled: a challenge is not answered any more
        self.request = request
        self.transaction: ClientTransaction
        if credentials and self._challenges.nonces():
            self._authorize()
        self._begin()

    def _begin(self, may_switch: bool = True) -> None:
        """Send in a new transaction; what is too large for UDP over a stream, where one is open (18.1.1)."""
        self.flow = self._asked_for
        self._agent.add_via(self.request, self.flow)
        if may_switch and not self.flow.reliable and len(self.request.encode()) > LARGEST_DATAGRAM:
            stream = self._agent.stream_to(self.flow)
            if stream:
                self.flow = stream
                self._agent.add_via(self.request, stream)
        transactions = self._agent.transactions
        self.transaction = ClientTransaction(transactions, self.request, self.flow, self._receive)
        transactions.clients[self.transaction.key] = self.transaction
        self.transaction.start()

    def _receive(self, response: Response | None) -> None:
        if response is None and self.transaction.undelivered and self.flow != self._asked_for:
            if not self.abandoned:
                self._begin(may_switch=False)  # the stream was refused after all
                return
        elif response is not None and response.status in (401, 407) and self._answer(response):
            return
        elif response is not None and 200 <= response.status < 300:
            self._challenges.next_nonce(response.get("authentication-info"))
        self._on_response(response)

    def _answer(self, response: Response) -> bool:
        """Send the request again with credentials (CSeq + 1); False when we have none that fit."""
        if self._credentials is None or self.abandoned or self._rounds >= MAX_CHALLENGES:
            return False
        taken = [
            self._challenges.take(reply, response.all(name), self._answered)
            for name, reply in (
                ("www-authenticate", "authorization"),
                ("proxy-authenticate", "proxy-authorization"),
            )
        ]
        if not any(taken):
            return False
        method, seq = self.request.method, self.request.cseq[0]
        self.request = Request(method, self.request.uri, list(self.request.headers), self.request.body)
        if not self._authorize():
            return False
        self._rounds += 1
        self.request.set("cseq", f"{seq + 1} {method}")
        self._begin()
        return True

    def _authorize(self) -> bool:
        """Write the answers to all challenges so far into the request; False when there are none."""
        assert self._credentials
        method, uri = self.request.method, self.request.uri
        headers = self._challenges.authorize(self._credentials, method, uri, self._agent.new_tag())
        for name in ("authorization", "proxy-authorization"):
            self.request.remove(name)
        self.request.headers += headers
        self._answered |= self._challenges.nonces()
        return bool(headers)


class Agent:
    """The user agent. `send` puts bytes on a flow; `connect` makes a flow to (transport, address).

    `stream_to` may be set: the open stream to the peer of a UDP flow, for requests that are too large for UDP.
    """

    def __init__(
        self,
        application: Application,
        timers: Timers,
        rng: Random,
        send: Send,
        connect: Connect,
        name: str,
        user: str = "",
    ) -> None:
        self.application = application
        self.timers = timers
        self.rng = rng
        self.send = send
        self.connect = connect
        self.stream_to: Callable[[Flow], Flow | None] = lambda _flow: None
        self.user = user
        self.transactions = TransactionLayer(timers, send, self.new_tag, self)
        self.sessions: dict[tuple[str, str, str], Session] = {}
        self.subscriptions: dict[tuple[str, str, str], Subscription] = {}
        self.session_expires = INTERVAL  # seconds that we ask for (RFC 4028); 0: only what peers ask for
        self.reliable_early = False  # whether early media of ours is sent reliably when the caller can (3262)
        self.exempt: Callable[[Request], bool] = lambda _request: False  # calls that nothing here refuses
        self.name = name
        self._secret = self.new_tag()
        self.supported: tuple[str, ...] = SUPPORTED
        self.events: tuple[str, ...] = ()  # packages that may be subscribed to

    @property
    def abilities(self) -> list[Header]:
        """What every request outside a dialog and every 2xx says of us."""
        headers = [("allow", ALLOW), ("supported", ", ".join(self.supported)), ("user-agent", self.name)]
        return [*headers, *([("allow-events", ", ".join(self.events))] if self.events else [])]

    # what goes out

    def new_tag(self) -> str:
        """64 random bits as hex: tags, branches, Call-IDs."""
        return f"{self.rng.getrandbits(64):016x}"

    def trail(self, key: str) -> str:
        """A token that only we can tell from others: what a call that goes on from `key` carries.

        `key` is all that decides where an INVITE goes. One that comes back with the trail that it would get
        again has gone round (RFC 5393 4.2); one that goes elsewhere this time has not.
        """
        return hashlib.sha256(f"{self._secret} {key}".encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def looped(self, request: Request, trail: str) -> bool:
        """Whether an INVITE was here before, on its way from the same place to the same place."""
        return request.call_id.partition("@")[0].endswith(f"-{trail}")

    def contact(self, flow: Flow) -> str:
        """Our Contact on a flow."""
        user = f"{self.user}@" if self.user else ""
        transport = "" if flow.transport == "UDP" else f";transport={flow.transport.lower()}"
        return f"<sip:{user}{join_host(*flow.local)}{transport}>"

    def add_via(self, request: Request, flow: Flow) -> None:
        """Put a fresh Via on top; Contact too where a dialog or a binding needs it."""
        request.remove("via")
        branch = MAGIC + self.new_tag()
        via = Via(flow.transport, *flow.local, {"branch": branch, "rport": None})
        if flow.transport == "TLS":
            via.params["alias"] = None  # the peer may use this connection for its own requests (RFC 5923)
        request.headers.insert(0, ("via", str(via)))
        if request.method in ("INVITE", "UPDATE", "SUBSCRIBE", "REGISTER") and not request.get("contact"):
            contact = self.contact(flow)
            if request.uri.startswith("sips:"):  # 8.1.1.8
                contact = contact.replace("<sip:", "<sips:").replace(";transport=tls", "")
            request.headers.append(("contact", contact))

    def new_request(
        self, method: str, uri: str, from_: NameAddr, to: NameAddr, headers: list[Header]
    ) -> Request:
        """A request outside any dialog (8.1.1); From gets a fresh tag."""
        mine: list[Header] = (
            [] if any(name == "max-forwards" for name, _ in headers) else [("max-forwards", "70")]
        )
        mine += [("from", str(from_.with_tag(self.new_tag()))), ("to", str(to))]
        mine += [("call-id", self.new_tag()), ("cseq", "1 " + method)]
        return Request(method, uri, [*mine, *headers, *self.abilities])

    def request(
        self,
        request: Request,
        flow: Flow,
        on_response: Callable[[Response | None], None],
        credentials: Credentials | None = None,
    ) -> Exchange:
        """Send a request; `on_response` gets each response, None when there is no answer."""
        return Exchange(self, request, flow, on_response, credentials)

    def request_in(
        self, dialog: Dialog, request: Request, on_response: Callable[[Response | None], None] | None = None
    ) -> None:
        """Send a request of `dialog` to its next hop."""
        self.request(request, self.hop(dialog), on_response or (lambda _response: None))

    def invite(
        self,
        uri: str,
        flow: Flow,
        from_: NameAddr,
        to: NameAddr,
        body: bytes,
        listener: Listener,
        headers: list[Header] | None = None,
        content_type: str = SDP,
        pinned: bool = True,
        credentials: Credentials | None = None,
        trail: str = "",
        unlimited: bool = False,
        timed: bool = True,
    ) -> Session:
        """Call `uri` over `flow`; news goes to `listener`.

        `trail`: of the call that this one follows from (see `trail`); `unlimited`: no session timer;
        `timed`: we ask for one (RFC 4028), else only what the peer asks for counts.
        """
        session = Session(self, listener, flow, pinned)
        if not timed:
            session.timer.interval = 0
        if unlimited:
            session.keep()
        request = self.new_request("INVITE", uri, from_, to, headers or [])
        if trail:
            request.set("call-id", f"{request.call_id}-{trail}")
        if body:
            request.headers.append(("content-type", content_type))
            request.body = body
        session.call(request, credentials)
        return session

    def hop(self, dialog: Dialog) -> Flow:
        """Where requests of `dialog` go: its own flow; unpinned, the first route or target if an address."""
        if dialog.pinned:
            return dialog.flow
        try:
            uri = NameAddr.parse(dialog.routes[0]).uri if dialog.routes else Uri.parse(dialog.target)
        except PeerError:
            return dialog.flow
        flow = dialog.flow
        transport = (uri.params.get("transport") or flow.transport).upper()
        if flow.transport == "TLS":
            transport = "TLS"  # never downgraded (RFC 5630 3.3)
        address = (uri.host, uri.port or default_port(transport))
        spoken = transport in ("UDP", "TCP") or flow.transport == "TLS"
        if spoken and numeric(uri.host) and (transport, address) != (flow.transport, flow.remote):
            return self._connect(transport, address, flow.name)
        return self._connect(flow.transport, flow.remote, flow.name) if flow.name else flow

    def _connect(self, transport: str, remote: tuple[str, int], name: str) -> Flow:
        return self.connect(transport, remote, name) if name else self.connect(transport, remote)

    # what comes in

    def receive(self, data: bytes, flow: Flow) -> None:
        """A datagram; never raises for what it holds."""
        if not self.transactions.gate.admits(data, flow):
            return
        try:
            message = parse(data)
        except MessageError as error:
            self.transactions.malformed += 1
            self.transactions.refuse(error, flow)
            return
        self.receive_message(message, flow)

    def receive_message(self, message: Request | Response, flow: Flow) -> None:
        """A parsed message of a stream."""
        self.transactions.receive(message, flow)

    def on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        to, from_ = NameAddr.parse(request.get("to")), NameAddr.parse(request.get("from"))
        hops = request.get("max-forwards")
        unknown = [tag for tag in tokens(request, "require") if tag.lower() not in self.supported]
        key = (request.call_id, to.tag, from_.tag)
        session, subscription = self.sessions.get(key), self.subscriptions.get(key)
        spent = hops and not hops.strip("0") and request.method != "OPTIONS"
        if to.tag and session is None and subscription is None:
            transaction.reply(481)
        elif unknown and request.method != "BYE":
            transaction.reply(420, "", [("unsupported", ", ".join(unknown)[:200])])
        elif session:
            session.on_request(transaction)
        elif subscription:
            subscription.on_request(transaction)
        elif transaction.merged:
            transaction.reply(482)
        elif spent and not self.exempt(request):
            transaction.reply(483)
        elif request.method in _ONLY_IN_DIALOG:
            transaction.reply(481)
        elif request.method == "INVITE":
            self._on_invite(transaction)
        else:
            self.application.on_request(transaction)

    def _on_invite(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        session = Session(self, lambda _session, _event: None, transaction.flow, pinned=True)
        least = 0 if self.exempt(request) else session.timer.refused(request)
        if not speaks(request):
            transaction.reply(415, "", [("accept", SDP), ("accept-encoding", "identity")])
        elif least:
            transaction.reply(422, "", [("min-se", str(least))])
        else:
            session.receive(transaction)
            self.application.on_invite(session)

    def on_other_in_dialog(self, transaction: ServerTransaction) -> None:
        """In-dialog requests that need nothing of us."""
        method = transaction.request.method
        if method in ("OPTIONS", "NOTIFY", "MESSAGE"):
            transaction.reply(200, "", self.abilities)
        elif method == "SUBSCRIBE":
            transaction.reply(489, "", [("allow-events", ", ".join(self.events))])
        else:
            transaction.reply(405 if method in _ALLOWED else 501, "", [("allow", ALLOW)])

    def on_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        session = self._session_of(transaction)
        session.on_cancel(cancel) if session else transaction.reply(487)

    def _session_of(self, transaction: ServerTransaction) -> Session | None:
        request = transaction.request
        tag = NameAddr.parse(request.get("from")).tag
        return self.sessions.get((request.call_id, transaction.tag, tag))

    def on_ack(self, request: Request, flow: Flow) -> None:
        to, from_ = NameAddr.parse(request.get("to")), NameAddr.parse(request.get("from"))
        session = self.sessions.get((request.call_id, to.tag, from_.tag))
        if session:
            session.on_ack(request)

    def on_unacknowledged(self, transaction: ServerTransaction) -> None:
        """No ACK for our refusal: nothing is left to do (17.2.1)."""

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        """A response to nothing of ours: dropped (18.1.2)."""
