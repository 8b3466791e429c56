"""One leg of a call in the media plane: what is known of one party, and what it is to hear. No I/O."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable
from random import Random
from typing import Annotated, Any, Literal

import msgspec

from provisioner.errors import ProvisionerError
from provisioner.media import g711, prompts
from provisioner.media.digits import DigitReceiver, Press
from provisioner.media.latch import Address, Latch
from provisioner.media.rtp import FRAME, PCMA, PCMU, Packet, Reception, build

Send = Callable[[bytes, Address], object]  # as socket.sendto

PAYLOAD_TYPES = {"PCMU": PCMU, "PCMA": PCMA}
_SILENCE = bytes([g711.SILENCE]) * FRAME

_log = logging.getLogger(__name__)

EventType = Annotated[int, msgspec.Meta(ge=0, le=127)]


class Source(msgspec.Struct, frozen=True):
    """What a party hears: either another leg, or files one after the other."""

    leg: str | None = None
    play: tuple[str, ...] | None = None
    loop: bool = False
    token: int | str | None = None


class Document(msgspec.Struct, frozen=True):
    """The arguments of `put`: all that is wanted of a leg (docs/internals.md)."""

    leg: str
    remote: tuple[str, Annotated[int, msgspec.Meta(ge=1, le=65535)]] | None = None
    codec: Literal["PCMU", "PCMA"] = "PCMU"
    event_in: EventType | None = None
    event_out: EventType | None = None
    source: Source | None = None
    take: Literal["", "*", "all"] = ""
    send: bool = True


def read_document(args: dict[str, Any]) -> Document:
    """`args` of a `put`, checked. Raises ProvisionerError that names what is wrong."""
    try:
        document = msgspec.convert(args, Document)
    except msgspec.ValidationError as error:
        raise ProvisionerError(f"put: {error}") from None
    source = document.source
    if source and (source.leg is None) == (source.play is None):
        raise ProvisionerError("put: a source has either `leg` or `play`")
    if document.remote:
        try:  # a host name would be looked up by the socket, for seconds
            ipaddress.IPv4Address(document.remote[0])
        except ValueError:
            raise ProvisionerError("put: `remote` needs an IPv4 address, not a name") from None
    return document


def read_files(names: Iterable[str]) -> bytes:
    """The audio of files one after the other. What is missing is left out: no call hangs on a prompt."""
    parts = []
    for name in names:
        try:
            parts.append(prompts.load(name))
        except ProvisionerError as error:
            _log.error("%s", error)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Playback:
    """Mu-law audio as frames of 20 ms."""

    def __init__(self, audio: bytes, loop: bool = False) -> None:
        self._audio = audio
        self._at = 0
        self._loop = loop
        self.done = False  # the end was reported

    def frame(self) -> bytes | None:
        """The next 160 bytes of mu-law; None when all was played. A loop has no seam."""
        audio, at = self._audio, self._at
        frame = audio[at : at + FRAME]
        self._at = at + FRAME
        if len(frame) == FRAME:
            return frame
        if self._loop and audio:
            while len(frame) < FRAME:
                frame += audio[: FRAME - len(frame)]
            self._at = (at + FRAME) % len(audio)
            return frame
        if frame:
            return frame + _SILENCE[len(frame) :]
        return _SILENCE if self._loop else None


def _playback(source: Source | None) -> Playback | None:
    return None if source is None or source.play is None else Playback(read_files(source.play), source.loop)


class Leg:
    """One party: its addresses, its state, and two functions that send to it."""

    __slots__ = (
        "_sequence",
        "_ssrc",
        "_timestamp",
        "alarmed",
        "control_at",
        "digits",
        "document",
        "fresh",
        "heard_at",
        "hearers",
        "id",
        "latch",
        "muxed",
        "orphan",
        "packets_out",
        "payload_type",
        "playback",
        "press",
        "reception",
        "send_control",
        "send_media",
        "sending",
        "strangers",
    )

    def __init__(self, leg: str, media: Send, control: Send, rng: Random, now: float) -> None:
        self.id = leg
        self.send_media, self.send_control = media, control
        self.document = Document(leg)
        self.latch = Latch()
        self.control_at: Address | None = None  # where this party's RTCP was seen to come from
        self.muxed = False  # this party sends RTCP to the RTP port
        self.hearers: list[Leg] = []
        self.playback: Playback | None = None
        self.payload_type = PCMU
        self.sending = False
        self.fresh = True  # the next audio packet is the first of its source
        self.reception = Reception()
        self.digits = DigitReceiver()
        self.press: Press | None = None
        self.packets_out = self.strangers = 0
        self.heard_at: float | None = None
        self.alarmed = now  # when silence began to count
        self.orphan = False  # its edge connection is gone
        self._ssrc = rng.getrandbits(32)
        # the low half: no wrap in the first minutes, which SRTP receivers are glad of (RFC 3711 3.3.1)
        self._sequence = rng.getrandbits(15)
        self._timestamp = rng.getrandbits(32)

    def put(self, document: Document, now: float) -> None:
        """Make it so. The same source again does not restart it."""
        before, self.document = self.document, document
        self.latch.name(document.remote, now)
        if document.remote != before.remote:
            self.control_at, self.muxed = None, False
        self.payload_type = PAYLOAD_TYPES[document.codec]
        sending = document.send and document.remote is not None
        if sending and not self.sending:
            self.alarmed, self.fresh = now, True
        if document.source != before.source:
            self.playback = _playback(document.source)
            self.fresh = True
        self.sending = sending

    def play(self, grid: int) -> bool:
        """Send the frame of this 20 ms; true when the files have come to their end just now.

        After the end silence goes on: gaps make some parties hang up. `grid` counts frames, so that the
        timestamp follows the clock through pauses (RFC 3550 5.1).
        """
        assert self.playback is not None
        frame, ended = self.playback.frame(), False
        if frame is None:
            frame, ended, self.playback.done = _SILENCE, not self.playback.done, True
        target = self.latch.target
        if self.sending and target:
            if self.payload_type == PCMA:
                frame = frame.translate(g711.MULAW_TO_ALAW)
            timestamp = (self._timestamp + grid * FRAME) & 0xFFFFFFFF
            packet = Packet(self.payload_type, self.fresh, self._sequence, timestamp, self._ssrc, frame)
            self._sequence = (self._sequence + 1) & 0xFFFF
            self.fresh = False
            self.transmit(build(packet), target)
        return ended

    def transmit(self, data: bytes, target: Address) -> None:
        """Send RTP. What the network refuses is lost, as on any network."""
        try:
            self.send_media(data, target)
        except OSError:
            return
        self.packets_out += 1

    def transmit_control(self, data: bytes) -> None:
        """Send RTCP where this party wants it: the RTP port, where its own comes from, or one port above."""
        target = self.latch.target
        if not self.sending or target is None:
            return
        try:
            if self.muxed:
                self.send_media(data, target)
            elif self.control_at or target[1] < 65535:
                self.send_control(data, self.control_at or (target[0], target[1] + 1))
        except OSError:
            pass

    def stats(self, now: float) -> dict[str, Any]:
        """The reply of `stats` and `drop` (docs/internals.md)."""
        return {
            "packets_in": self.reception.packets,
            "packets_out": self.packets_out,
            "lost": self.reception.lost,
            "jitter_ms": round(self.reception.jitter_ms, 2),
            "digits": self.digits.count,
            "strangers": self.strangers,
            "last_in": None if self.heard_at is None else round(now - self.heard_at, 3),
        }
