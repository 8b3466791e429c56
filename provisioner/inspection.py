"""What `provisioner phones explain`, `phones files` and `phones dhcp` print."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from provisioner import ipc
from provisioner.errors import UsageError
from provisioner.paths import StateDir
from provisioner.phones import dhcp_help
from provisioner.phones.vocabulary import shown
from provisioner.store.inventory import Inventory

Row = dict[str, Any]


def explain_phone(state: StateDir, mac: str, as_json: bool) -> None:
    """Print where the settings of an adopted phone come from. Raises Refused, and Gone without a front."""
    told = ipc.ask(state.socket("front"), "explain", {"mac": mac})
    if as_json:
        click.echo(msgspec.json.encode(told))
        return
    click.echo(f"{told['mac']}  {told['vendor']} {told['model']}, firmware {told['firmware'] or 'not known'}")
    for warning in told["warnings"]:
        click.echo(f"! {warning}")
    click.echo()
    width = max(len(row["name"]) for row in told["settings"])
    for row in told["settings"]:
        click.echo(f"{row['name']:{width}}  {shown(row['value'])}  ({_origin(row)})")
    for row in told["files"]:
        click.echo()
        click.echo(
            f"{row['name']}  {_fetched(row)}" + ("  template of this site" if row["own_template"] else "")
        )
        for line in row["differences"]:
            click.echo(f"    {line}")


def _origin(row: Row) -> str:
    words = [row["layer"]]
    words += [f"over {shown(each['value'])} of {each['layer']}" for each in row["overrides"]]
    if "fetched" in row:
        words.append(f"the phone still has {shown(row['fetched'])}")
    return "; ".join(words)


def _fetched(row: Row) -> str:
    if row["fetched_at"] is None:
        return "not fetched yet"
    when = datetime.fromtimestamp(row["fetched_at"], UTC).astimezone()
    return f"fetched {when:%Y-%m-%d %H:%M:%S}, " + ("differs now:" if row["differs"] else "the same now")


def phone_files(state: StateDir, mac: str, name: str, as_json: bool) -> None:
    """Print what files a phone would be given, or one of them. Raises Refused, and Gone without a front."""
    if name:
        if as_json:
            raise UsageError("a file is printed as it is: leave out --json, or the name")
        told = ipc.ask(state.socket("front"), "file", {"mac": mac, "name": name})
        click.echo(base64.b64decode(told["data"]), nl=False)
        return
    rows = ipc.ask(state.socket("front"), "files", {"mac": mac})["files"]
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for row in rows:
        click.echo(f"{row['name']:32}  {row['kind']:16}  {row['bytes']:>7}  {row['rule']}")


def dhcp(state: StateDir, kind: str, as_json: bool) -> None:
    """Print DHCP options by maker, or the text for one kind of server. Raises UsageError, and Gone without a front."""
    status = ipc.ask(state.socket("front"), "status")
    inventory = Inventory.open(state.inventory)
    try:
        server = dhcp_help.server(status, inventory.snapshot())
    finally:
        inventory.close()
    if as_json:
        click.echo(
            msgspec.json.encode({"text": dhcp_help.text(kind, server)} if kind else dhcp_help.told(server))
        )
        return
    if kind:
        click.echo(dhcp_help.text(kind, server), nl=False)
        return
    for maker in dhcp_help.makers(server):
        for option in maker.options:
            click.echo(f"{maker.title:17}  {option.code:3}  {option.value}  ({option.why})")
    click.echo(f"In a server's own words: --for {'|'.join(dhcp_help.SERVERS)}")
