"""Whether 911 would work now from each phone: by which route, with which number and address, and what to mend. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from provisioner.emergency import civic, matrix, postal
from provisioner.emergency.calling import Calling, calling_number
from provisioner.emergency.moved import WORDS as MOVED
from provisioner.store.once import once
from provisioner.store.records import Line, Phone, Registration, Snapshot

Row = dict[str, Any]
Level = Literal["bad", "warn", "good"]
ORDER: tuple[Level, ...] = ("bad", "warn", "good")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps 911 from being as it should, and what to do about it."""

    level: Level
    what: str
    remedy: str


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One way out. `up`: None while nothing was heard of it."""

    trunk: str
    address: str
    transport: str
    up: bool | None


class LastTest(msgspec.Struct, frozen=True, kw_only=True):
    """The last call to 933 of a line. `stale`: something that it proved is another since."""

    at: float
    passed: bool
    outcome: str = ""
    stale: str = ""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Somewhere help is sent to, and since when the provider confirms it (0: it does not; seconds since 1970)."""

    name: str = ""
    address: str = ""
    confirmed: float = 0.0


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a phone, or a phone without any, adopted or not.

    `gets_out`: an INVITE would leave and a route is not known to be down. `shown`: where the number that is shown is
    registered; `sent`: the location that the INVITE carries where the route takes it.
    """

    mac: str
    extension: str
    name: str
    level: Level
    gets_out: bool
    number: str
    number_known: bool
    shown: Place
    sent: Place
    reachable: bool
    test: LastTest | None
    problems: tuple[Problem, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it at one moment: `routes` in the order in which they are tried, `problems` of the whole practice."""

    at: float
    level: Level
    routes: tuple[Route, ...]
    problems: tuple[Problem, ...]
    phones: tuple[Readiness, ...]


def report(
    snapshot: Snapshot, edge: Row | None, waiting: Iterable[str], calls: Sequence[Row], now: float
) -> Report:
    """`edge`: its status (docs/internals.md), None: it does not answer. `waiting`: MACs of phones that nobody adopted.

    `calls`: rows of the journal's `emergencies`, oldest first.
    """
    tests = _tests(snapshot, edge, calls, now)
    routes = tuple(_routes(edge))
    general = tuple(_of_practice(snapshot, edge, routes))
    gets_out = bool(routes) and any(route.up is not False for route in routes)
    facts = _facts(snapshot, edge, gets_out)
    rows = [
        _line(snapshot, phone, line, facts, tests.get(line.extension if line else ""))
        for phone in snapshot.phones.values()
        for line in phone.lines or (None,)
    ]
    rows += [_stranger(snapshot, mac, facts) for mac in waiting if mac not in snapshot.phones]
    rows.sort(key=lambda row: (ORDER.index(row.level), row.extension, row.mac))
    levels = [*(row.level for row in rows), *(problem.level for problem in general)]
    return Report(at=now, level=_worst(levels), routes=routes, problems=general, phones=tuple(rows))


class _Spot(msgspec.Struct, frozen=True):
    """A location as all phones there have it."""

    place: Place
    problems: tuple[Problem, ...]


class _Facts(msgspec.Struct, frozen=True):
    """What many phones share, found once: extensions that are registered, doubts by MAC."""

    there: bool
    gets_out: bool
    reached: frozenset[str]
    doubts: dict[str, list[str]]


def _facts(snapshot: Snapshot, edge: Row | None, gets_out: bool) -> _Facts:
    return _Facts(
        there=edge is not None,
        gets_out=gets_out,
        reached=frozenset(str(row["extension"]) for row in (edge or {}).get("registrations", [])),
        doubts={row["mac"]: row["why"] for row in (edge or {}).get("suspects", [])},
    )


@once
def _spot(snapshot: Snapshot, name: str) -> _Spot | None:
    place, parts = snapshot.place(name), snapshot.locations.values()
    if place is None:
        return None
    problems = tuple(
        Problem(
            level="bad" if fault.blocks else "warn",
            what=f"The address of {place.name}: {fault.what}",
            remedy=fault.remedy,
        )
        for fault in civic.problems(place.civic, shared=any(each.parent == name for each in parts))
    )
    return _Spot(Place(name=place.name, address=_text(place.civic)), problems)


