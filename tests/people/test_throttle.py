"""How long somebody waits after wrong passwords, and that an owner is never shut out by others."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.people import throttle
from provisioner.people.throttle import Throttle
from provisioner.store.tries import Failed, Tries

WAITS = [  # kind, how many fail without a wait, the waits after those
    ("pair", 5, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]),
    ("device", 10, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
]


@pytest.mark.parametrize(("kind", "free", "waits"), WAITS)
def test_growing_waits(clock, kind: str, free: int, waits: list[int]):
    it = Throttle(clock)
    who = ("anna", "192.168.1.9", "browser" if kind == "device" else "")
    assert [it.begin(*who) for _ in range(free)] == [0.0] * free
    found = []
    for _ in waits:
        found.append(it.begin(*who))
        clock.now += found[-1]
        assert it.begin(*who) == 0.0
    assert found == waits


def test_many_names_from_one_place_wait_together(clock):
    it = Throttle(clock)
    assert [it.begin(f"user{n}", "192.168.1.9") for n in range(20)] == [0.0] * 20
    assert it.begin("another", "192.168.1.9") == 2.0
    assert it.begin("another", "192.168.1.10") == 0.0


def test_a_name_is_not_shut_out_by_what_others_do(clock):
    it = Throttle(clock)
    for host in range(1, 200):
        for _ in range(30):
            it.begin("owner", f"203.0.113.{host}")
    assert it.begin("owner", "192.168.1.9") == 0.0


def test_a_browser_that_is_known_is_heard_though_its_network_is_throttled(clock):
    it = Throttle(clock)
    for _ in range(100):
        it.begin("owner", "192.168.1.9")
    assert it.begin("owner", "192.168.1.9") > 0
    assert it.begin("owner", "192.168.1.9", "my browser") == 0.0


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.168.1.9", "192.168.1.9"),
        ("::ffff:192.168.1.9", "192.168.1.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_what_one_source_is(address: str, source: str):
    assert throttle.network(address) == source


def test_a_good_one_forgets_the_users_failures_there_but_not_the_sources(clock):
    it = Throttle(clock)
    for _ in range(5):
        it.begin("anna", "192.168.1.9")
    clock.now += 2
    assert it.begin("anna", "192.168.1.9") == 0.0
    it.good("anna", "192.168.1.9")
    assert [it.begin("anna", "192.168.1.9") for _ in range(5)] == [0.0] * 5
    for n in range(10):  # five of anna's before, five after
        assert it.begin(f"user{n}", "192.168.1.9") == 0.0
    assert it.begin("more", "192.168.1.9") == 2.0


def test_one_that_was_not_looked_at_does_not_count(clock):
    it = Throttle(clock)
    for _ in range(50):
        assert it.begin("anna", "192.168.1.9") == 0.0
        it.unheard("anna", "192.168.1.9")


def test_many_at_once_are_not_all_heard(clock):
    it = Throttle(clock)
    assert sum(it.begin("anna", "192.168.1.9") == 0.0 for _ in range(100)) == 5


def test_after_a_day_it_is_forgotten(clock):
    it = Throttle(clock)
    for _ in range(50):
        clock.now += it.begin("anna", "192.168.1.9")
    clock.now += throttle.FORGET + 1
    assert [it.begin("anna", "192.168.1.9") for _ in range(5)] == [0.0] * 5


def test_it_does_not_grow_without_end(clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throttle, "MAX_KEYS", 10)
    it = Throttle(clock)
    for n in range(100):
        it.begin("anna", f"10.0.0.{n}")
    assert len(it._records) == 10


def test_a_restart_shortens_no_wait(clock, tmp_path: Path):
    path = tmp_path / "journal.db"
    first = Throttle(clock, Tries(path))
    for _ in range(5):
        first.begin("anna", "192.168.1.9")
    again = Throttle(clock, Tries(path))
    assert again.begin("anna", "192.168.1.9") == 2.0
    assert again.begin("anna", "192.168.1.10") == 0.0
    clock.now += 2.0
    assert again.begin("anna", "192.168.1.9") == 0.0
    again.good("anna", "192.168.1.9")
    assert Throttle(clock, Tries(path)).begin("anna", "192.168.1.9") == 0.0


def test_a_clock_that_went_back_shuts_nobody_out(clock):
    it = Throttle(clock)
    for _ in range(5):
        it.begin("anna", "192.168.1.9")
    clock.now -= 10 * 365 * 86_400
    assert it.begin("anna", "192.168.1.9") == 2.0
    clock.now += 2.0
    assert it.begin("anna", "192.168.1.9") == 0.0


def test_a_store_that_cannot_be_used_shuts_nobody_out(clock, tmp_path: Path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"no database" * 1000)
    it = Throttle(clock, Tries(path))
    assert [it.begin("anna", "192.168.1.9") for _ in range(6)] == [0.0] * 5 + [2.0]


def test_no_name_is_kept_in_clear_and_what_is_old_goes(tmp_path: Path):
    it = Tries(tmp_path / "journal.db")
    it.write("secret password", Failed(3, 1000.0, 0.0))
    it.write("another", Failed(1, 1000.0 + throttle.FORGET + 1, 0.0))
    assert it.read("secret password") is None
    assert it.read("another") == Failed(1, 1000.0 + throttle.FORGET + 1, 0.0)
    it.write("another", None)
    assert it.read("another") is None
    it.close()
    assert all(b"secret password" not in each.read_bytes() for each in tmp_path.iterdir())
