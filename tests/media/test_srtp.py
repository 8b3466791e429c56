"""SRTP on a leg: libsrtp on the other side of it, virtual time, then keys that change."""

import base64
from random import Random

import pytest
from pylibsrtp import Policy, Session

from provisioner.media.document import read_document
from provisioner.media.rtp import build, parse
from provisioner.media.srtp import Guard, Keys
from tests.media.bench import ADDRESS, SR, Bench, audio

LONG, SHORT = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
PROFILES = {LONG: Policy.SRTP_PROFILE_AES128_CM_SHA1_80, SHORT: Policy.SRTP_PROFILE_AES128_CM_SHA1_32}
TAG = {LONG: 10, SHORT: 4}
KEYS = [Random(n).randbytes(30) for n in range(4)]


class Phone:
    """The other end of an SRTP leg: protects with one key and opens with the other."""

    def __init__(self, own=KEYS[0], other=KEYS[1], suite=LONG):
        self.out = Session(Policy(own, Policy.SSRC_ANY_OUTBOUND, 0, PROFILES[suite]))
        self.back = Session(Policy(other, Policy.SSRC_ANY_INBOUND, 0, PROFILES[suite]))
        text = [base64.b64encode(key).decode() for key in (own, other)]
        self.document = {"suite": suite, "in": text[0], "out": text[1]}

    def audio(self, *args, **more):
        return self.out.protect(build(audio(*args, **more)))


def secured(phone):
    bench = Bench("a", "b")
    bench.put("a", srtp=phone.document)
    return bench


def opened(bench, phone):
    """What the party of leg a got, in the clear."""
    sent, bench.sent["a"] = bench.sent["a"], []
    return [parse(phone.back.unprotect(data)) for kind, data, _ in sent if kind == "rtp"]


@pytest.mark.parametrize("suite", [LONG, SHORT])
def test_between_srtp_and_rtp(suite):
    phone = Phone(suite=suite)
    bench = secured(phone)
    for n in range(3):
        bench.hear("a", phone.audio(n))
        bench.hear("b", audio(n))
    assert bench.packets("b") == [audio(n, marker=n == 0) for n in range(3)]
    assert {len(data) for _, data, _ in bench.sent["a"]} == {172 + TAG[suite]}
    assert opened(bench, phone) == [audio(n, marker=n == 0) for n in range(3)]


def test_prompts_and_digits():
    phone = Phone()
    bench = secured(phone)
    bench.put("a", take="*")
    sent = []
    bench.hear = lambda leg, data, hear=bench.hear: hear(leg, phone.out.protect(data))
    bench.press("a", "*")
    bench.press("a", "1", sequence=600)
    sent = bench.packets("b")
    assert bench.events == [("digit", {"leg": "a", "digit": "*", "source": "rfc4733"})]
    assert [packet.payload[0] for packet in sent if packet.payload_type == 101] == [1] * 7
    bench.put("a", source={"play": ["music"], "loop": True})
    bench.run(0.1)
    assert len(opened(bench, phone)) == 5


def test_what_the_key_does_not_open_is_counted_and_moves_nothing():
    phone, stranger = Phone(), Phone(KEYS[2])
    bench = secured(phone)
    good = phone.audio(0)
    away = ("198.51.100.66", 6666)
    for data in (stranger.audio(0), build(audio(0)), good[:-1] + bytes([good[-1] ^ 1]), bytes([0x80]) * 1600):
        bench.hear("a", data, away)
    assert bench.sent["b"] == []
    bench.hear("b", audio(0))
    assert bench.sent["a"][0][2] == ADDRESS["a"]  # never latched to who had no key
    stats = bench.plane.legs["a"].stats(bench.now)
    assert (stats["unauthentic"], stats["replayed"], stats["packets_in"]) == (4, 0, 0)
    bench.hear("a", good)
    assert len(bench.packets("b")) == 1


