"""Presses of keys over a bad network and through a plane, and what became of each."""

from __future__ import annotations

import random
from dataclasses import dataclass

from provisioner.media import g711
from provisioner.media.digits import DigitReceiver, DigitSender
from provisioner.media.rtp import Packet
from provisioner.media.tones import tone
from provisioner.sip import info
from provisioner.sip.events import Info
from tests.media.bench import QUIET, Bench
from tests.sip.pair import Wire
from tests.sip.test_session import call

STEP = 0.02
KEYS = "0123456789*#"
# form → clock of telephone-event, or 0
FORMS = {
    "RFC 4733, 8 kHz": 8000,
    "RFC 4733, 16 kHz": 16000,
    "RFC 4733, 48 kHz": 48000,
    "INFO": 0,
    "in-band": 0,
}
WAYS = ("edge", "core")


@dataclass
class Network:
    """Random loss and copies (shares of the packets), and how many places a packet may come late."""

    loss: float = 0.0
    copies: float = 0.0
    depth: int = 0

    def carry(self, packets: list[Packet], rng: random.Random) -> list[Packet]:
        """What arrives of the packets, in the order that it arrives."""
        kept = [packet for packet in packets if rng.random() >= self.loss]
        twice = [each for packet in kept for each in [packet] * (1 + (rng.random() < self.copies))]
        places = sorted(range(len(twice)), key=lambda place: place + rng.uniform(0, self.depth + 0.5))
        return [twice[place] for place in places]


@dataclass
class Tally:
    """What became of presses: each is heard once, or not at all, or more than once; or another key was heard."""

    presses: int = 0
    lost: int = 0
    doubled: int = 0
    swapped: int = 0

    def count(self, key: str, heard: str) -> None:
        """One press of `key`, in whose time `heard` was heard."""
        self.presses += 1
        self.lost += key not in heard
        self.doubled += max(0, heard.count(key) - 1)
        self.swapped += sum(other != key for other in heard)

    @property
    def exact(self) -> bool:
        return not (self.lost or self.doubled or self.swapped)


class Phone:
    """The packets of someone who presses a key for 100 ms each 300 ms and is silent otherwise."""

    def __init__(self, clock: int) -> None:
        self._clock, self._frame = clock or 8000, (clock or 8000) // 50
        self._sequence, self._timestamp = 100, 16000

    def _audio(self, payload: bytes = QUIET) -> Packet:
        packet = Packet(0, False, self._sequence & 0xFFFF, self._timestamp & 0xFFFFFFFF, 7, payload)
        self._sequence, self._timestamp = self._sequence + 1, self._timestamp + self._frame
        return packet

    def silence(self, frames: int) -> list[Packet]:
        return [self._audio() for _ in range(frames)]

    def tones(self, key: str) -> list[Packet]:
        return [self._audio(g711.encode_mulaw(tone(key, 160, 160 * frame))) for frame in range(5)]

    def events(self, key: str) -> list[Packet]:
        sequence, timestamp = self._sequence & 0xFFFF, self._timestamp & 0xFFFFFFFF
        sender = DigitSender(key, 101, 7, sequence, timestamp, 0.0, 100, self._clock)
        packets = [self._parsed(data) for data in sender.packets(10.0)]
        self._sequence, self._timestamp = self._sequence + len(packets), sender.timestamp
        return packets

    @staticmethod
    def _parsed(data: bytes) -> Packet:
        from provisioner.media.rtp import parse

        packet = parse(data)
        assert packet
        return packet


def _clocked(clock: int) -> dict[str, object]:
    if clock in (0, 8000):
        return {}
    return {"codec": "opus", "clock": clock, "payload_in": 0, "payload_out": 0, "event_clock": clock}


def over_rtp(form: str, way: str, network: Network, presses: int, seed: int = 1) -> Tally:
    """A phone's presses over a network to a plane that takes them (`edge`), or on over another one to a core."""
    rng, tally, phone = random.Random(seed), Tally(), Phone(FORMS[form])
    bench, far, now = Bench("a", "b"), DigitReceiver(), 0.0
    for leg in "ab":
        bench.put(leg, **_clocked(FORMS[form]))
    if form == "in-band":
        bench.put("a", event_in=None, event_out=None, keys="inband")
    if way == "edge":
        bench.put("a", take="all")
    for _ in range(presses):
        key = rng.choice(KEYS)
        pressed = phone.tones(key) if form == "in-band" else phone.events(key)
        bench.events.clear()
        for packet in network.carry([*pressed, *phone.silence(10)], rng):
            bench.now += STEP
            bench.plane.advance(bench.now)
            bench.hear("a", packet)
        heard = "".join(data["digit"] for name, data in bench.events if name == "digit")
        if way == "core":
            heard = ""
            for packet in network.carry(bench.packets("b"), rng):
                now += STEP
                found = far.receive(packet, now) if packet.payload_type == 101 else None
                heard += found[0].digit if found and found[1] else ""
        tally.count(key, heard)
    return tally


def over_info(way: str, network: Network, presses: int, seed: int = 1) -> Tally:
    """The same by INFO over UDP, on to a core that takes events: SIP repeats what is lost."""
    rng, tally, phone = random.Random(seed), Tally(), Phone(8000)
    bench, far = Bench("a", "b"), DigitReceiver()
    bench.put("a", event_in=None, event_out=None, keys="info", take="all" if way == "edge" else "")
    wire = Wire()
    wire.b.on_call = lambda session: session.accept(wire.b.media.answer(session.offer))
    sender = info.InfoSender(call(wire))
    wire.run()
    wire.lose = lambda _number, _data: rng.random() < network.loss
    now = 0.0
    for _ in range(presses):
        key = rng.choice(KEYS)
        bench.events.clear()
        wire.b.events.clear()
        sender.send(info.Key(key, 100))
        wire.pass_time(20)
        for event in wire.b.events:
            if isinstance(event, Info):
                for each in info.parse(event.content_type, event.body):
                    bench.plane.press(bench.plane.legs["a"], each.digit, each.milliseconds, bench.now)
        for packet in network.carry(phone.silence(15), rng):
            bench.now += STEP
            bench.plane.advance(bench.now)
            bench.hear("a", packet)
        heard = "".join(data["digit"] for name, data in bench.events if name == "digit")
        if way == "core":
            heard = ""
            for packet in network.carry(bench.packets("b"), rng):
                now += STEP
                found = far.receive(packet, now) if packet.payload_type == 101 else None
                heard += found[0].digit if found and found[1] else ""
        tally.count(key, heard)
        wire.log.clear()
    return tally


def run(form: str, way: str, network: Network, presses: int) -> Tally:
    """Presses of one form through one way of transfer over one network."""
    if form == "INFO":
        return over_info(way, network, presses)
    return over_rtp(form, way, network, presses)
