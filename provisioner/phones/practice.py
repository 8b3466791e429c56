"""The practice's own settings: judged field by field, with all that is wrong at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from datetime import time
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import available_timezones

import msgspec

from provisioner.dialing.classify import SERVICES, Plan, classify
from provisioner.errors import Invalid, OperatorError, UsageError
from provisioner.phones.editing import router
from provisioner.store.records import Number, Practice

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory

MAX_NAME = 60  # letters; phones and providers cut longer ones off
ELSEWHERE = {  # fields that another door changes, since more than the field changes
    "id": "the practice's id is always practice",
    "extension_length": "change the length of extensions on the page of extensions",
    "adoption": "change who may adopt on the page Trust",
    "adoption_until": "change who may adopt on the page Trust",
}


class Span(NamedTuple):
    """What a number may be, both ends allowed."""

    low: float
    high: float


SPANS = {
    "extension_quarantine_days": Span(0, 3650),
    "international_calls_per_day": Span(0, 10_000),
    "outbound_at_once": Span(1, 1000),
    "outbound_per_line": Span(1, 100),
    "outbound_per_hour": Span(1, 1000),
    "keep_calls_days": Span(1, 3650),
    "keep_requests_days": Span(1, 3650),
    "max_calls": Span(2, 1000),
}


def _name(value: str, _numbers: Collection[str]) -> str:
    found = " ".join(value.split())
    if not found or len(found) > MAX_NAME or not found.isprintable():
        raise ValueError(f"Give a name of at most {MAX_NAME} letters.")
    return found


def _main_number(value: str, numbers: Collection[str]) -> str:
    found = classify(value, "software", Plan())
    if found.kind != "outbound":
        raise ValueError("Give a telephone number with its area code, as (415) 555-0100.")
    if numbers and found.number not in numbers:
        raise ValueError("This is none of the practice's numbers: choose one of them, or import it first.")
    return found.number


def _zone(value: str, _numbers: Collection[str]) -> str:
    if value not in available_timezones():
        raise ValueError("Choose a time zone from the list, as America/Chicago.")
    return value


def _hours(value: str, _numbers: Collection[str]) -> str:
    if not value.strip():
        return ""
    found = re.fullmatch(r"\s*(\d{1,2}:\d\d)\s*(?:-|\u2013|to)\s*(\d{1,2}:\d\d)\s*", value)
    try:
        first, last = (time.fromisoformat(each.zfill(5)) for each in (found.groups() if found else ()))
    except ValueError:
        first = last = time()
    if first == last:
        raise ValueError("Give two different times of day with a hyphen between them, as 22:00-06:00.")
    return f"{first:%H:%M}-{last:%H:%M}"


def _networks(value: tuple[str, ...], _numbers: Collection[str]) -> tuple[str, ...]:
    found = []
    for each in value:
        try:
            found.append(str(ipaddress.ip_network(each, strict=False)))
        except ValueError:
            raise ValueError(f"{each} is no network: write it as 192.168.1.0/24.") from None
    return tuple(dict.fromkeys(found))


def _routers(value: tuple[str, ...], _numbers: Collection[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(router(each) for each in value))


def _services(value: tuple[str, ...], _numbers: Collection[str]) -> tuple[str, ...]:
    if strange := sorted(set(value) - SERVICES):
        raise ValueError(f"{strange[0]} cannot be allowed: it is one of {', '.join(sorted(SERVICES))}.")
    return tuple(sorted(set(value)))


_CHECKS: dict[str, Callable[[Any, Collection[str]], Any]] = {
    "name": _name,
    "main_number": _main_number,
    "time_zone": _zone,
    "outbound_closed": _hours,
    "phone_networks": _networks,
    "location_askers": _networks,
    "routers": _routers,
    "services": _services,
}


def checked(practice: Practice, values: Mapping[str, Any], numbers: Collection[str]) -> Practice:
    """`practice` with `values`, each as it is kept; `numbers`: the practice's, E.164.

    Raises Invalid with a sentence for every field that cannot be so.
    """
    errors: dict[str, str] = {}
    for name, value in values.items():
        if name not in Practice.__struct_fields__ or name in ELSEWHERE:
            errors[name] = f"{ELSEWHERE.get(name, f'a practice has no {name}').capitalize()}."
            continue
        try:
            practice = _with(practice, name, value, numbers)
        except (ValueError, UsageError) as error:
            errors[name] = str(error)
    if errors:
        raise Invalid(errors)
    return practice


def _with(practice: Practice, name: str, value: Any, numbers: Collection[str]) -> Practice:
    """The practice with one more value. Raises ValueError."""
    try:
        body = {**msgspec.to_builtins(practice), name: value}
        kept = getattr(msgspec.convert(body, Practice), name)
    except msgspec.ValidationError:
        raise ValueError(_TAKES.get(type(getattr(practice, name)), "This cannot be chosen.")) from None
    if name in SPANS and not SPANS[name].low <= kept <= SPANS[name].high:
        raise ValueError(f"It is {SPANS[name].low:g} to {SPANS[name].high:g}.")
    if name in _CHECKS:
        kept = _CHECKS[name](kept, numbers)
    return msgspec.structs.replace(practice, **{name: kept})


_TAKES: dict[type, str] = {
    int: "Give a whole number.",
    float: "Give a number.",
    bool: "It is yes or no.",
    tuple: "Give a list.",
}


def held(change: Change) -> tuple[Practice, int]:
    """The practice and its revision. Raises OperatorError before there is one."""
    found = change.get(Practice, "practice")
    if found is None:
        raise OperatorError("there is no practice yet", "set up the practice first")
    return found


def change(
    inventory: Inventory, values: Mapping[str, Any], who: str, revision: int | None = None
) -> Practice:
    """Change what `values` names. `revision`: that of the practice that was looked at, None: any.

    Raises Invalid, Conflict, or OperatorError before there is a practice; nothing is changed then.
    """
    with inventory.change(who) as change:
        practice = checked(held(change)[0], values, {each.id for each in change.all(Number)})
        change.put(practice, revision)
    return practice
