"""The subcommands `provisioner emergency`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from provisioner.options import demo_directory, json_option, state_directory, state_option

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def emergency() -> None:
    """Check whether 911 would work now, print the log of emergency calls, test the way, export the evidence."""


@emergency.command("check")
@state_option
@json_option
@click.pass_context
def check(context: click.Context, state: Path | None, as_json: bool) -> None:
    """Say of each phone whether 911 would work now, the worst first; exit 1 when something is red."""
    from provisioner import console_emergency

    if not console_emergency.check(state_directory(state, demo_directory()), as_json):
        context.exit(1)


@emergency.command("test")
@click.argument("extension")
@state_option
def test(extension: str, state: Path | None) -> None:
    """Call 933 in the name of EXTENSION, as 911 would be called, and say what came of it."""
    from provisioner import console_emergency

    console_emergency.test(state_directory(state, demo_directory()), extension)


@emergency.command("export")
@click.option("--from", "first", type=_DAY, help="First day, as 2026-01-01. [a year ago]")
@click.option("--to", "last", type=_DAY, help="Last day; it is in the export. [today]")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@state_option
def export(first: datetime | None, last: datetime | None, file: Path, state: Path | None) -> None:
    """Write the evidence of calls and tests in these days to FILE (ZIP)."""
    from provisioner import console_emergency

    since, until = (f"{day:%Y-%m-%d}" if day else "" for day in (first, last))
    console_emergency.export(state_directory(state, demo_directory()), since, until, file)
