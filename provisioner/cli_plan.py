"""The subcommand `provisioner extensions check`."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.options import demo_directory, json_option, state_directory, state_option


@click.command("check")
@click.argument("wanted", nargs=-1, metavar="[EXTENSION]...")
@state_option
@json_option
def check_extensions(state: Path | None, wanted: tuple[str, ...], as_json: bool) -> None:
    """Say whether each EXTENSION could be given; without one, whether all that are in use are as they should be."""
    from provisioner import console_plan

    console_plan.check(state_directory(state, demo_directory()), wanted, as_json)
