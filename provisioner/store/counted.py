"""What the journal counted, and its evidence of emergency calls: the queries of `Journal` for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from provisioner.store import call_tables

Row = dict[str, Any]


class Counted(ABC):
    """Reads by the journal's own connections."""

    @abstractmethod
    def _read(self, sql: str, *values: float | str) -> list[Row]: ...

    def call_slots(self, since: float, until: float) -> list[Row]:
        """What was counted of calls, by half hour and direction (call_tables.py), oldest first; times since 1970."""
        sql = "SELECT * FROM call_slots WHERE slot >= ? AND slot < ? ORDER BY slot"
        return self._read(sql, int(since // call_tables.SLOT), int(until // call_tables.SLOT) + 1)

    def busy_slots(self, since: float, until: float) -> list[Row]:
        """Calls of each half hour, of all directions together: `slot`, `calls`."""
        sql = "SELECT slot, sum(calls) AS calls FROM call_slots WHERE slot >= ? AND slot < ? GROUP BY slot"
        return self._read(sql, int(since // call_tables.SLOT), int(until // call_tables.SLOT) + 1)

    def line_quality(self, since: float) -> list[Row]:
        """How lines were heard since then (whole days): `extension`, `calls`, `poor`, mean `mos`, `loss`, `jitter`."""
        sql = (
            "SELECT extension, sum(calls) AS calls, sum(poor) AS poor, sum(mos) / sum(calls) AS mos,"
            " sum(loss) / sum(calls) AS loss, sum(jitter) / sum(calls) AS jitter FROM line_days"
            " WHERE day >= ? GROUP BY extension HAVING sum(calls) > 0 ORDER BY mos, extension"
        )
        return self._read(sql, int(since // 86400))

    def request_minutes(self, since: float) -> list[Row]:
        """What phones asked for, by minute since 1970: `minute`, `requests`, `refused`, `failed`; oldest first."""
        return self._read("SELECT * FROM request_minutes WHERE minute >= ? ORDER BY minute", int(since // 60))

    def emergencies(self, since: float = 0.0, until: float = float("inf")) -> list[Row]:
        """Emergency, test and crisis calls that began in [since, until), oldest first."""
        return self._read(
            "SELECT * FROM emergencies WHERE at >= ? AND at < ? ORDER BY at, id", since, min(until, 1e18)
        )

    def newest_emergencies(self, limit: int, since: float = 0.0, until: float = 1e18) -> list[Row]:
        """The newest of `emergencies` in [since, until), newest first."""
        sql = "SELECT * FROM emergencies WHERE at >= ? AND at < ? ORDER BY at DESC, id DESC LIMIT ?"
        return self._read(sql, since, min(until, 1e18), limit)

    def tests(self, each: int, extensions: Sequence[str] = ()) -> list[Row]:
        """The newest `each` calls to 933 that are over, of all lines or of these; oldest first."""
        one = "SELECT DISTINCT extension AS line FROM emergencies WHERE kind = 'emergency-test'"
        if extensions:
            marks = ", ".join(["(?)"] * len(extensions))
            one = f"SELECT column1 AS line FROM (VALUES {marks})"  # noqa: S608 - marks only
        return self._read(
            f"SELECT emergencies.* FROM ({one}) JOIN emergencies ON emergencies.rowid IN"  # noqa: S608 - our own words
            " (SELECT rowid FROM emergencies WHERE kind = 'emergency-test' AND extension = line AND ended IS NOT NULL"
            " ORDER BY at DESC LIMIT ?) ORDER BY at, id",
            *extensions,
            each,
        )

    def notices(self, since: float = 0.0, state: str = "") -> list[Row]:
        """Who was told, or is to be, of calls from `since` on; with `state` only those in it. Oldest first."""
        where = "at >= ? AND state = ?" if state else "at >= ? AND state > ?"
        return self._read(f"SELECT * FROM notices WHERE {where} ORDER BY at, id", since, state)  # noqa: S608 - our own words

    def notices_of(self, call: str) -> list[Row]:
        """Who was told, or is to be, of one call; oldest first."""
        return self._read("SELECT * FROM notices WHERE call = ? ORDER BY at, id", call)
