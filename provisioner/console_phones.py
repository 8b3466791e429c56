"""What `provisioner phones` prints and does: orders to phones, retirement, and phones as a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from provisioner.errors import OperatorError, UsageError
from provisioner.paths import StateDir, write_atomically
from provisioner.phones import remote
from provisioner.phones.bulk import MAX_BYTES, Preview, Table, export, parse, preview
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.identity import normal_mac
from provisioner.phones.importing import apply
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Phone

T = TypeVar("T")
_STATES = {
    "planned": "its turn comes", "busy": "waits", "due": "next", "sent": "told", "fetched": "has its files",
    "back": "back", "lost": "did not come back", "refused": "refused", "away": "not reached",
    "by-hand": "to do at the phone", "broken-off": "broken off",
}  # fmt: skip


def _with(state: StateDir, work: Callable[[Inventory], T]) -> T:
    inventory = Inventory.open(state.inventory)
    try:
        return work(inventory)
    finally:
        inventory.close()


def _mac(text: str) -> str:
    mac = normal_mac(text)
    if mac is None:
        raise UsageError(f"{text!r} is no MAC address: twelve hex digits, as on the phone's label")
    return mac


def order(state: StateDir, mode: str, macs: Sequence[str], everybody: bool, as_json: bool) -> None:
    """Begin a job for some phones or all of them. Raises ProvisionerError."""
    if bool(macs) == everybody:
        raise UsageError("name the phones by their MAC addresses, or all of them with --all")
    chosen = None if everybody else [_mac(mac) for mac in macs]
    job = _with(state, lambda inventory: remote.tell(state, inventory, chosen, mode, "console"))
    if as_json:
        click.echo(msgspec.json.encode(job))
    else:
        told = ", ".join(f"{count} {_STATES[name]}" for name, count in job["states"].items())
        click.echo(f"Job {job['job']}: {told}. See what becomes of it: provisioner phones jobs {job['job']}")


def jobs(state: StateDir, name: str, as_json: bool) -> None:
    """Print the last jobs, or each phone of one. Raises OperatorError when there is none."""
    journal = Journal(state.journal)
    rows = (journal.resyncs(name) if name else journal.resync_jobs()) if state.journal.exists() else []
    if name and not rows:
        raise OperatorError(f"there is no job {name}", "see those that there are: provisioner phones jobs")
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for row in rows:
        click.echo(_phone_line(row) if name else _job_line(row))
    if not rows:
        click.echo("No phone was told anything yet.")


def _job_line(row: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(row["at"], UTC).astimezone()
    states = ", ".join(f"{count} {_STATES[state]}" for state, count in row["states"].items())
    return f"{row['job']}  {at:%Y-%m-%d %H:%M:%S}  {row['mode']}  {row['who']}: {states}"


def _phone_line(row: dict[str, Any]) -> str:
    body = row["body"]
    files = f", {len(body['files'])} files" if body["files"] else ""
    note = f" ({body['note']})" if body["note"] else ""
    return (
        f"{row['mac']}  {body['extension'] or '-'}  wave {row['wave']}  {_STATES[row['state']]}{files}{note}"
    )


def retire(state: StateDir, mac: str, as_json: bool) -> None:
    """Take a phone out of the practice. Raises OperatorError."""
    name = _mac(mac)
    gone = _with(state, lambda inventory: remote.take_out(state, inventory, name, "console"))
    if as_json:
        click.echo(msgspec.json.encode(gone))
    else:
        free = ", ".join(gone.extensions) or "none"
        click.echo(f"{gone.id} is retired: its passwords are worth nothing. Free now: extension {free}.")


def import_phones(state: StateDir, path: Path, dry_run: bool, as_json: bool) -> None:
    """Import the phones of a CSV file, or only say what would come of it. Raises OperatorError with what is wrong."""
    table = parse(_read(path))
    catalogue = Catalogue([state.root / "phone_templates"])
    found = _with(state, lambda inventory: preview(table, inventory.snapshot(), catalogue, time.time()))
    if dry_run or not found.good:
        _show(found, as_json)
        if not dry_run and found.first_problem():
            raise OperatorError("nothing was imported", "mend the table, then import it again")
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
