"""Codecs that media speaks and those that it cannot, payload types and event clocks that differ, in virtual time."""

import cmath
import math

import pytest

from provisioner.media import g711, prompts
from provisioner.media.codecs import Voice
from provisioner.media.digits import DigitSender
from provisioner.media.g711 import ALAW_TO_MULAW, MULAW_TO_ALAW
from provisioner.media.rtp import parse_event
from provisioner.media.tones import tone
from tests.media.bench import AUDIO, Bench, audio

OPUS = {"codec": "opus", "clock": 48000}


def pair(a, b):
    bench = Bench("a", "b")
    bench.put("a", **a)
    bench.put("b", **b)
    return bench


def test_an_unseen_codec_goes_on_under_the_number_of_each_leg():
    bench = pair(
        {**OPUS, "payload_in": 96, "payload_out": 96}, {**OPUS, "payload_in": 111, "payload_out": 120}
    )
    bench.hear("a", audio(0, 96))
    bench.hear("a", audio(1, 96, marker=True, payload=b"tiny"))
    bench.hear("b", audio(0, 111))
    assert bench.packets("b") == [audio(0, 120, True), audio(1, 120, True, b"tiny")]
    assert bench.packets("a") == [audio(0, 96, True)]


def test_what_the_other_leg_cannot_have_is_counted_and_kept_from_it():
    bench = pair({"codec": "G729", "payload_in": 18, "payload_out": 18}, {"codec": "PCMU"})
    bench.hear("a", audio(0, 18))
    bench.hear("b", audio(0, 0))
    assert bench.packets("a") == bench.packets("b") == []
    assert [bench.plane.legs[leg].stats(bench.now)["unspoken"] for leg in "ab"] == [1, 1]


def test_g711_under_a_dynamic_number():
    bench = pair({"codec": "PCMU", "payload_in": 97, "payload_out": 98}, {"codec": "PCMA"})
    bench.hear("a", audio(0, 97))
    bench.hear("b", audio(0, 8))
    assert bench.packets("b") == [audio(0, 8, True, AUDIO.translate(MULAW_TO_ALAW))]
    assert bench.packets("a") == [audio(0, 98, True, AUDIO.translate(ALAW_TO_MULAW))]


def test_nothing_is_played_to_who_would_not_understand_it_and_it_ends_in_time():
    bench = Bench("a")
    bench.put("a", codec="G729", payload_in=18, payload_out=18, source={"play": ["menu"], "token": 3})
    bench.run(30.0)
    assert bench.sent["a"] == []
    assert bench.events == [("played", {"leg": "a", "token": 3})]


def test_a_codec_changes_in_mid_call():
    bench = pair(
        {"codec": "G722", "payload_in": 9, "payload_out": 9},
        {"codec": "G722", "payload_in": 9, "payload_out": 9},
    )
    bench.hear("a", audio(0, 9))
    for leg in "ab":
        bench.put(leg, codec="PCMU", payload_in=None, payload_out=None)
    bench.hear("a", audio(1, 0))
    bench.hear("a", audio(2, 9))  # on its way still, and no longer anything
    assert bench.packets("b") == [audio(0, 9, True), audio(1, 0)]


def press(clock, payload_type):
    sender = DigitSender("5", payload_type, 9, 500, clock * 10, 0.0, clock_rate=clock)
    return [packet for n in range(9) for packet in sender.packets(n * 0.02)]


@pytest.mark.parametrize(
    ("clock", "wanted", "timestamp", "durations"),
    [
        (48000, 8000, 80000, [160, 320, 480, 640, 800, 800, 800]),
        (8000, 48000, 480000, [960, 1920, 2880, 3840, 4800, 4800, 4800]),
        (16000, 8000, 80000, [160, 320, 480, 640, 800, 800, 800]),
        (8000, 8000, 80000, [160, 320, 480, 640, 800, 800, 800]),
    ],
)
def test_V05_events_count_in_the_clock_of_the_leg(clock, wanted, timestamp, durations):
    bench = pair({"event_in": 97, "event_clock": clock}, {"event_out": 110, "event_clock": wanted})
    for data in press(clock, 97):
        bench.hear("a", data)
    packets = bench.packets("b")
    assert [parse_event(packet.payload).duration for packet in packets] == durations
    assert [parse_event(packet.payload).end for packet in packets] == [False] * 4 + [True] * 3
    assert {packet.timestamp for packet in packets} == {timestamp}
    assert [packet.sequence for packet in packets] == list(range(500, 507))
    assert {packet.payload_type for packet in packets} == {110}
    assert bench.plane.legs["a"].digits.count == 1


