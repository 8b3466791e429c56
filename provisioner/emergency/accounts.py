"""Providers, the numbers in their accounts, and how each number's address is, in words with what to do."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from provisioner.emergency import postal, registration
from provisioner.emergency.postal import Difference
from provisioner.emergency.providers.client import Client
from provisioner.emergency.providers.wire import Account
from provisioner.emergency.registrar import ADAPTERS, connect, numbers_of
from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    AddressStatus,
    Location,
    Number,
    Postal,
    Provider,
    ProviderSecret,
    Registration,
    Snapshot,
)

Level = Literal["good", "busy", "warn", "bad", "none"]
_WORDS: dict[AddressStatus, tuple[str, Level]] = {
    "registered": ("Registered", "good"),
    "pending": ("On its way", "busy"),
    "correction": ("Needs your decision", "warn"),
    "stale": ("Not confirmed lately", "warn"),
    "failed": ("Not registered", "bad"),
    "unregistered": ("No address", "bad"),
}
_REMEDY: dict[str, str] = {
    "draft": "The provider is asked what it has.",
    "validating": "The provider looks at the address.",
    "submitting": "The address is being sent to the provider.",
    "pending": "The provider works on it.",
    "changing": "The new address takes the old one's place.",
    "removing": "The address is being taken away.",
    "corrected": "The provider has the address otherwise: compare both, and approve its form or correct the location.",
    "needs_choice": "The provider knows several such addresses: choose the right one.",
    "invalid": "The provider does not take the address: correct the location.",
    "failed": "It is tried again by itself. If this stays, do what the message says.",
    "needs_provider_human": "Ask the provider's support about this number; by itself this goes no further.",
    "registered": "",
    "unregistered": "Give the number a location.",
}


class Choice(msgspec.Struct, frozen=True):
    """One form that the provider offers, with what is otherwise in it."""

    address: Postal
    differences: list[Difference]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One number's address. Times in seconds since 1970, 0 for never; `gap`: seconds that it had none, last time."""

    number: str
    label: str
    status: AddressStatus
    words: str
    level: Level
    state: str
    remedy: str
    error: str
    extensions: list[str]
    location: str
    place: str
    provider: str
    since: float
    read_at: float
    next_at: float
    wanted: Postal | None
    registered: Postal | None
    choices: list[Choice]
    gap_since: float
    gap: float


def rows(snapshot: Snapshot, now: float) -> list[Row]:
    """All numbers, what needs a person first."""
    shown: dict[str, set[str]] = {}
    for phone in snapshot.phones.values():
        for line in phone.lines:
            shown.setdefault(line.number, set()).add(line.extension)
    found = [_row(snapshot, number, now, shown.get(number.id, set())) for number in snapshot.numbers.values()]
    order: tuple[Level, ...] = ("bad", "warn", "busy", "none", "good")
    return sorted(found, key=lambda row: (order.index(row.level), row.number))


def _row(snapshot: Snapshot, number: Number, now: float, extensions: set[str]) -> Row:
    held = snapshot.registrations.get(number.id)
    status = registration.status(held, now) if held and held.reading else number.address_status
    word, level = _WORDS[status]
    place = snapshot.place(number.location)
    reading = held.reading if held else None
    return Row(
        number=number.id,
        label=number.label,
        status=status,
        words=word,
        level=level,
        state=held.state if held else "",
        remedy=_remedy(number, held, status),
        error=held.error if held else "",
        extensions=sorted(extensions | ({number.extension} - {""})),
        location=number.location,
        place=place.name if place else "",
        provider=number.provider,
        since=held.since if held else 0.0,
        read_at=reading.at if reading else 0.0,
        next_at=held.due if held and held.step else 0.0,
        wanted=held.wanted if held else None,
        registered=reading.address if reading and reading.status == "registered" else None,
        choices=_choices(held),
        gap_since=held.gap_since if held else 0.0,
        gap=held.gap_seconds if held else 0.0,
    )


def _choices(held: Registration | None) -> list[Choice]:
    if held is None or held.wanted is None:
        return []
    wanted = held.wanted
    return [Choice(choice, postal.difference(wanted, choice)) for choice in held.choices]


def _remedy(number: Number, held: Registration | None, status: AddressStatus) -> str:
    if held is None:
        said = "" if status == "registered" else "Say which provider it is with, and give it a location."
        return said if not number.provider else "It is looked at in a moment."
    if held.wanted is None:
        return _REMEDY["unregistered"]
    if status == "stale":
        return f"{held.error or 'The provider could not be asked'}. Look again; then dial 933 from the phone."
    return " ".join(part for part in (_sentence(held.error), _REMEDY[held.state]) if part)


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", '"')) else f"{text}."


