"""Presses of keys: what senders and networks do to telephone events, and how many presses must come out."""

from itertools import pairwise
from random import Random

import pytest

from provisioner.media.digits import DIGITS, DigitReceiver, DigitSender
from provisioner.media.rtp import Event, Packet, build_event, parse, parse_event

STEP = 160


def packet(sequence, timestamp, digit, duration, end=False, marker=False, ssrc=7):
    payload = build_event(Event(DIGITS.index(digit), end, duration))
    return Packet(101, marker, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload)


def press(digit="5", sequence=100, timestamp=8000, at=0.0, updates=5, pace=0.02, step=STEP):
    """A press as RFC 4733 has it: (time, packet) pairs."""
    steps = [min(n, updates) for n in range(1, updates + 3)]
    return [
        (at + n * pace, packet(sequence + n, timestamp, digit, d * step, n >= updates - 1, n == 0))
        for n, d in enumerate(steps)
    ]


def heard(stream):
    receiver = DigitReceiver()
    digits = ""
    for now, each in stream:
        found = receiver.receive(each, now)
        if found and found[1]:
            digits += found[0].digit
    assert receiver.count == len(digits)
    return digits


def rewrite(stream, change):
    """The stream with `change(index, packet)` applied to each packet."""
    return [(now, change(n, each)) for n, (now, each) in enumerate(stream)]


def retime(stream):
    return rewrite(stream, lambda n, p: p._replace(timestamp=p.timestamp + n * STEP))


def unmarked(stream):
    return rewrite(stream, lambda n, p: p._replace(marker=False))


def endless(stream):
    """No end bit ever."""
    return rewrite(stream, lambda n, p: p._replace(payload=bytes((p.payload[0], 10)) + p.payload[2:]))


def lasting(stream, durations):
    """With these durations in turn, the last one repeated."""
    return rewrite(
        stream,
        lambda n, p: p._replace(
            payload=p.payload[:2] + durations[min(n, len(durations) - 1)].to_bytes(2, "big")
        ),
    )


ONE = press()
AGAIN = press(sequence=115, timestamp=8000 + 15 * STEP, at=0.3)
OTHER = press("6", sequence=115, timestamp=8000 + 15 * STEP, at=0.3)
SAME_TIMESTAMP = press(sequence=115, at=0.3)

RULES = {  # V03, V05
    "whole": (ONE, "5"),
    "every key": (
        [pair for n, key in enumerate(DIGITS) for pair in press(key, n * 20, n * 9999, n * 1.0)],
        DIGITS,
    ),
    "marker lost": (unmarked(ONE), "5"),
    "first packet lost": (ONE[1:], "5"),
    "first three lost": (ONE[3:], "5"),
    "only the ends arrive": (ONE[4:], "5"),
    "only the last end arrives": (ONE[6:], "5"),
    "ends lost": (ONE[:4], "5"),
    "ends lost, then the same key": (ONE[:4] + AGAIN, "55"),
    "only ends of two presses": (ONE[4:] + AGAIN[4:], "55"),
    "one end of each": (ONE[6:] + AGAIN[6:], "55"),
    "each packet twice": ([pair for pair in ONE for _ in (0, 1)], "5"),
    "the whole twice, late": (ONE + [(now + 0.2, p) for now, p in ONE], "5"),
    "backwards": ([(n * 0.02, p) for n, (_, p) in enumerate(reversed(ONE))], "5"),
    "late copy after the next key": (ONE + OTHER[:2] + [(0.34, ONE[3][1])] + OTHER[2:], "56"),
    "forty presses": ([pair for n in range(40) for pair in press("7", n * 20, n * 9999, n * 1.0)], "7" * 40),
    "same key twice": (ONE + AGAIN, "55"),
    "shortest gap of Q.24": (
        press(updates=2) + press(sequence=107, timestamp=8000 + 4 * STEP, at=0.08, updates=2),
        "55",
    ),
    "50 ms pace": (press(pace=0.05, step=400), "5"),
    "48 kHz clock": (press(step=960), "5"),
    "sequence and timestamp wrap": (press(sequence=65533, timestamp=0xFFFFFFFF - 10), "5"),
    "another source": (ONE + rewrite(AGAIN, lambda n, p: p._replace(ssrc=8)), "55"),
    "flash is no key": (rewrite(ONE, lambda n, p: p._replace(payload=bytes((16,)) + p.payload[1:])), ""),
    "short payload": (rewrite(ONE, lambda n, p: p._replace(payload=p.payload[:3])), ""),
}

