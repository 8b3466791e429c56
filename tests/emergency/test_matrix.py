"""The matrix of tests: what makes a result stale, and how a line stands. Pure, over records and rows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from provisioner.emergency.matrix import GRACE, WORDS, matrix, matters, network_of
from provisioner.store import records
from provisioner.store.records import Snapshot
from tests.edge.world import CIVIC, MACS, number_of, practice

NOW, DAY = 1_790_000_000.0, 86_400.0
NET = {"101": "10.0.0.0/24", "102": "10.0.0.0/24", "103": "10.0.0.0/24"}


def row(
    snapshot: Snapshot, extension: str = "102", at: float = NOW, passed: bool = True, **more: Any
) -> dict:
    phone = snapshot.phones[MACS[extension]]
    body = {
        "matters": matters(snapshot, phone, phone.lines[0], NET[extension]),
        "origin": "hand",
        "routes": [{"trunk": "core", "result": "answered" if passed else "silent"}],
    }
    return {
        "id": f"{extension}-{at}", "kind": "emergency-test", "at": at, "mac": phone.id, "extension": extension,
        "answered": at + 1 if passed else None, "ended": at + 31, "outcome": "read back", "body": body, **more,
    }  # fmt: skip


def cell(
    snapshot: Snapshot, rows: list[dict], networks: dict[str, str] = NET, now: float = NOW, days: float = 30
) -> Any:
    return next(each for each in matrix(snapshot, rows, networks, now, days) if each.extension == "102")


def changed(**changes: Any) -> Snapshot:
    return msgspec.structs.replace(practice(), **changes)


def phone_102(**changes: Any) -> dict[str, records.Phone]:
    phones = dict(practice().phones)
    phones[MACS["102"]] = msgspec.structs.replace(phones[MACS["102"]], **changes)
    return phones


def number_102(**changes: Any) -> dict[str, records.Number]:
    numbers = dict(practice().numbers)
    numbers[number_of("102")] = msgspec.structs.replace(numbers[number_of("102")], **changes)
    return numbers


def moved_line() -> Snapshot:
    phones = dict(practice().phones)
    first, second = phones[MACS["101"]], phones[MACS["102"]]
    phones[MACS["101"]] = msgspec.structs.replace(first, lines=second.lines)
    phones[MACS["102"]] = msgspec.structs.replace(second, lines=first.lines)
    return changed(phones=phones)


OTHER = {"loc2": records.Location(id="loc2", name="Annex", civic={**CIVIC, "HNO": "9"})}
BOTH = {**practice().locations, **OTHER}
RENUMBERED = {"main": msgspec.structs.replace(practice().locations["main"], civic={**CIVIC, "FLR": "3"})}
OTHER_TRUNK = {"core": msgspec.structs.replace(practice().trunks["core"], uri="sip:elsewhere.example")}


CORRECTED = {
    number_of("102"): records.Registration(
        id=number_of("102"), provider="p", accepted=records.Postal(street="1 Main St", city="Northfield")
    )
}


@pytest.mark.parametrize(
    ("now", "networks", "what"),
    [
        (changed(phones=phone_102(location="loc2"), locations=BOTH), NET, {"place", "number"}),
        (changed(locations=RENUMBERED), NET, {"place", "address"}),
        (changed(numbers=number_102(location="loc2"), locations=BOTH), NET, {"number"}),
        (changed(numbers=number_102(address_status="unregistered")), NET, {"number"}),
        (changed(numbers=number_102(provider="another")), NET, {"address"}),
        (changed(registrations=CORRECTED), NET, {"address"}),
        (changed(trunks=OTHER_TRUNK), NET, {"trunks"}),
        (changed(trunks={}), NET, {"trunks"}),
        (moved_line(), NET, {"line"}),
        (practice(), {"102": "192.168.7.0/24"}, {"network"}),
    ],
)  # fmt: skip
def test_a_result_is_stale_when_what_it_rests_on_is_another(now: Snapshot, networks: dict, what: set) -> None:
    passed = row(practice())
    found = cell(now, [passed], networks)
    assert found.standing == "stale"
    assert what <= set(found.changed) <= set(WORDS)
    again = cell(practice(), [passed])
    assert (again.standing, again.changed) == ("passed", ())


@pytest.mark.parametrize(
    "now",
    [
        changed(phones=phone_102(front_desk=True)),
        changed(credentials={}, line_features={"102": records.LineFeatures(id="102", do_not_disturb=True)}),
        changed(practice=msgspec.structs.replace(practice().practice, max_calls=7)),
    ],
)
def test_what_does_not_matter_changes_nothing(now: Snapshot) -> None:
    assert cell(now, [row(practice())]).standing == "passed"


def test_an_unregistered_phone_is_in_no_other_network() -> None:
    assert cell(practice(), [row(practice())], {}).standing == "passed"


def test_how_a_line_stands() -> None:
    home = practice()
    assert cell(home, []).standing == "never"
    late = NOW + GRACE * 30 * DAY + 1
    assert cell(home, [row(home)], now=late).standing == "overdue"
    assert cell(home, [row(home)], now=late, days=0).standing == "passed"
    assert cell(home, [row(home), row(home, at=NOW + 5, passed=False)]).standing == "failed"
    assert cell(home, [row(home, passed=False), row(home, at=NOW + 5)]).standing == "passed"
    other = [row(home, kind="emergency"), row(home, ended=None), row(home, "101")]
    assert cell(home, other).standing == "never"


def test_the_worst_is_first_and_results_newest_first() -> None:
    home = practice()
    rows = [row(home, "101"), row(home, "103", passed=False), row(home, "101", at=NOW + 9)]
    cells = matrix(home, rows, NET, NOW, 30)
    assert [(each.extension, each.standing) for each in cells] == [
        ("103", "failed"), ("102", "never"), ("101", "passed"),
    ]  # fmt: skip
    assert [result.at for result in cells[2].results] == [NOW + 9, NOW]
    assert (cells[2].results[0].route, cells[2].results[0].seconds) == ("core", 30.0)


@pytest.mark.parametrize(
    ("address", "network"),
    [("10.0.0.7", "10.0.0.0/24"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("", ""), ("host", "")],
)
def test_the_network_of_a_phone(address: str, network: str) -> None:
    assert network_of(address) == network
