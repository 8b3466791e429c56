"""The subcommands `provisioner phones`."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from provisioner.options import demo_directory, json_option, state_directory, state_option


@click.group()
def phones() -> None:
    """List, adopt, tell, import and retire phones."""


@phones.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would come of it.")
@state_option
@json_option
def import_phones(file: Path, dry_run: bool, state: Path | None, as_json: bool) -> None:
    """Import phones from a CSV FILE with the columns MAC, Model, Name, Extension and Number, all or none."""
    from provisioner import console_phones

    console_phones.import_phones(state_directory(state, demo_directory()), file, dry_run, as_json)


@phones.command("export")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@state_option
def export_phones(file: Path | None, state: Path | None) -> None:
    """Write all phones as a CSV FILE that `import` takes back. [standard output]"""
    from provisioner import console_phones

    console_phones.export_phones(state_directory(state, demo_directory()), file)


@phones.command("identify")
@click.argument("agents", type=click.File("rb"), default="-")
@json_option
def identify_phones(agents: BinaryIO, as_json: bool) -> None:
    """Say which maker, model, firmware and MAC user agents name: AGENTS is a file with one a line. [- : the input]"""
    from provisioner import console

    console.identify(agents, as_json)


@phones.group()
def quarantine() -> None:
    """List who asked for phones' files like an attacker, and let one ask again."""


@quarantine.command("list")
@state_option
@json_option
def list_quarantine(state: Path | None, as_json: bool) -> None:
    """List the sources in quarantine: why, until when, and how often they were refused."""
    from provisioner import console

    console.list_quarantine(state_directory(state, demo_directory()), as_json)


@quarantine.command("release")
@click.argument("source")
@state_option
@json_option
def release(source: str, state: Path | None, as_json: bool) -> None:
    """Take a source out of quarantine: its MAC or address, as `list` shows it."""
    from provisioner import console

    console.release(state_directory(state, demo_directory()), source, as_json)


@phones.command("explain")
@click.argument("mac")
@state_option
@json_option
def explain_phone(mac: str, state: Path | None, as_json: bool) -> None:
    """Show each setting of a phone with the layer it comes from, and what differs from what it fetched last."""
    from provisioner import inspection

    inspection.explain_phone(state_directory(state, demo_directory()), mac, as_json)


@phones.command("files")
@click.argument("mac")
@click.argument("name", default="")
@state_option
@json_option
def phone_files(mac: str, name: str, state: Path | None, as_json: bool) -> None:
    """List what a phone would be given; with NAME, print that file as the phone gets it, passwords and all."""
    from provisioner import inspection

    inspection.phone_files(state_directory(state, demo_directory()), mac, name, as_json)


@phones.command("dhcp")
@click.option("--for", "kind", default="", help="Kind of DHCP server: dnsmasq, isc, kea, windows or pfsense.")
@state_option
@json_option
def phones_dhcp(kind: str, state: Path | None, as_json: bool) -> None:
    """Print what the network's DHCP server has to tell phones, with this appliance's addresses."""
    from provisioner import inspection

    inspection.dhcp(state_directory(state, demo_directory()), kind, as_json)
