"""The subcommands `provisioner emergency`."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.options import demo_directory, json_option, state_directory, state_option


@click.group()
def emergency() -> None:
    """Say whether 911 would work now."""


@emergency.command("check")
@state_option
@json_option
@click.pass_context
def check(context: click.Context, state: Path | None, as_json: bool) -> None:
    """Say of each phone whether 911 would work now, the worst first; exit 1 when something is red."""
    from provisioner import console_emergency

    if not console_emergency.check(state_directory(state, demo_directory()), as_json):
        context.exit(1)
