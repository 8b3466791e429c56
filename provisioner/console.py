"""What `provisioner phones` and `provisioner protection` print and do."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from provisioner import ipc
from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.phones.adopt import adopt, welcome
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.identity import normal_mac, of_agent
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Phone

Row = dict[str, Any]
_COLUMNS = ("mac", "vendor", "model", "extension", "number", "location", "state")


def _row(phone: Phone) -> Row:
    line = phone.lines[0] if phone.lines else None
    return {
        "mac": phone.id,
        "vendor": phone.vendor,
        "model": phone.model,
        "extension": line.extension if line else "",
        "number": line.number if line else "",
        "location": phone.location,
        "state": "adopted",
    }


def _waiting(sighting: Row) -> Row:
    seen = {name: sighting[name] or "" for name in ("mac", "vendor", "model")}
    return {**dict.fromkeys(_COLUMNS, ""), **seen, "state": "waiting"}


def _sightings(state: StateDir) -> list[Row]:
    return Journal(state.journal).sightings() if state.journal.exists() else []


def show(rows: list[Row], columns: tuple[str, ...] = _COLUMNS) -> None:
    """Print rows as a table."""
    widths = [max(len(str(row[name])) for row in [*rows, {n: n for n in columns}]) for name in columns]
    for row in [{name: name for name in columns}, *rows]:
        cells = (str(row[name]).ljust(width) for name, width in zip(columns, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


SIGN_IN_SECONDS = 600


def sign_in(state: StateDir) -> None:
    """Print a one-time link to the staff page. Raises OperatorError, and Gone without a front."""
    status = ipc.ask(state.socket("front"), "status")
    host, port = urlsplit(status["phones"]).hostname or "", urlsplit(status["https"]).port
    inventory = Inventory.open(state.inventory)
    try:
        token = inventory.new_token("sign-in", SIGN_IN_SECONDS, "administrator")
    finally:
        inventory.close()
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"https://{shown}:{port}/staff/sign-in/{token}")


def list_phones(state: StateDir, as_json: bool) -> None:
    """Print the adopted phones, then those that wait. Raises OperatorError."""
    inventory = Inventory.open(state.inventory)
    try:
        rows = [_row(phone) for phone in inventory.all(Phone)]
    finally:
        inventory.close()
    known = {row["mac"] for row in rows}
    rows += [_waiting(sighting) for sighting in _sightings(state) if sighting["mac"] not in known]
    if as_json:
        click.echo(msgspec.json.encode(rows))
    elif rows:
        show(rows)
    else:
        click.echo(
            "No phone yet: point one at this appliance, and it appears here when it asks for its file."
        )


def adopt_phone(state: StateDir, mac: str, extension: str, as_json: bool) -> None:
    """Adopt a phone that was seen, and tell edge and front. Raises OperatorError."""
    name = normal_mac(mac)
    seen = [sighting for sighting in _sightings(state) if sighting["mac"] == name]
    if not seen or not seen[0]["vendor"] or not seen[0]["model"]:
        raise OperatorError(
            f"no phone {mac} has asked for its file", "plug it in, point it at this appliance, and try again"
        )
    inventory = Inventory.open(state.inventory)
    try:
        phone = adopt(inventory, seen[0]["mac"], seen[0]["vendor"], seen[0]["model"], "console", extension)
    finally:
        inventory.close()
    for process in ("edge", "front"):
        with suppress(ipc.Gone, ipc.Refused):  # they look for themselves, too
            ipc.ask(state.socket(process), "reload")
    if as_json:
        click.echo(msgspec.json.encode(_row(phone)))
    else:
        row = _row(phone)
        click.echo(f"{row['mac']} has extension {row['extension']}, number {row['number'] or 'none'}.")


def _rows(rows: list[Row], columns: tuple[str, ...], none: str, as_json: bool) -> None:
    """Sources that are shut out; `until` as a time of day in the table."""
    if as_json:
        click.echo(msgspec.json.encode(rows))
    elif rows:
        ends = [datetime.fromtimestamp(row["until"], UTC).astimezone() for row in rows]
        shown = [{**row, "until": f"{end:%Y-%m-%d %H:%M:%S}"} for row, end in zip(rows, ends, strict=True)]
        show(shown, columns)
    else:
        click.echo(none)


def list_bans(state: StateDir, as_json: bool) -> None:
    """Print the addresses that the edge shuts out. Raises Gone when the edge does not answer."""
    rows: list[Row] = ipc.ask(state.socket("edge"), "status")["bans"]
    _rows(rows, ("source", "reason", "until", "hits"), "No address is shut out.", as_json)


def unban(state: StateDir, source: str, as_json: bool) -> None:
    """Lift the ban of an address. Raises Refused when there is none, Gone without an edge."""
    answer = ipc.ask(state.socket("edge"), "unban", {"source": source})
    click.echo(msgspec.json.encode(answer) if as_json else f"{answer['source']} is let in again.")


def list_quarantine(state: StateDir, as_json: bool) -> None:
    """Print the sources that get no files without proof. Raises Gone when the front does not answer."""
    rows: list[Row] = ipc.ask(state.socket("front"), "quarantine")["quarantine"]
    columns = ("source", "address", "reason", "until", "hits")
    _rows(rows, columns, "Nobody is in quarantine.", as_json)


def release(state: StateDir, source: str, as_json: bool) -> None:
    """Take a source out of quarantine. Raises Refused when it is not in it, Gone without a front."""
    source = normal_mac(source) or source
    answer = ipc.ask(state.socket("front"), "release", {"source": source})
    click.echo(msgspec.json.encode(answer) if as_json else f"{answer['source']} may ask again.")


def welcome_phone(state: StateDir, mac: str) -> None:
    """Let a phone have a first contact again. Raises OperatorError."""
    inventory = Inventory.open(state.inventory)
    try:
        welcome(inventory, mac, "console")
    finally:
        inventory.close()
    with suppress(ipc.Gone, ipc.Refused):
        ipc.ask(state.socket("front"), "reload")
    click.echo("The phone may have its files once without proof, within a day.")


def identify(agents: Iterable[bytes], as_json: bool) -> None:
    """Print what each user agent names, a line each; what is not known is null. Any bytes will do."""
    catalogue = Catalogue()
    rows: list[Row] = []
    for line in agents:
        text = line.decode("utf-8", "replace").strip()
        found = of_agent(text)
        known = catalogue.model(found.vendor, found.model) if found.model else None
        names = (found.vendor, known.name if known else found.model, found.version, found.mac)
        row = dict(zip(("vendor", "model", "firmware", "mac"), (name or None for name in names), strict=True))
        if as_json:
            click.echo(msgspec.json.encode(row))
        else:
            rows.append({name: value or "-" for name, value in row.items()})
    if rows:
        show(rows, ("vendor", "model", "firmware", "mac"))
