"""One call of the stand-in core, in either direction: its SIP session, its voice, its row in the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from provisioner.core.network import Kind
from provisioner.errors import PeerError
from provisioner.media.endpoint import RtpEndpoint
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import (
    Answered,
    Confirmed,
    Ended,
    Event,
    Failed,
    Offered,
    Progress,
    Session,
    body_of,
)

Json = dict[str, Any]


class Call:
    """A call between the practice and someone outside.

    `state`: `ringing`, `talking`, `ended`, or `voicemail`: nobody answered, so the network took a message.
    `extra`: what more the record says (docs/internals.md). `changed` is called after each change.
    """

    def __init__(
        self,
        call: str,
        from_: str,
        to: str,
        kind: Kind,
        host: str,
        rng: Random,
        changed: Callable[[Call], None],
    ) -> None:
        self.id, self.from_, self.to, self.kind = call, from_, to, kind
        self.state = "ringing"
        self.outcome = ""
        self.heard = ""
        self.extra: Json = {}
        self.session: Session | None = None
        self.over = asyncio.Event()
        self.answered = asyncio.Event()
        self._host, self._rng, self._changed = host, rng, changed
        self.endpoint = RtpEndpoint(host, rng)
        self._media: MediaSession

    def record(self) -> Json:
        """Its row in `calls`."""
        row = {"call": self.id, "from": self.from_, "to": self.to, "kind": self.kind, "state": self.state}
        return {**row, "heard": self.heard, "outcome": self.outcome, **self.extra}

    async def open(self) -> bool:
        """Take an RTP port; False when the call ended meanwhile."""
        port = await self.endpoint.open()
        if self.over.is_set():
            self.endpoint.close()
            return False
        self.endpoint.on_digit = self._on_digit
        self._media = MediaSession(self._host, port, self._rng.getrandbits(31))
        return True

    def offer(self) -> bytes:
        """SDP for an INVITE of ours."""
        return self._media.offer()

    def agree(self) -> bytes:
        """SDP for our 183 or 200 to the INVITE. Raises PeerError (488)."""
        assert self.session
        offer = body_of(self.session.invite)
        sdp = self._media.answer(offer) if offer else self._media.offer()
        self._connect()
        return sdp

    def accept(self, sdp: bytes) -> None:
        """Answer, with the SDP of `agree`."""
        if self.session and self.session.state == "incoming":
            self.session.accept(sdp)
            self.set("talking")

    def reject(self, status: int) -> None:
        """Refuse."""
        if self.session:
            self.session.reject(status)
        self.end(f"refused with {status}")

    def hangup(self, reason: str = "hung up") -> None:
        """End it from our side."""
        if self.session:
            self.session.hangup()
        self.end(reason)

    def set(self, state: str) -> None:
        """Enter a state and tell of it."""
        self.state = state
        if state == "talking":
            self.answered.set()
        self._changed(self)

    def end(self, outcome: str, state: str = "ended") -> None:
        """It is over; frees the port. The first end counts."""
        if not self.over.is_set():
            self.over.set()
            self.outcome = outcome
            self.endpoint.close()
            self.set(state)

    def _on_digit(self, digit: str) -> None:
        self.heard += digit
        self._changed(self)

    def _connect(self) -> None:
        found = self._media.negotiated
        if found and found.send:
            self.endpoint.connect(found.remote, found.codec, found.event_in, found.event_out)

    def _take(self, answer: bytes) -> None:
        self._media.accept(answer)
        self._connect()

    def on_event(self, session: Session, event: Event) -> None:
        """News of the session."""
        try:
            self._on_event(session, event)
        except PeerError as error:
            self.hangup(str(error))

    def _on_event(self, session: Session, event: Event) -> None:
        match event:
            case Progress() if event.sdp:
                self._take(event.sdp)
            case Answered():
                self._take(event.sdp)
                self.set("talking")
            case Confirmed() if event.sdp:
                self._take(event.sdp)
            case Offered():
                self._on_offer(session, event)
            case Failed(status=480):
                self.end("480, so the network takes voicemail", "voicemail")
            case Failed():
                self.end(f"{event.status} {event.reason}".strip())
            case Ended():
                self.end(event.how)

    def _on_offer(self, session: Session, offered: Offered) -> None:
        try:
            answer = self._media.answer(offered.sdp) if offered.sdp else self._media.offer()
        except PeerError as error:
            offered.transaction.reply(error.status)
            return
        session.answer(offered.transaction, answer)
        self._connect()
