"""Our own re-INVITE and UPDATE in a session: one at a time, and again after a collision (RFC 3261 14, 3311)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioner.errors import PeerError
from provisioner.sip.dialog import Dialog
from provisioner.sip.events import SDP, body_of
from provisioner.sip.message import Request, Response
from provisioner.sip.timers import Timer
from provisioner.sip.transaction import RINGING, TRANSACTION

if TYPE_CHECKING:
    from provisioner.sip.agent import Exchange
    from provisioner.sip.session import Session

MAX_TRIES = 5  # of one offer that meets 491, 500 with Retry-After, or 422
MAX_WAITING = 10
LONGEST_WAIT = 10  # seconds that a peer may ask for in Retry-After

OnResult = Callable[[int, bytes], None]
"""Final status, and the SDP that the peer answered with; 408 when it said nothing."""


@dataclass
class _Offer:
    method: str  # "" until it is known what the dialog allows
    sdp: bytes
    on_result: OnResult
    tries: int = 0


@dataclass
class _Try:
    """One request for an offer; `exchange` is None while it is being sent."""

    dialog: Dialog
    request: Request
    exchange: Exchange | None = None
    ack: Request | None = None

    @property
    def sent(self) -> Request:
        """The request as it was sent last: a challenge makes a new one."""
        return self.exchange.request if self.exchange else self.request


class Offers:
    """Those of one session. What a failed one asked for never was: the session stays as it is (14.1)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: deque[_Offer] = deque()
        self._current: _Offer | None = None
        self._try: _Try | None = None
        self._timer: Timer | None = None

    @property
    def open(self) -> bool:
        """Whether one of ours waits for its answer now, so that the peer's must wait (491)."""
        return self._try is not None and bool(self._try.request.body or self._try.request.method == "INVITE")

    @property
    def busy(self) -> bool:
        """Whether one is under way, or waits to be tried again."""
        return self._current is not None

    def send(self, sdp: bytes, on_result: OnResult, method: str = "") -> None:
        """Offer `sdp`, after those before it; b"": ask the peer for an offer, or just refresh by UPDATE."""
        if len(self._waiting) >= MAX_WAITING:
            on_result(500, b"")
            return
        self._waiting.append(_Offer(method, sdp, on_result))
        self.next()

    def next(self) -> None:
        """Begin the next one if the dialog allows it now; the session calls this when that changes."""
        session = self._session
        if self._current or not self._waiting or session.state == "over":
            return
        method = self._waiting[0].method or session.offer_method()
        if not method or session.offered:
            return
        self._current = self._waiting.popleft()
        self._current.method = method
        self._begin()

    def _begin(self) -> None:
        offer, session = self._current, self._session
        dialog = session.present
        assert offer
        assert dialog
        self._timer = None
        offer.tries += 1
        request = dialog.request(offer.method)
        request.headers += session.agent.abilities
        if session.state == "up":
            session.timer.ask(request)
        if offer.sdp:
            request.headers.append(("content-type", SDP))
            request.body = offer.sdp
        if offer.method == "INVITE":
            self._timer = session.agent.timers.after(RINGING, self._silent)
        attempt = self._try = _Try(dialog, request)
        hop = session.agent.hop(dialog)
        attempt.exchange = session.agent.request(
            request, hop, lambda response: self._answered(attempt, response), session.credentials
        )

    def _silent(self) -> None:
        """A re-INVITE that is never answered finally."""
        self._let_go()
        self._done(408, b"")

    def _answered(self, attempt: _Try, response: Response | None) -> None:
        dialog = attempt.dialog
        dialog.local_seq = max(dialog.local_seq, attempt.sent.cseq[0])  # a challenge took numbers
        if response is not None and response.status < 200:
            return
        if response is not None and response.status < 300:
            with suppress(PeerError):  # a Contact that cannot be read changes nothing
                dialog.refresh_target(response)
            if attempt.request.method == "INVITE":
                self._acknowledge(attempt, response)
        if attempt is not self._try:  # a repeated 2xx, or the session is over
            return
        if response is None:
            undelivered = attempt.exchange is None or attempt.exchange.transaction.undelivered
            self._done(503 if undelivered else 408, b"")
        elif response.status < 300:
            self._session.timer.agreed(response)
            self._done(response.status, body_of(response))
        elif not self._again(response):
            self._done(response.status, b"")

    def _acknowledge(self, attempt: _Try, response: Response) -> None:
        """ACK (13.2.2.4), the same again to each repeated 2xx; with the answer when theirs was the offer."""
        session, dialog = self._session, attempt.dialog
        hop = session.agent.hop(dialog)
        if attempt.ack is None:
            attempt.ack = dialog.request("ACK", attempt.sent.cseq[0])
            for name in ("authorization", "proxy-authorization"):
                attempt.ack.headers += [(name, value) for value in attempt.sent.all(name)]
            if not attempt.request.body:
                session.put_answer(attempt.ack, body_of(response))
            session.agent.add_via(attempt.ack, hop)
        session.agent.send(hop, attempt.ack.encode())

    def _again(self, response: Response) -> bool:
        """Try once more: after a collision in its own time, with a longer interval at once."""
        assert self._current
        session = self._session
        if self._current.tries >= MAX_TRIES or session.state == "over":
            return False
        text = response.get("retry-after").partition(";")[0].partition("(")[0].strip()
        if response.status == 491:
            wait = self._after_collision()
        elif response.status == 500 and text.isdecimal() and int(text) <= LONGEST_WAIT:
            wait = float(text)
        elif session.timer.too_small(response):
            wait = 0.0
        else:
            return False
        self._stop()
        if wait:
            self._timer = session.agent.timers.after(wait, self._retry)
        else:
            self._begin()
        return True

    def _after_collision(self) -> float:
        """Seconds by 14.1: 2.1 to 4 for who made the Call-ID, 0 to 2 for the other, in steps of 10 ms."""
        rng = self._session.agent.rng
        return (
            (210 + rng.randrange(191)) / 100 if self._session.incoming is None else rng.randrange(201) / 100
        )

    def _retry(self) -> None:
        if self._session.offered:  # the peer's own is not settled yet
            self._timer = self._session.agent.timers.after(self._after_collision() or 0.01, self._retry)
        else:
            self._begin()

    def _done(self, status: int, sdp: bytes) -> None:
        assert self._current
        offer, self._current = self._current, None
        self._stop()
        if status < 300 and offer.sdp:
            self._session.local_sdp = offer.sdp
        if status in (408, 481):  # 12.2.1.2: the dialog is no more
            self._session.lost()
        offer.on_result(status, sdp)
        self.next()

    def _let_go(self) -> None:
        """A re-INVITE that may never be answered is not kept for ever."""
        if self._try and self._try.exchange and self._try.request.method == "INVITE":
            self._try.exchange.abandoned = True
            self._session.agent.timers.after(TRANSACTION, self._try.exchange.transaction.end)

    def _stop(self) -> None:
        self._try = None
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """The session is over: nothing is tried again, and nobody hears of what was under way."""
        self._let_go()
        self._current = None
        self._waiting.clear()
        self._stop()
