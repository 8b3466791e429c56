"""Whether 911 would work now from each phone: each thing that can be wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from provisioner.emergency import matrix
from provisioner.emergency.readiness import LastTest, Report, report
from provisioner.store import records

NOW = 1_800_000_000.0
MAC, OTHER = "0004f2000101", "001565000102"
OWN, SIBLING, MAIN = "+14155550101", "+14155550102", "+14155550100"
CIVIC = {
    "country": "US", "A1": "CA", "A3": "Oakland", "RD": "Main", "STS": "St", "HNO": "1", "PC": "94612", "FLR": "2",
}  # fmt: skip
STREET = {name: value for name, value in CIVIC.items() if name != "FLR"}
DAY = 86400.0
HERE = "10.0.0.0/24"
GOOD = LastTest(at=NOW - DAY, passed=True, outcome="ended")
Edge = dict[str, Any]


def number(name: str, **more: Any) -> records.Number:
    return records.Number(
        **{"id": name, "label": "", "location": "main", "address_status": "registered", **more}
    )


def practice(**changes: Any) -> records.Snapshot:
    phone = records.Phone(
        id=MAC, vendor="polycom", model="VVX 411", location="main",
        lines=(records.Line(extension="101", number=OWN, name="Desk"),),
    )  # fmt: skip
    whole: dict[str, Any] = {
        "revision": 1,
        "practice": records.Practice(id="practice", name="Demo", main_number=MAIN),
        "locations": {"main": records.Location(id="main", name="Main building", civic=CIVIC)},
        "numbers": {OWN: number(OWN), SIBLING: number(SIBLING)},
        "phones": {MAC: phone},
        "trunks": {"core": records.Trunk(id="core", uri="sip:198.51.100.1")},
    }
    return records.Snapshot(**{**whole, **changes})


def edge(*up: bool | None, **more: Any) -> Edge:
    trunks = [
        {
            "id": f"core{place}",
            "stale": False,
            "gateways": [
                {"transport": "UDP", "address": f"198.51.100.{place}:5060", "up": each, "problem": ""}
            ],
        }
        for place, each in enumerate(up or (True, True))
    ]
    return {
        "trunks": trunks,
        "registrations": [{"extension": "101", "mac": MAC, "address": "10.0.0.5:5060"}],
        "suspects": [],
        **more,
    }


def changed(**changes: Any) -> records.Snapshot:
    """The practice with another phone record."""
    phone = msgspec.structs.replace(practice().phones[MAC], **changes)
    return practice(phones={MAC: phone})


def row_of_933(
    snapshot: records.Snapshot, days: float = 1.0, passed: bool = True, **matters: str
) -> dict[str, Any]:
    """A row of a call to 933 so many days ago; with `matters`, some of what it rests on was another then."""
    at = NOW - days * DAY
    phone = snapshot.phones[MAC]
    line = phone.lines[0] if phone.lines else records.Line(extension="101")
    then = {**matrix.matters(snapshot, phone, line, HERE), **matters}
    return {
        "id": "t", "kind": "emergency-test", "at": at, "mac": MAC, "extension": "101",
        "answered": at if passed else None, "ended": at, "body": {"matters": then},
        "outcome": "ended" if passed else "no route took the call",
    }  # fmt: skip


def of(
    snapshot: records.Snapshot, status: Edge | None, waiting: str = "", made: bool = True, **test: Any
) -> Report:
    """With a test of a day ago; with `test`, of another kind; without `made`, none."""
    rows = [row_of_933(snapshot, **test)] if made else []
    return report(snapshot, status, [waiting] if waiting else [], rows, NOW)


def test_all_is_well() -> None:
    found = of(practice(), edge())
    assert (found.level, found.problems) == ("good", ())
    (row,) = found.phones
    assert (row.level, row.gets_out, row.reachable, row.problems) == ("good", True, True, ())
    assert (row.number, row.number_known) == (OWN, True)
    assert row.shown.address == row.sent.address == "1 Main St, FL 2, Oakland, CA 94612"
    assert row.test == GOOD


def test_the_provider_said_so_when_it_was_last_asked() -> None:
    reading = records.Reading(at=NOW - 3600, status="registered")
    registration = records.Registration(id=OWN, provider="tw", state="registered", reading=reading)
    found = of(practice(registrations={OWN: registration}), edge())
    assert found.phones[0].shown.confirmed == NOW - 3600
    assert found.level == "good"


def test_a_town_that_the_provider_corrected_is_shown_as_it_says_it() -> None:
    typed = records.Postal(street="1 Main St", inside="FL 2", city="Oakland", state="CA", postcode="94612")
    theirs = msgspec.structs.replace(typed, street="1 MAIN ST", city="Piedmont")
    for answer, shown in (
        (theirs, "1 MAIN ST, FL 2, Piedmont CA 94612"),
        (msgspec.structs.replace(theirs, city="OAKLAND"), "1 Main St, FL 2, Oakland, CA 94612"),
    ):
        reading = records.Reading(at=NOW, status="registered", address=answer)
        registration = records.Registration(
            id=OWN, provider="tw", state="registered", wanted=typed, accepted=answer, reading=reading
        )
        found = of(practice(registrations={OWN: registration}), edge())
        assert found.phones[0].shown.address == shown


def test_routes_that_are_down_come_last() -> None:
    found = of(practice(), edge(False, True))
    assert [(route.trunk, route.up) for route in found.routes] == [("core1", True), ("core0", False)]
    assert found.phones[0].gets_out


no_number: dict[str, records.Number] = {}
elsewhere = records.Location(id="annex", name="Annex", civic={**CIVIC, "HNO": "9"})

WRONG: dict[str, tuple[Callable[[], Report], str, str]] = {
    "edge-away": (lambda: of(practice(), None), "bad", "call process does not answer"),
    "no-trunk": (lambda: of(practice(trunks={}), edge() | {"trunks": []}), "bad", "none is set up"),
    "no-name": (lambda: of(practice(), edge() | {"trunks": []}), "bad", "name is not found"),
    "all-down": (lambda: of(practice(), edge(False, False)), "bad", "No calling service answers"),
    "one-down": (lambda: of(practice(), edge(False, True)), "warn", "1 of 2 routes do not answer: "),
    "one-route": (lambda: of(practice(), edge(True)), "warn", "one route only"),
    "dns-dead": (
        lambda: of(practice(), edge() | {"trunks": [{**each, "stale": True} for each in edge()["trunks"]]}),
        "warn",
        "DNS does not answer",
    ),
    "unregistered": (lambda: of(practice(), edge(registrations=[])), "bad", "not registered: it may be off"),
    "no-location": (lambda: of(changed(location=""), edge()), "bad", "no location"),
    "incomplete-address": (
        lambda: of(
            practice(
                locations={"main": records.Location(id="main", name="Main building", civic={"country": "US"})}
            ),
            edge(),
        ),
        "bad",
        "is missing",
    ),
    "no-number": (lambda: of(practice(numbers=no_number), edge()), "bad", "No number is registered"),
    "no-address": (
        lambda: of(practice(numbers={OWN: number(OWN, address_status="pending")}), edge()),
        "bad",
        "No number is registered",
    ),
    "elsewhere": (
        lambda: of(
            practice(
                locations={"main": practice().locations["main"], "annex": elsewhere},
                numbers={OWN: number(OWN, location="annex")},
                practice=records.Practice(id="practice", name="Demo", main_number=OWN),
            ),
            edge(),
        ),
        "bad",
        "Help would be sent to Annex",
    ),
    "no-part-of-it": (
        lambda: of(
            practice(
                locations={
                    "main": records.Location(id="main", name="Main building", civic=STREET),
                    "two": records.Location(id="two", name="Floor 2", civic={"FLR": "2"}, parent="main"),
                }
            ),
            edge(),
        ),
        "warn",
        "nothing says where in the building this is",
    ),
    "sibling": (
        lambda: of(
            practice(numbers={OWN: number(OWN, address_status="failed"), SIBLING: number(SIBLING)}), edge()
        ),
        "warn",
        "shows another line's number",
    ),
    "change-under-way": (
        lambda: of(
            practice(registrations={OWN: records.Registration(id=OWN, provider="tw", state="pending")}),
            edge(),
        ),
        "warn",
        "change is under way",
    ),
    "no-line": (lambda: of(changed(lines=()), edge()), "bad", "no line"),
    "moved": (
        lambda: of(practice(), edge(suspects=[{"mac": MAC, "why": ["network"]}])),
        "bad",
        "registers from another network",
    ),
    "not-adopted": (lambda: of(practice(), edge(), waiting=OTHER), "bad", "Nobody adopted it"),
    "never-tested": (lambda: of(practice(), edge(), made=False), "warn", "933 was never dialled"),
    "test-failed": (
        lambda: of(practice(), edge(), passed=False),
        "bad",
        "no route took the call",
    ),
    "test-stale": (lambda: of(practice(), edge(), place="another"), "warn", "its location changed since"),
    "test-overdue": (lambda: of(practice(), edge(), days=50.0), "warn", "too long ago"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_each_thing_that_is_wrong_is_said_with_what_to_do(wrong: str) -> None:
    make, level, words = WRONG[wrong]
    found = make()
    problems = [*found.problems, *(problem for row in found.phones for problem in row.problems)]
    (told,) = [problem for problem in problems if words in problem.what][:1]
    assert told.level == level
    assert told.remedy.endswith((".", "?"))
    assert found.level == level


def test_red_first() -> None:
    whole = practice()
    second = msgspec.structs.replace(
        whole.phones[MAC], id=OTHER, location="", lines=(records.Line(extension="102", number=SIBLING),)
    )
    found = of(practice(phones={**whole.phones, OTHER: second}), edge())
    assert [(row.extension, row.level) for row in found.phones] == [("102", "bad"), ("101", "good")]
