"""Phone x date x result of the calls to 933, and whether a result still says anything. Pure, over records and rows."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec

from provisioner.emergency.calling import calling_number
from provisioner.store.once import once
from provisioner.store.records import Line, Phone, Snapshot

Row = dict[str, Any]
Standing = Literal["passed", "stale", "overdue", "failed", "never"]

WORDS = {  # what a result rests on
    "number": "the number that it shows",
    "address": "the registered address",
    "place": "its location",
    "trunks": "the way to the calling service",
    "line": "the phone of this extension",
    "network": "the network that it is in",
}
ORDER: tuple[Standing, ...] = ("failed", "never", "stale", "overdue", "passed")
GRACE = 1.5  # a result is overdue after so many times of the days between tests
_DAY = 86400.0


@functools.lru_cache(4096)
def network_of(address: str) -> str:
    """The network that a phone's address stands for: its /24, or /64 for IPv6; "" for none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    length = 24 if parsed.version == 4 else 64
    return str(ipaddress.ip_network(f"{parsed}/{length}", strict=False))


@once
def _ways_out(snapshot: Snapshot) -> str:
    """What stands for the trunks in `matters`."""
    trunks = sorted(snapshot.trunks.values(), key=lambda trunk: (trunk.order, trunk.id))
    return _digest([msgspec.to_builtins(trunk) for trunk in trunks])


def matters(snapshot: Snapshot, phone: Phone, line: Line, network: str) -> dict[str, str]:
    """All that the result of a test of this line rests on; keys of WORDS. Secrets are no part of it."""
    calling = calling_number(snapshot, phone, line.number)
    return {
        "number": f"{calling.number} {'known' if calling.known else 'not known'}",
        "address": _address(snapshot, calling.number),
        "place": _place(snapshot, phone.location),
        "trunks": _ways_out(snapshot),
        "line": f"{phone.id} {line.extension}",
        "network": network,
    }


@once
def _address(snapshot: Snapshot, name: str) -> str:
    number = snapshot.numbers.get(name)
    if number is None:
        return _digest(None)
    registered, held = snapshot.place(number.location), snapshot.registrations.get(name)
    form = msgspec.to_builtins(held.accepted) if held else None  # the provider's, which it reads out
    return _digest([number.address_status, registered and registered.civic, number.provider, form])


@once
def _place(snapshot: Snapshot, location: str) -> str:
    place = snapshot.place(location)
    return _digest([location, place and place.civic])


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One call to 933 of a line. `passed`: it was answered; `route`: who answered."""

    call: str
    at: float
    passed: bool
    outcome: str
    route: str = ""
    origin: str = ""
    seconds: float | None = None


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a phone. `changed`: keys of WORDS that are others since the last result. Results: newest first."""

    extension: str
    mac: str
    name: str
    standing: Standing
    changed: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()


def result_of(row: Row) -> Result:
    """A row of `emergencies` as a result."""
    routes = (row["body"] or {}).get("routes") or []
    answered, ended = row["answered"], row["ended"]
    return Result(
        call=str(row["id"]),
        at=float(row["at"]),
        passed=answered is not None,
        outcome=str(row["outcome"] or ""),
        route=next((each["trunk"] for each in reversed(routes) if each["result"] == "answered"), ""),
        origin=str((row["body"] or {}).get("origin", "")),
        seconds=ended - answered if answered and ended else None,
    )


def matrix(
    snapshot: Snapshot, rows: Sequence[Row], networks: Mapping[str, str], now: float, days: float,
    only: Collection[str] | None = None,
) -> list[Cell]:  # fmt: skip
    """A cell for each line, the worst first. `rows`: of `emergencies`, oldest first; `networks`: by extension.

    `only`: extensions of which cells are wanted, None: of all.
    """
    tests: dict[str, list[Row]] = {}
    for row in rows:
        if row["kind"] == "emergency-test" and row["ended"]:
            tests.setdefault(str(row["extension"]), []).insert(0, row)
    cells = [
        _cell(snapshot, phone, line, tests.get(line.extension, []), networks, now, days)
        for phone in snapshot.phones.values()
        for line in phone.lines
        if only is None or line.extension in only
    ]
    return sorted(cells, key=lambda cell: (ORDER.index(cell.standing), cell.extension))


def _cell(
    snapshot: Snapshot, phone: Phone, line: Line, tests: Sequence[Row], networks: Mapping[str, str],
    now: float, days: float,
) -> Cell:  # fmt: skip
    results = tuple(result_of(row) for row in tests)
    changed: tuple[str, ...] = ()
    standing: Standing = "never"
    if results:
        then = (tests[0]["body"] or {}).get("matters") or {}
        here = matters(snapshot, phone, line, networks.get(line.extension, ""))
        if then != here:
            changed = tuple(name for name in WORDS if _differs(name, then.get(name, ""), here[name]))
        late = days > 0 and now - results[0].at > GRACE * days * _DAY
        standing = "stale" if changed else "overdue" if late else "passed"
        if not results[0].passed:
            standing = "failed"
    return Cell(
        extension=line.extension,
        mac=phone.id,
        name=line.name,
        standing=standing,
        changed=changed,
        results=results,
    )


def _differs(name: str, then: str, now: str) -> bool:
    """A phone that is not registered is in no network that could be another."""
    return then != now and not (name == "network" and not (then and now))
