"""What `provisioner calls` and `provisioner dial-through` print; who may read the state may see numbers."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from provisioner import ipc
from provisioner.errors import OperatorError, UsageError
from provisioner.paths import StateDir
from provisioner.store import dial_through
from provisioner.store.call_log import Search, lines, named
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import DialThrough, Snapshot

_COLUMNS = ("when", "direction", "from", "to", "talked", "ended", "mos")


def _practice(state: StateDir) -> Snapshot:
    if not state.inventory.exists() or not state.journal.exists():
        raise OperatorError("there is no call log here", "name its directory with --state")
    inventory = Inventory.open(state.inventory)
    try:
        return inventory.snapshot()
    finally:
        inventory.close()


def _search(snapshot: Snapshot, zone: tzinfo, text: str, since: str, until: str) -> Search:
    return Search(text, named(snapshot, text), _moment("since", since, zone), _moment("until", until, zone))


def _moment(name: str, text: str, zone: tzinfo) -> float | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--{name} {text!r} is no date: give one such as 2026-03-31 or 2026-03-31T14:00"
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()


def list_calls(state: StateDir, limit: int, as_json: bool, text: str, since: str, until: str) -> None:
    """Print the newest calls that fit. Raises OperatorError, and UsageError for a date that is none."""
    snapshot = _practice(state)
    zone = ZoneInfo(snapshot.practice.time_zone)
    rows = Journal(state.journal).calls(limit, _search(snapshot, zone, text, since, until))
    if as_json:
        click.echo(msgspec.json.encode(rows))
    elif not rows:
        click.echo("No call fits." if text or since or until else "No calls yet.")
    else:
        _show([_shown(row, zone) for row in rows])


def _shown(row: dict[str, Any], zone: tzinfo) -> dict[str, str]:
    when = datetime.fromtimestamp(row["started"], zone).strftime("%Y-%m-%d %H:%M:%S")
    talked = f"{row['talk_seconds'] or 0:.0f} s"
    cells = (when, row["direction"], row["caller"], row["called"], talked, row["outcome"], row["mos"] or "-")
    return dict(zip(_COLUMNS, map(str, cells), strict=True))


def _show(rows: list[dict[str, str]]) -> None:
    head = {name: name for name in rows[0]}
    widths = {name: max(len(row[name]) for row in [head, *rows]) for name in head}
    for row in [head, *rows]:
        click.echo("  ".join(row[name].ljust(widths[name]) for name in head).rstrip())


def export_calls(state: StateDir, text: str, since: str, until: str) -> None:
    """Print all calls that fit as CSV. Raises as `list_calls`."""
    snapshot = _practice(state)
    zone = ZoneInfo(snapshot.practice.time_zone)
    rows = Journal(state.journal).walk_calls(_search(snapshot, zone, text, since, until))
    for line in lines(rows, zone):
        click.echo(line, nl=False)


def list_through(state: StateDir, as_json: bool) -> None:
    """Print the dial-through numbers that are good now. Raises OperatorError."""
    snapshot = _practice(state)
    zone = ZoneInfo(snapshot.practice.time_zone)
    rows = dial_through.live(snapshot, time.time())
    if as_json:
        click.echo(msgspec.json.encode(rows))
    elif not rows:
        click.echo("No dial-through number is handed out.")
    else:
        _show([_through(row, zone) for row in rows])


def _through(row: DialThrough, zone: tzinfo) -> dict[str, str]:
    ends = datetime.fromtimestamp(row.expires, zone).strftime("%Y-%m-%d %H:%M:%S")
    names = ("id", "number", "phone", "target", "shows", "ends", "once")
    cells = (row.id, row.number, row.phone, row.target, row.calling, ends, "yes" if row.once else "no")
    return dict(zip(names, cells, strict=True))


def add_through(state: StateDir, as_json: bool, **what: Any) -> None:
    """Hand a dial-through number out. Raises OperatorError."""
    inventory = Inventory.open(state.inventory)
    try:
        name = secrets.token_hex(8)
        made = dial_through.allocate(inventory, **what, who="console", now=time.time(), name=name)
    finally:
        inventory.close()
    _reload(state)
    click.echo(msgspec.json.encode(made) if as_json else f"{made.number}, from {made.phone} only")


def end_through(state: StateDir, name: str) -> None:
    """End a dial-through number. Raises OperatorError when there is none of that id."""
    inventory = Inventory.open(state.inventory)
    try:
        dial_through.release(inventory, name, who="console")
    finally:
        inventory.close()
    _reload(state)
    click.echo("It is ended.")


def _reload(state: StateDir) -> None:
    with suppress(ipc.Gone, ipc.Refused):  # it looks for itself, too
        ipc.ask(state.socket("edge"), "reload")
