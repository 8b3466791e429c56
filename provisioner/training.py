"""What `provisioner training` runs."""

from __future__ import annotations

import threading

import click

from provisioner.core.providers import BEHAVIOURS, PROVIDERS
from provisioner.core.providers.account import Account, Held
from provisioner.errors import OperatorError, UsageError

NUMBERS = tuple(f"+1415555{last:04}" for last in range(180, 185))


def provider(
    name: str,
    port: int,
    behaviour: str,
    times: int,
    numbers: tuple[str, ...],
    until: threading.Event | None = None,
) -> None:
    """Serve until `until`, or Ctrl-C. Raises UsageError, and OperatorError when the port is taken."""
    if behaviour == "list":
        for word, what in BEHAVIOURS.items():
            click.echo(f"{word:16} {what.does}")
        return
    if name not in PROVIDERS or behaviour not in BEHAVIOURS:
        kinds = f"--name is one of {', '.join(PROVIDERS)}"
        raise UsageError(f"{kinds}; --behaviour list says all behaviours")
    held = {} if name == "bandwidth-dash" else {number: Held() for number in numbers or NUMBERS}
    stand_in = PROVIDERS[name](Account(numbers=held), behaviour, times)
    try:
        url = stand_in.serve(port=port)
    except (OSError, SystemExit):  # werkzeug ends the program for a port that is taken
        raise OperatorError(f"port {port} cannot be opened", "choose another with --port") from None
    account = stand_in.account
    click.echo(f"{name} at {url}: it {BEHAVIOURS[behaviour].does}. Ctrl-C ends it.")
    click.echo(f"  account and user {account.user}, password {account.password}")
    shown = f"--account {account.user} --user {account.user} --url {url}"
    click.echo(f"  provisioner providers add training --api {name} {shown}")
    try:
        (until or threading.Event()).wait()
    except KeyboardInterrupt:
        pass
    finally:
        stand_in.close()
