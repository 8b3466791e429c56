"""What the front remembers of every answer to a phone: an event, a row in the journal, a count."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from provisioner.phones.trust import Verdict

MAX_TEXT = 200  # of a path or an agent that is kept


class JournalLike(Protocol):
    """What is used of the journal."""

    def write(self, table: str, row: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class Recorder:
    """Tells each answer to the journal and to `publish`; `count` is the number of all answers."""

    def __init__(
        self,
        publish: Callable[[str, dict[str, Any]], None],
        journal: JournalLike | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._publish = publish
        self.journal = journal
        self._clock = clock
        self.count = 0

    def answered(
        self, verdict: Verdict, address: str, method: str, path: str, status: int, size: int, agent: str
    ) -> None:
        """One answer. The path is kept without its query, since that may hold anything."""
        self.count += 1
        at = self._clock()
        who, asked = verdict.identity, verdict.asked
        mac = who.mac or (asked.mac if asked else "")
        row = {
            "at": at,
            "mac": mac,
            "address": address,
            "method": method,
            "path": path.partition("?")[0][:MAX_TEXT],
            "status": status,
            "bytes": size,
            "rule": verdict.rule,
            "agent": agent[:MAX_TEXT],
        }
        self._publish("request", row)
        if self.journal is None:
            return
        self.journal.write("requests", row)
        if mac and who.vendor and status != 403:
            self.journal.write(
                "sightings",
                {
                    "mac": mac,
                    "vendor": who.vendor,
                    "model": who.model,
                    "agent": row["agent"],
                    "address": address,
                    "last_seen": at,
                    "rule": verdict.rule,
                },
            )
