"""One party of a call that the demo core switches: its session, its audio, its keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from provisioner.core.audio import Audio
from provisioner.dialing.transfer import Play
from provisioner.errors import PeerError
from provisioner.sip import info
from provisioner.sip.agent import Agent
from provisioner.sip.headers import NameAddr
from provisioner.sip.message import Header
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import (
    Answered,
    Confirmed,
    Ended,
    Event,
    Failed,
    Info,
    Offered,
    Progress,
    Session,
)
from provisioner.sip.transaction import Flow

News = Literal["ringing", "early", "answered", "failed", "ended", "held", "digit", "played"]


@dataclass(frozen=True)
class Dialling:
    """Whom to call: what goes into the INVITE, and over which flow."""

    uri: str
    flow: Flow
    from_: NameAddr
    to: NameAddr
    headers: tuple[Header, ...] = ()


class Line:
    """`listener` hears its news: `detail` is a SIP status, a digit, or who answered (an extension)."""

    def __init__(self, agent: Agent, audio: Audio, host: str, listener: Listener) -> None:
        self._listener = listener
        self._port = audio.open(agent.new_tag(), host, self._on_media)
        self._agent = agent
        self._sdp = MediaSession(host, self._port.number, agent.rng.getrandbits(31))
        self._answer = b""
        self._token = 0
        self.session: Session
        self.over = False

    def call(self, dialling: Dialling) -> None:
        """Call somebody."""
        self.session = self._agent.invite(
            dialling.uri, dialling.flow, dialling.from_, dialling.to, self._sdp.offer(), self._on_event,
            list(dialling.headers), pinned=False,
        )  # fmt: skip

    def take(self, session: Session) -> None:
        """The line of somebody who calls. Raises PeerError (488)."""
        self.session = session
        session.listener = self._on_event
        self._answer = self._sdp.answer(session.offer) if session.offer else self._sdp.offer()
        self._agreed()

    def progress(self, status: int) -> None:
        """Tell who calls that it rings, with audio when `status` is 183."""
        self.session.progress(status, self._answer if status == 183 else b"")

    def accept(self) -> None:
        """Answer who calls."""
        self.session.accept(self._answer)

    def hangup(self, status: int = 480) -> None:
        """End it in any state; `status` refuses who calls."""
        self._drop()
        self.session.hangup(status)

    def _drop(self) -> None:
        self.over = True
        self._port.close()

    @property
    def held(self) -> bool:
        return self._sdp.negotiated is not None and not self._sdp.negotiated.send

    def hear(self, source: Line | Play | None) -> None:
        """What this party hears from now on."""
        if self.over:
            return
        document: dict[str, Any] | None = None
        if isinstance(source, Line):
            document = {"leg": source._port.id}
        elif source:
            self._token += 1
            token = 0 if source.loop else self._token
            document = {"play": source.names, "loop": source.loop, "token": token}
        self._port.put(source=document)

    def keep(self, keys: str) -> None:
        """Which of this party's keys are told, and not heard by others."""
        if not self.over:
            self._port.put(take=keys)

    def _agreed(self) -> None:
        agreed = self._sdp.negotiated
        if agreed is None:
            return
        events = agreed.event_out is not None
        self._port.put(
            remote=agreed.remote,
            codec=agreed.codec,
            payload_in=agreed.payload_in,
            payload_out=agreed.payload_out,
            event_in=agreed.event_in,
            event_out=agreed.event_out,
            event_clock=agreed.event_clock,
            keys="" if events else "inband",
            send=agreed.send,
        )

    def _on_media(self, event: str, data: dict[str, Any]) -> None:
        if event == "digit":
            self._listener(self, "digit", data["digit"])
        elif event == "played" and data.get("token") == self._token:
            self._listener(self, "played", "")

    def _on_event(self, session: Session, event: Event) -> None:
        if self.over:
            return
        try:
            self._news(session, event)
        except PeerError:
            self.hangup()
            self._listener(self, "ended" if session.incoming else "failed", 488)

    def _news(self, session: Session, event: Event) -> None:
        match event:
            case Progress() if event.sdp:
                self._sdp.accept(event.sdp)
                self._agreed()
                self._listener(self, "early", event.status)
            case Progress():
                self._listener(self, "ringing", event.status)
            case Answered():
                if event.sdp:
                    self._sdp.accept(event.sdp)
                    self._agreed()
                self._listener(self, "answered", _extension(event.response.get("p-asserted-identity")))
            case Failed():
                self._drop()
                self._listener(self, "failed", event.status)
            case Ended():
                self._drop()
                self._listener(self, "ended", 0)
            case Confirmed() if event.sdp:
                self._sdp.accept(event.sdp)
                self._agreed()
            case Offered():
                self._offered(session, event)
            case Info():
                for key in info.parse(event.content_type, event.body):
                    self._port.press(key.digit, key.milliseconds)

    def _offered(self, session: Session, event: Offered) -> None:
        before = self.held
        try:
            answer = self._sdp.answer(event.sdp) if event.sdp else self._sdp.offer()
        except PeerError as error:
            event.transaction.reply(error.status)
            return
        session.answer(event.transaction, answer)
        self._agreed()
        if self.held != before:
            self._listener(self, "held", "")


Listener = Callable[[Line, News, int | str], None]


def _extension(identity: str) -> str:
    """Of the desk phone that answered, where the edge says so."""
    try:
        user = NameAddr.parse(identity).uri.dialled if identity else ""
    except PeerError:
        return ""
    return user if user.isdecimal() else ""
