"""What the front remembers of every answer to a phone: an event, a row in the journal, a count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from provisioner.phones.identity import Identity
from provisioner.phones.proof import masked
from provisioner.phones.served import Memory
from provisioner.phones.trust import Verdict

MAX_TEXT = 200  # of a path or an agent that is kept
HANDED_OVER_EVERY = (
    0.1  # seconds: to wake the journal's thread for each answer would cost more than the answer
)


class JournalLike(Protocol):
    """What is used of the journal."""

    def write(self, table: str, row: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class Recorder:
    """Tells each answer to `publish` at once and to the journal soon; `count` is the number of all answers.

    `versions`: the firmware that each adopted phone was last seen with, by MAC.

    `later` calls a function some time later; without it the journal is told at once. `model`: what docs call the
    model of who asked.
    """

    def __init__(
        self,
        publish: Callable[[str, dict[str, Any]], None],
        journal: JournalLike | None = None,
        clock: Callable[[], float] = time.time,
        later: Callable[[Callable[[], None]], object] | None = None,
        model: Callable[[Identity], str] = lambda who: who.model,
    ) -> None:
        self._publish = publish
        self._model = model
        self.journal = journal
        self._clock = clock
        self._later = later
        self._requests: list[dict[str, Any]] = []
        self._sightings: dict[str, dict[str, Any]] = {}
        self._memory = Memory()
        self._served: list[tuple[str, dict[str, Any]]] = []
        self.versions: dict[str, str] = {}
        self.count = 0
        self.answers: Counter[tuple[str, int, str]] = Counter()  # by rule, status and maker

    def answered(
        self, verdict: Verdict, address: str, method: str, path: str, status: int, size: int, agent: str
    ) -> None:
        """One answer. The path is kept without its query and without a phone's own folder, which is a secret."""
        self.count += 1
        at = self._clock()
        who, asked = verdict.identity, verdict.asked
        self.answers[verdict.rule, status, who.vendor] += 1
        mac = who.mac or (asked.mac if asked else "")
        row = {
            "at": at, "mac": mac, "address": address, "method": method, "path": masked(path)[:MAX_TEXT],
            "status": status, "bytes": size, "rule": verdict.rule, "agent": agent[:MAX_TEXT],
        }  # fmt: skip
        self._publish("request", row)
        self._requests.append(row)
        if mac and who.vendor and (status not in (401, 403, 429) or verdict.rule == "not-adopted"):
            self._sightings[mac] = {
                "mac": mac,
                "vendor": who.vendor,
                "model": self._model(who),
                "agent": row["agent"],
                "address": address,
                "last_seen": at,
                "rule": verdict.rule,
                "firmware": who.version if who.stage != "Updater" else "",
            }
        made = verdict.made
        if made and asked and made.mac and status == 200 and method != "HEAD":
            self._served += self._memory.rows(asked.name, made, who, at)
            if who.version and who.stage != "Updater":
                self.versions[made.mac] = who.version
        if self._later is None:
            self.hand_over()
        elif len(self._requests) == 1:
            self._later(self.hand_over)

    def hand_over(self) -> None:
        """Give the journal what it has not been told yet."""
        requests, self._requests = self._requests, []
        sightings, self._sightings = self._sightings, {}
        served, self._served = self._served, []
        if self.journal is None:
            return
        for row in requests:
            self.journal.write("requests", row)
        for table, row in served:
            self.journal.write(table, row)
        for row in sightings.values():
            self.journal.write("sightings", row)
