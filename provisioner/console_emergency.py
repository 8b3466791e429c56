"""What `provisioner emergency` prints."""

from __future__ import annotations

import time

import click
import msgspec

from provisioner.emergency import readiness
from provisioner.ipc import Gone, Json, Refused, ask
from provisioner.paths import StateDir
from provisioner.store.call_log import Search
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal

_MARKS = {"bad": "NOT READY", "warn": "works", "good": "ready"}


def check(state: StateDir, as_json: bool) -> bool:
    """Print whether 911 would work from each phone; False when something is red. Raises OperatorError."""
    report = _report(state)
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _print(report)
    return report.level != "bad"


def _report(state: StateDir) -> readiness.Report:
    inventory, journal = Inventory.open(state.inventory), Journal.open(state.journal)
    try:
        edge: Json | None = ask(state.socket("edge"), "status")
    except (Gone, Refused):
        edge = None
    try:
        tests = readiness.last_tests(journal.calls(readiness.TESTS, search=Search(parties=(readiness.TEST,))))
        waiting = [str(row["mac"]) for row in journal.sightings()]
        return readiness.report(inventory.snapshot(), edge, waiting, tests, time.time())
    finally:
        inventory.close()
        journal.close()


def _print(report: readiness.Report) -> None:
    for problem in report.problems:
        click.echo(f"{_MARKS[problem.level]}: {problem.what}. {problem.remedy}")
    for place, route in enumerate(report.routes, 1):
        state = "not known" if route.up is None else "answers" if route.up else "does not answer"
        click.echo(f"route {place}: {route.trunk} at {route.address} {route.transport}, {state}")
    for row in report.phones:
        where = (row.shown.address or row.shown.name) if row.number_known else "whoever answers asks"
        test = f"{time.strftime('%Y-%m-%d', time.localtime(row.test.at))}" if row.test else "never"
        click.echo(
            f"{_MARKS[row.level]}: {row.extension or row.mac} {row.name}, shows {row.number or 'no number'}, "
            f"help to: {where}, last 933: {test}"
        )
        for problem in row.problems:
            click.echo(f"    {problem.what}. {problem.remedy}")
