"""The registrar with several numbers and providers: what is one's trouble stays that one's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.emergency.providers import wire
from provisioner.emergency.providers.core import Core
from provisioner.emergency.registrar import QUIET, Connection, Registrar
from provisioner.errors import OperatorError
from provisioner.store.inventory import Inventory
from provisioner.store.records import Location, Number, Practice, Provider, Registration

CIVIC = {"country": "US", "A1": "CA", "A3": "Oakland", "RD": "Broadway", "HNO": "1", "PC": "94607"}
START = 1_790_000_000.0
NUMBERS = tuple(f"+1415555010{n}" for n in range(4))


class Desk:
    """Two numbers with each of `ill` and `well`; `ill` answers each request as it is told."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory, self.now = inventory, START
        self.asked: list[float] = []  # when `ill` was
        self.answer: Callable[[], wire.Reply] = lambda: wire.Reply(200, {}, b"{}")
        self.refuses: Exception | None = None
        with inventory.change(who="test") as change:
            change.put(Practice(id="practice", name="x", main_number=NUMBERS[0]))
            change.put(Location(id="home", name="Home", civic=CIVIC))
            for name in ("ill", "well"):
                change.put(Provider(id=name, api="core"))
            for at, number in enumerate(NUMBERS):
                with_whom = "well" if at > 1 else "ill"
                change.put(Number(id=number, label="", location="home", provider=with_whom))
        self.registrar = Registrar(inventory, self.connect, lambda: self.now)

    def connect(self, provider: Provider, _secret: object) -> Connection:
        if provider.id == "ill" and self.refuses:
            raise self.refuses
        return Connection(Core(wire.Account("", "", "")), self.ill if provider.id == "ill" else self.well)

    def ill(self, _request: wire.Request) -> wire.Reply:
        self.asked.append(self.now)
        return self.answer()

    def well(self, request: wire.Request) -> wire.Reply:
        return wire.Reply(200, {}, b"{}")

    def held(self, number: str) -> Registration:
        stored = self.inventory.get(Registration, number)
        assert stored
        return stored[0]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    inventory = Inventory.open(tmp_path / "inventory.db")
    yield Desk(inventory)
    inventory.close()


def raising(error: Exception) -> Any:
    def answer() -> wire.Reply:
        raise error

    return answer


def test_a_provider_that_asks_for_a_pause_is_asked_for_no_number_until_then(desk: Desk) -> None:
    desk.answer = raising(wire.Throttled("too often", 60.0))
    desk.registrar.turn()
    desk.now += 59
    desk.registrar.turn()
    assert desk.asked == [START]
    assert all(desk.held(number).state == "submitting" for number in NUMBERS[2:])
    desk.now += 1
    desk.registrar.turn()
    assert desk.asked[1:] == [START + 60]


def test_one_that_is_away_keeps_the_others_waiting_for_one_try_and_not_for_one_a_number(desk: Desk) -> None:
    desk.answer = raising(wire.Unreachable("away"))
    desk.registrar.turn()
    assert desk.asked == [START]
    desk.now += QUIET
    desk.registrar.turn()
    assert len(desk.asked) == 2


@pytest.mark.parametrize(
    "answer", [wire.Reply(200, {}, b"\xff"), KeyError("a secret")], ids=["bytes", "error"]
)
def test_an_answer_that_nobody_thought_of_is_one_numbers_trouble(desk: Desk, answer: Any) -> None:
    desk.answer = raising(answer) if isinstance(answer, Exception) else lambda: answer
    desk.registrar.turn()
    for number in NUMBERS[:2]:
        assert "could not be used" in desk.held(number).error
        assert "secret" not in desk.held(number).error
        assert desk.held(number).due > START
    assert all(desk.held(number).state == "submitting" for number in NUMBERS[2:])


def test_a_provider_that_cannot_be_connected_to_is_said_and_keeps_up_no_other(desk: Desk) -> None:
    desk.refuses = OperatorError("this is no address for a provider", "give another")
    desk.registrar.turn()
    assert (desk.held(NUMBERS[0]).state, desk.held(NUMBERS[2]).state) == ("failed", "submitting")
    assert "no address for a provider" in desk.held(NUMBERS[0]).error


def test_whatever_breaks_it_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    stop = threading.Event()
    turns = iter([ValueError("a secret"), OperatorError("the disk is full", "make room"), None])

    def turn() -> int:
        error = next(turns)
        if error:
            raise error
        stop.set()
        return 0

    monkeypatch.setattr(desk.registrar, "turn", turn)
    monkeypatch.setattr("provisioner.emergency.registrar.BROKEN_STORE", 0.0)
    desk.registrar.run(stop)
    assert next(turns, "all done") == "all done"
    assert "secret" not in caplog.text
    assert [record.getMessage() for record in caplog.records] == [
        "emergency addresses wait: ValueError",
        "emergency addresses wait: the disk is full: make room",
    ]
