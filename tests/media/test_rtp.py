"""RTP packets byte by byte, and what the statistics make of them."""

import pytest

from provisioner.media.rtp import (
    Event,
    Packet,
    Reception,
    bounds,
    build,
    build_event,
    is_rtcp,
    newer,
    parse,
    parse_event,
)

PLAIN = bytes.fromhex("8000 0001 00000002 00000003") + b"audio"
FULL = (
    bytes.fromhex("b2 88 fffe ffffffff 01020304 0000000a 0000000b bede 0001 10aa0000") + b"audio" + b"\0\0\3"
)

GOOD = {
    "plain": (PLAIN, Packet(0, False, 1, 2, 3, b"audio")),
    "no payload": (PLAIN[:12], Packet(0, False, 1, 2, 3, b"")),
    "contributors, extension, padding, marker": (
        FULL,
        Packet(
            8, True, 0xFFFE, 0xFFFFFFFF, 0x01020304, b"audio", (10, 11), (0xBEDE, bytes.fromhex("10aa0000"))
        ),
    ),
    "empty extension": (
        bytes.fromhex("9000 0001 00000002 00000003 bede 0000") + b"x",
        Packet(0, False, 1, 2, 3, b"x", (), (0xBEDE, b"")),
    ),
    "all padding": (bytes.fromhex("a000 0001 00000002 00000003 01"), Packet(0, False, 1, 2, 3, b"")),
}

BAD = {
    "empty": b"",
    "short": PLAIN[:11],
    "version 1": b"\x40" + PLAIN[1:],
    "version 3": b"\xc0" + PLAIN[1:],
    "STUN": bytes.fromhex("000100002112a442") + bytes(12),
    "contributors missing": b"\x8f" + PLAIN[1:],
    "extension header missing": b"\x90" + PLAIN[1:12] + b"\0\0\0",
    "extension too long": b"\x90" + PLAIN[1:12] + b"\xbe\xde\0\2\0\0\0\0",
    "padding of zero": b"\xa0" + PLAIN[1:] + b"\0",
    "padding too long": b"\xa0" + PLAIN[1:12] + b"\2",
    "padding in an empty packet": b"\xa0" + PLAIN[1:11] + b"\0",
}


@pytest.mark.parametrize(("data", "packet"), GOOD.values(), ids=GOOD)
def test_parse(data, packet):
    assert parse(data) == packet


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_G04_malformed_is_none(data):
    assert parse(data) is None
    assert bounds(data) is None


def test_build():
    assert build(GOOD["plain"][1]) == PLAIN
    unpadded = bytes([FULL[0] & ~0x20]) + FULL[1:-3]
    assert build(GOOD["contributors, extension, padding, marker"][1]) == unpadded


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ("05 0a 00a0", Event(5, False, 160, 10)),
        ("0b 8a ffff", Event(11, True, 65535, 10)),
        ("00 bf 0320", Event(0, True, 800, 63)),
    ],
)
def test_V01_events(data, event):
    payload = bytes.fromhex(data)
    assert parse_event(payload + b"\1\2\3\4") == event
    assert build_event(event) == payload


def test_short_event_is_none():
    assert parse_event(b"\5\x0a\0") is None


@pytest.mark.parametrize(
    ("second", "expected"), [(191, False), (192, True), (200, True), (223, True), (224, False), (0, False)]
)
def test_G04_rtcp_is_told_by_its_second_byte(second, expected):
    assert is_rtcp(bytes((0x80, second)) + bytes(6)) is expected


def test_rtcp_has_a_size_and_a_version():
    assert not is_rtcp(bytes((0x80, 200)) + bytes(5))
    assert not is_rtcp(bytes((0x40, 200)) + bytes(6))


def test_newer_goes_the_shorter_way():
    assert (newer(1, 65535), newer(65535, 1), newer(5, 5)) == (2, -2, 0)


def received(sequences, ssrc=1, reception=None):
    reception = reception or Reception()
    for n, sequence in enumerate(sequences):
        reception.add(sequence & 0xFFFF, n * 160, ssrc, n * 0.02)
    return reception


@pytest.mark.parametrize(
    ("sequences", "expected", "lost"),
    [
        (range(10, 20), 10, 0),
        (range(65530, 65545), 15, 0),
        ([1, 2, 4, 5, 8], 8, 3),
        ([1, 3, 2, 4], 4, 0),
        ([1, 1, 2, 2], 2, 0),
        ([], 0, 0),
        ([5, 6, 7, 40000, 40001], 5, 0),  # the sender began anew (A.1)
        (range(70000), 70000, 0),
    ],
)
def test_expected_and_lost(sequences, expected, lost):
    reception = received(sequences)
    assert (reception.expected, reception.lost, reception.packets) == (expected, lost, len(sequences))


def test_loss_adds_up_over_sources():
    reception = received([1, 3], ssrc=1)
    received([500, 503], ssrc=2, reception=reception)
    assert (reception.expected, reception.lost) == (7, 3)


def test_jitter_of_A8():
    reception = Reception()
    for sequence, late in enumerate([0.0, 0.01, 0.0]):
        reception.add(sequence, sequence * 160, 1, sequence * 0.02 + late)
    # |D| is 80 units twice: 80/16 = 5, then 5 + (80 - 5)/16
    assert reception.jitter_ms == pytest.approx((5 + 75 / 16) / 8)


def test_jitter_is_steady_over_the_wrap_and_over_events():
    reception = Reception()
    for n in range(10):
        reception.add(n, (0xFFFFFD00 + n * 160) & 0xFFFFFFFF, 1, n * 0.02)
    reception.add(10, 0, 1, 0.2, timed=False)
    assert reception.jitter_ms == pytest.approx(0, abs=1e-6)
