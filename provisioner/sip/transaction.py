"""SIP transactions (RFC 3261 section 17, RFC 4320, RFC 6026): four machines and the layer that finds them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from provisioner.errors import PeerError
from provisioner.sip.headers import NameAddr, Uri, Via, split_list
from provisioner.sip.message import MessageError, Request, Response, has_tag
from provisioner.sip.timers import Timer, Timers

T1 = 0.5
T2 = 4.0
T4 = 5.0
TRANSACTION = 64 * T1  # timers B, F, H, J, L, M
COMPLETED_UDP = 32.0  # timer D
RINGING = 181.0  # timer C: more than 3 minutes since the last sign of life (16.6)
AMPLIFICATION = 1.5  # bytes of a stateless answer over UDP for each byte of its request
MAGIC = "z9hG4bK"
_RPORT = re.compile(r";\s*rport\b[^;]*", re.I)
_RECEIVED = re.compile(r";\s*received\b[^;]*", re.I)

State = Literal["trying", "proceeding", "completed", "confirmed", "accepted", "terminated"]


@dataclass(frozen=True, slots=True)
class Flow:
    """One way to a peer: transport, our address and the peer's; `connection` numbers a stream, 0 on UDP.

    `name`: the domain that we opened a stream for; its certificate must be good for that one on TLS.
    """

    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    connection: int = 0
    name: str = ""

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"


Send = Callable[[Flow, bytes], None]


class User(Protocol):
    """The transaction user: what the layer tells (RFC 3261 17, "TU")."""

    def on_request(self, transaction: ServerTransaction) -> None: ...

    def on_cancel(self, transaction: ServerTransaction, cancel: Request) -> None: ...

    def on_ack(self, request: Request, flow: Flow) -> None: ...

    def on_unacknowledged(self, transaction: ServerTransaction) -> None: ...

    def on_stray_response(self, response: Response, flow: Flow) -> None: ...


@dataclass(frozen=True, slots=True)
class Admission:
    """What a gate says of a request: let in, as sent by the digest user `account`; else `answer` or silence."""

    passed: bool = False
    account: str = ""
    answer: Response | None = None


PASSED = Admission(True)
DROPPED = Admission()


class Gate(Protocol):
    """Stands before a layer, and decides before anything is kept of what came."""

    def admits(self, data: bytes, flow: Flow) -> bool:
        """Whether a datagram is read at all."""
        ...

    def judge(self, request: Request, flow: Flow) -> Admission:
        """Of a request that begins a transaction, its source marked in its Via."""
        ...

    def malformed(self, flow: Flow) -> bool:
        """Something could not be read; whether that deserves an answer."""
        ...


class OpenGate:
    """Lets everything in: for agents that talk to known peers only."""

    def admits(self, data: bytes, flow: Flow) -> bool:
        return True

    def judge(self, request: Request, flow: Flow) -> Admission:
        return PASSED

    def malformed(self, flow: Flow) -> bool:
        return True


class _Transaction:
    """What client and server transactions share: two timers, and how they end."""

    state: State

    def __init__(self, layer: TransactionLayer) -> None:
        self.layer = layer
        self._repeat: Timer | None = None
        self._limit: Timer | None = None

    def _linger(self, state: State, seconds: float) -> None:
        """Absorb repetitions in `state` for `seconds`; 0: end at once."""
        self._stop()
        self.state = state
        if seconds:
            self._limit = self.layer.timers.after(seconds, self.end)
        else:
            self.end()

    def _stop(self) -> None:
        for timer in (self._repeat, self._limit):
            if timer:
                timer.cancel()

    def end(self) -> None:
        """Forget this transaction."""
        self._stop()
        self.state = "terminated"


class ClientTransaction(_Transaction):
    """INVITE (17.1.1, RFC 6026 7.2) or non-INVITE (17.1.2) client transaction.

    `on_response(None)`: there will be no answer; `undelivered` says that it was the transport's fault.
    """

    def __init__(
        self,
        layer: TransactionLayer,
        request: Request,
        flow: Flow,
        on_response: Callable[[Response | None], None],
    ) -> None:
        super().__init__(layer)
        self.request = request
        self.flow = flow
        self.on_response = on_response
        self.state: State = "trying"
        self.undelivered = False
        self.key = (Via.parse(split_list(request.get("via"))[0]).branch, request.method)
        self.invite = request.method == "INVITE"
        self._bytes = request.encode()
        self._ack = b""
        self._interval = T1

    def start(self) -> None:
        """Send, and arm timers A/E and B/F."""
        self.layer.send(self.flow, self._bytes)
        if self.state == "terminated":
            return
        self._limit = self.layer.timers.after(TRANSACTION, self._give_up)
        if not self.flow.reliable:
            self._repeat = self.layer.timers.after(T1, self._send_again)

    def _send_again(self) -> None:
        self.layer.send(self.flow, self._bytes)
        if self.state == "trying":
            self._interval = self._interval * 2 if self.invite else min(self._interval * 2, T2)
        else:  # a non-INVITE that had a provisional goes on at T2
            self._interval = T2
        self._repeat = self.layer.timers.after(self._interval, self._send_again)

    def _give_up(self) -> None:
        self.end()
        self.on_response(None)

    def fail(self) -> None:
        """The transport says that the request cannot be delivered (17.1.4)."""
        if self.state in ("trying", "proceeding"):
            self.undelivered = True
            self._give_up()

    def receive(self, response: Response) -> None:
        """A response that matches (17.1.3)."""
        if self.invite:
            self._receive_invite(response)
        elif self.state in ("trying", "proceeding"):
            if response.status < 200:
                self.state = "proceeding"
            else:
                self._linger("completed", 0.0 if self.flow.reliable else T4)
            self.on_response(response)

    def _receive_invite(self, response: Response) -> None:
        if response.status < 200:
            if self.state in ("trying", "proceeding"):
                self.state = "proceeding"
                self._stop()
                self.on_response(response)
        elif response.status < 300:
            if self.state in ("trying", "proceeding"):
                self._linger("accepted", TRANSACTION)
            if self.state == "accepted":
                self.on_response(response)
        elif self.state in ("trying", "proceeding"):
            self._ack = _ack_for(self.request, response).encode()
            self._linger("completed", 0.0 if self.flow.reliable else COMPLETED_UDP)
            self.layer.send(self.flow, self._ack)
            self.on_response(response)
        elif self.state == "completed":
            self.layer.send(self.flow, self._ack)

    def end(self) -> None:
        """Forget this transaction."""
        super().end()
        self.layer.clients.pop(self.key, None)


def _ack_for(invite: Request, response: Response) -> Request:
    """ACK of a non-2xx final response (RFC 3261 17.1.1.3): the INVITE's branch, Request-URI and routes."""
    headers = [("via", invite.get("via")), ("max-forwards", "70")]
    headers += [("route", value) for value in invite.all("route")]
    headers += [("from", invite.get("from")), ("to", response.get("to")), ("call-id", invite.call_id)]
    headers += [("cseq", f"{invite.cseq[0]} ACK")]
    return Request("ACK", invite.uri, headers)


