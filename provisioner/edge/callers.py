"""Who calls from outside: as it is kept, as a phone may show it, and as it is said aloud (docs/calls.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioner.edge.routes import called_number, caller_of
from provisioner.edge.screening import say
from provisioner.media import prompts
from provisioner.sip.headers import split_list
from provisioner.sip.message import Request
from provisioner.store.records import Number

if TYPE_CHECKING:
    from provisioner.edge.directory import Station

INTERNATIONAL = "International caller"
WITHHELD = "Anonymous"
_ABROAD = re.compile(r"\+(?!1)[0-9]+|\+1(?![0-9]{10}\Z)[0-9]*|011[0-9]+|00[0-9]+|[0-9]{11,}")
_WITHHOLDS = frozenset({"id", "user", "header"})  # RFC 3323 section 4.2, RFC 3325 section 9.3


@dataclass(frozen=True)
class Caller:
    """`number` and `name` as they may be kept; `withheld`: no phone is to show them."""

    number: str
    name: str = ""
    withheld: bool = False

    @property
    def abroad(self) -> bool:
        """From outside of the North American Numbering Plan: nothing of it is kept."""
        return self.number == INTERNATIONAL


def identify(request: Request) -> Caller:
    """The caller of an INVITE that the core sent."""
    user, name = caller_of(request)
    number = called_number(user)
    if _ABROAD.fullmatch(number) and not re.fullmatch(r"\+1[0-9]{10}", number):
        return Caller(INTERNATIONAL)
    asked = {word.strip().lower() for line in request.all("privacy") for word in line.split(";")}
    nameless = number.lower() in ("", "anonymous", "unknown", "restricted", "unavailable")
    plain = name if re.sub(r"[^0-9]", "", name)[-10:] != number[-10:] else ""  # a number is no name
    return Caller(number, plain, bool(asked & _WITHHOLDS) or nameless)


def shown(caller: Caller, called: str, number: Number | None, urgent: bool = False) -> tuple[str, str]:
    """(display name, user) that a desk phone shows; with caller privacy those of the number that was called.

    Who calls back from an emergency centre is always shown.
    """
    if not urgent and (number is None or number.caller_privacy):
        return (number.label if number else "Outside call"), called
    if caller.abroad or caller.withheld:
        return (INTERNATIONAL if caller.abroad else WITHHELD), "anonymous"
    return caller.name, caller.number


def spoken(caller: Caller) -> list[str]:
    """The audio names that say who calls: the name where it can be spoken, else the digits."""
    if caller.abroad:
        return ["caller-international"]
    digits = caller.number.removeprefix("+1")
    if caller.withheld or not (caller.name or digits.isdecimal()):
        return ["caller-unknown"]
    return say(caller.name) or (prompts.spell(digits) if digits.isdecimal() else ["caller-unknown"])


def spoken_station(station: Station | None) -> list[str]:
    """The audio names that say which line of the practice calls."""
    if station is None:
        return ["caller-unknown"]
    return say(station.line.name) or prompts.spell(station.extension)


def diversions(request: Request) -> int:
    """How often a call was diverted before it came to us (RFC 5806 section 4: `counter`; RFC 7044: entries)."""
    entries = [item for line in request.all("diversion") for item in split_list(line)]
    counters = [re.search(r";\s*counter=([0-9]{1,3})", item) for item in entries]
    passed = sum(int(counter[1]) if counter else 1 for counter in counters)
    history = [item for line in request.all("history-info") for item in split_list(line)]
    return max(passed, len(history) - 1)
