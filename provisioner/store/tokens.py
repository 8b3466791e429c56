"""Tokens of the inventory: sessions, sign-in links and those of programs; only their SHA-256 is stored."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Literal

import msgspec

from provisioner.errors import OperatorError

TokenKind = Literal["sign-in", "api", "session", "half"]  # half: password shown, second factor not yet
SEEN_SECONDS = 60.0  # a token's last use is noted so often, that a page does not write to the disk each time
_FIELDS = "id, kind, role, user, name, scopes, created, expires, seen, address, agent"

Opened = Callable[[], AbstractContextManager[sqlite3.Connection]]

# Whoever runs the command may all. It says so in the WSGI environment, or as `agent` of an API token that it makes for
# one call: neither can any request.
AT_CONSOLE = "provisioner.console"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token. Times in seconds since 1970; `seen`: its last use, to a minute.

    `user`: whose it is (the login name of who signed in with it, or made it), "" of the console. `name`: what it was
    called by who made it. `scopes`: what a program's is good for, apart by spaces. `address`, `agent`: where a
    session began, and in which browser.
    """

    id: int
    kind: TokenKind
    role: str
    created: float
    expires: float
    user: str = ""
    name: str = ""
    scopes: str = ""
    seen: float | None = None
    address: str = ""
    agent: str = ""


class Tokens:
    """The tokens of one inventory; `reading` and `writing` give its connection. Raises OperatorError as that does."""

    def __init__(
        self, reading: Opened, writing: Opened, clock: Callable[[], float], random: Callable[[int], bytes]
    ) -> None:
        self._reading, self._writing = reading, writing
        self._clock, self.random = clock, random

    def new(self, kind: TokenKind, seconds: float, role: str, **about: str) -> str:
        """A new token, good for `seconds`. `about`: `user`, `name`, `scopes`, `address`, `agent`. Outlived ones go."""
        token, now = self.random(32).hex(), self._clock()
        row = {
            "kind": kind,
            "hash": _hash(token),
            "role": role,
            "created": now,
            "expires": now + seconds,
            **about,
        }
        with self._writing() as connection:
            connection.execute("DELETE FROM tokens WHERE expires <= ?", (now,))
            connection.execute(
                f"INSERT INTO tokens ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608
                tuple(row.values()),
            )
        return token

    def check(self, kind: TokenKind, token: str, idle: float = 0.0, used: bool = True) -> Token | None:
        """What `token` stands for, None when it is not good. A sign-in token is good once.

        `idle`: seconds after its last use when it is good no more; 0: it does not matter. `used`: this is a use.
        """
        now = self._clock()
        with self._reading() as connection:
            row = connection.execute(
                f"SELECT {_FIELDS} FROM tokens WHERE hash = ? AND kind = ? AND used IS NULL AND expires > ?",  # noqa: S608
                (_hash(token), kind, now),
            ).fetchone()
        if row is None or (kind == "sign-in" and not self._use(token, now)):
            return None
        found = Token(**dict(row))
        last = found.created if found.seen is None else found.seen
        if idle and now - last > idle:
            return None
        if used and kind != "sign-in" and (found.seen is None or now - last >= SEEN_SECONDS):
            self._note(found.id, now)
        return found

    def revoke(self, kind: TokenKind, token: str) -> None:
        """Make `token` worthless at once."""
        with self._writing() as connection:
            connection.execute("DELETE FROM tokens WHERE hash = ? AND kind = ?", (_hash(token), kind))

    def listing(self, kind: TokenKind, user: str | None = None) -> list[Token]:
        """The good tokens of a kind, the newest first; of one user when given."""
        where, values = (" AND user = ?", (user,)) if user is not None else ("", ())
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_FIELDS} FROM tokens WHERE kind = ? AND expires > ? AND used IS NULL{where}"  # noqa: S608
                " ORDER BY id DESC",
                (kind, self._clock(), *values),
            ).fetchall()
        return [Token(**dict(row)) for row in rows]

    def end(self, kind: TokenKind, number: int, user: str | None = None) -> Token | None:
        """End the token with that id (of `user`, when given); what it was, None when there is none."""
        found = next((each for each in self.listing(kind, user) if each.id == number), None)
        if found:
            with self._writing() as connection:
                connection.execute("DELETE FROM tokens WHERE id = ? AND kind = ?", (number, kind))
        return found

    def _note(self, number: int, now: float) -> None:
        """Keep when a token was used; a full disk must not keep staff from the pages."""
        with suppress(OperatorError), self._writing() as connection:
            connection.execute("UPDATE tokens SET seen = ? WHERE id = ?", (now, number))

    def _use(self, token: str, now: float) -> bool:
        """Mark as used; False when somebody else was faster."""
        with self._writing() as connection:
            cursor = connection.execute(
                "UPDATE tokens SET used = ? WHERE hash = ? AND used IS NULL", (now, _hash(token))
            )
        return cursor.rowcount == 1


def end_all(connection: sqlite3.Connection, user: str, keep: str = "", api: bool = False) -> None:
    """End the sessions of `user` apart from that of the token `keep`; with `api` the tokens of programs too."""
    kinds = ("session", "half", "api") if api else ("session", "half", "half")
    connection.execute(
        "DELETE FROM tokens WHERE user = ? AND kind IN (?, ?, ?) AND hash <> ?", (user, *kinds, _hash(keep))
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
