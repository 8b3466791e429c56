"""The row of a finished call: times, and the quality that media counted, of the worse of its parties."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provisioner.media.quality import mos

if TYPE_CHECKING:
    from provisioner.edge.leg import Leg

HEARD = 50  # packets, a second's worth: less says nothing of a call
Row = dict[str, Any]


@dataclass
class _Call:
    """What is known of one call so far; `row` once it is over."""

    waiting: int = 0
    heard: list[tuple[float, float, float]] = field(
        default_factory=list
    )  # MOS, loss in percent, jitter in ms
    row: Row | None = None


class Records:
    """Writes each call's row when it is over, and once more when media has told of its last leg."""

    def __init__(self, write: Callable[[Row], None], live: Callable[[str], bool]) -> None:
        self._write = write
        self._live = live  # whether a call of that id is on
        self._calls: defaultdict[str, _Call] = defaultdict(_Call)

    def drop(self, leg: Leg) -> None:
        """Free a leg's media, and keep how it sounded for the call that it is in now."""
        name, codec = leg.owner.id, leg.codec or "PCMU"
        self._calls[name].waiting += 1
        leg.media.drop(lambda stats: self._came(name, codec, stats))

    def _came(self, name: str, codec: str, stats: Row | None) -> None:
        call = self._calls[name]
        call.waiting -= 1
        received, lost = (int((stats or {}).get(key, 0)) for key in ("packets_in", "lost"))
        if stats and received >= HEARD:
            loss, jitter = 100 * lost / (received + lost), float(stats.get("jitter_ms", 0))
            call.heard.append((mos(loss, jitter, codec), loss, jitter))
        if not call.waiting and not self._live(name):
            del self._calls[name]
            if call.row and call.heard:
                self._write(_with_quality(call.row, call.heard))

    def over(self, row: Row) -> None:
        """A call is over: its row, in the columns of the journal's `calls` but for the quality."""
        call = self._calls[row["id"]]
        answered, ended = row["answered"], row["ended"]
        row["ring_seconds"] = round(max(0.0, (answered or ended) - row["started"]), 1)
        row["talk_seconds"] = round(max(0.0, ended - answered), 1) if answered else 0.0
        if call.waiting:
            call.row = row
            self._write(row)
        else:
            del self._calls[row["id"]]
            self._write(_with_quality(row, call.heard) if call.heard else row)

    @property
    def pending(self) -> int:
        """Calls of which something is still to come."""
        return len(self._calls)


def _with_quality(row: Row, heard: list[tuple[float, float, float]]) -> Row:
    score, loss, jitter = min(heard)
    return {**row, "mos": round(score, 2), "loss": round(loss, 2), "jitter_ms": round(jitter, 1)}
