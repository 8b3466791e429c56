"""The subcommands `provisioner settings get`, `set` and `unset`: what a layer says, on top of the API's layers."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from provisioner import client as api
from provisioner.cli_api import tell, way, way_options
from provisioner.errors import OperatorError, UsageError

LAYER_HELP = "site, vendor:NAME, model:MAKER/MODEL, group:ID or phone:MAC (or extension)."
layer_option = click.option("--layer", default="site", show_default=True, help=LAYER_HELP)


def _path(layer: str) -> str:
    return api.path_of("/layers/{layer}", {"layer": layer})


@click.command("get")
@click.argument("name", default="")
@layer_option
@way_options
def get(name: str, layer: str, **how: Any) -> None:
    """Print what a layer sets, or its value of one setting NAME."""
    known = way(**how)
    answer = api.call(known.client, "GET", _path(layer))
    if not name or known.as_json:
        tell(known, answer, (), limited=True)
        return
    values = answer.json()["values"]
    if name not in values:
        raise UsageError(f"{layer} does not set {name}: see what it sets with `provisioner settings get`")
    value = values[name]
    click.echo(value if isinstance(value, str) else msgspec.json.encode(value))


@click.command("set")
@click.argument("values", nargs=-1, required=True, metavar="NAME=VALUE...")
@layer_option
@way_options
def put(values: tuple[str, ...], layer: str, **how: Any) -> None:
    """Set values in a layer, as typed on the page: `poll_seconds=3600`, `auto_answer=true`, `codecs=G722 PCMU`."""
    from provisioner.phones.vocabulary import SETTINGS, from_text

    body = {}
    for each in values:
        name, equals, text = each.partition("=")
        if not equals or name not in SETTINGS:
            raise UsageError(
                f"{each!r} sets nothing: give NAME=VALUE, with a name of `provisioner settings list`"
            )
        try:
            body[name] = from_text(name, text)
        except OperatorError as error:
            raise UsageError(str(error)) from None
    known = way(**how)
    tell(known, api.call(known.client, "PATCH", _path(layer), body=body), (), limited=True)


@click.command("unset")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@layer_option
@way_options
def unset(names: tuple[str, ...], layer: str, **how: Any) -> None:
    """Take settings out of a layer, so that those of wider layers hold."""
    known = way(**how)
    body = dict.fromkeys(names)
    tell(known, api.call(known.client, "PATCH", _path(layer), body=body), (), limited=True)


commands = (get, put, unset)
