"""What one party gets as one RTP stream, whoever it hears: one source, no jump in sequence or time (RFC 3550 5.1).

Packets of the first party that is heard pass untouched. From the first packet of ours on, or of somebody else's, all
are written into one stream: receivers drop what seems to come too late after a change of source.
"""

from __future__ import annotations

import struct
from random import Random

from provisioner.media.rtp import FRAME, newer

_FIELDS = struct.Struct("!xxHII").unpack_from
_PACK = struct.Struct("!HII").pack
_MASK = 0xFFFFFFFF
_LATE = 1600  # units, 0.2 s of speech: no packet is later; a sender may well start anew under the same name


class Stream:
    """`moment`: where the wall clock stands, in units of the stream's RTP clock."""

    def __init__(self, rng: Random) -> None:
        self.ssrc = rng.getrandbits(32)
        self.joined = False  # what is relayed is written into this stream
        self.packets = self.octets = 0  # of it, once joined
        # the low half: no wrap in the first minutes, which SRTP receivers are glad of (RFC 3711 3.3.1)
        self._next = rng.getrandbits(15)
        self._base = rng.getrandbits(32)  # timestamp at moment 0
        self._last: tuple[int, int, int] | None = None  # of what was relayed before anything else
        self._at = self._base  # timestamp of the last packet
        self._from: int | None = None  # whose packets are being written in
        self._shifts = (0, 0)  # of its sequence numbers and timestamps
        self._first = 0  # its sequence number at the change
        self._since = 0  # moment of the change

    def change(self) -> None:
        """Somebody else, or something else, is heard from now on."""
        self._from = None

    def timestamp(self, moment: int) -> int:
        """Of a packet of ours at that moment."""
        return (self._base + moment) & _MASK

    def own(self, moment: int, octets: int) -> tuple[int, int, int]:
        """Sequence number, timestamp and source of the next packet of ours.

        What is relayed next goes on after it, for its own numbers are used up.
        """
        self._join(moment)
        self._from = None
        sequence, self._next = self._next, (self._next + 1) & 0xFFFF
        self._count(octets)
        self._at = self._after(moment)
        self._base = (self._at - moment) & _MASK
        return sequence, self._at, self.ssrc

    def _join(self, moment: int) -> None:
        if not self.joined and self._last:  # go on where those packets stopped
            sequence, timestamp, self.ssrc = self._last
            self._next, self._base = (sequence + 1) & 0xFFFF, (timestamp + FRAME - moment) & _MASK
            self._at = timestamp
        self.joined = True

    def relayed(self, data: bytes, moment: int) -> bytes:
        """A packet of somebody's as it goes out; b"": it came from before the change, too late."""
        placed = self.placed(_FIELDS(data), moment, len(data) - 12)
        if placed is None:
            return b""
        return data[:2] + _PACK(*placed) + data[12:] if self.joined else data

    def placed(self, fields: tuple[int, int, int], moment: int, octets: int) -> tuple[int, int, int] | None:
        """Where such a packet (sequence number, timestamp, source) stands in this stream; None: it is too late."""
        sequence, timestamp, ssrc = fields
        if not self.joined:
            if self._last is None or ssrc == self._last[2]:
                self._last = fields
                return fields
            self._join(moment)
        if ssrc != self._from:
            self._from, self._first, self._since = ssrc, sequence, moment
            self._shifts = (self._next - sequence) & 0xFFFF, (self._after(moment) - timestamp) & _MASK
        if moment - self._since < _LATE and newer(sequence, self._first) < 0:
            return None
        out = (sequence + self._shifts[0]) & 0xFFFF
        if newer(out, self._next) >= 0:
            self._next = (out + 1) & 0xFFFF
        self._count(octets)
        self._at = (timestamp + self._shifts[1]) & _MASK
        return out, self._at, self.ssrc

    def left_out(self, sequence: int, ssrc: int) -> None:
        """A packet of whoever is heard does not go out: as long as none after it did, no number is kept for it."""
        out = (sequence + self._shifts[0]) & 0xFFFF
        if ssrc == self._from and newer(out, self._next) >= 0:
            self._shifts = (self._shifts[0] - 1) & 0xFFFF, self._shifts[1]

    def _after(self, moment: int) -> int:
        """The timestamp of that moment, but a frame after what was sent last at least."""
        ahead = (self.timestamp(moment) - self._at + 0x80000000) & _MASK
        return self.timestamp(moment) if ahead >= 0x80000000 + FRAME else (self._at + FRAME) & _MASK

    def _count(self, octets: int) -> None:
        self.packets += 1
        self.octets += octets
