"""The row of a finished call: times, its legs, and the quality that media counted, of each and of the worst."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provisioner.edge.routes import called_number
from provisioner.media.quality import mos

if TYPE_CHECKING:
    from provisioner.edge.leg import Leg

HEARD = 50  # packets, a second's worth: less says nothing of a call
SCORES = (2.6, 3.1, 3.6, 4.0, 4.3, float("inf"))  # steps of user satisfaction (ITU-T G.107, annex B)
MAX_LEGS = 60  # of one call that are kept; a ring group has fewer
Row = dict[str, Any]


def leg_row(leg: Leg, now: float, began: float) -> Row:
    """A leg as the call log keeps it (docs/internals.md): what is empty is left out. Times: seconds after `began`."""
    station = leg.edge.directory.stations.get(leg.extension)
    agreed, peer, flow = leg.sdp.negotiated, leg.peer, leg.session.flow
    answered = None if leg.answered_at is None else round(leg.answered_at - began, 1)
    row: Row = {
        "extension": leg.extension,
        "mac": station.phone.id if station else "",
        "number": "" if leg.extension else leg.outside or called_number(leg.called),
        "trunk": peer.trunk.id if peer else "",
        "called": bool(leg.called),
        "codec": leg.codec,
        "srtp": bool(agreed and agreed.srtp),
        "transport": flow.transport,
        "address": flow.remote[0],
        "from": round(leg.began - began, 1),
        "answered": answered,
        "to": round(now - began, 1),
        "status": leg.status,
    }
    return {name: value for name, value in row.items() if value or isinstance(value, float)}


def _order(row: Row) -> tuple[float, bool]:
    """Who called us before whom we called."""
    return float(row["from"]), "called" in row


@dataclass
class _Call:
    """What is known of one call so far; `row` once it is over."""

    waiting: int = 0
    legs: list[tuple[Leg, float, Row]] = field(default_factory=list)  # when each was dropped, and its quality
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
        self.ended: Counter[tuple[str, str]] = Counter()  # calls by direction and outcome
        self._scores: Counter[float] = Counter()  # legs by the least of SCORES that is no less than theirs
        self._score_sum = 0.0

    def measured(self) -> Row:
        """Counts since the start, for monitoring: calls that ended, and how legs sounded (up to each score)."""
        below, rows = 0, []
        for score in SCORES:
            below += self._scores[score]
            rows.append(["+Inf" if score == SCORES[-1] else str(score), below])
        ended = [[*which, count] for which, count in sorted(self.ended.items())]
        return {"ended": ended, "quality": rows, "quality_sum": self._score_sum}

    def drop(self, leg: Leg) -> None:
        """Free a leg's media, and keep how it sounded for the call that it is in now."""
        name, codec, quality = leg.owner.id, leg.codec or "PCMU", Row()
        call = self._calls[name]
        call.waiting += 1
        if len(call.legs) < MAX_LEGS:
            call.legs.append((leg, leg.edge.wall_clock(), quality))
        leg.media.drop(lambda stats: self._came(name, codec, quality, stats))

    def _came(self, name: str, codec: str, quality: Row, stats: Row | None) -> None:
        call = self._calls[name]
        call.waiting -= 1
        received, lost = (int((stats or {}).get(key, 0)) for key in ("packets_in", "lost"))
        if stats and received >= HEARD:
            loss, jitter = 100 * lost / (received + lost), float(stats.get("jitter_ms", 0))
            score = mos(loss, jitter, codec)
            call.heard.append((score, loss, jitter))
            self._scores[next(each for each in SCORES if score <= each)] += 1
            self._score_sum += score
            quality |= {"mos": round(score, 2), "loss": round(loss, 2), "jitter_ms": round(jitter, 1)}
        if not call.waiting and not self._live(name):
            del self._calls[name]
            if call.row and call.heard:
                self._write(_complete(call.row, call))

    def over(self, row: Row) -> None:
        """A call is over: its row, in the columns of the journal's `calls` but for legs and quality."""
        call = self._calls[row["id"]]
        answered, ended = row["answered"], row["ended"]
        self.ended[str(row["direction"]), _outcome(row)] += 1
        row["ring_seconds"] = round(max(0.0, (answered or ended) - row["started"]), 1)
        row["talk_seconds"] = round(max(0.0, ended - answered), 1) if answered else 0.0
        self._write(_complete(row, call))
        if call.waiting:
            call.row = row
        else:
            del self._calls[row["id"]]

    def legs(self, name: str, began: float, live: Iterable[Leg], now: float) -> list[Row]:
        """The legs so far of a call that is on, in the order in which they began."""
        held = self._calls.get(name)
        rows = [] if held is None else _leg_rows(began, held)
        rows += [{**leg_row(leg, now, began), "to": None} for leg in live]
        return sorted(rows, key=_order)

    @property
    def pending(self) -> int:
        """Calls of which something is still to come."""
        return len(self._calls)


def _outcome(row: Row) -> str:
    """How a call ended, in one of five words."""
    said = str(row.get("outcome") or "")
    if row["answered"]:
        return "answered"
    if said.startswith("refused"):
        return "refused"
    if row["direction"] == "inbound":
        return "missed"
    return "busy" if "busy" in said else "unanswered"


def _leg_rows(began: float, call: _Call) -> list[Row]:
    rows = [{**leg_row(leg, at, began), **quality} for leg, at, quality in call.legs]
    return sorted(rows, key=_order)


def _complete(row: Row, call: _Call) -> Row:
    """The row with what is known of its legs and of how they sounded."""
    if call.legs:
        row = {**row, "legs": _leg_rows(row["started"], call)}
    if not call.heard:
        return row
    score, loss, jitter = min(call.heard)
    return {**row, "mos": round(score, 2), "loss": round(loss, 2), "jitter_ms": round(jitter, 1)}
