"""What `provisioner emergency` prints and does."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from provisioner import ipc
from provisioner.emergency import evidence, matrix, readiness
from provisioner.errors import OperatorError, UsageError
from provisioner.paths import StateDir, write_atomically
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Snapshot

WAIT_SECONDS = 90.0  # for all routes to be tried twice
_POLL_SECONDS = 0.2
_MARKS = {"bad": "NOT READY", "warn": "works", "good": "ready"}


def _snapshot(state: StateDir) -> Snapshot:
    inventory = Inventory.open(state.inventory)
    try:
        return inventory.snapshot()
    finally:
        inventory.close()


def _journal(state: StateDir) -> Journal:
    """To read from. Raises OperatorError when there is none."""
    if not state.journal.exists():
        raise OperatorError(f"{state.journal} is not there", "name the state directory with --state")
    return Journal.open(state.journal)


def _networks(state: StateDir) -> dict[str, str]:
    """The network of each registered line; none while the edge is away."""
    try:
        rows = ipc.ask(state.socket("edge"), "status")["registrations"]
    except (ipc.Gone, ipc.Refused):
        return {}
    return {
        row["extension"]: matrix.network_of(row["address"].rpartition(":")[0].strip("[]")) for row in rows
    }


def check(state: StateDir, as_json: bool) -> bool:
    """Print whether 911 would work from each phone; False when something is red. Raises OperatorError."""
    snapshot, journal = _snapshot(state), _journal(state)
    try:
        edge: ipc.Json | None = ipc.ask(state.socket("edge"), "status")
    except (ipc.Gone, ipc.Refused):
        edge = None
    try:
        waiting = [str(row["mac"]) for row in journal.sightings()]
        found = readiness.report(snapshot, edge, waiting, journal.emergencies(), time.time())
    finally:
        journal.close()
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        _print(found, snapshot.practice.time_zone)
    return found.level != "bad"


def _print(found: readiness.Report, zone: str) -> None:
    for problem in found.problems:
        click.echo(f"{_MARKS[problem.level]}: {problem.what}. {problem.remedy}")
    for place, route in enumerate(found.routes, 1):
        state = "not known" if route.up is None else "answers" if route.up else "does not answer"
        click.echo(f"route {place}: {route.trunk} at {route.address} {route.transport}, {state}")
    for row in found.phones:
        where = row.shown.address or row.shown.name
        where = f"{where}, confirmed: {_when(row.shown.confirmed, zone)}" if where else "whoever answers asks"
        click.echo(
            f"{_MARKS[row.level]}: {row.extension or row.mac} {row.name}, shows {row.number or 'no number'}, "
            f"help to: {where}, last 933: {_when(row.test.at if row.test else 0.0, zone)}"
        )
        for problem in row.problems:
            click.echo(f"    {problem.what}. {problem.remedy}")


def _when(at: float, zone: str) -> str:
    """A moment in the practice's own time."""
    return f"{datetime.fromtimestamp(at, evidence.zone_of(zone)):%Y-%m-%d %H:%M}" if at else "never"


def test(state: StateDir, extension: str) -> None:
    """Begin a test and wait for its end. Raises Gone, Refused, and OperatorError when it failed."""
    name = ipc.ask(state.socket("edge"), "emergency_test", {"extension": extension})["call"]
    click.echo(f"933 is called in the name of extension {extension} …")
    journal, began = _journal(state), time.monotonic()
    row: dict[str, Any] | None = None
    try:
        while time.monotonic() - began < WAIT_SECONDS and not (row and row["ended"]):
            time.sleep(_POLL_SECONDS)
            rows = journal.emergencies(time.time() - 2 * WAIT_SECONDS)
            row = next((each for each in rows if each["id"] == name), row)
    finally:
        journal.close()
    if row is None or not row["ended"]:
        raise OperatorError("the test is not over yet", "look at it with: provisioner emergency log")
    click.echo(evidence.line(evidence.calls([row], [])[0], _snapshot(state).practice.time_zone))
    if row["answered"] is None:
        raise OperatorError(
            f"933 was not answered: {row['outcome']}", "911 would have failed too: see the trunks"
        )


def export(state: StateDir, first: str, last: str, file: Path) -> None:
    """Write the evidence of the days `first` to `last` (practice time), "": of the last year, today.

    Raises UsageError and OperatorError.
    """
    snapshot, journal = _snapshot(state), _journal(state)
    now = time.time()
    ago, today = evidence.year(now, snapshot.practice.time_zone)
    first, last = first or ago, last or today
    since, until = evidence.days(first, last, snapshot.practice.time_zone)
    if until <= since:
        raise UsageError("The first day is after the last one")
    try:
        rows, told = journal.emergencies(since, until), journal.notices()
        history = journal.emergencies(0.0, until)
    finally:
        journal.close()
    cells = matrix.matrix(snapshot, history, {}, min(now, until), snapshot.notifying.test_days)
    data = evidence.archive(snapshot, rows, told, cells, first, last, now)
    try:
        write_atomically(file, data)
    except OSError as error:
        raise OperatorError(f"cannot write {file} ({error.strerror})", "name another file") from None
    stamp = datetime.fromtimestamp(now).astimezone()
    click.echo(f"{file}: {len(rows)} calls, {len(cells)} lines, written {stamp:%Y-%m-%d %H:%M:%S}")
