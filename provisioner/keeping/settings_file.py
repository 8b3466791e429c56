"""The settings as one TOML file: everything that may be shown, in one order, out and in again.

Secrets and users are never in it, nor what is no setting but happened (registrations of addresses, retired phones,
confirmed places). A file changes only the kinds that its `kinds` names; of those, what is not in it goes.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import tomli_w

from provisioner.dialing.classify import Plan as Dialling
from provisioner.dialing.classify import is_urgent
from provisioner.dialing.forwarding import checked
from provisioner.emergency import locations
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.keeping import kept
from provisioner.keeping.contents import PRODUCT, USER_KINDS
from provisioner.keeping.restoring import Count, settle_secrets
from provisioner.phones import practice as practice_rules
from provisioner.phones import ring_groups
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.extensions import holders, problems, settle
from provisioner.phones.layers import check_layer
from provisioner.phones.retire import retired
from provisioner.store.inventory import Change, Inventory, kind_of
from provisioner.store.records import (
    APART_KINDS,
    KINDS,
    SECRET_KINDS,
    BackupPlan,
    Key,
    LineFeatures,
    Location,
    Number,
    Phone,
    PhoneGroup,
    PhoneSettings,
    Practice,
    Record,
    RingGroup,
    Snapshot,
    Trunk,
)
from provisioner.trunks import editing as trunk_rules

FORMAT = 1
MAX_BYTES = 16 << 20
_HAPPENED = {
    "registration",
    "retired_phone",
    "placement",
    "dial_through",
    "recording",
    "setup",
    "ignored_phone",
}
KIND = {kind_of(kind): kind for kind in KINDS if kind_of(kind) not in SECRET_KINDS | USER_KINDS | _HAPPENED}
_HEAD = "# The settings of a practice. Secrets and users are not in it; see docs/staff/backup.md.\n"
Held = dict[str, dict[str, Record]]  # by kind and id


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a file: where (`phone 001565000102`, "" for all of it), and what to do."""

    where: str
    what: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a file would change; nothing when there are `faults`."""

    counts: list[Count]
    faults: list[Fault]


class Faulty(ProvisionerError):  # noqa: N818
    """The file cannot be imported; `faults` says why, all of it."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        first = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{first.where}: {first.what}{more}" if first.where else f"{first.what}{more}")


def export(inventory: Inventory) -> str:
    """The file. The same inventory gives the same bytes."""
    document: dict[str, Any] = {"format": FORMAT, "kinds": list(KIND)}
    for name, kind in KIND.items():
        records = {record.id: _body(record) for record in inventory.all(kind)}
        if records:
            document[name] = dict(sorted(records.items()))
    return _HEAD + tomli_w.dumps(document)


def _body(record: Record) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(record)
    hidden = {"kind", "id"} | ({"address_status"} if isinstance(record, Number) else set())
    return {name: value for name, value in body.items() if name not in hidden}


def parse(data: bytes) -> Held:
    """The records of a file, for each kind that it speaks of. Raises Faulty with all that is wrong in it."""
    if len(data) > MAX_BYTES:
        raise Faulty([Fault(where="", what=f"This file is larger than {MAX_BYTES >> 20} MiB.")])
    try:
        document = tomllib.loads(data.decode())
    except UnicodeDecodeError:
        raise Faulty([Fault(where="", what="This is no text in UTF-8.")]) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Faulty([Fault(where="", what=f"This is no TOML: {error or 'nested too deeply'}.")]) from None
    if document.get("format") != FORMAT:
        newer = isinstance(document.get("format"), int) and document["format"] > FORMAT
        words = (
            f"It is of a newer version than this one ({PRODUCT})."
            if newer
            else "This is no file of settings."
        )
        raise Faulty([Fault(where="", what=words)])
    faults: list[Fault] = []
    held = dict(_kinds(document, faults))
    if faults:
        raise Faulty(faults)
    return held


