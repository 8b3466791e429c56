"""The commands `provisioner emergency …`; what they do is in console_emergency.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from provisioner.paths import StateDir

_state = click.option(
    "--state", type=click.Path(path_type=Path), envvar="PROVISIONER_STATE", help="State directory."
)
_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
_DAY = click.DateTime(["%Y-%m-%d"])


def group(where: Callable[[Path | None], StateDir]) -> click.Group:
    """The group of commands. `where`: the state directory for what `--state` says."""

    @click.group()
    def emergency() -> None:
        """Emergency calls: the log, tests of the way to 911, and the evidence of both."""

    @emergency.command("log")
    @_state
    @_json
    def log(state: Path | None, as_json: bool) -> None:
        """Print all calls to 911, 933 and 988, with who was told."""
        from provisioner import console_emergency

        console_emergency.log(where(state), as_json)

    @emergency.command("test")
    @click.argument("extension")
    @_state
    def test(extension: str, state: Path | None) -> None:
        """Call 933 in the name of EXTENSION, as 911 would be called, and say what came of it."""
        from provisioner import console_emergency

        console_emergency.test(where(state), extension)

    @emergency.command("tests")
    @_state
    @_json
    def tests(state: Path | None, as_json: bool) -> None:
        """Print for each line when 933 was last called, and whether that still says anything."""
        from provisioner import console_emergency

        console_emergency.tests(where(state), as_json)

    @emergency.command("export")
    @click.option("--from", "first", type=_DAY, required=True, help="First day, as 2026-01-01.")
    @click.option("--to", "last", type=_DAY, required=True, help="Last day; it is in the export.")
    @click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
    @_state
    def export(first: click.DateTime, last: click.DateTime, file: Path, state: Path | None) -> None:
        """Write the evidence of calls and tests in these days to FILE (ZIP)."""
        from provisioner import console_emergency

        console_emergency.export(where(state), str(first)[:10], str(last)[:10], file)

    return emergency
