"""One call leg as UAC or UAS, from INVITE to BYE (RFC 3261 sections 9, 13 to 15; races as in RFC 5407)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from provisioner.sip.dialog import Dialog
from provisioner.sip.events import (
    DIGITS,
    SDP,
    Answered,
    Confirmed,
    Ended,
    Event,
    Failed,
    Info,
    Offered,
    Progress,
    body_of,
    lists,
    speaks,
    tokens,
)
from provisioner.sip.headers import NameAddr
from provisioner.sip.message import Header, Message, Request, Response
from provisioner.sip.offers import Offers, OnResult
from provisioner.sip.outgoing import Outgoing
from provisioner.sip.refer import Referral
from provisioner.sip.reliable import Reliable, Repeat
from provisioner.sip.session_timer import SessionTimer
from provisioner.sip.transaction import Flow, ServerTransaction

if TYPE_CHECKING:
    from provisioner.sip.agent import Agent, Credentials

__all__ = [
    "DIGITS", "SDP", "Answered", "Confirmed", "Ended", "Event", "Failed", "Info", "Listener", "Offered",
    "Progress", "Session", "State", "body_of", "speaks",
]  # fmt: skip

Listener = Callable[["Session", Event], None]
State = Literal["calling", "incoming", "up", "over"]


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
        self.unlimited = False  # never ended by a timer of ours
        self.reliable_early = False  # as the agent's, for this caller
        self.peer_allows: frozenset[str] = frozenset()
        self.local_sdp = b""  # the last that we said, for a refresh
        self.answerer: Callable[[bytes], bytes] | None = None  # of offers in answers to what we sent without
        self.on_refer: Callable[[Referral], None] | None = None
        self.on_notify: Callable[[Request], None] | None = None  # of a REFER of ours
        self.credentials: Credentials | None = None
        self.timer = SessionTimer(agent.timers, agent.session_expires)
        self.offers = Offers(self)
        self.outgoing = Outgoing(self)
        self._reliable: Reliable | None = None
        self._settled = False  # the caller's PRACK made offer and answer final before our 2xx
        self._acceptance: tuple[bytes, list[Header] | None] | None = None  # that waits for a PRACK
        self._repeats: dict[int, Repeat] = {}  # by CSeq: 2xx of ours whose ACK is still to come
        self._farewell: list[Header] | None = None  # of a BYE that waits for an ACK
        self._offer: ServerTransaction | None = None
        self._referred = False
        self.timer.refresh, self.timer.expire = self._refresh, self.lost

    # as UAC

    def call(self, invite: Request, credentials: Credentials | None) -> None:
        """Send `invite` (complete but for Via and Contact)."""
        self.credentials = credentials
        self.local_sdp = body_of(invite)
        self.outgoing.start(invite)

    @property
    def heard(self) -> bool:
        """Whether something, a 100 at least, came back to the INVITE that we sent."""
        return self.outgoing.heard

    def put_answer(self, message: Request, offer: bytes) -> None:
        """Write our answer to `offer` into an ACK or PRACK."""
        answer = self.answerer(offer) if offer and self.answerer else b""
        if answer:
            self.local_sdp = answer
            message.headers.append(("content-type", SDP))
            message.body = answer

    def begin(self, dialog: Dialog, response: Response, sdp: bytes) -> None:
        """The first 2xx to our INVITE: the session is up."""
        self.close()
        self.dialog = dialog
        self.state = "up"
        self.agent.sessions[dialog.key] = self
        self.learn(response)
        self.timer.agreed(response)
        self.listener(self, Answered(sdp, response))
        self.offers.next()

    def keep(self) -> None:
        """No timer of ours may end this call (emergencies)."""
        self.unlimited = True
        self.timer.interval = 0

    # as UAS

    def receive(self, transaction: ServerTransaction) -> None:
        """Take an INVITE that begins a dialog."""
        self.state = "incoming"
        self.incoming = transaction
        self.invite = transaction.request
        self.dialog = Dialog.of_request(self.invite, transaction.tag, self.flow, self.pinned)
        self.agent.sessions[self.dialog.key] = self
        self.learn(self.invite)

    def progress(self, status: int, sdp: bytes = b"", headers: list[Header] | None = None) -> None:
        """Answer 180 or 183 (with early media when there is `sdp`), reliably when the caller needs that."""
        if self.state != "incoming" or not self.incoming or self._acceptance:
            return
        response = self._response(self.incoming, status, b"" if self._settled else sdp, headers)
        able = (
            lists(self.invite, "supported", "100rel")
            and sdp
            and (self.reliable_early or self.agent.reliable_early)
        )
        if not (able or lists(self.invite, "require", "100rel")):
            self.incoming.respond(response)
            return
        if self._reliable is None:
            first = self.agent.rng.getrandbits(31) or 1
            self._reliable = Reliable(self.incoming, first, self._not_acknowledged)
        self._reliable.send(response)

    @property
    def offers_early(self) -> bool:
        """Our first provisional answer has to hold an offer (RFC 3262 5)."""
        needed = not self.offer and lists(self.invite, "require", "100rel")
        return self.state == "incoming" and needed and self._reliable is None

    def _not_acknowledged(self) -> None:
        """No PRACK for 64*T1: the caller cannot hear us (RFC 3262 3)."""
        if self.incoming:
            self.incoming.reply(504)
        self.fail(Ended("timeout"))

    def _on_prack(self, transaction: ServerTransaction) -> None:
        response = self._reliable.acknowledge(transaction.request) if self._reliable else None
        if response is None or self._reliable is None:
            transaction.reply(481)
            return
        sdp = body_of(transaction.request)
        ours = bool(response.body) and not self.offer and not self._settled
        self._settled = self._settled or (bool(response.body) and (bool(sdp) or not ours))
        if sdp and not ours:
            self._offer = transaction
            self.listener(self, Offered(sdp, transaction))
        else:
            transaction.reply(200)
            if sdp:
                self.listener(self, Confirmed(sdp))
        self._reliable.next()
        if self._acceptance and not self._reliable.delays_2xx:
            acceptance, self._acceptance = self._acceptance, None
            self.accept(*acceptance)
        self.offers.next()

    def accept(self, sdp: bytes, headers: list[Header] | None = None) -> None:
        """Answer 200; not before the PRACK of early media that was sent reliably."""
        if self.state != "incoming" or not self.incoming:
            return
        if self._reliable and self._reliable.delays_2xx:
            self._acceptance = (sdp, headers)
            return
        if self._reliable:
            self._reliable.stop()
        self.state = "up"
        self._accept(self.incoming, b"" if self._settled else sdp, headers)

    def answer(self, transaction: ServerTransaction, sdp: bytes) -> None:
        """Answer an `Offered` re-INVITE, UPDATE or PRACK with 200."""
        if transaction.invite:
            self._accept(transaction, sdp, None)
        else:
            transaction.respond(self._success(transaction, sdp, None))
            self.offers.next()

    def _accept(self, transaction: ServerTransaction, sdp: bytes, headers: list[Header] | None) -> None:
        if transaction.state != "proceeding":  # cancelled, or answered already
            return
        response = self._success(transaction, sdp, headers)
        seq = transaction.request.cseq[0]
        self._repeats[seq] = Repeat(transaction, response, lambda: self._unacknowledged(seq))

    def _success(self, transaction: ServerTransaction, sdp: bytes, headers: list[Header] | None) -> Response:
        response = self._response(transaction, 200, sdp, headers)
        if self.state == "up" and transaction.request.method != "PRACK":
            self.timer.accept(transaction.request, response)
        return response

    def _response(
        self, transaction: ServerTransaction, status: int, sdp: bytes, headers: list[Header] | None
    ) -> Response:
        response = transaction.request.response(status, "", transaction.tag)
        response.headers += [("contact", self.agent.contact(self.flow)), *self.agent.abilities]
        response.headers += headers or []
        if sdp:
            self.local_sdp = sdp
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
            self.close()

    # both

    def hangup(self, status: int = 480, reason: str = "") -> None:
        """End the leg as its state asks: BYE, CANCEL, or refuse with `status`. The listener hears no more."""
        headers: list[Header] = [("reason", reason)] if reason else []
        if self.state == "incoming":
            self.reject(status, "", headers)
        elif self.state == "calling":
            self.outgoing.abandon(headers)
        elif self.state == "up":
            self._leave(headers)

    def send_offer(self, sdp: bytes, on_result: OnResult) -> None:
        """Offer `sdp` to the peer: by UPDATE before the call is answered, by re-INVITE after (RFC 3311 5.1).

        b"" asks the peer for an offer, which `answerer` answers. Waits until the dialog allows it, and is
        tried again after a collision (491). `on_result` hears the final status and the peer's SDP; unless
        that is 2xx the session is as it was, and over after 408 and 481. It is not called once the session
        is over for another reason.
        """
        self.offers.send(sdp, on_result)

    @property
    def present(self) -> Dialog | None:
        """The dialog to talk in: of the session, else the last early one."""
        last = self.outgoing.last
        return self.dialog or (last.dialog if last else None)

    def offer_method(self) -> str:
        """How an offer of ours may be sent now, "" while it may not."""
        if self.state == "up":
            return "" if self._repeats else "INVITE"
        early = self.outgoing.last
        settled = self._settled or (early is not None and early.settled)
        return "UPDATE" if settled and "UPDATE" in self.peer_allows else ""

    @property
    def offered(self) -> bool:
        """Whether an offer of the peer waits for our answer."""
        return self._offer is not None and self._offer.state in ("trying", "proceeding")

    def _refresh(self) -> None:
        """Keep the session alive (RFC 4028 7.4): by UPDATE when the peer knows it, else by re-INVITE."""
        if self.state != "up" or self.offers.busy:
            return
        method, sdp = ("UPDATE", b"") if "UPDATE" in self.peer_allows else ("INVITE", self.local_sdp)
        self.offers.send(sdp, self._refreshed, method)

    def _refreshed(self, status: int, sdp: bytes) -> None:
        if (
            status >= 300
        ):  # as 500, when another request of ours overtook it: the session need not end for that
            self.timer.again()
        elif sdp:
            self.listener(self, Confirmed(sdp))

    def lost(self) -> None:
        """The peer, or what kept the session alive, is gone (12.2.1.2; RFC 4028 10)."""
        if self.state == "up" and not self.unlimited:
            self._leave([])
            self.listener(self, Ended("timeout"))

    def learn(self, message: Message) -> None:
        """What the peer can do."""
        if message.get("allow"):
            self.peer_allows = frozenset(tokens(message, "allow"))

    def _leave(self, headers: list[Header]) -> None:
        """BYE, but not before the ACK of the 200 that began the dialog (15). Mortal until it is answered."""
        assert self.dialog
        self.state = "over"
        self._stop_timers()
        if self.incoming and self.invite.cseq[0] in self._repeats:
            self._farewell = headers
            return
        self._farewell = None
        self._stop_repeats()
        self.bye(self.dialog, headers, self._on_bye_answer)

    def bye(
        self, dialog: Dialog, headers: list[Header], on_response: Callable[[Response | None], None]
    ) -> None:
        bye = dialog.request("BYE")
        bye.headers += headers
        self.agent.request(bye, self.agent.hop(dialog), on_response, self.credentials)

    def _on_bye_answer(self, response: Response | None) -> None:
        if response is None or response.status >= 200:
            self.close()

    def fail(self, event: Event) -> None:
        was = self.state
        self.close()
        self.outgoing.settled()
        if was != "over":
            self.listener(self, event)

    def close(self) -> None:
        self.state = "over"
        self._stop_repeats()
        self._stop_timers()
        self.outgoing.stop()
        if self.dialog:
            self.agent.sessions.pop(self.dialog.key, None)

    def _stop_timers(self) -> None:
        if self._reliable:
            self._reliable.stop()
        self._acceptance = None
        self.timer.stop()
        if self.state == "over" and self.dialog:
            self.offers.stop()

    def _stop_repeats(self) -> None:
        for repeat in self._repeats.values():
            repeat.stop()
        self._repeats.clear()

    def on_cancel(self, cancel: Request) -> None:
        """The caller gave up (9.2)."""
        if self.state == "incoming" and self.incoming:
            self.incoming.reply(487)
            self.fail(Ended("cancelled", cancel.get("reason")))

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
            self.offers.next()

    def _dialog_of(self, request: Request) -> Dialog | None:
        early = self.outgoing.early.get(NameAddr.parse(request.get("from")).tag)
        return self.dialog or (early.dialog if early else None)

    def on_request(self, transaction: ServerTransaction) -> None:
        """A request inside the dialog."""
        request = transaction.request
        dialog = self._dialog_of(request)
        if dialog and request.cseq[0] <= dialog.remote_seq:  # 12.2.2; repeats never come here
            transaction.reply(500, "CSeq out of order")
            return
        if dialog:
            dialog.remote_seq = request.cseq[0]
        if self.state == "over" and request.method != "BYE":  # our own BYE is under way (RFC 5407 3.2)
            transaction.reply(481)
            return
        self.learn(request)
        handler = {
            "BYE": self._on_bye,
            "INVITE": self._on_offer,
            "UPDATE": self._on_offer,
            "INFO": self._on_info,
            "PRACK": self._on_prack,
            "REFER": self._on_refer,
            "NOTIFY": self._on_notify,
        }
        handler.get(request.method, self.agent.on_other_in_dialog)(transaction)

    def _on_bye(self, transaction: ServerTransaction) -> None:
        transaction.reply(200)
        if self.state == "incoming" and self.incoming:  # a caller may leave its early dialog (15)
            self.incoming.reply(487)
        ringing = self.state == "calling"
        self.fail(Ended("bye", transaction.request.get("reason")))
        if ringing:  # a callee must not (15), and its INVITE would wait for a final answer for ever
            self.outgoing.abandon([])

    def _on_offer(self, transaction: ServerTransaction) -> None:
        """A re-INVITE or UPDATE: one offer at a time (14.2; RFC 3311 5.2)."""
        request = transaction.request
        sdp = body_of(request)
        refresh = request.method == "UPDATE" and not sdp
        dialog = self._dialog_of(request)
        if not refresh and self._theirs_first(request):
            transaction.reply(500, "", [("retry-after", str(self.agent.rng.randrange(11)))])
        elif not refresh and self._ours_first(request):
            transaction.reply(491)
        elif least := self.timer.refused(request):
            transaction.reply(422, "", [("min-se", str(least))])
        else:
            if dialog:
                dialog.refresh_target(request)
            if refresh:
                self.answer(transaction, b"")
            else:
                self._offer = transaction
                self.listener(self, Offered(sdp, transaction))

    def _theirs_first(self, request: Request) -> bool:
        """An earlier offer of the peer still waits for our answer."""
        return self.offered or (
            self.state == "incoming" and (request.method == "INVITE" or not self._settled)
        )

    def _ours_first(self, request: Request) -> bool:
        """An offer of ours still waits for the peer's answer."""
        early = self.outgoing.early.get(NameAddr.parse(request.get("from")).tag)
        calling = self.state == "calling" and (request.method == "INVITE" or not (early and early.settled))
        return calling or self.offers.open or any(repeat.offers for repeat in self._repeats.values())

    def _on_refer(self, transaction: ServerTransaction) -> None:
        dialog = self._dialog_of(transaction.request)
        if self.on_refer is None or dialog is None:
            transaction.reply(603)
            return
        referral = Referral(self.agent, dialog, transaction, first=not self._referred)
        self._referred = True
        self.on_refer(referral)

    def _on_notify(self, transaction: ServerTransaction) -> None:
        transaction.reply(200, "", self.agent.abilities)
        if self.on_notify:
            self.on_notify(transaction.request)

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
