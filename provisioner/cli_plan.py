"""The subcommands `provisioner extensions` and `provisioner numbers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provisioner.options import demo_directory, json_option, state_directory, state_option


@click.group()
def extensions() -> None:
    """Say who has which extension, which comes next; reserve and release them; give all another length."""


@extensions.command("list")
@click.argument("query", default="")
@state_option
@json_option
def list_extensions(state: Path | None, query: str, as_json: bool) -> None:
    """List the extensions that are in use, reserved or in quarantine; with QUERY those that it fits."""
    from provisioner import console_plan

    console_plan.list_extensions(state_directory(state, demo_directory()), query, as_json)


@extensions.command("next")
@click.option("--location", default="", help="Id of the place where the phone is.")
@click.option("--group", default="", help="Id of its group of phones.")
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True)
@state_option
@json_option
def next_extensions(state: Path | None, as_json: bool, **how: Any) -> None:
    """Print the extensions that would be given next; those that no phone has to wait for come first."""
    from provisioner import console_plan

    console_plan.next_extensions(state_directory(state, demo_directory()), as_json=as_json, **how)


@extensions.command("check")
@click.argument("wanted", nargs=-1, metavar="[EXTENSION]...")
@state_option
@json_option
def check_extensions(state: Path | None, wanted: tuple[str, ...], as_json: bool) -> None:
    """Say whether each EXTENSION could be given; without one, whether all that are in use are as they should be."""
    from provisioner import console_plan

    console_plan.check(state_directory(state, demo_directory()), wanted, as_json)


@extensions.command("reserve")
@click.argument("extension")
@click.argument("name")
@state_option
@json_option
def reserve_extension(state: Path | None, extension: str, name: str, as_json: bool) -> None:
    """Keep EXTENSION for NAME: nobody gets it until it is released."""
    from provisioner import console_plan

    console_plan.reserve(state_directory(state, demo_directory()), extension, name, as_json)


@extensions.command("release")
@click.argument("extension")
@state_option
@json_option
def release_extension(state: Path | None, extension: str, as_json: bool) -> None:
    """Let EXTENSION be given again, though it is reserved or in quarantine."""
    from provisioner import console_plan

    console_plan.release(state_directory(state, demo_directory()), extension, as_json)


@extensions.command("length")
@click.argument("length", type=int)
@click.option("--dry-run", is_flag=True, help="Only say what would become of each.")
@state_option
@json_option
def change_length(state: Path | None, length: int, dry_run: bool, as_json: bool) -> None:
    """Give all extensions LENGTH digits, 3 or 4, all at once or not at all."""
    from provisioner import console_plan

    console_plan.change_length(state_directory(state, demo_directory()), length, dry_run, as_json)


@extensions.group()
def ranges() -> None:
    """Keep extensions for the phones of a place or a group."""


@ranges.command("list")
@state_option
@json_option
def list_ranges(state: Path | None, as_json: bool) -> None:
    """List the ranges."""
    from provisioner import console_plan

    console_plan.list_ranges(state_directory(state, demo_directory()), as_json)


@ranges.command("add")
@click.argument("first")
@click.argument("last")
@click.argument("name")
@click.option("--location", default="", help="Id of a place; its parts are in it too.")
@click.option("--group", default="", help="Id of a group of phones.")
@state_option
@json_option
def add_range(state: Path | None, as_json: bool, **what: str) -> None:
    """Keep FIRST to LAST for phones of a place or a group; without either, nobody gets one by itself."""
    from provisioner import console_plan

    console_plan.add_range(state_directory(state, demo_directory()), as_json=as_json, **what)


@ranges.command("remove")
@click.argument("name", metavar="FIRST-LAST")
@state_option
def remove_range(state: Path | None, name: str) -> None:
    """Remove a range; nobody loses an extension by that."""
    from provisioner import console_plan

    console_plan.remove_range(state_directory(state, demo_directory()), name)


@click.group()
def numbers() -> None:
    """List the practice's numbers, and say where each leads."""


@numbers.command("list")
@state_option
@json_option
def list_numbers(state: Path | None, as_json: bool) -> None:
    """List the numbers: where each leads, which place it is registered for, and what is wrong about that."""
    from provisioner import console_plan

    console_plan.list_numbers(state_directory(state, demo_directory()), as_json)


@numbers.command("assign")
@click.argument("number")
@click.argument("target", default="")
@state_option
@json_option
def assign_number(state: Path | None, number: str, target: str, as_json: bool) -> None:
    """Let NUMBER lead to TARGET, an extension or a ring group; without one, nowhere.

    A line gets a number only when its emergency address is registered.
    """
    from provisioner import console_plan

    console_plan.assign_number(state_directory(state, demo_directory()), number, target, as_json)
