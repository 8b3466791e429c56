"""Handing out dial-through numbers from the practice's pool, and taking them back."""

from __future__ import annotations

from collections import Counter

from provisioner.dialing.classify import Plan, classify
from provisioner.errors import OperatorError
from provisioner.store.inventory import Inventory
from provisioner.store.records import DialThrough, Number, Practice, Snapshot

SHORTEST, LONGEST = 60.0, 30 * 86_400.0  # seconds that one may be good


def _outside(number: str, what: str) -> str:
    """E.164 of an ordinary number: never an emergency target. Raises OperatorError."""
    found = classify(number, "software", Plan())
    if found.kind != "outbound":
        reason = found.reason or "it is no ordinary telephone number"
        raise OperatorError(f"{what} cannot be used: {reason}", "give a number of ten digits")
    return found.number


def allocate(
    inventory: Inventory,
    phone: str,
    target: str,
    calling: str = "",
    seconds: float = 3600.0,
    once: bool = True,
    *,
    who: str,
    now: float,
    name: str,
) -> DialThrough:
    """Bind a free number of the pool for `seconds` from `now`; `name` becomes its id. Raises OperatorError.

    `calling`: what the target sees, a number of the practice; "" for its main number. What has expired is removed.
    """
    if not SHORTEST <= seconds <= LONGEST:
        raise OperatorError("it is good for a minute to 30 days", "give such a time in seconds")
    phone, target = _outside(phone, "the phone it is dialled from"), _outside(target, "the target")
    with inventory.change(who=who) as change:
        numbers = {number.id: number for number in inventory.all(Number)}
        practice = change.get(Practice, "practice")
        shown = calling or (practice[0].main_number if practice else "")
        if shown not in numbers:
            raise OperatorError("the number to show is none of the practice", "choose one of its numbers")
        if target in numbers:
            raise OperatorError("the target is a number of the practice itself", "dial it directly")
        bound = inventory.all(DialThrough)
        live = [each for each in bound if each.expires > now]
        for each in bound:
            if each not in live:
                change.delete(DialThrough, each.id)
        number = _free(numbers, live, phone)
        made = DialThrough(
            id=name, number=number, phone=phone, target=target, calling=shown, expires=now + seconds, once=once
        )  # fmt: skip
        change.put(made)
    return made


def _free(numbers: dict[str, Number], live: list[DialThrough], phone: str) -> str:
    """The number of the pool with the fewest bindings that this phone has none with."""
    pool = sorted(number.id for number in numbers.values() if number.dial_through)
    if not pool:
        raise OperatorError("no number is set aside for dial-through", "set `dial_through` of a number")
    mine = {each.number for each in live if each.phone == phone}
    uses = Counter(each.number for each in live)
    free = [number for number in pool if number not in mine]
    if not free:
        raise OperatorError(
            "this phone has every number of the pool already", "set one more aside, or remove one"
        )
    return min(free, key=lambda number: (uses[number], number))


def live(snapshot: Snapshot, now: float) -> list[DialThrough]:
    """Those that are good at `now`, the first to end first."""
    return sorted(
        (each for each in snapshot.dial_throughs.values() if each.expires > now),
        key=lambda each: each.expires,
    )


def release(inventory: Inventory, name: str, who: str) -> None:
    """End one. Raises OperatorError when there is none of that id."""
    with inventory.change(who=who) as change:
        if change.get(DialThrough, name) is None:
            raise OperatorError("there is no such dial-through number", "it may have expired; list them")
        change.delete(DialThrough, name)