def _kinds(document: dict[str, Any], faults: list[Fault]) -> Iterator[tuple[str, dict[str, Record]]]:
    named = document.get("kinds", [])
    spoken = set(named) if isinstance(named, list) and all(isinstance(each, str) for each in named) else set()
    for name in sorted((spoken | document.keys()) - {"format", "kinds"}):
        if name not in KIND:
            faults.append(Fault(where=name, what="There is no such kind of record."))
        elif name not in spoken:
            faults.append(Fault(where=name, what="It is not named in `kinds` at the top: add it there."))
    for name in KIND:
        rows = document.get(name, {})
        if not isinstance(rows, dict):
            faults.append(Fault(where=name, what=f'Write [{name}."ID"] for each.'))
        elif name in spoken:
            found = ((each, _record(name, each, body, faults)) for each, body in rows.items())
            yield name, {each: record for each, record in found if record is not None}


def _record(kind: str, name: str, body: Any, faults: list[Fault]) -> Record | None:
    where = f"{kind} {name}"
    if not isinstance(body, dict):
        faults.append(Fault(where=where, what="It must be a table."))
        return None
    fields = set(KIND[kind].__struct_fields__) - {"id"}
    strange = sorted(body.keys() - fields)
    faults += [Fault(where=where, what=f"It has no {each}.") for each in strange]
    try:
        return msgspec.convert({**body, "kind": kind, "id": name}, KIND[kind])
    except msgspec.ValidationError as error:
        faults.append(Fault(where=where, what=f"{error}."))
        return None


def plan(inventory: Inventory, wanted: Held, catalogue: Catalogue) -> Plan:
    """What importing would change here, and everything that speaks against it."""
    here = {name: {record.id: record for record in inventory.all(KIND[name])} for name in wanted}
    wanted = _with_status(wanted, here)
    faults = list(_judged(inventory.snapshot(), wanted, here, catalogue))
    return Plan(counts=_counts(wanted, here), faults=faults)


def apply(
    inventory: Inventory,
    wanted: Held,
    who: str,
    catalogue: Catalogue,
    now: Callable[[], float] = time.time,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Count]:
    """Import, in one transaction named after `who`; what was changed. Raises Faulty, and nothing is changed.

    Phones that are new get secrets; those that are not in the file are retired.
    """
    snapshot = inventory.snapshot()
    with inventory.change(who=who) as change:
        here = {name: {record.id: record for record in change.all(KIND[name])} for name in wanted}
        wanted = _with_status(wanted, here)
        if faults := list(_judged(snapshot, wanted, here, catalogue)):
            raise Faulty(faults)
        before = holders(change.all(Phone))
        gone = sorted(here.get("phone", {}).keys() - wanted.get("phone", here.get("phone", {})).keys())
        retired(change, gone, who, now())
        _put(change, wanted, here, tell)
        settle_secrets(change, now())
        settle(change, before, who, now())
    return _counts(wanted, here)


def _put(change: Change, wanted: Held, here: Held, tell: Callable[[int, int], None]) -> None:
    total, done = sum(map(len, wanted.values())), 0
    for name, records in wanted.items():
        for each in here[name].keys() - records.keys():
            change.delete(KIND[name], each)
        for record in records.values():
            tell(done, total)
            done += 1
            change.put(record)  # also what is as before: retiring a phone may have changed it just now


def _with_status(wanted: Held, here: Held) -> Held:
    """Nobody says by a file that an address is registered: numbers keep what is known of them."""
    numbers: dict[str, Record] = {}
    for name, record in wanted.get("number", {}).items():
        known = here["number"].get(name)
        status = known.address_status if isinstance(known, Number) else "unregistered"
        numbers[name] = msgspec.structs.replace(record, address_status=status)
    return {**wanted, **({"number": numbers} if "number" in wanted else {})}


def _counts(wanted: Held, here: Held) -> list[Count]:
    found = []
    for kind, records in wanted.items():
        both = records.keys() & here[kind].keys()
        count = Count(
            part="inventory",
            kind=kind,
            added=len(records.keys() - here[kind].keys()),
            changed=sum(records[each] != here[kind][each] for each in both),
            removed=len(here[kind].keys() - records.keys()),
        )
        if count.added or count.changed or count.removed:
            found.append(count)
    return found


