"""What `provisioner extensions` and `provisioner numbers` print and do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

from provisioner.console import show
from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.phones import extensions as plan
from provisioner.phones import renumber
from provisioner.phones.bulk import e164
from provisioner.phones.numbers import assign, warnings
from provisioner.phones.remote import reload
from provisioner.store.inventory import Inventory
from provisioner.store.records import Snapshot

T = TypeVar("T")
WHO = "console"


def _with(state: StateDir, work: Callable[[Inventory], T], changes: bool = False) -> T:
    inventory = Inventory.open(state.inventory)
    try:
        done = work(inventory)
    finally:
        inventory.close()
    if changes:
        reload(state)
    return done


def _snapshot(state: StateDir) -> Snapshot:
    return _with(state, lambda inventory: inventory.snapshot())


def _json(value: object) -> None:
    click.echo(msgspec.json.encode(value))


def _table(rows: Sequence[dict[str, Any]], none: str) -> None:
    if rows:
        show(list(rows), tuple(rows[0]))
    else:
        click.echo(none)


def _day(at: float | None) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%Y-%m-%d}" if at else ""


def list_extensions(state: StateDir, query: str, as_json: bool) -> None:
    """Print who has, keeps or had each extension."""
    wanted = query.lower()
    found = [
        row
        for row in plan.rows(_snapshot(state), time.time())
        if any(wanted in text.lower() for text in (row.extension, row.name, row.phone, row.range, row.state))
    ]
    if as_json:
        _json(found)
        return
    shown = [
        {"extension": row.extension, "state": row.state, "name": row.name, "phone": row.phone, "range": row.range,
         "dialled": "at once" if row.at_once else "waits", "until": _day(row.until)}
        for row in found
    ]  # fmt: skip
    _table(shown, "No extension fits." if query else "No extension is in use yet.")


def next_extensions(state: StateDir, location: str, group: str, count: int, as_json: bool) -> None:
    """Print what would be given next. Raises OperatorError when all are in use."""
    found = plan.proposed(_snapshot(state), time.time(), location, group, count)
    if not found:
        raise OperatorError("all extensions are in use", "free one that is no longer needed")
    if as_json:
        _json(found)
    else:
        click.echo("\n".join(found))


def check(state: StateDir, wanted: Iterable[str], as_json: bool) -> None:
    """Print whether each could be given, or what is wrong with those in use. Raises OperatorError when something is."""
    snapshot, now = _snapshot(state), time.time()
    judged = {each: plan.why_not(snapshot, each, now) for each in wanted}
    problems = [why for why in judged.values() if why] if judged else plan.problems(snapshot)
    if as_json:
        _json({"usable": {each: not why for each, why in judged.items()}, "problems": problems})
    else:
        for each in (*(f"{each} can be given" for each, why in judged.items() if not why), *problems):
            click.echo(f"{each}.")
    if problems:
        raise OperatorError(f"{len(problems)} wrong", "see what is said of each")
    if not judged and not as_json:
        click.echo("All extensions in use are as they should be.")


def reserve(state: StateDir, extension: str, name: str, as_json: bool) -> None:
    """Keep an extension. Raises OperatorError."""
    kept = _with(state, lambda inventory: plan.reserve(inventory, extension, name, WHO), changes=True)
    if as_json:
        _json(kept)
    else:
        click.echo(f"{kept.id} is reserved for {kept.name}.")


def release(state: StateDir, extension: str, as_json: bool) -> None:
    """Let an extension be given again. Raises OperatorError."""
    was = _with(state, lambda inventory: plan.release(inventory, extension, WHO), changes=True)
    if as_json:
        _json(was)
    else:
        kept = f"reserved for {was.name}" if was.reason == "reserved" else f"that of {was.name or was.phone}"
        click.echo(f"{was.id} can be given again; it was {kept}.")


def change_length(state: StateDir, length: int, dry_run: bool, as_json: bool) -> None:
    """Give all another length, or only say what that would do. Raises OperatorError with what stands against it."""
    made = renumber.plan(_snapshot(state), length)
    if not dry_run and not made.problems:
        made = _with(
            state, lambda inventory: renumber.apply(inventory, length, WHO, made.revision), changes=True
        )
    if as_json:
        _json(made)
    else:
        for move in made.moves:
            click.echo(f"{move.old} -> {move.new or 'none is free'}  {move.name}".rstrip())
        for problem in made.problems:
            click.echo(f"{problem}.")
    if made.problems:
        raise OperatorError("nothing was changed", "mend what is said above, then try again")
    if not dry_run and not as_json:
        click.echo("Changed. Let the phones fetch their files: provisioner phones resync --all")


def list_ranges(state: StateDir, as_json: bool) -> None:
    """Print the ranges."""
    found = list(_snapshot(state).extension_ranges.values())
    if as_json:
        _json(found)
    else:
        _table(
            [
                {"range": each.id, "name": each.name, "location": each.location, "group": each.group}
                for each in found
            ],
            "No range: every phone gets the next free extension.",
        )


def add_range(
    state: StateDir, first: str, last: str, name: str, location: str, group: str, as_json: bool
) -> None:
    """A new range. Raises OperatorError."""
    made = _with(
        state, lambda each: plan.add_range(each, first, last, name, WHO, location, group), changes=True
    )
    if as_json:
        _json(made)
    else:
        click.echo(f"{made.first} to {made.last} are for {made.name}.")


def remove_range(state: StateDir, name: str) -> None:
    """A range less. Raises OperatorError."""
    _with(state, lambda inventory: plan.remove_range(inventory, name, WHO), changes=True)
    click.echo(f"{name} is no range any more; who has an extension of it keeps it.")


def list_numbers(state: StateDir, as_json: bool) -> None:
    """Print the numbers."""
    snapshot = _snapshot(state)
    odd = {each.number: each.what for each in warnings(snapshot)}
    rows = [
        {"number": each.id, "label": each.label, "target": each.extension or each.ring_group,
         "address": each.address_status, "location": each.location, "warning": odd.get(each.id, "")}
        for _, each in sorted(snapshot.numbers.items())
    ]  # fmt: skip
    if as_json:
        _json(rows)
    else:
        _table(rows, "The practice has no number yet.")


def assign_number(state: StateDir, number: str, target: str, as_json: bool) -> None:
    """Let a number lead elsewhere. Raises OperatorError."""
    name = e164(number) or number
    odd = _with(state, lambda inventory: assign(inventory, name, target, WHO), changes=True)
    if as_json:
        _json({"number": name, "target": target, "warnings": [msgspec.to_builtins(each) for each in odd]})
        return
    click.echo(f"{name} leads to {target or 'nobody'}.")
    for each in odd:
        click.echo(f"{each.what}. {each.remedy}")
