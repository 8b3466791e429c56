"""What `provisioner phones` and `provisioner protection` print and do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from provisioner import ipc
from provisioner.output import show_rows
from provisioner.paths import StateDir
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.identity import normal_mac, of_agent
from provisioner.store.inventory import Inventory

Row = dict[str, Any]
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


def _rows(rows: list[Row], columns: tuple[str, ...], none: str, as_json: bool) -> None:
    """Sources that are shut out."""
    if as_json:
        click.echo(msgspec.json.encode(rows))
    elif rows:
        show_rows(rows, columns)
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
        show_rows(rows, ("vendor", "model", "firmware", "mac"))
