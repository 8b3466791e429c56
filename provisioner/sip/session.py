"""One call leg as UAC or UAS, from INVITE to BYE (RFC 3261 sections 9, 13 to 15; races as in RFC 5407)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from provisioner.errors import PeerError
from provisioner.sip.dialog import Dialog
from provisioner.sip.headers import NameAddr
from provisioner.sip.message import Header, Request, Response, has_tag
from provisioner.sip.sdp import audio_part
from provisioner.sip.timers import Timer
from provisioner.sip.transaction import RINGING, T1, T2, TRANSACTION, Flow, ServerTransaction

if TYPE_CHECKING:
    from provisioner.sip.agent import Agent, Credentials, Exchange

SDP = "application/sdp"
DIGITS = (
    "application/dtmf-relay", "application/dtmf", "application/vnd.nortelnetworks.digits",
    "audio/telephone-event",
)  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """A provisional answer, 101 to 199; `sdp` is empty without early media."""

    status: int
    sdp: bytes
    response: Response


@dataclass(frozen=True)
class Answered:
    """The peer accepted our INVITE."""

    sdp: bytes
    response: Response


@dataclass(frozen=True)
class Failed:
    """Our INVITE came to nothing; 408 when nobody answered, 503 when it could not be delivered."""

    status: int
    reason: str
    response: Response | None = None


@dataclass(frozen=True)
class Confirmed:
    """ACK of our 2xx; `sdp` is the answer when ours was the offer."""

    sdp: bytes


@dataclass(frozen=True)
class Offered:
    """A re-INVITE or UPDATE; reply with `Session.answer` or `transaction.reply(488)`.

    `sdp` is empty when we are to offer.
    """

    sdp: bytes
    transaction: ServerTransaction


@dataclass(frozen=True)
class Info:
    """A body of one of the types `DIGITS` in an INFO request (RFC 6086); already answered 200."""

    content_type: str
    body: bytes


@dataclass(frozen=True)
class Ended:
    """The peer is gone: `how` is "bye", "cancelled" or "timeout"; `reason` its Reason header (RFC 3326)."""

    how: Literal["bye", "cancelled", "timeout"]
    reason: str = ""


Event = Progress | Answered | Failed | Confirmed | Offered | Info | Ended
Listener = Callable[["Session", Event], None]
State = Literal["calling", "incoming", "up", "over"]


def body_of(message: Request | Response) -> bytes:
    """The SDP in a message, b"" without one."""
    return audio_part(message.get("content-type"), message.body)


def speaks(request: Request) -> bool:
    """Whether the body of an INVITE, if there is one, can be understood (8.2.3)."""
    kind = request.get("content-type").partition(";")[0].strip().lower()
    optional = "handling=optional" in request.get("content-disposition").replace(" ", "").lower()
    plain = request.get("content-encoding", "identity").lower() == "identity"
    return not request.body or optional or (plain and (kind == SDP or kind.startswith("multipart/")))


class _Repeat:
    """A 2xx to INVITE, repeated on every transport until its ACK (13.3.1.4)."""

    def __init__(
        self, transaction: ServerTransaction, response: Response, on_timeout: Callable[[], None]
    ) -> None:
        self._transaction = transaction
        self._response = response
        self._interval = T1
        self.offers = bool(response.body) and not body_of(transaction.request)
        timers = transaction.layer.timers
        self._timer = timers.after(T1, self._again)
        self._limit = timers.after(TRANSACTION, on_timeout)
        transaction.respond(response)

    def _again(self) -> None:
        self._transaction.respond(self._response)
        self._interval = min(self._interval * 2, T2)
        self._timer = self._transaction.layer.timers.after(self._interval, self._again)

    def stop(self) -> None:
        self._timer.cancel()
        self._limit.cancel()


class Session:
    """One call leg. No method raises for what the peer did; `listener` hears news until the leg is over."""

    def __init__(self, agent: Agent, listener: Listener, flow: Flow, pinned: bool) -> None:
        self.agent = agent
        self.listener = listener
        self.flow = flow
        self.pinned = pinned
        self.state: State = "calling"
        self.dialog: Dialog | None = None
        self.invite: Request
        self.incoming: ServerTransaction | None = None
        self.peer_allows_info = False
        self.heard = False  # something, a 100 at least, came back to the INVITE that we sent
        self._exchange: Exchange | None = None
        self._forks: dict[str, Dialog] = {}
        self._acks: dict[str, Request] = {}
        self._credentials: Credentials | None = None
        self._cancel: list[Header] | None = None
        self._cancel_timer: Timer | None = None
        self._ringing: Timer | None = None
        self._repeats: dict[int, _Repeat] = {}  # by CSeq: 2xx of ours whose ACK is still to come
        self._farewell: list[Header] | None = None  # of a BYE that waits for an ACK
        self._early: set[tuple[str, str, str]] = set()
        self._offer: ServerTransaction | None = None

    # as UAC

    def call(self, invite: Request, credentials: Credentials | None) -> None:
        """Send `invite` (complete but for Via and Contact)."""
        self.invite = invite
        self._credentials = credentials
        self._ringing = self.agent.timers.after(RINGING, self._no_answer)
        self._exchange = self.agent.request(invite, self.flow, self._on_invite_response, credentials)

    def _on_invite_response(self, response: Response | None) -> None:
        if response is None:
            undelivered = not self._exchange or self._exchange.transaction.undelivered
            self._over(Failed(503, "Not delivered") if undelivered else Failed(408, "No answer"))
        elif response.status < 200:
            self._on_provisional(response)
        elif response.status < 300:
            self._on_2xx(response)
        else:
            self._over(Failed(response.status, response.reason, response))

    def _on_provisional(self, response: Response) -> None:
        self.heard = True
        if self._cancel is not None and self._cancel_timer is None:
            self._send_cancel()
        elif response.status > 100 and self.state == "calling":
            if self._ringing:
                self._ringing.cancel()
            self._ringing = self.agent.timers.after(RINGING, self._no_answer)
            if has_tag(response.get("to")) and self._exchange:
                early = Dialog.of_response(self._exchange.request, response, self.flow, self.pinned)
                self._early.add(early.key)
                self.agent.sessions[early.key] = self
            self.listener(self, Progress(response.status, body_of(response), response))

    def _on_2xx(self, response: Response) -> None:
        assert self._exchange
        if self._cancel_timer:
            self._cancel_timer.cancel()
        try:
            dialog = Dialog.of_response(self._exchange.request, response, self.flow, self.pinned)
        except PeerError:  # no ACK can reach such a peer
            self._over(Failed(502, "Unusable answer", response))
            return
        tag = dialog.remote.tag
        if tag not in self._acks:
            self._acks[tag] = dialog.request("ACK", self._exchange.request.cseq[0])
            for name in ("authorization", "proxy-authorization"):
                self._acks[tag].headers += [(name, value) for value in self._exchange.request.all(name)]
            self.agent.add_via(self._acks[tag], self.agent.hop(dialog))
            self._forks[tag] = dialog
        self.agent.send(self.agent.hop(dialog), self._acks[tag].encode())
        if self.dialog and self.dialog.remote.tag == tag:
            return
        if self.dialog is None and self.state == "calling":
            self._adopt(dialog)
            self.listener(self, Answered(body_of(response), response))
        elif self._forks.pop(tag, None):  # another fork, or a 2xx that crossed our CANCEL
            self._bye(dialog, [], lambda _response: None)

    def _adopt(self, dialog: Dialog) -> None:
        self._forget()
        self.dialog = dialog
        self.state = "up"
        self.agent.sessions[dialog.key] = self

    def _no_answer(self) -> None:
        """Timer C: it rang long enough."""
        self._abandon([])
        self.listener(self, Failed(408, "No answer"))

    def _abandon(self, headers: list[Header]) -> None:
        """CANCEL now, or as soon as a provisional answer allows it (9.1)."""
        self._forget()
        self._cancel = headers
        if self._exchange:
            self._exchange.abandoned = True
            if self._exchange.transaction.state == "proceeding":
                self._send_cancel()

    def _send_cancel(self) -> None:
        """CANCEL (9.1): the INVITE's branch, Request-URI and routes, its own transaction."""
        assert self._exchange
        assert self._cancel is not None
        invite = self._exchange.request
        headers = [("via", invite.get("via")), ("max-forwards", "70")]
        headers += [("route", value) for value in invite.all("route")]
        headers += [("from", invite.get("from")), ("to", invite.get("to")), ("call-id", invite.call_id)]
        headers += [("cseq", f"{invite.cseq[0]} CANCEL"), *self._cancel]
        transaction = self._exchange.transaction
        self._cancel_timer = self.agent.timers.after(TRANSACTION, transaction.end)
        self.agent.transactions.request(
            Request("CANCEL", invite.uri, headers), transaction.flow, lambda _response: None
        )

    # as UAS

    def receive(self, transaction: ServerTransaction) -> None:
        """Take an INVITE that begins a dialog."""
        self.state = "incoming"
        self.incoming = transaction
        self.invite = transaction.request
        self.dialog = Dialog.of_request(self.invite, transaction.tag, self.flow, self.pinned)
        self.agent.sessions[self.dialog.key] = self

    def progress(self, status: int, sdp: bytes = b"", headers: list[Header] | None = None) -> None:
        """Answer 180 or 183 (with early media when there is `sdp`)."""
        if self.state == "incoming" and self.incoming:
            self.incoming.respond(self._response(self.incoming, status, sdp, headers))

    def accept(self, sdp: bytes, headers: list[Header] | None = None) -> None:
        """Answer 200."""
        if self.state == "incoming" and self.incoming:
            self.state = "up"
            self._accept(self.incoming, sdp, headers)

    def answer(self, transaction: ServerTransaction, sdp: bytes) -> None:
        """Answer an `Offered` re-INVITE or UPDATE with 200."""
        if transaction.invite:
            self._accept(transaction, sdp, None)
        else:
            transaction.respond(self._response(transaction, 200, sdp, None))

    def _accept(self, transaction: ServerTransaction, sdp: bytes, headers: list[Header] | None) -> None:
        if transaction.state != "proceeding":  # cancelled, or answered already
            return
        response = self._response(transaction, 200, sdp, headers)
        seq = transaction.request.cseq[0]
        self._repeats[seq] = _Repeat(transaction, response, lambda: self._unacknowledged(seq))

    def _response(
        self, transaction: ServerTransaction, status: int, sdp: bytes, headers: list[Header] | None
    ) -> Response:
        response = transaction.request.response(status, "", transaction.tag)
        response.headers += [("contact", self.agent.contact(self.flow)), *self.agent.abilities]
        response.headers += headers or []
        if sdp:
            response.headers.append(("content-type", SDP))
            response.body = sdp
        return response

    def _unacknowledged(self, seq: int) -> None:
        """No ACK for 64*T1: the session is confirmed but useless, so BYE (13.3.1.4)."""
        self._repeats.pop(seq).stop()
        was = self.state
        self._leave(self._farewell or [])
        if was == "up":
            self.listener(self, Ended("timeout"))

    def reject(self, status: int, reason: str = "", headers: list[Header] | None = None) -> None:
        """Refuse an INVITE that was not yet accepted."""
        if self.state == "incoming" and self.incoming:
            self.incoming.reply(status, reason, headers)
            self._forget()

    # both

    def hangup(self, status: int = 480, reason: str = "") -> None:
        """End the leg as its state asks: BYE, CANCEL, or refuse with `status`. The listener hears no more."""
        headers: list[Header] = [("reason", reason)] if reason else []
        if self.state == "incoming":
            self.reject(status, "", headers)
        elif self.state == "calling":
            self._abandon(headers)
        elif self.state == "up":
            self._leave(headers)

    def _leave(self, headers: list[Header]) -> None:
        """BYE, but not before the ACK of the 200 that began the dialog (15). Mortal until it is answered."""
        assert self.dialog
        self.state = "over"
        if self.incoming and self.invite.cseq[0] in self._repeats:
            self._farewell = headers
            return
        self._farewell = None
        self._stop_repeats()
        self._bye(self.dialog, headers, self._on_bye_answer)

    def _bye(
        self, dialog: Dialog, headers: list[Header], on_response: Callable[[Response | None], None]
    ) -> None:
        bye = dialog.request("BYE")
        bye.headers += headers
        self.agent.request(bye, self.agent.hop(dialog), on_response, self._credentials)

    def _on_bye_answer(self, response: Response | None) -> None:
        if response is None or response.status >= 200:
            self._forget()

    def _over(self, event: Event) -> None:
        was = self.state
        self._forget()
        if self._cancel_timer:
            self._cancel_timer.cancel()
        if was != "over":
            self.listener(self, event)

    def _forget(self) -> None:
        self.state = "over"
        self._stop_repeats()
        if self._ringing:
            self._ringing.cancel()
        for key in self._early:
            self.agent.sessions.pop(key, None)
        self._early.clear()
        if self.dialog:
            self.agent.sessions.pop(self.dialog.key, None)

    def _stop_repeats(self) -> None:
        for repeat in self._repeats.values():
            repeat.stop()
        self._repeats.clear()

    def on_cancel(self, cancel: Request) -> None:
        """The caller gave up (9.2)."""
        if self.state == "incoming" and self.incoming:
            self.incoming.reply(487)
            self._over(Ended("cancelled", cancel.get("reason")))

    def on_ack(self, ack: Request) -> None:
        """ACK of a 2xx of ours."""
        repeat = self._repeats.pop(ack.cseq[0], None)
        if repeat is None:
            return
        repeat.stop()
        if self._farewell is not None:
            self._leave(self._farewell)
        else:
            self.listener(self, Confirmed(body_of(ack)))

    def on_request(self, transaction: ServerTransaction) -> None:
        """A request inside the dialog."""
        request = transaction.request
        dialog = self.dialog
        if dialog and request.cseq[0] <= dialog.remote_seq:  # 12.2.2; repeats never come here
            transaction.reply(500, "CSeq out of order")
            return
        if dialog:
            dialog.remote_seq = request.cseq[0]
        if self.state == "over" and request.method != "BYE":  # our own BYE is under way (RFC 5407 3.2)
            transaction.reply(481)
            return
        handler = {
            "BYE": self._on_bye,
            "INVITE": self._on_offer,
            "UPDATE": self._on_offer,
            "INFO": self._on_info,
        }
        handler.get(request.method, self.agent.on_other_in_dialog)(transaction)

    def _on_bye(self, transaction: ServerTransaction) -> None:
        transaction.reply(200)
        if self.state == "incoming" and self.incoming:  # a caller may leave its early dialog (15)
            self.incoming.reply(487)
        ringing = self.state == "calling"
        self._over(Ended("bye", transaction.request.get("reason")))
        if ringing:  # a callee must not (15), and its INVITE would wait for a final answer for ever
            self._abandon([])

    def _on_offer(self, transaction: ServerTransaction) -> None:
        sdp = body_of(transaction.request)
        refresh = transaction.request.method == "UPDATE" and not sdp
        theirs = self.state == "incoming" or (self._offer and self._offer.state in ("trying", "proceeding"))
        ours = self.state == "calling" or any(repeat.offers for repeat in self._repeats.values())
        if theirs and not refresh:  # one offer at a time (14.2; RFC 3311 5.2)
            transaction.reply(500, "", [("retry-after", str(self.agent.rng.randrange(11)))])
            return
        if ours and not refresh:
            transaction.reply(491)
            return
        if self.dialog:
            self.dialog.refresh_target(transaction.request)
        if refresh:
            self.answer(transaction, b"")
        else:
            self._offer = transaction
            self.listener(self, Offered(sdp, transaction))

    def _on_info(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        kind = request.get("content-type").lower()
        if request.body and kind.partition(";")[0].strip() not in DIGITS:
            transaction.reply(415, "", [("accept", ", ".join(DIGITS))])
            return
        transaction.reply(200)
        if request.body:
            self.listener(self, Info(kind, request.body))

    @property
    def offer(self) -> bytes:
        """The SDP in the INVITE that began this session."""
        return body_of(self.invite)

    @property
    def remote(self) -> NameAddr:
        """The party at the other end: From of an INVITE that we got, To of one that we sent."""
        return NameAddr.parse(self.invite.get("from" if self.incoming else "to"))
