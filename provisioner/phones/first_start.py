"""The first start of an appliance: how far it has come, the numbers that people type, and who rings at first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from provisioner.errors import OperatorError
from provisioner.phones.bulk import e164
from provisioner.store.records import Number, Phone, Practice, Provider, RingGroup, Setup, Snapshot

if TYPE_CHECKING:
    from provisioner.store.inventory import Change, Inventory

STEPS = ("account", "practice", "network", "trunk", "numbers", "place", "phones", "emergency")
UNNAMED = "New practice"  # what the inventory calls it until somebody says how it is called
EVERYONE = "everyone"  # the ring group of the main number, until somebody says otherwise
MAX_LABEL = 40
_LEADING = re.compile(r"\+?[\d\s().\-/\u2010-\u2015]{7,}")


class Typed(NamedTuple):
    """A number as it was typed, with the words behind it."""

    number: str
    label: str


def held(snapshot: Snapshot) -> Setup:
    """How far the first start is."""
    return snapshot.setups.get("setup") or Setup(id="setup")


def pending(snapshot: Snapshot) -> bool:
    """Whether the appliance is still to be set up: nobody ended that, and nothing is there."""
    setup = snapshot.setups.get("setup")
    if setup:
        return not setup.done
    practice = snapshot.practice
    return practice.name == UNNAMED and not practice.main_number and not snapshot.phones


def current(snapshot: Snapshot) -> str:
    """The step to go on with."""
    step = held(snapshot).step
    return step if step in STEPS else STEPS[0]


def reached(inventory: Inventory, step: str, who: str) -> None:
    """Note that somebody came as far as `step`, so that a closed browser loses nothing."""
    with inventory.change(who) as change:
        setup = _setup(change)
        furthest = max(STEPS.index(step), STEPS.index(setup.step) if setup.step in STEPS else 0)
        change.put(replace(setup, step=STEPS[furthest]))


def begin(inventory: Inventory, who: str) -> None:
    """Make the practice, where `provisioner run` has not."""
    with inventory.change(who) as change:
        if change.get(Practice, "practice") is None:
            change.put(Practice(id="practice", name=UNNAMED, main_number=""))


def finish(inventory: Inventory, who: str, now: float) -> None:
    """End the first start, whatever of it was done."""
    with inventory.change(who) as change:
        setup = _setup(change)
        change.put(replace(setup, done=setup.done or now))


def settle_country(inventory: Inventory, country: str, who: str) -> None:
    """Note in which country addresses are typed. Raises OperatorError for one that is not known."""
    if country not in ("US", "CA"):
        raise OperatorError("there is no such country here", "choose the United States or Canada")
    with inventory.change(who) as change:
        change.put(replace(_setup(change), country="CA" if country == "CA" else "US"))


def _setup(change: Change) -> Setup:
    found = change.get(Setup, "setup")
    return found[0] if found else Setup(id="setup")


def read_numbers(text: str) -> tuple[list[Typed], list[str]]:
    """Numbers as people type or paste them, and the lines that hold none.

    One a line, with or without words behind it; or several in a line with commas between.
    """
    found: dict[str, Typed] = {}
    wrong = []
    for line in (line.strip() for line in text.splitlines()):
        parts = [part.strip() for part in re.split(r"[,;\t]", line) if part.strip()]
        numbers = [e164(part) for part in parts]
        if len(parts) > 1 and all(numbers):
            found.update({number: Typed(number, "") for number in numbers if number not in found})
        elif parts:
            typed = _typed(line)
            if typed is None:
                wrong.append(line)
            else:
                found[typed.number] = typed
    return list(found.values()), wrong


def _typed(line: str) -> Typed | None:
    match = _LEADING.match(line)
    if match is None:
        return None
    number = e164(re.sub(r"[\u2010-\u2015]", "-", match[0].rstrip(" -/(")))
    label = " ".join(line[match.end() :].strip(" ,;:\t-").split())[:MAX_LABEL]
    return Typed(number, label) if number else None


def add_numbers(inventory: Inventory, typed: list[Typed], provider: str, who: str) -> list[Number]:
    """Make numbers of the practice of them; those that it has keep all but an empty label. Raises OperatorError."""
    made = []
    with inventory.change(who) as change:
        if provider and change.get(Provider, provider) is None:
            raise OperatorError(f"there is no provider {provider}", "add it first")
        for each in typed:
            known = change.get(Number, each.number)
            number = known[0] if known else Number(id=each.number, label="", provider=provider)
            number = replace(number, label=each.label or number.label or each.number)
            change.put(number)
            made.append(number)
    return made


def choose_main(inventory: Inventory, number: str, who: str) -> None:
    """Make it the main number; leads it nowhere yet, it rings every phone that is adopted. Raises OperatorError."""
    with inventory.change(who) as change:
        found, practice = change.get(Number, number), change.get(Practice, "practice")
        if found is None or practice is None:
            raise OperatorError(f"{number} is none of this practice's numbers", "add it first")
        change.put(replace(practice[0], main_number=number))
        if not found[0].extension and not found[0].ring_group and change.get(RingGroup, EVERYONE) is None:
            members = tuple(line.extension for phone in change.all(Phone) for line in phone.lines[:1])
            change.put(RingGroup(id=EVERYONE, name="Everyone", members=members))
            change.put(replace(found[0], ring_group=EVERYONE))


def join_everyone(inventory: Inventory, extension: str, who: str) -> None:
    """Let a new phone ring with the others for the main number, where there is such a group."""
    with inventory.change(who) as change:
        group = change.get(RingGroup, EVERYONE)
        if group and extension not in {member.target for member in group[0].each}:
            change.put(replace(group[0], members=(*group[0].members, extension)))
