"""Adoption: a phone that asked for its file becomes a phone of the practice, with secrets of its own."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from provisioner.errors import OperatorError
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.extensions import choose as choose_extension
from provisioner.phones.extensions import holders, seen, settle
from provisioner.phones.identity import normal_mac
from provisioner.phones.numbers import in_service
from provisioner.store.records import Credential, IgnoredPhone, Line, LineCredential, Number, Phone, Snapshot

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory

PASSWORD_LENGTH = 24  # 62 characters each: 142 bits
_ALPHABET = string.ascii_letters + string.digits  # no maker's format has to escape any of these
PATH_LENGTH = 28  # 36 characters each: 144 bits
_PATH_ALPHABET = string.ascii_lowercase + string.digits  # some phones ask in capitals for what they were told
FILE_KEY_LENGTH = 16  # AES-128 takes the characters themselves as its key
WELCOME_SECONDS = 86400.0  # a phone that waits asks within the hour, one in a box within the day


def new_password(choose: Callable[[str], str] = secrets.choice) -> str:
    """A password that every maker's file can hold as it is."""
    return "".join(choose(_ALPHABET) for _ in range(PASSWORD_LENGTH))


def credential(
    mac: str, lines: int = 1, choose: Callable[[str], str] = secrets.choice, welcome_until: float = 0.0
) -> Credential:
    """New secrets for a phone with so many lines. `welcome_until` as in Credential."""
    return Credential(
        id=mac,
        lines=tuple(
            LineCredential(
                auth_user=mac if index == 0 else f"{mac}-{index + 1}", password=new_password(choose)
            )
            for index in range(lines)
        ),
        admin_password=new_password(choose),
        user_password=new_password(choose),
        http_user=mac,
        http_password=new_password(choose),
        path_secret="".join(choose(_PATH_ALPHABET) for _ in range(PATH_LENGTH)),
        file_key="".join(choose(_ALPHABET) for _ in range(FILE_KEY_LENGTH)),
        welcome_until=welcome_until,
    )


def welcome(inventory: Inventory, mac: str, who: str, now: Callable[[], float] = time.time) -> None:
    """Let an adopted phone have its files once more without proof, as after a factory reset behind a router.

    Raises OperatorError when there is no such phone.
    """
    with inventory.change(who=who) as change:
        held = change.get(Credential, normal_mac(mac) or "")
        if held is None:
            raise OperatorError(f"there is no adopted phone {mac}", "adopt it first")
        change.put(msgspec.structs.replace(held[0], welcome_until=now() + WELCOME_SECONDS))


def adopt(
    inventory: Inventory,
    mac: str,
    vendor: str,
    model: str,
    who: str,
    extension: str = "",
    catalogue: Catalogue | None = None,
    choose: Callable[[str], str] = secrets.choice,
    now: Callable[[], float] = time.time,
) -> Phone:
    """Adopt the phone `mac`, in one transaction named after `who`, and return its record.

    It gets `extension`, or the one that it had before it was retired, or the next free one that needs no pause;
    the extension's number or else a free one, if its emergency address is registered; and new secrets.
    Raises OperatorError when the phone cannot be adopted so.
    """
    known = (catalogue or Catalogue()).model(vendor, model)
    name = normal_mac(mac)
    if name is None:
        raise OperatorError(
            f"{mac!r} is not a MAC address", "give twelve hex digits, as on the phone's label"
        )
    if known is None:
        raise OperatorError(
            f"there is no template for {vendor} {model}", "choose one of the models in phone_templates"
        )
    with inventory.change(who=who) as change:
        phone = _adopt(change, name, vendor, known, extension, who, now())
        change.put(credential(name, len(phone.lines), choose, now() + WELCOME_SECONDS))
    return phone


def _adopt(
    change: Change, mac: str, vendor: str, model: Model, extension: str, who: str, now: float
) -> Phone:
    snapshot = seen(change)
    phone, number = made(snapshot, mac, vendor, model, extension, now)
    if number:
        change.put(number)
    change.put(phone)
    change.delete(IgnoredPhone, mac)
    settle(change, holders(snapshot.phones.values()), who, now)
    return phone


def made(
    snapshot: Snapshot, mac: str, vendor: str, model: Model, extension: str, now: float
) -> tuple[Phone, Number | None]:
    """The record that a phone gets when it is adopted now, and the number that leads to it from then on.

    Raises OperatorError when it cannot be adopted so.
    """
    if mac in snapshot.phones:
        raise OperatorError(
            f"the phone {mac} is adopted already", "change it on its page, or remove it first"
        )
    likely = _number(snapshot.numbers.values(), extension)
    place = likely.location if likely else ""
    extension = choose_extension(snapshot, now, mac, extension, place)
    number = _number(snapshot.numbers.values(), extension)
    line = Line(extension=extension, number=number.id if number else "", name=number.label if number else "")
    phone = Phone(
        id=mac, vendor=vendor, model=model.name, lines=(line,), location=number.location if number else ""
    )
    if number is None or number.extension == extension:
        return phone, None
    return phone, msgspec.structs.replace(number, extension=extension)


def _number(numbers: Iterable[Number], extension: str) -> Number | None:
    """The number that leads to the extension already, else the first that leads nowhere yet; only one in service."""
    ready = [number for number in numbers if in_service(number)]
    own = [number for number in ready if extension and number.extension == extension]
    free = [number for number in ready if not number.extension and not number.ring_group]
    return next(iter(own + free), None)
