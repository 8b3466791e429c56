"""One RTP stream for each party, whoever it hears."""

import itertools
from random import Random

import pytest

from provisioner.media.rtp import Packet, build, newer, parse
from provisioner.media.stream import Stream
from tests.media.bench import Bench, audio


def packet(n, ssrc=7, start=100, clock=160):
    return build(Packet(0, False, (start + n) & 0xFFFF, (16000 + n * clock) & 0xFFFFFFFF, ssrc, b"x" * 160))


def numbers(data):
    found = parse(data)
    return found.sequence, found.timestamp, found.ssrc


def test_who_is_heard_alone_passes_untouched():
    stream = Stream(Random(1))
    stream.change()
    for n in range(50):
        assert stream.relayed(packet(n), n * 160) == packet(n)
    stream.change()  # held and resumed: the same party
    assert stream.relayed(packet(60), 9600) == packet(60)
    assert not stream.joined


def test_ours_goes_on_where_theirs_stopped_and_theirs_after_ours():
    stream = Stream(Random(1))
    for n in range(10):
        stream.relayed(packet(n), n * 160)
    stream.change()
    assert stream.own(1600, 160) == (110, 16000 + 1600, 7)
    assert stream.own(1760, 160) == (111, 16000 + 1760, 7)
    stream.change()
    assert numbers(stream.relayed(packet(14), 1920)) == (112, 16000 + 1920, 7)
    assert numbers(stream.relayed(packet(15), 2080)) == (113, 16000 + 2080, 7)


def test_another_party_goes_on_in_the_stream_of_the_first():
    stream = Stream(Random(1))
    for n in range(10):
        stream.relayed(packet(n), n * 160)
    stream.change()
    for n in range(5):
        sequence, timestamp, ssrc = numbers(stream.relayed(packet(n, 99, 60000), (10 + n) * 160))
        assert (sequence, timestamp, ssrc) == (110 + n, 16000 + (10 + n) * 160, 7)


def test_what_is_late_from_before_the_change_is_dropped_and_reordering_after_it_kept():
    stream = Stream(Random(1))
    base, _, _ = stream.own(0, 160)
    stream.change()
    order = [5, 4, 6, 8, 7, 3, 9]
    out = [stream.relayed(packet(n), 160) for n in order]
    assert [bool(each) for each in out] == [True, False, True, True, True, False, True]
    assert [newer(numbers(each)[0], base) for each in out if each] == [1, 2, 4, 3, 5]


@pytest.mark.parametrize(
    ("came", "numbered"), [([1, 2, 3, 4], [1, 2]), ([1, 4, 2, 3], [1, 4]), ([1, 3, 2, 4], [1, 3])]
)
def test_what_is_left_out_takes_no_number(came, numbered):
    """Two packets, 2 and 3, do not go out; what overtook one keeps its number, so that none is used twice."""
    stream = Stream(Random(1))
    first = stream.own(0, 160)[0]
    stream.change()
    stream.relayed(packet(0), 160)
    out = []
    for n in came:
        if n in (2, 3):
            stream.left_out(100 + n, 7)
        else:
            out.append(numbers(stream.relayed(packet(n), 160 + n * 160))[0] - first - 1)
    assert out == numbered


def test_a_call_of_an_hour_never_stops():
    stream = Stream(Random(1))
    stream.own(0, 160)
    stream.change()
    last = None
    for n in range(180_000):
        found = numbers(stream.relayed(packet(n), n * 160))
        if last:
            assert newer(found[0], last[0]) == 1
            assert (found[1] - last[1]) & 0xFFFFFFFF == 160
        last = found


def test_a_sender_that_starts_anew_under_the_same_name_is_followed():
    stream = Stream(Random(1))
    stream.own(0, 160)
    stream.change()
    for n in range(15):
        stream.relayed(packet(n), n * 160)
    assert all(stream.relayed(packet(n, start=90), 2400 + n * 160) for n in range(50))


def play(bench, leg, packets):
    for each in packets:
        bench.now += 0.02
        bench.plane.advance(bench.now)
        bench.hear(leg, each)


def test_a_whole_call_with_a_menu_is_one_stream_for_each_party():
    """Talking, menu and music, consulting somebody else, joined: nobody sees another source or a jump."""
    bench = Bench("a", "b", "c")
    bench.put("a", source={"leg": "b"})
    bench.put("b", source={"leg": "a"})
    play(bench, "b", [audio(n) for n in range(20)])
    bench.put("a", source={"play": ["music"], "loop": True})
    bench.run(1.0)
    bench.put("a", source={"leg": "c"})
    play(bench, "c", [audio(n)._replace(ssrc=77, sequence=(65530 + n) & 0xFFFF) for n in range(20)])
    bench.put("a", source={"play": ["menu"], "token": 1})
    bench.run(0.5)
    bench.put("a", source={"leg": "b"})
    play(bench, "b", [audio(n) for n in range(40, 60)])
    got = bench.packets("a")
    assert len({each.ssrc for each in got}) == 1
    assert [newer(b.sequence, a.sequence) for a, b in itertools.pairwise(got)] == [1] * (len(got) - 1)
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(got)]
    assert max(steps) <= 480


def test_reports_of_a_stream_that_is_ours_go_on_while_others_are_heard():
    bench = Bench("a", "b")
    bench.put("a", source={"play": ["menu"], "token": 1})
    bench.run(0.1)
    bench.put("a", source={"leg": "b"})
    for n in range(400):
        bench.now += 0.02
        bench.plane.advance(bench.now)
        bench.hear("b", audio(n))
    reports = [data for kind, data, _ in bench.sent["a"] if kind == "rtcp"]
    assert len(reports) == 1
    packets, octets = (int.from_bytes(reports[0][at : at + 4], "big") for at in (20, 24))
    assert packets > 200
    assert octets == packets * 160


@pytest.mark.parametrize("form", ["info", "inband"])
def test_keys_made_for_a_party_stay_in_its_stream(form):
    bench = Bench("a", "b")
    bench.put("b", source={"play": ["menu"], "token": 1})
    bench.run(0.1)
    bench.put("a", event_in=None, event_out=None, keys=form)
    bench.put("b", source={"leg": "a"})
    bench.plane.press(bench.plane.legs["a"], "5", 100, bench.now)
    play(bench, "a", [audio(n) for n in range(30)])
    got = bench.packets("b")
    assert len({each.ssrc for each in got}) == 1
    assert [newer(b.sequence, a.sequence) for a, b in itertools.pairwise(got)] == [1] * (len(got) - 1)
    assert {each.payload_type for each in got} == {0, 101}
