"""The life of one emergency address at one provider. Pure: events and a time in, the next record out.

The record says what is to be done next (`step`, at `due`); whoever does it tells what came of it as an event. A write
is noted as `sent` before it is made, so that a start after a crash knows that its end is not known, and reads first.
`registered` comes from a reading and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from provisioner.emergency import postal
from provisioner.store.records import AddressStatus, Number, Postal, Reading, Registration, Step

POLL = (
    2.0,
    5.0,
    10.0,
    20.0,
    30.0,
    60.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
)  # seconds between looks at what is pending
RETRY = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)  # seconds after trouble
AFTER_DOUBT = 2.0  # seconds before the look at a write whose end is not known
SETTLE = 120.0  # seconds in which a provider may not yet show what it took
HUMAN_AFTER = 86_400.0  # seconds that an order may be pending before a person must ask the provider
TRIES = 4  # writes that came to nothing before a person must ask the provider
DISCARDS = 3  # tries to delete an address that is not needed
FAILED_AFTER = 5  # troubles in a row before it is called failed
STALE = 3 * 86_400.0  # seconds after which a reading is not believed: three nights were missed
BUSY = 30.0  # seconds before a gap is opened, when a call is up
WRITES: frozenset[Step] = frozenset({"prepare", "assign", "release", "discard"})


class Abilities(NamedTuple):
    """What a provider can do. `validates`: an address alone is judged; `suggests`: it may answer with another.

    `swaps`: a new address takes the old one's place without a moment without any. `asynchronous`: it says yes before
    it has done it. `test_number`: what reads the address back. `street`, `inside`, `name`: the longest lines, in
    characters. `per_second`: requests that it may be sent. `discards`: addresses that are not needed can be deleted.
    """

    validates: bool
    suggests: bool
    candidates: bool
    swaps: bool
    asynchronous: bool
    discards: bool
    needs_name: bool
    needs_callback: bool
    test_number: str
    street: int
    inside: int
    name: int
    per_second: float


# events


class Read(NamedTuple):
    """The provider was asked for a number, and answered."""

    status: Literal["registered", "absent", "pending", "removing", "failed"]
    address: Postal | None = None
    address_id: str = ""
    detail: str = ""


class Valid(NamedTuple):
    """The provider takes the address as it is."""


class Corrected(NamedTuple):
    """The provider would have it otherwise; a person chooses."""

    choices: tuple[Postal, ...]


class Prepared(NamedTuple):
    """The provider holds the address as `address_id`, in the form `address`."""

    address_id: str
    address: Postal


class Written(NamedTuple):
    """The provider took an assignment, a release or a deletion; `order` is what it calls it, if it does."""

    order: str = ""


class Doubtful(NamedTuple):
    """A write was sent, and what became of it is not known. `after`: seconds that the provider asks for."""

    reason: str
    after: float = 0.0


class Trouble(NamedTuple):
    """Nothing was done; it may go well later. `after`: seconds that the provider asks for."""

    reason: str
    after: float = 0.0


class Refused(NamedTuple):
    """The provider will not, and asking again does not help. `about`: whose fault it is."""

    reason: str
    about: Literal["address", "account", "number"]


class Forgotten(NamedTuple):
    """The provider does not know the address that it took before."""

    reason: str


class Approved(NamedTuple):
    """A person took one of the provider's choices."""

    choice: int


class Insisted(NamedTuple):
    """A person wants the address as it was typed."""


class Removed(NamedTuple):
    """A person wants the number to have no address at the provider any more; only one without a location may."""


class Asked(NamedTuple):
    """A person wants all of it looked at again, now."""


Event = (
    Read
    | Valid
    | Corrected
    | Prepared
    | Written
    | Doubtful
    | Trouble
    | Refused
    | Forgotten
    | Approved
    | Insisted
    | Removed
    | Asked
)
_ENDS = (Prepared, Written, Doubtful, Trouble, Refused, Forgotten)


class Context(NamedTuple):
    """What an event is judged by. `night`: when a registered address is looked at again, seconds since 1970."""

    now: float
    can: Abilities
    night: float


def begin(number: str, provider: str, wanted: Postal | None, now: float) -> Registration:
    """The record of a number of which nothing is known yet."""
    return Registration(id=number, provider=provider, wanted=wanted, since=now, due=now)


def want(held: Registration, wanted: Postal | None, now: float) -> Registration:
    """Another address is wanted: the provider is asked what it has, and the rest follows."""
    if wanted == held.wanted or postal.same(wanted, held.wanted):
        return replace(held, wanted=wanted)
    old = (*held.old_ids, held.address_id) if held.address_id else held.old_ids
    fresh = replace(
        held, wanted=wanted, accepted=None, choices=(), error="", tries=0, attempts=0, written=0.0,
        address_id="", old_ids=old, as_typed=False,
    )  # fmt: skip
    state = "changing" if held.state in ("registered", "changing") else "draft"
    return _go(fresh, state, "read", now, now)


