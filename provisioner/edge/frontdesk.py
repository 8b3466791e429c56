"""Front-desk phones at an emergency call: a MESSAGE each, and a short call that says who and where (docs/emergency.md).

Beside the call, never in its way: no media port of the emergency reserve, and whatever fails here is only written down.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from provisioner.dialing.transfer import Play
from provisioner.edge import routes
from provisioner.edge.emergency import engaged
from provisioner.edge.leg import Kind, Leg
from provisioner.emergency import notices
from provisioner.media.prompts import spell
from provisioner.sip.headers import NameAddr
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge
    from provisioner.edge.registrar import Binding
    from provisioner.sip.message import Response

Row = dict[str, Any]

RING_SECONDS = 60.0  # for somebody to come to the desk
SAID = 3  # times, to who picked up
AGAIN = (15.0, 60.0, 240.0)  # seconds after a MESSAGE that was not taken, the last again and again
LATE_SECONDS = 1800.0  # till then it is tried, and a phone that registers is told at once
REMEMBERED = 256
LABEL = 60  # letters; more is cut off by phones in odd places
ALERT = "<http://provisioner.invalid/emergency>;info=emergency"
NO_TEXT = frozenset({400, 403, 404, 405, 415, 488, 501, 603, 606})  # a phone that takes no messages at all
_SPEAKING = {"emergency": "front-emergency", "emergency-test": "front-test"}
_DIGITS = dict(zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True))
_log = logging.getLogger(__name__)


@dataclass
class _Text:
    """A MESSAGE to one front-desk extension. `left`: contacts that have not answered yet."""

    row: Row
    words: str
    left: int = 0
    timer: Timer | None = field(default=None, repr=False)


class FrontDesk:
    """`tell` with each state of a call's row; what was said of it is not said again."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._told: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)
        self._texts: dict[str, _Text] = {}  # not delivered yet, by notice id
        self.rings: dict[str, Ring] = {}  # by extension

    def tell(self, row: Row) -> None:
        """A call began, was answered or failed. Never raises."""
        occasion = notices.occasions(row)[-1]
        key = (row["id"], occasion)
        if key in self._told:
            return
        self._told.append(key)
        facts = notices.told(row, occasion, self._edge.directory.snapshot.practice)
        for phone in self._edge.directory.snapshot.phones.values():
            if phone.front_desk and phone.lines and phone.id != row["mac"]:
                try:
                    self._tell(phone.lines[0].extension, row, facts)
                except Exception:
                    _log.exception("a front-desk phone could not be told")

    def _tell(self, extension: str, row: Row, facts: Row) -> None:
        occasion = facts["occasion"]
        notice = self._notice(extension, row, occasion, "message")
        self._text(_Text(notice, notices.text(facts)))
        wanted = self._edge.directory.snapshot.notifying.ring and not self._edge.closing
        if wanted and occasion != "answered" and extension not in self.rings:
            ring = Ring(self, self._edge, extension, row, facts)
            self.rings[extension] = ring
            ring.begin()

    def _notice(self, extension: str, row: Row, occasion: str, channel: str) -> Row:
        """A row of the journal's `notices`."""
        now = self._edge.wall_clock()
        return {
            "id": notices.notice_id(row["id"], occasion, channel, extension),
            "call": row["id"],
            "at": now,
            "channel": channel,
            "target": extension,
            "occasion": occasion,
            "state": "pending",
            "tries": 0,
            "due": now,
            "problem": "",
            "body": {},
        }

    # messages

    def _text(self, text: _Text) -> None:
        bindings = self._edge.registrar.contacts(text.row["target"])
        text.row["tries"] += 1
        text.left = len(bindings)
        self._texts[text.row["id"]] = text
        for binding in bindings:
            self._send(text, binding)
        if not bindings:
            self._settle(text, "the phone is not registered")

    def _send(self, text: _Text, binding: Binding) -> None:
        agent = self._edge.agent
        name = self._edge.directory.snapshot.practice.name
        attempt = routes.to_phone(self._edge, binding, "provisioner", name)
        headers = [("content-type", "text/plain;charset=utf-8"), ("priority", "emergency")]
        message = agent.new_request("MESSAGE", attempt.uri, attempt.from_, NameAddr(attempt.to.uri), headers)
        message.body = text.words.encode()[:1100]
        agent.request(message, binding.flow, lambda response: self._answered(text, response))

    def _answered(self, text: _Text, response: Response | None) -> None:
        """The first phone that takes it settles it, as the last one does that does not."""
        if (response and response.status < 200) or text.row["id"] not in self._texts:
            return
        text.left -= 1
        if response and response.status < 300:
            self._settle(text, "")
        elif not text.left:
            status = response.status if response else 408
            self._settle(text, f"the phone did not take the message ({status})", status not in NO_TEXT)

    def _settle(self, text: _Text, problem: str, again: bool = True) -> None:
        """Write what came of it; try again what may succeed later."""
        row, now = text.row, self._edge.wall_clock()
        row["problem"] = problem
        if problem and again and not self._edge.closing and now - row["at"] < LATE_SECONDS:
            wait = AGAIN[min(row["tries"], len(AGAIN)) - 1]
            row["due"] = now + wait
            text.timer = self._edge.timers.after(wait, lambda: self._text(text))
        else:
            row["state"] = "failed" if problem else "delivered"
            del self._texts[row["id"]]
        self._edge.record("notices", dict(row))

    def registered(self, binding: Binding) -> None:
        """A phone is there (again): what it has not got goes out at once."""
        for text in [each for each in self._texts.values() if each.row["target"] == binding.extension]:
            if text.left <= 0:
                if text.timer:
                    text.timer.cancel()
                self._text(text)

    # calls

    def rang(self, ring: Ring, problem: str) -> None:
        """A call to a front desk is over."""
        if self.rings.get(ring.extension) is ring:
            del self.rings[ring.extension]
        row = self._notice(ring.extension, ring.row, ring.facts["occasion"], "ring")
        row |= {"tries": 1, "problem": problem, "state": "failed" if problem else "delivered"}
        self._edge.record("notices", row)

    def close(self) -> None:
        """The appliance stops."""
        for ring in list(self.rings.values()):
            ring.finish("the appliance stopped")
        for text in self._texts.values():
            if text.timer:
                text.timer.cancel()
        self._texts.clear()


