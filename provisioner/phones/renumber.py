"""Another length for all extensions of a practice: a plan that is looked at, then all at once or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from provisioner.dialing.extensions import leaves_at_once, moves
from provisioner.errors import OperatorError
from provisioner.phones.extensions import holders, seen
from provisioner.store.records import (
    ExtensionRange,
    HeldExtension,
    Key,
    LineFeatures,
    Member,
    Phone,
    PhoneGroup,
    Snapshot,
)

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory


class Move(msgspec.Struct, frozen=True):
    """One extension's old and new digits, and whose it is."""

    old: str
    new: str
    name: str
    at_once: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of all extensions. Nothing may be done while there are `problems`.

    `revision`: of the inventory that it was made from.
    """

    length: int
    revision: int
    moves: list[Move]
    problems: list[str]


def plan(snapshot: Snapshot, length: int) -> Plan:
    """Where every extension would go when all had `length` digits (3 or 4), with everything against it."""
    names = {extension: holder.name for extension, holder in holders(snapshot.phones.values()).items()}
    kept = (each for each in snapshot.held_extensions.values() if each.reason == "reserved")
    names = {**{each.id: f"reserved for {each.name}" for each in kept}, **names}
    found, problems = moves(names, length)
    if length == snapshot.practice.extension_length and all(old == new for old, new in found.items()):
        problems = [f"the extensions have {length} digits already"]
    used = sorted(line.extension for phone in snapshot.phones.values() for line in phone.lines)
    problems += [f"{each} is on more than one line" for each in sorted(set(used)) if used.count(each) > 1]
    problems += [
        f"the range {each.id} cannot be kept: remove it first"
        for each in snapshot.extension_ranges.values()
        if _span(each, length) is None
    ]
    listed = [Move(old, new, names[old], leaves_at_once(new)) for old, new in sorted(found.items())]
    return Plan(length=length, revision=snapshot.revision, moves=listed, problems=problems)


def _span(each: ExtensionRange, length: int) -> tuple[str, str] | None:
    """The range with other digits; None where it would not stay one."""
    first, last = (end.rjust(length, "1")[-length:] for end in (each.first, each.last))
    same = int(last) - int(first) == int(each.last) - int(each.first)
    return (first, last) if same and first[0] not in "09" else None


def apply(
    inventory: Inventory, length: int, who: str, revision: int = 0, clock: Callable[[], float] = time.time
) -> Plan:
    """Give all extensions `length` digits, in one transaction with all that names them; what was done.

    `revision`: of the plan that somebody looked at; when the inventory has moved since, it is refused. 0: whatever it
    is now. Raises OperatorError.
    """
    with inventory.change(who=who) as change:
        snapshot = seen(change)
        if revision and revision != change.revision - 1:
            raise OperatorError("the inventory has changed since that plan was made", "look at it again")
        made = plan(snapshot, length)
        if made.problems:
            raise OperatorError(made.problems[0], "nothing was changed; mend it, then try again")
        found = {move.old: move.new for move in made.moves}
        follow(change, snapshot, found)
        for phone in snapshot.phones.values():
            change.put(_renumbered(phone, found))
        _move_kept(change, snapshot, found, length)
        change.put(msgspec.structs.replace(snapshot.practice, extension_length=length))
    return made


def follow(change: Change, snapshot: Snapshot, found: Mapping[str, str]) -> None:
    """Let all that names extensions name the new ones: numbers, ring groups, keys, features of lines; not the lines."""
    for number in snapshot.numbers.values():
        change.put(msgspec.structs.replace(number, extension=found.get(number.extension, number.extension)))
    for group in snapshot.ring_groups.values():
        members = tuple(_member(each, found) for each in group.members)
        change.put(msgspec.structs.replace(group, members=members))
    keyed: list[Phone | PhoneGroup] = [*snapshot.phone_groups.values(), *snapshot.phones.values()]
    for each in keyed:
        change.put(msgspec.structs.replace(each, keys=_keys(each.keys, found)))
    features = [_features(each, found) for each in snapshot.line_features.values()]
    for name in snapshot.line_features.keys() - {each.id for each in features}:
        change.delete(LineFeatures, name)
    for one in features:
        change.put(one)


def _member(member: str | Member, found: Mapping[str, str]) -> str | Member:
    if isinstance(member, str):
        return found.get(member, member)
    return msgspec.structs.replace(member, target=found.get(member.target, member.target))


def _features(each: LineFeatures, found: Mapping[str, str]) -> LineFeatures:
    return msgspec.structs.replace(
        each,
        id=found.get(each.id, each.id),
        forward_always=found.get(each.forward_always, each.forward_always),
        forward_busy=found.get(each.forward_busy, each.forward_busy),
        forward_no_answer=found.get(each.forward_no_answer, each.forward_no_answer),
    )


def _renumbered(phone: Phone, found: Mapping[str, str]) -> Phone:
    lines = tuple(msgspec.structs.replace(each, extension=found[each.extension]) for each in phone.lines)
    return msgspec.structs.replace(phone, lines=lines, keys=_keys(phone.keys, found))


def _keys(keys: tuple[Key, ...], found: Mapping[str, str]) -> tuple[Key, ...]:
    return tuple(
        key if key.function == "line" else msgspec.structs.replace(key, value=found.get(key.value, key.value))
        for key in keys
    )


def _move_kept(change: Change, snapshot: Snapshot, found: Mapping[str, str], length: int) -> None:
    """Reserved extensions and ranges under their new digits; what was in quarantine cannot be given any more."""
    for held in snapshot.held_extensions.values():
        if held.reason == "reserved" and found[held.id] != held.id:
            change.delete(HeldExtension, held.id)
            change.put(msgspec.structs.replace(held, id=found[held.id]))
    for each in snapshot.extension_ranges.values():
        span = _span(each, length)
        if span and span != (each.first, each.last):
            change.delete(ExtensionRange, each.id)
            change.put(msgspec.structs.replace(each, id="-".join(span), first=span[0], last=span[1]))