def sending(held: Registration) -> Registration:
    """To be stored before a write is made."""
    return replace(held, sent=held.step) if held.step in WRITES else held


def postponed(held: Registration, now: float) -> Registration:
    """The step waits, since a call is up."""
    return replace(held, due=now + BUSY)


def restarted(held: Registration, started: float, now: float) -> Registration:
    """The provider, which forgets when it restarts, has run since `started`: a reading of before is made again."""
    old = held.reading is not None and held.reading.at < started
    return replace(held, due=now) if old and held.step == "read" and held.due > now else held


def opens_gap(held: Registration) -> bool:
    """Whether the next step takes the number's address away before it gets another."""
    return held.step == "release" and held.wanted is not None


def status(held: Registration, now: float) -> AddressStatus:
    """What the number's record says of it."""
    if held.wanted is None:
        return "unregistered"
    if held.state == "registered":
        return "registered" if held.reading and now - held.reading.at < STALE else "stale"
    return _STATUS[held.state]


def night(now: float, offset: float, random: float) -> float:
    """A moment between one and five o'clock of the next night; `offset`: seconds that local time is ahead of UTC.

    `random` is from 0 to 1: not all appliances ask in the same second.
    """
    local = now + offset
    midnight = local - local % 86_400 + 86_400
    return midnight + 3600 + random * 4 * 3600 - offset


def on(held: Registration, event: Event, context: Context) -> Registration:
    """The record after an event. The end of a write is judged as that write's, whatever a person did meanwhile."""
    step = held.sent if held.sent and isinstance(event, _ENDS) else held.step
    return _ON[type(event)](replace(held, sent="", step=step), event, context)


_STATUS: dict[str, AddressStatus] = {
    "draft": "pending",
    "validating": "pending",
    "submitting": "pending",
    "pending": "pending",
    "changing": "pending",
    "removing": "pending",
    "needs_choice": "correction",
    "corrected": "correction",
    "invalid": "failed",
    "failed": "failed",
    "needs_provider_human": "failed",
    "unregistered": "unregistered",
}


def _go(held: Registration, state: Any, step: Step, due: float, now: float, error: str = "") -> Registration:
    moved = state != held.state
    return replace(
        held,
        state=state,
        since=now if moved else held.since,
        step=step,
        due=due,
        error=error,
        attempts=0 if moved else held.attempts,
    )


def _poll(held: Registration, state: Any, at: Context, error: str = "") -> Registration:
    """Look again, a little later each time; after a day a person must ask the provider."""
    pause = POLL[min(held.attempts if held.state == state else 0, len(POLL) - 1)]
    late = held.state == state and at.now - held.since > HUMAN_AFTER
    if late or held.state == "needs_provider_human":
        reason = error or "The provider has been working on this for more than a day"
        return _go(held, "needs_provider_human", "read", at.now + RETRY[-1], at.now, reason)
    polled = _go(held, state, "read", at.now + pause, at.now, error)
    return replace(polled, attempts=polled.attempts + 1)


# what is to be done, after a reading


def _read(held: Registration, event: Read, at: Context) -> Registration:
    reading = Reading(
        at=at.now,
        status=event.status,
        address=event.address,
        address_id=event.address_id,
        detail=event.detail,
    )
    before, held = held, _gap(replace(held, reading=reading), held.reading, at)
    if event.address_id and event.address is None and event.address_id == held.address_id:
        held = replace(held, address_id="")  # it is gone at the provider
    if held.wanted is None:
        return _unwanted(held, event, at)
    match = postal.same(event.address, held.accepted or held.wanted)
    if event.status == "registered" and match:
        return _registered(held, at)
    if event.status == "pending":
        return _poll(held, "pending", at)
    if event.status == "removing":
        return _poll(held, "changing", at)
    if event.status == "registered" and before.state == "registered":
        reason = "Somebody changed the address at the provider"
        old = (*held.old_ids, held.address_id) if held.address_id else held.old_ids
        shown = replace(held, choices=(event.address,) if event.address else (), address_id="", old_ids=old)
        return _go(shown, "corrected", "", 0.0, at.now, reason)
    if held.written and at.now - held.written < SETTLE and event.status != "failed":
        return _poll(held, "pending", at)
    if held.tries >= TRIES:
        reason = event.detail or "The provider took the address several times, and does not show it"
        return _go(held, "needs_provider_human", "read", at.now + RETRY[-1], at.now, reason)
    if held.state in ("corrected", "needs_choice", "invalid"):
        return replace(held, step="")  # only a person can go on
    return _write(held, event, at)


