"""Another phone in the place of one: it gets all that this one had, and this one is retired."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from provisioner.errors import OperatorError, UsageError
from provisioner.phones.adopt import WELCOME_SECONDS, credential
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.editing import places
from provisioner.phones.identity import normal_mac
from provisioner.store.records import (
    Credential,
    IgnoredPhone,
    Key,
    Phone,
    PhoneSettings,
    Placement,
    Practice,
    RetiredPhone,
    Snapshot,
)

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory


class Swap(msgspec.Struct, kw_only=True, frozen=True):
    """What replacing would come to: the new record, and what the new phone has no place for."""

    phone: Phone
    lost_keys: tuple[Key, ...] = ()
    lost_modules: tuple[str, ...] = ()
    lost_lines: int = 0


def plan(snapshot: Snapshot, mac: str, by: str, vendor: str, model: str, catalogue: Catalogue) -> Swap:
    """What would come of the phone `by`, a `model` of `vendor`, in the place of `mac`. Raises ProvisionerError."""
    old, name = snapshot.phones.get(mac), normal_mac(by)
    if old is None:
        raise OperatorError(f"{mac} is no phone of this practice", "look at the list of phones")
    if name is None:
        raise UsageError("That is no MAC address: twelve hex digits, as on the phone's label")
    if name in snapshot.phones:
        raise OperatorError(f"the phone {name} is adopted already", "retire it first, or name another")
    known = catalogue.model(vendor, model)
    if known is None:
        raise UsageError(f"There is no template for {vendor.capitalize()} {model}: choose one of the list")
    return _swap(old, name, vendor, known, catalogue)


def _swap(old: Phone, mac: str, vendor: str, model: Model, catalogue: Catalogue) -> Swap:
    modules = tuple(module for module in old.modules if module in model.modules)[: model.module_count]
    lines = old.lines[: max(1, model.accounts)]
    new = msgspec.structs.replace(
        old, id=mac, vendor=vendor, model=model.name, modules=modules, lines=lines, keys=()
    )
    most = places(new, catalogue)
    kept = tuple(key for key in old.keys if key.position <= most)
    return Swap(
        phone=msgspec.structs.replace(new, keys=kept),
        lost_keys=tuple(key for key in old.keys if key.position > most),
        lost_modules=old.modules[len(modules) :] if modules == old.modules[: len(modules)] else old.modules,
        lost_lines=len(old.lines) - len(lines),
    )


def replace(
    inventory: Inventory,
    mac: str,
    by: str,
    vendor: str,
    model: str,
    who: str,
    catalogue: Catalogue,
    choose: Callable[[str], str] = secrets.choice,
    now: Callable[[], float] = time.time,
) -> Swap:
    """Do it, in one transaction named after `who`. Raises ProvisionerError, and changes nothing then.

    Extensions, numbers, ring groups and call handling stay as they are: they are the extensions'. The old phone's
    secrets are worth nothing from then on; where the new one is on the network is learnt when it registers.
    """
    with inventory.change(who=who) as change:
        old = change.get(Phone, mac)
        snapshot = Snapshot(
            revision=change.revision,
            practice=Practice(id="practice", name="", main_number=""),
            phones={each.id: each for each in change.all(Phone)},
        )
        swap = plan(snapshot, mac, by, vendor, model, catalogue)
        assert old
        if swap.lost_lines:
            raise OperatorError(
                f"a {swap.phone.model} has no room for {len(old[0].lines)} lines", "choose another model"
            )
        _put(change, old[0], swap.phone, who, now())
        change.put(credential(swap.phone.id, len(swap.phone.lines), choose, now() + WELCOME_SECONDS))
    return swap


def _put(change: Change, old: Phone, new: Phone, who: str, now: float) -> None:
    change.put(new)
    change.delete(Phone, old.id)
    change.delete(Credential, old.id)
    change.delete(Placement, old.id)
    change.delete(IgnoredPhone, new.id)
    own = change.get(PhoneSettings, f"phone:{old.id}")
    if own:
        change.delete(PhoneSettings, own[0].id)
        change.put(msgspec.structs.replace(own[0], id=f"phone:{new.id}"))
    change.put(RetiredPhone(id=old.id, vendor=old.vendor, model=old.model, extensions=(), at=now, who=who))