class ServerTransaction(_Transaction):
    """INVITE (17.2.1, RFC 6026 7.1) or non-INVITE (17.2.2) server transaction."""

    def __init__(self, layer: TransactionLayer, request: Request, flow: Flow, key: tuple[str, ...]) -> None:
        super().__init__(layer)
        self.request = request
        self.flow = flow
        self.key = key
        self.tag = layer.new_tag()  # the To tag of all responses, stable over repeats
        self.account = ""  # the digest user that the gate found the sender to be
        self.invite = request.method == "INVITE"
        self.merged = False  # the same request came before, by another way (8.2.2.2)
        self.state: State = "proceeding" if self.invite else "trying"
        self._last = b""
        self._interval = T1
        if not self.invite:  # the client's timer F: nobody waits for an answer after it (RFC 4320 4.2)
            self._limit = layer.timers.after(TRANSACTION, self.end)

    def respond(self, response: Response) -> None:
        """Send a response; a second final one is dropped, but a 2xx to INVITE may be sent again by the TU."""
        again = self.state == "accepted" and 200 <= response.status < 300
        useless = response.status == 408 and not self.invite  # RFC 4320 4.2
        if useless or not (again or self.state in ("trying", "proceeding")):
            return
        self._last = response.encode()
        self.layer.send(self.flow, self._last)
        if response.status < 200:
            self.state = "proceeding"
        elif not self.invite:
            self._linger("completed", 0.0 if self.flow.reliable else TRANSACTION)
        elif response.status >= 300:
            self.state = "completed"
            self._limit = self.layer.timers.after(TRANSACTION, self._unacknowledged)
            if not self.flow.reliable:
                self._repeat = self.layer.timers.after(T1, self._send_again)
        elif self.state != "accepted":
            self._linger("accepted", TRANSACTION)

    def reply(self, status: int, reason: str = "", headers: list[tuple[str, str]] | None = None) -> None:
        """Respond with a bare status and `headers`."""
        response = self.request.response(status, reason, self.tag)
        response.headers += headers or []
        self.respond(response)

    def receive_again(self) -> None:
        """The request was repeated: repeat the last response, unless a 2xx is the TU's to repeat."""
        if self._last and self.state in ("proceeding", "completed"):
            self.layer.send(self.flow, self._last)

    def receive_ack(self) -> None:
        """ACK of a non-2xx final response."""
        if self.state == "completed":
            self._linger("confirmed", 0.0 if self.flow.reliable else T4)

    def _send_again(self) -> None:
        self.layer.send(self.flow, self._last)
        self._interval = min(self._interval * 2, T2)
        self._repeat = self.layer.timers.after(self._interval, self._send_again)

    def _unacknowledged(self) -> None:
        self.end()
        self.layer.user.on_unacknowledged(self)

    def end(self) -> None:
        """Forget this transaction."""
        super().end()
        self.layer.servers.pop(self.key, None)
        self.layer.forget(self)


