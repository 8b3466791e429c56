"""The relay plane: packets and time in, packets and events out. Sockets belong to `process.py`.

`latch.py` decides whose packets are let in and where a party's media goes (RFC 7362): to the address that
signalling named; to an observed one only if nothing was heard from the named one before, or after 2 s of
silence within the same IP address. Packets of strangers are counted and dropped.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from provisioner.errors import ProvisionerError
from provisioner.media import rtp
from provisioner.media.g711 import ALAW_TO_MULAW, MULAW_TO_ALAW
from provisioner.media.latch import Address
from provisioner.media.leg import Leg, Send, read_document
from provisioner.media.rtp import COMFORT_NOISE, FRAME_SECONDS, PCMA, PCMU

_log = logging.getLogger(__name__)

Report = Callable[[str, dict[str, Any]], None]

CATCH_UP = 3  # frames sent at once after a stall; what is older is skipped, as its moment has passed
SILENT = 60.0  # seconds
SWEEP = 1.0  # seconds between looks for silent legs

_TRANSLATE = {PCMU: MULAW_TO_ALAW, PCMA: ALAW_TO_MULAW}
_AUDIO = frozenset((PCMU, PCMA, COMFORT_NOISE))
_FIELDS = struct.Struct("!xxHII").unpack_from


class Plane:
    """All legs of one appliance. `now` is everywhere seconds of one monotonic clock."""

    def __init__(self, report: Report, rng: Random, now: float) -> None:
        self.legs: dict[str, Leg] = {}
        self._report, self._rng = report, rng
        self._hearers: dict[str, list[Leg]] = {}  # by the id of the leg that is heard, there or not
        self._playing: dict[str, Leg] = {}
        self._origin = now  # of the 20 ms grid
        self._grid = 0  # frames of the grid that were served
        self._sweep_at = now + SWEEP

    def open(self, leg: str, media: Send, control: Send, now: float) -> Leg:
        """A new leg that sends with the two functions."""
        self.legs[leg] = new = Leg(leg, media, control, self._rng, now)
        new.hearers = self._hearers.setdefault(leg, [])
        return new

    def put(self, args: dict[str, Any], now: float) -> Leg:
        """Apply a whole document to its leg. Raises ProvisionerError when it is wrong or the leg unknown."""
        document = read_document(args)
        leg = self.leg(document.leg)
        before = leg.document.source
        leg.put(document, now)
        if document.source != before:
            self._unhear(leg, before.leg if before else None)
            if document.source and document.source.leg is not None:
                self._hearers.setdefault(document.source.leg, []).append(leg)
        if leg.playback is None:
            self._playing.pop(leg.id, None)
        else:
            if not self._playing:
                self._grid = self._frames(now)
            self._playing[leg.id] = leg
        return leg

    def drop(self, leg: str, now: float) -> dict[str, Any]:
        """Forget a leg; its statistics. Raises ProvisionerError when it is unknown."""
        gone = self.leg(leg)
        source = gone.document.source
        self._unhear(gone, source.leg if source else None)
        self._playing.pop(leg, None)
        del self.legs[leg]
        if not self._hearers[leg]:
            del self._hearers[leg]
        return gone.stats(now)

    def orphan(self, leg: str, now: float) -> None:
        """The edge connection of a leg is gone: the leg carries on until it hears nothing for a minute."""
        orphan = self.leg(leg)
        orphan.orphan, orphan.alarmed = True, now

    def leg(self, leg: str) -> Leg:
        """The leg of that id. Raises ProvisionerError when there is none."""
        try:
            return self.legs[leg]
        except KeyError:
            raise ProvisionerError(f"there is no leg {leg!r}; open it first") from None

    def _unhear(self, leg: Leg, heard: str | None) -> None:
        hearers = self._hearers.get(heard, []) if heard is not None else []
        if leg in hearers:
            hearers.remove(leg)
            if not hearers and heard not in self.legs and heard is not None:
                del self._hearers[heard]

    # packets

    def receive(self, leg: Leg, data: bytes, source: Address, now: float) -> None:
        """A packet that came to the RTP port of `leg`."""
        if len(data) < 12 or data[0] & 0xC0 != 0x80:
            return
        second = data[1]
        if 192 <= second <= 223:
            self.receive_control(leg, data, source, muxed=True)
            return
        payload_type = second & 0x7F
        audio = payload_type in _AUDIO
        if data[0] == 0x80 and audio:
            bounds: tuple[int, int] | None = (12, len(data))
        else:
            bounds = rtp.bounds(data)
        if bounds is None or not (audio or self._is_event(leg, payload_type, bounds)):
            return
        if not leg.latch.admit(source, now):
            leg.strangers += 1
            return
        leg.heard_at = now
        sequence, timestamp, ssrc = _FIELDS(data)
        leg.reception.add(sequence, timestamp, ssrc, now, timed=audio)
        if audio:
            if leg.hearers:
                self._relay_audio(leg, data, payload_type, bounds)
        else:
            self._event(leg, data, now)

    @staticmethod
    def _is_event(leg: Leg, payload_type: int, bounds: tuple[int, int]) -> bool:
        if payload_type == leg.document.event_in:
            return True
        # seen in the field: digits under a number that was not negotiated
        return payload_type >= 96 and bounds[1] - bounds[0] == 4

    @staticmethod
    def _relay_audio(leg: Leg, data: bytes, payload_type: int, bounds: tuple[int, int]) -> None:
        for hearer in leg.hearers:
            target = hearer.latch.target
            if not hearer.sending or target is None:
                continue
            out = data
            if payload_type != hearer.payload_type and payload_type != COMFORT_NOISE:
                out = _transcode(data, payload_type, bounds)
            if hearer.fresh:
                hearer.fresh = False
                out = out[:1] + bytes((out[1] | 0x80,)) + out[2:]
            hearer.transmit(out, target)

    def _event(self, leg: Leg, data: bytes, now: float) -> None:
        packet = rtp.parse(data)
        found = leg.digits.receive(packet, now) if packet else None
        if found:
            press, new = found
            if new:
                if packet and packet.payload_type != leg.document.event_in:
                    _log.info("leg %s sends events as %d, unannounced", leg.id, packet.payload_type)
                # decided once: the rest of a press goes the way of its first packet
                press.taken = leg.document.take == "all" or leg.document.take == press.digit
                if press.taken:
                    self._report("digit", {"leg": leg.id, "digit": press.digit, "source": "rfc4733"})
            if press.taken:
                return
        for hearer in leg.hearers:
            target, event_out = hearer.latch.target, hearer.document.event_out
            if hearer.sending and target and event_out is not None:
                hearer.transmit(data[:1] + bytes((data[1] & 0x80 | event_out,)) + data[2:], target)

    def receive_control(self, leg: Leg, data: bytes, source: Address, muxed: bool = False) -> None:
        """An RTCP packet of the party of `leg` (`muxed`: on the RTP port); goes to whoever hears the leg."""
        target = leg.latch.target
        if not rtp.is_rtcp(data) or target is None or source[0] != target[0]:
            leg.strangers += 1
            return
        leg.muxed = muxed
        if not muxed:
            leg.control_at = source
        for hearer in leg.hearers:
            hearer.transmit_control(data)

    # time

    def _frames(self, now: float) -> int:
        """Grid frames due at `now`; multiplied, never added up, so that nothing drifts."""
        return int((now - self._origin) / FRAME_SECONDS + 1e-6)

    def deadline(self) -> float:
        """When `advance` is next needed."""
        if not self._playing:
            return self._sweep_at
        return min(self._sweep_at, self._origin + (self._grid + 1) * FRAME_SECONDS)

    def advance(self, now: float) -> list[str]:
        """Do what is due; the ids of orphaned legs that are to be dropped."""
        if self._playing:
            due = self._frames(now)
            self._grid = max(self._grid, due - CATCH_UP)
            while self._grid < due:
                self._grid += 1
                self._play()
        if now < self._sweep_at:
            return []
        self._sweep_at = now + SWEEP
        return [leg.id for leg in self.legs.values() if self._silent(leg, now) and leg.orphan]

    def _play(self) -> None:
        for leg in list(self._playing.values()):
            if leg.play(self._grid):
                assert leg.document.source is not None
                self._report("played", {"leg": leg.id, "token": leg.document.source.token})

    def _silent(self, leg: Leg, now: float) -> bool:
        """Whether nothing came for a minute; reported each minute that it lasts."""
        since = max(leg.alarmed, leg.heard_at or leg.alarmed)
        if now - since < SILENT:
            return False
        if leg.sending:
            leg.alarmed = now
            self._report("silent", {"leg": leg.id, "seconds": int(SILENT)})
        return True


def _transcode(data: bytes, payload_type: int, bounds: tuple[int, int]) -> bytes:
    """A PCMU packet as PCMA or the other way round, its header else untouched."""
    start, end = bounds
    second = bytes((data[1] & 0x80 | (PCMU + PCMA - payload_type),))
    audio = data[start:end].translate(_TRANSLATE[payload_type])
    return data[:1] + second + data[2:start] + audio + data[end:]
