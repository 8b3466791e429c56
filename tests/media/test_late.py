"""Late and bunched packets and ticks, of a machine that has no time: no press is doubled, lost or torn."""

import itertools
import random

import pytest

from provisioner.media.rtp import Packet, newer, parse_event
from tests.media.bench import QUIET, Bench, audio
from tests.media.test_keys import EVENT, INBAND, INFO, STEP, Ear

FRAME = 160


class Stalling:
    """A party `a` that keys by INFO and sends silence, and what `b` gets of it, when things come late."""

    def __init__(self, form):
        self.bench = Bench("a", "b")
        self.bench.put("b", **form)
        self.bench.put("a", **INFO)
        self.sent = 0
        self.heard = []  # [(seconds, packet)]

    def talk(self, frames, clock=True):
        """So many frames of 20 ms in which `a` sends what is due; `clock`: the grid is served as well."""
        for _ in range(frames):
            self.bench.now += STEP
            self.bench.hear("a", audio(self.sent, payload=QUIET))
            self.sent += 1
            if clock:
                self.tick()

    def starve(self, frames, talks=False):
        """The sender does not get to it (what it missed it sends afterwards at once, or, without `talks`, never)."""
        for _ in range(frames):
            self.bench.now += STEP
            self.tick()
        if talks:
            for _ in range(frames):
                self.bench.hear("a", audio(self.sent, payload=QUIET))
                self.sent += 1
            self.keep()

    def freeze(self, frames):
        """We do not get to anything; the packets of that time lie in the socket."""
        self.bench.now += STEP * frames
        for n in range(frames):
            self.bench.hear("a", audio(self.sent, payload=QUIET))
            self.sent += 1
            if not n:
                self.tick()
        self.keep()

    def press(self, keys):
        for key in keys:
            self.bench.plane.press(self.bench.plane.legs["a"], key, 100, self.bench.now)

    def tick(self):
        if self.bench.plane.deadline() <= self.bench.now:
            self.bench.plane.advance(self.bench.now)
        self.keep()

    def keep(self):
        self.heard += [(self.bench.now, packet) for packet in self.bench.packets("b")]


def of_one_stream(heard):
    """The packets are one source's, none twice, and the audio among them never goes back in time."""
    packets = [packet for _, packet in heard]
    sequences = [packet.sequence for packet in packets]
    assert len(set(sequences)) == len(sequences)
    assert all(newer(b, a) > 0 for a, b in itertools.pairwise(sequences))
    assert len({packet.ssrc for packet in packets}) == 1
    times = [packet.timestamp for packet in packets if packet.payload_type == 0]
    assert times == sorted(set(times))


def presses(heard):
    """The keys by RFC 4733: one timestamp is one press, with one marker, a growing duration and three ends."""
    found = {}
    for _, packet in heard:
        if packet.payload_type == 101:
            found.setdefault(packet.timestamp, []).append((packet.marker, parse_event(packet.payload)))
    for packets in found.values():
        events = [event for _, event in packets]
        assert [marker for marker, _ in packets] == [True] + [False] * (len(packets) - 1)
        assert [event.duration for event in events] == sorted(event.duration for event in events)
        assert [event.end for event in events][-3:] == [True] * 3
        assert sum(event.end for event in events) == 3
        assert events[-1].duration == 800
    return "".join("0123456789*#ABCD"[packets[0][1].code] for packets in found.values())


def keys_of(heard, form):
    """What a far end makes of it, by the times at which it came."""
    if form is EVENT:
        return presses(heard)
    ear = Ear()
    ear.hear([packet for _, packet in heard])
    return ear.tones


