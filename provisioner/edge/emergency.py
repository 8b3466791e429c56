"""Emergency and crisis calls: out by the first route that takes them, and nothing else (docs/calls.md).

No digest, no limit, no transfer, no menu. A route that says nothing for 4 s, or refuses, is followed by the
next; one that refuses the request with a location in it (424, 415, …) is asked again at once without it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from provisioner.edge import emergency_row
from provisioner.edge.leg import Attempt, Kind, Leg
from provisioner.edge.routes import to_emergency
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.sip.sdp import AudioOffer

ROUTE_SECONDS = 4.0
RINGING_SECONDS = 20.0  # for a route that said 100 in time and is still setting the call up
ROUNDS = 2  # all routes are tried again once before the caller hears a refusal
NO_LOCATION = frozenset(
    {*range(400, 500), 513}
)  # a core that cannot take the location may answer any of these
_log = logging.getLogger(__name__)


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
        self.number = edge.directory.emergency_number(station)
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
        self._out: Leg | None = None
        self._attempt: Attempt | None = None
        self._timer: Timer | None = None
        self._routes = edge.trunks.for_emergencies() * ROUNDS

    def begin(self) -> None:
        """Place the call, then tell the others about it."""
        self.edge.calls[self.id] = self
        self._next()
        self.edge.publish_call(self)
        self._note("placed")

    def _next(self) -> None:
        """Try the next route; one that cannot even be asked is passed over."""
        while self._routes:
            gateway = self._routes.pop(0)
            try:
                attempt = to_emergency(self.edge, gateway, self.code, self.number, self.location)
            except Exception:
                _log.exception("a route of an emergency call cannot be used")
                continue
            self._dial(attempt)
            return
        self._finish("no route took the call", 503)

    def _dial(self, attempt: Attempt) -> None:
        media = self.edge.take_media(reserve=isinstance(self._caller, Leg))
        if media is None:
            self._finish("no media port", 503)
            return
        self._attempt = attempt
        self.tried.append(emergency_row.route(attempt, self.edge.wall_clock() - self.started))
        self._out = Leg.dial(self.edge, self, attempt, media, self._caller.offers(spoken=True))
        self._timer = self.edge.timers.after(ROUTE_SECONDS, self._silent)

    def _silent(self) -> None:
        """This route does not answer; one that said 100 has the call, for a while."""
        if self._out and self._out.heard:
            self._timer = self.edge.timers.after(RINGING_SECONDS, self._next_route)
        else:
            self._next_route()

    def _next_route(self) -> None:
        """Leave this route, and let a late answer end by itself."""
        self._step("route silent")
        self._result("silent")
        self._leave()
        self._next()

    def _leave(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._out:
            self._out.hangup()
            self._out = None

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None:
        """News of one of the two legs."""
        if self.over or leg not in (self._caller, self._out):
            return
        if leg is self._caller:
            if kind in ("ended", "failed"):
                self._finish("caller hung up" if self.answered else "caller gave up")
            return
        if kind in ("ringing", "early", "answered") and self._timer:
            self._timer.cancel()
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
            self._refused(detail)
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
        self._result("answered")
        self._step("talking")
        self._note("answered")

    def _refused(self, status: int | str) -> None:
        """A failure of the route; not of the call while there are others."""
        self._result(f"refused ({status})")
        self._leave()
        attempt = self._attempt
        if attempt and attempt.plain and status in NO_LOCATION:
            self._step("again without location")
            self._dial(attempt.plain)
            self.edge.count("location-refused")
            _log.error(
                "a core refuses emergency calls that carry a location (%s): see docs/trunks.md", status
            )
            return
        self._step(f"route refused ({status})")
        self._next()

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
        self.edge.publish_call(self)

    def _result(self, words: str) -> None:
        """What became of the route that was asked last."""
        if self.tried:
            self.tried[-1]["result"] = words

    def _note(self, outcome: str) -> None:
        """Tell; whatever goes wrong with that is nothing to the call."""
        try:
            self.edge.note_emergency(self, outcome)
        except Exception:
            _log.exception("an emergency call could not be told of")

    def _finish(self, outcome: str, status: int = 480) -> None:
        if self.over:
            return
        self.over = True
        self._leave()
        self._caller.hangup(status)
        self.state, self.outcome, self.ended = "ended", outcome, self.edge.wall_clock()
        if self.kind == "emergency":
            self.edge.callbacks.note(self.station.extension if self.station else "", self.number)
        self._note(outcome)
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