def test_V05_a_duration_stops_at_16_bits_in_a_faster_clock():
    bench = pair({"event_in": 97}, {"event_out": 110, "event_clock": 48000})
    bench.hear("a", audio(0, 97, payload=bytes((5, 10)) + (20000).to_bytes(2, "big")))
    assert parse_event(bench.packets("b")[0].payload).duration == 0xFFFF


def test_jitter_is_counted_in_the_clock_of_the_codec():
    bench = Bench("a")
    bench.put("a", **OPUS, payload_in=96, payload_out=96)
    for n in range(50):
        bench.hear("a", audio(n, 96)._replace(timestamp=n * 960))
        bench.now += 0.02
    assert bench.plane.legs["a"].stats(bench.now)["jitter_ms"] == 0.0
    bench.put("a", codec="PCMU", clock=8000, payload_in=None, payload_out=None)
    bench.hear("a", audio(50)._replace(timestamp=7))
    assert bench.plane.legs["a"].stats(bench.now)["jitter_ms"] == 0.0


def test_retargeting_in_mid_call_keeps_the_stream_going():
    bench = Bench("a", "b")
    bench.hear("a", audio(0))
    bench.put("b", remote=("192.0.2.77", 7000), event_out=96)
    bench.hear("a", audio(1))
    bench.hear("b", audio(0), ("192.0.2.77", 7000))
    bench.press("a", "7")
    assert [to for _, to in bench.got("b")] == [("192.0.2.2", 5000), *[("192.0.2.77", 7000)] * 8]
    assert bench.packets("a") == [audio(0, marker=True)]


WIDE = {"codec": "G722", "payload_in": 9, "payload_out": 9}


def sine(count, hertz=600):
    return [round(9000 * math.sin(2 * math.pi * hertz * n / 8000)) for n in range(count)]


def loudness(samples, hertz=600):
    """How much of it is that tone, 1.0 for a pure one."""
    turn = [cmath.exp(-2j * math.pi * hertz * n / 8000) for n in range(len(samples))]
    found = abs(sum(a * b for a, b in zip(samples, turn, strict=True))) * 2 / len(samples)
    return found / math.sqrt(2 * sum(a * a for a in samples) / len(samples))


@pytest.mark.parametrize(
    ("here", "there"), [("G722", "PCMU"), ("PCMA", "G722"), ("G722", "PCMA"), ("PCMU", "G722")]
)
def test_g722_and_g711_are_translated_into_each_other(here, there):
    number = {"PCMU": 0, "PCMA": 8, "G722": 9}
    fixed = {
        name: {"codec": name, "payload_in": number[name], "payload_out": number[name]} for name in number
    }
    bench, speaker, listener = pair(fixed[here], fixed[there]), Voice(), Voice()
    samples = sine(8000)
    for n in range(50):
        bench.hear(
            "a", audio(n, number[here], payload=speaker.encode(samples[160 * n : 160 * n + 160], here))
        )
    got = bench.packets("b")
    assert {packet.payload_type for packet in got} == {number[there]}
    assert [packet.sequence for packet in got] == [audio(n).sequence for n in range(50)]
    heard = [sample for packet in got for sample in listener.decode(packet.payload, there)]
    assert loudness(heard[800:]) > 0.98


def test_prompts_are_spoken_in_g722():
    bench, listener = Bench("a"), Voice()
    bench.put("a", **WIDE, source={"play": ["menu"], "token": 3})
    bench.run(6.0)
    heard = [sample for packet in bench.packets("a") for sample in listener.decode(packet.payload, "G722")]
    plain = g711.decode_mulaw(prompts.load("menu"))
    late = max(range(60), key=lambda shift: sum(a * b for a, b in zip(heard[shift:], plain, strict=False)))
    pairs = list(zip(heard[late:], plain, strict=False))
    along = sum(a * b for a, b in pairs)
    assert along / math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs)) > 0.9


def test_keys_are_tones_in_g722_too():
    bench = pair({**WIDE, "event_in": None, "event_out": None, "keys": "inband"}, {"codec": "PCMU"})
    bench.put("a", take="all")
    speaker = Voice()
    for n in range(10):
        frame = tone("7", 160, 160 * n) if n < 6 else [0] * 160
        bench.hear("a", audio(n, 9, payload=speaker.encode(frame, "G722")))
    assert [data["digit"] for name, data in bench.events if name == "digit"] == ["7"]
