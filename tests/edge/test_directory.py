"""Look-ups of the directory, and where its snapshot comes from when the inventory is no good."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioner.edge.directory import Directory, Source
from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.store import records
from provisioner.store.inventory import Inventory
from tests.edge.world import MACS, MAIN, number_of, practice


def number(extension: str, location: str, status: str = "registered") -> records.Number:
    return records.Number(
        id=number_of(extension),
        label="x",
        location=location,
        address_status=status,  # type: ignore[arg-type]
    )


def emergency_number(*numbers: records.Number, extension: str = "102") -> str:
    directory = Directory(practice(numbers={entry.id: entry for entry in numbers}))
    return directory.emergency_number(directory.stations[extension])


def test_emergency_number_is_the_lines_own() -> None:
    assert emergency_number(number("101", "main"), number("102", "main")) == number_of("102")


def test_emergency_number_is_another_of_the_same_location() -> None:
    found = emergency_number(number("102", "main", "unregistered"), number("103", "main"))
    assert found == number_of("103")


def test_emergency_number_is_never_one_of_another_building() -> None:
    found = emergency_number(number("101", "annex"), number("102", "annex"), number("103", "main"))
    assert found == number_of("103")


def test_emergency_number_without_any_registered_is_the_lines_own() -> None:
    found = emergency_number(number("101", "annex"), number("102", "main", "unregistered"))
    assert found == number_of("102")


def test_emergency_number_of_an_unknown_phone_is_the_main_number() -> None:
    assert Directory(practice()).emergency_number(None) == MAIN


def test_emergency_number_of_a_line_without_a_number() -> None:
    phone = records.Phone(
        id="x", vendor="yealink", model="T46S", lines=(records.Line(extension="108"),), location="annex"
    )
    directory = Directory(practice(phones={"x": phone}))
    assert directory.emergency_number(directory.stations["108"]) == MAIN


def test_accounts() -> None:
    directory = Directory(practice())
    station = directory.account("user102")
    assert station
    assert station.extension == "102"
    assert directory.password("user102") == "secret102"
    assert directory.account("nobody") is directory.password("nobody") is None


def test_a_phone_with_more_lines_than_credentials() -> None:
    lines = (records.Line(extension="101"), records.Line(extension="102"))
    phone = records.Phone(id=MACS["101"], vendor="polycom", model="VVX 411", lines=lines)
    directory = Directory(practice(phones={phone.id: phone}))
    assert directory.stations["102"].credential is None
    assert directory.account("user101") is directory.stations["101"]


def test_plans() -> None:
    directory = Directory(practice())
    assert directory.plan(directory.stations["101"]).extensions == {"101", "102", "103"}
    assert directory.plan(directory.stations["101"]).own == "101"
    assert directory.plan(None).extensions == frozenset()


def test_trunks_in_order() -> None:
    trunks = {
        name: records.Trunk(id=name, uri=f"sip:{name}", order=order)
        for name, order in (("c", 10), ("a", 20), ("b", 10))
    }
    assert [trunk.id for trunk in Directory(practice(trunks=trunks)).trunks] == ["b", "c", "a"]


# where it comes from


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    """A state directory with the inventory of a practice; SQLite does not wait long for a lock."""
    patient = Inventory.open
    monkeypatch.setattr(Inventory, "open", lambda path: patient(path, busy_seconds=0.01))
    state = StateDir.create(tmp_path)
    snapshot = practice()
    inventory = Inventory.open(state.inventory)
    with inventory.change(who="test") as change:
        change.put(snapshot.practice)
        for group in (snapshot.locations, snapshot.phones, snapshot.numbers, snapshot.credentials):
            for record in group.values():
                change.put(record)
    inventory.close()
    return state


def _garbage(state: StateDir) -> None:
    state.inventory.write_bytes(b"\x00garbage" * 4096)


def _replaced_by_garbage(state: StateDir) -> None:
    other = state.root / "other"
    other.write_bytes(b"garbage" * 4096)
    os.replace(other, state.inventory)


def _empty(state: StateDir) -> None:
    state.inventory.write_bytes(b"")


def _replaced_by_empty(state: StateDir) -> None:
    state.inventory.unlink()
    state.inventory.write_bytes(b"")


def _fresh_database(state: StateDir) -> None:
    state.inventory.unlink()
    Inventory.open(state.inventory).close()


BREAKERS = [
    _garbage,
    _replaced_by_garbage,
    _empty,
    _replaced_by_empty,
    _fresh_database,
    lambda state: state.inventory.unlink(),
]
NAMES = ["garbage", "replaced by garbage", "emptied", "replaced by nothing", "a new database", "gone"]


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("break_it", BREAKERS, ids=NAMES)
def test_the_last_good_snapshot_is_used(state: StateDir, break_it: object, restarted: bool) -> None:
    source = Source(state)
    good = source.load()
    if restarted:
        source = Source(state)
    break_it(state)  # type: ignore[operator]
    assert source.load().snapshot == good.snapshot
    assert source.revision() is None or source.revision() == good.snapshot.revision
    assert source.load().snapshot == good.snapshot


def test_without_any_snapshot_there_is_nothing_to_answer_from(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no inventory"):
        Source(StateDir.create(tmp_path)).load()


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b'{"revision": "x"}'])
def test_a_broken_snapshot_is_as_good_as_none(tmp_path: Path, junk: bytes) -> None:
    state = StateDir.create(tmp_path)
    state.snapshot.write_bytes(junk)
    with pytest.raises(OperatorError):
        Source(state).load()


def test_a_snapshot_that_cannot_be_written_does_no_harm(state: StateDir) -> None:
    state.snapshot.mkdir()
    assert Source(state).load().stations.keys() == {"101", "102", "103"}


def test_changes_are_seen(state: StateDir) -> None:
    source = Source(state)
    before = source.load().snapshot.revision
    assert source.revision() == before
    inventory = Inventory.open(state.inventory)
    with inventory.change(who="test") as change:
        change.delete(records.Phone, MACS["103"])
    inventory.close()
    after = source.revision()
    assert after
    assert after > before
    assert source.load().stations.keys() == {"101", "102"}
