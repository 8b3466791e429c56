"""Options that many subcommands share, and the state directory that they name."""

from __future__ import annotations

import os
from pathlib import Path

import click

from provisioner.errors import UsageError
from provisioner.paths import StateDir

state_option = click.option(
    "--state", type=click.Path(path_type=Path), envvar="PROVISIONER_STATE", help="State directory."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")


def demo_directory() -> Path:
    """Where the demo keeps its state: the user's own state directory (XDG base directory specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "provisioner" / "demo"


def state_directory(given: Path | None, fallback: Path | None = None) -> StateDir:
    """The directory that --state names, made if it is missing. Raises UsageError without one."""
    directory = given or fallback
    if directory is None:
        raise UsageError("name the directory that holds everything that must be kept: --state DIR")
    return StateDir.create(directory)
