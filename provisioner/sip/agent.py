"""A SIP user agent without I/O: transactions, dialogs and sessions behind one `receive` (RFC 3261)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from provisioner.errors import PeerError
from provisioner.sip import digest
from provisioner.sip.dialog import Dialog
from provisioner.sip.headers import NameAddr, Uri, Via, join_host, split_list
from provisioner.sip.message import Header, MessageError, Request, Response, parse
from provisioner.sip.session import SDP, Listener, Session, speaks
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

MAX_CHALLENGES = 3  # some cores challenge again with a new nonce before they accept
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY"
_ALLOWED = frozenset(ALLOW.split(", "))
_ONLY_IN_DIALOG = frozenset({"BYE", "INFO", "UPDATE", "PRACK"})


class Random(Protocol):
    """The part of `random.Random` that is used."""

    def getrandbits(self, k: int, /) -> int: ...

    def randbytes(self, n: int, /) -> bytes: ...

    def randrange(self, stop: int, /) -> int: ...


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
        self._flow = flow
        self._on_response = on_response
        self._credentials = credentials
        self._answered: set[str | None] = set()  # nonces: the same one again means a wrong password
        self.abandoned = False  # cancelled: a challenge is not answered any more
        self.request = request
        self.transaction: ClientTransaction
        self._begin()

    def _begin(self) -> None:
        self._agent.add_via(self.request, self._flow)
        transactions = self._agent.transactions
        self.transaction = ClientTransaction(transactions, self.request, self._flow, self._receive)
        transactions.clients[self.transaction.key] = self.transaction
        self.transaction.start()

    def _receive(self, response: Response | None) -> None:
        if response is not None and response.status in (401, 407) and self._answer(response):
            return
        self._on_response(response)

    def _answer(self, response: Response) -> bool:
        """Send the request again with credentials (CSeq + 1); False when we have none that fit."""
        name = "www-authenticate" if response.status == 401 else "proxy-authenticate"
        reply_name = "authorization" if response.status == 401 else "proxy-authorization"
        if self._credentials is None or self.abandoned or len(self._answered) >= MAX_CHALLENGES:
            return False
        for challenge in response.all(name):
            offered = digest.parse_credentials(challenge)
            if offered.get("nonce") in self._answered:
                continue
            known = self._credentials(offered.get("realm") or "")
            cnonce = self._agent.new_tag()
            method, uri = self.request.method, self.request.uri
            value = digest.answer(challenge, *known, method, uri, cnonce) if known else None
            if value:
                self._answered.add(offered.get("nonce"))
                self.request = Request(method, uri, list(self.request.headers), self.request.body)
                self.request.set(reply_name, value)
                self.request.set("cseq", f"{self.request.cseq[0] + 1} {method}")
                self._begin()
                return True
        return False


class Agent:
    """The user agent. `send` puts bytes on a flow; `connect` makes a flow to (transport, address)."""

    def __init__(
        self,
        application: Application,
        timers: Timers,
        rng: Random,
        send: Send,
        connect: Callable[[str, tuple[str, int]], Flow],
        name: str,
        user: str = "",
    ) -> None:
        self.application = application
        self.timers = timers
        self.rng = rng
        self.send = send
        self.connect = connect
        self.user = user
        self.transactions = TransactionLayer(timers, send, self.new_tag, self)
        self.sessions: dict[tuple[str, str, str], Session] = {}
        self.abilities: list[Header] = [("allow", ALLOW), ("user-agent", name)]

    # what goes out

    def new_tag(self) -> str:
        """64 random bits as hex: tags, branches, Call-IDs."""
        return f"{self.rng.getrandbits(64):016x}"

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
        request.headers.insert(0, ("via", str(via)))
        if request.method in ("INVITE", "UPDATE", "SUBSCRIBE", "REGISTER") and not request.get("contact"):
            request.headers.append(("contact", self.contact(flow)))

    def new_request(
        self, method: str, uri: str, from_: NameAddr, to: NameAddr, headers: list[Header]
    ) -> Request:
        """A request outside any dialog (8.1.1); From gets a fresh tag."""
        mine: list[Header] = [
            ("max-forwards", "70"),
            ("from", str(from_.with_tag(self.new_tag()))),
            ("to", str(to)),
        ]
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
    ) -> Session:
        """Call `uri` over `flow`; news goes to `listener`."""
        session = Session(self, listener, flow, pinned)
        request = self.new_request("INVITE", uri, from_, to, headers or [])
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
        transport = (uri.params.get("transport") or dialog.flow.transport).upper()
        address = (uri.host, uri.port or 5060)
        usable = (uri.host.replace(".", "").isdigit() or ":" in uri.host) and transport in ("UDP", "TCP")
        if not usable or (transport, address) == (dialog.flow.transport, dialog.flow.remote):
            return dialog.flow
        return self.connect(transport, address)

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
        required = [item for value in request.all("require") for item in split_list(value)]
        session = self.sessions.get((request.call_id, to.tag, from_.tag))
        if to.tag and session is None:
            transaction.reply(481)
        elif required and request.method != "BYE":
            transaction.reply(420, "", [("unsupported", ", ".join(required))])
        elif session:
            session.on_request(transaction)
        elif hops and not hops.strip("0") and request.method != "OPTIONS":
            transaction.reply(483)
        elif request.method in _ONLY_IN_DIALOG:
            transaction.reply(481)
        elif request.method == "INVITE":
            self._on_invite(transaction)
        else:
            self.application.on_request(transaction)

    def _on_invite(self, transaction: ServerTransaction) -> None:
        if not speaks(transaction.request):
            transaction.reply(415, "", [("accept", SDP), ("accept-encoding", "identity")])
            return
        session = Session(self, lambda _session, _event: None, transaction.flow, pinned=True)
        session.receive(transaction)
        self.application.on_invite(session)

    def on_other_in_dialog(self, transaction: ServerTransaction) -> None:
        """In-dialog requests that need nothing of us."""
        method = transaction.request.method
        if method in ("OPTIONS", "NOTIFY", "MESSAGE"):
            transaction.reply(200, "", self.abilities)
        elif method == "REFER":
            transaction.reply(603)
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