def _gap(held: Registration, last: Reading | None, at: Context) -> Registration:
    """Measure how long the number has no address, which it had before. A swap that is pending is no gap."""
    found = held.reading.status if held.reading else "absent"
    if found == "registered" or (found == "pending" and at.can.swaps and not held.gap_since):
        seconds = at.now - held.gap_since if held.gap_since else held.gap_seconds
        return replace(held, gap_since=0.0, gap_seconds=seconds)
    had = last is not None and last.status == "registered"
    return replace(held, gap_since=held.gap_since or at.now) if had else held


def _unwanted(held: Registration, event: Read, at: Context) -> Registration:
    """Without a location nothing is taken away from a number, unless somebody said so."""
    if held.state != "removing":
        return _go(held, "unregistered" if event.status == "absent" else "draft", "", 0.0, at.now)
    if event.status == "absent":
        return _tidy(_go(replace(held, gap_since=0.0), "unregistered", "", 0.0, at.now), at)
    if event.status in ("pending", "removing") or (held.written and at.now - held.written < SETTLE):
        return _poll(held, "removing", at)
    return _go(held, "removing", "release", at.now, at.now)


def _registered(held: Registration, at: Context) -> Registration:
    assert held.reading is not None
    known = held.address_id or (held.reading.address_id if held.accepted else "")
    accepted = held.accepted or held.wanted
    done = replace(
        held, accepted=accepted, address_id=known, choices=(), written=0.0, tries=0, attempts=0, order=""
    )
    return _tidy(_go(done, "registered", "read", at.night, at.now), at)


def _tidy(held: Registration, at: Context) -> Registration:
    """Delete, one at a time, the addresses that we made and that no number needs any more."""
    left = tuple(old for old in held.old_ids if old != held.address_id)
    if not left or not at.can.discards:
        return replace(held, old_ids=())
    return replace(held, old_ids=left, step="discard", due=at.now)


def _write(held: Registration, event: Read, at: Context) -> Registration:
    """The next of validate, prepare, release, assign."""
    now, had = at.now, event.status == "registered"
    state = "changing" if had or held.state == "changing" else "submitting"
    if held.state == "failed":
        state = "failed"  # until a write goes well
    if held.accepted is None:
        if at.can.validates:
            return _go(
                held, "validating" if state == "submitting" else state, "validate", now, now, held.error
            )
        held = replace(held, accepted=held.wanted)
    if not held.address_id:
        return _go(held, state, "prepare", now, now, held.error)
    later = now + RETRY[min(held.tries, len(RETRY)) - 1] if event.status == "failed" and held.tries else now
    if not at.can.swaps and event.status in ("registered", "failed"):
        return _go(held, "changing", "release", later, now, event.detail)
    return _go(held, state, "assign", later, now, event.detail if event.status == "failed" else held.error)


# ends of the other steps


def _valid(held: Registration, _event: Valid, at: Context) -> Registration:
    return _go(replace(held, accepted=held.wanted), held.state, "prepare", at.now, at.now)


def _corrected(held: Registration, event: Corrected, at: Context) -> Registration:
    alike = [choice for choice in event.choices if postal.same(choice, held.wanted)]
    if alike:
        return _go(replace(held, accepted=alike[0]), held.state, "prepare", at.now, at.now)
    state = "corrected" if len(event.choices) == 1 else "needs_choice"
    return _go(replace(held, choices=event.choices), state, "", 0.0, at.now)


def _prepared(held: Registration, event: Prepared, at: Context) -> Registration:
    known = replace(held, address_id=event.address_id)
    if postal.same(event.address, held.accepted or held.wanted):
        return _go(replace(known, accepted=held.accepted or held.wanted), held.state, "read", at.now, at.now)
    reason = "The provider takes the address in this form only" if held.as_typed else ""
    return _go(replace(known, choices=(event.address,)), "corrected", "", 0.0, at.now, reason)


def _written(held: Registration, event: Written, at: Context) -> Registration:
    if held.step == "discard":
        return _after_discard(held, at)
    if held.step == "release":
        state = "changing" if held.wanted else "removing"
        seen = 0.0 if held.wanted else at.now
        return _go(replace(held, order=event.order, written=seen), state, "read", at.now, at.now)
    taken = replace(held, order=event.order, written=at.now, tries=held.tries + 1)
    return _go(taken, "pending", "read", at.now, at.now)


def _after_discard(held: Registration, at: Context) -> Registration:
    left = replace(held, old_ids=held.old_ids[1:], error="")
    if left.old_ids:
        return replace(left, due=at.now)
    registered = held.state == "registered"
    return replace(left, step="read" if registered else "", due=at.night if registered else 0.0)


