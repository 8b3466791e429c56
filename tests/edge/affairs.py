"""Who may hear whom, by docs/calls.md alone: a small model that sees what those in a call see, no field of the edge.

Which call a leg belongs to, the model learns from the wire: each call comes with its own Max-Forwards, and what the
edge sends on has one less (RFC 3261 16.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.edge.world import MAIN, Phone, Talk, World

STAFF = "+12135550188"  # outside member of the ring group
ANSWER_SECONDS, DIGIT_SECONDS, MENU_SECONDS, PROMPT_SECONDS = 30.0, 10.0, 8.0, 30.0
URGENT = re.compile(r"911|933|988")
_WAITS = {"menu": PROMPT_SECONDS, "completing": PROMPT_SECONDS, "collecting": DIGIT_SECONDS,
          "dialling": ANSWER_SECONDS, "referred": ANSWER_SECONDS, "farewell": PROMPT_SECONDS}  # fmt: skip
# state → who hears which other party, or a recording
_PICTURE = {
    "talking": {"caller": "desk", "desk": "caller"},
    "menu": {"caller": "music", "desk": "… menu"},
    "collecting": {"caller": "music", "desk": "dialtone|silence"},
    "dialling": {"caller": "music", "desk": "ringback"},
    "consulting": {"caller": "music", "desk": "target", "target": "desk"},
    "completing": {"caller": "music", "desk": "completing", "target": "music"},
    "referred": {"caller": "ringback", "desk": ""},
    "recall": {"caller": "ringback"},
    "kept": {"desk": "target", "target": "desk"},
    "farewell": {"desk": "caller-hung-up"},
}


def user_of(talk: Talk) -> str:
    return talk.invite.uri.removeprefix("sip:").partition("@")[0]


class Affair:
    """One call, from its INVITE to its last BYE. `inside`: a desk phone that takes it may transfer it."""

    def __init__(
        self, world: World, held: set[Talk], first: Talk, dialled: str, inside: bool, on_hangup: str
    ) -> None:
        """`first`: who calls, or by click the phone that is rung first. `held`: who has put us on hold."""
        self.world, self.held = world, held
        self.caller: Talk | None = first
        self.desk: Talk | None = None
        self.target: Talk | None = None
        self.dialled, self.inside, self.on_hangup = dialled, inside, on_hangup
        self.first = first
        self.state = "ringing"
        self.rung: list[Talk] = []  # those that ring, or have picked up and are asked
        self.asked: list[Talk] = []
        self.early: list[Talk] = []
        self.free: list[Talk] = []  # must be over by now
        self.deadline: float | None = None
        self.staff: Talk | None = None  # a person of the practice who is reached outside
        self.sent_by: Talk | None = None  # who used the transfer key of its phone
        self._digits = ""
        self._tries = 0
        self._turned = False  # who called has used the transfer key of its phone

    @property
    def urgent(self) -> bool:
        """An emergency call that is on."""
        return self.state != "over" and bool(URGENT.fullmatch(self.dialled))

    @property
    def may_transfer(self) -> bool:
        """Whether who took the call has the menu."""
        return (
            self.inside
            and self.desk is not None
            and (isinstance(self.desk.party, Phone) or self.desk is self.staff)
        )

    @property
    def roles(self) -> dict[str, Talk]:
        named = {"caller": self.caller, "desk": self.desk, "target": self.target}
        return {name: talk for name, talk in named.items() if talk}

    def enter(self, state: str) -> None:
        if state != self.state:
            self._tries = 0
        self.state = state
        wait = _WAITS.get(state)
        self.deadline = None if wait is None else self.world.clock.now + wait

    def release(self, *talks: Talk | None) -> None:
        self.free += [talk for talk in talks if talk]

    def over(self) -> None:
        self.release(*self.roles.values(), *self.rung)
        self.caller = self.desk = self.target = None
        self.rung, self.asked = [], []
        self.enter("over")

    # those who are rung

    def clicked(self, phones: list[Talk]) -> None:
        """Nobody calls yet: these are rung first, and call when one picks up."""
        self.caller, self.rung = None, phones
        self.enter("clicked")

    def rings(self, talk: Talk) -> None:
        """Somebody is rung: who sent the caller on and has gone is only rung when the other did not take the call."""
        if (
            self.state == "referred"
            and self.desk is None
            and self.sent_by
            and talk.party is self.sent_by.party
        ):
            self._stop_dialling("recall")
        self.rung.append(talk)

    def picked_up(self, talk: Talk) -> None:
        heard = self.world.hears(talk) if not talk.over else None
        if isinstance(heard, str) and heard.startswith("call-from"):
            self.asked.append(talk)
        else:
            assert not self._must_be_asked(talk), "connected without having pressed 1"
            self.took(talk)

    def _must_be_asked(self, talk: Talk) -> bool:
        """The group's own member outside: its voicemail must not have the caller."""
        return self.state == "ringing" and self.dialled == MAIN and user_of(talk) == STAFF

    def took(self, talk: Talk) -> None:
        """The call is with who picked up."""
        self.release(*(other for other in self.rung if other is not talk))
        self.rung, self.asked = [], []
        if self.state == "clicked":
            self.caller = talk
            self.enter("ringing")
        elif self.state in ("ringing", "recall"):
            self.desk = talk
            if self.dialled == MAIN and user_of(talk) == STAFF and not isinstance(self.first.party, Phone):
                self.staff = talk
            self.talk()
        else:
            self.target = talk
            if self.state == "referred":
                self.join()
            else:
                self.enter("consulting")

    def talk(self) -> None:
        if self._turned:
            self.caller, self.desk, self._turned = self.desk, self.caller, False
        self.enter("talking")

    def join(self) -> None:
        self.release(self.desk)
        self.desk, self.target = self.target, None
        self.talk()

    # keys

    def key(self, talk: Talk, key: str) -> None:
        if talk in self.asked:
            if key == "1":
                self.took(talk)
        elif talk is self.desk:
            self._key(key)

    def _key(self, key: str) -> None:
        if self.state == "talking" and key == "*" and self.may_transfer:
            self.enter("menu")
        elif self.state == "menu":
            {"1": self._collect, "2": self.talk}.get(key, self._again)()
        elif self.state == "collecting":
            self._collecting(key)
        elif self.state == "dialling" and key == "*":
            self._stop_dialling("menu")
        elif self.state == "consulting" and key == "*":
            self.enter("completing")
        elif self.state == "completing":
            {"1": self.join, "2": self._cancel}.get(key, self._again)()

    def _again(self) -> None:
        """The menu from its beginning, twice; then back."""
        tries = self._tries + 1
        self.enter(self.state if tries < 3 else "talking" if self.state == "menu" else "consulting")
        self._tries = tries if tries < 3 else 0

    def _collect(self) -> None:
        self._digits = ""
        self.enter("collecting")

    def _collecting(self, key: str) -> None:
        if key == "*":
            self._collect()
        elif key == "#":
            self.enter("dialling" if self._digits else "menu")
        else:
            self._digits += key
            self.deadline = self.world.clock.now + DIGIT_SECONDS

    def _stop_dialling(self, state: str) -> None:
        self.release(*self.rung)
        self.rung = []
        self.enter(state)

    def _cancel(self) -> None:
        self.release(self.target)
        self.target = None
        self.talk()

    # a phone's own transfer key

    def refer(self, talk: Talk) -> None:
        """The edge has taken a REFER of `talk`."""
        assert self.state == "talking", f"REFER in {self.state}"
        if talk is self.caller:
            self.caller, self.desk, self._turned = self.desk, self.caller, not self._turned
        self.sent_by = talk
        assert talk is self.desk, "REFER of somebody who is not in the call"

    def take_over(self, other: Affair, talk: Talk) -> None:
        """An attended transfer: whom `talk` of `other` talks to is the target here."""
        assert other.state == "talking", f"attended transfer in {other.state}"
        assert self.desk
        far = other.caller if talk is other.desk else other.desk
        other.caller, other.desk, other.target = (talk, None, None)
        other.over()
        self.target = far
        self.join()

    def _back(self) -> None:
        """Nobody took whom the phone had sent on."""
        if self.desk:
            self.talk()
        else:
            self.enter("recall")

    # who goes

    def gone(self, talk: Talk) -> None:
        """A party hung up, or refused."""
        role = next((name for name, other in self.roles.items() if other is talk), "")
        if talk in self.rung:
            self.rung.remove(talk)
            self.asked = [other for other in self.asked if other is not talk]
        elif role:
            setattr(self, role, None)
            getattr(self, f"_{role}_gone")()

    def _caller_gone(self) -> None:
        if self.state in ("consulting", "completing"):
            self.enter("kept")
        elif self.state in ("menu", "collecting", "dialling"):
            self._stop_dialling("farewell")
        else:
            self.over()

    def _desk_gone(self) -> None:
        if self.state in ("menu", "collecting", "dialling"):
            self._stop_dialling("recall")
        elif self.state in ("consulting", "completing") and self.on_hangup == "complete":
            self.join()
        elif self.state in ("consulting", "completing"):
            self.release(self.target)
            self.target = None
            self.enter("recall")
        elif self.state != "referred":
            self.over()

    def _target_gone(self) -> None:
        if self.state == "kept":
            self.over()
        else:
            self.enter("menu")

    # time, and what the wire says

    def played(self, talk: Talk) -> None:
        if talk is self.desk and self.state in ("menu", "completing"):
            self.deadline = self.world.clock.now + MENU_SECONDS
        elif talk is self.desk and self.state == "farewell":
            self.over()

    @property
    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.deadline <= self.world.clock.now

    def timeout(self) -> None:
        if self.state in ("menu", "completing"):
            self._again()
        elif self.state == "collecting":
            self.enter("dialling" if self._digits else "menu")
        elif self.state == "dialling":
            self._stop_dialling("menu")
        elif self.state == "referred":
            self.release(*self.rung)
            self.rung = []
            self._back()
        elif self.state == "farewell":
            self.over()

    def look(self) -> None:
        """What only the ones who are rung can tell: that nobody is rung any more."""
        self.rung = [talk for talk in self.rung if not talk.over]
        self.asked = [talk for talk in self.asked if not talk.over]
        if not self.rung and self.state == "clicked":
            self.over()
        elif not self.rung and self.state == "dialling":
            self.enter("menu")
        elif not self.rung and self.state == "referred":
            self._back()
        if self.state in ("ringing", "recall") and self.caller and self.caller.over and not self.rung:
            self.caller = None
            self.over()

    # what must be

    def check(self) -> None:
        """All who are in it hear what they should, and who was let go is gone."""
        assert [talk for talk in self.free if not talk.over] == []
        self.free = []
        for talk in self.roles.values():
            assert not talk.over, f"dropped in {self.state}"
        if self.state == "recall":
            assert self.rung, "the caller waits, and nobody is rung"
        for talk, expected in self.pictures():
            if talk.sdp.negotiated and talk.session.state != "over":
                self._check(talk, expected)

    def _check(self, talk: Talk, expected: Talk | str) -> None:
        heard = self.world.hears(talk)
        if talk in self.held:
            assert heard is None, (self.state, heard)
        elif isinstance(expected, Talk):
            held = expected in self.held and not self.urgent
            assert heard == "music" if held else heard is expected, (self.state, heard)
        elif expected == "early":
            assert not isinstance(heard, Talk) or heard in self.early, (self.state, heard)
        elif expected:
            assert isinstance(heard, str), (self.state, heard)
            assert heard.endswith(tuple(expected.removeprefix("… ").split("|"))), (self.state, heard)
        else:
            assert heard is None, (self.state, heard)

    def pictures(self) -> Iterator[tuple[Talk, Talk | str]]:
        """Each party, and whom or what it is to hear."""
        for role, source in _PICTURE.get(self.state, {}).items():
            talk = self.roles.get(role)
            if talk and talk.up:
                early = [other for other in self.early if other in self.rung]
                if source == "ringback" and early and self.state in ("dialling", "referred"):
                    yield talk, "early"
                else:
                    yield talk, self.roles.get(source, source)
        if self.state == "ringing" and self.caller:
            yield self.caller, "early"
        for talk in self.rung:
            if talk in self.asked:
                yield talk, "press-1"
            elif talk not in self.early:
                yield talk, ""
