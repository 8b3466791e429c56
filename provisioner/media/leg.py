"""One leg of a call in the media plane: what is known of one party, and what it is to hear. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, Literal

from provisioner.errors import ProvisionerError
from provisioner.media import g711, prompts, rtcp
from provisioner.media.codecs import SPOKEN, Voice
from provisioner.media.digits import DigitReceiver
from provisioner.media.document import Document, Source, networks
from provisioner.media.keys import Ears, Form, Made, Making, Once, Stamp
from provisioner.media.latch import Address, Latch
from provisioner.media.rtp import COMFORT_NOISE, FRAME, FRAME_SECONDS, PCMA, PCMU, Packet, Reception, build
from provisioner.media.srtp import Guard
from provisioner.media.stream import Stream

Send = Callable[[bytes, Address], object]  # as socket.sendto

_SILENCE = bytes([g711.SILENCE]) * FRAME
_FADE = 64  # samples, 8 ms
_REPORT_FRAMES = round(rtcp.INTERVAL / FRAME_SECONDS)

_log = logging.getLogger(__name__)


Load = Callable[[str], bytes]  # the audio of a name, as `prompts.load`


def read_files(names: Iterable[str], load: Load = prompts.load) -> bytes:
    """The audio of files one after the other. What is missing is left out: no call hangs on a prompt."""
    parts = []
    for name in names:
        try:
            parts.append(load(name))
        except ProvisionerError as error:
            _log.error("%s", error)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Playback:
    """Mu-law audio as frames of 20 ms."""

    def __init__(self, audio: bytes, loop: bool = False) -> None:
        self._audio = audio
        self._at = 0
        self._loop = loop
        self._before = b""  # what is still to be heard of the one before, fading out
        self.done = False  # the end was reported

    def after(self, before: Playback) -> None:
        """Take the place of another one without a click."""
        self._before = before.fade()

    def fade(self) -> bytes:
        """What would come next, brought down to silence: a prompt that is cut off in a word would click."""
        frame = self.frame()
        return b"" if frame is None else g711.encode_mulaw(_faded(g711.decode_mulaw(frame)))

    def frame(self) -> bytes | None:
        """The next 160 bytes of mu-law; None when all was played. A loop has no seam."""
        if self._before:
            return self._mixed()
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

    def _mixed(self) -> bytes:
        before, self._before = g711.decode_mulaw(self._before), b""
        after = self.frame()
        if after is None:
            return g711.encode_mulaw(before)
        both = zip(before, g711.decode_mulaw(after), strict=True)
        return g711.encode_mulaw(max(-32768, min(a + b, 32767)) for a, b in both)


def _faded(samples: Sequence[int]) -> list[int]:
    return [sample * (_FADE - at) // _FADE if at < _FADE else 0 for at, sample in enumerate(samples)]


def _playback(source: Source | None, load: Load) -> Playback | None:
    if source is None or source.play is None:
        return None
    return Playback(read_files(source.play, load), source.loop)


class Leg:
    """One party: its addresses, its state, and two functions that send to it."""

    __slots__ = (
        "_cname",
        "_load",
        "_reported",
        "alarmed",
        "codec",
        "codecs",
        "control_at",
        "digits",
        "document",
        "ears",
        "fresh",
        "guard",
        "heard_at",
        "hearers",
        "id",
        "latch",
        "making",
        "muxed",
        "once",
        "origin",
        "orphan",
        "outro",
        "packets_out",
        "payload_type",
        "playback",
        "reception",
        "send_control",
        "send_media",
        "sending",
        "strangers",
        "stream",
        "unspoken",
        "voice",
    )

    def __init__(
        self, leg: str, media: Send, control: Send, rng: Random, now: float, load: Load = prompts.load
    ) -> None:
        self.id = leg
        self.send_media, self.send_control = media, control
        self._load = load
        self.document = Document(leg)
        self.latch = Latch()
        self.control_at: Address | None = None  # where this party's RTCP was seen to come from
        self.muxed = False  # this party sends RTCP to the RTP port
        self.hearers: list[Leg] = []
        self.playback: Playback | None = None
        self.outro = b""  # the last frame of what was being played, fading
        self.codec = "PCMU"
        self.voice = Voice()
        self.stream = Stream(rng)
        self.origin = now  # moment 0 of the stream's clock
        self.payload_type = PCMU  # what the codec is sent as
        self.codecs: dict[int, str] = {}  # what this party may send, by payload type
        self.guard: Guard | None = None
        self.sending = False
        self.fresh = True  # the next audio packet is the first of its source
        self.reception = Reception()
        self.digits = DigitReceiver()
        self.once = Once()
        self.ears: Ears | None = None  # where this party's keys may be tones in its audio
        self.making = Making()  # keys for this party, in its own form
        self.packets_out = self.strangers = self.unspoken = 0
        self.heard_at: float | None = None
        self.alarmed = now  # when silence began to count
        self.orphan = False  # its edge connection is gone
        # the low half: no wrap in the first minutes, which SRTP receivers are glad of (RFC 3711 3.3.1)
        self._cname = f"{rng.getrandbits(96):024x}"  # says nothing of us (RFC 7022)
        self._reported = 0  # frame of the grid

    def put(self, document: Document, now: float) -> None:
        """Make it so. The same source again does not restart it."""
        before, self.document = self.document, document
        self.latch.name(document.remote, now)
        if document.nets != before.nets:
            self.latch.restrict(networks(document.nets))
        if (document.remote, document.rtcp, document.mux) != (before.remote, before.rtcp, before.mux):
            self.control_at, self.muxed = document.rtcp, document.mux
        self._put_codec(document)
        if bool(document.keys) != (self.ears is not None):
            self.ears = Ears() if document.keys else None
        sending = document.send and document.remote is not None
        if sending and not self.sending:
            self.alarmed, self.fresh = now, True
        if document.source != before.source:
            cut, self.playback = self.playback, _playback(document.source, self._load)
            if document.source is None and self.packets_out:
                self.playback = Playback(b"", loop=True)  # silence: gaps make some parties hang up
            self.outro = b""
            if cut and self.playback:
                self.playback.after(cut)
            elif cut:
                self.outro = cut.fade()
            self.fresh = True
            self.stream.change()
        self.sending = sending

    def leave(self, grid: int) -> None:
        """Send the last of what was cut off, before anything of whoever is heard next."""
        if self.outro:
            outro, self.outro = self.outro, b""
            self.fresh = False
            self._speak(outro, grid)
            self.fresh = True

    def _put_codec(self, document: Document) -> None:
        arriving, self.payload_type = document.types
        self.codec = document.codec
        self.codecs = {PCMU: "PCMU", PCMA: "PCMA", COMFORT_NOISE: "CN", arriving: document.codec}
        self.reception.set_rate(document.clock)
        if document.srtp is None:
            self.guard = None
        elif self.guard:
            self.guard.rekey(document.srtp)
        else:
            self.guard = Guard(document.srtp)

    def play(self, grid: int) -> bool:
        """Send the frame of this 20 ms; true when the files have come to their end just now.

        After the end silence goes on: gaps make some parties hang up. A party whose codec media does not speak
        gets nothing, and the files end when they would have. `grid` counts frames, so that the
        timestamp follows the clock through pauses (RFC 3550 5.1).
        """
        assert self.playback is not None
        frame, ended = self.playback.frame(), False
        if frame is None:
            frame, ended, self.playback.done = _SILENCE, not self.playback.done, True
        self._speak(frame, grid)
        return ended

    def _speak(self, frame: bytes, grid: int) -> None:
        target = self.latch.target
        if self.sending and target and self.codec in SPOKEN:
            frame = self.voice.speak(frame, self.codec)
            packet = Packet(self.payload_type, self.fresh, *self.stream.own(grid * FRAME, FRAME), frame)
            self.fresh = False
            self.transmit(build(packet), target)

    @property
    def form(self) -> Form | Literal["info", ""]:
        """How this party takes keys: what it negotiated, else SIP INFO or tones; "": not at all."""
        if self.document.event_out is not None:
            return "event"
        if self.document.keys == "inband":
            return "tone" if self.codec in SPOKEN else ""
        return self.document.keys

    def speak(self, samples: Sequence[int]) -> bytes:
        """Linear samples as a payload for this party."""
        return self.voice.encode(samples, self.codec)

    def make(self, stamp: Stamp, samples: int, now: float) -> bool:
        """Send the next of the press that is being made for this party in the place of a packet of who pressed;
        False when there is none.
        """
        made = self.making.current()
        if made is None:
            return False
        placed = self.stream.placed(stamp[:3], self._moment(now), made.octets(samples))
        if placed:
            self._send_made(made, Stamp(*placed, stamp.clock), samples)
        self.making.passed(samples / stamp.clock)
        return True

    def make_alone(self, grid: int, now: float) -> None:
        """The same from our own source, while whoever pressed sends nothing whose place it could take."""
        if not self.making.stranded(now):
            return
        made, clock = self.making.current(), self.document.clock
        samples = round(clock * FRAME_SECONDS)
        if made:
            own = self.stream.own(grid * samples, made.octets(samples))
            self._send_made(made, Stamp(*own, clock), samples)
        self.making.passed(FRAME_SECONDS)

    def _send_made(self, made: Made, stamp: Stamp, samples: int) -> None:
        document, target = self.document, self.latch.target
        number = document.event_out if made.form == "event" else self.payload_type
        out = made.carry(stamp, samples, self.speak, (number or 0, document.event_clock))
        if out and self.sending and target:
            self.transmit(out, target)

    def _moment(self, now: float) -> int:
        return int((now - self.origin) * self.document.clock)

    def forward(self, data: bytes, target: Address, now: float) -> None:
        """Send a packet of whoever this party hears, as a part of its one stream."""
        out = self.stream.relayed(data, self._moment(now))
        if out:
            self.transmit(out, target)

    def report(self, grid: int, wall: float, bye: bool = False) -> None:
        """Send RTCP of our own source, if it sent anything: when 5 s have passed, and at its end (`bye`)."""
        stream = self.stream
        if not stream.joined:
            return
        self._reported = self._reported or grid
        if bye or grid - self._reported >= _REPORT_FRAMES:
            self._reported = grid
            counts = stream.packets, stream.octets
            moment = stream.timestamp(grid * FRAME)
            self.transmit_control(rtcp.report(stream.ssrc, self._cname, wall, moment, *counts, bye))

    def transmit(self, data: bytes, target: Address) -> None:
        """Send RTP. What the network refuses is lost, as on any network."""
        if self.guard:
            sealed = self.guard.seal(data)
            if sealed is None:
                return
            data = sealed
        try:
            self.send_media(data, target)
        except OSError:
            return
        self.packets_out += 1

    def relay_control(self, data: bytes) -> None:
        """RTCP of whom this party hears, without what it says of itself; it is of no use once the stream is ours."""
        if self.stream.joined:
            return
        nameless = rtcp.nameless(data, self._cname)
        if nameless:
            self.transmit_control(nameless)

    def transmit_control(self, data: bytes) -> None:
        """Send RTCP where this party wants it: the RTP port, where its own comes from, or one port above."""
        target = self.latch.target
        if not self.sending or target is None:
            return
        sealed = self.guard.seal(data, control=True) if self.guard else data
        if sealed is None:
            return
        data = sealed
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
            "digits": self.once.count,
            "strangers": self.strangers,
            "unspoken": self.unspoken,
            "unauthentic": self.guard.unauthentic if self.guard else 0,
            "replayed": self.guard.replayed if self.guard else 0,
            "last_in": None if self.heard_at is None else round(now - self.heard_at, 3),
        }
