"""Screening: who picks up hears who calls and presses 1, or does not."""

from __future__ import annotations

import pytest

from provisioner.dialing.transfer import PROMPT_SECONDS, Play
from provisioner.edge.screening import SILENCE_SECONDS, Ask, Decide, Screening, Wait, say
from provisioner.media import prompts

WHO = ("say-2", "say-0", "say-6")
ASKED = [Ask(Play(("call-from", *WHO, "press-1"))), Wait(PROMPT_SECONDS)]

pytestmark = pytest.mark.rule("inbound.screening")


@pytest.fixture
def asked() -> Screening:
    machine = Screening(WHO)
    assert machine.start() == ASKED
    return machine


def test_one_accepts_at_once_and_only_once(asked: Screening) -> None:
    assert asked.digit("1") == [Decide(True)]
    assert asked.digit("1") == asked.timeout() == asked.played() == []


@pytest.mark.parametrize("keys", ["23", "22", "*#", "00"])
def test_another_key_asks_again_and_twice_is_a_no(asked: Screening, keys: str) -> None:
    assert asked.digit(keys[0]) == ASKED
    assert asked.digit(keys[1]) == [Decide(False)]


def test_another_key_then_one(asked: Screening) -> None:
    asked.digit("5")
    assert asked.digit("1") == [Decide(True)]


def test_ten_seconds_of_silence_are_a_no(asked: Screening) -> None:
    assert SILENCE_SECONDS == 10
    assert asked.played() == [Wait(SILENCE_SECONDS)]
    assert asked.timeout() == [Decide(False)]


def test_every_word_of_it_is_recorded() -> None:
    assert {"call-from", "press-1", "caller-international", "caller-unknown"} <= prompts.names()


def test_names_are_said_where_each_word_is_recorded() -> None:
    assert say("Front Desk") == ["say-front", "say-desk"]
    assert say("Exam Room 12") == ["say-exam", "say-room", "say-1", "say-2"]
    assert say("Jane Patient") is None
    assert say("") is None
