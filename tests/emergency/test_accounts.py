"""Providers and their numbers by command line: added, imported, placed, decided about, never with a secret shown."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from provisioner import training
from provisioner.cli import main
from provisioner.core.providers.account import BEHAVIOURS, Account, Held
from provisioner.core.providers.twilio import Twilio
from provisioner.emergency import accounts
from provisioner.emergency.registrar import Registrar, connect
from provisioner.errors import OperatorError, UsageError
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import Location, Number, Practice, Provider, ProviderSecret, Registration
from tests.emergency.account import CIVIC, PASSWORD

NUMBERS = [f"+1415555{last:04}" for last in range(101, 105)]


@pytest.fixture
def stand_in() -> Iterator[Twilio]:
    made = Twilio(Account("AC1", PASSWORD, {number: Held() for number in NUMBERS}))
    yield made
    made.close()


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir.create(tmp_path / "state")
    with closing(Inventory.open(made.inventory)) as inventory, inventory.change(who="test") as change:
        change.put(Practice(id="practice", name="Clinic", main_number=NUMBERS[0]))
        change.put(Location(id="home", name="Home", civic=CIVIC))
        change.put(Number(id=NUMBERS[1], label="Mine", extension="102"))
    return made


class Shell:
    """The command line; `printed` is what the last command wrote."""

    def __init__(self, state: StateDir, capsys: pytest.CaptureFixture[str]) -> None:
        self.state, self.capsys = state, capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        assert main([*words, "--state", str(self.state.root)]) == code
        told = self.capsys.readouterr()
        assert PASSWORD not in told.out + told.err
        return told.out + told.err


@pytest.fixture
def shell(state: StateDir, stand_in: Twilio, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(state, capsys)
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    where = ("--account", "AC1", "--user", "AC1", "--url", stand_in.serve(), "--password-file", str(secret))
    assert "provisioner numbers import tw" in made("providers", "add", "tw", "--api", "twilio", *where)
    return made


def inventory(state: StateDir) -> Any:
    return closing(Inventory.open(state.inventory))


def work(state: StateDir) -> None:
    """What the appliance would do meanwhile."""
    now = [time.time()]  # as the commands
    with inventory(state) as held:
        registrar = Registrar(
            held, lambda p, s: connect(p, s, state, lambda: now[0], lambda _s: None), lambda: now[0]
        )
        for _turn in range(30):
            registrar.turn()
            now[0] += 60


def test_the_secret_is_stored_apart_and_shown_nowhere(shell: Shell, state: StateDir) -> None:
    with inventory(state) as held:
        stored = held.get(ProviderSecret, "tw")
        assert stored == (ProviderSecret(id="tw", user="AC1", password=PASSWORD), stored[1])
        assert PASSWORD not in str(held.snapshot())
        assert PASSWORD not in str(held.audit())
    (row,) = json.loads(shell("providers", "list", "--json"))["items"]
    assert (row["id"], row["api"]) == ("tw", "twilio")
    assert "twilio" in shell("providers", "list")


def test_numbers_come_from_the_account(shell: Shell, state: StateDir) -> None:
    told = shell("numbers", "import", "tw", "--location", "home", "--dry-run")
    assert "now with this provider" in told
    with inventory(state) as held:
        assert len(held.all(Number)) == 1
    rows = json.loads(shell("numbers", "import", "tw", "--location", "home", "--json"))
    assert [(row["number"], row["what"]) for row in rows] == [
        (NUMBERS[0], "new"), (NUMBERS[1], "now with this provider"), (NUMBERS[2], "new"), (NUMBERS[3], "new")
    ]  # fmt: skip
    with inventory(state) as held:
        numbers = {number.id: number for number in held.all(Number)}
        assert numbers[NUMBERS[0]].location == "home"
        assert numbers[NUMBERS[1]] == Number(id=NUMBERS[1], label="Mine", extension="102", provider="tw")
        assert {number.address_status for number in numbers.values()} == {"unregistered"}
    assert {row["what"] for row in json.loads(shell("numbers", "import", "tw", "--json"))} == {"known"}


def test_a_number_of_another_provider_stays_there(shell: Shell, state: StateDir) -> None:
    with inventory(state) as held, held.change(who="test") as change:
        change.put(Provider(id="other", api="core"))
        change.put(replace(change.get(Number, NUMBERS[1])[0], provider="other"))
    rows = json.loads(shell("numbers", "import", "tw", "--json"))
    assert rows[1]["what"] == "with another provider"
    with inventory(state) as held:
        assert held.get(Number, NUMBERS[1])[0].provider == "other"


def test_from_import_to_registered(shell: Shell, state: StateDir, stand_in: Twilio) -> None:
    shell("numbers", "import", "tw", "--location", "home")
    assert "It is looked at in a moment" in shell("numbers", "status")
    work(state)
    told = shell("numbers", "status")
    assert told.count("Registered") == 3  # the fourth was the practice's before, and has no location
    assert "Give the number a location" in told
    assert stand_in.account.numbers[NUMBERS[0]].status == "registered"
    row = json.loads(shell("numbers", "status", "415-555-0101", "--json"))
    assert (row["number"], row["status"], row["registered"]["street"]) == (
        NUMBERS[0],
        "registered",
        "1200 Harbor Point Way",
    )
    told = shell("numbers", "register", NUMBERS[1], "--location", "home")
    assert "On its way" in told
    work(state)
    assert "Registered" in shell("numbers", "status", NUMBERS[1])


def test_a_correction_by_command_line(shell: Shell, state: StateDir, stand_in: Twilio) -> None:
    stand_in.behaviour = "corrects"
    shell("numbers", "import", "tw", "--location", "home")
    work(state)
    told = shell("numbers", "status", NUMBERS[0])
    assert "Needs your decision" in told
    assert "city: San Francisco -> Northfield" in told
    shell("numbers", "register", NUMBERS[0], "--approve", "1")
    work(state)
    assert "registered: 1200 Harbor Point Way, FL 2 RM 210, Northfield" in shell(
        "numbers", "status", NUMBERS[0]
    )


def test_taking_an_address_away(shell: Shell, state: StateDir, stand_in: Twilio) -> None:
    shell("numbers", "import", "tw", "--location", "home")
    work(state)
    shell("numbers", "register", NUMBERS[0], "--location", "", "--remove")
    work(state)
    assert stand_in.account.numbers[NUMBERS[0]].status == "absent"
    assert "No address" in shell("numbers", "status", NUMBERS[0])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("numbers", "import", "nobody"), 1, "there is no provider nobody"),
        (("numbers", "import", "tw", "--location", "moon"), 1, "there is no location moon"),
        (("numbers", "status", "+12125550100"), 1, "none of this practice's numbers"),
        (("numbers", "register", "+12125550100"), 1, "has no provider"),
        (("numbers", "register", "+12125550100", "--location", "home"), 1, "none of this practice's numbers"),
        (("numbers", "register", NUMBERS[1], "--provider", "moon"), 1, "there is no provider moon"),
        (("numbers", "register", NUMBERS[1], "--approve", "1", "--remove"), 2, "give one of"),
        (("providers", "remove", "nobody"), 1, "there is no provider nobody"),
        (("providers", "add", "a b", "--api", "core"), 1, "letters, digits and hyphens"),
        (
            ("providers", "add", "x", "--api", "telnyx", "--password-file", "/dev/null"),
            2,
            "the password is empty",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(shell: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    told = shell(*words, code=code)
    assert said in told
    assert told.count("\n") == 1


def test_a_provider_goes_when_no_number_is_with_it(shell: Shell, state: StateDir) -> None:
    shell("numbers", "import", "tw")
    assert "4 numbers are with tw" in shell("providers", "remove", "tw", code=1)
    with inventory(state) as held, held.change(who="test") as change:
        for number in change.all(Number):
            change.put(replace(number, provider=""))
    shell("providers", "remove", "tw")
    with inventory(state) as held:
        assert held.get(ProviderSecret, "tw") is None
    work(state)
    with inventory(state) as held:
        assert held.all(Registration) == []


def test_an_interface_that_there_is_not(state: StateDir) -> None:
    with inventory(state) as held, pytest.raises(OperatorError, match="there is no interface 'fax'"):
        accounts.add(held, "x", "fax", "", "", "", "", "test")


def test_a_url_that_credentials_must_not_go_to(state: StateDir) -> None:
    with inventory(state) as held, pytest.raises(OperatorError, match="no address for a provider"):
        accounts.add(held, "x", "telnyx", "", "http://telnyx.example", "", "s", "test")


def test_training(capsys: pytest.CaptureFixture[str]) -> None:
    over = threading.Event()
    over.set()
    training.provider("telnyx", 0, "late", 1, (), over)
    told = capsys.readouterr().out
    assert "telnyx at http://127.0.0.1:" in told
    assert "provisioner providers add training --api telnyx" in told
    training.provider("", 0, "list", 1, ())
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(BEHAVIOURS)
    for name, behaviour in (("fax", "good"), ("twilio", "sulks")):
        with pytest.raises(UsageError, match="--behaviour list"):
            training.provider(name, 0, behaviour, 1, ())


def test_training_on_a_port_that_is_taken(stand_in: Twilio) -> None:
    port = int(stand_in.serve().rpartition(":")[2])
    with pytest.raises(OperatorError, match=f"port {port} cannot be opened"):
        training.provider("twilio", port, "good", 1, ())
