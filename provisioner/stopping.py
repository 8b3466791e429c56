"""What `provisioner stop` does: a planned stop cuts no emergency call off."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import click

from provisioner import ipc, supervisor
from provisioner.errors import OperatorError
from provisioner.paths import StateDir

LOOK_SECONDS = 1.0  # between two looks whether an emergency call is on


def stop(state: StateDir, now: bool, pause: Callable[[float], None] = time.sleep) -> None:
    """Stop the appliance and wait until it has ended; `now`: emergency calls that are on end with it.

    Raises OperatorError when none runs on `state`.
    """
    process = supervisor.running(state)
    if not process:
        raise OperatorError(f"no appliance runs on {state.root}", "name its directory with --state")
    told: list[str] = []
    while not now and (lines := _in_emergency_calls(state)):
        if lines != told:
            click.echo(
                f"An emergency call is on ({', '.join(lines)}): waiting for its end. --now cuts it off."
            )
            told = lines
        pause(LOOK_SECONDS)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
    while supervisor.running(state) == process:
        pause(0.1)
    click.echo("The appliance is stopped.")


def _in_emergency_calls(state: StateDir) -> list[str]:
    """The lines that are in emergency calls; none when no edge answers."""
    try:
        calls = ipc.ask(state.socket("edge"), "status")["calls"]
    except (ipc.Gone, ipc.Refused):
        return []
    return sorted(call["from"] for call in calls if call["direction"] == "emergency")
