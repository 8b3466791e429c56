"""What makes a password, its hash, and how many are tried at once."""

from __future__ import annotations

import threading

import pytest

from provisioner.errors import Invalid
from provisioner.people import passwords
from provisioner.people.passwords import Bench, Busy

GOOD = ["window onion tractor", "korrekt pferd", "ñandú en la colina", "7 little goats", "Tr0ub4dor&3xyz"]
BAD = [
    ("", "0 characters"),
    ("tractor 9", "9 characters"),
    ("x" * 257, "longer than 256"),
    ("aaaaaaaaaaaa", "same few characters"),
    ("121212121212", "same few characters"),
    ("qwertyuiop", "first that are tried"),
    ("Password2026", "first that are tried"),
    ("1234567890", "first that are tried"),
    ("administrator", "first that are tried"),
    ("Anna.Lopez12", "little more than a name"),
    ("annalopez!!", "little more than a name"),
    ("Provisioner1", "first that are tried"),
]


@pytest.mark.parametrize("password", GOOD)
def test_good_ones(password: str):
    assert passwords.fault(password, "anna.lopez", "Anna López") == ""


@pytest.mark.parametrize(("password", "why"), BAD)
def test_bad_ones(password: str, why: str):
    assert why in passwords.fault(password, "anna.lopez", "Anna Lopez")
    with pytest.raises(Invalid) as caught:
        passwords.check(password, "anna.lopez", "Anna Lopez")
    assert set(caught.value.errors) == {"password"}
    assert password not in str(caught.value) or not password


def test_a_hash_is_argon2id_with_our_costs_and_a_salt_of_its_own():
    bench = Bench()
    first, second = bench.hashed("window onion tractor"), bench.hashed("window onion tractor")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert [bench.same(kept, "window onion tractor") for kept in (first, second)] == [True, True]
    assert not bench.same(first, "window onion tractors")


def test_what_looks_the_same_is_the_same_password():
    kept = Bench().hashed("caf\u00e9 on the corner")
    assert Bench().same(kept, "cafe\u0301 on the corner")


@pytest.mark.parametrize("kept", ["", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFh"])
def test_nobody_has_no_password(kept: str):
    assert not Bench().same(kept, "nobody has this password")


def test_for_somebody_unknown_a_hash_of_the_same_cost_is_compared(monkeypatch: pytest.MonkeyPatch):
    compared = []

    class Hasher:
        def verify(self, kept: str, given: str) -> bool:
            compared.append(kept)
            return False

    monkeypatch.setattr(passwords, "_hasher", Hasher())
    Bench().same("", "something")
    assert [kept.rpartition("$")[0].rpartition("$")[0] for kept in compared] == [
        "$argon2id$v=19$m=19456,t=2,p=1"
    ]


def test_so_many_are_hashed_at_once_and_the_others_are_sent_away():
    bench = Bench(at_once=1, waiting=1, patience=30.0)
    inside, waiting, done = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with bench._place():
            inside.set()
            done.wait()

    def wait() -> None:
        inside.wait()
        waiting.set()
        with bench._place():
            pass

    threads = [threading.Thread(target=each) for each in (hold, wait)]
    for thread in threads:
        thread.start()
    waiting.wait()
    while bench._room._value:  # the second is on its way in
        pass
    with pytest.raises(Busy, match="wait a moment"):
        bench.same("", "a third")
    done.set()
    for thread in threads:
        thread.join()
    assert not bench.same("", "now it is heard")


def test_who_waits_too_long_is_sent_away():
    bench = Bench(at_once=1, waiting=1, patience=0.0)
    with bench._place(), pytest.raises(Busy):
        bench.hashed("window onion tractor")
    assert bench.hashed("window onion tractor")
