"""The whole edge under random events of four parties: nobody is left in silence or hears whom they should not, and
nothing is left behind.

Long runs: python -m tests.edge.test_at_random --examples 20000 [--seed N]
"""

from __future__ import annotations

import argparse
import random
import unittest
from collections.abc import Callable
from typing import Any

from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from provisioner.edge import click
from provisioner.edge.directory import Directory
from provisioner.edge.edge import EMERGENCY_RESERVE
from provisioner.errors import OperatorError
from provisioner.store import records
from tests.edge.affairs import STAFF, URGENT, Affair, user_of
from tests.edge.test_referral import refer, replacing, to
from tests.edge.world import CORE, EXTENSIONS, MAIN, OUTSIDE, PATIENT, Phone, Talk, World, number_of, practice

NUMBERS = (
    *EXTENSIONS,
    number_of("102"),
    "2124567890",
    "911",
    "988",
    "12345",
    "5551212",
    "199",
    "9005551234",
    "*78",
    "*72102#",
)
KEYS = (
    "*", "1", "2", "1", "*1102#", "*1103#", "*12124567890#", "*1911#", "*1*1", "#", "7", "*1101",
    "*333", "*222*", "*12125551234#*1", "*1103#*2",
)  # fmt: skip
FORWARDS = ("", "", "103", "+12124567890", number_of("101"), MAIN)
POOL = "+14155550190"  # for dial-through
CLICKED = (69, 70)  # Max-Forwards of the two legs of a call by click
LIMBO_SECONDS = 3.0