@pytest.mark.parametrize("form", [EVENT, INBAND], ids=["event", "tone"])
@pytest.mark.parametrize("after", [0, 1, 2, 5])
@pytest.mark.parametrize("late", [2, 4, 15])
@pytest.mark.parametrize("talks", [True, False], ids=["bunched", "gone"])
def test_who_pressed_is_starved_in_the_middle_of_a_press(form, after, late, talks):
    p = Stalling(form)
    p.talk(10)
    p.press("1")
    p.talk(after)
    p.starve(late, talks)
    p.talk(40)
    of_one_stream(p.heard)
    assert keys_of(p.heard, form) == "1"


@pytest.mark.parametrize("form", [EVENT, INBAND], ids=["event", "tone"])
@pytest.mark.parametrize("after", [0, 1, 2, 5])
@pytest.mark.parametrize("late", [2, 4, 15])
def test_we_are_starved_in_the_middle_of_a_press(form, after, late):
    p = Stalling(form)
    p.talk(10)
    p.press("1")
    p.talk(after)
    p.freeze(late)
    p.talk(40)
    of_one_stream(p.heard)
    assert keys_of(p.heard, form) == "1"


@pytest.mark.parametrize("form", [EVENT, INBAND], ids=["event", "tone"])
def test_presses_that_waited_ride_on_the_packets_of_who_pressed_like_the_first(form):
    p = Stalling(form)
    p.talk(10)
    p.press("11#")
    p.talk(60)
    of_one_stream(p.heard)
    assert keys_of(p.heard, form) == "11#"
    assert len(p.heard) == 70  # each in the place of a packet, none besides


@pytest.mark.parametrize("form", [EVENT, INBAND], ids=["event", "tone"])
def test_between_two_presses_is_the_whole_pause(form):
    p = Stalling(form)
    p.talk(10)
    p.press("11")
    p.talk(60)
    if form is EVENT:
        starts = sorted({packet.timestamp for _, packet in p.heard if packet.payload_type == 101})
        ends = [n for n, (_, packet) in enumerate(p.heard) if packet.payload_type == 101]
        between = [packet for _, packet in p.heard[ends[0] : ends[-1]] if packet.payload_type == 0]
        assert (starts[1] - starts[0], len(between)) == (160 * (7 + 3), 3)
    assert keys_of(p.heard, form) == "11"


@pytest.mark.parametrize("form", [EVENT, INBAND], ids=["event", "tone"])
@pytest.mark.parametrize("seed", range(5))
def test_keys_under_any_stalls(form, seed):
    rng = random.Random(seed)
    p, keys = Stalling(form), "".join(rng.choices("0123456789*#", k=12))
    p.talk(10)
    for key in keys:
        p.press(key)
        for _ in range(4):
            rng.choice([p.talk, p.starve, p.freeze, lambda n: p.starve(n, True)])(rng.randrange(1, 12))
            p.talk(rng.randrange(1, 9))
    p.talk(120)
    of_one_stream(p.heard)
    assert keys_of(p.heard, form) == keys


def test_silence_suppression_goes_on_in_the_one_stream_after_a_press_of_ours():
    p = Stalling(EVENT)
    p.talk(10)
    p.starve(50)
    p.press("5")
    p.starve(20)
    p.bench.hear("a", Packet(0, True, 110, 16000 + 80 * FRAME, 7, QUIET))
    p.keep()
    of_one_stream(p.heard)
    assert presses(p.heard) == "5"
    last, before = p.heard[-1][1], p.heard[-2][1]
    assert (last.sequence - before.sequence, last.payload_type) == (1, 0)
    assert last.timestamp > before.timestamp + 800


def test_who_keys_in_two_forms_is_heard_once_when_one_of_them_comes_late():
    p = Stalling(EVENT)
    p.bench.put("a", event_in=101, take="all")
    for key in "55":
        p.bench.press("a", key)
        p.press(key)
        p.bench.run(0.2)
    p.bench.press("a", "5", sequence=700)
    p.bench.press("a", "7", sequence=900)
    p.bench.run(1.2)  # the edge has no time
    p.press("57")
    assert [data["digit"] for _, data in p.bench.events] == ["5", "5", "5", "7"]
