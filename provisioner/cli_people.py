"""The subcommands `provisioner users`, `provisioner tokens` and `provisioner audit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from provisioner.options import demo_directory, json_option, state_directory, state_option

ROLES = click.Choice(["viewer", "operator", "administrator"])
stdin_option = click.option("--stdin", is_flag=True, help="The password is the first line of standard input.")


def _password(stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@click.group()
def users() -> None:
    """List who may use the staff page, add and remove them, change their roles and passwords."""


@users.command("list")
@state_option
@json_option
def list_users(state: Path | None, as_json: bool) -> None:
    """List the users with their roles."""
    from provisioner import console_people

    console_people.list_users(state_directory(state, demo_directory()), as_json)


@users.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, default="viewer", show_default=True)
@click.option("--full-name", default="", help="As others are shown it.")
@click.option("--language", type=click.Choice(["browser", "en", "es"]), default="browser", show_default=True)
@stdin_option
@state_option
@json_option
def add_user(state: Path | None, stdin: bool, as_json: bool, **what: str) -> None:
    """Add a user who signs in with NAME and the password that is asked for."""
    from provisioner import console_people

    directory = state_directory(state, demo_directory())
    console_people.add_user(directory, as_json, password=_password(stdin), **what)


@users.command("password")
@click.argument("name")
@stdin_option
@state_option
def change_password(name: str, stdin: bool, state: Path | None) -> None:
    """Give a user another password; their sessions end."""
    from provisioner import console_people

    console_people.set_password(state_directory(state, demo_directory()), name, _password(stdin))


@users.command("role")
@click.argument("name")
@click.argument("role", type=ROLES)
@state_option
@json_option
def change_role(name: str, role: str, state: Path | None, as_json: bool) -> None:
    """Give a user another role; their sessions end."""
    from provisioner import console_people

    console_people.edit_user(state_directory(state, demo_directory()), name, {"role": role}, as_json)


@users.command("disable")
@click.argument("name")
@state_option
@json_option
def disable_user(name: str, state: Path | None, as_json: bool) -> None:
    """Keep a user from signing in; their sessions and API tokens are good no more."""
    from provisioner import console_people

    console_people.edit_user(state_directory(state, demo_directory()), name, {"disabled": True}, as_json)


@users.command("enable")
@click.argument("name")
@state_option
@json_option
def enable_user(name: str, state: Path | None, as_json: bool) -> None:
    """Let a user sign in again."""
    from provisioner import console_people

    console_people.edit_user(state_directory(state, demo_directory()), name, {"disabled": False}, as_json)


@users.command("one-factor")
@click.argument("name")
@state_option
def one_factor(name: str, state: Path | None) -> None:
    """Ask a user for the password alone, as when the phone with the codes is lost."""
    from provisioner import console_people

    console_people.one_factor(state_directory(state, demo_directory()), name)


@users.command("remove")
@click.argument("name")
@state_option
def remove_user(name: str, state: Path | None) -> None:
    """Remove a user with their sessions and API tokens."""
    from provisioner import console_people

    console_people.remove_user(state_directory(state, demo_directory()), name)


@click.group()
def tokens() -> None:
    """List what programs sign in to the API with, make one, and revoke one."""


@tokens.command("list")
@state_option
@json_option
def list_tokens(state: Path | None, as_json: bool) -> None:
    """List the tokens with their last use; never the tokens themselves."""
    from provisioner import console_people

    console_people.list_tokens(state_directory(state, demo_directory()), as_json)


@tokens.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, default="viewer", show_default=True)
@click.option(
    "--scope", "wanted", multiple=True, metavar="AREA:read|write", help="Good for this only; more than once."
)
@click.option("--days", default=365.0, show_default=True, help="How long it is good; 0: no end.")
@state_option
@json_option
def add_token(state: Path | None, as_json: bool, **what: Any) -> None:
    """Make a token and print it, this once. NAME says what uses it."""
    from provisioner import console_people

    console_people.add_token(state_directory(state, demo_directory()), as_json, **what)


@tokens.command("revoke")
@click.argument("number", type=click.IntRange(1))
@state_option
def revoke_token(number: int, state: Path | None) -> None:
    """End the token of that NUMBER, as `list` shows it."""
    from provisioner import console_people

    console_people.revoke_token(state_directory(state, demo_directory()), number)


@click.group(invoke_without_command=True)
@click.option("--who", default="", help="Made by this user, `console link`, or `token NAME`.")
@click.option("--kind", default="", help="Of this kind of record, as phone.")
@click.option("--id", "name", default="", help="Of the record with this id.")
@click.option("--since", default="", metavar="DATE", help="From then on, as 2026-03-31.")
@click.option("--until", default="", metavar="DATE", help="Before that, as 2026-04-01T08:00.")
@click.option(
    "--search", "text", default="", metavar="TEXT", help="Any part of a value, three letters or more."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@state_option
@json_option
@click.pass_context
def audit(context: click.Context, /, state: Path | None, as_json: bool, **which: Any) -> None:
    """List who changed what, the newest first: from what, to what."""
    if context.invoked_subcommand:
        return
    from provisioner import console_people

    console_people.list_audit(state_directory(state, demo_directory()), as_json, **which)


@audit.command("undo")
@click.argument("change", type=click.IntRange(1))
@state_option
@json_option
def undo(change: int, state: Path | None, as_json: bool) -> None:
    """Put back what was before CHANGE, as a change of its own; refused when it was changed since."""
    from provisioner import console_people

    console_people.undo(state_directory(state, demo_directory()), change, as_json)
