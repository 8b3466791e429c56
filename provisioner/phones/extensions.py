"""Who has which extension: giving, reserving, ranges, and the quarantine of those that were freed.

What is given is decided within the transaction that gives it (`Inventory.change` locks the file), so that no two
processes give the same one. Times are seconds since 1970.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from provisioner.dialing.classify import Plan
from provisioner.dialing.extensions import (
    Span,
    fault,
    free_extensions,
    leaves_at_once,
    next_extension,
    span_fault,
)
from provisioner.errors import OperatorError
from provisioner.store.once import once
from provisioner.store.records import (
    ExtensionRange,
    HeldExtension,
    LineFeatures,
    Location,
    Number,
    Phone,
    PhoneGroup,
    Practice,
    RingGroup,
    Snapshot,
)

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory

DAY = 86400.0
MAX_NAME = 60  # characters, as of a line
Clock = Callable[[], float]
Use = Literal["in use", "reserved", "quarantine", "free"]


class Holder(NamedTuple):
    """The phone (MAC) and the words on its key that an extension belongs to."""

    phone: str
    name: str


class Row(msgspec.Struct, kw_only=True, frozen=True):
    """One extension: who has it, or for whom it is kept, or who had it (`until`: not given before then, or null)."""

    extension: str
    state: Use
    at_once: bool
    name: str = ""
    phone: str = ""
    range: str = ""
    until: float | None = None
    since: float | None = None


def seen(change: Change) -> Snapshot:
    """What judging extensions and numbers needs, as this transaction sees it. Raises OperatorError."""
    practice = change.get(Practice, "practice")
    if practice is None:
        raise OperatorError("there is no practice yet", "set up the practice first")
    return Snapshot(
        revision=change.revision,
        practice=practice[0],
        locations={each.id: each for each in change.all(Location)},
        phones={each.id: each for each in change.all(Phone)},
        phone_groups={each.id: each for each in change.all(PhoneGroup)},
        numbers={each.id: each for each in change.all(Number)},
        ring_groups={each.id: each for each in change.all(RingGroup)},
        line_features={each.id: each for each in change.all(LineFeatures)},
        extension_ranges={each.id: each for each in change.all(ExtensionRange)},
        held_extensions={each.id: each for each in change.all(HeldExtension)},
    )


def holders(phones: Iterable[Phone]) -> dict[str, Holder]:
    """All extensions in use."""
    return {line.extension: Holder(phone.id, line.name) for phone in phones for line in phone.lines}


def dial_plan(snapshot: Snapshot, own: str = "") -> Plan:
    """What a line of the practice may dial; `own`: its extension."""
    practice = snapshot.practice
    abroad = practice.international_calls_per_day > 0
    known, services = frozenset(snapshot.extensions()), frozenset(practice.services)
    return Plan(known, own, practice.extension_length, services, abroad)


# giving


def taken(snapshot: Snapshot, now: float, phone: str = "") -> set[str]:
    """What cannot be given: in use, reserved or in quarantine. What `phone` itself had may go back to it."""
    kept = snapshot.held_extensions.values()
    return {
        *snapshot.extensions(),
        *(each.id for each in kept if each.holds(now) and not _its_own(each, phone)),
    }


def _its_own(held: HeldExtension, phone: str) -> bool:
    return bool(phone) and held.reason == "freed" and held.phone == phone


def why_not(snapshot: Snapshot, extension: str, now: float, phone: str = "") -> str:
    """Why `extension` cannot be given (to `phone`), "" when it can."""
    held = snapshot.held_extensions.get(extension)
    if held and held.holds(now) and not _its_own(held, phone) and extension not in snapshot.extensions():
        return _kept(held, snapshot.practice.time_zone)
    return fault(extension, snapshot.practice.extension_length, snapshot.extensions())


def _kept(held: HeldExtension, zone: str) -> str:
    if held.reason == "reserved":
        return f"{held.id} is reserved for {held.name}"
    who = held.name or "a phone that is gone"
    end = datetime.fromtimestamp(held.until, UTC).astimezone(ZoneInfo(zone))
    return f"{held.id} was that of {who} and is not given again before {end:%Y-%m-%d}"


def spans(snapshot: Snapshot, location: str, group: str) -> tuple[list[Span], list[Span]]:
    """The ranges of a phone at `location` in `group`, its group's first, and those that are others'."""
    here = {each.id for each in snapshot.lineage(location)}
    own, others = [], []
    for each in snapshot.extension_ranges.values():
        belongs = (not each.location or each.location in here) and (not each.group or each.group == group)
        if belongs and (each.location or each.group):
            own.append((not each.group, (each.first, each.last)))
        else:
            others.append((each.first, each.last))
    return [span for _, span in sorted(own)], others


def proposed(
    snapshot: Snapshot, now: float, location: str = "", group: str = "", count: int = 10
) -> list[str]:
    """The next `count` extensions that would be given to a phone at `location` in `group`."""
    length = snapshot.practice.extension_length
    return list(
        islice(free_extensions(taken(snapshot, now), length, *spans(snapshot, location, group)), count)
    )


def choose(
    snapshot: Snapshot, now: float, phone: str, wanted: str = "", location: str = "", group: str = ""
) -> str:
    """The extension that `phone` gets: `wanted`, else the one that it had, else the next. Raises OperatorError."""
    if wanted:
        if why := why_not(snapshot, wanted, now, phone):
            held = snapshot.held_extensions.get(wanted)
            kept = held and held.holds(now) and wanted not in snapshot.extensions()
            raise OperatorError(why, "choose another, or release it first" if kept else "choose another")
        return wanted
    had = [each.id for each in snapshot.held_extensions.values() if _its_own(each, phone)]
    for extension in had:
        if not why_not(snapshot, extension, now, phone):
            return extension
    length = snapshot.practice.extension_length
    return next_extension(taken(snapshot, now), length, *spans(snapshot, location, group))


def settle(change: Change, before: Mapping[str, Holder], who: str, now: float) -> None:
    """After phones were changed: what was `before` and is free now goes into quarantine; what is given, out of it."""
    practice = change.get(Practice, "practice")
    days = practice[0].extension_quarantine_days if practice else 0.0
    after = holders(change.all(Phone))
    for extension in after.keys() - before.keys():
        change.delete(HeldExtension, extension)
    for extension, holder in before.items():
        if extension not in after:
            change.put(
                HeldExtension(
                    id=extension, reason="freed", name=holder.name, phone=holder.phone, at=now, who=who,
                    until=now + days * DAY,
                )
            )  # fmt: skip


# reserving


def reserve(
    inventory: Inventory, extension: str, name: str, who: str, clock: Clock = time.time
) -> HeldExtension:
    """Keep `extension` for somebody until it is released. Raises OperatorError."""
    name = _named(name, "say for whom it is kept")
    with inventory.change(who=who) as change:
        snapshot = seen(change)
        held = snapshot.held_extensions.get(extension)
        free = held is not None and held.reason == "freed" and extension not in snapshot.extensions()
        if not free and (why := why_not(snapshot, extension, clock())):
            raise OperatorError(why, "choose another")
        kept = HeldExtension(id=extension, reason="reserved", name=name, at=clock(), who=who)
        change.put(kept)
    return kept


def release(inventory: Inventory, extension: str, who: str) -> HeldExtension:
    """Let `extension` be given again, reserved or in quarantine; what it was. Raises OperatorError."""
    with inventory.change(who=who) as change:
        held = change.get(HeldExtension, extension)
        if held is None:
            raise OperatorError(
                f"{extension} is neither reserved nor in quarantine", "look at the list of extensions"
            )
        change.delete(HeldExtension, extension)
    return held[0]


def _named(name: str, remedy: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise OperatorError(f"a name of at most {MAX_NAME} letters is missing", remedy)
    return name


# ranges


def add_range(
    inventory: Inventory, first: str, last: str, name: str, who: str, location: str = "", group: str = ""
) -> ExtensionRange:
    """A new range for a place, a group or both; for neither: one that nobody gets any of by itself.

    Raises OperatorError.
    """
    name = _named(name, "say what the range is for")
    with inventory.change(who=who) as change:
        snapshot = seen(change)
        known: tuple[tuple[str, Collection[str], str], ...] = (
            (location, snapshot.locations, "location"),
            (group, snapshot.phone_groups, "group of phones"),
        )
        for wanted, all_, what in known:
            if wanted and wanted not in all_:
                raise OperatorError(f"there is no {what} {wanted}", "name one of the practice")
        others = {each.name: (each.first, each.last) for each in snapshot.extension_ranges.values()}
        if why := span_fault(first, last, snapshot.practice.extension_length, others):
            raise OperatorError(why, "choose another range")
        made = ExtensionRange(
            id=f"{first}-{last}", first=first, last=last, name=name, location=location, group=group
        )
        change.put(made)
    return made


def remove_range(inventory: Inventory, name: str, who: str) -> None:
    """Remove the range with id `name`; who has an extension of it keeps it. Raises OperatorError."""
    with inventory.change(who=who) as change:
        if not change.delete(ExtensionRange, name):
            raise OperatorError(f"there is no range {name}", "look at the list of extensions")


def range_of(snapshot: Snapshot, extension: str) -> str:
    """The name of the range that `extension` is in, or ""."""
    for each in snapshot.extension_ranges.values():
        if len(each.first) == len(extension) and each.first <= extension <= each.last:
            return each.name
    return ""


# looking


def rows(snapshot: Snapshot, now: float) -> list[Row]:
    """All extensions that are in use, reserved or in quarantine, and those whose last holder is on record."""
    found = [
        Row(
            extension=extension, state="in use", at_once=leaves_at_once(extension), name=holder.name,
            phone=holder.phone, range=range_of(snapshot, extension),
        )
        for extension, holder in holders(snapshot.phones.values()).items()
    ]  # fmt: skip
    used = {row.extension for row in found}
    found += [
        _held(snapshot, each, now) for name, each in snapshot.held_extensions.items() if name not in used
    ]
    return sorted(found, key=lambda row: (len(row.extension), row.extension))


def _held(snapshot: Snapshot, held: HeldExtension, now: float) -> Row:
    state: Use = "reserved" if held.reason == "reserved" else "quarantine" if held.holds(now) else "free"
    return Row(
        extension=held.id, state=state, at_once=leaves_at_once(held.id), name=held.name, phone=held.phone,
        range=range_of(snapshot, held.id), until=held.until or None, since=held.at,
    )  # fmt: skip


def one(snapshot: Snapshot, extension: str, now: float) -> tuple[Row, str]:
    """One extension, and why it cannot be given, "" when it can."""
    known = next((row for row in rows(snapshot, now) if row.extension == extension), None)
    free = Row(
        extension=extension,
        state="free",
        at_once=leaves_at_once(extension),
        range=range_of(snapshot, extension),
    )
    return known or free, why_not(snapshot, extension, now)


@once
def problems(snapshot: Snapshot) -> tuple[str, ...]:
    """What is wrong with the extensions in use, as somebody may have put them there otherwise; all of it."""
    used = sorted(line.extension for phone in snapshot.phones.values() for line in phone.lines)
    length = snapshot.practice.extension_length
    found = [f"{each} is on more than one line" for each, lines in Counter(used).items() if lines > 1]
    known = {*used}
    strange = [each for each in known if len(each) != length]  # those of one length do not begin alike
    found += [why for each in sorted(known) if (why := fault(each, length, strange))]
    for number in snapshot.numbers.values():
        if number.extension and number.extension not in known:
            found.append(f"{number.id} leads to {number.extension}, which no phone has")
    return tuple(found)
