"""Passwords: what makes a good one (NIST SP 800-63B, 5.1.1), their hashes, and how many are tried at once."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from provisioner.errors import Invalid, OperatorError

SHORTEST, LONGEST = 10, 256  # characters; a longer one would only cost time
TIME_COST, MEMORY_COST, LANES = 2, 19_456, 1  # passes, KiB, threads: OWASP's least for Argon2id, 30 ms here
# Of the 8 threads that answer pages, tries of strangers hold four at most: two that hash and two that wait.
AT_ONCE, WAITING, PATIENCE = 2, 2, 2.0

_hasher = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_COST, parallelism=LANES)
_COMMON = frozenset(Path(__file__).with_name("common_passwords.txt").read_text().split())


class Busy(OperatorError):  # noqa: N818
    """So many passwords are being tried that this one was not."""

    def __init__(self) -> None:
        super().__init__("many people sign in at this moment", "wait a moment, then try again")


def normal(password: str) -> str:
    """`password` as it is hashed: one that looks the same is the same on every keyboard (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def fault(password: str, *names: str) -> str:
    """Why this is no password for somebody of these names; "" when it is one."""
    plain = normal(password)
    bare = "".join(each for each in plain.casefold() if each.isalnum())
    if len(plain) < SHORTEST:
        return f"The password has {len(plain)} characters: take {SHORTEST} or more. Several words are easy to remember."
    if len(plain) > LONGEST:
        return f"The password is longer than {LONGEST} characters."
    if len(set(plain)) < 4:
        return "The password is the same few characters again and again. Take several words."
    if plain.casefold() in _COMMON or bare.rstrip("0123456789") in _COMMON or bare in _COMMON:
        return "That password is among the first that are tried. Take several words that only you would put together."
    for name in names:
        short = "".join(each for each in name.casefold() if each.isalnum())
        if len(short) > 2 and short in bare and len(bare) - len(short) < 6:
            return (
                "The password is little more than a name. Take several words that have nothing to do with it."
            )
    return ""


def check(password: str, *names: str) -> None:
    """Raises Invalid when `fault` finds one."""
    why = fault(password, *names)
    if why:
        raise Invalid({"password": why})


class Bench:
    """Where passwords are hashed: so many at once, a few that wait, and the others are sent away (Busy)."""

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING, patience: float = PATIENCE) -> None:
        self._places = threading.BoundedSemaphore(at_once)
        self._room = threading.BoundedSemaphore(at_once + waiting)
        self._patience = patience

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise Busy
        try:
            if not self._places.acquire(timeout=self._patience):
                raise Busy
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._room.release()

    def hashed(self, password: str) -> str:
        """The hash of `password` with its salt and costs, as Argon2 writes it. Raises Busy."""
        with self._place():
            return _hasher.hash(normal(password))

    def same(self, kept: str, password: str) -> bool:
        """Whether `kept` is the hash of `password`. It takes as long when `kept` is none. Raises Busy."""
        given = normal(password[:LONGEST])
        with self._place():
            try:
                return _hasher.verify(kept or _NOBODY, given) and bool(kept)
            except (VerificationError, InvalidHashError):
                return False


# What the password of somebody who is not there is compared with: the time to answer must not tell (OWASP ASVS 2.2).
_NOBODY = _hasher.hash("nobody has this password")
