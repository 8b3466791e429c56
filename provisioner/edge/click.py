"""Click-to-call: the desk phone rings first and shows what it is about to call; when it answers, the edge dials."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from provisioner.dialing.transfer import RINGBACK
from provisioner.edge import outbound, placing, routes
from provisioner.edge.announce import log_refusal
from provisioner.edge.emergency import EmergencyCall, engaged
from provisioner.edge.leg import Attempt, Kind, Leg
from provisioner.edge.offers import offers_for
from provisioner.edge.ringing import ELSEWHERE
from provisioner.errors import OperatorError
from provisioner.sip.sdp import AudioOffer

if TYPE_CHECKING:
    from provisioner.dialing.classify import Destination
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.registrar import Binding
    from provisioner.sip.message import Header

DESK_SECONDS = 30.0
# What each maker's phone answers by itself to, where its setting `auto_answer` allows it.
_AUTO_ANSWER: dict[str, Header] = {
    "polycom": ("alert-info", "<http://provisioner.invalid>;info=alert-autoanswer"),
    "yealink": ("call-info", "<sip:provisioner.invalid>;answer-after=0"),
    "grandstream": ("call-info", "<sip:provisioner.invalid>;answer-after=0"),
}


class DeskLeg(Leg):
    """A desk phone that was rung first, in the place of a caller: it has answered before anybody is called."""

    placed = True

    @property
    def can_hear(self) -> bool:
        """Whether an announcement can be played."""
        return True

    def progress(self, status: int = 180) -> None:
        """Somebody is being rung."""
        self.hear(RINGBACK)

    def early(self, other: Leg | None = None) -> bool:
        """Whether it can hear `other`, or us."""
        return self._fits(other)

    def accept(self, other: Leg | None = None) -> bool:
        """Whether it can talk to `other`; if not, it is over."""
        return self._fits(other)

    def _fits(self, other: Leg | None) -> bool:
        fits = other is None or other.codec in self.sdp.codecs
        if not fits:
            self.hangup(488)
        return fits

    def offers(self, spoken: bool) -> list[AudioOffer]:
        """What whom it calls is offered."""
        return offers_for(b"", self.sdp.negotiated, spoken)


class Click:
    """A call that waits for its desk phone; then it goes on as any other, under the same id."""

    def __init__(
        self, edge: Edge, station: Station, dialled: str, destination: Destination, calling: str
    ) -> None:
        self.edge = edge
        self.id = edge.new_id()
        self.over = False
        self.started = edge.wall_clock()
        self.answered: float | None = None
        self._station = station
        self._dialled = dialled
        self._destination = destination
        self._calling = calling
        self._legs: list[Leg] = []
        self._timer = edge.timers.after(DESK_SECONDS, lambda: self._finish("the desk phone did not answer"))

    def begin(self) -> None:
        """Ring all phones of the line. Raises OperatorError when there is none."""
        extension = self._station.extension
        if engaged(self.edge, extension):
            self._timer.cancel()
            raise OperatorError(
                f"the phone with extension {extension} is in an emergency call", "wait until it is over"
            )
        self.edge.calls[self.id] = self
        for binding in self.edge.registrar.contacts(extension):
            media = self.edge.take_media()
            if media:
                self._legs.append(DeskLeg.dial(self.edge, self, self._attempt(binding), media))
        if not self._legs:
            self._finish("the desk phone is not registered")
            raise OperatorError(
                f"the phone with extension {extension} is not there", "check that it is on, then try again"
            )
        self.edge.publish_call(self)

    def _attempt(self, binding: Binding) -> Attempt:
        """An INVITE in the name of who is about to be called."""
        number = self._destination.number
        attempt = routes.to_phone(self.edge, binding, number, f"Call {routes.written(number)}")
        headers: list[Header] = [("p-asserted-identity", str(attempt.from_))]
        practice = self.edge.directory.snapshot.practice
        automatic = _AUTO_ANSWER.get(self._station.phone.vendor)
        if practice.click_auto_answer and automatic:
            headers.append(automatic)
        return replace(attempt, headers=(*attempt.headers, *headers))

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None:
        """News of a phone that rings."""
        if self.over or leg not in self._legs:
            return
        if kind == "answered":
            self._picked_up(leg)
        elif kind in ("failed", "ended"):
            self._legs.remove(leg)
            if not self._legs:
                self._finish(
                    "the desk phone was busy" if detail in (486, 600) else "the desk phone did not answer"
                )

    def _picked_up(self, leg: Leg) -> None:
        """Stop the others, and call; what may be called is asked anew."""
        self.over = True
        self._timer.cancel()
        for other in self._legs:
            if other is not leg:
                other.hangup(reason=ELSEWHERE)
        leg.hear(RINGBACK)
        destination = outbound.destination(self.edge, self._dialled, "software", self._station)
        if destination.kind in ("emergency", "emergency-test", "crisis"):
            call = EmergencyCall(self.edge, leg, destination.number, destination.kind, self._station)
            call.id, call.started, leg.owner = self.id, self.started, call
            call.begin()
        else:
            known = self.id, self.started
            placing.place(self.edge, leg, self._station, destination, self._calling, known=known)

    def dialogs(self) -> list[Leg]:
        """The phones that ring."""
        return [leg for leg in self._legs if not leg.over]

    def on_digit(self, leg: Leg, digit: str) -> None:
        """No key means anything yet."""

    def on_played(self, leg: Leg) -> None:
        """Nothing is played to its end."""

    def hangup(self, outcome: str) -> None:
        """End it from our side."""
        self._finish(outcome)

    def _finish(self, outcome: str) -> None:
        if self.over:
            return
        self.over = True
        self._timer.cancel()
        for leg in self._legs:
            leg.hangup()
        self.edge.call_over(self, outcome)

    def view(self) -> dict[str, Any]:
        """CallView of docs/internals.md."""
        return {
            "id": self.id,
            "direction": "internal" if self._destination.kind == "extension" else "outbound",
            "state": "ringing",
            "from": self._station.extension,
            "to": self._destination.number,
            "desk": self._station.extension,
            "target": "",
            "started": self.started,
            "answered": None,
            "outcome": "",
            "steps": [],
        }


def call(edge: Edge, extension: str, to: str, number: str = "") -> dict[str, Any]:
    """The control call `call`: ring the phone with `extension`, then call `to` showing `number`, "" for its own.

    Raises OperatorError when that cannot be, in words for who asked.
    """
    station = edge.directory.stations.get(extension)
    if station is None:
        raise OperatorError(f"no line has extension {extension[:20]!r}", "choose a phone of the practice")
    if number and edge.directory.number(number) is None:
        raise OperatorError("that number is not one of the practice", "choose one of its numbers to be shown")
    destination = outbound.destination(edge, to, "software", station)
    if destination.kind == "refused":
        log_refusal(edge, destination, extension)
        raise OperatorError(f"this is not called: {destination.reason}", "call another number")
    if destination.number == extension:
        raise OperatorError("that is the phone's own extension", "call another one")
    if edge.closing:
        raise OperatorError("the appliance stops", "try again in a moment")
    begun = Click(edge, station, to, destination, number)
    begun.begin()
    return {"call": begun.id}
