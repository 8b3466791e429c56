"""One call: a caller, those who are rung for it, and what the ringing and transfer machines say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from provisioner.dialing import transfer
from provisioner.dialing.classify import Destination
from provisioner.dialing.transfer import MUSIC, Party, Play, Transfer, failure_prompt
from provisioner.edge import answers, callers, leads, outbound, reach, ringing
from provisioner.edge.announce import UNREACHABLE, Announcement
from provisioner.edge.callers import Caller
from provisioner.edge.leg import Attempt, Kind, Leg
from provisioner.edge.release import Release, possible
from provisioner.edge.renegotiation import Renegotiation
from provisioner.edge.ringing import Member, Plan
from provisioner.edge.rung import Purpose, Reach, Rung
from provisioner.sip.message import Request
from provisioner.sip.sdp import SPOKEN
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.sip.refer import Referral

Direction = Literal["internal", "inbound", "outbound", "emergency"]
SILENT_SECONDS = 65.0  # media tells of a silent party once a minute
REFUSALS = frozenset({302, 486, 600, 603})  # what a phone says that forwards, does not disturb, or declines
_log = logging.getLogger(__name__)


def hops_left(invite: Request) -> int:
    """Max-Forwards of a call that goes on from `invite`, so that loops across us end (RFC 3261 16.6)."""
    text = invite.get("max-forwards", "70").strip()
    return max(0, min(int(text), 255) - 1) if text.isdecimal() and len(text) < 6 else 69


def _outcome(ring: Rung, status: int) -> tuple[str, int]:
    """What the log says of a call that nobody took, and the answer."""
    if not ring.legs:
        return ("no media port", 503) if ring.no_media else ("nobody to ring", 480)
    if ring.machine.timed_out:
        return "no answer", 480
    return ("busy" if status == 486 else "nobody answered"), status


class Call:
    """A back-to-back call. `who`: who calls, when it is not a desk phone."""

    def __init__(self, edge: Edge, direction: Direction, caller: str, called: str) -> None:
        self.edge = edge
        self.id = edge.new_id()
        self.direction: Direction = direction
        self.caller_number = caller
        self.called = called
        self.station: Station | None = None  # of the caller, when it is a desk phone
        self.who = Caller(caller)
        self.diversions = 0  # before it came to us
        self.urgent = False  # it rings past all that would keep it from a phone
        self.may_transfer = direction in ("internal", "inbound")
        self.legs: dict[Party, Leg] = {}
        self.transfer: Transfer | None = None
        self.state = "ringing"
        self.target_name = ""
        self.started = edge.wall_clock()
        self.answered: float | None = None
        self.steps: list[tuple[float, str]] = []
        self.over = False
        self._ring: Rung | None = None
        self._wait: Timer | None = None
        self._hears: dict[Party, Party | Play | None] = {}
        self._desk_extension = ""
        self._desk_outside = ""  # number of the desk user, when that is no desk phone
        self._release_of: Release | None = None
        self.trail = ""
        self._hops = 70
        self._reason = ""  # of who left, for the others
        self._referral: Referral | None = None  # the REFER that is being carried out
        self._failure = 480  # how the target of that failed
        self._renegotiation: Renegotiation | None = None
        self._turned = False  # caller and desk have changed places for it

    # ringing

    def begin(self, leg: Leg, attempts: list[Attempt], seconds: float) -> None:
        """Ring `attempts` for the caller's `leg`."""
        self.begin_plan(leg, Plan((Member(),), seconds=seconds), lambda _member: attempts)

    def begin_plan(self, leg: Leg, plan: Plan, reached: Reach | None = None) -> None:
        """Ring those of `plan` for the caller's `leg`."""
        self.legs["caller"] = leg
        self._hops = hops_left(leg.session.invite)
        self.edge.calls[self.id] = self
        if self.edge.speech and not self.who.withheld and plan.asks:
            self.edge.speech.prepare(self.id, self.who.name)
        self._ring_for("call", plan, reached or (lambda member: reach.for_caller(self.edge, self, member)))
        if not self.over and self.state == "ringing":
            self.edge.publish_call(self)

    def _ring_for(self, purpose: Purpose, plan: Plan, reached: Reach) -> None:
        party = self.legs.get("caller") or self.legs["desk"]
        spoken = self.may_transfer or plan.asks

        def attempts(member: Member) -> list[Attempt]:
            return [replace(each, hops=self._hops, trail=self.trail) for each in reached(member)]

        self._ring = Rung(self.edge, self, self, purpose, plan, attempts, party.offers(spoken))
        self._ring.begin()

    def _stop_ringing(self, reason: str = "") -> None:
        if self._ring:
            ring, self._ring = self._ring, None
            ring.stop(reason)

    def rings(self, ring: Rung, leg: Leg, kind: Kind) -> None:
        """A leg that is being rung rings, or has early media."""
        if ring.purpose == "call":
            self._tell_caller(ring, leg, kind)
        elif ring.purpose == "target" and self.transfer:
            if self._referral:
                self._referral.report(180)
            if kind == "early" and ring.machine.alone:
                self.legs["target"] = leg
                self._do(self.transfer.target_early())

    def _tell_caller(self, ring: Rung, leg: Leg, kind: Kind) -> None:
        caller = self.legs["caller"]
        if kind == "early" and ring.machine.alone:
            if not caller.early(leg):
                self._finish("no codec in common", 488)
                return
            caller.hear(leg)
            leg.hear(caller)
        else:
            caller.progress(180)

    def announced(self) -> list[str]:
        """The audio names that say who calls, for who is asked whether the call is wanted."""
        if self.direction == "inbound" and not (self._ring and self._ring.purpose == "target"):
            clip = self.edge.speech.clip(self.id) if self.edge.speech else ""
            return [clip] if clip else callers.spoken(self.who)
        station = self.edge.directory.stations.get(self._desk_extension) or self.station
        return callers.spoken_station(station)

    def won(self, ring: Rung, leg: Leg, member: Member) -> None:
        """Somebody has taken the call."""
        self._ring = None
        if member.screened:
            leg.take("")
        if ring.purpose == "target":
            self.legs["target"] = leg
            if self.transfer:
                self._do(self.transfer.target_answered())
            return
        self.legs["desk"] = leg
        self._desk_extension, self._desk_outside = leg.extension, leg.outside
        if ring.purpose == "recall":
            if self.transfer:
                self._do(self.transfer.desk_answered())
        elif self.legs["caller"].accept(leg):
            self.answered = self.edge.wall_clock()
            self._talk()
        else:
            self._finish("no codec in common", 488)

    def nobody(self, ring: Rung, status: int) -> None:
        """Nobody has taken it."""
        self._ring = None
        statuses = [*ring.machine.statuses.values()]
        if ring.plan.group:  # a busy group is nobody's busy line: the core shall take voicemail
            status = 480
        of_core = self.direction == "inbound" and self.station is not None  # it plays the menus
        if len(statuses) == 1 and (
            self.direction != "inbound" or of_core
        ):  # a core shall take voicemail: 480
            status = answers.mapped(statuses[0], of_core)
            self._reason = next(iter(ring.legs.values())).reason
        if ring.purpose == "call" and self.direction == "outbound" and ring.legs and ring.unreachable:
            self._announce(UNREACHABLE)
        elif ring.purpose == "call":
            self._untaken(*_outcome(ring, status))
        elif self.transfer and ring.purpose == "target":
            if not ring.legs:
                status = 480 if self.target_name in self.edge.directory.stations else 503
            status = statuses[0] if len(statuses) == 1 else status
            self._failure = answers.mapped(status) if ring.legs else 480
            self.legs.pop("target", None)
            self._do(self.transfer.target_failed(status))
        elif self.transfer:
            self._do(self.transfer.desk_failed())

    def _announce(self, refused: Destination, prompt: str = "") -> None:
        """An announcement instead of a dead line; it goes on under this call's id."""
        self.over = True
        caller = self.legs.pop("caller")
        announcement = Announcement(self.edge, caller, refused, self.caller_number, self.called, prompt)
        announcement.known_as(self.id, self.started)
        announcement.begin()

    def _untaken(self, outcome: str, status: int) -> None:
        """Who was rung before anybody was called has no tones of its own for this: it is told."""
        if self.legs["caller"].placed:
            self._announce(Destination("refused", reason=outcome, status=status), failure_prompt(status))
        else:
            self._finish(outcome, status)

    # talking

    def _talk(self, state: str = "talking") -> None:
        """Caller and desk hear each other; a desk phone that received the call may transfer it."""
        self._turn_back()
        self._step(state)
        desk = self.legs["desk"]
        armed = desk.codec in SPOKEN
        if self._transferable and armed:
            practice = self.edge.directory.snapshot.practice
            self.transfer = Transfer(self._resolve, practice.on_hangup)
            self._do(self.transfer.start(), quiet=True)
        else:
            self.transfer = None
            self._hear("caller", "desk")
            self._hear("desk", "caller")
            if self._transferable:
                desk.take("*")

    def _renegotiate(self) -> None:
        """The desk user wants the menu in a call whose codec we do not speak."""
        desk = self.legs["desk"]
        desk.take("all")
        self._renegotiation = Renegotiation((desk, self.legs["caller"]), self._renegotiated)
        self._renegotiation.begin()

    def _renegotiated(self, agreed: bool) -> None:
        over, self._renegotiation = self._renegotiation, None
        desk = self.legs.get("desk")
        if over is None or desk is None or "caller" not in self.legs or self.over:
            return
        if not agreed:
            _log.info("call %s stays in %s: no keypad menu", self.id, desk.codec)
            self.edge.count("menu-not-armed")
            desk.take("*")
            return
        self._talk()
        for key in "*" + over.keys:
            self.on_digit(desk, key)

    def _resolve(self, digits: str) -> Destination | str:
        """The transfer menu's own use of the dial plan: a destination, or the prompt that says why not."""
        desk = self.edge.directory.stations.get(self._desk_extension)
        destination = outbound.destination(self.edge, digits, "transfer", desk)
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
        if self._referral and machine and machine.state != "referred":
            self._settle(self._referral, machine.state == "joined")
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
            elif machine.state == "talking" and not self._transferable:
                self._talk()
            elif not quiet:
                self._step(machine.state)

    def _do_call(self, action: transfer.Action) -> None:
        if isinstance(action, transfer.Dial):
            self._dial_target(action.destination)
        elif isinstance(action, transfer.Recall):
            desk = Member(self._desk_extension or self._desk_outside, screened=bool(self._desk_outside))
            self._recall(Plan((desk,)))
        elif isinstance(action, transfer.RingGroup):
            self._recall(self._group())
        elif isinstance(action, transfer.Promote):
            self._promote()

    def _released(self) -> None:
        self._finish("released to the core")

    def _set_wait(self, seconds: float | None) -> None:
        if self._wait:
            self._wait.cancel()
        self._wait = self.edge.timers.after(seconds, self._timeout) if seconds is not None else None

    def _timeout(self) -> None:
        self._failure = 408
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
        plan = leads.of_target(self.edge.directory, destination, self._desk_extension)
        self._ring_for(
            "target", plan, lambda member: reach.for_target(self.edge, self._desk_extension, member)
        )

    def _recall(self, plan: Plan | None) -> None:
        """Ring desk phones with a caller who is already here."""
        if plan:
            self._ring_for("recall", plan, lambda member: reach.for_caller(self.edge, self, member))
        elif self.transfer:
            self._do(self.transfer.desk_failed())

    def _group(self) -> Plan | None:
        """The ring group of the number that was called."""
        plan = leads.of_number(self.edge.directory, self.called, self.edge.first)
        return plan if plan and plan.group else None

    def _promote(self) -> None:
        """The transfer is complete: the target has the desk's place, and its desk phone may transfer again."""
        self.legs["desk"] = self.legs.pop("target")
        self._desk_extension, self._desk_outside = self.legs["desk"].extension, ""
        self._talk("joined")
        caller, target = self.legs.get("caller"), self.legs.get("desk")
        if caller and target and possible(caller, target):
            self._release_of = Release(self.edge, caller, target, self._released)

    # a phone's own keys: REFER and Replaces (`referral.py`)

    @property
    def _transferable(self) -> bool:
        """Whether the desk may use the keypad's menu: somebody of the practice who received the call."""
        desk = self.legs.get("desk")
        return (
            self.may_transfer and not self._turned and bool(desk and (desk.extension or self._desk_outside))
        )

    def may_refer(self, leg: Leg) -> bool:
        """Whether a phone's transfer key means anything now: it talks, and no transfer is under way."""
        calm = self.transfer is None or self.transfer.state == "talking"
        talking = (
            leg in self.legs.values()
            and len(self.legs) == 2
            and all(other.session.state == "up" for other in self.legs.values())
        )
        return bool(leg.extension) and talking and calm and self._ring is None and not self.over

    def refer(self, leg: Leg, destination: Destination, referral: Referral) -> None:
        """Connect whom `leg` talks to with `destination`; who asked for it may go at once."""
        self._do(self._referred(leg, referral).refer(destination))

    def join(self, leg: Leg, far: Leg, name: str, referral: Referral) -> None:
        """Connect whom `leg` talks to with `far`, whom it talks to in another call."""
        machine = self._referred(leg, referral)
        far.owner = self
        self.legs["target"], self.target_name = far, name
        self._do(machine.join())

    def _referred(self, leg: Leg, referral: Referral) -> Transfer:
        if self.legs["caller"] is leg:
            self._turn()
        self._desk_extension = leg.extension
        self._referral, self._failure = referral, 480
        self.transfer = Transfer(self._resolve, self.edge.directory.snapshot.practice.on_hangup)
        return self.transfer

    def _turn(self) -> None:
        """Who referred takes the place of the desk."""
        self.legs["caller"], self.legs["desk"] = self.legs["desk"], self.legs["caller"]
        self._turned = not self._turned

    def _turn_back(self) -> None:
        """The transfer is over, one way or the other."""
        if self._turned and "caller" in self.legs and "desk" in self.legs:
            self._turn()
            self._desk_extension = self.legs["desk"].extension
        self._turned = False

    def _settle(self, referral: Referral, done: bool) -> None:
        """Tell who referred what became of it, before its leg may be released."""
        self._referral = None
        referral.report(200 if done else self._failure)

    def give_up(self, leg: Leg) -> tuple[Leg, str]:
        """End this call but for the far end of `leg`: that, and its extension or number, is handed out."""
        party: Party = "caller" if self.legs["desk"] is leg else "desk"
        far = self.legs.pop(party)
        name = far.extension or (self.caller_number if party == "caller" else self.called)
        far.take("")
        self._finish("transferred")
        return far, name

    def replace(self, old: Leg, new: Leg) -> None:
        """`new`, which just called, takes the place of `old`: it is answered, and `old` released."""
        ring = self._ring if self._ring and self._ring.name_of(old) else None
        if not new.accept(None if ring else self.legs["caller"]):
            return
        if ring:
            ring.take_over(old, new)
            old.hangup(reason=ringing.ELSEWHERE)
            return
        party = next(party for party, leg in self.legs.items() if leg is old)
        self.legs[party] = new
        old.hangup()
        self._desk_extension = self.legs["desk"].extension
        self._talk()

    def dialogs(self) -> Iterator[Leg]:
        """The legs of desk phones that are in it, or that ring for it."""
        ringing = [*self._ring.legs.values()] if self._ring else []
        talking = [leg for leg in self.legs.values() if leg not in ringing]
        yield from (leg for leg in (*talking, *ringing) if leg.extension and not leg.over)

    def far(self, leg: Leg) -> Leg | None:
        """Whom a phone in it talks to, or is called by; None while it calls itself."""
        opposite: dict[str, Party] = {"caller": "desk", "target": "desk"}
        party = next((party for party, other in self.legs.items() if other is leg), "")
        return self.legs.get(opposite.get(party, "caller"))

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
        if ring and ring.name_of(leg):
            if self.urgent and kind == "failed" and detail in REFUSALS:
                self.edge.count("callback-refused")
                _log.error("a phone does not take the call back of an emergency centre (%s)", detail)
            ring.on_leg(leg, kind, detail)
            return
        gone: list[Party] = [party for party, other in self.legs.items() if other is leg]
        if gone and kind in ("ended", "failed"):
            private = self.direction == "inbound" and gone[0] == "caller"
            self._reason = answers.bare(leg.reason) if private else leg.reason
            self._on_gone(gone[0])

    def _on_gone(self, party: Party) -> None:
        del self.legs[party]
        if party == "caller" and self.answered is None:
            self._finish("caller gave up")
        elif self._release_of and self._release_of.ended():
            for other in self.legs:
                self._hear(other, MUSIC)
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
        if self._ring:
            self._ring.on_digit(leg, digit)
        if leg is not self.legs.get("desk"):
            return
        if self.transfer:
            self._do(self.transfer.digit(digit))
        elif self._renegotiation:
            self._renegotiation.keys += digit
        elif digit == "*" and self._transferable and "caller" in self.legs:
            self._renegotiate()

    def on_played(self, leg: Leg) -> None:
        """What a leg was played has ended."""
        if self._ring:
            self._ring.on_played(leg)
        if self.transfer and leg is self.legs.get("desk"):
            self._do(self.transfer.played())

    def on_silent(self) -> None:
        """Media heard nothing of a party for a minute: when that holds for all of them, nobody is there any more."""
        after = self.edge.timers.clock() - SILENT_SECONDS
        if self.legs and all(leg.silent_at > after and not leg.held for leg in self.legs.values()):
            self._finish("no sound from anybody")

    def hangup(self, outcome: str) -> None:
        """End the call from our side."""
        self._finish(outcome, 503)

    def _step(self, state: str) -> None:
        self._enter(state)
        self.edge.publish_call(self)

    def _enter(self, state: str) -> None:
        if state != self.state:
            self.state = state
            with_target = state in ("dialling", "referred", "consulting", "joined") and self.target_name
            words = f"{state} {self.target_name}" if with_target else state
            self.steps.append((round(self.edge.wall_clock() - self.started, 1), words))

    def _finish(self, outcome: str, status: int = 480) -> None:
        """Release everything, once."""
        if self.over:
            return
        self.over = True
        self._set_wait(None)
        if self._release_of:
            self._release_of.stop()
        self._stop_ringing(self._reason)
        if self._referral:
            self._settle(self._referral, False)
        for leg in list(self.legs.values()):
            leg.hangup(status, self._reason)
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
            "desk": self._desk_extension
            or self._desk_outside
            or (self.station.extension if self.station else ""),
            "target": self.target_name,
            "started": self.started,
            "answered": self.answered,
            "outcome": "",
            "steps": self.steps,
        }
