"""A refused call: the caller hears why as early media, then gets the refusal; never a silent failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provisioner.dialing.classify import Destination
from provisioner.dialing.transfer import PROMPT_SECONDS, Play
from provisioner.edge.leg import Kind, Leg
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge


UNREACHABLE = Destination(
    "refused", reason="no core answers", prompt="trunk-down", status=480
)  # a core's 503 is never passed on (RFC 3261 16.7)


class Announcement:
    """Plays one prompt to who called, then refuses the call. `caller`, `called`: extension or number, for the log."""

    def __init__(
        self, edge: Edge, leg: Leg, refused: Destination, caller: str, called: str = "", prompt: str = ""
    ) -> None:
        self.edge = edge
        self.id = edge.new_id()
        self.over = False
        self.started = edge.wall_clock()
        self.answered: float | None = None
        self._leg = leg
        self._called = called
        leg.owner = self
        self._prompt = prompt or refused.prompt or "invalid"
        self._status = refused.status
        self._caller = caller
        self._outcome = refused.reason if prompt else f"refused: {refused.reason}"
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Open early media and play; a phone that offers nothing we can play in is refused at once."""
        self.edge.calls[self.id] = self
        if self._leg.can_hear and self._leg.early():
            self._leg.hear(Play((self._prompt,)))
            self._timer = self.edge.timers.after(PROMPT_SECONDS, self._finish)
        else:
            self._finish()

    def known_as(self, name: str, started: float) -> None:
        """Go on under the id of a call that is on."""
        self.id, self.started = name, started

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None:
        """The caller hung up while it heard."""
        if kind in ("ended", "failed"):
            self._finish()

    def dialogs(self) -> tuple[Leg, ...]:
        """Nobody is talked to."""
        return ()

    def on_digit(self, leg: Leg, digit: str) -> None:
        """No key means anything here."""

    def on_played(self, leg: Leg) -> None:
        """All was said."""
        self._finish()

    def hangup(self, outcome: str) -> None:
        """The appliance stops."""
        self._finish()

    def _finish(self) -> None:
        if self.over:
            return
        self.over = True
        if self._timer:
            self._timer.cancel()
        self._leg.hangup(self._status)
        self.edge.call_over(self, self._outcome)

    def view(self) -> dict[str, Any]:
        """CallView of docs/internals.md; what was dialled and no keypad has is not repeated."""
        return {
            "id": self.id,
            "direction": "outbound",
            "state": "refused",
            "from": self._caller,
            "to": self._called,
            "desk": self._leg.extension,
            "target": "",
            "started": self.started,
            "answered": None,
            "outcome": "",
            "steps": [],
        }


def log_refusal(edge: Edge, refused: Destination, extension: str) -> None:
    """Write the row of a call that was refused before anybody was there to hear why."""
    now = edge.wall_clock()
    row = {"id": edge.new_id(), "started": now, "answered": None, "ended": now, "direction": "outbound"}
    row |= {"caller": extension, "called": refused.number, "desk": extension, "target": "", "steps": []}
    edge.records.over({**row, "outcome": f"refused: {refused.reason}", "emergency": 0})
