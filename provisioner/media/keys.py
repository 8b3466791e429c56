"""Presses of keys across forms: each counted once, and made anew for a hearer that takes another form. No I/O.

A key that was heard in one form (RFC 4733, INFO, tones) goes on in another one in the place of the packets of
whoever pressed it: with their sequence numbers and at their pace, so that the stream of a hearer has no seam.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from provisioner.media import tones
from provisioner.media.codecs import SPOKEN, Voice
from provisioner.media.digits import DIGITS
from provisioner.media.rtp import Event, Packet, build, build_event, newer, parse_event

Method = Literal["rfc4733", "info", "inband"]
Form = Literal["event", "tone"]

SAME_PRESS = 0.2  # seconds: a phone may send one press in two forms, a little apart
SAME_PRESS_LATE = 2.0  # seconds: of who was seen to do so, and has no time now
PRESS_MS = 100  # how long a press is that we make; 40 ms are the least (Q.24)
PAUSE = 0.06  # seconds between two that we make
WAITING = 8  # packets held back until one that is late has come
QUEUE = 24  # presses that wait to be made; nobody keys more ahead
_RESTART = 0.15  # seconds of nothing after which older numbers are a sender that began anew, not copies
CARRIER_GAP = 0.06  # seconds without a packet to ride on, after which our own source is used
LEAST = 0.04 - 1e-6  # seconds of a tone that every receiver hears, and of a hole that ends it (Q.24)
EVENT_SIZE = 4  # octets
ENDS = 3  # the last packet of an event comes so many times (RFC 4733 2.5.1.4)

_FIELDS = struct.Struct("!xxHII").unpack_from


@dataclass(slots=True)
class _Heard:
    digit: str
    last: float  # when anything of it came, seconds
    methods: set[Method]


def samples_of(codec: str, size: int, clock: int) -> int:
    """How many units of its clock a payload of `size` bytes lasts; 20 ms of a codec that cannot be told by its size."""
    return size if codec in SPOKEN else clock // 50


def hush(data: bytes, bounds: tuple[int, int], voice: Voice, codec: str, payload_type: int) -> bytes:
    """The packet with silence in it."""
    silence = voice.encode([0] * (bounds[1] - bounds[0]), codec)
    return (
        data[:1] + bytes((data[1] & 0x80 | payload_type,)) + data[2 : bounds[0]] + silence + data[bounds[1] :]
    )


class Once:
    """Tells a press from the same one in another form."""

    def __init__(self) -> None:
        self._recent: deque[_Heard] = deque(maxlen=8)
        self._apart = SAME_PRESS
        self.count = 0

    def first(self, digit: str, method: Method, now: float) -> bool:
        """Whether a press that begins now in this form is a new one."""
        for heard in self._recent:
            if heard.digit == digit and method not in heard.methods and now - heard.last <= self._apart:
                heard.methods.add(method)
                self._apart = SAME_PRESS_LATE
                return False
        self._recent.append(_Heard(digit, now, {method}))
        self.count += 1
        return True

    def still(self, digit: str, now: float) -> None:
        """The key is held: what another form says when it is let go belongs to it."""
        for heard in reversed(self._recent):
            if heard.digit == digit:
                heard.last = now
                return


class Ears:
    """Keys in the audio of one party: puts packets in order, then listens. `key`: the one that is held now."""

    def __init__(self) -> None:
        self._tones = tones.ToneReceiver()
        self._early: dict[int, bytes] = {}
        self._next: int | None = None
        self._codec = ""
        self._voice = Voice()
        self._heard_at = 0.0
        self.taken = False  # whether the held key was kept from the hearers

    @property
    def key(self) -> str:
        return self._tones.key

    def receive(self, sequence: int, payload: bytes, codec: str, now: float) -> str:
        """The keys whose press began in this packet, or in those that had waited for it."""
        ahead = 0 if self._next is None else newer(sequence, self._next)
        began, self._heard_at = ahead < 0 and now - self._heard_at > _RESTART, now
        if codec != self._codec or began or not -100 < ahead < 100:  # another source
            self._codec, self._early, ahead = codec, {}, 0
            self._next = sequence
        if ahead < 0:
            return ""  # a copy, or too late
        self._early[sequence] = payload
        keys = ""
        while self._early and (self._next in self._early or len(self._early) > WAITING):
            assert self._next is not None
            frame = self._early.pop(self._next, None)
            self._next = (self._next + 1) & 0xFFFF
            if frame is not None:  # a lost one is left out: silence in its place would end a press
                keys += self._tones.receive(self._voice.decode(frame, codec))
        return keys


class Stamp(NamedTuple):
    """Where in a stream a packet stands; `clock`: units of its timestamp per second."""

    sequence: int
    timestamp: int
    ssrc: int
    clock: int


def stamp_of(data: bytes, clock: int) -> Stamp:
    """That of an RTP packet."""
    sequence, timestamp, ssrc = _FIELDS(data)
    return Stamp(sequence, timestamp, ssrc, clock)


class Made:
    """One press of leg `source` in the making for one hearer, packet by packet of the stream that this one gets.

    All its times are those of that stream, whose packets are made of whose they may: a receiver knows a press
    by its timestamp (RFC 4733 2.2.1).
    """

    def __init__(self, digit: str, form: Form, source: str, milliseconds: int = PRESS_MS) -> None:
        self.digit, self.form, self.source = digit, form, source
        self.length = max(40, min(milliseconds, 5000)) / 1000  # seconds
        self.done = False
        self._start: int | None = None  # RTP timestamp of its beginning
        self._until = 0.0  # seconds of it that were sent
        self._held = False  # the packet that carries it now says that the key is down
        self._ridden = (0, 0)  # timestamp and duration of the event whose packets it took the place of
        self._ends = 0

    def lasts(self, seconds: float) -> None:
        """The key is held longer than was known."""
        self.length = max(self.length, seconds)

    def ridden(self, packet: Packet, clock: int) -> tuple[Stamp, int] | None:
        """The time that an event packet adds to its press, as if audio of that length had come; None: none."""
        event = parse_event(packet.payload)
        before = self._ridden[1] if self._ridden[0] == packet.timestamp else 0
        if event is None or event.duration <= before:
            return None
        self._ridden = packet.timestamp, event.duration
        self._held = not event.end
        self.lasts(event.duration / clock)
        start = (packet.timestamp + before) & 0xFFFFFFFF
        return Stamp(packet.sequence, start, packet.ssrc, clock), event.duration - before

    def carry(
        self,
        stamp: Stamp,
        samples: int,
        speak: Callable[[list[int]], bytes],
        out: tuple[int, int],
    ) -> bytes:
        """What goes out at this place of the stream, `samples` units of its clock long; b"": nothing.

        `speak` makes a payload of linear samples. `out`: payload type, and for an event its clock.
        """
        start = self._start = stamp.timestamp if self._start is None else self._start
        units = ((stamp.timestamp - start + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        offset, seconds = units / stamp.clock, samples / stamp.clock
        header = Packet(out[0], self._until == 0, stamp.sequence, stamp.timestamp, stamp.ssrc, b"")
        if self.form == "event":
            return self._event(header, start, offset, offset + seconds, stamp.clock, out[1])
        if offset - self._until >= LEAST:
            offset = self._torn(stamp.timestamp, offset)
        return self._tone(header, offset, seconds, speak)

    def octets(self, samples: int) -> int:
        """The size of the payload that goes out in the place of so many samples."""
        return EVENT_SIZE if self.form == "event" else samples

    def _torn(self, timestamp: int, offset: float) -> float:
        """Where a tone goes on after a hole: a receiver that has heard it would take the rest for another press, and
        one that has not does not add up what came before.
        """
        if self._until >= LEAST:
            self.length = min(self.length, self._until)
            return offset
        self._start, self._until = timestamp, 0.0
        return 0.0

    def _event(self, header: Packet, start: int, offset: float, end: float, clock: int, wanted: int) -> bytes:
        if offset < 0:
            return b""
        last = end > self.length - 1e-6
        if end > self._until:
            self._until = end
            self._ends += last
            self.done = self._ends >= ENDS
        duration = min(round(min(end, self.length) * wanted), 0xFFFF)
        start = start * wanted // clock & 0xFFFFFFFF
        payload = build_event(Event(DIGITS.index(self.digit), last, duration))
        return build(header._replace(timestamp=start, payload=payload))

    def _tone(
        self, header: Packet, offset: float, seconds: float, speak: Callable[[list[int]], bytes]
    ) -> bytes:
        first, samples = round(offset * tones.RATE), round(seconds * tones.RATE)
        wanted = max(0, min(samples, round(self.length * tones.RATE) - first)) if first >= 0 else 0
        audio = [*tones.tone(self.digit, wanted, first), *[0] * (samples - wanted)]
        self._until = max(self._until, offset + seconds)
        held, self._held = self._held, False
        self.done = not held and self._until > self.length + PAUSE - 1e-6
        return build(header._replace(payload=speak(audio)))


class Making:
    """The presses that are to be made for one hearer, one after the other with a pause between them."""

    def __init__(self) -> None:
        self._queue: deque[Made] = deque(maxlen=QUEUE)
        self._pause = 0.0  # seconds that must still pass
        self._met = 0.0  # when a packet of whoever pressed the first of them went by

    def __bool__(self) -> bool:
        return bool(self._queue)

    def add(self, made: Made, now: float) -> None:
        """Make this press after those before it."""
        if not self._queue:
            self._met = now
        self._queue.append(made)

    def current(self) -> Made | None:
        """The press to make now; None: there is a pause, or none is left."""
        return self._queue[0] if self._queue and self._pause <= 0 else None

    def met(self, source: str, now: float) -> bool:
        """A packet of the leg `source` goes by; whether it keeps the time of what is to be made."""
        if not self._queue or self._queue[0].source != source:
            return False
        self._met = now
        return True

    def stranded(self, now: float) -> bool:
        """Whether nobody's packets keep that time: our own clock does."""
        return now - self._met > CARRIER_GAP

    def passed(self, seconds: float) -> None:
        """So much audio went by, or so much of the press was made."""
        if self._queue and self._queue[0].done:
            made = self._queue.popleft()
            self._pause = PAUSE if made.form == "event" else 0.0  # a tone brings its own
        else:
            self._pause -= min(seconds, self._pause)
