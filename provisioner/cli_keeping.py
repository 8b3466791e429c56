"""The subcommands `provisioner backup`, `restore`, `export` and `import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provisioner.cli_api import way, way_options
from provisioner.options import demo_directory, json_option, state_directory, state_option

_FILE = click.Path(path_type=Path)
_passphrase_file = click.option(
    "--passphrase-file", type=_FILE, help="Its first line is the passphrase; -: standard input."
)
_passphrase = click.option(
    "--passphrase", envvar="PROVISIONER_PASSPHRASE", default="", help="From the environment, not typed here."
)
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would change.")


@click.command()
@click.option("--to", type=_FILE, help="The file. [among the appliance's own]")
@_passphrase_file
@_passphrase
@click.option(
    "--with",
    "optional",
    multiple=True,
    type=click.Choice(["calls", "requests", "firmware"]),
    help="Beside the usual ones.",
)
@way_options
def backup(
    to: Path | None, passphrase_file: Path | None, passphrase: str, optional: tuple[str, ...], **how: Any
) -> None:
    """Make a backup; with a passphrase it holds passwords, users and certificates too, encrypted."""
    from provisioner import console_keeping as console

    words = console.passphrase(passphrase_file, passphrase)
    if how["url"]:
        console.backup_elsewhere(*way(**how), to, words, optional)
        return
    console.backup(state_directory(how["state"], demo_directory()), to, words, optional, how["as_json"])


@click.command()
@click.argument("file", type=_FILE)
@_passphrase_file
@_passphrase
@click.option("--part", "parts", multiple=True, help="Only this part. [all that are in it]")
@_dry_run
@state_option
@json_option
def restore(
    state: Path | None, file: Path, passphrase_file: Path | None, passphrase: str, **how: Any
) -> None:
    """Put a backup back; what is here is kept in another first, and all processes are told."""
    from provisioner import console_keeping as console

    words = console.passphrase(passphrase_file, passphrase)
    console.restore(state_directory(state, demo_directory()), file, words, **how)


@click.command("export")
@way_options
def export_settings(**how: Any) -> None:
    """Print all settings as one TOML file, without secrets and users."""
    from provisioner import console_keeping

    console_keeping.export(*way(**how))


@click.command("import")
@click.argument("file", type=_FILE)
@_dry_run
@way_options
def import_settings(file: Path, dry_run: bool, **how: Any) -> None:
    """Import settings from such a file (-: standard input); all of them, or none."""
    from provisioner import console_keeping

    console_keeping.import_settings(*way(**how), file, dry_run)
