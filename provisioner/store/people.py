"""The records of who uses the staff page; no snapshot holds them."""

from __future__ import annotations

from typing import Literal

from provisioner.store.record import Record

Role = Literal["viewer", "operator", "administrator"]


class User(Record, frozen=True):
    """Who uses the staff page; the id is the login name. `name`: as people are shown it.

    `language`: of pages; `browser`: what the browser asks for. `second_factor`: signing in takes a code of an
    authenticator app too.
    """

    role: Role
    name: str = ""
    language: Literal["browser", "en", "es"] = "browser"
    disabled: bool = False
    second_factor: bool = False


class UserSecret(Record, frozen=True, tag="user_secret"):
    """What a User (the id) shows: `password` as Argon2id encodes its hash, `totp` in Base32 ("": none).

    `codes`: SHA-256 of the recovery codes that are left, each good once in place of a code of the app.
    """

    password: str
    totp: str = ""
    codes: tuple[str, ...] = ()
