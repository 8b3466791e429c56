"""Telephone events: packets into key presses, and key presses into packets (RFC 4733). No I/O."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from provisioner.media.rtp import FRAME_SECONDS, Event, Packet, build, build_event, newer, parse_event

DIGITS = "0123456789*#ABCD"  # by event code (RFC 4733 3.2)

END_GAP = 0.1  # seconds of silence after which a press is over although no end came
REPLAY_GAP = 0.15  # seconds; a first packet this late is a recorded press played again, not a stray copy
PACE_GAP = 0.04  # packets of one press come closer than this; two presses do not (Q.24: 40 ms pause)
TAIL_PACKETS = 3  # the end comes three times: a stray one within this many belongs to the press before
SEGMENT_SLACK = 9600  # timestamp units: how far before 0xFFFF a long press may break into a segment
REMEMBERED = 16  # presses kept for packets that come late


@dataclass(slots=True, eq=False)
class Press:
    """One press of a key as far as it was heard. `taken` is for the user of the receiver."""

    digit: str
    ssrc: int
    timestamp: int  # of the latest segment
    duration: int  # the longest heard, in timestamp units
    first: int  # sequence numbers
    highest: int
    last: float  # when the latest packet came, seconds
    ended: bool = False
    taken: bool = False
    _told: int = 0  # of its duration, by `unheard`

    def unheard(self) -> tuple[int, int]:
        """Timestamp and length, in its units, of what came of it since this was last asked."""
        if self.duration < self._told:  # a further segment
            self._told = 0
        before, self._told = self._told, self.duration
        return (self.timestamp + before) & 0xFFFFFFFF, self.duration - before


class DigitReceiver:
    """Counts each press of a key once, whatever the network or a careless sender does to its packets.

    A press is known by source, timestamp and event. Senders that give the packets of one press different
    timestamps are recognised by pace, sequence and growing duration.
    """

    def __init__(self) -> None:
        self._presses: OrderedDict[tuple[int, int, str], Press] = OrderedDict()
        self._latest: Press | None = None
        self.count = 0

    def receive(self, packet: Packet, now: float) -> tuple[Press, bool] | None:
        """The press that `packet` belongs to, and whether it is a new one; None: the event is not a key."""
        event = parse_event(packet.payload)
        if event is None or event.code >= len(DIGITS):
            return None
        key = (packet.ssrc, packet.timestamp, DIGITS[event.code])
        press = self._presses.get(key)
        if press and self._again(press, packet, event, now):
            press = None
        elif press is None:
            press = self._continued(packet, event, now)
        new = press is None
        if press is None:
            press = self._begin(key, packet, event, now)
        else:
            self._extend(press, packet, event, now)
        self._presses[key] = press
        if len(self._presses) > REMEMBERED:
            self._presses.popitem(last=False)
        return press, new

    def _begin(self, key: tuple[int, int, str], packet: Packet, event: Event, now: float) -> Press:
        self.count += 1
        sequence = packet.sequence
        self._latest = Press(
            key[2], packet.ssrc, packet.timestamp, event.duration, sequence, sequence, now, event.end
        )
        self._presses.pop(key, None)
        return self._latest

    def _extend(self, press: Press, packet: Packet, event: Event, now: float) -> None:
        press.last = now
        press.ended = press.ended or event.end
        if newer(packet.sequence, press.highest) > 0:
            press.highest = packet.sequence
            press.timestamp, press.duration = packet.timestamp, event.duration

    @staticmethod
    def _again(press: Press, packet: Packet, event: Event, now: float) -> bool:
        """Whether a packet with the key of `press` begins another one: some senders use a timestamp twice."""
        if event.duration >= press.duration:
            return False
        gap = now - press.last
        if newer(packet.sequence, press.highest) > 0:
            return packet.marker or press.ended or gap > END_GAP
        return packet.marker and gap > REPLAY_GAP

    def _continued(self, packet: Packet, event: Event, now: float) -> Press | None:
        """The latest press, if `packet` belongs to it in spite of another timestamp."""
        press = self._latest
        if press is None or press.digit != DIGITS[event.code] or press.ssrc != packet.ssrc:
            return None
        ahead, gap = newer(packet.sequence, press.highest), now - press.last
        if gap > END_GAP:
            return None
        if ahead <= 0:  # reordered, by a sender whose timestamps grow
            late = newer(packet.sequence, press.first) >= -TAIL_PACKETS
        elif packet.marker:
            late = False
        elif event.end:
            late = ahead <= TAIL_PACKETS and gap < PACE_GAP + FRAME_SECONDS
        else:
            late = not press.ended and (
                self._is_segment(press, packet)
                or event.duration > press.duration
                or (ahead == 1 and gap < PACE_GAP)
            )
        return press if late else None

    @staticmethod
    def _is_segment(press: Press, packet: Packet) -> bool:
        """Whether `packet` carries on a press that outgrew its 16-bit duration (RFC 4733 2.5.1.3)."""
        if press.duration < 0xFFFF - SEGMENT_SLACK:
            return False
        return press.duration <= (packet.timestamp - press.timestamp) & 0xFFFFFFFF <= 0x10000 + SEGMENT_SLACK


class DigitSender:
    """The packets of one press: one each 20 ms, marker first, the end three times (RFC 4733 2.5.1.4)."""

    def __init__(
        self,
        digit: str,
        payload_type: int,
        ssrc: int,
        sequence: int,
        timestamp: int,
        now: float,
        milliseconds: int = 100,
        clock_rate: int = 8000,
        volume: int = 10,
    ) -> None:
        """`sequence` is of the first packet, `timestamp` the start of the press, `volume` in -dBm0."""
        self._code = DIGITS.index(digit)
        self._payload_type, self._ssrc, self._volume = payload_type, ssrc, volume
        self._timestamp, self._started = timestamp, now
        self._step = int(clock_rate * FRAME_SECONDS)
        # 40 ms is the least that a receiver must see (Q.24)
        self._updates = max(2, round(milliseconds / 1000 / FRAME_SECONDS))
        self._sent = 0
        self.sequence = sequence  # of the next packet

    @property
    def deadline(self) -> float | None:
        """When the next packet is due, seconds; None when all are sent."""
        if self._sent == self._updates + 2:
            return None
        return self._started + self._sent * FRAME_SECONDS

    @property
    def timestamp(self) -> int:
        """Where the audio goes on: past the event and the pace of its repeated end."""
        return (self._timestamp + (self._updates + 2) * self._step) & 0xFFFFFFFF

    def packets(self, now: float) -> list[bytes]:
        """All packets that are due at `now`."""
        due = []
        while (deadline := self.deadline) is not None and deadline <= now + 1e-6:
            due.append(self._packet())
        return due

    def _packet(self) -> bytes:
        first, self._sent = self._sent == 0, self._sent + 1
        steps = min(self._sent, self._updates)
        # nobody here presses for 8 s: no segments (2.5.1.3), the duration stops growing
        event = Event(self._code, self._sent >= self._updates, min(steps * self._step, 0xFFFF), self._volume)
        packet = Packet(
            self._payload_type, first, self.sequence, self._timestamp, self._ssrc, build_event(event)
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        return build(packet)
