"""RTCP of what media plays itself: the bytes, and when they go (RFC 3550 section 6)."""

import struct

import pytest

from provisioner.media import rtcp
from provisioner.media.rtcp import report
from tests.media.bench import ADDRESS, SR, Bench, audio


def test_the_bytes_of_a_report():
    data = report(0x01020304, "abcdef", 1.5, 160, 7, 1120)
    sender, names = data[:28], data[28:]
    assert sender.hex() == "80c800060102030483aa7e8180000000000000a00000000700000460"
    assert names.hex() == "81ca0004010203040106" + b"abcdef".hex() + "00000000"


@pytest.mark.parametrize("size", range(1, 9))
def test_the_name_is_padded_to_words_with_a_zero_at_least(size):
    names = report(1, "x" * size, 0.0, 0, 0, 0)[28:]
    assert len(names) == 4 * (1 + struct.unpack("!xxH", names[:4])[0])
    assert names.rstrip(b"\0").endswith(b"x" * size)
    assert names[-1] == 0


def test_bye_comes_last():
    assert report(5, "a", 0.0, 0, 0, 0, bye=True).hex().endswith("81cb000100000005")


def fields(data):
    """SSRC, NTP seconds, RTP timestamp, packets, octets; what follows the sender report."""
    kind, ssrc, seconds, _fraction, timestamp, packets, octets = struct.unpack("!HxxIIIIII", data[:28])
    assert kind == 0x80C8
    return ssrc, seconds, timestamp, packets, octets, data[28:]


def test_a_report_every_5_seconds_while_playing():
    bench = Bench("a", epoch=1e9)
    bench.put("a", source={"play": ["music"], "loop": True})
    bench.run(12.0)
    last, control = bench.packets("a")[-1], None
    bench.sent["a"].clear()
    bench.run(4.0)
    control = bench.control("a")
    assert [to for _, to in control] == [(ADDRESS["a"][0], ADDRESS["a"][1] + 1)]
    ssrc, seconds, timestamp, packets, octets, names = fields(control[0][0])
    assert ssrc == last.ssrc
    assert seconds == int(1e9 + 1015.02 + 2208988800)
    assert (timestamp - last.timestamp) & 0xFFFFFFFF == round(3.02 * 8000)
    assert (packets, octets) == (751, 751 * 160)
    assert names[:2] == b"\x81\xca"
    assert b"192" not in names


def test_a_source_of_ours_ends_with_bye():
    bench = Bench("a", epoch=1e9)
    bench.put("a", source={"play": ["menu"]})
    bench.run(1.0)
    bench.packets("a")
    bench.plane.drop("a", bench.now)
    (sent,) = bench.control("a")
    assert fields(sent[0])[3] == 50
    assert sent[0][-8:-4] == b"\x81\xcb\0\1"


def test_who_was_never_played_to_gets_no_report_and_no_bye():
    bench = Bench("a", "b")
    bench.hear("a", audio(0))
    bench.run(20.0)
    bench.plane.drop("b", bench.now)
    assert bench.control("b") == []


@pytest.mark.parametrize(
    ("changes", "to"),
    [
        ({}, ("rtcp", ("192.0.2.2", 5001))),
        ({"rtcp": ("192.0.2.2", 7001)}, ("rtcp", ("192.0.2.2", 7001))),
        ({"mux": True}, ("rtp", ADDRESS["b"])),
    ],
)
def test_where_signalling_wants_it(changes, to):
    bench = Bench("a", "b")
    bench.put("b", **changes)
    bench.plane.receive_control(bench.plane.legs["a"], SR, ADDRESS["a"])
    assert [(kind, address) for kind, _, address in bench.sent["b"]] == [to]


def words(kind: int, count: int, body: bytes) -> bytes:
    """One RTCP packet; `body` is whole words."""
    return bytes((0x80 | count, kind)) + (len(body) // 4).to_bytes(2, "big") + body


SSRC = b"\1\2\3\4"
REPORT = words(201, 0, SSRC)


@pytest.mark.rule("inbound.privacy")
def test_what_goes_on_says_nothing_of_its_sender() -> None:
    """RFC 3550 6.5: CNAME, NAME, EMAIL, PHONE, LOC; 6.6: the reason of a BYE; 6.7: APP."""
    items = b"".join(
        bytes((kind, 12)) + text
        for kind, text in ((1, b"2065550142@x"), (2, b"Jane Patient"), (4, b"+12065550142"))
    )
    sdes = words(202, 1, SSRC + items + bytes(4 - len(items) % 4))
    bye = words(203, 1, SSRC + b"\x0bJane Patient"[:12])
    app = words(204, 0, SSRC + b"NAMEJane")
    made = rtcp.nameless(REPORT + sdes + app + bye, "ours")
    assert made == REPORT + words(202, 1, SSRC + b"\1\4ours\0\0") + words(203, 1, SSRC)
    assert rtcp.nameless(made, "ours") == made


@pytest.mark.parametrize("data", [b"\x80", b"\x80\xca\0\x09abcd", b"\x40\xc9\0\1abcd", REPORT + b"\0"])
def test_what_is_not_made_so_does_not_go_on(data: bytes) -> None:
    assert rtcp.nameless(data, "ours") == b""


def test_odd_but_legal() -> None:
    assert rtcp.nameless(words(202, 0, b""), "ours") == b""
    assert rtcp.nameless(words(203, 5, SSRC), "ours") == words(203, 1, SSRC)
    assert rtcp.nameless(REPORT + words(205, 1, SSRC * 2), "ours") == REPORT + words(205, 1, SSRC * 2)
