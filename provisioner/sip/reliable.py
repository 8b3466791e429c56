"""Answers to INVITE that must arrive: reliable provisional ones (RFC 3262), and 2xx until its ACK."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from provisioner.sip.dialog import Dialog
from provisioner.sip.events import body_of, lists
from provisioner.sip.message import Request, Response
from provisioner.sip.timers import Timer
from provisioner.sip.transaction import T1, T2, TRANSACTION, ServerTransaction

MAX_WAITING = 10  # provisional answers that wait for the PRACK of an earlier one


class Reliable:
    """The UAS side, of one INVITE: sends one at a time, in order, and again until its PRACK.

    `first` is the RSeq to begin with, 1 to 2^31 - 1; `on_timeout` is called when no PRACK came for 64*T1.
    """

    def __init__(self, transaction: ServerTransaction, first: int, on_timeout: Callable[[], None]) -> None:
        self._transaction = transaction
        self._next = first
        self._on_timeout = on_timeout
        self._waiting: deque[Response] = deque()
        self._unacknowledged: tuple[str, Response] | None = None  # RAck that fits, and what it is for
        self._interval = T1
        self._repeat: Timer | None = None
        self._limit: Timer | None = None
        self._done = False

    def send(self, response: Response) -> None:
        """Send `response`, now or after the PRACK of the one before; RSeq and Require are added here."""
        if self._unacknowledged is None:
            self._begin(response)
            return
        last = self._waiting[-1] if self._waiting else self._unacknowledged[1]
        again = (last.status, last.body) == (response.status, response.body)
        if not again and len(self._waiting) < MAX_WAITING:
            self._waiting.append(response)

    def _begin(self, response: Response) -> None:
        number, method = self._transaction.request.cseq
        response.headers += [("require", "100rel"), ("rseq", str(self._next))]
        self._unacknowledged = (f"{self._next} {number} {method}", response)
        self._next += 1
        self._interval = T1
        timers = self._transaction.layer.timers
        self._repeat = timers.after(T1, self._again)
        self._limit = timers.after(TRANSACTION, self._give_up)
        self._transaction.respond(response)

    def _again(self) -> None:
        assert self._unacknowledged
        self._transaction.respond(self._unacknowledged[1])
        self._interval *= 2  # without a cap: a PRACK does not depend on this (section 3)
        self._repeat = self._transaction.layer.timers.after(self._interval, self._again)

    def _give_up(self) -> None:
        self.stop()
        self._on_timeout()

    def acknowledge(self, prack: Request) -> Response | None:
        """The response that a PRACK is for; None when it is for none that waits for one (481)."""
        rack = " ".join(prack.get("rack").split())
        if self._unacknowledged is None or rack != self._unacknowledged[0]:
            return None
        response = self._unacknowledged[1]
        self._unacknowledged = None
        self._stop_timers()
        return response

    def next(self) -> None:
        """Send what waited for the PRACK."""
        if self._waiting and self._unacknowledged is None:
            self._begin(self._waiting.popleft())

    @property
    def delays_2xx(self) -> bool:
        """A 2xx has to wait: what is not acknowledged carries a session description (section 5)."""
        held = [self._unacknowledged[1]] if self._unacknowledged else []
        return not self._done and any(response.body for response in (*held, *self._waiting))

    def stop(self) -> None:
        """A final answer goes out: nothing is repeated, but a late PRACK still finds what it is for."""
        self._done = True
        self._waiting.clear()
        self._stop_timers()

    def _stop_timers(self) -> None:
        for timer in (self._repeat, self._limit):
            if timer:
                timer.cancel()


class Repeat:
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


@dataclass
class Early:
    """One early dialog of an INVITE of ours (12.1.2), as its fork's provisional answers make it."""

    dialog: Dialog
    sdp: bytes = b""  # the last that this fork said
    settled: bool = False  # offer and answer were exchanged reliably: UPDATE may change it (RFC 3311 5.1)
    rseq: int | None = field(default=None)

    def take(self, response: Response) -> str | None:
        """RAck for a reliable answer, "" for one that needs none, None for one to be dropped (section 4)."""
        text = response.get("rseq")
        if not lists(response, "require", "100rel"):
            return ""
        if not text.isdecimal() or not text.isascii() or len(text) > 10:
            return None
        number = int(text)
        if self.rseq is not None and number != self.rseq + 1:
            return None
        self.rseq = number
        self.dialog.refresh_target(response)
        self.settled = self.settled or bool(body_of(response))
        return f"{number} {response.get('cseq')}"
