"""Who called an emergency centre in the last half hour, so that its call back rings there (docs/calls.md; RFC 7090)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from provisioner.edge import leads
from provisioner.edge.ringing import Member, Plan
from provisioner.store.records import EXTENSION_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.edge.directory import Directory

SECONDS = 1800.0
MOST = 256  # calls that are remembered


class _Called(msgspec.Struct, frozen=True):
    """One emergency call: from which extension ("": of nobody that we know), with which number, when (since 1970)."""

    extension: str
    number: str
    at: float


class Callbacks:
    """Times are the wall clock's: the window must outlast a restart. `changed` is called when there is news to keep."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._now = wall_clock
        self._calls: list[_Called] = []
        self.changed: Callable[[], None] = lambda: None

    def note(self, extension: str, number: str) -> None:
        """An emergency call begins or ends: its window begins anew."""
        same = [
            called for called in self._recent() if (called.extension, called.number) != (extension, number)
        ]
        self._calls = [*same, _Called(extension, number, self._now())][-MOST:]
        self.changed()

    def remember(self) -> list[_Called]:
        """What has to be kept."""
        return self._recent()

    def recall(self, kept: object) -> None:
        """Take what was kept; anything else is left."""
        try:
            self._calls = msgspec.convert(kept, list[_Called])[-MOST:]
        except msgspec.ValidationError:
            self._calls = []

    def _recent(self) -> list[_Called]:
        now = self._now()
        return [called for called in self._calls if 0 <= now - called.at < SECONDS]

    def plan(self, directory: Directory, called: str, marked: bool, first: Mapping[str, str]) -> Plan | None:
        """Who is rung for a call to `called`; None when it is no call back. `marked`: the core says that it is one.

        The phones that called with this number, else, when marked, all that called; then who would be rung
        anyway, past all that would keep the call from them.
        """
        recent = self._recent()
        matching = [each for each in recent if each.number == called] or (recent if marked else [])
        if not matching and not marked:
            return None
        usual = leads.of_number(directory, called, first, urgent=True)
        phones = dict.fromkeys(each.extension for each in matching if each.extension in directory.stations)
        if not phones:
            return usual
        others = tuple(member for member in (usual.members if usual else ()) if member.target not in phones)
        members = [Member(extension, EXTENSION_SECONDS) for extension in phones]
        return Plan((replace(members[0], busy=others, late=others), *members[1:]))
