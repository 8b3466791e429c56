"""What `provisioner calls` prints. Whoever may read the state directory may see outside numbers."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from provisioner.errors import OperatorError, UsageError
from provisioner.paths import StateDir
from provisioner.store.call_log import Search, lines, named
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Snapshot

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
    rows = Journal(state.journal).calls(limit, 0, _search(snapshot, zone, text, since, until))
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
    head = {name: name for name in _COLUMNS}
    widths = {name: max(len(row[name]) for row in [head, *rows]) for name in _COLUMNS}
    for row in [head, *rows]:
        click.echo("  ".join(row[name].ljust(widths[name]) for name in _COLUMNS).rstrip())


def export_calls(state: StateDir, text: str, since: str, until: str) -> None:
    """Print all calls that fit as CSV. Raises as `list_calls`."""
    snapshot = _practice(state)
    zone = ZoneInfo(snapshot.practice.time_zone)
    rows = Journal(state.journal).walk_calls(_search(snapshot, zone, text, since, until))
    for line in lines(rows, zone):
        click.echo(line, nl=False)