def _tests(snapshot: Snapshot, edge: Row | None, rows: Sequence[Row], now: float) -> dict[str, LastTest]:
    """The last test of each extension that had one."""
    tested = {row["extension"] for row in rows}
    networks = {
        row["extension"]: matrix.network_of(str(row["address"]).rpartition(":")[0].strip("[]"))
        for row in (edge or {}).get("registrations", [])
        if row["extension"] in tested
    }
    cells = matrix.matrix(snapshot, rows, networks, now, snapshot.notifying.test_days)
    return {cell.extension: _test(cell, cell.results[0]) for cell in cells if cell.results}


def _test(cell: matrix.Cell, result: matrix.Result) -> LastTest:
    stale = ", ".join(matrix.WORDS[name] for name in cell.changed) + " changed since" if cell.changed else ""
    if cell.standing == "overdue":
        stale = "it was too long ago"
    return LastTest(at=result.at, passed=result.passed, outcome=result.outcome, stale=stale)


def _worst(levels: Iterable[Level]) -> Level:
    return min(levels, key=ORDER.index, default="good")


def _routes(edge: Row | None) -> list[Route]:
    """Those that are not known to be down come first, as in edge/gateway.py."""
    found = [
        Route(trunk=trunk["id"], address=gateway["address"], transport=gateway["transport"], up=gateway["up"])
        for trunk in (edge or {}).get("trunks", [])
        for gateway in trunk.get("gateways", [])
    ]
    return sorted(found, key=lambda route: route.up is False)


def _of_practice(snapshot: Snapshot, edge: Row | None, routes: tuple[Route, ...]) -> Iterable[Problem]:
    if edge is None:
        yield Problem(
            level="bad",
            what="The call process does not answer: no call goes out",
            remedy="It is started again by itself. If this stays for a minute, look at the appliance's log; "
            "until then dial 911 from a mobile phone.",
        )
    elif not routes:
        what = "its name is not found" if snapshot.trunks else "none is set up"
        yield Problem(
            level="bad",
            what=f"There is no way to a calling service: {what}",
            remedy="Add a trunk, or mend its name and the DNS servers.",
        )
    elif all(route.up is False for route in routes):
        yield Problem(
            level="bad",
            what="No calling service answers",
            remedy="911 is still tried on every route. Check the internet connection and the firewall, then the "
            "provider's status; until then dial 911 from a mobile phone.",
        )
    elif down := [route.address for route in routes if route.up is False]:
        yield Problem(
            level="warn",
            what=f"{len(down)} of {len(routes)} routes do not answer: {', '.join(down)}",
            remedy="911 is tried on the others first. Check the status of these.",
        )
    elif len(routes) == 1:
        yield Problem(
            level="warn",
            what="There is one route only",
            remedy="When it fails, 911 does not get out. Add a second trunk, best over another internet connection.",
        )
    if any(trunk.get("stale") for trunk in (edge or {}).get("trunks", [])):
        yield Problem(
            level="warn",
            what="DNS does not answer; the last known addresses of the calling service are used",
            remedy="Mend the DNS servers of the appliance.",
        )


def _line(
    snapshot: Snapshot, phone: Phone, line: Line | None, facts: _Facts, test: LastTest | None
) -> Readiness:
    extension = line.extension if line else ""
    reachable = extension in facts.reached
    calling, spot, lasting = _lasting(snapshot, phone.id, phone.lines.index(line) if line else None)
    problems = [*lasting, *_of_phone(phone, line, facts, reachable), *_of_test(test)]
    problems.sort(key=lambda problem: ORDER.index(problem.level))
    level = _worst([*(problem.level for problem in problems), "good" if facts.gets_out else "bad"])
    return Readiness(
        mac=phone.id,
        extension=extension,
        name=(line.name if line else "") or f"{phone.vendor.capitalize()} {phone.model}".strip(),
        level=level,
        gets_out=facts.gets_out,
        number=calling.number,
        number_known=calling.known,
        shown=_shown(snapshot, calling.number),
        sent=spot.place if spot else Place(),
        reachable=reachable,
        test=test,
        problems=tuple(problems),
    )


@once
def _lasting(
    snapshot: Snapshot, mac: str, index: int | None
) -> tuple[Calling, _Spot | None, tuple[Problem, ...]]:
    """What a line shows, where it is, and what is wrong with both: as long as nobody changes the inventory."""
    phone = snapshot.phones[mac]
    line = None if index is None else phone.lines[index]
    calling = calling_number(snapshot, phone, line.number if line else "")
    spot = _spot(snapshot, phone.location)
    about = _of_number(snapshot, line, calling, _shown(snapshot, calling.number))
    problems = (*(spot.problems if spot else (_PLACELESS,)), *about)
    return calling, spot, problems


