"""Presses across forms, in virtual time: each counted once, made anew in the form that the hearer takes."""

import random

import pytest

from provisioner.media import g711
from provisioner.media.digits import DigitReceiver, DigitSender
from provisioner.media.keys import Ears, Making, Once
from provisioner.media.rtp import Packet, parse_event
from provisioner.media.tones import ToneReceiver, tone
from tests.media.bench import AUDIO, QUIET, Bench, audio

STEP = 0.02
INBAND = {"event_in": None, "event_out": None, "keys": "inband"}
INFO = {"event_in": None, "event_out": None, "keys": "info"}
EVENT = {}


def speech(n):
    """Frame n of something that is no key."""
    return audio(n, payload=AUDIO)


def keyed(keys, pause=5, frames=5, start=0, encode=g711.encode_mulaw):
    """Audio packets with the tones of keys, `frames` of 20 ms each, and pauses between them."""
    packets, n = [], start
    for key in keys:
        for frame in range(frames):
            packets.append(audio(n, payload=encode(tone(key, 160, 160 * frame))))
            n += 1
        for _ in range(pause):
            packets.append(audio(n, payload=QUIET))
            n += 1
    return packets


def events(keys, start=0, milliseconds=100):
    """Event packets as phones send them, a pause of 100 ms after each press."""
    packets, now, sequence, timestamp = [], 0.0, 100 + start, 16000 + start * 160
    for key in keys:
        sender = DigitSender(key, 101, 7, sequence, timestamp, now, milliseconds)
        while sender.deadline is not None:
            now = sender.deadline
            packets += sender.packets(now)
        sequence, timestamp = sender.sequence, sender.timestamp + 800
        now += 0.1
    return packets


class Ear:
    """What a far end makes of the packets that it gets: keys from events and from tones."""

    def __init__(self, codec="PCMU"):
        self._events, self._tones, self._now = DigitReceiver(), ToneReceiver(), 0.0
        self._decode = {"PCMU": g711.decode_mulaw, "PCMA": g711.decode_alaw}[codec]
        self.events = self.tones = ""

    def hear(self, packets):
        for packet in packets:
            self._now += STEP
            if packet.payload_type == 101:
                found = self._events.receive(packet, self._now)
                self.events += found[0].digit if found and found[1] else ""
            else:
                self.tones += self._tones.receive(list(self._decode(packet.payload)))


def play(bench, packets, leg="a"):
    """Send the packets one each 20 ms."""
    for packet in packets:
        bench.now += STEP
        bench.plane.advance(bench.now)
        bench.hear(leg, packet)


def heard_by(bench, leg="b", codec="PCMU"):
    ear = Ear(codec)
    ear.hear(bench.packets(leg))
    return ear


def reported(bench, name="digit"):
    return "".join(data["digit"] for event, data in bench.events if event == name)


KEYS = "159#*0A7734"


def test_tones_become_events_and_the_hearer_gets_no_tone():
    bench = Bench("a", "b")
    bench.put("a", **INBAND)
    play(bench, keyed(KEYS))
    ear = heard_by(bench)
    assert (ear.events, ear.tones) == (KEYS, "")


def test_tones_in_a_law_become_events():
    bench = Bench("a", "b")
    bench.put("a", codec="PCMA", **INBAND)
    play(bench, [packet._replace(payload_type=8) for packet in keyed("12#", encode=g711.encode_alaw)])
    assert heard_by(bench).events == "12#"


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_events_become_tones_in_the_place_of_their_packets(codec):
    bench = Bench("a", "b")
    bench.put("b", codec=codec, **INBAND)
    packets = []
    for index, key in enumerate(KEYS):
        packets += [speech(40 * index + n) for n in range(5)]
        packets += events(key, 40 * index + 5)
        packets += [audio(40 * index + n, payload=QUIET) for n in range(13, 40)]
    play(bench, packets)
    ear = heard_by(bench, codec=codec)
    assert (ear.events, ear.tones) == ("", KEYS)


