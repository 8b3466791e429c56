"""Plays of three parties around one appliance: a caller at the core, a desk phone, a target; all of them sipp."""

from __future__ import annotations

import itertools
import queue
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.peers import audio, sipp
from tests.peers.appliance import PROMPTS, Appliance
from tests.peers.capture import Address, Heard
from tests.peers.democore import DemoCore
from tests.peers.kamailio import up
from tests.peers.sipp import Party, Tones, leave, press

CALLER, DESK, TARGET = 1000, 440, 700  # Hz
TRUNK_PORT = 5060
HEARD = 6.0  # seconds after a change of state within which its prompt has begun


@dataclass(frozen=True)
class Phone:
    """A registered desk phone."""

    extension: str
    host: str


class Stage:
    """An appliance and pairs of desk phones. By `way`, who plays the menus: with "edge" its trunk leads to a sipp,
    with "core" to the demo core, and a sipp is the public network behind that.
    """

    def __init__(self, directory: Path, pairs: int, way: str = "edge") -> None:
        self.directory = directory
        self.way = way
        self.tones = Tones(directory)
        self.appliance = Appliance(directory, "--transfer", way, core=f"sip:{{core}}:{TRUNK_PORT}")
        self.outside = self.appliance.core_host if way == "edge" else self.appliance.new_host()
        self.core: DemoCore | None = None
        self.control, self.event = self.appliance.edge, "call"  # who tells how far a call is
        self.pairs: queue.SimpleQueue[tuple[Phone, Phone]] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self.gate: Address | None = None  # where callers send to, when it is not the appliance itself
        try:
            for hertz in (CALLER, DESK, TARGET):
                self.tones(hertz)
            self.trunk = Party(
                directory, "trunk", self.outside, self.appliance, port=TRUNK_PORT, media=30000,
                calls=None, seconds=600, TONE=str(self.tones(TARGET)),
            ).listening()  # fmt: skip
            if way == "core":
                self._begin_core()
            up(self.appliance, "core")  # else phones are told that outside calls are not possible
            for number in range(pairs):
                self.pairs.put((self._phone(2 * number), self._phone(2 * number + 1)))
        except BaseException:
            self.close()
            raise

    def _begin_core(self) -> None:
        network = f"{self.outside}:{TRUNK_PORT}"
        self.core = DemoCore(self.directory, self.appliance, self.appliance.core_host, network)
        self.control, self.event = self.core.control, "transfer"
        self.gate = self.core.host, TRUNK_PORT

    def _phone(self, number: int) -> Phone:
        """Boot, adopt and register one more phone."""
        mac = f"0015650010{number:02x}"
        self.appliance.adopt(mac)
        account, host = self.appliance.account(mac), self.appliance.new_host()
        sipp.register(self.directory, self.appliance, account, host)
        return Phone(account.user, host)

    def caller_ports(self) -> tuple[int, int]:
        """SIP and media ports for one more caller at the core's address."""
        number = next(self._numbers)
        return 7000 + number, 20000 + 10 * number

    def sources(self) -> list[str]:
        """Where what the parties hear comes from, beside the appliance."""
        return [self.core.host] if self.core else []

    def close(self) -> None:
        self.trunk.stop()
        if self.core:
            self.core.stop()
        self.appliance.stop()


