"""The guard alone: buckets, scores, bans and signatures, to the instant."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import pytest

from provisioner.edge.guard import Bucket, Guard, Limits, Networks, signature
from provisioner.edge.overload import Overload
from provisioner.sip.message import Request
from tests.edge.world import Clock

HOST = "10.0.0.66"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def guard(clock: Clock, **changes: float) -> Guard:
    return Guard(clock, dataclasses.replace(Limits(), **changes))  # type: ignore[arg-type]


# rates


def test_a_bucket_gives_its_burst_and_then_its_rate(clock: Clock) -> None:
    bucket = Bucket(2.0, 3.0, clock())
    assert [bucket.take(clock()) for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    assert [bucket.take(clock()) for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [bucket.take(clock()) for _ in range(4)] == [True, True, True, False]


def test_over_rate_is_told_once_then_silent_until_it_was_quiet(clock: Clock) -> None:
    watch = guard(clock, rate=0.01, burst=2, quiet=5)
    assert [watch.rate(HOST, True) for _ in range(5)] == ["ok", "ok", "tell", "silent", "silent"]
    clock.now += 4.9
    assert watch.rate(HOST, True) == "silent"
    clock.now += 0.1
    assert [watch.rate(HOST, True) for _ in range(2)] == ["tell", "silent"]


def test_one_source_over_its_rate_is_not_another_one(clock: Clock) -> None:
    watch = guard(clock, burst=1, rate=0.01)
    assert [watch.rate(HOST, True) for _ in range(2)] == ["ok", "tell"]
    assert watch.rate("10.0.0.67", True) == "ok"


def test_credentials_that_are_good_give_back_what_they_took(clock: Clock) -> None:
    watch = guard(clock, burst=2, rate=0.0, storm_rate=0.0, storm_burst=2)
    for _ in range(100):  # a challenge and its answer, again and again, at one instant
        assert watch.rate(HOST, True) == "ok"
        assert watch.rate(HOST, True) == "ok"
        watch.proved(HOST, "101", "REGISTER 101")
    assert [watch.rate(HOST, True) for _ in range(3)] == ["ok", "ok", "tell"]


def test_forged_sources_together_have_a_rate_which_spares_known_phones(clock: Clock) -> None:
    watch = guard(clock, storm_rate=1.0, storm_burst=10)
    answers = [watch.rate(f"10.1.{number >> 8}.{number & 255}", True) for number in range(1000)]
    assert answers.count("ok") == 10
    assert watch.rate("10.9.0.1", True, known=True) == "ok"


def test_sources_outside_cannot_use_up_the_rate_of_those_inside(clock: Clock) -> None:
    watch = guard(clock, outside_burst=5, outside_rate=1.0)
    answers = [watch.rate(f"203.0.113.{number}", False) for number in range(50)]
    assert answers == ["ok"] * 5 + ["silent"] * 45
    assert watch.rate(HOST, True) == "ok"


# bounded memory


def test_tables_are_bounded_whatever_comes(clock: Clock) -> None:
    watch = guard(clock, sources=100, bans=50, users=4, targets=8)
    for number in range(5000):
        host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        watch.rate(host, True)
        watch.asked(host, f"x{number}")
        watch.wrong(host, "u" * 5000)
        if number % 2:
            watch.blame(host, "scanner", 100)
    assert len(watch._sources) <= 100
    assert len(list(watch.bans())) == 50
    for number in range(500):
        watch.wrong(HOST, f"user{number}")
        watch._bans.clear()
    source = watch._sources.get(HOST)
    assert source is None or len(source.pairs) <= 4
    assert all(len(user) <= 64 for held in watch._sources.values() for user in held.pairs)


def test_the_source_that_was_heard_of_last_is_kept(clock: Clock) -> None:
    watch = guard(clock, sources=2, burst=1, rate=0.0)
    assert [watch.rate(host, True) for host in ("a", "b", "a", "c")] == ["ok", "ok", "tell", "ok"]
    assert watch.rate("a", True) == "silent"  # b was forgotten, not a
    assert watch.rate("b", True) == "ok"


# scores and bans


def test_points_add_up_to_a_ban_and_are_forgiven_with_time(clock: Clock) -> None:
    watch = guard(clock, score=10, forgiven=1 / 60)
    assert not watch.blame(HOST, "junk", 9)
    clock.now += 120
    assert not watch.blame(HOST, "junk", 2.9)
    assert not watch.banned(HOST)
    assert watch.blame(HOST, "scanner", 0.2)
    assert watch.banned(HOST)


def test_each_ban_is_longer_than_the_one_before_up_to_a_day(clock: Clock) -> None:
    watch = guard(clock)
    lasted = []
    for _ in range(6):
        watch.blame(HOST, "scanner", 10)
        (source, ban), *more = watch.bans()
        assert (source, more) == (HOST, [])
        lasted.append(ban.until - clock())
        clock.now = ban.until
        assert not watch.banned(HOST)
    assert lasted == [300, 1200, 4800, 19200, 76800, 86400]


def test_after_a_good_day_the_first_ban_is_short_again(clock: Clock) -> None:
    watch = guard(clock)
    watch.blame(HOST, "scanner", 10)
    clock.now += 300 + 86400
    watch.blame(HOST, "scanner", 10)
    assert [ban.until - clock() for _, ban in watch.bans()] == [300]


def after_a_restart(kept: object, later: Clock, ahead: float) -> Guard:
    again = guard(later)
    again.recall(json.loads(msgspec.json.encode(kept)), ahead)
    return again


def test_bans_outlive_a_restart_and_so_does_how_often(clock: Clock) -> None:
    watch = guard(clock)
    watch.blame(HOST, "scanner", 100)
    assert watch.changed
    kept = watch.remember(ahead=1000)  # it ends at 2300 of the wall clock
    assert not watch.changed
    clock.now = 5.0
    watch = after_a_restart(kept, clock, ahead=2055)  # it is 2060
    assert [(source, ban.reason, ban.until) for source, ban in watch.bans()] == [(HOST, "scanner", 245)]
    clock.now = 245.0
    assert not watch.banned(HOST)
    watch.blame(HOST, "scanner", 100)
    assert [ban.until - clock() for _, ban in watch.bans()] == [1200]
    assert watch.unban(HOST)
    assert watch.changed
    assert watch.remember(0) == {}


def test_what_was_kept_of_bans_may_be_anything(clock: Clock) -> None:
    for kept in (None, [], {HOST: 1}, {HOST: {"reason": "x", "until": 9e9}}):
        assert list(after_a_restart(kept, clock, 0).bans()) == []
    often = {HOST: {"reason": "flood", "until": 9e99, "count": 10**6}}
    watch = after_a_restart(often, clock, 0)
    assert [ban.until - clock() for _, ban in watch.bans()] == [
        86400
    ]  # as long as any, whatever the clocks say
    watch.blame(HOST, "flood", 100)
    assert watch.banned(HOST)


def test_what_was_dropped_is_counted_and_a_ban_can_be_lifted(clock: Clock) -> None:
    watch = guard(clock)
    watch.blame(HOST, "flood", 10)
    for _ in range(3):
        watch.hit(HOST)
    assert [(source, ban.reason, ban.hits) for source, ban in watch.bans()] == [(HOST, "flood", 3)]
    assert watch.unban(HOST)
    assert not watch.banned(HOST)
    assert not watch.unban(HOST)


def test_many_targets_of_somebody_who_is_nobody(clock: Clock) -> None:
    watch = guard(clock, targets=40)
    assert not any(watch.asked(HOST, f"REGISTER {number}") for number in range(40))
    assert not watch.asked(HOST, "REGISTER 7")  # one of them again
    assert watch.asked(HOST, "REGISTER 40")
    assert [ban.reason for _, ban in watch.bans()] == ["many-targets"]


def test_targets_that_were_shown_to_be_ones_own_do_not_count(clock: Clock) -> None:
    watch = guard(clock, targets=40)
    for number in range(200):
        assert not watch.asked(HOST, f"REGISTER {number}")
        watch.proved(HOST, str(number), f"REGISTER {number}")


def test_a_phone_with_an_old_password_is_ignored_and_its_neighbours_are_not(clock: Clock) -> None:
    """(source, user) before source: behind a NAT the others go on."""
    watch = guard(clock)
    assert not any(watch.wrong(HOST, "101") for _ in range(4))
    assert not watch.ignored(HOST, "101")
    assert not watch.wrong(HOST, "101")
    assert watch.ignored(HOST, "101")
    assert not watch.ignored(HOST, "102")
    assert not watch.ignored("10.0.0.67", "101")
    assert not watch.banned(HOST)
    clock.now += 60
    assert not watch.ignored(HOST, "101")


def test_it_may_go_on_so_for_ever_at_the_pace_of_a_phone(clock: Clock) -> None:
    watch = guard(clock)
    for _ in range(3000):
        clock.now += 30
        assert watch.ignored(HOST, "101") or not watch.wrong(HOST, "101")


def test_wrong_passwords_of_many_users_ban_the_source(clock: Clock) -> None:
    watch = guard(clock)
    bans = [watch.wrong(HOST, f"user{number}") for number in range(11)]
    assert bans == [False] * 10 + [True]
    assert [ban.reason for _, ban in watch.bans()] == ["wrong-passwords"]


def test_an_ipv6_customer_is_one_source(clock: Clock) -> None:
    watch = guard(clock)
    watch.blame("2001:db8:1:2::5", "scanner", 10)
    assert watch.banned("2001:db8:1:2:ffff::1")
    assert not watch.banned("2001:db8:1:3::5")
    watch.blame("::ffff:10.0.0.9", "scanner", 10)
    assert watch.banned("10.0.0.9")


# signatures


@pytest.mark.parametrize(
    ("agent", "from_", "body", "known"),
    [
        ("friendly-scanner", "<sip:1@h>", b"", True),
        ("sipcli/v1.8", "<sip:1@h>", b"", True),
        ("VaxSIPUserAgent/3.1", "<sip:1@h>", b"", True),
        ("pplsip", "<sip:1@h>", b"", True),
        ("sundayddr", "<sip:1@h>", b"", True),
        ("", '"sipvicious"<sip:100@1.1.1.1>', b"", True),
        ("Phone", "<sip:1@h>", b"v=0\r\no=- 1 1 IN IP4 h\r\ns=sipcli_dialing\r\nt=0 0\r\n", True),
        ("Phone", "<sip:1@h>", b"v=0\r\no=- 1 1 IN IP4 h\r\ns=sipcli\r\nt=0 0\r\n", True),
        ("Phone", "<sip:1@h>", b"v=0\r\ns=-\r\na=x:\r\nk=sipcli\r\n", False),
        ("MySipClient/2.0", "<sip:1@h>", b"", False),
        ("PolycomVVX-VVX_411-UA/6.4.6.2494", "<sip:101@h>", b"v=0\r\ns=Polycom IP Phone\r\n", False),
        ("Yealink SIP-T46S 66.86.0.15", "<sip:101@h>", b"v=0\r\ns=SDP data\r\n", False),
        ("Grandstream GXP2170 1.0.11.64", "<sip:101@h>", b"v=0\r\ns=SIP Call\r\n", False),
        ("Asterisk PBX 18.2", "<sip:smapper@h>", b"v=0\r\ns=Asterisk\r\n", False),
        ("", "<sip:1@h>", b"", False),
    ],
)
def test_scanners_are_known_by_their_words(agent: str, from_: str, body: bytes, known: bool) -> None:
    headers = [("from", from_), *([("user-agent", agent)] if agent else [])]
    assert signature(Request("INVITE", "sip:1@h", headers, body)) is known


# networks


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        ((), ["10.1.2.3", "192.168.0.9", "172.31.1.1", "127.0.0.2", "::1", "fd00::1", "fe80::1%eth0",
              "::ffff:10.0.0.1"], ["172.32.0.1", "8.8.8.8", "2001:db8::1", "100.64.0.1", "name", ""]),
        (("203.0.113.0/24", "2001:db8::/32"), ["203.0.113.7", "2001:db8::1"], ["10.0.0.1", "127.0.0.1", "::1"]),
        (("10.0.0.5/8",), ["10.200.0.1"], ["192.168.0.1"]),
        (("nonsense",), ["10.0.0.1"], ["8.8.8.8"]),
    ],
)  # fmt: skip
def test_phone_networks(networks: tuple[str, ...], inside: list[str], outside: list[str]) -> None:
    known = Networks(networks)
    assert all(host in known for host in inside)
    assert not any(host in known for host in outside)
    assert known.refused == [text for text in networks if text == "nonsense"]


def test_looking_up_networks_keeps_a_bounded_memory() -> None:
    known = Networks(())
    for number in range(10000):
        assert f"10.0.{number >> 8}.{number & 255}" in known
    assert len(known._known) <= 4096


# overload


def test_overload_begins_late_and_ends_with_a_margin() -> None:
    load = Overload()
    assert not load.refuses(0)
    for _ in range(30):
        load.measured(0.2)
    assert not load.refuses(0)
    load.measured(0.9)  # 0.2 + 0.3 * 0.7
    assert load.refuses(0)
    states = []
    for _ in range(5):
        load.measured(0.0)
        states.append((round(load.delay, 3), load.refuses(0)))
    assert states == [(0.287, True), (0.201, True), (0.141, True), (0.098, False), (0.069, False)]


def test_transactions_beyond_the_limit_are_overload() -> None:
    load = Overload()
    assert not load.refuses(4999)
    assert load.refuses(5000)
