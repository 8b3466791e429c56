"""The rows of corpus.toml: what is dialled, by whom, and what must become of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

from provisioner.dialing.classify import Destination, Origin, Plan

_FILE = tomllib.loads((Path(__file__).parent / "corpus.toml").read_text())
EXTENSIONS: dict[int, tuple[str, ...]] = {int(key): tuple(each) for key, each in _FILE["practice"].items()}
PLANS = {length: Plan(frozenset(each), own=each[0], length=length) for length, each in EXTENSIONS.items()}


class Outcome(NamedTuple):
    """Where it goes; `prompt` and `status` when it is refused."""

    kind: str
    number: str = ""
    prompt: str = ""
    status: int = 0
    international: bool = False


def outcome(found: Destination) -> Outcome:
    """A destination without the words that say why."""
    return Outcome(found.kind, found.number, found.prompt, found.status, found.international)


def _read(text: str) -> Outcome:
    if named := _FILE["outcomes"].get(text):
        return Outcome(**{"kind": "refused", **named})
    what, _, number = text.rpartition(" ")
    if number.startswith("+"):
        return Outcome("outbound", number, international=what == "abroad")
    assert what in ("extension", "service"), text
    return Outcome(what, number)


class Row(NamedTuple):
    """One thing that is dialled, by everybody. `wait`: none, pause, or "" where a phone may keep it."""

    dialled: str
    keypad: Outcome
    software: Outcome
    transfer: Outcome
    wait: str
    length: int
    fact: str

    def by(self, origin: Origin) -> Outcome:
        """What becomes of it from there."""
        found: Outcome = getattr(self, origin)
        return found

    def __str__(self) -> str:
        return f"{self.fact or 'row'}:{self.dialled or 'nothing'}" + (":4" if self.length == 4 else "")


def _row(given: dict[str, str | int]) -> Row:
    keypad = str(given["keypad"])
    said = [_read(str(given.get(origin, keypad))) for origin in ("keypad", "software", "transfer")]
    return Row(
        str(given["dialled"]),
        *said,
        str(given.get("wait", "")),
        int(given.get("length", 3)),
        str(given.get("fact", "")),
    )


ROWS = [_row(given) for given in _FILE["corpus"]["rows"]]
KEYS = frozenset("0123456789*#")


def keyed(row: Row) -> bool:
    """Whether it can be dialled with a phone's keys."""
    return bool(row.dialled) and set(row.dialled) <= KEYS
