"""What `provisioner providers` and `provisioner numbers import|register|status` print and do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, TextIO, TypeVar

import click
import msgspec

from provisioner import ipc
from provisioner.emergency import accounts, postal, registration
from provisioner.emergency.registrar import act
from provisioner.errors import OperatorError, UsageError
from provisioner.output import show_rows
from provisioner.paths import StateDir
from provisioner.phones.bulk import e164
from provisioner.store.inventory import Inventory

T = TypeVar("T")
WHO = "console"


def _with(state: StateDir, work: Callable[[Inventory], T]) -> T:
    inventory = Inventory.open(state.inventory)
    try:
        return work(inventory)
    finally:
        inventory.close()


def _reload(state: StateDir) -> None:
    for process in ("edge", "front"):
        with suppress(ipc.Gone, ipc.Refused):  # they look for themselves, too
            ipc.ask(state.socket(process), "reload")


def _number(text: str) -> str:
    return e164(text) or text


def add_provider(
    state: StateDir, name: str, api: str, account: str, user: str, url: str, password_file: TextIO
) -> None:
    """Store a provider with its secret. Raises OperatorError."""
    password = ""
    if api != "core":
        typed = password_file is sys.stdin and sys.stdin.isatty()
        password = click.prompt("Password", hide_input=True) if typed else password_file.read().strip()
        if not password:
            raise UsageError("the password is empty: give it by --password-file, or type it when asked")
    _with(state, lambda inventory: accounts.add(inventory, name, api, account, url, user, password, WHO))
    click.echo(f"{name} is a provider. Its numbers: provisioner numbers import {name}")


def remove_provider(state: StateDir, name: str) -> None:
    """Forget a provider. Raises OperatorError."""
    _with(state, lambda inventory: accounts.remove(inventory, name, WHO))
    click.echo(f"{name} is no provider any more.")


def import_numbers(state: StateDir, provider: str, location: str, dry_run: bool, as_json: bool) -> None:
    """Add the numbers of an account. Raises OperatorError."""
    found = _with(
        state, lambda inventory: accounts.import_numbers(inventory, state, provider, location, WHO, dry_run)
    )
    _reload(state)
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif found:
        show_rows(
            [msgspec.structs.asdict(row) for row in found],
            ("number", "label", "what", "extension", "location"),
        )
    else:
        click.echo("The account has no numbers.")


def register(
    state: StateDir,
    number: str,
    location: str | None,
    provider: str | None,
    approve: int | None,
    as_typed: bool,
    remove: bool,
    as_json: bool,
) -> None:
    """Place a number, or decide about its address. Raises OperatorError."""
    name = _number(number)
    if (approve is not None) + as_typed + remove > 1:
        raise UsageError("give one of --approve, --as-typed and --remove")
    event: registration.Event = registration.Asked()
    if approve is not None:
        event = registration.Approved(approve - 1)
    elif as_typed or remove:
        event = registration.Insisted() if as_typed else registration.Removed()

    def work(inventory: Inventory) -> None:
        if location is not None or provider is not None:
            accounts.place(inventory, name, location, provider, WHO, time.time())
        act(inventory, name, event, WHO, time.time())

    _with(state, work)
    _reload(state)
    status(state, name, as_json)


def status(state: StateDir, number: str, as_json: bool) -> None:
    """Print how addresses are. Raises OperatorError for a number that is not the practice's."""
    snapshot, name = _with(state, lambda inventory: inventory.snapshot()), _number(number)
    if name and name not in snapshot.numbers:
        raise OperatorError(f"{name} is none of this practice's numbers", "look at the list of numbers")
    rows = [row for row in accounts.rows(snapshot, time.time()) if not name or row.number == name]
    if as_json:
        click.echo(msgspec.json.encode(rows[0] if name else rows))
    elif name:
        _one(rows[0])
    elif rows:
        show_rows(
            [_short(row) for row in rows], ("number", "status", "location", "provider", "read", "to do")
        )
    else:
        click.echo("The practice has no number yet: provisioner numbers import")


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}" if at else ""


def _short(row: accounts.Row) -> dict[str, Any]:
    shown = {"number": row.number, "status": row.words, "location": row.location, "provider": row.provider}
    return {**shown, "read": _moment(row.read_at), "to do": row.remedy}


def _one(row: accounts.Row) -> None:
    click.echo(f"{row.number}  {row.words}{', since ' + _moment(row.since) if row.since else ''}")
    if row.remedy:
        click.echo(f"  {row.remedy}")
    for label, address in (("wanted", row.wanted), ("registered", row.registered)):
        if address:
            click.echo(f"  {label}: {postal.text(address)}")
    for at, choice in enumerate(row.choices, 1):
        click.echo(f"  {at}: {postal.text(choice.address)}")
        for difference in choice.differences:
            click.echo(f"     {difference.field}: {difference.ours or '-'} -> {difference.theirs or '-'}")
