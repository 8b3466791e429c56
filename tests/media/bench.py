"""A plane in virtual time, its legs, and what each party got."""

from random import Random

from provisioner.media import prompts
from provisioner.media.digits import DigitSender
from provisioner.media.g711 import SILENCE
from provisioner.media.plane import Plane
from provisioner.media.rtp import Packet, build, parse

ADDRESS = {"a": ("192.0.2.1", 4000), "b": ("192.0.2.2", 5000), "c": ("192.0.2.3", 6000)}
SR = bytes.fromhex("80c80006") + bytes(24)
AUDIO = bytes(range(160))
QUIET = bytes([SILENCE]) * 160
MENU = prompts.load("menu")


class Bench:
    """A plane with its clock, legs by letter, and what each party got."""

    def __init__(self, *legs, epoch=0.0):
        self.now = 1000.0
        self.events = []
        self.plane = Plane(lambda name, data: self.events.append((name, data)), Random(1), self.now, epoch)
        self.sent = {}
        self.documents = {}
        for leg in legs:
            self.open(leg)
        if legs == ("a", "b"):
            self.put("a", source={"leg": "b"})
            self.put("b", source={"leg": "a"})

    def open(self, leg):
        self.sent[leg] = []
        for kind in ("rtp", "rtcp"):
            setattr(self, f"{kind}_{leg}", lambda data, to, k=kind: self.sent[leg].append((k, data, to)))
        leg_media, leg_control = getattr(self, f"rtp_{leg}"), getattr(self, f"rtcp_{leg}")
        self.plane.open(leg, leg_media, leg_control, self.now)
        self.documents[leg] = {"leg": leg, "remote": ADDRESS[leg], "event_in": 101, "event_out": 101}
        self.put(leg)

    def put(self, leg, **changes):
        self.documents[leg].update(changes)
        self.plane.put(self.documents[leg], self.now)

    def hear(self, leg, data, source=None):
        if isinstance(data, Packet):
            data = build(data)
        self.plane.receive(self.plane.legs[leg], data, source or ADDRESS[leg], self.now)

    def got(self, leg):
        """What the party got since last asked: [(parsed packet, address)]."""
        sent, self.sent[leg] = self.sent[leg], []
        return [(parse(data) if kind == "rtp" else data, to) for kind, data, to in sent]

    def packets(self, leg):
        """RTP packets that the party got; RTCP is forgotten."""
        self.sent[leg] = [sent for sent in self.sent[leg] if sent[0] == "rtp"]
        return [packet for packet, _ in self.got(leg)]

    def control(self, leg):
        """RTCP packets that the party got, as (bytes, address); RTP is forgotten."""
        sent, self.sent[leg] = self.sent[leg], []
        return [(data, to) for kind, data, to in sent if kind == "rtcp"]

    def run(self, seconds):
        """Let time pass as the process does: sleep to each deadline."""
        end, dropped = self.now + seconds, []
        while (deadline := self.plane.deadline()) <= end + 1e-9:
            self.now = max(self.now, deadline)
            dropped += self.plane.advance(self.now)
        self.now = end
        return dropped

    def press(self, leg, digit, payload_type=101, sequence=500):
        sender = DigitSender(digit, payload_type, 9, sequence, 80000 + sequence * 160, self.now)
        while (deadline := sender.deadline) is not None:
            self.run(deadline - self.now)
            for data in sender.packets(deadline):
                self.hear(leg, data)


def audio(n, payload_type=0, marker=False, payload=AUDIO):
    return Packet(payload_type, marker, 100 + n, 16000 + n * 160, 7, payload)
