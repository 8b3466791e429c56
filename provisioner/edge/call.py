"""One call: a caller, those who are rung for it, and what the ringing and transfer machines say."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from provisioner.dialing.classify import Destination, classify
from provisioner.edge import ringing, transfer
from provisioner.edge.announce import UNREACHABLE, Announcement
from provisioner.edge.leg import Attempt, Kind, Leg
from provisioner.edge.transfer import MUSIC, Party, Play, Transfer
from provisioner.sip.sdp import G711
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge

Direction = Literal["internal", "inbound", "outbound", "emergency"]
_log = logging.getLogger(__name__)


@dataclass
class _Ring:
    """Those who are being rung now, and what for."""

    purpose: Literal["call", "target", "recall"]
    machine: ringing.Ringing
    legs: dict[str, Leg]
    timer: Timer | None = None

    @property
    def unreachable(self) -> bool:
        """All failed without a word from the far end, or because it can take no calls at all."""
        failed = self.machine.ringing
        return all(
            failed[name] == 503 or (failed[name] == 408 and not leg.heard) for name, leg in self.legs.items()
        )

    def member(self, leg: Leg) -> str:
        return next((name for name, other in self.legs.items() if other is leg), "")


class Call:
    """A back-to-back call. `group`: extensions to fall back on when a transfer loses its desk."""

    def __init__(self, edge: Edge, direction: Direction, caller: str, called: str) -> None:
        self.edge = edge
        self.id = edge.new_id()
        self.direction: Direction = direction
        self.caller_number = caller
        self.called = called
        self.station: Station | None = None  # of the caller, when it is a desk phone
        self.group: Sequence[str] = ()
        self.may_transfer = direction in ("internal", "inbound")
        self.legs: dict[Party, Leg] = {}
        self.transfer: Transfer | None = None
        self.state = "ringing"
        self.target_name = ""
        self.started = edge.wall_clock()
        self.answered: float | None = None
        self.steps: list[tuple[float, str]] = []
        self.over = False
        self._ring: _Ring | None = None
        self._wait: Timer | None = None
        self._hears: dict[Party, Party | Play | None] = {}
        self._desk_extension = ""

    # ringing

    def begin(self, leg: Leg, attempts: list[Attempt], seconds: float) -> None:
        """Ring `attempts` for the caller's `leg`."""
        self.legs["caller"] = leg
        self.edge.calls[self.id] = self
        if not attempts:
            self._finish("nobody to ring", 480)
            return
        if not self._ring_all("call", attempts, seconds):
            self._finish("no media port", 503)
            return
        self.edge.publish_call(self)

    def _ring_all(
        self, purpose: Literal["call", "target", "recall"], attempts: list[Attempt], seconds: float | None
    ) -> bool:
        """Ring all of `attempts`; False when there is none, or no media port for any."""
        legs: dict[str, Leg] = {}
        party = self.legs.get("caller") or self.legs["desk"]
        offers = party.offers(self.may_transfer)
        for index, attempt in enumerate(attempts):
            media = self.edge.take_media()
            if media:
                legs[str(index)] = Leg.dial(self.edge, self, attempt, media, offers)
        if not legs:
            return False
        self._ring = _Ring(purpose, ringing.Ringing(legs), legs)
        if seconds is not None:
            self._ring.timer = self.edge.timers.after(seconds, self._ring_timeout)
        return True

    def _ring_timeout(self) -> None:
        ring = self._ring
        if ring is None:
            return
        for leg in ring.legs.values():
            self.edge.contact_failed(leg)
        self._stop_ringing()
        if ring.purpose == "call":
            self._finish("no answer", 480)
        elif self.transfer:
            self._do(self.transfer.desk_failed())

    def _stop_ringing(self, reason: str = "") -> None:
        if self._ring:
            ring, self._ring = self._ring, None
            if ring.timer:
                ring.timer.cancel()
            for action in ring.machine.stop(reason):
                if isinstance(action, ringing.Stop):
                    ring.legs[action.member].hangup(reason=action.reason)

    def _on_ringing(self, ring: _Ring, leg: Leg, kind: Kind, detail: int | str) -> None:
        """News of a leg that is being rung."""
        member = ring.member(leg)
        if kind == "answered":
            self._carry_out(ring, ring.machine.answered(member))
        elif kind in ("failed", "ended"):
            status = detail if isinstance(detail, int) else 480
            if status == 408:
                self.edge.contact_failed(leg)
            self._carry_out(ring, ring.machine.failed(member, status))
        elif ring.purpose == "call":
            self._tell_caller(ring, leg, kind)
        elif ring.purpose == "target" and kind == "early" and len(ring.legs) == 1 and self.transfer:
            self.legs["target"] = leg
            self._do(self.transfer.target_early())

    def _tell_caller(self, ring: _Ring, leg: Leg, kind: Kind) -> None:
        caller = self.legs["caller"]
        if kind == "early" and len(ring.legs) == 1:
            if not caller.early(leg):
                self._finish("no codec in common", 488)
                return
            caller.hear(leg)
            leg.hear(caller)
        else:
            caller.progress(180)

    def _carry_out(self, ring: _Ring, actions: list[ringing.Action]) -> None:
        for action in actions:
            if isinstance(action, ringing.Stop):
                ring.legs[action.member].hangup(reason=action.reason)
            elif isinstance(action, ringing.Won):
                self._won(ring, ring.legs[action.member])
            else:
                self._nobody(ring, action.status)

    def _end_ring(self, ring: _Ring) -> None:
        if ring.timer:
            ring.timer.cancel()
        self._ring = None

    def _won(self, ring: _Ring, leg: Leg) -> None:
        self._end_ring(ring)
        if ring.purpose == "target":
            self.legs["target"] = leg
            if self.transfer:
                self._do(self.transfer.target_answered())
            return
        self.legs["desk"] = leg
        self._desk_extension = leg.extension
        if ring.purpose == "recall":
            if self.transfer:
                self._do(self.transfer.desk_answered())
        elif self.legs["caller"].accept(leg):
            self.answered = self.edge.wall_clock()
            self._talk()
        else:
            self._finish("no codec in common", 488)

    def _nobody(self, ring: _Ring, status: int) -> None:
        self._end_ring(ring)
        if ring.purpose == "call" and self.direction == "outbound" and ring.unreachable:
            self._core_unreachable()
        elif ring.purpose == "call":
            self._finish("busy" if status == 486 else "nobody answered", status)
        elif self.transfer and ring.purpose == "target":
            statuses = [*ring.machine.ringing.values()]
            self.legs.pop("target", None)
            self._do(self.transfer.target_failed(statuses[0] if len(statuses) == 1 else status))
        elif self.transfer:
            self._do(self.transfer.desk_failed())

    def _core_unreachable(self) -> None:
        """An announcement instead of a dead line; it goes on under this call's id."""
        self.over = True
        assert self.station
        caller = self.legs.pop("caller")
        announcement = Announcement(self.edge, caller, UNREACHABLE, self.station, self.called)
        announcement.id, announcement.started = self.id, self.started
        announcement.begin()

    # talking

    def _talk(self, state: str = "talking") -> None:
        """Caller and desk hear each other; a desk phone that received the call may transfer it."""
        desk = self.legs["desk"]
        self._step(state)
        armed = desk.codec in G711
        if self.may_transfer and desk.extension and not armed:
            _log.info("call %s runs in %s: no keypad menu", self.id, desk.codec)
            self.edge.count("menu-not-armed")
        if self.may_transfer and desk.extension and armed:
            practice = self.edge.directory.snapshot.practice
            self.transfer = Transfer(self._resolve, practice.on_hangup)
            self._do(self.transfer.start(), quiet=True)
        else:
            self.transfer = None
            self._hear("caller", "desk")
            self._hear("desk", "caller")

    def _resolve(self, digits: str) -> Destination | str:
        """The transfer menu's own use of the dial plan: a destination, or the prompt that says why not."""
        directory = self.edge.directory
        plan = directory.plan(directory.stations.get(self._desk_extension))
        destination = classify(digits, "transfer", plan)
        if destination.kind == "refused":
            return destination.prompt or "invalid"
        return destination

    def _hear(self, party: Party, source: Party | Play | None) -> None:
        """`party` hears `source`; while a source is on hold, music in its place."""
        self._hears[party] = source
        leg = self.legs.get(party)
        if leg is None or leg.over:
            return
        if isinstance(source, str):
            other = self.legs.get(source)
            leg.hear(MUSIC if other is None or other.held else other)
        else:
            leg.hear(source)

    def _do(self, actions: list[transfer.Action], quiet: bool = False) -> None:
        """Carry out what the transfer machine says; `quiet`: its state is not news."""
        machine = self.transfer
        for action in actions:
            if isinstance(action, transfer.Hear):
                self._hear(action.party, action.source)
            elif isinstance(action, transfer.Take):
                if "desk" in self.legs:
                    self.legs["desk"].take(action.keys)
            elif isinstance(action, transfer.Wait):
                self._set_wait(action.seconds)
            elif isinstance(action, transfer.Release):
                self._release(action.party)
            else:
                self._do_call(action)
        if machine and not self.over and machine is self.transfer:
            if machine.state == "over":
                self._finish("ended")
            elif not quiet:
                self._step(machine.state)

    def _do_call(self, action: transfer.Action) -> None:
        if isinstance(action, transfer.Dial):
            self._dial_target(action.destination)
        elif isinstance(action, transfer.Recall):
            self._recall([self._desk_extension], None)
        elif isinstance(action, transfer.RingGroup):
            self._recall(self.group, transfer.RECALL_SECONDS)
        elif isinstance(action, transfer.Promote):
            self._promote()

    def _set_wait(self, seconds: float | None) -> None:
        if self._wait:
            self._wait.cancel()
        self._wait = self.edge.timers.after(seconds, self._timeout) if seconds is not None else None

    def _timeout(self) -> None:
        if self.transfer:
            self._do(self.transfer.timeout())

    def _release(self, party: Party) -> None:
        ring = self._ring
        if ring and (party, ring.purpose) in (("target", "target"), ("desk", "recall")):
            self._stop_ringing()
        leg = self.legs.pop(party, None)
        if leg:
            leg.hangup()

    def _dial_target(self, destination: object) -> None:
        assert isinstance(destination, Destination)
        self.target_name = destination.number
        attempts = self.edge.target_attempts(destination, self._desk_extension)
        if not self._ring_all("target", attempts, None) and self.transfer:
            self._do(self.transfer.target_failed(480 if destination.kind == "extension" else 503))

    def _recall(self, extensions: Sequence[str], seconds: float | None) -> None:
        """Ring desk phones with a caller who is already here."""
        name, user = self.edge.shown_caller(self)
        attempts = [a for extension in extensions for a in self.edge.phone_attempts(extension, user, name)]
        if not self._ring_all("recall", attempts, seconds) and self.transfer:
            self._do(self.transfer.desk_failed())

    def _promote(self) -> None:
        """The transfer is complete: the target has the desk's place, and may transfer again."""
        target = self.legs.pop("target")
        self.legs["desk"] = target
        self._desk_extension = target.extension
        self._talk("joined")

    # news

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None:
        """A leg says what became of it."""
        if self.over:
            return
        if kind == "held":
            for party, source in list(self._hears.items()):
                self._hear(party, source)
            return
        ring = self._ring
        if ring and ring.member(leg):
            self._on_ringing(ring, leg, kind, detail)
            return
        gone: list[Party] = [party for party, other in self.legs.items() if other is leg]
        if gone and kind in ("ended", "failed"):
            self._on_gone(gone[0])

    def _on_gone(self, party: Party) -> None:
        del self.legs[party]
        if party == "caller" and self.answered is None:
            self._finish("caller gave up")
        elif self.transfer is None:
            self._finish("ended")
        elif party == "caller":
            self._do(self.transfer.caller_ended())
        elif party == "desk":
            self._do(self.transfer.desk_ended())
        else:
            self._do(self.transfer.target_ended())

    def on_digit(self, leg: Leg, digit: str) -> None:
        """A key that media kept for us."""
        if self.transfer and leg is self.legs.get("desk"):
            self._do(self.transfer.digit(digit))

    def on_played(self, leg: Leg) -> None:
        """What a leg was played has ended."""
        if self.transfer and leg is self.legs.get("desk"):
            self._do(self.transfer.played())

    def hangup(self, outcome: str) -> None:
        """End the call from our side."""
        self._finish(outcome, 503)

    def _step(self, state: str) -> None:
        self._enter(state)
        self.edge.publish_call(self)

    def _enter(self, state: str) -> None:
        if state != self.state:
            self.state = state
            with_target = state in ("dialling", "consulting", "joined") and self.target_name
            words = f"{state} {self.target_name}" if with_target else state
            self.steps.append((round(self.edge.wall_clock() - self.started, 1), words))

    def _finish(self, outcome: str, status: int = 480) -> None:
        """Release everything, once."""
        if self.over:
            return
        self.over = True
        self._set_wait(None)
        self._stop_ringing()
        for leg in list(self.legs.values()):
            leg.hangup(status)
        self._enter("ended")
        self.edge.call_over(self, outcome)

    def view(self) -> dict[str, Any]:
        """CallView of docs/internals.md; `outcome` is added at the end."""
        return {
            "id": self.id,
            "direction": self.direction,
            "state": self.state,
            "from": self.caller_number,
            "to": self.called,
            "desk": self._desk_extension or (self.station.extension if self.station else ""),
            "target": self.target_name,
            "started": self.started,
            "answered": self.answered,
            "outcome": "",
            "steps": self.steps,
        }
