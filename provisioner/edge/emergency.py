"""Emergency and crisis calls: out by the first route that takes them, and nothing else (docs/calls.md).

No digest, no limit, no transfer, no menu. A route that says nothing for 4 s, or refuses, is followed by the
next; one that refuses the request with a location in it (424, 415, …) is asked again at once without it.
One that said 100 may be setting the call up: it is not left, but after 8 s the next is asked beside it, and who
rings or answers first has the call.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from provisioner.edge import emergency_row
from provisioner.edge.leg import Attempt, Kind, Leg
from provisioner.edge.routes import to_emergency
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.gateway import Gateway
    from provisioner.sip.sdp import AudioOffer

ROUTE_SECONDS = 4.0  # for any sign of life
BESIDE_SECONDS = 8.0  # then the next route is asked beside one that has said 100 and no more
WAITING_SECONDS = 16.0  # for routes that said 100, when there is none left to ask
ROUNDS = 2  # all routes are tried again once before the caller hears a refusal
# What a core may say that cannot take the location, its multipart body or its identifier. Nothing of the callee's state
# (480, 486, 600) is among it: the next route is to get the location too.
NO_LOCATION = frozenset(
    {400, 403, 404, 406, 413, 415, 416, 420, 424, 433, 484, 488, 493, 494, 500, 501, 513, 606}
)
_log = logging.getLogger(__name__)


@contextmanager
def _unharmed() -> Iterator[None]:
    """Whatever goes wrong with telling and writing, the call goes on."""
    try:
        yield
    except Exception:
        _log.exception("an emergency call goes on, but could not be told of")


class Caller(Protocol):
    """Who calls: the leg of a phone, or what listens to a test that nobody dialled (selftest.py)."""

    @property
    def extension(self) -> str: ...

    @property
    def over(self) -> bool: ...

    def offers(self, spoken: bool) -> Sequence[AudioOffer]: ...

    def progress(self, status: int = 180) -> None: ...

    def early(self, other: Leg | None = None) -> bool: ...

    def accept(self, other: Leg | None = None) -> bool: ...

    def hear(self, source: Leg) -> None: ...

    def hangup(self, status: int = 480) -> None: ...


def engaged(edge: Edge, extension: str) -> bool:
    """Whether the phone of an extension is in such a call: nothing else is to ring or beep there."""
    station = edge.directory.stations.get(extension)
    return station is not None and any(
        isinstance(call, EmergencyCall) and call.dialogs() and call.on(station)
        for call in edge.calls.values()
    )


class EmergencyCall:
    """One call to 911, 933 or 988 of a line. `origin`: who began it, `phone` or why a test is made."""

    may_transfer = False

    def __init__(
        self,
        edge: Edge,
        caller: Caller,
        code: str,
        kind: str,
        station: Station | None,
        origin: str = "phone",
    ) -> None:
        self.edge = edge
        self.id = edge.new_id()
        self.code = code
        self.kind = kind
        self.station = station
        self.origin = origin
        self.number = edge.directory.emergency_number(station, kind)
        self.location = edge.located(station) if kind != "crisis" else None
        self.started = edge.wall_clock()
        self.answered: float | None = None
        self.steps: list[tuple[float, str]] = []
        self.state = "ringing"
        self.over = False
        self.tried: list[dict[str, Any]] = []  # each route that was asked, in order
        self.outcome = ""
        self.ended: float | None = None
        self._caller = caller
        if isinstance(caller, Leg):
            caller.session.keep()
        self._results: dict[Leg, dict[str, Any]] = {}
        self._out: Leg | None = None
        self._attempt: Attempt | None = None
        self._waiting: dict[Leg, Attempt] = {}  # routes that said 100, while others are asked beside them
        self._refusers: list[Gateway] = []  # of the location, when others were asked already
        self._began = 0.0  # when this route was asked, with a location or without
        self._timer: Timer | None = None
        self._routes = edge.trunks.for_emergencies() * ROUNDS

    def begin(self) -> None:
        """Place the call, then tell the others about it."""
        self.edge.calls[self.id] = self
        self._next()
        self._tell()
        self._note("placed")

    def _next(self) -> None:
        """Try the next route; one that cannot even be asked is passed over."""
        while self._routes:
            gateway = self._routes.pop(0)
            if any(attempt.gateway is gateway for attempt in self._waiting.values()):
                continue
            located = None if gateway in self._refusers else self.location
            try:
                attempt = to_emergency(self.edge, gateway, self.code, self.number, located)
                self._began = self.edge.timers.clock()
                leg = self._ask(attempt)
            except Exception:
                _log.exception("a route of an emergency call cannot be used")
                continue
            if leg is None:
                break
            return
        if self._waiting:
            self._timer = self.edge.timers.after(WAITING_SECONDS, self._give_up)
        else:
            self._give_up()

    def _ask(self, attempt: Attempt) -> Leg | None:
        """Send the INVITE of a route; None when there is no media port for it."""
        media = self.edge.take_media(reserve=isinstance(self._caller, Leg))
        if media is None:
            return None
        self._attempt = attempt
        self._out = Leg.dial(self.edge, self, attempt, media, self._caller.offers(spoken=True))
        with _unharmed():
            row = emergency_row.route(attempt, self.edge.wall_clock() - self.started)
            self._results[self._out] = row
            self.tried.append(row)
        left = self._began + BESIDE_SECONDS - self.edge.timers.clock()
        self._timer = self.edge.timers.after(min(ROUTE_SECONDS, max(left, 0.0)), self._silent)
        return self._out

    def _silent(self) -> None:
        """This route does not answer; one that said 100 may have the call."""
        if not (self._out and self._out.heard):
            self._step("route silent")
            self._result(self._out, "silent")
            self._leave()
            self._next()
            return
        left = self._began + BESIDE_SECONDS - self.edge.timers.clock()
        self._timer = self.edge.timers.after(max(left, 0.0), self._beside)

    def _beside(self) -> None:
        """Ask the next route without leaving this one."""
        if self._out and self._attempt:
            self._step("route slow")
            self._result(self._out, "slow")
            self._waiting[self._out] = self._attempt
            self._out = None
            self._next()

    def _give_up(self) -> None:
        self._finish("no route took the call", 503)

    def _leave(self) -> None:
        """Leave the route asked last, and let a late answer end by itself."""
        if self._timer:
            self._timer.cancel()
        if self._out:
            self._out.hangup()
            self._out = None

    def _taken_by(self, leg: Leg) -> None:
        """A route rings or has answered: the others are left."""
        if leg is not self._out:
            self._leave()
            self._out, self._attempt = leg, self._waiting.pop(leg)
        elif self._timer:
            self._timer.cancel()
        self._leave_waiting()

    def _leave_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for other in waiting:
            other.hangup()

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None:
        """News of one of the two legs."""
        if self.over or leg not in (self._caller, self._out, *self._waiting):
            return
        if leg is self._caller:
            if kind in ("ended", "failed"):
                self._finish("caller hung up" if self.answered else "caller gave up")
            return
        if kind in ("ringing", "early", "answered"):
            self._taken_by(leg)
        if kind == "ringing":
            self._caller.progress(180)
        elif kind == "early":
            if self._caller.early(leg):
                self._connect(leg)
            else:
                self._finish("no codec in common", 488)
        elif kind == "answered":
            self._talk(leg)
        elif kind == "failed":
            self._refused(leg, detail)
        elif kind == "ended":
            self._finish("ended")

    def _connect(self, leg: Leg) -> None:
        self._caller.hear(leg)
        leg.hear(self._caller if isinstance(self._caller, Leg) else None)

    def _talk(self, leg: Leg) -> None:
        if not self._caller.accept(leg):
            self._finish("no codec in common", 488)
            return
        self._connect(leg)
        self.answered = self.edge.wall_clock()
        self._result(leg, "answered")
        self._step("talking")
        self._note("answered")

    def _refused(self, leg: Leg, status: int | str) -> None:
        """A failure of the route; not of the call while there are others."""
        late = self._waiting.pop(leg, None)
        attempt = late or self._attempt
        self._result(leg, f"refused ({status})")
        plain = attempt.plain if attempt and status in NO_LOCATION else None
        self._step("again without location" if plain else f"route refused ({status})")
        if plain:
            self.edge.count("location-refused")
            _log.error(
                "a core refuses emergency calls that carry a location (%s): see docs/trunks.md", status
            )
        if late and plain and plain.gateway:
            self._refusers.append(plain.gateway)
            self._routes.insert(0, plain.gateway)
        if not late or not (self._out or self._waiting):
            self._leave()
            if late or not plain or not self._ask(plain):
                self._next()

    def on(self, station: Station) -> bool:
        """Whether it was placed from the phone of a line."""
        return self.station is not None and self.station.phone.id == station.phone.id

    def dialogs(self) -> tuple[Leg, ...]:
        """The phone that called."""
        caller = self._caller
        return (caller,) if isinstance(caller, Leg) and caller.extension and not caller.over else ()

    def on_digit(self, leg: Leg, digit: str) -> None:
        """Keys are just tones here; media passes them on."""

    def on_played(self, leg: Leg) -> None:
        """Nothing is played here."""

    def hangup(self, outcome: str) -> None:
        """End the call from our side (only when the appliance stops)."""
        self._finish(outcome, 503)

    def _step(self, words: str) -> None:
        self.steps.append((round(self.edge.wall_clock() - self.started, 1), words))
        if words == "talking":
            self.state = words
        self._tell()

    def _tell(self) -> None:
        with _unharmed():
            self.edge.publish_call(self)

    def _note(self, outcome: str) -> None:
        with _unharmed():
            emergency_row.note(self.edge, self, outcome)

    def _result(self, leg: Leg | None, words: str) -> None:
        """What became of a route."""
        if leg in self._results:
            self._results[leg]["result"] = words

    def _finish(self, outcome: str, status: int = 480) -> None:
        if self.over:
            return
        self.over = True
        self._leave()
        self._leave_waiting()
        self._caller.hangup(status)
        self.state, self.outcome = "ended", outcome
        if self.kind == "emergency":
            self.edge.callbacks.note(self.station.extension if self.station else "", self.number)
        self.ended = self.edge.wall_clock()
        self._note(outcome)
        with _unharmed():
            self.edge.call_over(self, outcome)

    def view(self) -> dict[str, Any]:
        """CallView of docs/internals.md."""
        extension = self.station.extension if self.station else ""
        return {
            "id": self.id,
            "direction": "emergency",
            "state": self.state,
            "from": extension or "unknown phone",
            "to": self.code,
            "desk": extension,
            "target": "",
            "started": self.started,
            "answered": self.answered,
            "outcome": "",
            "steps": self.steps,
        }
