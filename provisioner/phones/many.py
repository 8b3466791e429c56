"""One change for many phones: what it would do to each, shown before; then all of it in one transaction."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from provisioner.errors import OperatorError, ProvisionerError, UsageError
from provisioner.phones.adopt import WELCOME_SECONDS, credential, made
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.extensions import holders, seen, settle
from provisioner.phones.retire import retired
from provisioner.store.records import IgnoredPhone, Number, Phone, Snapshot

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory

Action = Literal["adopt", "assign", "retire"]
Seen = Mapping[str, Mapping[str, str]]
"""By MAC: the `vendor` and `model` that a phone which waits said it is."""


class Wish(msgspec.Struct, kw_only=True, frozen=True):
    """What is to become of the phones `macs`. What is None stays; "" takes it away.

    `extensions`: by MAC, for those that are adopted; the others get the next free ones.
    """

    action: Action
    macs: tuple[str, ...]
    extensions: dict[str, str] = {}
    group: str | None = None
    location: str | None = None
    front_desk: bool | None = None


class Outcome(msgspec.Struct, kw_only=True):
    """What becomes of one phone. `changes`: what of it, from what, to what; `problem`: why it is left as it is."""

    mac: str
    name: str
    changes: list[tuple[str, str, str]] = []
    problem: str = ""
    extension: str = ""

    @property
    def does_something(self) -> bool:
        return bool(self.changes) and not self.problem


class _Plan(msgspec.Struct):
    """The outcome of each phone, and what is put for it."""

    outcomes: list[Outcome]
    phones: list[Phone]
    numbers: dict[str, Number]


def preview(snapshot: Snapshot, wish: Wish, catalogue: Catalogue, waiting: Seen, now: float) -> list[Outcome]:
    """What `wish` would do to each phone. Raises UsageError when it cannot be meant so at all."""
    return _plan(snapshot, wish, catalogue, waiting, now).outcomes


def apply(
    inventory: Inventory,
    wish: Wish,
    who: str,
    catalogue: Catalogue,
    waiting: Seen,
    choose: Callable[[str], str] = secrets.choice,
    now: Callable[[], float] = time.time,
) -> list[Outcome]:
    """Do it, in one transaction named after `who`; what became of each phone. Those with a problem are left alone.

    Raises UsageError when nothing can be done.
    """
    with inventory.change(who=who) as change:
        snapshot = seen(change)
        plan = _plan(snapshot, wish, catalogue, waiting, now())
        if not any(outcome.does_something for outcome in plan.outcomes):
            first = next((outcome.problem for outcome in plan.outcomes if outcome.problem), "")
            raise UsageError(f"Nothing was changed: {first}" if first else "There is nothing to change")
        if wish.action == "retire":
            retired(change, [each.mac for each in plan.outcomes if each.does_something], who, now())
        else:
            _put(change, plan, wish.action, choose, now())
            settle(change, holders(snapshot.phones.values()), who, now())
    return plan.outcomes


def _put(change: Change, plan: _Plan, action: Action, choose: Callable[[str], str], now: float) -> None:
    for number in plan.numbers.values():
        change.put(number)
    for phone in plan.phones:
        change.put(phone)
        if action == "adopt":
            change.delete(IgnoredPhone, phone.id)
            change.put(credential(phone.id, len(phone.lines), choose, now + WELCOME_SECONDS))


def _plan(snapshot: Snapshot, wish: Wish, catalogue: Catalogue, waiting: Seen, now: float) -> _Plan:
    if not wish.macs:
        raise UsageError("Tick the phones first")
    if wish.action == "adopt":
        return _adoptions(snapshot, wish, catalogue, waiting, now)
    if wish.action == "assign":
        return _assignments(snapshot, wish)
    outcomes = [_retirement(snapshot, mac) for mac in wish.macs]
    return _Plan(outcomes, [], {})


def _adoptions(snapshot: Snapshot, wish: Wish, catalogue: Catalogue, waiting: Seen, now: float) -> _Plan:
    """Each as if those before it were adopted already, so that no two get the same extension or number."""
    after = msgspec.structs.replace(snapshot, phones=dict(snapshot.phones), numbers=dict(snapshot.numbers))
    plan = _Plan([], [], {})
    # Those with an extension of their own choice first: else the next free one may be what another asks for.
    for mac in sorted(wish.macs, key=lambda mac: not wish.extensions.get(mac)):
        outcome = Outcome(mac=mac, name="")
        plan.outcomes.append(outcome)
        try:
            phone, number = _adoption(after, mac, wish, catalogue, waiting, now)
        except ProvisionerError as error:
            outcome.problem = str(error)
            continue
        after.phones[mac] = phone
        plan.phones.append(phone)
        if number:
            plan.numbers[number.id] = after.numbers[number.id] = number
        line = phone.lines[0]
        outcome.name, outcome.extension = line.name, line.extension
        told = [("extension", line.extension), ("number", line.number), ("location", _place(after, phone))]
        outcome.changes = [(what, "", value) for what, value in told if value]
    order = {mac: at for at, mac in enumerate(wish.macs)}
    plan.outcomes.sort(key=lambda outcome: order[outcome.mac])
    return plan


def _adoption(
    snapshot: Snapshot, mac: str, wish: Wish, catalogue: Catalogue, waiting: Seen, now: float
) -> tuple[Phone, Number | None]:
    if mac in snapshot.phones:
        raise OperatorError("it is adopted already", "change it on its page")
    told = waiting.get(mac)
    if told is None:
        raise UsageError("it has not asked for its files yet: connect and start it, then adopt it")
    model = catalogue.model(told["vendor"], told["model"])
    if model is None:
        raise OperatorError("it has not said which model it is", "restart it, then adopt it")
    extension = wish.extensions.get(mac, "").strip()
    if extension and not extension.isdecimal():
        raise UsageError("an extension is made of digits only, for example 104")
    phone, number = made(snapshot, mac, told["vendor"], model, extension, now)
    location = phone.location if wish.location is None else wish.location
    _known(snapshot, wish)
    return msgspec.structs.replace(phone, location=location, group=wish.group or phone.group), number


def _assignments(snapshot: Snapshot, wish: Wish) -> _Plan:
    _known(snapshot, wish)
    if wish.group is None and wish.location is None and wish.front_desk is None:
        raise UsageError("Choose what the phones are to get")
    plan = _Plan([], [], {})
    for mac in wish.macs:
        phone = snapshot.phones.get(mac)
        outcome = Outcome(mac=mac, name=_name(phone), extension=_extension(phone))
        plan.outcomes.append(outcome)
        if phone is None:
            outcome.problem = "it is not adopted"
            continue
        wanted = {"group": wish.group, "location": wish.location, "front_desk": wish.front_desk}
        given = {name: value for name, value in wanted.items() if value is not None}
        new = msgspec.structs.replace(phone, **given)
        if new != phone:
            plan.phones.append(new)
            outcome.changes = list(_differences(snapshot, phone, new))
    return plan


def _known(snapshot: Snapshot, wish: Wish) -> None:
    if wish.group and wish.group not in snapshot.phone_groups:
        raise UsageError("There is no such group: choose one of the list")
    if wish.location and wish.location not in snapshot.locations:
        raise UsageError("There is no such location: choose one of the list")


def _differences(snapshot: Snapshot, before: Phone, after: Phone) -> Iterable[tuple[str, str, str]]:
    if before.group != after.group:
        groups = snapshot.phone_groups
        was, now = (groups[name].name if name in groups else "" for name in (before.group, after.group))
        yield "group", was, now
    if before.location != after.location:
        yield "location", _place(snapshot, before), _place(snapshot, after)
    if before.front_desk != after.front_desk:
        yield "front desk", "yes" if before.front_desk else "no", "yes" if after.front_desk else "no"


def _retirement(snapshot: Snapshot, mac: str) -> Outcome:
    phone = snapshot.phones.get(mac)
    outcome = Outcome(mac=mac, name=_name(phone), extension=_extension(phone))
    if phone is None:
        outcome.problem = "it is not adopted"
    else:
        freed: Sequence[str] = [value for line in phone.lines for value in (line.extension, line.number)]
        outcome.changes = [("becomes free", value, "") for value in freed if value] or [("phone", mac, "")]
    return outcome


def _name(phone: Phone | None) -> str:
    return next((line.name for line in phone.lines if line.name), "") if phone else ""


def _extension(phone: Phone | None) -> str:
    return phone.lines[0].extension if phone and phone.lines else ""


def _place(snapshot: Snapshot, phone: Phone) -> str:
    held = snapshot.locations.get(phone.location)
    return held.name if held else ""
