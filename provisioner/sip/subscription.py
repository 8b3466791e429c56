"""Subscriptions of peers to what we know, as their notifier (RFC 6665)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from provisioner.sip.dialog import Dialog
from provisioner.sip.message import Request, Response
from provisioner.sip.timers import Timer
from provisioner.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from provisioner.sip.agent import Agent

MIN_EXPIRES = 60
DEFAULT_EXPIRES = 3600
MAX_EXPIRES = 3600
SPACING = 0.2  # seconds between two NOTIFYs of one subscription
_GONE = frozenset({404, 405, 408, 410, 416, *range(480, 486), 489, 501, 604})  # 4.2.2

Document = Callable[[int], tuple[str, bytes]]
"""Number of the NOTIFY, from 0 → Content-Type and body of the state as it is now."""


def event_of(request: Request) -> str:
    """The event package of a request, without parameters."""
    return request.get("event").partition(";")[0].strip().lower()


def expires_of(request: Request) -> int:
    """Seconds that a SUBSCRIBE asks for; at most what we keep."""
    text = request.get("expires").strip()
    return min(int(text), MAX_EXPIRES) if text.isdecimal() and len(text) < 11 else DEFAULT_EXPIRES


def too_brief(request: Request) -> bool:
    """Whether a SUBSCRIBE deserves a 423 (4.2.1.1)."""
    return 0 < expires_of(request) < MIN_EXPIRES


class Subscription:
    """One, from its SUBSCRIBE until it runs out, is given up, or its subscriber is gone.

    `document` is asked for each NOTIFY; `on_gone` is called once.
    """

    def __init__(
        self,
        agent: Agent,
        transaction: ServerTransaction,
        document: Document,
        on_gone: Callable[[Subscription], None],
    ) -> None:
        request = transaction.request
        self.event = event_of(request)
        self.over = False
        self._agent = agent
        self._event = request.get("event").strip()  # with its id parameter, which NOTIFY repeats
        self._document = document
        self._on_gone = on_gone
        self._dialog = Dialog.of_request(request, transaction.tag, transaction.flow, pinned=True)
        self._version = 0
        self._ends = 0.0
        self._expiry: Timer | None = None
        self._spacing: Timer | None = None  # runs for a moment after each NOTIFY
        self._stale = False
        agent.subscriptions[self._dialog.key] = self
        self._take(transaction)

    def _take(self, transaction: ServerTransaction) -> None:
        """200, and a NOTIFY at once (4.2.1.2); with Expires 0 that is the last."""
        seconds = expires_of(transaction.request)
        headers = [("expires", str(seconds)), ("contact", self._agent.contact(transaction.flow))]
        transaction.reply(200, "", [*headers, *self._agent.abilities])
        if self._expiry:
            self._expiry.cancel()
        if not seconds:
            self._finish("timeout")
            return
        timers = self._agent.timers
        self._ends = timers.clock() + seconds
        self._expiry = timers.after(seconds, lambda: self._finish("timeout"))
        self._notify()

    def on_request(self, transaction: ServerTransaction) -> None:
        """A request in the dialog of this subscription."""
        request = transaction.request
        if request.cseq[0] <= self._dialog.remote_seq:
            transaction.reply(500, "CSeq out of order")
            return
        self._dialog.remote_seq = request.cseq[0]
        if request.method != "SUBSCRIBE":
            self._agent.on_other_in_dialog(transaction)
        elif event_of(request) != self.event:
            transaction.reply(489, "", [("allow-events", ", ".join(self._agent.events))])
        elif too_brief(request):
            transaction.reply(423, "", [("min-expires", str(MIN_EXPIRES))])
        else:
            self._dialog.refresh_target(request)
            self._take(transaction)

    def changed(self) -> None:
        """There is something new: NOTIFY now, or when the last one is long enough ago."""
        if self._spacing:
            self._stale = True
        elif not self.over:
            self._notify()

    def end(self, reason: Literal["noresource", "deactivated", "timeout"]) -> None:
        """What is subscribed to is no more, or we stop (4.1.3)."""
        if not self.over:
            self._finish(reason)

    def _spaced(self) -> None:
        self._spacing = None
        if self._stale:
            self._notify()

    def _notify(self, state: str = "") -> None:
        self._stale = False
        if self._spacing:
            self._spacing.cancel()
        self._spacing = None if state else self._agent.timers.after(SPACING, self._spaced)
        left = max(0, round(self._ends - self._agent.timers.clock()))
        notify = self._dialog.request("NOTIFY")
        kind, body = self._document(self._version)
        self._version += 1
        notify.headers += [("event", self._event), ("subscription-state", state or f"active;expires={left}")]
        notify.headers += [("contact", self._agent.contact(self._dialog.flow)), *self._agent.abilities]
        notify.headers.append(("content-type", kind))
        notify.body = body
        self._agent.request_in(self._dialog, notify, self._answered)

    def _answered(self, response: Response | None) -> None:
        """A subscriber that does not know it any more, or that is not there, is forgotten (4.2.2)."""
        if not self.over and (response is None or response.status in _GONE):
            self._forget()

    def _finish(self, reason: str) -> None:
        self._notify(f"terminated;reason={reason}")
        self._forget()

    def _forget(self) -> None:
        self.over = True
        for timer in (self._expiry, self._spacing):
            if timer:
                timer.cancel()
        self._agent.subscriptions.pop(self._dialog.key, None)
        self._on_gone(self)
