"""The relay plane in virtual time: packets and seconds in, packets and events out."""

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.errors import ProvisionerError
from provisioner.media import prompts
from provisioner.media.digits import DigitSender
from provisioner.media.g711 import ALAW_TO_MULAW, MULAW_TO_ALAW, decode_mulaw
from provisioner.media.rtp import Packet, build
from tests.media.bench import ADDRESS, AUDIO, MENU, QUIET, SR, Bench, audio


def test_G03_relay_touches_nothing_but_the_first_marker():
    bench = Bench("a", "b")
    for n in range(3):
        bench.hear("a", audio(n))
    assert bench.got("b") == [(audio(n, marker=n == 0), ADDRESS["b"]) for n in range(3)]
    assert bench.got("a") == []


def test_header_extension_and_contributors_are_kept():
    bench = Bench("a", "b")
    bench.hear("a", audio(0))
    packet = audio(1)._replace(csrc=(1, 2), extension=(0xBEDE, b"\1\2\3\4"))
    data = build(packet) + b"\0\0\3"
    padded = bytes([data[0] | 0x20]) + data[1:]
    bench.hear("a", padded)
    assert bench.sent["b"][1][1] == padded


def test_codecs_are_translated_when_they_differ():
    bench = Bench("a", "b")
    bench.put("b", codec="PCMA")
    bench.hear("a", audio(0))
    bench.hear("b", audio(0, payload_type=8))
    assert bench.packets("b") == [audio(0, 8, True, AUDIO.translate(MULAW_TO_ALAW))]
    assert bench.packets("a") == [audio(0, 0, True, AUDIO.translate(ALAW_TO_MULAW))]
    longer = audio(1)._replace(csrc=(1,), extension=(1, b""))
    bench.hear("a", longer)
    assert bench.packets("b") == [longer._replace(payload_type=8, payload=AUDIO.translate(MULAW_TO_ALAW))]


def test_G07_comfort_noise_passes_untranslated():
    bench = Bench("a", "b")
    bench.put("b", codec="PCMA")
    bench.hear("a", audio(0, 13, payload=b"\x40"))
    assert bench.packets("b") == [audio(0, 13, True, b"\x40")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        build(audio(0))[:11],
        b"\x40" + build(audio(0))[1:],
        b"\x8f" + build(audio(0))[1:20],
        build(audio(0, 18)),
        build(audio(0, 110, payload=b"12345")),
    ],
    ids=["empty", "short", "version", "no contributors", "codec not negotiated", "unknown dynamic"],
)
def test_G04_what_is_not_negotiated_is_dropped_and_latches_nothing(data):
    bench = Bench("a", "b")
    bench.hear("a", data, ("203.0.113.9", 9))
    assert bench.got("b") == []
    assert bench.plane.legs["a"].latch.target == ADDRESS["a"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.binary(max_size=30).map(lambda tail: b"\x80\x65" + tail)))
def test_any_bytes_are_survived(datagrams):
    bench = Bench("a", "b")
    bench.put("b", codec="PCMA")
    bench.put("a", take="*")
    for data in datagrams:
        bench.hear("a", data)
        bench.plane.receive_control(bench.plane.legs["a"], data, ADDRESS["a"])
    assert bench.plane.legs["a"].latch.target == ADDRESS["a"]


def test_G02_strangers_are_counted_and_not_heard():
    bench = Bench("a", "b")
    bench.hear("a", audio(0))
    bench.hear("a", audio(1), ("203.0.113.9", 9))
    assert len(bench.got("b")) == 1
    assert bench.plane.legs["a"].stats(bench.now)["strangers"] == 1
    bench.hear("b", audio(0))
    assert bench.got("a")[0][1] == ADDRESS["a"]


def test_G02_media_goes_where_a_translated_party_sends_from():
    bench = Bench("a", "b")
    bench.hear("a", audio(0), ("198.51.100.7", 61000))
    bench.hear("b", audio(0))
    assert bench.got("a")[0][1] == ("198.51.100.7", 61000)


def test_several_hear_one():
    bench = Bench("a", "b")
    bench.open("c")
    bench.put("c", source={"leg": "a"})
    bench.hear("a", audio(0))
    assert bench.packets("b") == bench.packets("c") == [audio(0, marker=True)]


def test_a_source_may_be_named_before_it_is_opened_and_outlive_it():
    bench = Bench("a")
    bench.put("a", source={"leg": "b"})
    bench.open("b")
    bench.hear("b", audio(0))
    assert len(bench.got("a")) == 1
    bench.plane.drop("b", bench.now)
    bench.open("b")
    bench.hear("b", audio(1))
    assert len(bench.got("a")) == 1
    for leg in "ab":
        bench.plane.drop(leg, bench.now)
    assert bench.plane._hearers == {}


