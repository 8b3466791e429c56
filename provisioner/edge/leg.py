"""One leg of a call: a SIP session, the media leg behind it, and the offers and answers between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol, Self

from provisioner.dialing.transfer import Play
from provisioner.edge import answers
from provisioner.edge.offers import PLAIN, bridged, document, networks_of, offers_for
from provisioner.emergency.pidf import multipart
from provisioner.errors import PeerError
from provisioner.sip import info
from provisioner.sip.agent import Credentials
from provisioner.sip.headers import NameAddr
from provisioner.sip.message import Header
from provisioner.sip.refer import Referral
from provisioner.sip.sdp import CODECS, AudioOffer, MediaSession, Negotiated
from provisioner.sip.session import (
    SDP,
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
from provisioner.sip.timers import Timer
from provisioner.sip.transaction import Flow, ServerTransaction

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge
    from provisioner.edge.gateway import Gateway
    from provisioner.edge.trunk import Peer
    from provisioner.media.client import MediaLeg

OFFER_REFUSED = (406, 415, 488, 606)  # by who does not take SRTP, or none of the codecs (RFC 3261 21)

Srtp = Literal["off", "optional", "required"]
Kind = Literal["ringing", "early", "answered", "failed", "ended", "held"]


class Owner(Protocol):
    """The call that a leg belongs to. `detail`: SIP status of "failed", how it "ended"."""

    @property
    def id(self) -> str: ...

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None: ...

    def on_digit(self, leg: Leg, digit: str) -> None: ...

    def on_played(self, leg: Leg) -> None: ...


@dataclass(frozen=True)
class Attempt:
    """How to reach a party: what goes into the INVITE, and over which flow.

    `patience`: seconds without any answer after which it has failed, 0 for no limit; `after`: the attempt that
    follows one that failed by the other side's 503, by the transport or by silence.
    """

    uri: str
    flow: Flow
    from_: NameAddr
    to: NameAddr
    headers: tuple[Header, ...] = ()
    pinned: bool = True
    extension: str = ""  # of a desk phone; empty for the trunk
    outside: str = ""  # number of a person of the practice who is reached through the core
    credentials: Credentials | None = None
    hops: int = 70  # Max-Forwards
    trail: str = ""  # `Agent.trail` of the call that this one follows from
    unlimited: bool = False  # no session timer
    timed: bool = True  # a session timer is asked for
    gateway: Gateway | None = None
    payer: str | None = None  # the line whose limits an outside call counts against
    srtp: Srtp = "optional"  # over TLS
    patience: float = 0.0
    after: Callable[[], Attempt] | None = None
    diverted: str = ""  # the number of the practice that a call sent on outside shows
    document: bytes = field(default=b"", repr=False)  # PIDF-LO that travels with an emergency call
    content_id: str = ""  # what Geolocation calls it
    plain: Attempt | None = None  # the same call without a location, for a core that refuses it with one


class Leg:
    """`dial` and `incoming` make one; `hangup` ends it in any state, and it is silent from then on."""

    placed = False  # a desk phone that we called in the place of a caller

    def __init__(self, edge: Edge, owner: Owner, media: MediaLeg, host: str, extension: str = "") -> None:
        self.edge = edge
        self.owner = owner
        self.media = media
        self.extension = extension
        self.outside = ""  # number of a person of the practice who is reached through the core
        self.host = host
        self.sdp = self._sdp()
        self.session: Session
        self.over = False
        self.began = edge.wall_clock()
        self.answered_at: float | None = None
        self.status = 0  # with which it failed
        self.reason = ""  # why the peer left, as it may be told to the other party
        self._answer = b""
        self._attempt: Attempt | None = None
        self._offers: Sequence[AudioOffer] = (PLAIN,)
        self._tries: list[tuple[AudioOffer, bool]] = []  # offers still to be made, and whether SRTP
        self._limit: Timer | None = None
        self.silent_at = float("-inf")  # when media last said that nothing comes from this party
        self.peer: Peer | None = None  # the core at the other end
        self._info: info.InfoSender | None = None
        self._token = 0  # of what is being played now
        edge.media_owners[media.id] = self

    @classmethod
    def incoming(
        cls, edge: Edge, owner: Owner, session: Session, media: MediaLeg, extension: str = ""
    ) -> Leg:
        """The leg of a call that we got."""
        leg = cls(edge, owner, media, session.flow.local[0], extension)
        leg.session = session
        session.listener = leg.listen
        session.on_refer = leg.refer
        return leg

    def refer(self, referral: Referral) -> None:
        """The phone's own transfer key."""
        self.edge.refer(self, referral)

    @classmethod
    def dial(
        cls,
        edge: Edge,
        owner: Owner,
        attempt: Attempt,
        media: MediaLeg,
        offers: Sequence[AudioOffer] = (PLAIN,),
    ) -> Self:
        """The leg of a call that we place; each of `offers` is made to who refuses the one before."""
        leg = cls(edge, owner, media, attempt.flow.local[0], attempt.extension)
        leg._offers = offers
        leg.outside = attempt.outside
        leg._call(attempt)
        return leg

    def _call(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.peer = attempt.gateway.peer if attempt.gateway else None
        self.host = attempt.flow.local[0]
        self._tries = [(offer, False) for offer in self._offers]
        if (
            attempt.flow.transport == "TLS" and attempt.srtp != "off"
        ):  # a key in the clear is none (RFC 4568 7)
            secure = [(self._offers[0], True)]
            self._tries = secure if attempt.srtp == "required" else secure + self._tries
        if attempt.patience:
            self._limit = self.edge.timers.after(attempt.patience, self._silent)
        self._invite()

    def _sdp(self, secure: bool = False) -> MediaSession:
        rng = self.edge.rng
        return MediaSession(
            self.host,
            self.media.port,
            rng.getrandbits(31),
            tuple(CODECS),
            random=rng.randbytes,
            secure=secure,
        )

    def _invite(self) -> None:
        """Make the next offer."""
        offer, secure = self._tries.pop(0)
        self.sdp = self._sdp(secure)
        attempt = self._attempt
        assert attempt
        body, kind = self.sdp.offer(codecs=offer.formats, ptime=offer.ptime), SDP
        headers = [("max-forwards", str(attempt.hops)), *attempt.headers]
        if attempt.document:
            kind, body = multipart(body, attempt.document, self.edge.new_id(), attempt.content_id)

        def listen(session: Session, event: Event) -> None:
            if attempt is self._attempt:  # what a gateway that was left says late ends by itself
                self.listen(session, event)

        self.session = self.edge.agent.invite(
            attempt.uri,
            attempt.flow,
            attempt.from_,
            attempt.to,
            body,
            listen,
            headers,
            kind,
            attempt.pinned,
            attempt.credentials,
            attempt.trail,
            attempt.unlimited,
            attempt.timed,
        )
        self.session.on_refer = self.refer

    def _silent(self) -> None:
        """Not even a 100 came in time."""
        if not self.over and not self.session.heard:
            self.session.hangup()  # CANCEL or BYE as soon as it answers after all
            self._failed(Failed(408, "No answer"))

    # our side of an incoming leg

    def _answer_once(self, other: Leg | None) -> bytes:
        """The same answer in 183 and 200, or the offer when there was none; in a codec that `other` has too."""
        codec = other.codec if other else "PCMU"
        if not self._answer:
            offer = self.session.offer
            self.sdp.codecs = bridged(codec)
            theirs = other.sdp.negotiated if other else None
            fmtp = theirs.fmtp if theirs else ""
            self._answer = self.sdp.answer(offer, codec, fmtp) if offer else self.sdp.offer()
            if offer:
                self._agreed()
        elif self.codec and codec not in bridged(self.codec):
            raise PeerError("no codec in common", 488)
        return self._answer

    def offers(self, spoken: bool) -> list[AudioOffer]:
        """What to offer whoever this caller is to talk to; `spoken`: in a call that we may have to speak in."""
        return offers_for(self.session.offer, self.sdp.negotiated, spoken)

    def progress(self, status: int = 180) -> None:
        """Let the caller know that somebody is being rung."""
        self.session.progress(status, self._answer_once(None) if self.session.offers_early else b"")

    def early(self, other: Leg | None = None) -> bool:
        """Open early media towards the caller, of `other` or of ours.

        False when its offer has nothing for us: the leg is over.
        """
        if not self.session.offer:
            self.progress(180)
            return True
        return self._try_answer(other, lambda sdp: self.session.progress(183, sdp))

    def accept(self, other: Leg | None = None) -> bool:
        """Answer the caller, who is to hear `other`; False as above."""
        accepted = self._try_answer(other, lambda sdp: self.session.accept(sdp, self._connected_to(other)))
        self.answered_at = self.edge.wall_clock() if accepted else None
        return accepted

    def _connected_to(self, other: Leg | None) -> list[Header]:
        """A core that plays the menus is told who took the call: it rings that phone again (RFC 3325 9.1)."""
        if not self.peer or self.peer.trunk.transfer != "core" or not other or not other.extension:
            return []
        return [("p-asserted-identity", f"<sip:{other.extension}@{self.host}>")]

    def _try_answer(self, other: Leg | None, send: Callable[[bytes], None]) -> bool:
        try:
            send(self._answer_once(other))
        except PeerError as error:
            self.status = error.status
            self.hangup(error.status)
            return False
        return True

    def ask(self, offer: AudioOffer, done: Callable[[bool], None]) -> None:
        """Offer other codecs in mid-call; `done` hears whether the party took one."""
        former, self.sdp.codecs = self.sdp.codecs, tuple(form.codec for form in offer.formats)

        def answered(status: int, sdp: bytes) -> None:
            agreed = status < 300 and self._take_answer(sdp)
            if not agreed:
                self.sdp.codecs = former
            if not self.over:
                done(agreed)

        self.session.send_offer(self.sdp.offer(codecs=offer.formats, ptime=offer.ptime), answered)

    # media

    def _agreed(self) -> None:
        """Tell media what offer and answer agreed on."""
        agreed = self.sdp.negotiated
        assert agreed
        # a phone's address is known from its signalling, a core sends from anywhere
        nets = networks_of(self.session.flow.remote[0]) if self.extension else []
        self.media.put(**{**document(agreed), "nets": nets, **self._keys(agreed)})

    def _keys(self, agreed: Negotiated) -> dict[str, str | None]:
        """How keys come and go where no telephone-event is used: by INFO for who allows it, else as tones.

        Tones are listened for all the same: a phone that is set to send tones still says that it allows INFO.
        """
        wanted = self.peer.profile.dtmf if self.peer else "rfc4733"
        if wanted != "rfc4733":
            return {"event_out": None, "keys": wanted}
        if agreed.event_out is not None:
            return {"keys": ""}
        return {"keys": "info" if "INFO" in self.session.peer_allows else "inband"}

    def send_key(self, digit: str, milliseconds: int) -> None:
        """A key for this party, which takes them by INFO."""
        if self._info is None:
            self._info = info.InfoSender(self.session)
        self._info.send(info.Key(digit, milliseconds))

    @property
    def can_hear(self) -> bool:
        """Whether an announcement can be played to this caller."""
        return bool(self.session.offer)

    @property
    def called(self) -> str:
        """What we called to reach this party; "" of who called us."""
        return self._attempt.to.uri.dialled if self._attempt else ""

    @property
    def payer(self) -> str | None:
        """The line that this outside call counts for; None for other legs."""
        return self._attempt.payer if self._attempt else None

    @property
    def codec(self) -> str:
        return self.sdp.negotiated.codec if self.sdp.negotiated else ""

    @property
    def held(self) -> bool:
        """The peer has put us on hold: it hears nothing (sendonly, inactive, 0.0.0.0 of RFC 2543)."""
        return self.sdp.negotiated is not None and not self.sdp.negotiated.send

    def hear(self, source: Leg | Play | None) -> None:
        """What this party hears from now on."""
        if isinstance(source, Leg):
            document: dict[str, object] | None = {"leg": source.media.id}
        elif source:
            self._token = 0 if source.loop else self.edge.next_token()  # the same loop again just goes on
            document = {"play": list(source.names), "loop": source.loop, "token": self._token}
        else:
            document = None
        self.media.put(source=document)

    def on_played(self, token: int) -> None:
        """Media played something to its end; what was replaced meanwhile does not count."""
        if token and token == self._token:
            self.owner.on_played(self)

    def take(self, keys: str) -> None:
        """Which of this party's keys are reported instead of passed on."""
        self.media.put(take=keys)

    # news of the session

    def listen(self, session: Session, event: Event) -> None:
        """The session's listener."""
        if self.over:
            return
        if isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Answered):
            self._answered(event)
        elif isinstance(event, Failed):
            self.reason = answers.reason(event.response.all("reason")) if event.response else ""
            self._failed(event)
        elif isinstance(event, Ended):
            self.reason = answers.reason([event.reason])
            self._end("ended", event.how)
        elif isinstance(event, Offered):
            self._offered(event.sdp, event.transaction)
        elif isinstance(event, Confirmed):
            self._confirmed(event.sdp)
        elif isinstance(event, Info):
            for key in info.parse(event.content_type, event.body):
                self.media.press(key.digit, key.milliseconds)

    def _progress(self, event: Progress) -> None:
        self.edge.presence.changed()
        if event.sdp and self._take_answer(event.sdp):
            self.owner.on_leg(self, "early", event.status)
        elif event.status in (180, 183):
            self.owner.on_leg(self, "ringing", event.status)

    def _answered(self, event: Answered) -> None:
        if self._attempt and self._attempt.gateway:
            self.edge.trunks.report(self._attempt.gateway, event.response)
        if (event.sdp and self._take_answer(event.sdp)) or self.sdp.negotiated:
            self.sdp.codecs = bridged(self.codec)
            self.answered_at = self.edge.wall_clock()
            self.owner.on_leg(self, "answered", 200)
        else:
            self.hangup()
            self.owner.on_leg(self, "failed", 488)

    def _failed(self, event: Failed) -> None:
        """Silence and overload lead to the next gateway (RFC 3263 4.3), an offer refused to the next offer."""
        attempt, status = self._attempt, event.status
        if self._limit:
            self._limit.cancel()
        rang_out = event.response is None and status == 408 and self.session.heard
        if attempt and attempt.gateway and not rang_out:
            good = self.edge.trunks.report(attempt.gateway, event.response)
            if not good and attempt.after:
                self._call(replace(attempt.after(), hops=attempt.hops, trail=attempt.trail))
                return
        if status in OFFER_REFUSED and self._tries:
            self.edge.count("offered-again")
            self._invite()
        else:
            self._end("failed", status)

    def _take_answer(self, sdp: bytes) -> bool:
        try:
            self.sdp.accept(sdp)
        except PeerError:
            return False
        self._agreed()
        return True

    def _confirmed(self, sdp: bytes) -> None:
        """ACK of our 200, with the answer when the offer in it was ours (RFC 3264 4)."""
        before = self.held
        if (sdp and not self._take_answer(sdp)) or not self.sdp.negotiated:
            self.hangup()
            self.owner.on_leg(self, "ended", "no audio")
        elif self.held != before:
            self.owner.on_leg(self, "held", int(self.held))

    def _offered(self, sdp: bytes, transaction: ServerTransaction) -> None:
        """A re-INVITE or UPDATE: hold, resume, a moved port. The other leg need not know."""
        before = self.held
        try:
            answer = self.sdp.answer(sdp, self.codec) if sdp else self.sdp.offer()
        except PeerError as error:
            transaction.reply(error.status)
            return
        self.session.answer(transaction, answer)
        if sdp:
            self._agreed()
        if self.held != before:
            self.owner.on_leg(self, "held", int(self.held))

    def _end(self, kind: Kind, detail: int | str) -> None:
        self.status = detail if isinstance(detail, int) else 0
        self._drop()
        self.owner.on_leg(self, kind, detail)

    def _drop(self) -> None:
        if not self.over:
            self.over = True
            if self._limit:
                self._limit.cancel()
            self.edge.media_owners.pop(self.media.id, None)
            self.edge.records.drop(self)

    def hangup(self, status: int = 480, reason: str = "") -> None:
        """End this leg: BYE or CANCEL with `reason` as Reason, or refuse with `status`."""
        if not self.over:
            self._drop()
            self.session.hangup(status, reason)

    @property
    def diverted(self) -> str:
        """The number of the practice that this leg shows for a call that was sent on."""
        return self._attempt.diverted if self._attempt else ""

    @property
    def heard(self) -> bool:
        """Whether the party that we call has answered anything at all, a 100 at least."""
        return self.session.heard
