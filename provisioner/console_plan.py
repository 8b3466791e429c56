"""What `provisioner extensions check` prints."""

from __future__ import annotations

import time
from collections.abc import Iterable

import click
import msgspec

from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.phones import extensions as plan
from provisioner.store.inventory import Inventory
from provisioner.store.records import Snapshot


def _snapshot(state: StateDir) -> Snapshot:
    inventory = Inventory.open(state.inventory)
    try:
        return inventory.snapshot()
    finally:
        inventory.close()


def check(state: StateDir, wanted: Iterable[str], as_json: bool) -> None:
    """Print whether each could be given, or what is wrong with those in use. Raises OperatorError when something is."""
    snapshot, now = _snapshot(state), time.time()
    judged = {each: plan.why_not(snapshot, each, now) for each in wanted}
    problems = [why for why in judged.values() if why] if judged else plan.problems(snapshot)
    if as_json:
        click.echo(
            msgspec.json.encode(
                {"usable": {each: not why for each, why in judged.items()}, "problems": problems}
            )
        )
    else:
        for each in (*(f"{each} can be given" for each, why in judged.items() if not why), *problems):
            click.echo(f"{each}.")
    if problems:
        raise OperatorError(f"{len(problems)} wrong", "see what is said of each")
    if not judged and not as_json:
        click.echo("All extensions in use are as they should be.")
