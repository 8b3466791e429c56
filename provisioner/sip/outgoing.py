"""An INVITE of ours until it is settled: forks, reliable provisionals, ACK and CANCEL (RFC 3261 9, 13.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.errors import PeerError
from provisioner.sip.dialog import Dialog
from provisioner.sip.events import Failed, Progress, body_of
from provisioner.sip.message import Header, Request, Response, has_tag
from provisioner.sip.reliable import Early
from provisioner.sip.timers import Timer
from provisioner.sip.transaction import RINGING, TRANSACTION

if TYPE_CHECKING:
    from provisioner.sip.agent import Exchange
    from provisioner.sip.session import Session

MAX_FORKS = 10  # early dialogs of one INVITE that are kept


class Outgoing:
    """The client side of one session. `early`: its early dialogs by To tag, in the order of their last news."""

    def __init__(self, session: Session) -> None:
        self.heard = False
        self.early: dict[str, Early] = {}
        self._session = session
        self._exchange: Exchange | None = None
        self._forks: dict[str, Dialog] = {}
        self._acks: dict[str, Request] = {}
        self._cancel: list[Header] | None = None
        self._cancel_timer: Timer | None = None
        self._ringing: Timer | None = None

    def start(self, invite: Request) -> None:
        """Send the INVITE."""
        self._session.timer.ask(invite)
        self._wait()
        self._send(invite)

    def _send(self, invite: Request) -> None:
        session = self._session
        session.invite = invite
        self._exchange = session.agent.request(
            invite, session.flow, self._on_invite_response, session.credentials
        )

    def _wait(self) -> None:
        """Timer C, from each sign of life anew (16.6)."""
        if self._ringing:
            self._ringing.cancel()
        self._ringing = self._session.agent.timers.after(RINGING, self._no_answer)

    @property
    def last(self) -> Early | None:
        """The early dialog that was heard of last: what the caller hears is its media."""
        return next(reversed(self.early.values()), None)

    def stop(self) -> None:
        """There is a final answer, or none is wanted: no early dialog is left."""
        if self._ringing:
            self._ringing.cancel()
        for early in self.early.values():
            self._session.agent.sessions.pop(early.dialog.key, None)

    def settled(self) -> None:
        """The CANCEL did what it was for."""
        if self._cancel_timer:
            self._cancel_timer.cancel()

    def _on_invite_response(self, response: Response | None) -> None:
        self.heard = self.heard or response is not None
        if response is None:
            undelivered = not self._exchange or self._exchange.transaction.undelivered
            self._session.fail(Failed(503, "Not delivered") if undelivered else Failed(408, "No answer"))
        elif response.status < 200:
            self._on_provisional(response)
        elif response.status < 300:
            self._on_2xx(response)
        elif self._cancel is not None or not self._longer_interval(response):
            self._session.fail(Failed(response.status, response.reason, response))

    def _longer_interval(self, response: Response) -> bool:
        """Ask again with the session interval that a 422 wants (RFC 4028 7.3)."""
        timer = self._session.timer
        if self._exchange is None or not timer.too_small(response):
            return False
        old = self._exchange.request
        invite = Request("INVITE", old.uri, list(old.headers), old.body)
        invite.set("cseq", f"{old.cseq[0] + 1} INVITE")
        timer.ask(invite)
        self._send(invite)
        return True

    def _on_provisional(self, response: Response) -> None:
        session = self._session
        if self._cancel is not None and self._cancel_timer is None:
            self._send_cancel()
        elif response.status > 100 and response.status != 199 and session.state == "calling":
            self._wait()
            if self._take(response):
                session.listener(session, Progress(response.status, body_of(response), response))

    def _take(self, response: Response) -> bool:
        """Note what an early dialog says; False for what is out of order (RFC 3262 4)."""
        session = self._session
        session.learn(response)
        early = self._fork(response)
        if early is None:
            return True
        rack = early.take(response)
        if rack is None:
            return False
        early.sdp = body_of(response) or early.sdp
        if rack:
            self._acknowledge(early, rack, response)
        return True

    def _acknowledge(self, early: Early, rack: str, response: Response) -> None:
        """PRACK, with the answer when the reliable provisional held the offer (RFC 3262 5)."""
        session = self._session
        prack = early.dialog.request("PRACK")
        prack.headers.append(("rack", rack))
        if not session.offer:
            session.put_answer(prack, body_of(response))
        hop = session.agent.hop(early.dialog)
        session.agent.request(prack, hop, lambda _response: None, session.credentials)
        session.offers.next()

    def _fork(self, response: Response) -> Early | None:
        """The early dialog that an answer belongs to; None without a tag, which some phones forget."""
        if not has_tag(response.get("to")) or not self._exchange:
            return None
        session = self._session
        dialog = Dialog.of_response(self._exchange.request, response, session.flow, session.pinned)
        early = self.early.pop(dialog.remote.tag, None)
        if early is None and len(self.early) < MAX_FORKS:
            early = Early(dialog)
            session.agent.sessions[dialog.key] = session
        if early:
            self.early[dialog.remote.tag] = early
        return early

    def _on_2xx(self, response: Response) -> None:
        assert self._exchange
        self.settled()
        session = self._session
        try:
            dialog = Dialog.of_response(self._exchange.request, response, session.flow, session.pinned)
        except PeerError:  # no ACK can reach such a peer
            session.fail(Failed(502, "Unusable answer", response))
            return
        tag = dialog.remote.tag
        early = self.early.get(tag)
        if early:  # the same dialog goes on (12.1.2)
            dialog.local_seq, dialog.remote_seq = early.dialog.local_seq, early.dialog.remote_seq
        wanted = session.dialog is None and session.state == "calling"
        settled = early is not None and early.settled
        if tag not in self._acks:
            offer = body_of(response) if wanted and not settled and not session.offer else b""
            self._acks[tag] = self._ack(dialog, self._exchange.request, offer)
            self._forks[tag] = dialog
        session.agent.send(session.agent.hop(dialog), self._acks[tag].encode())
        if session.dialog and session.dialog.remote.tag == tag:
            return
        if wanted:
            said = early.sdp if early else b""
            session.begin(dialog, response, said if settled else body_of(response) or said)
        elif self._forks.pop(tag, None):  # another fork, or a 2xx that crossed our CANCEL
            session.bye(dialog, [], lambda _response: None)

    def _ack(self, dialog: Dialog, invite: Request, offer: bytes) -> Request:
        """ACK of a 2xx (13.2.2.4), with the credentials of the INVITE and the answer to an `offer` in it."""
        session = self._session
        ack = dialog.request("ACK", invite.cseq[0])
        for name in ("authorization", "proxy-authorization"):
            ack.headers += [(name, value) for value in invite.all(name)]
        session.put_answer(ack, offer)
        session.agent.add_via(ack, session.agent.hop(dialog))
        return ack

    def _no_answer(self) -> None:
        """Timer C: it rang long enough."""
        self.abandon([])
        self._session.listener(self._session, Failed(408, "No answer"))

    def abandon(self, headers: list[Header]) -> None:
        """CANCEL now, or as soon as a provisional answer allows it (9.1)."""
        self._session.close()
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
        agent = self._session.agent
        self._cancel_timer = agent.timers.after(TRANSACTION, transaction.end)
        agent.transactions.request(
            Request("CANCEL", invite.uri, headers), transaction.flow, lambda _response: None
        )