BAD_SENDERS = {  # V04
    "timestamp grows with every packet": (retime(ONE), "5"),
    "the same, two presses": (retime(ONE) + retime(AGAIN), "55"),
    "the same, without marker": (unmarked(retime(ONE) + retime(AGAIN)), "55"),
    "the same, one lost": (retime(ONE)[:2] + retime(ONE)[3:], "5"),
    "the same, reordered": ([retime(ONE)[n] for n in (0, 2, 1, 3, 5, 4, 6)], "5"),
    "the same, duration stands still": (lasting(retime(ONE), [160]), "5"),
    "ends with a new timestamp": (
        ONE[:4] + rewrite(ONE[4:], lambda n, p: p._replace(timestamp=p.timestamp + 800)),
        "5",
    ),
    "each end with its own timestamp": (ONE[:4] + retime(ONE)[4:], "5"),
    "each end with its own timestamp, two presses": (
        ONE[:4] + retime(ONE)[4:] + AGAIN[:4] + retime(AGAIN)[4:],
        "55",
    ),
    "next key reuses the timestamp": (ONE + press("6", sequence=115, at=0.3), "56"),
    "same key and timestamp, marker": (ONE + SAME_TIMESTAMP, "55"),
    "same key and timestamp, marker, no end": (endless(ONE) + endless(SAME_TIMESTAMP), "55"),
    "a recording played again": (ONE + press(at=0.5), "55"),
    "a first packet comes twice": ([*ONE, (ONE[-1][0] + 0.1, ONE[0][1])], "5"),
    "same key and timestamp, no marker": (unmarked(ONE + SAME_TIMESTAMP), "55"),
    "same key and timestamp, neither marker nor end": (unmarked(endless(ONE + SAME_TIMESTAMP)), "55"),
    "no marker ever": (unmarked(ONE + AGAIN), "55"),
    "no end ever": (endless(ONE) + endless(AGAIN), "55"),
    "neither marker nor end": (unmarked(endless(ONE) + endless(AGAIN)), "55"),
    "duration jumps": (lasting(ONE, [160, 320, 1696]), "5"),
    "first duration is zero": (lasting(ONE, [0, 160, 320, 480, 640]), "5"),
    "all durations are zero": (lasting(ONE, [0]), "5"),
    "16 kHz events": (press(step=320) + press("5", 115, 8000 + 15 * STEP, 0.3, step=320), "55"),
    "first is an end already": (
        rewrite(ONE, lambda n, p: p._replace(payload=build_event(Event(5, True, 800)))),
        "5",
    ),
    "audio between the events": (rewrite(ONE, lambda n, p: p._replace(sequence=100 + 2 * n)), "5"),
}


@pytest.mark.parametrize(("stream", "digits"), RULES.values(), ids=RULES)
def test_V03_one_press_is_one_digit(stream, digits):
    assert heard(stream) == digits


@pytest.mark.parametrize(("stream", "digits"), BAD_SENDERS.values(), ids=BAD_SENDERS)
def test_V04_bad_senders(stream, digits):
    assert heard(stream) == digits


def long_press(seconds, lose=()):
    """A press in segments of 0xFFFF units, each with a timestamp of its own, and no end before the last."""
    stream, start, duration = [], 8000, 0
    total = int(seconds / 0.02)
    for n in range(total):
        duration += STEP
        if duration > 0xFFFF:
            start, duration = start + 0xFFFF, duration - 0xFFFF
        if n not in lose:
            stream.append((n * 0.02, packet(n, start, "*", duration, n == total - 1, n == 0)))
    return stream


@pytest.mark.parametrize(
    ("seconds", "lose"),
    [(5, ()), (8.2, ()), (20, ()), (20, (408, 409, 410)), (20, (409,)), (20, range(40, 45))],
)
def test_V05_long_press_is_one_digit(seconds, lose):
    assert heard(long_press(seconds, lose)) == "*"


def test_V03_reported_at_first_packet():
    receiver = DigitReceiver()
    new = [receiver.receive(each, now)[1] for now, each in ONE]
    assert new == [True] + [False] * 6


def test_V03_any_loss_of_some_packets_never_invents_a_digit():
    for pattern in range(1, 1 << 7):
        kept = [pair for n, pair in enumerate(ONE) if pattern >> n & 1]
        assert heard(kept) == "5", bin(pattern)


def test_V03_random_loss_duplication_and_reordering():
    for seed in range(300):
        rng = Random(seed)
        stream = []
        for n, key in enumerate("4155550100#"):
            arrivals = []
            packets = press(key, 100 + n * 12, 8000 + n * 12 * STEP, n * 0.24)
            for now, each in packets:
                arrivals += [(now + rng.uniform(0, 0.03), each) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
            stream += arrivals or packets[-1:]
        stream.sort(key=lambda pair: pair[0])
        assert heard(stream) == "4155550100#", seed


def send(milliseconds=100, rate=8000, late=0.0):
    sender = DigitSender("#", 97, 7, 65534, 0xFFFFFF00, 10.0, milliseconds, rate)
    stream = []
    while (deadline := sender.deadline) is not None:
        stream += [(deadline, parse(data)) for data in sender.packets(deadline + late)]
    return sender, stream


def test_V02_packets_of_a_press():
    sender, stream = send()
    assert [round(now - 10.0, 3) for now, _ in stream] == [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12]
    assert [p.sequence for _, p in stream] == [65534, 65535, 0, 1, 2, 3, 4]
    assert [p.marker for _, p in stream] == [True] + [False] * 6
    assert {(p.payload_type, p.timestamp, p.ssrc) for _, p in stream} == {(97, 0xFFFFFF00, 7)}
    events = [parse_event(p.payload) for _, p in stream]
    assert [e.duration for e in events] == [160, 320, 480, 640, 800, 800, 800]
    assert [e.end for e in events] == [False] * 4 + [True] * 3
    assert {(e.code, e.volume) for e in events} == {(11, 10)}
    assert (sender.sequence, sender.timestamp) == (5, 0xFFFFFF00 + 7 * STEP - (1 << 32))
    assert heard(stream) == "#"


@pytest.mark.parametrize(("rate", "first"), [(8000, 160), (16000, 320), (48000, 960)])
def test_V05_duration_is_in_clock_units(rate, first):
    _, stream = send(rate=rate)
    durations = [parse_event(p.payload).duration for _, p in stream[:5]]
    assert durations[0] == first
    assert {b - a for a, b in pairwise(durations)} == {first}


@pytest.mark.parametrize(("milliseconds", "count"), [(1, 4), (40, 4), (60, 5), (250, 14)])
def test_V02_length_and_minimum(milliseconds, count):
    assert len(send(milliseconds)[1]) == count


def test_sender_that_is_called_late_sends_all_that_is_due():
    sender = DigitSender("1", 101, 7, 0, 0, 10.0)
    assert len(sender.packets(9.99)) == 0
    assert len(sender.packets(10.05)) == 3
    assert len(sender.packets(99.0)) == 4
    assert sender.deadline is None