def test_hold_sends_nothing_and_resumes_with_a_marker():
    bench = Bench("a", "b")
    bench.hear("a", audio(0))
    bench.put("b", send=False)
    bench.hear("a", audio(1))
    bench.press("a", "1")
    bench.plane.receive_control(bench.plane.legs["a"], SR, ("192.0.2.1", 4001))
    assert len(bench.got("b")) == 1
    bench.put("b", send=True)
    bench.hear("a", audio(2))
    assert bench.packets("b") == [audio(2, marker=True)]


def test_no_remote_sends_nothing():
    bench = Bench("a", "b")
    bench.put("b", remote=None)
    bench.hear("a", audio(0))
    bench.hear("b", audio(0))
    assert (bench.got("a"), bench.got("b")) == ([], [])


# keys


def test_V06_events_are_relayed_under_the_hearers_number():
    bench = Bench("a", "b")
    bench.put("b", event_out=127)
    bench.press("a", "5")
    packets = bench.packets("b")
    assert [(p.payload_type, p.marker, p.sequence) for p in packets] == [
        (127, n == 0, 500 + n) for n in range(7)
    ]
    assert {(p.timestamp, p.ssrc, p.payload[0]) for p in packets} == {(160000, 9, 5)}
    assert bench.events == []
    assert bench.plane.legs["a"].stats(bench.now)["digits"] == 1


def advances(packets):
    """How sequence numbers and timestamps go on from packet to packet."""
    return {(b.sequence - a.sequence, b.timestamp - a.timestamp) for a, b in itertools.pairwise(packets)}


def test_events_fall_silent_for_who_takes_none():
    bench = Bench("a", "b")
    bench.put("b", event_out=None)
    bench.hear("a", audio(0))
    bench.press("a", "5", sequence=101)
    packets = bench.packets("b")[1:]
    assert {(p.payload_type, p.payload) for p in packets} == {(0, QUIET)}
    assert [(b.timestamp - a.timestamp, b.sequence - a.sequence) for a, b in itertools.pairwise(packets)] == [
        (160, 1)
    ] * 4


def test_V06_an_event_under_an_unannounced_number_is_an_event():
    bench = Bench("a", "b")
    bench.put("a", event_in=None, take="all")
    bench.press("a", "5", payload_type=96)
    assert [data["digit"] for _, data in bench.events] == ["5"]


@pytest.mark.parametrize(
    ("take", "reported", "relayed"), [("", "", "1*2"), ("*", "*", "12"), ("all", "1*2", "")]
)
def test_take(take, reported, relayed):
    bench = Bench("a", "b")
    bench.put("a", take=take)
    for n, digit in enumerate("1*2"):
        bench.press("a", digit, sequence=500 + n * 20)
        bench.now += 0.2
    assert bench.events == [("digit", {"leg": "a", "digit": d, "source": "rfc4733"}) for d in reported]
    heard = [p.payload[0] for p in bench.packets("b") if p.payload[2:] == b"\0\xa0"]
    assert heard == ["1234567890*".index(d) + 1 if d != "*" else 10 for d in relayed]


@pytest.mark.parametrize(("first", "then", "reported", "relayed"), [("*", "", 1, 0), ("", "all", 0, 7)])
def test_a_press_is_taken_or_relayed_as_a_whole(first, then, reported, relayed):
    """The tail of the star that opened the menu must not reach the caller, nor count again in the menu."""
    bench = Bench("a", "b")
    bench.put("a", take=first)
    sender = DigitSender("*", 101, 9, 500, 80000, bench.now)
    for n in range(7):
        bench.hear("a", sender.packets(bench.now + n * 0.02)[-1])
        bench.put("a", take=then)
    assert len(bench.events) == reported
    packets = bench.packets("b")
    assert sum(p.payload_type == 101 for p in packets) == relayed
    assert sum(p.payload == QUIET for p in packets) == (0 if relayed else 5)  # 100 ms without a gap


def test_back_from_music_the_rest_of_the_key_is_silence():
    """A key that leads back to the call is still held: whoever waited hears no gap of its length."""
    bench = Bench("a", "b")
    bench.put("a", source={"play": ["music"], "loop": True}, take="")
    bench.run(0.1)
    before = bench.packets("a")[-1]
    bench.put("b", take="all")
    for n in range(52):
        bench.now += 0.02
        held = bytes((2, 10 if n < 49 else 138)) + (min(n + 1, 50) * 160).to_bytes(2, "big")
        bench.hear("b", Packet(101, n == 0, 500 + n, 80000, 9, held))
        if n == 0:
            bench.put("b", take="")
            bench.put("a", source={"leg": "b"})
    bench.hear("b", Packet(0, False, 552, 80000 + 50 * 160, 9, AUDIO))
    packets = bench.packets("a")
    assert len(packets) >= 50
    assert {p.payload for p in packets[1:-1]} == {QUIET}
    assert packets[-1].payload == AUDIO
    assert advances(packets[1:]) == {(1, 160)}
    assert packets[1].ssrc == before.ssrc