@dataclass
class Play:
    """One play. Its parties' steps begin at `go`; the edge's events tell how far it is."""

    stage: Stage
    desk: Phone
    target: Phone
    stack: ExitStack
    states: list[tuple[str, float]] = field(default_factory=list)
    parties: dict[str, Party] = field(default_factory=dict)
    listens: dict[str, Address] = field(default_factory=dict)
    _place: int = 0
    _id: str = ""

    def _party(self, role: str, scenario: str, host: str, tone: int = 0, **more: Any) -> Party:
        steps = "".join(more.pop("steps", ()))
        fill = {"STEPS": steps, "TONE": str(self.stage.tones(tone)) if tone else "", **more.pop("fill", {})}
        party = Party(self.stage.directory, scenario, host, self.stage.appliance, **more, **fill)
        self.stack.callback(party.stop)
        self.parties[role] = party
        self.listens[role] = (host, party.media)
        return party

    def begin(
        self,
        keys: list[str],
        target: str = "answer",
        desk_calls: int = 1,
        leaves: bool = False,
        target_calls: int = 1,
        target_steps: Sequence[str] = (leave(),),
        caller_steps: Sequence[str] = (leave(),),
        desk_fill: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Ring the desk phone for a new caller. `keys` are pressed one by one, or steps of sipp; with `leaves` it
        then hangs up; `desk_fill` changes words of its scenario. The target's phone does what the scenario
        `target` says, or refuses with that status.
        """
        tone = self.stage.tones(DESK)
        steps = [each if each.startswith("<") else press(each, tone) for each in keys]
        steps += [leave()] if leaves else []
        desk = self._party(
            "desk", "answer", self.desk.host, DESK, steps=steps, calls=desk_calls, fill=desk_fill
        )
        desk.listening()
        if target in ("answer", "ring", "early"):
            self._party(
                "target", target, self.target.host, TARGET, steps=target_steps, calls=target_calls
            ).listening()
        elif target:
            self._party("target", "refuse", self.target.host, fill={"STATUS": target}).listening()
        self._place = len(self.stage.control.events)
        port, media = self.stage.caller_ports()
        host, number = self.stage.outside, self.desk.extension
        arguments = ("-key", "caller", "+12125550143")
        self._party(
            "caller",
            "call",
            host,
            CALLER,
            steps=caller_steps,
            port=port,
            media=media,
            number=number,
            arguments=arguments,
            to=self.stage.gate,
        )
        self.state("talking")

    def ring_desk(self) -> None:
        """The desk phone rings from now on without being answered."""
        self._party("desk", "ring", self.desk.host)

    def state(self, name: str, seconds: float = 12.0) -> None:
        """Wait until the call enters a state, after those before."""

        def fits(event: dict[str, Any]) -> bool:
            data = event["data"]
            mine = data["id"] == self._id if self._id else data.get("to") == self.desk.extension
            return event["event"] == self.stage.event and mine and data["state"] == name

        control = self.stage.control
        try:
            place = control.wait(fits, f"state {name}", self._place, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\nstates before: {self.states}\n{self.tail()}") from None
        self._place, event = place + 1, control.events[place]
        self._id = event["data"]["id"]
        self.states.append((name, event["at"]))

    def go(self, role: str, *states: str) -> None:
        """Let a party take its next step, and wait for the states that follow."""
        self.parties[role].go()
        for state in states:
            self.state(state)

    def end(self, **outcomes: str) -> None:
        """Wait until the call is over; each party is to have gone its way to the end."""
        self.state("ended")
        for role, step in outcomes.items():
            self.parties[role].reached(step)
            self.parties[role].finish()

    def tail(self) -> str:
        core = self.stage.core
        switched = [row for row in core.transfers() if row["id"] == self._id] if core else []
        return str(switched) + "\n" + "\n".join(party.tail() for party in self.parties.values())

    # afterwards

    def at(self, state: str, turn: int = 0) -> float:
        """When it entered a state for the first (0) or a later time."""
        return [when for name, when in self.states if name == state][turn]


class Listener:
    """What the parties of one play heard."""

    def __init__(self, play: Play, heard: dict[Address, Heard]) -> None:
        self._play, self._heard = play, heard

    def events(self, role: str) -> list[str]:
        """The keys that reached a party as telephone-events in this play."""
        first, last = self._play.states[0][1] - 1, self._play.states[-1][1] + 1
        return self._of(role).events(first, last)

    def _of(self, role: str) -> Heard:
        return self._heard[self._play.listens[role]]

    def during(
        self, role: str, state: str, turn: int = 0, seconds: float = HEARD, before: float = 0.05
    ) -> array:
        """What a party heard from the beginning of a state on, and `before` it."""
        since = self._play.at(state, turn)
        return self._of(role).audio(since - before, since + seconds)

    def prompt(self, role: str, name: str, state: str, turn: int = 0, seconds: float = HEARD) -> None:
        """A party heard the recording `name`, from its beginning, in a state."""
        recording = audio.decode((PROMPTS / f"{name}.ulaw").read_bytes())
        heard = self.during(
            role, state, turn, seconds, before=1.0
        )  # on a busy machine the news lags the sound
        likeness = audio.likeness(heard, recording)
        assert likeness > 0.95, f"{role} in {state}: {name} {likeness:.2f} in {len(heard)} samples"

    def tone(self, role: str, hertz: int, state: str, turn: int = 0) -> None:
        """A party heard that tone, and next to nothing else, within 1.4 s of a state's beginning."""
        heard = self.during(role, state, turn, 1.4)
        shares = [audio.share(heard[at : at + 4000], hertz) for at in range(0, len(heard) - 3999, 800)]
        assert max(shares, default=0) > 0.9, f"{role} in {state}: {hertz} Hz {shares}"

    def music(self, role: str, state: str) -> None:
        """A party heard the music somewhere in its middle, and nothing else, in a state's first second."""
        music = audio.decode((PROMPTS / "music.ulaw").read_bytes())
        likeness = audio.likeness(music + music, self.during(role, state, 0, 1.2)[1600:])
        assert likeness > 0.95, f"{role} in {state}: music {likeness:.2f}"


Check = Callable[[Listener], None]


def run(stage: Stage, play: Callable[[Play], Check]) -> tuple[Play, Check]:
    """Play with a pair of phones that nobody else uses now; the check is for when the capture is complete."""
    try:
        desk, target = pair = stage.pairs.get(timeout=120)
    except queue.Empty:
        raise AssertionError("no phones are left for this play: others failed") from None
    with ExitStack() as stack:
        made = Play(stage, desk, target, stack)
        try:
            check = play(made)
        except BaseException as error:  # a call of theirs may hang: nobody else is to have these phones
            error.add_note(made.tail())
            raise
    stage.pairs.put(pair)
    return made, check
