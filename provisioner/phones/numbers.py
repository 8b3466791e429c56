"""Which number leads to which line, and which one a line shows outside: none before its address is registered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from provisioner.errors import Invalid, OperatorError
from provisioner.phones.extensions import seen
from provisioner.store.once import once
from provisioner.store.records import Line, Number, Phone, Snapshot

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory


class Warned(msgspec.Struct, frozen=True):
    """A number that is on a line as it should not be: what, and what to do."""

    number: str
    extension: str
    what: str
    remedy: str


def in_service(number: Number | None) -> bool:
    """Whether `number` may be shown by a line: the provider said that its emergency address is registered."""
    return number is not None and number.address_status == "registered"


def not_yet(number: Number) -> OperatorError:
    """Why `number` is not put on a line."""
    return OperatorError(
        f"the emergency address of {number.id} is not registered, so no line may have it",
        "register its address first, or leave the number out",
    )


def assign(inventory: Inventory, number: str, target: str, who: str) -> list[Warned]:
    """Let `number` lead to `target`, an extension or the id of a ring group; "": nowhere. What is odd about that.

    A line that it leads to shows it outside, too; the line that had it before does not any more. Raises OperatorError:
    above all while the number's emergency address is not registered.
    """
    with inventory.change(who=who) as change:
        snapshot = seen(change)
        held = snapshot.numbers.get(number)
        if held is None:
            raise OperatorError(f"{number} is none of this practice's numbers", "look at the list of numbers")
        line = snapshot.line(target) if target else None
        if target and line is None and target not in snapshot.ring_groups:
            raise OperatorError(
                f"no phone and no ring group is {target}", "name an extension or a ring group"
            )
        if line and not in_service(held):
            raise not_yet(held)
        if target and held.dial_through:
            raise OperatorError(f"{number} is kept for dial-through", "take it out of dial-through first")
        if held.extension != target:
            _show(change, held.extension, number, "")
        group = "" if line or not target else target
        change.put(msgspec.structs.replace(held, extension=target if line else "", ring_group=group))
        if line:
            _show(change, target, "", number)
        after = seen(change)
    return [each for each in warnings(after) if each.number == number]


MAX_LABEL = 40
_EDITED = {"label": str, "caller_privacy": bool, "dial_through": bool}


def edit(
    inventory: Inventory, number: str, values: Mapping[str, Any], who: str, revision: int | None = None
) -> Number:
    """Change `label`, `caller_privacy` and `dial_through` of a number; what is left out stays.

    `revision`: of the number that was looked at, None: any. Raises Invalid, Conflict, or OperatorError.
    """
    errors = {
        name: f"{name} is no such setting of a number."
        if name not in _EDITED
        else f"{name} has another form."
        for name, value in values.items()
        if not isinstance(value, _EDITED.get(name, ()))
    }
    with inventory.change(who) as change:
        held = change.get(Number, number)
        if held is None:
            raise OperatorError(f"{number} is none of this practice's numbers", "look at the list of numbers")
        edited = held[0] if errors else msgspec.structs.replace(held[0], **values)
        label = " ".join(edited.label.split())
        if not label or len(label) > MAX_LABEL or not label.isprintable():
            errors["label"] = f"Give it words of at most {MAX_LABEL} letters."
        if edited.dial_through and (edited.extension or edited.ring_group):
            errors["dial_through"] = "It leads to somebody: let it lead nowhere first."
        if errors:
            raise Invalid(errors)
        edited = msgspec.structs.replace(edited, label=label)
        change.put(edited, revision)
    return edited


class Given(msgspec.Struct, frozen=True):
    """What became of an extension that was to get a number of its own; `why`: none was given, else ""."""

    extension: str
    number: str = ""
    why: str = ""


def give(inventory: Inventory, extensions: Iterable[str], who: str) -> list[Given]:
    """Give each of these extensions a number of its own: one in service that leads nowhere, of the phone's place.

    Who shows one already keeps it. All in one transaction.
    """
    found = []
    with inventory.change(who=who) as change:
        snapshot = seen(change)
        for extension in extensions:
            given = _given(snapshot, extension)
            found.append(given)
            if not given.number or given.why:
                continue
            number = msgspec.structs.replace(snapshot.numbers[given.number], extension=extension)
            change.put(number)
            _show(change, extension, "", number.id)
            snapshot = msgspec.structs.replace(snapshot, numbers={**snapshot.numbers, number.id: number})
    return found


def _given(snapshot: Snapshot, extension: str) -> Given:
    """Which number an extension is to get, or why none."""
    held = snapshot.line(extension)
    if held is None:
        return Given(extension, why="no phone has this extension")
    phone, line = held[0], held[0].lines[held[1]]
    if line.number in snapshot.numbers:
        return Given(extension, line.number, "it has this number already")
    for number in snapshot.numbers.values():
        free = not (number.extension or number.ring_group or number.dial_through)
        free = free and number.id != snapshot.practice.main_number
        if free and in_service(number) and snapshot.covers(number.location, phone.location):
            return Given(extension, number.id)
    return Given(
        extension, why=f"no number that is registered for {_place(snapshot, phone.location)} is free"
    )


def _show(change: Change, extension: str, only: str, number: str) -> None:
    """The line with `extension` shows `number`; with `only`, no more than if it showed that one."""
    for phone in change.all(Phone):
        lines = tuple(
            msgspec.structs.replace(line, number=number)
            if line.extension == extension and only in ("", line.number)
            else line
            for line in phone.lines
        )
        change.put(msgspec.structs.replace(phone, lines=lines))


@once
def warnings(snapshot: Snapshot) -> tuple[Warned, ...]:
    """All numbers that lines show though their address is not registered, or is that of another place."""
    return tuple(
        warned
        for phone in snapshot.phones.values()
        for line in phone.lines
        if line.number and (warned := _warned(snapshot, phone, line))
    )


def _warned(snapshot: Snapshot, phone: Phone, line: Line) -> Warned | None:
    number = snapshot.numbers.get(line.number)
    if number is None or not in_service(number):
        return Warned(
            line.number, line.extension, f"{line.number} has no registered emergency address",
            "911 still goes out, but an operator will have to ask where the caller is, and a fee is likely. "
            "Register the address with the provider.",
        )  # fmt: skip
    if phone.location and not snapshot.covers(number.location, phone.location):
        return Warned(
            line.number, line.extension,
            f"{line.number} of extension {line.extension} is registered for {_place(snapshot, number.location)}, "
            f"but the phone is at {_place(snapshot, phone.location)}",
            "A 911 call from there shows another number of that place, if there is one. "
            "Give the line a number of its own place, or register this one for it.",
        )  # fmt: skip
    return None


def _place(snapshot: Snapshot, location: str) -> str:
    held = snapshot.locations.get(location)
    return held.name if held else "no place"