def add(
    inventory: Inventory, name: str, api: str, account: str, url: str, user: str, password: str, who: str
) -> Provider:
    """Store a provider; an empty password leaves what is stored. Raises OperatorError."""
    if not name.replace("-", "").isalnum():
        raise OperatorError("a provider's name is letters, digits and hyphens", "choose another")
    try:
        body = {"kind": "provider", "id": name, "api": api, "account": account, "url": url}
        provider = msgspec.convert(body, Provider)
    except msgspec.ValidationError:
        raise OperatorError(
            f"there is no interface {api!r}", f"choose one of {', '.join(ADAPTERS)}"
        ) from None
    if api != "core":
        Client(url or ADAPTERS[api](Account("", "", "")).url)  # raises for a URL that it must not have
    with inventory.change(who=who) as change:
        change.put(provider)
        stored = change.get(ProviderSecret, name)
        if api != "core":
            kept = stored[0].password if stored and not password else password
            change.put(ProviderSecret(id=name, user=user, password=kept))
        for held in change.all(Registration):  # what went wrong is tried with these at once
            if held.provider == name and held.error and held.step:
                change.put(replace(held, due=0.0, attempts=0))
    return provider


def remove(inventory: Inventory, name: str, who: str) -> None:
    """Forget a provider and its secret. Raises OperatorError while a number is with it."""
    with inventory.change(who=who) as change:
        using = [number.id for number in change.all(Number) if number.provider == name]
        if using:
            raise OperatorError(f"{len(using)} numbers are with {name}", "say first where they are now")
        if not change.delete(Provider, name):
            raise OperatorError(f"there is no provider {name}", "look at the list of providers")
        change.delete(ProviderSecret, name)


class Imported(msgspec.Struct, frozen=True):
    """What became of a number of the account."""

    number: str
    label: str
    what: Literal["new", "known", "with another provider", "now with this provider"]
    extension: str
    location: str


def import_numbers(
    inventory: Inventory, state: StateDir, provider: str, location: str, who: str, dry_run: bool = False
) -> list[Imported]:
    """Add the account's numbers that are new, at `location` if one is given. Raises OperatorError.

    Numbers that are known stay as they are, but for the provider where none was named. Nothing is registered, or taken
    away, that was not before: a number without a location is only looked at.
    """
    held, secret = inventory.get(Provider, provider), inventory.get(ProviderSecret, provider)
    if held is None:
        raise OperatorError(
            f"there is no provider {provider}", "add it first, or look at the list of providers"
        )
    owned = numbers_of(connect(held[0], secret[0] if secret else None, state))
    found = []
    with inventory.change(who=who) as change:
        if location and change.get(Location, location) is None:
            raise OperatorError(f"there is no location {location}", "look at the list of locations")
        for each in owned:
            known = change.get(Number, each.number)
            row, record = _imported(each.number, each.label, known[0] if known else None, provider, location)
            found.append(row)
            if record and not dry_run:
                change.put(record)
    return found


def _imported(
    number: str, label: str, known: Number | None, provider: str, location: str
) -> tuple[Imported, Number | None]:
    if known is None:
        fresh = Number(id=number, label=label or number, location=location, provider=provider)
        return Imported(number, fresh.label, "new", "", location), fresh
    row = Imported(number, known.label, "known", known.extension, known.location)
    if known.provider == provider:
        return row, None
    if known.provider:
        return replace(row, what="with another provider"), None
    return replace(row, what="now with this provider"), replace(known, provider=provider)


def place(
    inventory: Inventory, number: str, location: str | None, provider: str | None, who: str, now: float
) -> Number:
    """Say where a number is, or whom it is with; None leaves that. Raises OperatorError.

    From that moment on it is not called registered: the provider has not said so of the new place.
    """
    snapshot = inventory.snapshot()
    with inventory.change(who=who) as change:
        stored = change.get(Number, number)
        if stored is None:
            raise OperatorError(f"{number} is none of this practice's numbers", "import it from its provider")
        moved = replace(
            stored[0],
            location=stored[0].location if location is None else location,
            provider=stored[0].provider if provider is None else provider,
        )
        if moved.location and change.get(Location, moved.location) is None:
            raise OperatorError(f"there is no location {moved.location}", "look at the list of locations")
        if moved.provider and change.get(Provider, moved.provider) is None:
            raise OperatorError(f"there is no provider {moved.provider}", "add it first")
        if moved != stored[0]:
            moved = replace(
                moved, address_status="pending" if moved.location and moved.provider else "unregistered"
            )
            change.put(moved)
            spot = snapshot.place(moved.location)
            wanted = registration.wanted(moved, spot.civic if spot else None, snapshot.practice.name)
            held = change.get(Registration, number)
            if moved.provider and (held is None or held[0].provider != moved.provider):
                change.put(registration.begin(number, moved.provider, wanted, now))
            elif held:
                change.put(registration.want(held[0], wanted, now))
    return moved