def _stranger(snapshot: Snapshot, mac: str, facts: _Facts) -> Readiness:
    calling = calling_number(snapshot, None, "")
    problem = Problem(
        level="bad",
        what="Nobody adopted it: 911 goes out with the main number, and nobody knows where it is",
        remedy="Adopt it and give it a location, or unplug it.",
    )
    return Readiness(
        mac=mac,
        extension="",
        name="Waiting for adoption",
        level="bad",
        gets_out=facts.gets_out,
        number=calling.number,
        number_known=False,
        shown=_shown(snapshot, calling.number),
        sent=Place(),
        reachable=False,
        test=None,
        problems=(problem,),
    )


@once
def _shown(snapshot: Snapshot, number: str) -> Place:
    """Where the provider would send help for a number; as it says it, where that is another address than ours."""
    held = snapshot.numbers.get(number)
    if held is None or held.address_status != "registered":
        return Place()
    spot = _spot(snapshot, held.location)
    place = spot.place if spot else Place()
    registration = snapshot.registrations.get(number)
    reading = registration.reading if registration else None
    if registration and reading and reading.address and not postal.same(reading.address, registration.wanted):
        # Its town is the one that the centre is chosen by.
        place = msgspec.structs.replace(place, address=postal.text(reading.address))
    return msgspec.structs.replace(place, confirmed=reading.at if reading else 0.0)


def _text(elements: dict[str, str]) -> str:
    written = civic.written(elements)
    parts = (written.street, written.inside, written.city, f"{written.area} {written.postal_code}".strip())
    return ", ".join(part for part in parts if part)


_PLACELESS = Problem(
    level="bad",
    what="It has no location",
    remedy="Nobody can be sent to the right room. Give it a location on its page.",
)


def _of_number(snapshot: Snapshot, line: Line | None, calling: Calling, shown: Place) -> Iterable[Problem]:
    number, known = calling
    own = snapshot.numbers.get(line.number) if line else None
    if line is not None and not known and shown.address:
        yield Problem(
            level="bad",
            what=f"Help would be sent to {shown.name}: the number that it shows is registered there",
            remedy="Register a number's emergency address for this location.",
        )
    elif line is not None and not known:
        yield Problem(
            level="bad",
            what="No number is registered for where it is: an operator will have to ask, and a fee is likely",
            remedy="Register a number's emergency address for this location.",
        )
    elif line is not None and line.number != number:
        yield Problem(
            level="warn",
            what="It shows another line's number" + (", its own is not registered here" if own else ""),
            remedy="The address is right, but who calls back reaches that number first. Register its own.",
        )
    registration = snapshot.registrations.get(number)
    if known and registration and _doubtful(registration):
        yield Problem(
            level="warn",
            what="The provider was last asked too long ago, or a change is under way",
            remedy="See how the number is on the page of numbers and addresses.",
        )


def _doubtful(registration: Registration) -> bool:
    return registration.reading is None or registration.reading.status != "registered"


def _of_phone(phone: Phone, line: Line | None, facts: _Facts, reachable: bool) -> Iterable[Problem]:
    if line is None:
        yield Problem(
            level="bad",
            what="It has no line",
            remedy="Give it an extension; an emergency centre cannot call it back.",
        )
    elif not reachable and facts.there:
        yield Problem(
            level="bad",
            what="It is not registered: it may be off, and a centre that calls back does not reach it",
            remedy="Check its power and network cable, then restart it.",
        )
    if doubt := facts.doubts.get(phone.id):
        yield Problem(
            level="bad",
            what="It may have been moved: " + ", and ".join(MOVED.get(why, why) for why in doubt),
            remedy="Go and see where it is, then confirm its location on its page.",
        )


def _of_test(test: LastTest | None) -> Iterable[Problem]:
    if test is None:
        yield Problem(
            level="warn",
            what="933 was never dialled from it",
            remedy="Dial 933 there and listen to the address.",
        )
    elif not test.passed:
        yield Problem(
            level="bad",
            what="Its last call to 933 was not answered" + (f" ({test.outcome})" if test.outcome else ""),
            remedy="Dial 933 there again. If it fails again, 911 may fail too: call the provider.",
        )
    elif test.stale:
        yield Problem(
            level="warn",
            what=f"Its last call to 933 proves nothing any more: {test.stale}",
            remedy="Dial 933 there again and listen to the address.",
        )