def test_a_packet_counts_once():
    phone = Phone()
    bench = secured(phone)
    first = phone.audio(0)
    bench.hear("a", first)
    bench.hear("a", first, ("198.51.100.66", 6666))
    for n in range(1, 300):
        bench.hear("a", phone.audio(n))
    bench.hear("a", first)  # older than the window
    assert len(bench.packets("b")) == 300
    assert bench.plane.legs["a"].stats(bench.now)["replayed"] == 2


def test_rtcp_both_ways():
    phone = Phone()
    bench = secured(phone)
    legs = bench.plane.legs
    control = (ADDRESS["a"][0], ADDRESS["a"][1] + 1)
    bench.plane.receive_control(legs["a"], phone.out.protect_rtcp(SR), control)
    bench.plane.receive_control(legs["a"], SR + bytes(14), control)
    bench.plane.receive_control(legs["b"], SR, (ADDRESS["b"][0], 5001))
    assert [data for data, _ in bench.control("b")] == [SR]
    assert [phone.back.unprotect_rtcp(data) for data, _ in bench.control("a")] == [SR]
    assert legs["a"].stats(bench.now)["unauthentic"] == 1


def test_g08_the_same_keys_again_keep_the_roll_over_counter():
    phone = Phone()
    bench = secured(phone)
    for leg, sequence in (("a", 65534), ("b", 65534)):
        for n in range(4):
            packet = audio(0)._replace(sequence=(sequence + n) & 0xFFFF)
            bench.hear(leg, phone.out.protect(build(packet)) if leg == "a" else packet)
            bench.put("a", srtp=dict(phone.document), remote=("192.0.2.1", 4000 + n))
            bench.now += 3
            bench.plane.legs["a"].latch.target = ADDRESS["a"]
    assert [packet.sequence for packet in bench.packets("b")] == [65534, 65535, 0, 1]
    assert [packet.sequence for packet in opened(bench, phone)] == [65534, 65535, 0, 1]


def test_g08_a_new_key_of_theirs_leaves_ours_going():
    phone = Phone()
    bench = secured(phone)
    for n in range(2):
        bench.hear("a", phone.audio(n))
        bench.hear("b", audio(n))
    renewed = Phone(KEYS[3], KEYS[1])
    bench.put("a", srtp=renewed.document, remote=("192.0.2.9", 4444))
    bench.hear("a", renewed.audio(2), ("192.0.2.9", 4444))
    bench.hear("b", audio(2))
    assert [packet.sequence for packet in bench.packets("b")] == [100, 101, 102]
    assert [packet.sequence for packet in opened(bench, phone)] == [100, 101, 102]


def test_srtp_begins_and_ends_in_mid_call():
    phone = Phone()
    bench = Bench("a", "b")
    bench.hear("b", audio(0))
    bench.put("a", srtp=phone.document)
    bench.hear("b", audio(1))
    bench.put("a", srtp=None)
    bench.hear("b", audio(2))
    sizes = [len(data) for _, data, _ in bench.sent["a"]]
    assert sizes == [172, 182, 172]


def test_a_sequence_number_that_libsrtp_refuses_to_use_twice_is_lost():
    phone = Phone()
    bench = secured(phone)
    for n in (0, 0, 1):
        bench.hear("b", audio(n))
    assert [packet.sequence for packet in opened(bench, phone)] == [100, 101]
    assert bench.plane.legs["a"].packets_out == 2


def test_other_keys_for_one_direction_or_both():
    guard = Guard(Keys(LONG, KEYS[0], KEYS[1]))
    before = guard._in, guard._out
    guard.rekey(Keys(LONG, KEYS[0], KEYS[2]))
    assert guard._in is before[0]
    assert guard._out is not before[1]
    guard.rekey(Keys(SHORT, KEYS[0], KEYS[2]))
    assert guard._in is not before[0]


def test_a_key_is_in_no_words_and_no_statistics():
    phone = Phone()
    bench = secured(phone)
    document = read_document(bench.documents["a"])
    shown = f"{document!r} {document} {bench.plane.legs['a'].stats(0)}"
    for key in KEYS[:2]:
        assert repr(key)[2:-1] not in shown
        assert base64.b64encode(key).decode() not in shown
    assert f"Keys({LONG!r})" in shown
