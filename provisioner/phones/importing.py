"""Phones of a table into the inventory, all or none."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from provisioner.errors import OperatorError
from provisioner.phones.adopt import WELCOME_SECONDS, credential
from provisioner.phones.bulk import Preview, Table, preview, records
from provisioner.phones.catalogue import Catalogue
from provisioner.store.records import Credential, Number, Phone, Practice, Snapshot

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory


def apply(
    inventory: Inventory,
    table: Table,
    who: str,
    catalogue: Catalogue | None = None,
    choose: Callable[[str], str] = secrets.choice,
    now: Callable[[], float] = time.time,
) -> Preview:
    """Put the phones of `table` into the inventory, in one transaction named after `who`; what was done.

    New phones are adopted and get secrets. It is judged anew within the transaction. Raises OperatorError when anything
    is wrong, and changes nothing then.
    """
    with inventory.change(who=who) as change:
        snapshot = _snapshot(change)
        found = preview(table, snapshot, catalogue or Catalogue())
        for record in records(found, snapshot):
            change.put(record)
            if isinstance(record, Phone):
                held = change.get(Credential, record.id)
                if held is None or len(held[0].lines) < len(record.lines):
                    until = now() + WELCOME_SECONDS
                    change.put(credential(record.id, len(record.lines), choose, until))
    return found


def _snapshot(change: Change) -> Snapshot:
    """What judging a table needs, as this transaction sees it."""
    practice = change.get(Practice, "practice")
    if practice is None:
        raise OperatorError("there is no practice yet", "set up the practice first")
    return Snapshot(
        revision=change.revision,
        practice=practice[0],
        phones={phone.id: phone for phone in change.all(Phone)},
        numbers={number.id: number for number in change.all(Number)},
    )
