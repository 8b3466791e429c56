"""Changes of phones, groups, settings and the policy by people: checked whole, then made in one transaction each."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from provisioner.dialing.classify import is_urgent
from provisioner.errors import OperatorError, UsageError
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.identity import normal_mac
from provisioner.phones.layers import check_layer
from provisioner.phones.vocabulary import Stored
from provisioner.store.records import IgnoredPhone, Key, Location, Phone, PhoneGroup, PhoneSettings, Practice

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory

MAX_NAME = 40  # letters; displays show about twenty
MAX_POSITION = 400  # the most places of any phone with its modules are 320
FUNCTIONS = {"line": "Line", "blf": "Lamp of an extension", "speed_dial": "Speed dial"}
_DIALLED = re.compile(r"[0-9*#+]{1,32}")
_FIELDS = frozenset({"group", "location", "modules", "names"})


def places(phone: Phone, catalogue: Catalogue) -> int:
    """How many keys a phone has with its expansion modules."""
    model = catalogue.model(phone.vendor, phone.model)
    own = model.keys if model else 0
    return own + sum(catalogue.module_keys(phone.vendor, module) for module in phone.modules)


def edit_phone(
    inventory: Inventory, mac: str, changes: Mapping[str, Any], who: str, catalogue: Catalogue
) -> Phone:
    """Change `group`, `location` (ids, "" for none), `modules` (names) or `names` {extension: name} of a phone.

    What is left out stays. Raises ProvisionerError, and changes nothing then.
    """
    if unknown := sorted(changes.keys() - _FIELDS):
        raise UsageError(f"a phone has no {unknown[0]!r} to change here: give {', '.join(sorted(_FIELDS))}")
    with inventory.change(who=who) as change:
        phone = _phone(change, mac)
        if (group := changes.get("group", phone.group)) and change.get(PhoneGroup, group) is None:
            raise OperatorError(f"there is no group {group!r}", "make it first, on the page of groups")
        location = changes.get("location", phone.location)
        if location and change.get(Location, location) is None:
            raise OperatorError(f"there is no location {location!r}", "choose one that there is")
        modules = tuple(changes.get("modules", phone.modules))
        check_modules(catalogue.model(phone.vendor, phone.model), modules)
        names = {str(extension): _name(name) for extension, name in changes.get("names", {}).items()}
        if strange := sorted(names.keys() - {line.extension for line in phone.lines}):
            raise UsageError(f"this phone has no line {strange[0]}")
        lines = tuple(
            msgspec.structs.replace(line, name=names.get(line.extension, line.name)) for line in phone.lines
        )
        edited = msgspec.structs.replace(phone, group=group, location=location, modules=modules, lines=lines)
        change.put(edited)
    return edited


def set_keys(inventory: Inventory, mac: str, keys: Iterable[Key], who: str, catalogue: Catalogue) -> Phone:
    """Make `keys` the keys of a phone. Raises ProvisionerError."""
    with inventory.change(who=who) as change:
        phone = _phone(change, mac)
        sound = checked_keys(change, keys, phone.keys, places(phone, catalogue), len(phone.lines))
        edited = msgspec.structs.replace(phone, keys=sound)
        change.put(edited)
    return edited


def put_group(
    inventory: Inventory, name: str, who: str, group: str = "", keys: Iterable[Key] | None = None
) -> PhoneGroup:
    """Make a group of phones, or change the name and keys (None: they stay) of the one with the id `group`."""
    with inventory.change(who=who) as change:
        held = change.get(PhoneGroup, group) if group else None
        if group and held is None:
            raise OperatorError(f"there is no group {group!r}", "look at the list of groups")
        name = _name(name)
        if not name:
            raise UsageError("Give the group a name")
        if any(each.name.lower() == name.lower() and each.id != group for each in change.all(PhoneGroup)):
            raise UsageError(f"There is a group {name} already")
        before = held[0].keys if held else ()
        sound = before if keys is None else checked_keys(change, keys, before, MAX_POSITION, MAX_POSITION)
        made = PhoneGroup(id=group or secrets.token_hex(4), name=name, keys=sound)
        change.put(made)
    return made


def delete_group(inventory: Inventory, group: str, who: str) -> int:
    """Delete a group and its settings; its phones stay, without a group. How many there were."""
    with inventory.change(who=who) as change:
        if not change.delete(PhoneGroup, group):
            raise OperatorError(f"there is no group {group!r}", "look at the list of groups")
        change.delete(PhoneSettings, f"group:{group}")
        members = [phone for phone in change.all(Phone) if phone.group == group]
        for phone in members:
            change.put(msgspec.structs.replace(phone, group=""))
    return len(members)


def join(inventory: Inventory, named: Sequence[str], group: str, who: str) -> int:
    """Put phones into a group ("": into none), by MAC or by extension. Raises OperatorError; how many."""
    with inventory.change(who=who) as change:
        if group and change.get(PhoneGroup, group) is None:
            raise OperatorError(f"there is no group {group!r}", "make it first")
        phones = change.all(Phone)
        known = {line.extension: phone for phone in phones for line in phone.lines}
        known |= {phone.id: phone for phone in phones}
        for name in named:
            phone = known.get(name) or known.get(normal_mac(name) or "")
            if phone is None:
                raise OperatorError(f"no phone has {name}", "give extensions, or MACs of adopted phones")
            change.put(msgspec.structs.replace(phone, group=group))
    return len(named)


def set_layer(
    inventory: Inventory,
    layer: str,
    changes: Mapping[str, Stored | None],
    who: str,
    revision: int | None = None,
) -> PhoneSettings:
    """Set or (None) take back settings of one layer; a layer without any is gone. Raises OperatorError.

    `revision`: of the layer that was looked at (0: there was none), None: any; Conflict when it is another now.
    """
    with inventory.change(who=who) as change:
        held = change.get(PhoneSettings, layer)
        values = {**(held[0].values if held else {}), **changes}
        record = PhoneSettings(
            id=layer, values={name: value for name, value in values.items() if value is not None}
        )
        # Only what is set now is judged: a wrong value that was there before must not be in the way of mending it.
        check_layer(
            msgspec.structs.replace(record, values={n: v for n, v in changes.items() if v is not None})
        )
        exists(change, layer)
        if record.values:
            change.put(record, revision)
        else:
            change.delete(PhoneSettings, layer, revision)
    return record


def set_policy(inventory: Inventory, who: str, **changes: Any) -> Practice:
    """Change `adoption`, `adoption_until` or `routers` of the practice. Raises ProvisionerError."""
    if (adoption := changes.get("adoption")) not in (None, "open", "adopted", "certificate"):
        raise UsageError(f"{adoption!r} is no policy: it is open, adopted or certificate")
    if "routers" in changes:
        changes["routers"] = tuple(router(each) for each in changes["routers"])
    with inventory.change(who=who) as change:
        held = change.get(Practice, "practice")
        if held is None:
            raise OperatorError("there is no practice yet", "set up the practice first")
        practice = msgspec.structs.replace(held[0], **changes)
        change.put(practice)
    return practice


def ignore(inventory: Inventory, mac: str, who: str, now: float, ignored: bool = True) -> None:
    """Leave a phone out of those that wait, or take it back. Raises OperatorError."""
    name = normal_mac(mac)
    if name is None:
        raise UsageError("That is no MAC address: twelve hex digits, as on the phone's label")
    with inventory.change(who=who) as change:
        if change.get(Phone, name):
            raise OperatorError(f"the phone {name} is adopted", "retire it first")
        if ignored:
            change.put(IgnoredPhone(id=name, at=now, who=who))
        else:
            change.delete(IgnoredPhone, name)


def router(text: str) -> str:
    """A router as Practice names it: a MAC as twelve hex digits, or an address."""
    if mac := normal_mac(text):
        return mac
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise UsageError(f"{text!r} is neither a MAC nor an address") from None


def _phone(change: Change, mac: str) -> Phone:
    held = change.get(Phone, normal_mac(mac) or "")
    if held is None:
        raise OperatorError(f"there is no adopted phone {mac}", "adopt it first")
    return held[0]


def exists(change: Change, layer: str) -> None:
    """Raises OperatorError when a layer is of a group or phone that is not there."""
    kind, _, name = layer.partition(":")
    known: dict[str, type[PhoneGroup] | type[Phone]] = {"group": PhoneGroup, "phone": Phone}
    if kind in known and change.get(known[kind], name) is None:
        raise OperatorError(f"there is no {kind} {name}", "choose one that there is")


def _name(text: Any) -> str:
    name = " ".join(str(text).split())
    if len(name) > MAX_NAME or not name.isprintable():
        raise UsageError(f"A name has {MAX_NAME} letters at most, all of them printable")
    return name


def check_modules(model: Model | None, modules: tuple[str, ...]) -> None:
    """Raises UsageError when a model does not take these expansion modules."""
    allowed, most = (model.modules, model.module_count) if model else ((), 0)
    if len(modules) > most:
        raise UsageError(f"This model takes {most} expansion modules at most")
    if wrong := next((module for module in modules if module not in allowed), None):
        raise UsageError(f"This model takes no {wrong}: it takes {', '.join(allowed)}")


def checked_keys(
    change: Change, keys: Iterable[Key], before: tuple[Key, ...], most: int, lines: int
) -> tuple[Key, ...]:
    """`keys` in order. Raises UsageError; a key that was there before is not judged anew."""
    found = sorted(keys, key=lambda key: key.position)
    extensions = {line.extension for phone in change.all(Phone) for line in phone.lines}
    for number, key in enumerate(found):
        if number and found[number - 1].position == key.position:
            raise UsageError(f"Key {key.position} is there twice")
        if key not in before and (wrong := _wrong(key, most, lines, extensions)):
            raise UsageError(f"Key {key.position}: {wrong}")
    return tuple(msgspec.structs.replace(key, label=_name(key.label)) for key in found)


def _wrong(key: Key, most: int, lines: int, extensions: set[str]) -> str:
    """What is wrong with a key, in words; "" for nothing."""
    if not 1 <= key.position <= most:
        return f"there are {most} keys"
    if key.function == "line":
        fits = key.value.isdecimal() and 1 <= int(key.value) <= lines
        return "" if fits else f"the number of a line is 1 to {lines}"
    if not _DIALLED.fullmatch(key.value):
        return "give what it dials: digits, * and #"
    if key.function == "speed_dial" and is_urgent(key.value):
        return "911, 933 and 988 are dialled on the keypad: a key for them is pressed by mistake"
    if key.function == "blf" and key.value not in extensions:
        return f"there is no extension {key.value}"
    return ""
