"""A call of the public network to the practice, in a core that plays the menus of a warm transfer (way `core`)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Literal

from provisioner.core.line import Line, News
from provisioner.dialing import transfer
from provisioner.dialing.classify import Destination, Plan, classify
from provisioner.dialing.transfer import MUSIC, Party, Play, Transfer
from provisioner.errors import PeerError

if TYPE_CHECKING:
    from provisioner.core.switch import Switch
    from provisioner.sip.session import Session

EXTENSION_LENGTH = 3
RING_SECONDS = 40.0  # that a practice may let a patient ring: longer than a group of its own

Purpose = Literal["call", "target", "recall"]


class Bridge:
    """`caller`, `desk` and `target` as in the machine; one line may be rung besides."""

    def __init__(self, switch: Switch, session: Session, from_: str, to: str) -> None:
        self.id = switch.agent.new_tag()
        self.from_, self.to = from_, to
        self.state = "ringing"
        self.desk = self.target = self.heard = ""
        self.over = False
        self._switch = switch
        self._session = session
        self._lines: dict[Party, Line] = {}
        self._hears: dict[Party, Party | Play | None] = {}
        self._rung: tuple[Purpose, Line] | None = None
        self._machine: Transfer | None = None
        self._wait: asyncio.TimerHandle | None = None
        self._answered = False

    def view(self) -> dict[str, Any]:
        """Its row in `transfers` (docs/internals.md)."""
        row = {"id": self.id, "state": self.state, "from": self.from_, "to": self.to}
        return {**row, "desk": self.desk, "target": self.target, "heard": self.heard}

    def begin(self) -> None:
        """Ring the practice for who calls."""
        caller = self._switch.line(self._session.flow.remote[0], self._news)
        try:
            caller.take(self._session)
        except PeerError as error:
            self._lines["caller"] = caller
            self._finish(error.status)
            return
        self._lines["caller"] = caller
        self._enter("ringing")
        self._ring("call", self.to)
        self._set_wait(RING_SECONDS)

    def _ring(self, purpose: Purpose, number: str) -> None:
        try:
            outside = purpose == "target" and len(number) != EXTENSION_LENGTH
            line = self._switch.dial(number, self._shown(purpose, outside), self._news, outside)
        except OSError:
            self._not_reached(purpose, 503)
            return
        self._rung = (purpose, line)

    def _shown(self, purpose: Purpose, outside: bool) -> str:
        """The calling number: for a target the desk that transfers, outside the number called; else who called."""
        own = self.to if outside else self.desk or self.to
        return own if purpose == "target" else self.from_

    # news

    def _news(self, line: Line, news: News, detail: int | str) -> None:
        if self.over:
            return
        rung = self._rung
        party = next((party for party, other in self._lines.items() if other is line), None)
        if rung and rung[1] is line:
            self._on_rung(rung[0], line, news, detail)
        elif party and news in ("ended", "failed"):
            self._gone(party)
        elif news == "held":
            for who, source in list(self._hears.items()):
                self._hear(who, source)
        elif party == "desk" and self._machine:
            if news == "digit":
                self.heard += str(detail)
                self._do(self._machine.digit(str(detail)))
            elif news == "played":
                self._do(self._machine.played())

    def _on_rung(self, purpose: Purpose, line: Line, news: News, detail: int | str) -> None:
        if news == "answered":
            self._won(purpose, line, str(detail))
        elif news in ("failed", "ended"):
            self._rung = None
            if self._lines.get("target") is line:
                del self._lines["target"]
            self._not_reached(purpose, int(detail) or 480)
        elif purpose == "call":
            caller = self._lines["caller"]
            caller.progress(183 if news == "early" else 180)
            if news == "early":
                caller.hear(line)
                line.hear(caller)
        elif purpose == "target" and news == "early" and self._machine:
            self._lines["target"] = line
            self._do(self._machine.target_early())

    def _won(self, purpose: Purpose, line: Line, extension: str) -> None:
        self._rung = None
        if purpose == "target":
            self._lines["target"] = line
            self._do(self._machine.target_answered() if self._machine else [])
            return
        self._lines["desk"] = line
        self.desk = extension or (self.to if len(self.to) == EXTENSION_LENGTH else "")
        if purpose == "call":
            self._answered = True
            self._lines["caller"].accept()
            self._talk("talking")
        elif self._machine:
            self._do(self._machine.desk_answered())

    def _not_reached(self, purpose: Purpose, status: int) -> None:
        if purpose == "call":
            self._finish(status)
        elif self._machine:
            target = purpose == "target"
            self._do(self._machine.target_failed(status) if target else self._machine.desk_failed())

    def _gone(self, party: Party) -> None:
        del self._lines[party]
        if self._machine is None or not self._answered:
            self._finish()
        elif party == "caller":
            self._do(self._machine.caller_ended())
        else:
            self._do(self._machine.desk_ended() if party == "desk" else self._machine.target_ended())

    # what the machine says

    def _talk(self, state: str) -> None:
        """Caller and desk hear each other; whoever has an extension may transfer."""
        self._enter(state)
        self._machine = Transfer(self._resolve, self._switch.on_hangup)
        if state == "joined" and not self.desk:
            self._machine = None
            self._set_wait(None)
            self._hear("caller", "desk")
            self._hear("desk", "caller")
        else:
            self._do(self._machine.start(), quiet=True)

    def _resolve(self, digits: str) -> Destination | str:
        """Which extensions there are, the practice knows: it refuses the others with 404."""
        could_be = re.fullmatch(r"\d{3}", digits) and not re.fullmatch(r"[2-9]11", digits)
        extensions = frozenset({digits} if could_be else {})
        found = classify(
            digits, "transfer", Plan(extensions or frozenset({"-"}), self.desk, EXTENSION_LENGTH)
        )
        return found.prompt or "invalid" if found.kind == "refused" else found

    def _hear(self, party: Party, source: Party | Play | None) -> None:
        self._hears[party] = source
        line = self._lines.get(party)
        if line is None:
            return
        if isinstance(source, str):
            other = self._lines.get(source)
            line.hear(MUSIC if other is None or other.held else other)
        else:
            line.hear(source)

    def _do(self, actions: list[transfer.Action], quiet: bool = False) -> None:
        machine = self._machine
        for action in actions:
            self._act(action)
        if machine and machine is self._machine and not self.over:
            if machine.state == "over":
                self._finish()
            elif not quiet:
                self._enter(machine.state)

    def _act(self, action: transfer.Action) -> None:
        match action:
            case transfer.Hear():
                self._hear(action.party, action.source)
            case transfer.Take():
                if "desk" in self._lines:
                    self._lines["desk"].keep(action.keys)
            case transfer.Wait():
                self._set_wait(action.seconds)
            case transfer.Release():
                self._release(action.party)
            case transfer.Dial(destination=Destination() as destination):
                self.target = destination.number
                self._ring("target", destination.number)
            case transfer.Recall():
                self._ring("recall", self.desk or self.to)
            case transfer.RingGroup():
                self._ring_group()
            case transfer.Promote():
                self._lines["desk"] = self._lines.pop("target")
                self.desk = self.target if len(self.target) == EXTENSION_LENGTH else ""
                self._talk("joined")

    def _ring_group(self) -> None:
        """Whoever answers for the number that was called; an extension is nobody's group."""
        if len(self.to) == EXTENSION_LENGTH:
            self._do(self._machine.desk_failed() if self._machine else [])
        else:
            self._ring("recall", self.to)
            self._set_wait(transfer.RECALL_SECONDS)

    def _release(self, party: Party) -> None:
        purpose = {"target": "target", "desk": "recall"}.get(party)
        if self._rung and self._rung[0] == purpose:
            self._rung[1].hangup()
            self._rung = None
        line = self._lines.pop(party, None)
        if line and not line.over:
            line.hangup()

    def _set_wait(self, seconds: float | None) -> None:
        if self._wait:
            self._wait.cancel()
        loop = asyncio.get_running_loop()
        self._wait = loop.call_later(seconds, self._timeout) if seconds is not None else None

    def _timeout(self) -> None:
        if self._machine is None:
            self._finish()
        elif self._machine.state == "group":
            self._release("desk")
            self._do(self._machine.desk_failed())
        else:
            self._do(self._machine.timeout())

    # the end

    def _enter(self, state: str) -> None:
        self.state = state
        self._switch.changed(self)

    def hangup(self) -> None:
        """End it from our side."""
        self._finish()

    def _finish(self, status: int = 480) -> None:
        if self.over:
            return
        self.over = True
        self._set_wait(None)
        if self._rung:
            self._rung[1].hangup()
        for line in self._lines.values():
            if not line.over:
                line.hangup(status)
        self._enter("ended")
