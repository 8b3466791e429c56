"""The relay plane: packets and time in, packets and events out. Sockets belong to `process.py`.

`latch.py` decides whose packets are let in and where a party's media goes (RFC 7362): to the address that
signalling named; to an observed one only if nothing was heard from the named one before, or after 2 s of
silence within the same IP address; and where `put` named networks, never to what lies outside them. Packets of
strangers are counted and dropped. Of a party with SRTP only what its key opens gets as far as that.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from provisioner.errors import ProvisionerError
from provisioner.media import prompts, rtp
from provisioner.media.codecs import SPOKEN, translated
from provisioner.media.document import read_document
from provisioner.media.keys import PRESS_MS, Made, Method, hush, samples_of, stamp_of
from provisioner.media.latch import Address
from provisioner.media.leg import Leg, Load, Send
from provisioner.media.rtp import FRAME_SECONDS, Packet

_log = logging.getLogger(__name__)

Report = Callable[[str, dict[str, Any]], None]

CATCH_UP = 3  # frames sent at once after a stall; what is older is skipped, as its moment has passed
MAX_HUSH = 480  # samples of silence in a packet, 60 ms
SILENT = 60.0  # seconds
SWEEP = 1.0  # seconds between looks for silent legs

_AS_IT_IS = frozenset({("rfc4733", "event"), ("inband", "tone")})  # the packets themselves are passed on
_FIELDS = struct.Struct("!xxHII").unpack_from
_TIMESTAMP = struct.Struct("!I")
_DURATION = struct.Struct("!H")


class Plane:
    """All legs of one appliance. `now` is everywhere seconds of one monotonic clock; at its 0 the wall clock
    showed `epoch`, in seconds since 1970.
    """

    def __init__(
        self, report: Report, rng: Random, now: float, epoch: float = 0.0, load: Load = prompts.load
    ) -> None:
        self.legs: dict[str, Leg] = {}
        self._report, self._rng, self._load = report, rng, load
        self._hearers: dict[str, list[Leg]] = {}  # by the id of the leg that is heard, there or not
        self._playing: dict[str, Leg] = {}
        self._making: dict[str, Leg] = {}  # legs for which a press is in the making
        self._epoch = epoch
        self._origin = now  # of the 20 ms grid
        self._grid = 0  # frames of the grid that were served
        self._sweep_at = now + SWEEP

    def open(self, leg: str, media: Send, control: Send, now: float) -> Leg:
        """A new leg that sends with the two functions."""
        self.legs[leg] = new = Leg(leg, media, control, self._rng, now, self._load)
        new.origin = self._origin
        new.hearers = self._hearers.setdefault(leg, [])
        return new

    def put(self, args: dict[str, Any], now: float) -> Leg:
        """Apply a whole document to its leg. Raises ProvisionerError when it is wrong or the leg unknown."""
        document = read_document(args)
        leg = self.leg(document.leg)
        before = leg.document.source
        leg.put(document, now)
        leg.leave(self._frames(now) + 1)
        if document.source != before:
            self._unhear(leg, before.leg if before else None)
            if document.source and document.source.leg is not None:
                self._hearers.setdefault(document.source.leg, []).append(leg)
        if leg.playback is None:
            self._playing.pop(leg.id, None)
        else:
            self._awake(now)
            self._playing[leg.id] = leg
        return leg

    def drop(self, leg: str, now: float) -> dict[str, Any]:
        """Forget a leg; its statistics. Raises ProvisionerError when it is unknown."""
        gone = self.leg(leg)
        gone.report(self._frames(now), self._epoch + now, bye=True)
        source = gone.document.source
        self._unhear(gone, source.leg if source else None)
        self._playing.pop(leg, None)
        self._making.pop(leg, None)
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
        if leg.guard:
            opened = leg.guard.open(data)
            if opened is None:
                return
            data = opened
        payload_type = second & 0x7F
        audio = payload_type in leg.codecs
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
            if leg.ears is not None:
                self._listen(leg, data, payload_type, bounds, now)
            if leg.hearers:
                self._relay_audio(leg, data, payload_type, bounds, now)
        else:
            self._event(leg, data, bounds, now)

    @staticmethod
    def _is_event(leg: Leg, payload_type: int, bounds: tuple[int, int]) -> bool:
        if payload_type == leg.document.event_in:
            return True
        # seen in the field: digits under a number that was not negotiated
        return payload_type >= 96 and bounds[1] - bounds[0] == 4

    @staticmethod
    def _relay_audio(leg: Leg, data: bytes, payload_type: int, bounds: tuple[int, int], now: float) -> None:
        codec = leg.codecs[payload_type]
        linear: Sequence[int] = ()  # decoded once: a decoder remembers
        hushed = leg.ears is not None and leg.ears.key != ""
        for hearer in leg.hearers:
            target = hearer.latch.target
            if not hearer.sending or target is None:
                continue
            if (hearer.making or hushed) and _replaced(leg, hearer, data, bounds, codec, now):
                continue
            out = data
            if codec == hearer.codec:
                if payload_type != hearer.payload_type:
                    out = _renumber(data, hearer.payload_type)
            elif codec in SPOKEN and hearer.codec in SPOKEN:
                start, end = bounds
                payload = translated(data[start:end], codec, hearer.codec)
                if not payload:
                    linear = linear or leg.voice.decode(data[start:end], codec)
                    payload = hearer.speak(linear)
                out = _renumber(data[:start] + payload + data[end:], hearer.payload_type)
            elif codec != "CN":
                hearer.unspoken += 1
                continue
            if hearer.fresh:
                hearer.fresh = False
                out = out[:1] + bytes((out[1] | 0x80,)) + out[2:]
            hearer.forward(out, target, now)

    # keys

    def press(self, leg: Leg, digit: str, milliseconds: int, now: float) -> None:
        """The party of `leg` pressed a key, as a SIP INFO request said."""
        if leg.once.first(digit, "info", now):
            self._pressed(leg, digit, "info", now, milliseconds)

    def _pressed(
        self, leg: Leg, digit: str, method: Method, now: float, milliseconds: int = PRESS_MS
    ) -> bool:
        """A new press: reported when it is taken, else it goes on to whoever hears the leg.

        False when its own packets are to be passed on: nothing else was done for a hearer in that form.
        """
        if leg.document.take == "all" or leg.document.take == digit:
            self._report("digit", {"leg": leg.id, "digit": digit, "source": method})
            return True
        queued = any(hearer.making for hearer in leg.hearers)  # it must not overtake those before it
        for hearer in leg.hearers:
            form = hearer.form
            if form == "info":
                press = {"leg": hearer.id, "digit": digit, "milliseconds": milliseconds}
                self._report("press", press)
            elif form and (queued or (method, form) not in _AS_IT_IS):
                self._awake(now)
                self._making[hearer.id] = hearer
                hearer.making.add(Made(digit, form, leg.id, milliseconds), now)
        return queued

    def _listen(self, leg: Leg, data: bytes, payload_type: int, bounds: tuple[int, int], now: float) -> None:
        """Keys that are tones in the audio of a party which has no other way to send them."""
        ears, codec = leg.ears, leg.codecs[payload_type]
        if ears is None or codec not in SPOKEN:
            return
        for digit in ears.receive(_FIELDS(data)[0], data[bounds[0] : bounds[1]], codec, now):
            if leg.once.first(digit, "inband", now):
                ears.taken = self._pressed(leg, digit, "inband", now)
        if ears.key:
            leg.once.still(ears.key, now)

    def _event(self, leg: Leg, data: bytes, bounds: tuple[int, int], now: float) -> None:
        packet = rtp.parse(data)
        found = leg.digits.receive(packet, now) if packet else None
        if packet is None:
            return
        press, new = found or (None, False)
        if press and new:
            if packet.payload_type != leg.document.event_in:
                _log.info("leg %s sends events as %d, unannounced", leg.id, packet.payload_type)
            # decided once: the rest of a press goes the way of its first packet
            press.taken = not leg.once.first(press.digit, "rfc4733", now) or self._pressed(
                leg, press.digit, "rfc4733", now
            )
        elif press:
            leg.once.still(press.digit, now)
        start, length = press.unheard() if press else (0, 0)
        for hearer in leg.hearers:
            made = hearer.making.current() if hearer.making.met(leg.id, now) else None
            if made and (piece := made.ridden(packet, leg.document.event_clock)):
                hearer.make(*piece, now)
            elif made is None and (press is None or not press.taken) and hearer.form == "event":
                _relay_event(leg, hearer, data, bounds, now)
            elif made is None and length and leg.document.event_clock == leg.document.clock:
                _hush_event(hearer, packet, start, length, now)
            elif made is None:
                hearer.stream.left_out(packet.sequence, packet.ssrc)

    def receive_control(self, leg: Leg, data: bytes, source: Address, muxed: bool = False) -> None:
        """An RTCP packet of the party of `leg` (`muxed`: on the RTP port); goes to whoever hears the leg."""
        target = leg.latch.target
        if not rtp.is_rtcp(data) or target is None or source[0] != target[0]:
            leg.strangers += 1
            return
        if leg.guard:
            opened = leg.guard.open(data, control=True)
            if opened is None:
                return
            data = opened
        leg.muxed = muxed
        if not muxed:
            leg.control_at = source
        for hearer in leg.hearers:
            hearer.relay_control(data)

    # time

    def _frames(self, now: float) -> int:
        """Grid frames due at `now`; multiplied, never added up, so that nothing drifts."""
        return int((now - self._origin) / FRAME_SECONDS + 1e-6)

    def deadline(self) -> float:
        """When `advance` is next needed."""
        if not self._playing and not self._making:
            return self._sweep_at
        return min(self._sweep_at, self._origin + (self._grid + 1) * FRAME_SECONDS)

    def advance(self, now: float) -> list[str]:
        """Do what is due; the ids of orphaned legs that are to be dropped."""
        if self._playing or self._making:
            due = self._frames(now)
            self._grid = max(self._grid, due - CATCH_UP)
            while self._grid < due:
                self._grid += 1
                self._play()
                self._make(now)
            for leg in self._playing.values():
                leg.report(self._grid, self._epoch + now)
        if now < self._sweep_at:
            return []
        self._sweep_at = now + SWEEP
        for each in self.legs.values():
            each.report(self._frames(now), self._epoch + now)
        return [leg.id for leg in self.legs.values() if self._silent(leg, now) and leg.orphan]

    def _play(self) -> None:
        for leg in list(self._playing.values()):
            if leg.play(self._grid):
                assert leg.document.source is not None
                self._report("played", {"leg": leg.id, "token": leg.document.source.token})

    def _awake(self, now: float) -> None:
        """The grid goes on from here when nothing needed it before."""
        if not self._playing and not self._making:
            self._grid = self._frames(now)

    def _make(self, now: float) -> None:
        for leg in list(self._making.values()):
            leg.make_alone(self._grid, now)
            if not leg.making:
                del self._making[leg.id]

    def _silent(self, leg: Leg, now: float) -> bool:
        """Whether nothing came for a minute; reported each minute that it lasts."""
        since = max(leg.alarmed, leg.heard_at or leg.alarmed)
        if now - since < SILENT:
            return False
        if leg.sending:
            leg.alarmed = now
            self._report("silent", {"leg": leg.id, "seconds": int(SILENT)})
        return True


def _relay_event(leg: Leg, hearer: Leg, data: bytes, bounds: tuple[int, int], now: float) -> None:
    target, wanted = hearer.latch.target, hearer.document
    if hearer.sending and target and wanted.event_out is not None:
        clocks = leg.document.event_clock, wanted.event_clock
        out = data if clocks[0] == clocks[1] else _reclock(data, bounds[0], *clocks)
        hearer.forward(_renumber(out, wanted.event_out), target, now)


def _hush_event(hearer: Leg, packet: Packet, start: int, length: int, now: float) -> None:
    """Silence in the place of a press that is not passed on, for as long as `packet` adds to it: no gap."""
    target = hearer.latch.target
    if hearer.sending and target and hearer.codec in SPOKEN:
        payload = hearer.speak([0] * min(length, MAX_HUSH))
        out = Packet(hearer.payload_type, hearer.fresh, packet.sequence, start, packet.ssrc, payload)
        hearer.fresh = False
        hearer.forward(rtp.build(out), target, now)


def _replaced(leg: Leg, hearer: Leg, data: bytes, bounds: tuple[int, int], codec: str, now: float) -> bool:
    """Whether something else went out, or nothing, in the place of a packet: a press that is being made for the
    hearer, or silence while the tones of a key last that it is not to hear.
    """
    samples = samples_of(codec, bounds[1] - bounds[0], leg.document.clock)
    if hearer.making.met(leg.id, now):
        if hearer.make(stamp_of(data, leg.document.clock), samples, now):
            return True
        hearer.making.passed(samples / leg.document.clock)
    ears = leg.ears
    if ears is None or not ears.key or (hearer.form == "tone" and not ears.taken):
        return False
    if hearer.latch.target and hearer.codec in SPOKEN:
        out = hush(data, bounds, hearer.voice, hearer.codec, hearer.payload_type)
        hearer.forward(out, hearer.latch.target, now)
    return True


def _renumber(data: bytes, payload_type: int) -> bytes:
    """A packet under another payload type, its marker kept."""
    return data[:1] + bytes((data[1] & 0x80 | payload_type,)) + data[2:]


def _reclock(data: bytes, start: int, clock: int, wanted: int) -> bytes:
    """A telephone-event whose timestamp and duration count in `wanted` units per second instead of `clock`.

    A duration that grows out of its 16 bits stays at the longest: where it ends is told by the end bit.
    """
    out = bytearray(data)
    timestamp, duration = _TIMESTAMP.unpack_from(data, 4)[0], _DURATION.unpack_from(data, start + 2)[0]
    _TIMESTAMP.pack_into(out, 4, timestamp * wanted // clock & 0xFFFFFFFF)
    _DURATION.pack_into(out, start + 2, min(duration * wanted // clock, 0xFFFF))
    return bytes(out)