# What speaks against it. A record that is here just so is not judged: it got here by the rules of its time.


def _judged(snapshot: Snapshot, wanted: Held, here: Held, catalogue: Catalogue) -> Iterator[Fault]:
    practices = wanted.get("practice", {"practice": snapshot.practice})
    if practices.keys() != {"practice"}:
        yield Fault(where="practice", what="There is one practice, of the id practice.")
        return
    fields: dict[str, Any] = {
        f"{kind}s": records for kind, records in wanted.items() if kind not in APART_KINDS | {"practice"}
    }
    after = msgspec.structs.replace(snapshot, practice=practices["practice"], **fields)
    known = set(problems(snapshot))
    yield from (Fault(where="extensions", what=f"{each}.") for each in problems(after) if each not in known)
    for kind, records in wanted.items():
        for record in records.values():
            if record != here[kind].get(record.id):
                for what in _against(record, after, catalogue):
                    yield Fault(where=f"{kind} {record.id}", what=what)


def _against(record: Record, after: Snapshot, catalogue: Catalogue) -> Iterator[str]:
    """What speaks against one record, as all would be."""
    try:
        if isinstance(record, Practice):
            values = {
                name: value
                for name, value in msgspec.structs.asdict(record).items()
                if name not in {"id", *practice_rules.ELSEWHERE} and (name != "main_number" or value)
            }
            practice_rules.checked(record, values, after.numbers.keys())
        elif isinstance(record, Location):
            yield from locations.faults(record, after).values()
        elif isinstance(record, PhoneSettings):
            check_layer(record)
        elif isinstance(record, RingGroup):
            ring_groups.judged(record, after)
        elif isinstance(record, Trunk):
            trunk_rules.trunk(record.id, msgspec.to_builtins(record))
        elif isinstance(record, BackupPlan):
            yield from kept.faults(record).values()
        elif isinstance(record, Phone):
            yield from _against_phone(record, after, catalogue)
            yield from _against_keys(record.keys)
        elif isinstance(record, PhoneGroup):
            yield from _against_keys(record.keys)
        elif isinstance(record, LineFeatures):
            plan = Dialling(frozenset(after.extensions()), record.id, after.practice.extension_length)
            for target in (record.forward_always, record.forward_busy, record.forward_no_answer):
                checked(target, plan)
        elif isinstance(record, Number):
            yield from _against_number(record, after)
    except OperatorError as error:
        yield f"{error.what}: {error.remedy}."
    except ProvisionerError as error:
        yield str(error)


def _against_phone(phone: Phone, after: Snapshot, catalogue: Catalogue) -> Iterator[str]:
    if len(phone.id) != 12 or not set(phone.id) <= set("0123456789abcdef"):
        yield "Its id is its MAC address: twelve hex digits, lower case."
    if catalogue.model(phone.vendor, phone.model) is None:
        yield f"There is no model {phone.model} of {phone.vendor}."
    if phone.location and phone.location not in after.locations:
        yield f"There is no location {phone.location}."
    if phone.group and phone.group not in after.phone_groups:
        yield f"There is no group {phone.group}."
    for line in phone.lines:
        if line.number and line.number not in after.numbers:
            yield f"{line.number} is none of the practice's numbers."


def _against_keys(keys: tuple[Key, ...]) -> Iterator[str]:
    for key in keys:
        if key.function == "speed_dial" and is_urgent(key.value):
            yield f"Key {key.position}: no key dials 911, 933 or 988."


def _against_number(number: Number, after: Snapshot) -> Iterator[str]:
    if not number.id.startswith("+") or not number.id[1:].isdigit():
        yield "Its id is the number in E.164, as +14155550101."
    if number.location and number.location not in after.locations:
        yield f"There is no location {number.location}."
    if number.ring_group and number.ring_group not in after.ring_groups:
        yield f"There is no ring group {number.ring_group}."
    if number.provider and number.provider not in after.providers:
        yield f"There is no provider {number.provider}."
