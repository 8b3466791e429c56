"""What `provisioner dial` prints: where a call would go, by the function that routes it."""

from __future__ import annotations

import click
import msgspec

from provisioner import demo
from provisioner.dialing.classify import Destination, Origin, classify
from provisioner.edge import features
from provisioner.edge.directory import Directory, Station
from provisioner.errors import OperatorError, UsageError
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import Snapshot

_WHERE = {
    "emergency": "an emergency call to {}",
    "emergency-test": "an emergency test call to {}",
    "crisis": "a call to the crisis line, {}",
    "extension": "a call to extension {}, inside the building",
    "service": "a call to the service {}, by the core",
    "outbound": "an outside call to {}, by the core",
}


def _snapshot(state: StateDir | None) -> Snapshot:
    if state is None:
        return demo.snapshot("sip:127.0.0.1")
    if not state.inventory.exists():
        raise OperatorError("there is no practice here", "name its directory with --state, or use --demo")
    inventory = Inventory.open(state.inventory)
    try:
        return inventory.snapshot()
    finally:
        inventory.close()


def _station(directory: Directory, extension: str) -> Station:
    wanted = extension or min(directory.stations, default="")
    if wanted in directory.stations:
        return directory.stations[wanted]
    if not extension:
        raise OperatorError("the practice has no line yet", "adopt a phone first")
    known = ", ".join(sorted(directory.stations)[:10])
    raise UsageError(f"no line has extension {extension!r}: give --from one of {known or 'none'}")


def dial(state: StateDir | None, digits: str, extension: str, origin: Origin, as_json: bool) -> None:
    """Print where `digits` would go from the line with `extension`, "" for the first one; `state` None: the demo.

    Raises UsageError for an extension that no line has, OperatorError without a practice.
    """
    directory = Directory(_snapshot(state))
    station = _station(directory, extension)
    destination = classify(digits, origin, directory.plan(station))
    calling = directory.calling_number(destination, station)
    code = features.asked(digits) if origin == "keypad" and destination.kind == "refused" else None
    if code:  # *911 has the look of one
        destination, calling = Destination("service", code[0]), station.extension
    if as_json:
        row = {
            "kind": destination.kind,
            "destination": destination.number,
            "calling_number": calling,
            "reason": destination.reason,
        }
        click.echo(msgspec.json.encode(row))
    else:
        click.echo(_words(destination, calling))


def _words(destination: Destination, calling: str) -> str:
    if destination.kind == "refused":
        return f"refused, {destination.status}: {destination.reason}"
    if destination.number in features.CODES:
        return f"the code {destination.number}, obeyed here for extension {calling}"
    limit = "; it counts against the limit a day" if destination.international else ""
    return f"{_WHERE[destination.kind].format(destination.number)}, from {calling}{limit}"