class Practice(RuleBasedStateMachine):
    """Three phones of a practice and the outside, all doing what they please."""

    lossy = False

    @initialize(
        way=st.sampled_from(("edge", "edge", "core")),
        release=st.sampled_from(("bridge", "refer")),
        on_hangup=st.sampled_from(("complete", "recall")),
        mode=st.sampled_from(("simultaneous", "sequential")),
        screening=st.booleans(),
        outside=st.booleans(),
    )
    def opens(
        self, way: str, release: str, on_hangup: str, mode: str, screening: bool, outside: bool
    ) -> None:
        members = (*EXTENSIONS, STAFF) if outside else EXTENSIONS
        self.way, self.on_hangup = way, on_hangup
        self.of: dict[str, Any] = {
            "practice": records.Practice(id="practice", name="Demo", main_number=MAIN, on_hangup=on_hangup),
            "ring_groups": {
                "all": records.RingGroup(
                    id="all", name="All", members=members, mode=mode, screening=screening
                )
            },
            "trunks": {
                "core": records.Trunk(
                    id="core", uri=f"sip:{CORE[0]}:{CORE[1]}", transfer=way, release=release
                )
            },
        }
        numbers = {**practice().numbers, POOL: records.Number(id=POOL, label="Pool", dial_through=True)}
        bound = records.DialThrough(
            id="bound", number=POOL, phone=PATIENT, target=OUTSIDE, calling=MAIN, expires=2e9
        )
        self.of |= {"numbers": numbers, "dial_throughs": {"bound": bound}}
        self.features: dict[str, records.LineFeatures] = {}
        self.world = World(practice(**self.of))
        self.world.register_all()
        self.affairs: dict[int, Affair] = {}  # by the Max-Forwards that their calls go on with
        self.held: set[Talk] = set()
        self.known: set[Talk] = set()
        self.rows = [0, 0]  # that must have been written, at least and at most
        self.silence: dict[Talk, float] = {}
        self._hops = 200

    # keeping up with the wire

    def begin(self, dial: Callable[[list[tuple[str, str]]], Talk], dialled: str, inside: bool) -> None:
        """A new call, with a Max-Forwards of its own."""
        self._hops -= 1
        talk = dial([("max-forwards", str(self._hops + 1))])
        self.known.add(talk)
        affair = Affair(self.world, self.held, talk, dialled, inside, self.on_hangup)
        self.affairs[self._hops] = affair
        unknown = talk.party is self.world.core and talk.status == 404
        unknown |= talk.status == 403 and talk.failure.reason.startswith("Too many calls")
        # without a media port there may be no call at all
        self._row(not unknown and talk.status != 503, not unknown)
        self.look()

    def _row(self, least: int, most: int) -> None:
        self.rows[0] += least
        self.rows[1] += most

    def affair_of(self, talk: Talk) -> Affair | None:
        """The call that a party is in, or rung for; where messages are lost the model cannot follow."""
        if self.lossy:
            return None
        return next((a for a in self.affairs.values() if talk in (*a.roles.values(), *a.rung)), None)

    def look(self) -> None:
        """Learn from the wire who is rung for whom."""
        if self.lossy:
            return
        for talk in list(self.world.talks()):
            if talk not in self.known and talk.session.incoming:
                self.known.add(talk)
                hops = int(talk.invite.get("max-forwards"))
                affair = self.urgent(talk) if URGENT.fullmatch(user_of(talk)) else self.affairs[hops]
                affair.rings(talk)
        for affair in self.affairs.values():
            affair.look()

    def urgent(self, talk: Talk) -> Affair:
        """The emergency call that a leg to the core belongs to: a phone has one at a time."""
        shown = talk.invite.get("from")
        return next(a for a in self.affairs.values() if a.urgent and f"{number_of_caller(a)}@" in shown)

    def timeouts(self) -> None:
        for affair in list(self.affairs.values()):
            if affair.late:
                affair.timeout()
        self.look()

    def left(self, talk: Talk) -> None:
        """A party has hung up."""
        affair = self.affair_of(talk)
        if affair:
            affair.gone(talk)

    def pick(self, number: int, *states: str, phone: bool = False) -> Talk | None:
        """One of the legs in these states of their session, None without any."""
        found = [
            talk
            for talk in self.world.talks()
            if talk.session.state in states and (not phone or isinstance(talk.party, Phone))
        ]
        return found[number % len(found)] if found else None

    # what the parties do

    @rule(extension=st.sampled_from(EXTENSIONS), number=st.sampled_from(NUMBERS), offer=st.booleans())
    def phone_calls(self, extension: str, number: str, offer: bool) -> None:
        phone = self.world.phones[extension]
        urgent = any(a.urgent and a.first.party is phone for a in self.affairs.values())
        inside = number in (*EXTENSIONS, number_of("102"))
        if not (urgent and URGENT.fullmatch(number)):
            self.begin(lambda more: phone.call(number, offer=offer, headers=more), number, inside)

    @rule(extension=st.sampled_from(EXTENSIONS), number=st.sampled_from((*EXTENSIONS, OUTSIDE)))
    def click_to_call(self, extension: str, number: str) -> None:
        """One at a time: what it sends has no Max-Forwards of its own."""
        if self.lossy or any(self.affairs[hops].state != "over" for hops in CLICKED if hops in self.affairs):
            return
        try:
            click.call(self.world.edge, extension, number)
        except OperatorError:
            self._row(0, 1)
            return
        self._row(1, 1)
        self.world.run()
        phones = [talk for talk in self.world.phones[extension].calls if talk not in self.known]
        self.known.update(phones)
        affair = Affair(self.world, self.held, phones[0], number, number != OUTSIDE, self.on_hangup)
        affair.clicked(phones)
        self.affairs.update(dict.fromkeys(CLICKED, affair))
        self.look()

    @rule(
        called=st.sampled_from((MAIN, number_of("101"), number_of("102"), "103", POOL, "+14155559999")),
        caller=st.sampled_from((PATIENT, "+442079460000", "anonymous")),
    )
    def patient_calls(self, called: str, caller: str) -> None:
        inside = self.way == "edge" and called != POOL
        self.begin(lambda more: self.world.inbound(called, caller, headers=more), called, inside)

    @rule(called=st.sampled_from((MAIN, number_of("101"), number_of("102"))), keys=st.sampled_from(KEYS))
    def patient_calls_and_is_answered(self, called: str, keys: str) -> None:
        self.patient_calls(called, PATIENT)
        self.answer(-1)
        self.desk_presses(-1, keys)

    @rule(number=st.integers(0, 9), keys=st.sampled_from(KEYS))
    def desk_presses(self, number: int, keys: str) -> None:
        desks = [a.desk for a in self.affairs.values() if a.desk and a.desk.up and a.desk.sdp.negotiated]
        if desks:
            self.press_keys(desks[number % len(desks)], keys)

    @rule(number=st.integers(0, 9), keys=st.sampled_from(KEYS))
    def press(self, number: int, keys: str) -> None:
        talk = self.pick(number, "up")
        if talk and talk.sdp.negotiated:
            self.press_keys(talk, keys)

    def press_keys(self, talk: Talk, keys: str) -> None:
        for key in keys:
            if talk.over:
                break
            affair = self.affair_of(talk)
            self.world.press(talk, key)
            if affair:
                affair.key(talk, key)
            self.look()
            self.check()

    @rule(keys=st.sampled_from(("*", "*1", "*2", "")))
    def target_answers(self, keys: str) -> None:
        self.answer(-1)
        self.desk_presses(0, keys)

    @rule(number=st.integers(0, 9))
    def answer(self, number: int) -> None:
        talk = self.pick(number, "incoming")
        if talk:
            affair = self.affair_of(talk)
            talk.answer()
            if affair:
                affair.picked_up(talk)
            self.look()

    @rule(number=st.integers(0, 9))
    def early_media(self, number: int) -> None:
        talk = self.pick(number, "incoming")
        if talk and talk.session.offer:
            affair = self.affair_of(talk)
            if affair:
                affair.early.append(talk)
            talk.early()
            self.look()

    @rule(number=st.integers(0, 9), status=st.sampled_from((480, 486, 603, 503, 404)))
    def refuse(self, number: int, status: int) -> None:
        talk = self.pick(number, "incoming")
        if talk:
            talk.refuse(status)
            self.left(talk)
            self.look()

    @rule(number=st.integers(0, 9))
    def hang_up(self, number: int) -> None:
        talk = self.pick(number, "up", "calling")
        if talk:
            talk.hangup()
            self.left(talk)
            self.look()

    @rule(number=st.integers(0, 9))
    def hang_up_as_the_other_end_does(self, number: int) -> None:
        for _ in range(2):
            talk = self.pick(number, "up")
            if talk:
                talk.session.hangup()
                self.left(talk)
        self.world.run()
        self.look()

    @rule(number=st.integers(0, 9))
    def prompt_ends(self, number: int) -> None:
        talk = self.pick(number, "up")
        if talk and talk.sdp.negotiated:
            affair = self.affair_of(talk)
            self.world.prompt_ends(talk)
            if affair:
                affair.played(talk)
            self.look()

    @rule(number=st.integers(0, 9), direction=st.sampled_from(("sendonly", "sendrecv", "inactive", "")))
    def hold(self, number: int, direction: str) -> None:
        talk = self.pick(number, "up")
        if talk and talk.sdp.negotiated and not self.lossy and talk.reinvite(direction).status < 300:
            (self.held.add if direction in ("sendonly", "inactive") else self.held.discard)(talk)

    def at_phones(self) -> list[Talk]:
        """The parties at desk phones that talk to somebody."""
        talking = [affair for affair in self.affairs.values() if affair.state == "talking"]
        each = [talk for affair in talking for talk in (affair.caller, affair.desk) if talk]
        return [talk for talk in each if isinstance(talk.party, Phone) and talk.up]

    @rule(number=st.integers(0, 9), where=st.sampled_from((*EXTENSIONS, "2124567890", "911", "12345")))
    def transfer_key(self, number: int, where: str) -> None:
        found = self.at_phones()
        talk = found[number % len(found)] if found else self.pick(number, "up", phone=True)
        affair = self.affair_of(talk) if talk else None
        if talk and affair and refer(talk, to(where)).status < 300:
            affair.refer(talk)
            affair.enter("referred")
            self.look()

    @rule(number=st.integers(0, 9))
    def transfer_key_between_two_calls(self, number: int) -> None:
        found = self.at_phones()
        pairs = [(a, b) for a in found for b in found if a is not b and a.party is b.party]
        if pairs and not self.lossy:
            talk, second = pairs[number % len(pairs)]
            mine, theirs = self.affair_of(talk), self.affair_of(second)
            if mine and theirs and refer(talk, replacing(second, "x")).status < 300 and talk.over:
                mine.refer(talk)
                mine.take_over(theirs, second)
                self.look()

    @rule(
        number=st.integers(0, 9),
        extension=st.sampled_from(EXTENSIONS),
        last=st.sampled_from(("*1", "*2", "*", "")),
    )
    def warm_transfer(self, number: int, extension: str, last: str) -> None:
        self.desk_presses(number, f"*1{extension}#")
        self.answer(-1)
        self.desk_presses(number, last)

    # what else happens

    @rule(seconds=st.sampled_from((0.3, 4.5, 9.0, 16.0, 31.0, 40.0, 1000.0)))
    def time_passes(self, seconds: float) -> None:
        end = self.world.clock.now + seconds
        while True:
            due = [a.deadline for a in self.affairs.values() if a.deadline is not None and a.deadline <= end]
            timers = [
                when for p in (self.world, *self.world.parties.values()) if (when := p.timers.deadline())
            ]
            until = min([end, *due, *timers])
            self.world.pass_to(until)
            self.timeouts()
            if until == end:
                break
            self.check()

    @rule(extension=st.sampled_from(EXTENSIONS), expires=st.sampled_from((0, 3600)))
    def register(self, extension: str, expires: int) -> None:
        if not self.lossy:
            self.world.phones[extension].register(expires=expires)

    @rule(
        extension=st.sampled_from(EXTENSIONS),
        quiet=st.booleans(),
        screening=st.booleans(),
        forwards=st.tuples(*[st.sampled_from(FORWARDS)] * 3),
    )
    def directory_is_read_again(
        self, extension: str, quiet: bool, screening: bool, forwards: tuple[str, str, str]
    ) -> None:
        always, busy, late = forwards
        self.features[extension] = records.LineFeatures(
            id=extension, do_not_disturb=quiet, screening=screening,
            forward_always=always, forward_busy=busy, forward_no_answer=late,
        )  # fmt: skip
        self.world.edge.swap(Directory(practice(**self.of, line_features=dict(self.features))))

    @rule(capacity=st.sampled_from((0, EMERGENCY_RESERVE + 1, EMERGENCY_RESERVE + 2, 1000, 1000)))
    def media_ports(self, capacity: int) -> None:
        self.world.media.capacity = capacity

    @rule(up=st.sampled_from((True, False, None)))
    def trunk(self, up: bool | None) -> None:
        self.world.edge.trunks.peers[0].up = up

    # what must be

    @invariant()
    def everybody_hears_whom_they_should(self) -> None:
        self.check()

    def check(self) -> None:
        if self.lossy:
            return
        for affair in self.affairs.values():
            affair.check()
        for affair in self.affairs.values():
            if affair.caller and affair.caller.up and affair.caller.sdp.negotiated:
                self.check_limbo(affair.caller)

    def check_limbo(self, caller: Talk) -> None:
        """Who waits hears something, but for a moment, and by its own wish."""
        now = self.world.clock.now
        if caller in self.held or self.world.hears(caller) is not None:
            self.silence.pop(caller, None)
        else:
            assert now - self.silence.setdefault(caller, now) <= LIMBO_SECONDS

    @invariant()
    def every_leg_is_one_of_a_call(self) -> None:
        edge = self.world.edge
        legs = [leg for leg in edge.media_owners.values() if leg.owner.over]  # type: ignore[attr-defined]
        assert not legs
        if not edge.calls:
            assert not edge.media_owners

    @invariant()
    def every_call_has_one_row(self) -> None:
        rows = [row["id"] for table, row in self.world.rows if table == "calls"]
        assert len(rows) == len(set(rows))
        if not self.lossy:
            calls = len(rows) + len(self.world.edge.calls)
            assert self.rows[0] <= calls <= self.rows[1]

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.lose = lambda: False
        self.world.media.capacity = 1000
        self.world.end()
        self.world.assert_nothing_left()
        assert self.world.edge.calls == {}
        self.every_call_has_one_row()


class LossyPractice(Practice):
    """The same over a network that loses messages: what is left at the end counts."""

    lossy = True

    @rule(number=st.integers(0, 99), rate=st.sampled_from((0.0, 0.1, 0.3)))
    def messages_are_lost(self, number: int, rate: float) -> None:
        rng = random.Random(number)
        self.world.lose = lambda: rng.random() < rate


def number_of_caller(affair: Affair) -> str:
    """What an emergency call of this phone shows."""
    phone = affair.first.party
    return number_of(phone.extension) if isinstance(phone, Phone) else "-"


SHORT = settings(max_examples=100, stateful_step_count=30, deadline=None, derandomize=True)
Practice.TestCase.settings = LossyPractice.TestCase.settings = SHORT
TestPractice: type[unittest.TestCase] = Practice.TestCase
TestLossyPractice: type[unittest.TestCase] = LossyPractice.TestCase


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    long = settings(
        max_examples=options.examples, stateful_step_count=options.steps, deadline=None, database=None
    )
    for machine in (Practice, LossyPractice):
        seed(options.seed)(machine)
        run_state_machine_as_test(machine, settings=long)
        print(f"{machine.__name__}: {options.examples} runs of {options.steps} events, nothing found")


if __name__ == "__main__":
    main()
