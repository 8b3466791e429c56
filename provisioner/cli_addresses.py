"""The subcommands for providers, for the emergency addresses of numbers, and for training with a stand-in provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provisioner.options import demo_directory, json_option, state_directory, state_option

APIS = ("twilio", "bandwidth", "bandwidth-dash", "telnyx", "core")


@click.group()
def providers() -> None:
    """Say which telephone providers the practice's numbers are with."""


@providers.command("add")
@click.argument("name")
@click.option("--api", type=click.Choice(APIS), required=True, help="Whose interface it is.")
@click.option("--account", default="", help="What the provider calls the account.")
@click.option("--user", default="", help="User, key or client id.")
@click.option(
    "--url", default="", help="In place of the provider's own address: its test system, or a stand-in."
)
@click.option(
    "--password-file",
    type=click.File("r"),
    default="-",
    help="File with the password, token or client secret. [default: it is asked for]",
)
@state_option
def add_provider(state: Path | None, **what: Any) -> None:
    """Add the provider NAME, or change it. Its password is never given on the command line."""
    from provisioner import console_addresses

    console_addresses.add_provider(state_directory(state, demo_directory()), **what)


@providers.command("remove")
@click.argument("name")
@state_option
def remove_provider(state: Path | None, name: str) -> None:
    """Forget a provider that no number is with."""
    from provisioner import console_addresses

    console_addresses.remove_provider(state_directory(state, demo_directory()), name)


@click.command("import")
@click.argument("provider")
@click.option("--location", default="", help="Id of the place that all new ones are for.")
@click.option("--dry-run", is_flag=True, help="Only say what would come of it.")
@state_option
@json_option
def import_numbers(state: Path | None, as_json: bool, **how: Any) -> None:
    """Add the numbers of the account at PROVIDER that the practice does not have yet."""
    from provisioner import console_addresses

    console_addresses.import_numbers(state_directory(state, demo_directory()), as_json=as_json, **how)


@click.command("register")
@click.argument("number")
@click.option("--location", default=None, help="Id of the place that it is for from now on.")
@click.option("--provider", default=None, help="The provider that it is with.")
@click.option("--approve", type=click.IntRange(min=1), help="Take the provider's form with this number.")
@click.option("--as-typed", is_flag=True, help="Register the address as it was typed all the same.")
@click.option(
    "--remove", is_flag=True, help="Take the address away at the provider; the number must have no place."
)
@state_option
@json_option
def register_number(state: Path | None, number: str, as_json: bool, **what: Any) -> None:
    """Register NUMBER's emergency address, or decide about what its provider would have otherwise."""
    from provisioner import console_addresses

    console_addresses.register(state_directory(state, demo_directory()), number, as_json=as_json, **what)


@click.command("status")
@click.argument("number", default="")
@state_option
@json_option
def number_status(state: Path | None, number: str, as_json: bool) -> None:
    """Say how the emergency address of each number is, or all about one NUMBER's."""
    from provisioner import console_addresses

    console_addresses.status(state_directory(state, demo_directory()), number, as_json)


number_commands = (import_numbers, register_number, number_status)


@click.group()
def training() -> None:
    """Run stand-ins to learn with."""


@training.command("provider")
@click.option("--name", required=True, help="twilio, bandwidth, bandwidth-dash or telnyx.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on this machine; 0: any free one."
)
@click.option(
    "--behaviour", default="good", show_default=True, help="How it behaves; `list` says all of them."
)
@click.option("--times", type=int, default=2, show_default=True, help="Requests that a bad behaviour spoils.")
@click.option("--number", "numbers", multiple=True, help="A number of its account. [five of the 555s]")
def training_provider(name: str, port: int, behaviour: str, times: int, numbers: tuple[str, ...]) -> None:
    """Run a stand-in of a telephone provider on this machine, well behaved or badly, until Ctrl-C."""
    from provisioner import training as rooms

    rooms.provider(name, port, behaviour, times, numbers)