class Ring:
    """A call to all contacts of one front-desk extension; who picks up hears who called, and from where."""

    def __init__(self, desk: FrontDesk, edge: Edge, extension: str, row: Row, facts: Row) -> None:
        self.extension = extension
        self.row = row
        self.facts = facts
        self.over = False
        self._desk = desk
        self._edge = edge
        self.id = edge.new_id()
        self._legs: list[Leg] = []
        self._timer: Timer | None = None
        self._left = SAID
        self._heard = False
        self._status = 0

    def begin(self) -> None:
        """Ring."""
        if self._edge.speech:
            self._edge.speech.prepare(self.id, spoken(self.facts["location"]))
        user = self.row["extension"] or "provisioner"
        label = f"{self.facts['called']}: {notices.who(self.facts)}, {self.facts['location'] or 'place not known'}"
        edge, extension = self._edge, self.extension
        free = not engaged(edge, extension)
        for attempt in edge.phone_attempts(extension, user, label[:LABEL]) if free else ():
            media = self._edge.take_media()
            if media is None:
                continue
            headers = (*attempt.headers, ("alert-info", ALERT), ("priority", "emergency"))
            self._legs.append(Leg.dial(self._edge, self, replace(attempt, headers=headers), media))
        if self._legs:
            self._timer = self._edge.timers.after(RING_SECONDS, lambda: self.finish("nobody picked up"))
        else:
            self.finish("the phone cannot be rung now")

    def on_leg(self, leg: Leg, kind: Kind, detail: int | str) -> None:
        """News of one of the phones."""
        if self.over or leg not in self._legs:
            return
        if kind == "answered":
            for other in [other for other in self._legs if other is not leg]:
                other.hangup()
            self._legs = [leg]
            self._say(leg)
        elif kind in ("failed", "ended"):
            self._legs.remove(leg)
            self._status = detail if isinstance(detail, int) else self._status
            if not self._legs:
                self.finish(f"the phone did not ring ({self._status})" if self._status else "nobody listened")

    def _say(self, leg: Leg) -> None:
        """Which extension, then where: in words, else letter by letter."""
        occasion = "front-failed" if self.facts["occasion"] == "failed" else _SPEAKING[self.row["kind"]]
        clip = self._edge.speech.clip(self.id) if self._edge.speech else ""
        where = [clip] if clip else spell(self.facts["location"])
        extension = spell(self.row["extension"]) or ["caller-unknown"]
        leg.hear(Play((occasion, *extension, *(["front-where", *where] if where else []), "silence")))

    def on_played(self, leg: Leg) -> None:
        """All was said once."""
        self._heard = True
        self._left -= 1
        if self._left:
            self._say(leg)
        else:
            self.finish("")

    def on_digit(self, leg: Leg, digit: str) -> None:
        """No key means anything here."""

    def finish(self, problem: str) -> None:
        """The end; one who heard it all once was told."""
        if self.over:
            return
        self.over = True
        if self._timer:
            self._timer.cancel()
        for leg in self._legs:
            leg.hangup()
        if self._edge.speech:
            self._edge.speech.forget(self.id)
        self._desk.rang(self, "" if self._heard else problem)


def spoken(location: str) -> str:
    """A place with its digits as words, for a program that speaks only words."""
    return "".join(f" {_DIGITS[letter]} " if letter in _DIGITS else letter for letter in location)