class TransactionLayer:
    """All transactions of one user agent; bytes go out through `send`, news to `user`."""

    def __init__(self, timers: Timers, send: Send, new_tag: Callable[[], str], user: User) -> None:
        self.timers = timers
        self.send = send
        self.user = user
        self.clients: dict[tuple[str, str], ClientTransaction] = {}
        self.servers: dict[tuple[str, ...], ServerTransaction] = {}
        self.new_tag = new_tag
        self.gate: Gate = OpenGate()
        self.malformed = 0
        self._first: dict[tuple[str, str, str], ServerTransaction] = {}  # by what copies of a request share

    def request(
        self, request: Request, flow: Flow, on_response: Callable[[Response | None], None]
    ) -> ClientTransaction:
        """Begin a client transaction; `request` carries its Via already."""
        transaction = ClientTransaction(self, request, flow, on_response)
        self.clients[transaction.key] = transaction
        transaction.start()
        return transaction

    def receive(self, message: Request | Response, flow: Flow) -> None:
        """Give a parsed message to the transaction that it belongs to, or make one."""
        try:
            via = Via.parse(split_list(message.get("via"))[0])
            if isinstance(message, Response):
                self._receive_response(message, via, flow)
            else:
                self._receive_request(message, via, flow)
        except (PeerError, IndexError) as error:
            self.malformed += 1
            if isinstance(message, Request):
                self.refuse(MessageError(str(error), getattr(error, "status", 400), message), flow)

    def refuse(self, error: MessageError, flow: Flow) -> None:
        """Answer what could not be parsed, statelessly, where that is possible at all (RFC 3261 8.2.7)."""
        request = error.message
        deserved = self.gate.malformed(flow)
        if request is None or request.method == "ACK" or not request.get("via") or not deserved:
            return
        self._send_stateless(request, request.response(error.status, phrase(error), self.new_tag()), flow)

    def _send_stateless(self, request: Request, response: Response, flow: Flow) -> None:
        """Once, and on UDP only when it could not serve to flood a forged source with."""
        data = response.encode()
        if flow.reliable or not request.size or len(data) <= AMPLIFICATION * request.size:
            self.send(flow, data)

    def _receive_response(self, response: Response, via: Via, flow: Flow) -> None:
        transaction = self.clients.get((via.branch, response.cseq[1]))
        if transaction:
            transaction.receive(response)
        else:
            self.user.on_stray_response(response, flow)

    def _receive_request(self, request: Request, via: Via, flow: Flow) -> None:
        key = server_key(request, via)
        transaction = self.servers.get(key)
        if request.method == "ACK":
            if transaction and transaction.state in ("completed", "confirmed"):
                transaction.receive_ack()
            else:
                self.user.on_ack(request, flow)
            return
        if transaction:
            transaction.receive_again()
            return
        Uri.parse(request.uri)
        _check_parties(request)
        mark_source(request, via, flow)
        admission = self.gate.judge(request, flow)
        if not admission.passed:
            if admission.answer:
                self._send_stateless(request, admission.answer, flow)
            return
        transaction = ServerTransaction(self, request, flow, key)
        transaction.account = admission.account
        self.servers[key] = transaction
        self._compare(transaction)
        if request.method == "CANCEL":
            self._cancel(transaction, via)
            return
        if transaction.invite:
            transaction.respond(request.response(100))
        try:
            self.user.on_request(transaction)
        except PeerError as error:
            transaction.reply(error.status, phrase(error))
        except Exception:  # a fault of ours, for the log; the peer must not wait for an answer meanwhile
            transaction.reply(500)
            raise

    def _compare(self, transaction: ServerTransaction) -> None:
        """Tell a request that reached us twice, by two ways, from two requests (8.2.2.2).

        Not REGISTER: phones that begin anew may repeat themselves, and a binding made twice is one.
        """
        request = transaction.request
        if not has_tag(request.get("to")) and request.method not in ("CANCEL", "REGISTER"):
            identity = _identity(request)
            first = self._first.get(identity)
            transaction.merged = first is not None and first.state in ("trying", "proceeding")
            if not transaction.merged:
                self._first[identity] = transaction

    def forget(self, transaction: ServerTransaction) -> None:
        """A server transaction is over."""
        identity = _identity(transaction.request)
        if self._first.get(identity) is transaction:
            del self._first[identity]

    def _cancel(self, cancel: ServerTransaction, via: Via) -> None:
        """RFC 3261 9.2: 200 to the CANCEL itself; the INVITE's fate is the TU's."""
        invite = self.servers.get((*server_key(cancel.request, via)[:-1], "INVITE"))
        if invite is None:
            cancel.reply(481)
            return
        cancel.respond(cancel.request.response(200, "", invite.tag))
        if invite.state == "proceeding":
            self.user.on_cancel(invite, cancel.request)

    def transport_failed(self, flow: Flow) -> None:
        """Nothing can be delivered over `flow` any more: fail every client transaction on it."""
        for transaction in list(self.clients.values()):
            if transaction.flow == flow:
                transaction.fail()


