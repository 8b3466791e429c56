"""Undo: a new change that puts back what was before, under the same rules as an edit, or is refused in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from provisioner.dialing.classify import Plan
from provisioner.dialing.extensions import span_fault
from provisioner.dialing.forwarding import checked as forward_target
from provisioner.emergency import locations, notices
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.people import users
from provisioner.phones import editing, ring_groups
from provisioner.phones import practice as practices
from provisioner.phones.extensions import seen
from provisioner.phones.layers import check_layer
from provisioner.phones.numbers import in_service, not_yet
from provisioner.store import records
from provisioner.store.audit import Audit, Wanted
from provisioner.store.inventory import Change, Inventory, kind_of
from provisioner.store.records import Record, Snapshot
from provisioner.trunks import editing as trunks
from provisioner.web import features
from provisioner.web.changes import RECORDS
from provisioner.web.language import gettext as _
from provisioner.web.sources import Sources

MOST = 2000  # records of one change
R = TypeVar("R", bound=Record)


class Changed(OperatorError):  # noqa: N818
    """Somebody changed the record since; `later` is the revision of the change that is in the way, 0: not known."""

    def __init__(self, later: int) -> None:
        super().__init__(_("it was changed since"), _("look at the later change, and undo that one first"))
        self.later = later


class Refused(OperatorError):  # noqa: N818
    """This kind of change has no undo."""


def entries(inventory: Inventory, revision: int) -> list[Audit]:
    """What one change did, in the order in which it was done."""
    found = inventory.trail(MOST, Wanted(revision=revision)) if revision > 0 else []
    return [each for each in reversed(found) if each.kind in RECORDS]


def why_not(found: Iterable[Audit]) -> str:
    """Why a change has no undo, whatever was done since; "" when it has one."""
    try:
        for each in found:
            _possible(each)
    except ProvisionerError as error:
        return str(error)
    return ""


def undo(sources: Sources, revision: int, who: str) -> int:
    """Put back what was before the change with that revision; the revision of the new one.

    Raises Changed, Refused, or what the check of the record raises; nothing is changed then.
    """
    found = entries(sources.inventory, revision)
    if not found:
        raise Refused(_("there is no such change"), _("look at the audit log"))
    for each in found:
        _possible(each)
    with sources.inventory.change(who) as change:
        loose = set(_loose(change))
        for each in found:
            _as_left(sources.inventory, change, each)
        for each in reversed(found):
            _put_back(change, each)
        for each in found:
            _check(sources, change, each)
        if broken := sorted(set(_loose(change)) - loose):
            raise OperatorError(broken[0], _("change that first"))
        made = change.revision
    sources.reload()
    return made


def _decode(kind: str, body: str | None) -> Any:
    return msgspec.json.decode(body, type=_TYPES[kind]) if body else None


_TYPES = {kind_of(each): each for each in records.KINDS}


def _possible(entry: Audit) -> None:
    fields = UNDONE.get(entry.kind)
    if entry.kind in records.SECRET_KINDS:
        raise Refused(
            _("a password or key was changed with it, and old ones are not kept"), _("give it by hand")
        )
    if fields is None:
        raise Refused(_("this kind of change cannot be undone"), _("change it back by hand"))
    if not fields:
        return
    if entry.before is None or entry.after is None:
        raise Refused(_("a record that came or went so cannot be undone"), _("make or remove it on its page"))
    before, after = msgspec.json.decode(entry.before), msgspec.json.decode(entry.after)
    differ = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    strange = sorted(differ - fields)
    if entry.kind == "phone" and strange == ["lines"]:
        lines = [[line["extension"] for line in each["lines"]] for each in (before, after)]
        strange = ["lines"] if lines[0] != lines[1] else []
    if strange:
        raise Refused(
            _("{field} cannot be undone here").format(field=strange[0].replace("_", " ")),
            _("change it back by hand"),
        )


def _as_left(inventory: Inventory, change: Change, entry: Audit) -> None:
    """Raises Changed unless the record is still as the change left it."""
    held = change.get(_TYPES[entry.kind], entry.id)
    if (held[0] if held else None) != _decode(entry.kind, entry.after):
        later = inventory.trail(1, Wanted(kind=entry.kind, name=entry.id))
        raise Changed(later[0].revision if later and later[0].seq > entry.seq else 0)


def _put_back(change: Change, entry: Audit) -> None:
    before = _decode(entry.kind, entry.before)
    if before is None:
        change.delete(_TYPES[entry.kind], entry.id)
    else:
        change.put(before)


def _check(sources: Sources, change: Change, entry: Audit) -> None:
    """The rules of an edit, for what was put back."""
    held = change.get(_TYPES[entry.kind], entry.id)
    if held is not None and entry.kind in CHECKS:
        CHECKS[entry.kind](sources, change, held[0], _decode(entry.kind, entry.after))


def _loose(change: Change) -> Iterator[str]:
    """What names something that is not there, in words."""
    there = seen(change)
    known = {
        _("location"): set(there.locations),
        _("group"): set(there.phone_groups),
        _("ring group"): set(there.ring_groups),
    }
    place, group, ring = known

    def missing(what: str, name: str, user: str) -> Iterator[str]:
        if name and name not in known[what]:
            yield _("{user} would name a {what} that is gone").format(user=user, what=what)

    for phone in there.phones.values():
        named = f"{phone.lines[0].extension} {phone.lines[0].name}".strip() if phone.lines else phone.id
        yield from missing(place, phone.location, named)
        yield from missing(group, phone.group, named)
    for number in there.numbers.values():
        yield from missing(place, number.location, number.id)
        yield from missing(ring, number.ring_group, number.id)
    for each in there.locations.values():
        yield from missing(place, each.parent, each.name)
    for span in there.extension_ranges.values():
        yield from missing(place, span.location, span.name)
        yield from missing(group, span.group, span.name)
    for layer in change.all(records.PhoneSettings):
        kind, _colon, name = layer.id.partition(":")
        if kind == "group":
            yield from missing(group, name, layer.id)


# the rules, by kind: what is put back, and what was there


def _practice(sources: Sources, change: Change, record: records.Practice, other: records.Practice) -> None:
    differing = {
        name: value
        for name, value in msgspec.to_builtins(record).items()
        if value != msgspec.to_builtins(other)[name] and name not in ("adoption", "adoption_until")
    }
    practices.checked(other, differing, {each.id for each in change.all(records.Number)})


def _location(sources: Sources, change: Change, record: records.Location, other: object) -> None:
    locations.check(record, seen(change))


def _phone(sources: Sources, change: Change, record: records.Phone, other: records.Phone) -> None:
    catalogue = sources.catalogue()
    editing.check_modules(catalogue.model(record.vendor, record.model), record.modules)
    places = editing.places(record, catalogue)
    editing.checked_keys(change, record.keys, other.keys, places, len(record.lines))
    shown = {line.number for line in other.lines}
    for line in record.lines:
        number = change.get(records.Number, line.number) if line.number and line.number not in shown else None
        if number and not in_service(number[0]):
            raise not_yet(number[0])


def _group(
    sources: Sources, change: Change, record: records.PhoneGroup, other: records.PhoneGroup | None
) -> None:
    if any(
        each.name.lower() == record.name.lower() and each.id != record.id
        for each in change.all(records.PhoneGroup)
    ):
        raise OperatorError(_("there is another group of that name"), _("give that one another name first"))
    most = editing.MAX_POSITION
    editing.checked_keys(change, record.keys, other.keys if other else (), most, most)


def _layer(sources: Sources, change: Change, record: records.PhoneSettings, other: Any) -> None:
    held = other.values if other else {}
    set_now = {name: value for name, value in record.values.items() if held.get(name) != value}
    check_layer(msgspec.structs.replace(record, values=set_now))
    editing.exists(change, record.id)


def _ring_group(sources: Sources, change: Change, record: records.RingGroup, other: object) -> None:
    ring_groups.judged(record, seen(change))


def _features(sources: Sources, change: Change, record: records.LineFeatures, other: object) -> None:
    there = seen(change)
    plan = Plan(frozenset(there.extensions()), record.id, there.practice.extension_length)
    for name in features.TARGETS:
        forward_target(getattr(record, name), plan)


def _notices(sources: Sources, change: Change, record: records.Notifying, other: object) -> None:
    secret = change.get(records.NoticeSecret, "notices")
    notices.checked(record, secret[0].mail_password if secret else "")


def _range(sources: Sources, change: Change, record: records.ExtensionRange, other: object) -> None:
    there: Snapshot = seen(change)
    others = {
        each.name: (each.first, each.last) for each in there.extension_ranges.values() if each.id != record.id
    }
    if why := span_fault(record.first, record.last, there.practice.extension_length, others):
        raise OperatorError(why, _("change that first"))


def _trunk(sources: Sources, change: Change, record: records.Trunk, other: object) -> None:
    trunks.trunk(record.id, msgspec.to_builtins(record))


def _number(sources: Sources, change: Change, record: records.Number, other: object) -> None:
    there = seen(change)
    if record.extension and record.extension not in there.extensions():
        raise OperatorError(_("nobody has that extension any more"), _("let the number lead elsewhere"))


def _user(sources: Sources, change: Change, record: records.User, other: records.User) -> None:
    users.check_kept(change, other)
    if (record.role, record.disabled) != (other.role, other.disabled):
        change.end_tokens(record.id)


ANY: frozenset[str] = frozenset()  # all of the record may be put back, its making and its end too
# By kind, the fields whose change can be undone.
UNDONE = {
    "practice": frozenset(records.Practice.__struct_fields__) - {"id", "extension_length"},
    "location": ANY,
    "phone": frozenset({"keys", "group", "location", "modules", "front_desk"}),
    "phone_group": ANY,
    "phone_setting": ANY,
    "ring_group": ANY,
    "line_feature": ANY,
    "notice_setting": ANY,
    "extension_range": ANY,
    "trunk": ANY,
    "number": frozenset({"label", "extension", "ring_group", "caller_privacy", "dial_through"}),
    "user": frozenset({"role", "name", "language", "disabled"}),
}
CHECKS: dict[str, Callable[[Sources, Change, Any, Any], None]] = {
    "practice": _practice,
    "location": _location,
    "phone": _phone,
    "phone_group": _group,
    "phone_setting": _layer,
    "ring_group": _ring_group,
    "line_feature": _features,
    "notice_setting": _notices,
    "extension_range": _range,
    "trunk": _trunk,
    "number": _number,
    "user": _user,
}
