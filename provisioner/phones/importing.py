"""Phones of a table into the inventory, all or none."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from provisioner.phones.adopt import WELCOME_SECONDS, credential
from provisioner.phones.bulk import Preview, Table, preview, records
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.extensions import holders, seen, settle
from provisioner.phones.renumber import follow
from provisioner.store.records import Credential, Phone, Snapshot

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory


def apply(
    inventory: Inventory,
    table: Table,
    who: str,
    catalogue: Catalogue | None = None,
    choose: Callable[[str], str] = secrets.choice,
    now: Callable[[], float] = time.time,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> Preview:
    """Put the phones of `table` into the inventory, in one transaction named after `who`; what was done.

    New phones are adopted and get secrets. It is judged anew within the transaction. Raises OperatorError when anything
    is wrong, and changes nothing then. `tell` hears how many records of how many are done; what it raises undoes all.
    """
    with inventory.change(who=who) as change:
        snapshot = seen(change)
        found = preview(table, snapshot, catalogue or Catalogue(), now())
        changed = list(records(found, snapshot))
        for count, record in enumerate(changed):
            tell(count, len(changed))
            change.put(record)
            if isinstance(record, Phone):
                held = change.get(Credential, record.id)
                if held is None or len(held[0].lines) < len(record.lines):
                    until = now() + WELCOME_SECONDS
                    change.put(credential(record.id, len(record.lines), choose, until))
        _follow(change, snapshot)
        settle(change, holders(snapshot.phones.values()), who, now())
    return found


def _follow(change: Change, before: Snapshot) -> None:
    """What names extensions goes with the phones that changed theirs; numbers of the table went where it said."""
    after = seen(change)
    moved: dict[str, str] = {}
    told: set[str] = set()
    for name, old in before.phones.items():
        if (new := after.phones[name]) != old:
            moved |= {had.extension: has.extension for had, has in zip(old.lines, new.lines, strict=False)}
            told |= {line.number for line in (*old.lines, *new.lines)}
    others = {name: number for name, number in after.numbers.items() if name not in told}
    follow(change, msgspec.structs.replace(after, numbers=others), moved)