def _undiscarded(held: Registration, at: Context) -> Registration:
    """Deleting what is not there any more does no harm; after some tries it is left to lie."""
    if held.attempts >= DISCARDS:
        return _after_discard(replace(held, attempts=0), at)
    return replace(held, attempts=held.attempts + 1, due=at.now + RETRY[held.attempts])


def _forgotten(held: Registration, event: Forgotten, at: Context) -> Registration:
    again = replace(held, address_id="", tries=held.tries + 1)
    return _go(again, held.state, "read", at.now + RETRY[0], at.now, event.reason)


def _doubtful(held: Registration, event: Doubtful, at: Context) -> Registration:
    if held.step == "discard":
        return _undiscarded(held, at)
    assigned = held.step == "assign"
    held = replace(held, attempts=held.attempts + 1, error=event.reason)
    if assigned:
        held = replace(held, written=at.now, tries=held.tries + 1)
    pause = max(AFTER_DOUBT, event.after, 0.0 if assigned else RETRY[min(held.attempts, len(RETRY)) - 1])
    return _failing(replace(held, step="read", due=at.now + pause), at)


def _trouble(held: Registration, event: Trouble, at: Context) -> Registration:
    if held.step == "discard":
        return _undiscarded(held, at)
    pause = max(event.after, RETRY[min(held.attempts, len(RETRY) - 1)])
    held = replace(held, attempts=held.attempts + 1, error=event.reason, due=at.now + pause)
    return _failing(held if held.step else replace(held, step="read"), at)


def _failing(held: Registration, at: Context) -> Registration:
    """After some troubles in a row it is called failed; what was registered stays so until it is stale."""
    kept = (
        "registered",
        "corrected",
        "needs_choice",
        "invalid",
        "unregistered",
        "needs_provider_human",
        "failed",
    )
    if held.attempts >= FAILED_AFTER and held.state not in kept:
        return replace(held, state="failed", since=at.now)
    return held


def _refused(held: Registration, event: Refused, at: Context) -> Registration:
    if held.step == "discard":
        return _after_discard(held, at)
    if event.about == "address":
        return _go(held, "invalid", "", 0.0, at.now, event.reason)
    pause = RETRY[min(held.attempts + 2, len(RETRY) - 1)]
    if held.state == "registered" and event.about == "account":
        return replace(held, error=event.reason, attempts=held.attempts + 1, due=at.now + pause)
    failed = _go(held, "failed", "read", at.now + pause, at.now, event.reason)
    return replace(failed, attempts=failed.attempts + 1)


# what people do


def _approved(held: Registration, event: Approved, at: Context) -> Registration:
    if not 0 <= event.choice < len(held.choices):
        return held
    chosen = held.choices[event.choice]  # a prepared address is in that form already, and is kept
    taken = replace(held, accepted=chosen, choices=(), tries=0, as_typed=False)
    return _go(taken, "submitting", "read", at.now, at.now)


def _insisted(held: Registration, _event: Insisted, at: Context) -> Registration:
    old = (*held.old_ids, held.address_id) if held.address_id else held.old_ids
    held = replace(held, accepted=held.wanted, choices=(), tries=0, old_ids=old, address_id="", as_typed=True)
    return _go(held, "submitting", "read", at.now, at.now)


def _removed(held: Registration, _event: Removed, at: Context) -> Registration:
    return held if held.wanted else _go(held, "removing", "read", at.now, at.now)


def _asked(held: Registration, _event: Asked, at: Context) -> Registration:
    if held.state in ("corrected", "needs_choice"):
        return held  # a choice is open
    fresh = held.state in ("invalid", "failed", "needs_provider_human")
    held = replace(held, tries=0, attempts=0, accepted=None if held.state == "invalid" else held.accepted)
    return _go(held, "draft" if fresh else held.state, "read", at.now, at.now, held.error)


_ON: dict[type, Callable[[Registration, Any, Context], Registration]] = {
    Read: _read,
    Valid: _valid,
    Corrected: _corrected,
    Prepared: _prepared,
    Written: _written,
    Doubtful: _doubtful,
    Trouble: _trouble,
    Refused: _refused,
    Forgotten: _forgotten,
    Approved: _approved,
    Insisted: _insisted,
    Removed: _removed,
    Asked: _asked,
}


def wanted(number: Number, civic: dict[str, str] | None, name: str) -> Postal | None:
    """The address that a number should be registered with; None when it has no location."""
    return postal.lines(civic, name) if number.location and civic else None


def judged(held: Registration, can: Abilities, now: float) -> Registration:
    """An address that no provider would take is not sent to one."""
    reason = postal.fault(held.wanted, can.street, can.inside) if held.wanted else ""
    return _go(held, "invalid", "", 0.0, now, reason) if reason else held


def decode(body: str) -> Registration:
    """A stored record, as the audit log has it. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(body, type=Registration)
