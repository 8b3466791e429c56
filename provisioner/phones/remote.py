"""Orders to phones, given to the edge through its control socket: the same for page, API and command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from provisioner import ipc
from provisioner.paths import StateDir
from provisioner.phones.retire import renew, retire

if TYPE_CHECKING:
    from provisioner.store.inventory import Inventory
    from provisioner.store.records import RetiredPhone

PATIENCE = 10.0  # seconds for the edge to begin a job for all phones of a large practice


def reload(state: StateDir) -> None:
    """Let edge and front read the inventory now; who is away will at its start."""
    for process in ("edge", "front"):
        with suppress(ipc.Gone, ipc.Refused):
            ipc.ask(state.socket(process), "reload")


def tell(state: StateDir, inventory: Inventory, macs: Sequence[str] | None, mode: str, who: str) -> ipc.Json:
    """Begin a job of the edge for `macs`, None for all phones; the job as docs/internals.md says.

    Phones that are to forget all get new secrets, except those that are left alone (`refused`). Raises ipc.Gone and
    ipc.Refused with what to do.
    """
    args = {"macs": "all" if macs is None else list(macs), "mode": mode, "who": who}
    job = ipc.ask(state.socket("edge"), "resync", args, PATIENCE)
    if mode == "reset" and macs is not None:
        renew(inventory, [mac for mac in macs if mac not in job["refused"]], who)
        reload(state)
    return job


def take_out(state: StateDir, inventory: Inventory, mac: str, who: str) -> RetiredPhone:
    """Retire the phone `mac`; edge and front know at once. Raises OperatorError."""
    gone = retire(inventory, mac, who)
    reload(state)
    return gone
