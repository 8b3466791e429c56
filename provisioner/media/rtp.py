"""RTP and telephone-event packets, and statistics of what was received (RFC 3550, 4733). No I/O."""

from __future__ import annotations

import struct
from typing import NamedTuple

PCMU, PCMA, COMFORT_NOISE = 0, 8, 13  # static payload types (RFC 3551 section 6)
RATE = 8000  # samples, and timestamp units, per second
FRAME_SECONDS = 0.02
FRAME = 160  # samples, and bytes of G.711, in 20 ms

_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_EXTENSION = struct.Struct("!HH")

MAX_MISORDER = 100  # older than this is a restarted sender, not a late packet (RFC 3550 A.1)
MAX_DROPOUT = 3000  # a jump further than this likewise


class Packet(NamedTuple):
    """One RTP packet. `extension` is (profile, data) or None; padding is already removed from `payload`."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    csrc: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None


class Event(NamedTuple):
    """The payload of a telephone-event (RFC 4733 2.3); `duration` in timestamp units, `volume` in -dBm0."""

    code: int
    end: bool
    duration: int
    volume: int = 10


def bounds(data: bytes) -> tuple[int, int] | None:
    """Where the payload of an RTP packet begins and ends; None: malformed (RFC 3550 5.1, A.1)."""
    size = len(data)
    if size < 12 or data[0] & 0xC0 != 0x80:
        return None
    first = data[0]
    if first == 0x80:
        return 12, size
    start = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > size:
            return None
        start += 4 + 4 * _EXTENSION.unpack_from(data, start)[1]
    padding = data[-1] if first & 0x20 else 0
    if (first & 0x20 and padding == 0) or start + padding > size:
        return None
    return start, size - padding


def parse(data: bytes) -> Packet | None:
    """`data` as an RTP packet, or None when it is malformed."""
    found = bounds(data)
    if found is None:
        return None
    start, end = found
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    count = first & 0x0F
    csrc = struct.unpack_from(f"!{count}I", data, 12)
    extension = None
    if first & 0x10:
        at = 12 + 4 * count
        extension = (_EXTENSION.unpack_from(data, at)[0], data[at + 4 : start])
    return Packet(
        second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, data[start:end], csrc, extension
    )


def build(packet: Packet) -> bytes:
    """The bytes of `packet`, without padding. The data of an extension must fill whole 32-bit words."""
    first = 0x80 | (0x10 if packet.extension else 0) | len(packet.csrc)
    second = (0x80 if packet.marker else 0) | packet.payload_type
    data = _HEADER.pack(first, second, packet.sequence, packet.timestamp, packet.ssrc)
    data += struct.pack(f"!{len(packet.csrc)}I", *packet.csrc)
    if packet.extension:
        profile, words = packet.extension
        data += _EXTENSION.pack(profile, len(words) // 4) + words
    return data + packet.payload


def parse_event(payload: bytes) -> Event | None:
    """The telephone-event in `payload`; None: too short. A second event in one packet is ignored."""
    if len(payload) < 4:
        return None
    code, flags, duration = _EVENT.unpack_from(payload)
    return Event(code, bool(flags & 0x80), duration, flags & 0x3F)


def build_event(event: Event) -> bytes:
    """The four bytes of `event`."""
    return _EVENT.pack(event.code, (0x80 if event.end else 0) | event.volume, event.duration)


def is_rtcp(data: bytes) -> bool:
    """Whether a packet on an RTP port is RTCP, by its second byte (RFC 5761 section 4)."""
    return len(data) >= 8 and data[0] & 0xC0 == 0x80 and 192 <= data[1] <= 223


def newer(sequence: int, than: int) -> int:
    """How far `sequence` is ahead of `than`: -32768..32767, by the shorter way round."""
    return ((sequence - than + 0x8000) & 0xFFFF) - 0x8000


class Reception:
    """What arrived from one party: packets expected and lost, and jitter (RFC 3550 6.4.1, A.3, A.8)."""

    __slots__ = (
        "_base",
        "_earlier",
        "_highest",
        "_jitter",
        "_received",
        "_ssrc",
        "_transit",
        "packets",
        "rate",
    )

    def __init__(self) -> None:
        self.packets = 0
        self.rate = RATE  # timestamp units per second
        self._ssrc = -1
        self._base = self._highest = self._received = 0
        self._earlier = (0, 0)  # expected and received of the sources before this one
        self._transit: float | None = None
        self._jitter = 0.0

    def set_rate(self, rate: int) -> None:
        """The party's timestamps count `rate` units per second from now on."""
        if rate != self.rate:
            self._jitter, self._transit = self._jitter * rate / self.rate, None
            self.rate = rate

    def add(self, sequence: int, timestamp: int, ssrc: int, now: float, *, timed: bool = True) -> None:
        """A packet came at `now` (seconds). `timed` false: its timestamp is not its sending time (events)."""
        self.packets += 1
        step = ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if ssrc != self._ssrc or not -MAX_MISORDER < step < MAX_DROPOUT:
            self._restart(sequence, ssrc)
            step = 0
        if step > 0:
            self._highest += step
        self._received += 1
        if timed:
            transit = now * self.rate - timestamp
            if self._transit is not None:
                gap = abs(transit - self._transit)
                if gap > 0x80000000:  # the timestamp wrapped
                    gap = 0x100000000 - gap
                self._jitter += (gap - self._jitter) / 16
            self._transit = transit

    def _restart(self, sequence: int, ssrc: int) -> None:
        self._earlier = (self.expected, self._earlier[1] + self._received)
        self._ssrc, self._base, self._highest, self._received = ssrc, sequence, sequence, 0
        self._transit = None

    @property
    def expected(self) -> int:
        """Packets that the sequence numbers promised, over all sources so far."""
        here = self._highest - self._base + 1 if self._received else 0
        return self._earlier[0] + here

    @property
    def lost(self) -> int:
        """Expected but not received; duplicates can hide losses (A.3), it is never below 0."""
        return max(0, self.expected - self._earlier[1] - self._received)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds."""
        return self._jitter * 1000 / self.rate