def phrase(error: PeerError) -> str:
    """An error as a reason phrase."""
    return error.reason[:1].upper() + error.reason[1:]


def _check_parties(request: Request) -> None:
    """Raise PeerError (400) unless From and To hold addresses; 416 is for the Request-URI (8.2.2.1)."""
    for name in ("from", "to"):
        try:
            NameAddr.parse(request.get(name))
        except PeerError as error:
            raise PeerError(f"{error.reason} in {name.title()}") from None


def _identity(request: Request) -> tuple[str, str, str]:
    return request.call_id, request.get("cseq"), NameAddr.parse(request.get("from")).tag


def server_key(request: Request, via: Via) -> tuple[str, ...]:
    """What identifies a server transaction (17.2.3); the last part is the method, INVITE for ACK."""
    method = "INVITE" if request.method == "ACK" else request.method
    if via.branch.startswith(MAGIC) and len(via.branch) > len(MAGIC):
        return (via.branch, via.host.lower(), str(via.port or 0), method)
    number, _ = request.cseq
    from_tag = NameAddr.parse(request.get("from")).tag
    return (request.uri, from_tag, request.call_id, str(number), str(via), method)


def mark_source(request: Request, via: Via, flow: Flow) -> None:
    """Write into the top Via where the request came from (18.2.1, RFC 3581 4); the rest of it stays."""
    first = next(index for index, (name, _) in enumerate(request.headers) if name == "via")
    top, *others = split_list(request.headers[first][1])
    if "rport" in via.params:
        top = _RPORT.sub(f";rport={flow.remote[1]}", top, count=1)
    top = _RECEIVED.sub("", top) + f";received={flow.remote[0]}"
    request.headers[first] = ("via", ", ".join([top, *others]))