def test_flash_is_relayed_and_never_taken():
    bench = Bench("a", "b")
    bench.put("a", take="all")
    bench.hear("a", Packet(101, True, 1, 2, 3, bytes((16, 10, 0, 160))))
    assert len(bench.got("b")) == 1
    assert bench.events == []


# playing


def test_files_are_played_every_20_ms_and_the_end_is_told_once():
    bench = Bench("a")
    bench.put("a", source={"play": ["dial-911", "busy-target"], "token": 7})
    files = prompts.load("dial-911") + prompts.load("busy-target")
    frames = -(-len(files) // 160)
    bench.run(frames * 0.02)
    packets = bench.packets("a")
    assert b"".join(p.payload for p in packets) == files + QUIET[: frames * 160 - len(files)]
    assert bench.events == []
    bench.run(0.02)
    assert bench.events == [("played", {"leg": "a", "token": 7})]
    bench.run(1)
    assert len(bench.events) == 1
    assert {p.payload for p in bench.packets("a")} == {QUIET}


def test_played_packets_are_one_stream_of_their_own():
    bench = Bench("a")
    bench.put("a", source={"play": ["music"], "loop": True})
    bench.run(30.0)
    packets = bench.packets("a")
    assert len(packets) == 1500
    assert [p.marker for p in packets] == [True] + [False] * 1499
    first = packets[0]
    assert first.ssrc not in (0, 7)
    for n, packet in enumerate(packets):
        assert packet.sequence == (first.sequence + n) & 0xFFFF
        assert packet.timestamp == (first.timestamp + n * 160) & 0xFFFFFFFF
    music = prompts.load("music")
    assert b"".join(p.payload for p in packets) == (music * 2)[: 1500 * 160]


def test_a_loop_of_odd_length_has_no_seam():
    bench = Bench("a")
    bench.put("a", source={"play": ["say-1"], "loop": True})
    bench.run(2.0)
    one = prompts.load("say-1")
    assert len(one) % 160
    assert b"".join(p.payload for p in bench.packets("a")) == (one * 6)[:16000]
    assert bench.events == []


def test_a_law_party_hears_a_law():
    bench = Bench("a")
    bench.put("a", codec="PCMA", source={"play": ["menu"]})
    bench.run(0.02)
    (packet,) = bench.packets("a")
    assert (packet.payload_type, packet.payload) == (8, MENU[:160].translate(MULAW_TO_ALAW))


def test_the_same_source_again_does_not_restart_but_another_token_does():
    bench = Bench("a")
    source = {"play": ["menu"], "token": 1}
    bench.put("a", source=source)
    bench.run(1.0)
    bench.put("a", source=dict(source), take="all")
    bench.run(0.02)
    assert bench.packets("a")[-1].payload == MENU[50 * 160 : 51 * 160]
    bench.put("a", source={**source, "token": 2})
    bench.run(0.04)
    faded, packet = bench.packets("a")
    assert (faded.marker, faded.payload[64:], packet.payload) == (True, MENU[64:160], MENU[160:320])
    assert bench.events == []


def test_cutting_short_tells_no_end():
    bench = Bench("a", "b")
    bench.put("a", source={"play": ["menu"], "token": 1})
    bench.run(1.0)
    bench.put("a", source={"leg": "b"})
    bench.run(10.0)
    assert len(bench.packets("a")) == 51  # the last one fades
    assert bench.events == []


def test_keys_are_taken_while_a_prompt_plays_on():
    bench = Bench("a")
    bench.put("a", source={"play": ["menu"], "token": 1}, take="all")
    bench.run(0.1)
    bench.press("a", "1")
    bench.run(0.1)
    assert bench.events == [("digit", {"leg": "a", "digit": "1", "source": "rfc4733"})]
    assert b"".join(p.payload for p in bench.packets("a")) == MENU[: 16 * 160]


def test_G03_back_from_music_never_jumps_back():
    bench = Bench("a", "b")
    bench.put("a", source={"play": ["music"], "loop": True})
    bench.run(0.1)
    before = bench.packets("a")[-1]
    bench.put("a", source={"leg": "b"})
    bench.hear("b", audio(0))
    bench.run(9.9)
    faded, relayed = bench.packets("a")
    assert (faded.marker, faded.sequence) == (False, (before.sequence + 1) & 0xFFFF)
    assert (relayed.ssrc, relayed.sequence) == (before.ssrc, (before.sequence + 2) & 0xFFFF)
    assert (relayed.marker, relayed.payload) == (True, AUDIO)
    bench.put("a", source={"play": ["music"], "loop": True})
    bench.run(0.02)
    (after,) = bench.packets("a")
    assert (after.ssrc, after.sequence, after.marker) == (before.ssrc, (before.sequence + 3) & 0xFFFF, True)
    assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 496 * 160


def test_nothing_drifts_over_ten_minutes_of_late_wakeups():
    bench = Bench("a")
    bench.put("a", source={"play": ["silence"], "loop": True})
    start, rng, count = bench.now, Random(3), 0
    while bench.now < start + 600:
        bench.now = max(bench.now, bench.plane.deadline()) + rng.uniform(0, 0.004)
        bench.plane.advance(bench.now)
        count += len(bench.packets("a"))
    assert count == int((bench.now - start) / 0.02)


def test_a_stall_is_not_caught_up_but_keeps_the_timestamps_true():
    bench = Bench("a")
    bench.put("a", source={"play": ["music"], "loop": True})
    bench.run(0.02)
    bench.now += 1.0
    bench.plane.advance(bench.now)
    first, *late = bench.packets("a")
    assert [((p.timestamp - first.timestamp) & 0xFFFFFFFF) // 160 for p in late] == [48, 49, 50]
    assert [p.sequence - first.sequence for p in late] == [1, 2, 3]


def test_a_missing_file_does_not_hang_the_call(caplog):
    bench = Bench("a")
    bench.put("a", source={"play": ["nonsense"], "token": 3})
    bench.run(0.02)
    assert bench.events == [("played", {"leg": "a", "token": 3})]
    assert "no prompt 'nonsense'" in caplog.text
    bench.put("a", source={"play": [], "loop": True})
    bench.run(0.02)
    assert bench.packets("a")[-1].payload == QUIET


# RTCP


def test_rtcp_goes_one_port_up_then_where_it_comes_from():
    bench = Bench("a", "b")
    leg = bench.plane.legs["a"]
    bench.plane.receive_control(leg, SR, ("192.0.2.1", 4001))
    assert bench.sent["b"] == [("rtcp", SR, ("192.0.2.2", 5001))]
    bench.sent["b"].clear()
    bench.plane.receive_control(bench.plane.legs["b"], SR, ("192.0.2.2", 5055))
    bench.plane.receive_control(leg, SR, ("192.0.2.1", 4001))
    assert bench.sent["b"] == [("rtcp", SR, ("192.0.2.2", 5055))]


def test_G04_multiplexed_rtcp_goes_to_whoever_hears():
    bench = Bench("a", "b")
    bench.hear("a", SR)
    assert bench.sent["b"] == [("rtcp", SR, ("192.0.2.2", 5001))]
    bench.hear("b", SR)
    assert bench.sent["a"] == [("rtp", SR, ADDRESS["a"])]
    assert bench.plane.legs["a"].reception.packets == 0


@pytest.mark.parametrize(
    ("data", "source"), [(SR, ("203.0.113.9", 4001)), (SR[:7], ADDRESS["a"]), (build(audio(0)), ADDRESS["a"])]
)
def test_rtcp_of_strangers_and_junk_is_dropped(data, source):
    bench = Bench("a", "b")
    bench.plane.receive_control(bench.plane.legs["a"], data, source)
    assert bench.sent["b"] == []


def test_rtcp_needs_a_port_above():
    bench = Bench("a", "b")
    bench.put("b", remote=("192.0.2.2", 65535))
    bench.plane.receive_control(bench.plane.legs["a"], SR, ("192.0.2.1", 4001))
    assert bench.sent["b"] == []


def test_a_refusing_network_costs_only_the_packet():
    bench = Bench("a")

    def refuse(_data, _to):
        raise ConnectionRefusedError

    bench.plane.open("b", refuse, refuse, bench.now)
    bench.documents["b"] = {"leg": "b", "remote": ADDRESS["b"]}
    bench.put("b", source={"leg": "a"})
    bench.hear("a", audio(0))
    bench.plane.receive_control(bench.plane.legs["a"], SR, ("192.0.2.1", 4001))
    assert bench.plane.legs["b"].packets_out == 0


# bookkeeping


def test_stats():
    bench = Bench("a", "b")
    assert bench.plane.legs["a"].stats(bench.now)["last_in"] is None
    for n in (0, 1, 3):
        bench.hear("a", audio(n))
        bench.hear("b", audio(n))
    bench.now += 1.5
    assert bench.plane.drop("a", bench.now) == {
        "packets_in": 3,
        "packets_out": 3,
        "lost": 1,
        "jitter_ms": 3.67,
        "digits": 0,
        "strangers": 0,
        "unspoken": 0,
        "unauthentic": 0,
        "replayed": 0,
        "last_in": 1.5,
    }


def test_silent_after_a_minute_and_every_minute():
    bench = Bench("a", "b")
    bench.put("b", send=False)
    bench.hear("a", audio(0))
    bench.run(30)
    bench.hear("a", audio(1))
    bench.run(59)
    assert bench.events == []
    bench.run(2)
    assert bench.events == [("silent", {"leg": "a", "seconds": 60})]
    bench.run(60)
    assert len(bench.events) == 2


def test_silence_begins_to_count_with_sending():
    bench = Bench("a")
    bench.put("a", send=False)
    bench.run(100)
    bench.put("a", send=True)
    bench.run(50)
    assert bench.events == []


def test_orphans_that_hear_nothing_for_a_minute_are_named():
    bench = Bench("a", "b")
    bench.run(100)
    for leg in "ab":
        bench.plane.orphan(leg, bench.now)
    assert bench.run(50) == []
    bench.hear("b", audio(0))
    assert len(bench.got("a")) == 1
    assert bench.run(12) == ["a"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"codec": "G729"}, "codec"),
        ({"codec": None}, "codec"),
        ({"codec": "G729", "payload_in": 18}, "payload_out"),
        ({"payload_in": 128}, "payload_in"),
        ({"clock": 0}, "clock"),
        ({"nets": ["10.0.0.0/33"]}, "nets"),
        ({"rtcp": ["phone.example", 4001]}, "IP address"),
        ({"srtp": {"suite": "AES_CM_128_HMAC_SHA1_80", "in": "AAAA", "out": "AAAA"}}, "srtp"),
        ({"srtp": {"suite": "F8_128_HMAC_SHA1_80", "in": "A" * 40, "out": "A" * 40}}, "suite"),
        ({"event_in": 128}, "event_in"),
        ({"event_out": "101"}, "event_out"),
        ({"remote": ["phone.example", 4000]}, "IP address"),
        ({"remote": ["192.0.2.1", 0]}, "remote"),
        ({"remote": "192.0.2.1:4000"}, "remote"),
        ({"source": {}}, "either"),
        ({"source": {"leg": "b", "play": []}}, "either"),
        ({"source": {"play": "menu"}}, "source"),
        ({"take": "#"}, "take"),
        ({"send": 1}, "send"),
        ({"leg": "z"}, "no leg 'z'"),
        ({"leg": None}, "leg"),
    ],
)
def test_a_wrong_document_changes_nothing(change, words):
    bench = Bench("a", "b")
    before = bench.plane.legs["a"].document
    with pytest.raises(ProvisionerError, match=words):
        bench.plane.put({**bench.documents["a"], **change}, bench.now)
    assert bench.plane.legs["a"].document == before


