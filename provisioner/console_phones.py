"""What `provisioner phones` prints and does: orders to phones, retirement, and phones as a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from provisioner.errors import OperatorError
from provisioner.paths import StateDir, write_atomically
from provisioner.phones import remote
from provisioner.phones.bulk import MAX_BYTES, Preview, Table, export, parse, preview
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.importing import apply
from provisioner.store.inventory import Inventory
from provisioner.store.records import Phone

T = TypeVar("T")


def _with(state: StateDir, work: Callable[[Inventory], T]) -> T:
    inventory = Inventory.open(state.inventory)
    try:
        return work(inventory)
    finally:
        inventory.close()


def import_phones(state: StateDir, path: Path, dry_run: bool, as_json: bool) -> None:
    """Import the phones of a CSV file, or only say what would come of it. Raises OperatorError where it is wrong."""
    table = parse(_read(path))
    catalogue = Catalogue([state.root / "phone_templates"])
    found = _with(state, lambda inventory: preview(table, inventory.snapshot(), catalogue, time.time()))
    if dry_run or not found.good:
        _show(found, as_json)
        if found.first_problem():
            what = "this cannot be imported" if dry_run else "nothing was imported"
            raise OperatorError(what, "mend the table, then import it again")
        return
    _show(_with(state, lambda inventory: _imported(state, inventory, table, catalogue)), as_json)


def _imported(state: StateDir, inventory: Inventory, table: Table, catalogue: Catalogue) -> Preview:
    done = apply(inventory, table, "console", catalogue)
    remote.reload(state)
    return done


def _read(path: Path) -> bytes:
    with click.open_file(str(path), "rb") as file:
        data: bytes = file.read(MAX_BYTES + 1)
    return data


def _show(found: Preview, as_json: bool) -> None:
    if as_json:
        told = {"rows": found.rows, "problems": found.problems, "notes": found.notes, "good": found.good}
        click.echo(msgspec.json.encode(told))
        return
    for words in (*found.problems, *found.notes):
        click.echo(words)
    for row in found.rows:
        for problem in row.problems:
            click.echo(f"line {row.line}: {problem}")
    counts = {"new": "new", "change": "changed", "same": "as they are", "wrong": "with problems"}
    click.echo(", ".join(f"{found.count(action)} {words}" for action, words in counts.items()) + ".")  # type: ignore[arg-type]


def export_phones(state: StateDir, path: Path | None) -> None:
    """Write all phones as a CSV file, to standard output without a name."""
    data = _with(state, lambda inventory: export(inventory.all(Phone)))
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        write_atomically(path.absolute(), data)
