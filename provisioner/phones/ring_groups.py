"""Ring groups, changed by people: judged whole, with all that is wrong at once, then kept in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from provisioner.dialing.classify import Plan
from provisioner.dialing.forwarding import checked
from provisioner.errors import Invalid, OperatorError, UsageError
from provisioner.phones.extensions import seen
from provisioner.store.records import Member, Number, RingGroup, Snapshot

if TYPE_CHECKING:
    from provisioner.store.inventory import Inventory

MAX_NAME = 40
MAX_MEMBERS = 50
MAX_MEMBER_SECONDS = 120
MAX_SECONDS = 600


def judged(group: RingGroup, snapshot: Snapshot) -> RingGroup:
    """`group` as it is kept. Raises Invalid: fields by name, members as `members/0`."""
    errors: dict[str, str] = {}
    name = " ".join(group.name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        errors["name"] = f"Give the group a name of at most {MAX_NAME} letters."
    others = (each for each in snapshot.ring_groups.values() if each.id != group.id)
    if any(each.name.lower() == name.lower() for each in others):
        errors["name"] = f"There is a ring group {name} already."
    if not 0 <= group.seconds <= MAX_SECONDS:
        errors["seconds"] = f"It is 0 to {MAX_SECONDS} seconds; 0: as usual."
    if not 1 <= len(group.members) <= MAX_MEMBERS:
        errors["members"] = f"A group has 1 to {MAX_MEMBERS} members."
    members = _members(group, snapshot, errors)
    if errors:
        raise Invalid(errors)
    return msgspec.structs.replace(group, name=name, members=members)


def _members(group: RingGroup, snapshot: Snapshot, errors: dict[str, str]) -> tuple[str | Member, ...]:
    """The members as they are kept; what is wrong with one goes into `errors`."""
    plan = Plan(frozenset(snapshot.extensions()), "", snapshot.practice.extension_length)
    found: dict[str, str | Member] = {}
    for place, each in enumerate(group.each):
        try:
            target = checked(each.target, plan)
        except UsageError as error:
            errors[f"members/{place}"] = f"{error}."
            continue
        number = snapshot.numbers.get(target)
        if not target:
            errors[f"members/{place}"] = "Give an extension, or an outside number with its area code."
        elif number and not number.extension:
            errors[f"members/{place}"] = "This number of the practice leads to no extension."
        elif target in found:
            errors[f"members/{place}"] = "This member is there twice."
        elif not 0 <= each.seconds <= MAX_MEMBER_SECONDS:
            errors[f"members/{place}"] = f"A member rings for 0 to {MAX_MEMBER_SECONDS} seconds; 0: as usual."
        found[target] = Member(target=target, seconds=each.seconds) if each.seconds else target
    return tuple(found.values())


def put(
    inventory: Inventory, values: Mapping[str, Any], who: str, group: str = "", revision: int | None = None
) -> RingGroup:
    """Make a ring group of `values`, or change those of the one with the id `group`; what is left out stays.

    `revision`: of the group that was looked at, None: any. Raises Invalid, Conflict, or OperatorError.
    """
    with inventory.change(who) as change:
        held = change.get(RingGroup, group) if group else None
        if group and held is None:
            raise OperatorError(f"there is no ring group {group}", "look at the list of ring groups")
        before = held[0] if held else RingGroup(id=secrets.token_hex(4), name="", members=())
        if strange := sorted(values.keys() - (set(RingGroup.__struct_fields__) - {"id"})):
            raise Invalid({each: f"A ring group has no {each}." for each in strange})
        try:
            wanted = msgspec.convert({**msgspec.to_builtins(before), **values}, RingGroup)
        except msgspec.ValidationError as error:
            raise Invalid({_field(str(error)): f"{error}."}) from None
        made = judged(wanted, seen(change))
        change.put(made, revision)
    return made


def _field(error: str) -> str:
    """The field that an error of msgspec names, as `$.members[0]`."""
    return error.partition("`$.")[2].partition("`")[0].replace("[", "/").partition("]")[0] or "name"


def delete(inventory: Inventory, group: str, who: str, revision: int | None = None) -> None:
    """Delete a ring group. Raises OperatorError while a number leads to it, or when there is none; Conflict."""
    with inventory.change(who) as change:
        used = [each.id for each in change.all(Number) if each.ring_group == group]
        if used:
            raise OperatorError(f"{', '.join(used)} would lead nowhere", "let it lead elsewhere first")
        if not change.delete(RingGroup, group, revision):
            raise OperatorError(f"there is no ring group {group}", "look at the list of ring groups")