def test_a_press_rides_in_the_sequence_of_the_stream_without_a_seam():
    bench = Bench("a", "b")
    bench.put("b", **INBAND)
    play(bench, [speech(0), *events("5", 1), *(speech(n) for n in range(9, 30))])
    got = bench.packets("b")
    sequences = [packet.sequence for packet in got]
    assert sequences == sorted(set(sequences))
    assert {packet.ssrc for packet in got} == {7}
    assert all(len(packet.payload) == 160 for packet in got)


@pytest.mark.parametrize("form", [EVENT, INBAND])
def test_info_is_made_in_the_form_of_the_hearer_while_the_party_talks(form):
    bench = Bench("a", "b")
    bench.put("b", **form)
    bench.put("a", **INFO)
    for n in range(300):
        bench.now += STEP
        bench.plane.advance(bench.now)
        if n % 25 == 0 and n // 25 < len(KEYS):
            bench.plane.press(bench.plane.legs["a"], KEYS[n // 25], 100, bench.now)
        bench.hear("a", audio(n, payload=QUIET))
    ear = heard_by(bench)
    assert (ear.events, ear.tones) == ((KEYS, "") if form is EVENT else ("", KEYS))


@pytest.mark.parametrize("form", [EVENT, INBAND])
def test_info_of_a_party_that_sends_no_audio_is_made_from_our_own_source(form):
    bench = Bench("a", "b")
    bench.put("b", **form)
    bench.plane.press(bench.plane.legs["a"], "8", 100, bench.now)
    bench.plane.press(bench.plane.legs["a"], "8", 100, bench.now + 0.001)
    while bench.plane.legs["b"].making:
        bench.now = bench.plane.deadline()
        bench.plane.advance(bench.now)
    ear = heard_by(bench)
    assert ear.events + ear.tones == "88"


def test_keys_for_a_party_with_info_are_reported_for_signalling():
    bench = Bench("a", "b")
    bench.put("b", **INFO)
    play(bench, events("42"))
    assert bench.events == [
        ("press", {"leg": "b", "digit": "4", "milliseconds": 100}),
        ("press", {"leg": "b", "digit": "2", "milliseconds": 100}),
    ]
    assert {p.payload for p in bench.packets("b")} == {QUIET}  # no gap while the key is held


def test_taken_tones_are_reported_and_their_audio_is_silence_once_known():
    bench = Bench("a", "b")
    bench.put("a", take="*", **INBAND)
    bench.put("b", **INBAND)
    play(bench, keyed("*1", frames=10))
    assert reported(bench) == "*"
    assert heard_by(bench).tones == "1"


def test_one_press_in_two_forms_is_one():
    bench = Bench("a", "b")
    bench.put("a", take="all")
    leg = bench.plane.legs["a"]
    bench.plane.press(leg, "1", 100, bench.now)
    play(bench, events("1"))
    bench.now += 0.1
    bench.plane.press(leg, "1", 100, bench.now)  # its twin came before it: this is another one
    assert reported(bench) == "11"


def test_info_at_the_end_of_a_long_press_is_that_press():
    bench = Bench("a", "b")
    bench.put("a", take="all")
    play(bench, events("7", milliseconds=3000))
    bench.plane.press(bench.plane.legs["a"], "7", 3000, bench.now + 0.1)
    assert reported(bench) == "7"


def test_events_that_info_told_before_are_not_relayed_again():
    bench = Bench("a", "b")
    bench.plane.press(bench.plane.legs["a"], "3", 100, bench.now)
    play(bench, [*events("3"), *(audio(n, payload=QUIET) for n in range(8, 40))])
    assert heard_by(bench).events == "3"


def test_a_long_press_stays_as_long_as_a_tone():
    bench = Bench("a", "b")
    bench.put("b", **INBAND)
    play(bench, events("6", milliseconds=1000))
    tones = [packet for packet in bench.packets("b") if packet.payload != QUIET]
    assert sum(len(packet.payload) for packet in tones) == 8000
    assert len({packet.timestamp for packet in tones}) == len(tones)


def test_events_at_48_khz_have_timestamps_and_durations_of_their_clock():
    bench = Bench("a", "b")
    bench.put("a", **INFO)
    bench.put("b", event_clock=48000)
    bench.plane.press(bench.plane.legs["a"], "9", 100, bench.now)
    play(bench, [audio(n, payload=QUIET) for n in range(10, 20)])
    made = [packet for packet in bench.packets("b") if packet.payload_type == 101]
    assert [parse_event(packet.payload).duration for packet in made] == [
        960,
        1920,
        2880,
        3840,
        4800,
        4800,
        4800,
    ]
    assert {packet.timestamp for packet in made} == {17600 * 6}
    assert [parse_event(packet.payload).end for packet in made] == [False] * 4 + [True] * 3


def disturbed(packets, seed, loss=0.0, copies=0.0, depth=0):
    """The packets as a bad network delivers them."""
    rng = random.Random(seed)
    kept = [packet for packet in packets if rng.random() >= loss]
    twice = [each for packet in kept for each in ([packet] * (2 if rng.random() < copies else 1))]
    keys = [(index + rng.uniform(0, depth), packet) for index, packet in enumerate(twice)]
    return [packet for _, packet in sorted(keys, key=lambda pair: pair[0])]


def test_copies_and_reordering_change_no_tone():
    ears = Ears()
    keys = "".join(random.Random(3).choices("0123456789*#", k=200))
    heard = ""
    for packet in disturbed(keyed(keys), 5, copies=0.2, depth=3):
        heard += ears.receive(packet.sequence, packet.payload, "PCMU", 0.0)
    assert heard == keys


def test_the_same_key_pressed_twice_fast_is_two_in_every_form():
    once = Once()
    assert once.first("5", "rfc4733", 0.0)
    assert once.first("5", "rfc4733", 0.15)
    assert not once.first("5", "info", 0.18)
    assert not once.first("5", "info", 0.3)
    assert once.first("5", "info", 0.36)
    assert once.first("6", "inband", 0.37)


def test_a_queue_of_presses_has_an_end():
    making = Making()
    assert not making
    assert making.current() is None


def test_a_packet_of_another_source_begins_anew():
    ears = Ears()
    for number, packet in enumerate(keyed("12")):
        ears.receive(packet.sequence, packet.payload, "PCMU", 0.0)
        del number
    jumped = [packet._replace(sequence=packet.sequence + 5000) for packet in keyed("3")]
    assert "".join(ears.receive(packet.sequence, packet.payload, "PCMU", 0.0) for packet in jumped) == "3"


def test_lost_packets_do_not_double_a_press():
    keys = "5" * 100
    ears = Ears()
    packets = keyed(keys, frames=8)
    dropped = [packet for n, packet in enumerate(packets) if n % 13 != 3]  # one of each press or pause
    assert "".join(ears.receive(p.sequence, p.payload, "PCMU", 0.0) for p in dropped) == keys


def test_packets_of_other_lengths_carry_a_press_too():
    bench = Bench("a", "b")
    bench.put("a", **INFO)
    bench.plane.press(bench.plane.legs["a"], "2", 100, bench.now)
    for n in range(20):
        bench.now += 0.03
        bench.hear("a", Packet(0, False, n, 240 * n, 7, QUIET + QUIET[:80]))
    assert heard_by(bench).events == "2"


def test_an_event_does_not_overtake_a_press_that_info_told():
    bench = Bench("a", "b")
    bench.plane.press(bench.plane.legs["a"], "1", 100, bench.now)
    play(bench, [*events("2"), *(audio(n, payload=QUIET) for n in range(8, 40))])
    assert heard_by(bench).events == "12"


def test_a_sender_that_plays_the_same_recording_again_presses_again():
    ears, heard = Ears(), ""
    for round_ in range(3):
        for n, packet in enumerate(keyed("4", pause=3)):
            heard += ears.receive(packet.sequence, packet.payload, "PCMU", round_ * 1.0 + n * 0.02)
    assert heard == "444"