def steps(packets):
    """The largest step from one sample to the next over the seams of packets."""
    samples = [sample for packet in packets for sample in decode_mulaw(packet.payload)]
    return max(abs(b - a) for a, b in itertools.pairwise(samples))


def test_a_prompt_that_is_cut_in_a_word_does_not_click():
    """Wherever it is cut, no step is larger than the ones within the prompt."""
    largest = max(
        steps([Packet(0, False, 0, 0, 0, MENU)]), steps([Packet(0, False, 0, 0, 0, prompts.load("music"))])
    )
    for frames in range(10, 150, 7):
        for source in ({"play": ["music"], "loop": True}, {"leg": "b"}, None):
            bench = Bench("a", "b")
            bench.put("a", source={"play": ["menu"], "token": 1})
            bench.run(frames * 0.02)
            bench.put("a", source=source)
            bench.run(0.2)
            assert steps(bench.packets("a")) <= largest


def test_where_nothing_plays_there_is_silence_once_anything_was_sent():
    bench = Bench("a")
    bench.put("a", source=None)
    bench.run(1.0)
    assert bench.packets("a") == []
    bench.put("a", source={"play": ["menu"], "token": 1})
    bench.run(0.02)
    bench.put("a", source=None)
    bench.run(1.0)
    assert len(bench.packets("a")) in (51, 52)
    assert bench.run(1.0) == []
    assert {packet.payload for packet in bench.packets("a")} == {QUIET}
