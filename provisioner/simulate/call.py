"""One call of a simulated phone: its SIP session, its voice, what the person there can do and hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from provisioner.errors import PeerError
from provisioner.media.endpoint import RtpEndpoint
from provisioner.sip.message import Response
from provisioner.sip.sdp import Direction, MediaSession
from provisioner.sip.session import (
    SDP,
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

if TYPE_CHECKING:
    from provisioner.simulate.phone import Phone

State = Literal["calling", "ringing", "talking", "held", "ended"]


class Call:
    """A call that a phone placed (`incoming` false) or was offered.

    `number`: who was called, or who calls as the phone shows it. `history`: all states so far. `outcome`: how
    it ended. `digits`: keys that the other side pressed (RFC 4733).
    """

    def __init__(self, phone: Phone, number: str, session: Session | None = None) -> None:
        self.phone = phone
        self.number = number
        self.incoming = session is not None
        self.state: State = "ringing" if session else "calling"
        self.history: list[State] = [self.state]
        self.outcome = ""
        self.digits = ""
        self.endpoint = RtpEndpoint(phone.host, phone.rng)
        self._session = session
        self._media: MediaSession
        self._changed = asyncio.Event()

    async def open(self) -> bool:
        """Take an RTP port; False when the call ended meanwhile."""
        port = await self.endpoint.open()
        if self.state == "ended":
            self.endpoint.close()
            return False
        payload = self.phone.account.event_payload
        self._media = MediaSession(
            self.phone.host, port, self.phone.rng.getrandbits(31), event_payload=payload
        )
        self.endpoint.on_digit = self._on_digit
        return True

    def offer(self) -> bytes:
        """SDP of our INVITE."""
        return self._media.offer()

    def placed(self, session: Session) -> None:
        """The INVITE is out."""
        self._session = session

    # what a person does

    async def answer(self) -> None:
        """Pick up; nothing happens when the caller is gone meanwhile."""
        session = self._session
        if session is None or self.state != "ringing" or not await self.open():
            return
        offer = body_of(session.invite)
        try:
            answer = self._media.answer(offer) if offer else self._media.offer()
        except PeerError as error:
            session.reject(error.status)
            self._end(str(error))
            return
        session.accept(answer)
        self._talk()

    def reject(self, status: int = 486) -> None:
        """Refuse a ringing call."""
        if self._session and self.state == "ringing" and self.incoming:
            self._session.reject(status)
            self._end(f"refused with {status}")

    def hangup(self) -> None:
        """Put the receiver down, whatever the state."""
        if self._session and self.state != "ended":
            self._session.hangup()
            self._end("hung up")

    def press(self, keys: str) -> asyncio.Future[None]:
        """Press keys one after the other (RFC 4733); done when all are sent. Raises PeerError."""
        if self.state == "ended":
            raise PeerError("the call is over")
        try:
            return self.endpoint.press(keys)
        except ValueError as error:
            raise PeerError(str(error)) from None

    async def hold(self) -> None:
        """Put the other side on hold. Raises PeerError when it does not agree."""
        await self._reinvite("sendonly")
        self.endpoint.silence()
        self._set("held")

    async def resume(self) -> None:
        """Take it back. Raises PeerError when it does not agree."""
        await self._reinvite("sendrecv")
        self._talk()

    # what a person notices

    async def until(self, state: State, seconds: float = 10.0) -> None:
        """Wait for a state. Raises TimeoutError, or PeerError when the call ended without it."""
        await self.wait_for(lambda: state in self.history or self.state == "ended", seconds)
        if state not in self.history:
            raise PeerError(f"the call ended: {self.outcome}")

    async def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until `condition` holds, looking at each change and each digit. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self._changed.wait()

    # inside

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _set(self, state: State) -> None:
        self.state = state
        self.history.append(state)
        self._wake()
        self.phone.news(self, state if state != "ended" else f"ended: {self.outcome}")

    def _on_digit(self, digit: str) -> None:
        self.digits += digit
        self._wake()
        self.phone.news(self, f"heard {digit}")

    def _talk(self) -> None:
        self._connect()
        self.endpoint.play(list(self.phone.speech), loop=True)
        self._set("talking")

    def _connect(self) -> None:
        found = self._media.negotiated
        if found and found.send:
            self.endpoint.connect(found.remote, found.codec, found.event_in, found.event_out)

    def _end(self, outcome: str) -> None:
        if self.state != "ended":
            self.outcome = outcome
            self.endpoint.close()
            self.phone.calls.discard(self)
            self._set("ended")

    def on_event(self, session: Session, event: Event) -> None:
        """News of the session."""
        try:
            self._on_event(session, event)
        except PeerError as error:
            session.hangup()
            self._end(str(error))

    def _on_event(self, session: Session, event: Event) -> None:
        match event:
            case Progress():
                if event.sdp:
                    self._media.accept(event.sdp)
                    self._connect()
                self._set("ringing")
            case Answered():
                self._media.accept(event.sdp)
                self._talk()
            case Confirmed() if event.sdp:  # our 200 made the offer
                self._media.accept(event.sdp)
                self._connect()
            case Offered():
                self._on_offer(session, event)
            case Failed():
                self._end(f"{event.status} {event.reason}".strip())
            case Ended():
                self._end(event.how)

    def _on_offer(self, session: Session, offered: Offered) -> None:
        try:
            answer = self._media.answer(offered.sdp) if offered.sdp else self._media.offer()
        except PeerError as error:
            offered.transaction.reply(error.status)
            return
        session.answer(offered.transaction, answer)
        self._connect()

    async def _reinvite(self, direction: Direction) -> None:
        session = self._session
        if session is None or session.dialog is None or self.state not in ("talking", "held"):
            raise PeerError("there is no call to hold")
        dialog, agent = session.dialog, session.agent
        request = dialog.request("INVITE")
        request.headers.append(("content-type", SDP))
        request.body = self._media.offer(direction)
        flow = agent.hop(dialog)
        final: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

        def on_response(response: Response | None) -> None:
            if response and response.status < 200:
                return
            dialog.local_seq = exchange.request.cseq[0]
            if response and response.status < 300:  # each 2xx has its ACK (RFC 3261 13.2.2.4)
                ack = dialog.request("ACK", dialog.local_seq)
                agent.add_via(ack, flow)
                agent.send(flow, ack.encode())
            if not final.done():
                final.set_result(response)

        exchange = agent.request(request, flow, on_response, self.phone.credentials)
        response = await final
        if response is None or response.status >= 300:
            raise PeerError(f"the other side refuses: {response.status if response else 'no answer'}")
        self._media.accept(body_of(response))
        self._connect()
