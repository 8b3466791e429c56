"""The subcommands `provisioner users`, `provisioner tokens` and `provisioner audit`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from provisioner.cli_api import Way, way, way_options

ROLES = click.Choice(["viewer", "operator", "administrator"])
stdin_option = click.option("--stdin", is_flag=True, help="The password is the first line of standard input.")


def _reaching(command: Callable[..., None]) -> Callable[..., Any]:
    """A command of an appliance, here or elsewhere; it gets the Way in the place of the options that say which."""

    @way_options
    @wraps(command)
    def run(
        *args: Any,
        state: Any,
        url: str,
        token: str,
        token_file: str,
        authority: Any,
        as_json: bool,
        **what: Any,
    ) -> None:
        if click.get_current_context().invoked_subcommand:
            return  # of a group that is a command by itself too
        command(*args, how=way(state, url, token, token_file, authority, as_json), **what)

    return run


def _password(stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@click.group()
def users() -> None:
    """List who may use the staff page, add and remove them, change their roles and passwords."""


@users.command("list")
@_reaching
def list_users(how: Way) -> None:
    """List the users with their roles."""
    from provisioner import console_people

    console_people.list_users(*how)


@users.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, default="viewer", show_default=True)
@click.option("--full-name", default="", help="As others are shown it.")
@click.option("--language", type=click.Choice(["browser", "en", "es"]), default="browser", show_default=True)
@stdin_option
@_reaching
def add_user(how: Way, stdin: bool, **what: Any) -> None:
    """Add a user who signs in with NAME and the password that is asked for."""
    from provisioner import console_people

    console_people.add_user(*how, password=_password(stdin), **what)


@users.command("password")
@click.argument("name")
@stdin_option
@_reaching
def change_password(name: str, stdin: bool, how: Way) -> None:
    """Give a user another password; their sessions end."""
    from provisioner import console_people

    console_people.set_password(*how, name, _password(stdin))


@users.command("role")
@click.argument("name")
@click.argument("role", type=ROLES)
@_reaching
def change_role(name: str, role: str, how: Way) -> None:
    """Give a user another role; their sessions end."""
    from provisioner import console_people

    console_people.edit_user(*how, name, {"role": role})


@users.command("disable")
@click.argument("name")
@_reaching
def disable_user(name: str, how: Way) -> None:
    """Keep a user from signing in; their sessions and API tokens are good no more."""
    from provisioner import console_people

    console_people.edit_user(*how, name, {"disabled": True})


@users.command("enable")
@click.argument("name")
@_reaching
def enable_user(name: str, how: Way) -> None:
    """Let a user sign in again."""
    from provisioner import console_people

    console_people.edit_user(*how, name, {"disabled": False})


@users.command("one-factor")
@click.argument("name")
@_reaching
def one_factor(name: str, how: Way) -> None:
    """Ask a user for the password alone, as when the phone with the codes is lost."""
    from provisioner import console_people

    console_people.one_factor(*how, name)


@users.command("remove")
@click.argument("name")
@_reaching
def remove_user(name: str, how: Way) -> None:
    """Remove a user with their sessions and API tokens."""
    from provisioner import console_people

    console_people.remove_user(*how, name)


@click.group()
def tokens() -> None:
    """List what programs sign in to the API with, make one, and revoke one."""


@tokens.command("list")
@_reaching
def list_tokens(how: Way) -> None:
    """List the tokens with their last use; never the tokens themselves."""
    from provisioner import console_people

    console_people.list_tokens(*how)


@tokens.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, default="viewer", show_default=True)
@click.option(
    "--scope", "wanted", multiple=True, metavar="AREA:read|write", help="Good for this only; more than once."
)
@click.option("--days", default=365.0, show_default=True, help="How long it is good; 0: no end.")
@_reaching
def add_token(how: Way, **what: Any) -> None:
    """Make a token and print it, this once. NAME says what uses it."""
    from provisioner import console_people

    console_people.add_token(*how, **what)


@tokens.command("revoke")
@click.argument("number", type=click.IntRange(1))
@_reaching
def revoke_token(number: int, how: Way) -> None:
    """End the token of that NUMBER, as `list` shows it."""
    from provisioner import console_people

    console_people.revoke_token(*how, number)


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
@_reaching
def audit(how: Way, **which: Any) -> None:
    """List who changed what, the newest first: from what, to what."""
    from provisioner import console_people

    console_people.list_audit(*how, **which)


@audit.command("undo")
@click.argument("change", type=click.IntRange(1))
@_reaching
def undo(change: int, how: Way) -> None:
    """Put back what was before CHANGE, as a change of its own; refused when it was changed since."""
    from provisioner import console_people

    console_people.undo(*how, change)
