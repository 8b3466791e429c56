"""A short fuzz run, the same every time, and that the fuzzer would notice."""

from __future__ import annotations

import random

import pytest

from provisioner.sip.message import MAX_MESSAGE
from tests.fuzz.__main__ import Run, main, run
from tests.fuzz.seeds import SEEDS, mutate
from tests.fuzz.targets import TARGETS, shape


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_crashes(name: str) -> None:
    state = run(3000 if name != "agent" else 2000, seed=7, seconds=60, only=name, large=0.003, crashes=None)
    assert state.crashes == {}
    assert sum(state.inputs.values()) >= 2000


def test_the_mutator_makes_messages_and_keeps_the_limit() -> None:
    rng = random.Random(3)
    made = [mutate(rng, 0.05) for _ in range(2000)]
    assert max(map(len, made)) <= MAX_MESSAGE
    assert len(set(made)) > 1500
    assert [mutate(random.Random(3), 0.0)] * 2 == [mutate(random.Random(3), 0.0) for _ in range(2)]


def test_the_seeds_reach_the_inside_of_calls() -> None:
    calls = TARGETS["agent"]()
    for _ in range(12):
        for data in SEEDS:
            calls(data)
    answers = {line.split()[1] for line in calls.lone.lines() if line.startswith("SIP/2.0")}
    assert {"100", "180", "200"} <= answers


def test_a_crash_is_counted_once_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def broken(data: bytes) -> None:
        raise ValueError("no")

    monkeypatch.setitem(TARGETS, "parse", lambda: broken)
    state = Run(tmp_path)
    state.one("parse", b"x")
    state.one("parse", b"y")
    assert list(state.crashes.values()) == [2]
    assert [path.read_text().splitlines()[0] for path in tmp_path.iterdir()] == ["[b'x']"]


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["fuzz", "--inputs", "200", "--target", "headers"])
    assert main() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("200 inputs, ")


def test_a_target_is_given_its_part() -> None:
    assert shape("digest", SEEDS[0]).startswith(b'Digest username="alice"')
    assert b"\r\n" not in shape("headers", SEEDS[0])
    assert shape("parse", SEEDS[0]) == SEEDS[0]
