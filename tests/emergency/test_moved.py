"""Phones that may have been moved: suspect until somebody confirms, and never without a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from provisioner.emergency import moved
from provisioner.emergency.moved import Evidence, Whereabouts
from provisioner.store.records import Location, Placement

MAC = "0004f2000101"
PORT = "0011223344aa"
EXAM = Location(id="exam", name="Exam 3", civic={}, networks=("10.0.1.0/24",), neighbours=(PORT,))
PLAIN = Location(id="plain", name="Plain", civic={})
HOME = ("10.0.0.0/16",)
HERE = Evidence("10.0.1.7", PORT)


def after(*steps: Evidence, place: Location = EXAM, placement: Placement | None = None) -> Whereabouts:
    held: Whereabouts | None = None
    for now, seen in enumerate(steps, 100):
        held = moved.judged(held, MAC, place, placement, HOME, seen, float(now))
    assert held
    return held


def confirmed(at: float, network: str = "10.0.9.0/24", neighbour: str = "") -> Placement:
    return Placement(id=MAC, location=EXAM.id, network=network, neighbour=neighbour, at=at, who="Ann")


def test_a_phone_at_its_place_is_not_suspect() -> None:
    held = after(HERE, HERE)
    assert (held.since, held.why) == (None, ())


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Evidence("10.0.2.7"), ("network",)),
        (Evidence("10.0.1.7", "ffeeddccbbaa"), ("neighbour",)),
        (Evidence("10.0.2.7", "ffeeddccbbaa"), ("network", "neighbour")),
        (Evidence("203.0.114.9"), ("public-address",)),
        (Evidence("2001:4860::1"), ("public-address",)),
        (Evidence("fd00::1"), ("network",)),
        (Evidence("nonsense"), ("public-address",)),
    ],
)
def test_rule_20_a_move_makes_it_suspect(seen: Evidence, why: tuple[str, ...]) -> None:
    held = after(HERE, seen)
    assert (held.since, held.why) == (101.0, why)
    assert (held.address, held.port) == (seen.address, seen.neighbour)
    assert set(why) <= set(moved.WORDS)


def test_it_stays_suspect_when_it_comes_back() -> None:
    held = after(HERE, Evidence("10.0.2.7"), HERE)
    assert (held.since, held.why) == (101.0, ("network",))
    assert held.address == HERE.address


def test_the_reasons_are_the_latest_and_the_time_is_the_first() -> None:
    held = after(HERE, Evidence("10.0.2.7"), Evidence("203.0.114.9"))
    assert (held.since, held.why) == (101.0, ("public-address",))


@pytest.mark.parametrize("seen", [Evidence("10.0.1.200"), Evidence("10.0.1.7"), Evidence("::ffff:10.0.1.9")])
def test_another_address_of_its_network_is_nothing_new(seen: Evidence) -> None:
    assert after(HERE, seen).since is None


def test_without_networks_the_first_registration_is_how_it_looks_there() -> None:
    held = after(Evidence("10.7.0.7"), Evidence("10.7.0.99"), place=PLAIN)
    assert (held.network, held.since) == ("10.7.0.0/24", None)
    assert after(Evidence("10.7.0.7"), Evidence("10.7.1.7"), place=PLAIN).why == ("network",)


def test_the_practices_own_network_is_taken_as_one() -> None:
    held = after(Evidence("10.0.0.7"), Evidence("10.0.200.7"), place=PLAIN)
    assert (held.network, held.since) == ("10.0.0.0/16", None)


def test_the_first_port_that_it_tells_is_the_usual_one() -> None:
    silent = after(Evidence("10.7.0.7"), Evidence("10.7.0.7", PORT), place=PLAIN)
    assert (silent.neighbour, silent.since) == (PORT, None)
    assert after(Evidence("10.7.0.7", PORT), Evidence("10.7.0.7", "other"), place=PLAIN).why == ("neighbour",)
    assert after(Evidence("10.7.0.7", PORT), Evidence("10.7.0.7"), place=PLAIN).since is None


def test_a_phone_first_seen_outside_is_suspect_at_once() -> None:
    held = after(Evidence("203.0.114.9"), Evidence("203.0.114.9"), place=PLAIN)
    assert (held.since, held.why, held.network) == (100.0, ("public-address",), "")


def test_a_phone_first_seen_outside_of_its_places_networks_is_suspect_at_once() -> None:
    assert after(Evidence("10.0.2.7")).why == ("network",)


def test_who_confirms_ends_it() -> None:
    away = Evidence("10.0.9.7", "ffeeddccbbaa")
    suspect = after(HERE, away)
    held = moved.judged(suspect, MAC, EXAM, confirmed(150, neighbour="ffeeddccbbaa"), HOME, away, 200)
    assert (held.since, held.why, held.network) == (None, (), "10.0.9.0/24")
    again = moved.judged(held, MAC, EXAM, confirmed(150), HOME, Evidence("10.0.5.1"), 300)
    assert (again.since, again.why) == (300, ("network",))


def test_an_old_confirmation_does_not_end_a_new_suspicion() -> None:
    suspect = after(HERE, Evidence("10.0.2.7"))
    held = moved.judged(suspect, MAC, EXAM, confirmed(50), HOME, HERE, 200)
    assert held.since == 101.0


def test_a_confirmation_of_another_place_counts_for_nothing() -> None:
    other = replace(confirmed(150), location="lab")
    suspect = after(HERE, Evidence("10.0.2.7"))
    assert moved.judged(suspect, MAC, EXAM, other, HOME, Evidence("10.0.2.7"), 200).since == 101.0


def test_a_phone_that_is_placed_elsewhere_begins_anew() -> None:
    suspect = after(HERE, Evidence("10.0.2.7"))
    held = moved.judged(suspect, MAC, PLAIN, None, HOME, Evidence("10.0.2.7"), 200)
    assert (held.location, held.since, held.network) == ("plain", None, "10.0.0.0/16")


def test_nothing_new_is_the_very_same() -> None:
    held = after(HERE)
    assert moved.judged(held, MAC, EXAM, None, HOME, HERE, 200) is held
    assert moved.judged(held, MAC, EXAM, None, HOME, Evidence("10.0.1.99", PORT), 200) is held


@pytest.mark.parametrize(
    ("header", "port"),
    [
        ('IEEE-802.3; eth-location="0011223344AA"', "0011223344aa"),
        ("IEEE-802.3;eth-location=00:11:22:33:44:aa", "00:11:22:33:44:aa"),
        ("IEEE-802.11; i-wlan-node-id=ffff", ""),
        ("", ""),
    ],
)
def test_b72_the_switch_port_that_a_phone_tells(header: str, port: str) -> None:
    assert moved.neighbour_of(header) == port


@pytest.mark.parametrize(
    ("address", "known", "network"),
    [
        ("10.1.2.3", (), "10.1.2.0/24"),
        ("10.1.2.3", ("10.0.0.0/8", "10.1.0.0/16", "junk"), "10.1.0.0/16"),
        ("fd00::1:2", (), "fd00::/64"),
        ("fe80::1%eth0", (), "fe80::/64"),
        ("x", ("10.0.0.0/8",), ""),
    ],
)
def test_networks(address: str, known: tuple[str, ...], network: str) -> None:
    assert moved.network_of(address, known) == network


@given(
    st.lists(st.sampled_from([HERE, Evidence("10.0.2.7"), Evidence("203.0.114.9", "x"), Evidence("", "")]))
)
def test_once_suspect_always_suspect_until_confirmed(steps: list[Evidence]) -> None:
    held: Whereabouts | None = None
    since = None
    for now, seen in enumerate(steps, 100):
        held = moved.judged(held, MAC, EXAM, None, HOME, seen, float(now))
        assert since is None or held.since == since
        assert bool(held.why) is (held.since is not None)
        since = held.since
