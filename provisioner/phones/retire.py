"""The end of a phone: it loses its secrets, and its extensions and numbers are free. And new secrets after a reset."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from provisioner.errors import OperatorError
from provisioner.phones.adopt import WELCOME_SECONDS, credential
from provisioner.phones.extensions import holders, settle
from provisioner.store.records import (
    Credential,
    LineFeatures,
    Number,
    Phone,
    PhoneSettings,
    RetiredPhone,
    RingGroup,
)

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory


_FORWARDS = ("forward_always", "forward_busy", "forward_no_answer")


def retire(inventory: Inventory, mac: str, who: str, clock: Callable[[], float] = time.time) -> RetiredPhone:
    """Take the phone `mac` out of the practice, in one transaction named after `who`; what stays of it.

    Its secrets and settings are deleted, its numbers lead nowhere, and it leaves its ring groups. Edge and front see
    that when they next read the inventory. Raises OperatorError when it is no phone of the practice.
    """
    with inventory.change(who=who) as change:
        (gone,) = retired(change, [mac], who, clock())
    return gone


def retired(change: Change, macs: Collection[str], who: str, now: float) -> list[RetiredPhone]:
    """The same for many phones in a transaction that is under way. Raises OperatorError."""
    phones = []
    for mac in macs:
        held = change.get(Phone, mac)
        if held is None:
            raise OperatorError(f"{mac} is no phone of this practice", "look at the list of phones")
        phones.append(held[0])
        change.delete(Phone, mac)
        change.delete(Credential, mac)
        change.delete(PhoneSettings, f"phone:{mac}")
    _free(change, {line.extension for phone in phones for line in phone.lines})
    settle(change, holders(phones), who, now)
    gone = [
        RetiredPhone(
            id=phone.id,
            vendor=phone.vendor,
            model=phone.model,
            extensions=tuple(line.extension for line in phone.lines),
            at=now,
            who=who,
        )
        for phone in phones
    ]
    for each in gone:
        change.put(each)
    return gone


def _free(change: Change, extensions: Collection[str]) -> None:
    """Nothing leads to `extensions` any more, and who has one next finds nothing set."""
    for extension in extensions:
        change.delete(LineFeatures, extension)
    for number in change.all(Number):
        if number.extension in extensions:
            change.put(msgspec.structs.replace(number, extension=""))
    for group in change.all(RingGroup):
        members = tuple(
            member
            for member, each in zip(group.members, group.each, strict=True)
            if each.target not in extensions
        )
        change.put(msgspec.structs.replace(group, members=members))
    for features in change.all(LineFeatures):
        gone = {name: "" for name in _FORWARDS if getattr(features, name) in extensions}
        change.put(msgspec.structs.replace(features, **gone))


def renew(
    inventory: Inventory,
    macs: Sequence[str],
    who: str,
    choose: Callable[[str], str] = secrets.choice,
    now: Callable[[], float] = time.time,
) -> None:
    """New secrets for phones that are to forget all: the old ones are worth nothing from now on.

    Each may have its first files once more without proof, as after its adoption.
    """
    with inventory.change(who=who) as change:
        for mac in macs:
            phone = change.get(Phone, mac)
            if phone:
                change.put(credential(mac, len(phone[0].lines), choose, now() + WELCOME_SECONDS))
