"""The whole edge under random events: nothing raises, no caller is left in silence, nothing is left behind."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.edge.world import EXTENSIONS, MAIN, Talk, World, number_of

NUMBERS = (*EXTENSIONS, "2124567890", "911", "988", "12345", "5551212", "199")
KEYS = ("*", "1", "2", "*1102#", "*1103#", "*12124567890#", "*1*1", "#", "7")


class Practice(RuleBasedStateMachine):
    """Three phones and a core, all doing what they please."""

    lossy = False

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.register_all()

    def pick(self, number: int, *, state: str, incoming: bool | None = None) -> Talk | None:
        """One of the legs in a state of their session, None without any."""
        found = [
            talk
            for talk in self.world.talks()
            if talk.session.state == state and incoming in (None, talk.session.incoming is not None)
        ]
        return found[number % len(found)] if found else None

    @rule(extension=st.sampled_from(EXTENSIONS), number=st.sampled_from(NUMBERS), offer=st.booleans())
    def phone_calls(self, extension: str, number: str, offer: bool) -> None:
        self.world.phones[extension].call(number, offer=offer)

    @rule(to=st.sampled_from((MAIN, number_of("101"), number_of("102"), "+14155559999")))
    def patient_calls(self, to: str) -> None:
        self.world.inbound(to)

    @rule(to=st.sampled_from((MAIN, number_of("101"), number_of("102"))), keys=st.sampled_from(KEYS))
    def patient_calls_and_is_answered(self, to: str, keys: str) -> None:
        self.world.inbound(to)
        self.answer(0)
        self.desk_presses(0, keys)

    @rule(number=st.integers(0, 9), keys=st.sampled_from(KEYS))
    def desk_presses(self, number: int, keys: str) -> None:
        desks = [
            talk
            for talk in self.world.talks()
            if talk.up and talk.sdp.negotiated and self.world.leg_of(talk).document["take"]
        ]
        if desks:
            self.world.press(desks[number % len(desks)], keys)

    @rule(keys=st.sampled_from(("*", "*1", "*2", "")))
    def target_answers(self, keys: str) -> None:
        self.answer(-1)
        self.desk_presses(0, keys)

    @rule(number=st.integers(0, 9))
    def answer(self, number: int) -> None:
        talk = self.pick(number, state="incoming")
        if talk:
            talk.answer()

    @rule(number=st.integers(0, 9))
    def early_media(self, number: int) -> None:
        talk = self.pick(number, state="incoming")
        if talk and talk.session.offer:
            talk.early()

    @rule(number=st.integers(0, 9), status=st.sampled_from((480, 486, 603, 503)))
    def refuse(self, number: int, status: int) -> None:
        talk = self.pick(number, state="incoming")
        if talk:
            talk.refuse(status)

    @rule(number=st.integers(0, 9), state=st.sampled_from(("up", "calling")))
    def hang_up(self, number: int, state: str) -> None:
        talk = self.pick(number, state=state)
        if talk:
            talk.hangup()

    @rule(number=st.integers(0, 9))
    def hang_up_as_the_other_end_does(self, number: int) -> None:
        talk = self.pick(number, state="up")
        if talk:
            talk.session.hangup()
            other = self.pick(number, state="up")
            if other:
                other.session.hangup()
            self.world.run()

    @rule(number=st.integers(0, 9), keys=st.sampled_from(KEYS))
    def press(self, number: int, keys: str) -> None:
        talk = self.pick(number, state="up")
        if talk and talk.sdp.negotiated:
            self.world.press(talk, keys)

    @rule(number=st.integers(0, 9))
    def prompt_ends(self, number: int) -> None:
        talk = self.pick(number, state="up")
        if talk and talk.sdp.negotiated:
            self.world.prompt_ends(talk)

    @rule(number=st.integers(0, 9), direction=st.sampled_from(("sendonly", "sendrecv", "inactive", "")))
    def hold(self, number: int, direction: str) -> None:
        talk = self.pick(number, state="up")
        if talk and talk.sdp.negotiated and not self.lossy:
            talk.reinvite(direction)

    @rule(seconds=st.sampled_from((0.3, 4.5, 9.0, 31.0, 40.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(extension=st.sampled_from(EXTENSIONS), expires=st.sampled_from((0, 3600)))
    def register(self, extension: str, expires: int) -> None:
        if not self.lossy:
            self.world.phones[extension].register(expires=expires)

    @rule(capacity=st.sampled_from((0, 5, 6, 1000)))
    def media_ports(self, capacity: int) -> None:
        self.world.media.capacity = capacity

    @rule(up=st.sampled_from((True, False, None)))
    def trunk(self, up: bool | None) -> None:
        self.world.edge.trunks.peers[0].up = up

    @invariant()
    def nobody_is_left_in_silence(self) -> None:
        """Who is up, and not on hold by its own wish, hears a living party or something played."""
        for talk in self.world.talks() if not self.lossy else ():
            if talk.up and talk.sdp.negotiated and self.world.leg_of(talk).document["send"]:
                assert self.world.hears(talk) is not None

    @invariant()
    def every_leg_is_one_of_a_call(self) -> None:
        edge = self.world.edge
        legs = [leg for leg in edge.media_owners.values() if leg.owner.over]  # type: ignore[attr-defined]
        assert not legs
        if not edge.calls:
            assert not edge.media_owners

    @rule(seed=st.integers(0, 99), rate=st.sampled_from((0.0, 0.1, 0.3)))
    def messages_are_lost(self, seed: int, rate: float) -> None:
        if self.lossy:
            rng = random.Random(seed)
            self.world.lose = lambda: rng.random() < rate

    def teardown(self) -> None:
        self.world.lose = lambda: False
        self.world.media.capacity = 1000
        self.world.end()
        self.world.assert_nothing_left()


Practice.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, derandomize=True
)
TestPractice = Practice.TestCase


class LossyPractice(Practice):
    """The same over a network that loses messages: what is left at the end counts."""

    lossy = True


LossyPractice.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, derandomize=True
)
TestLossyPractice = LossyPractice.TestCase
