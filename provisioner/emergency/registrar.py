"""Carries out what the registrations say is due: one step at a time, stored before and after, at a provider's pace.

It runs beside the pages, in the web process, in a thread of its own; no call waits for it, and it for no call but when
a change would leave a number without an address. Stopped anywhere and started again, it goes on from the records.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace

from provisioner import ipc
from provisioner.emergency import registration
from provisioner.emergency.providers import wire
from provisioner.emergency.providers.bandwidth import Bandwidth
from provisioner.emergency.providers.client import Client
from provisioner.emergency.providers.core import Control, Core
from provisioner.emergency.providers.dash import Dash
from provisioner.emergency.providers.telnyx import Telnyx
from provisioner.emergency.providers.twilio import Twilio
from provisioner.emergency.providers.wire import Account, Adapter, Send
from provisioner.emergency.registration import Context, Event
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.logs import mask
from provisioner.paths import StateDir
from provisioner.store.inventory import Change, Inventory
from provisioner.store.records import Number, Practice, Provider, ProviderSecret, Registration, Snapshot

WHO = "registrar"  # in the audit log
LOOK = 1.0  # seconds between looks at the inventory's revision
WATCH = 10.0  # seconds between looks whether a provider that forgets has restarted
BROKEN_STORE = 5.0  # seconds before the next try when the store cannot be used
QUIET = 5.0  # seconds that a provider is left alone when it is away or was asked too often, and names no time
ADAPTERS: dict[str, Callable[[Account], Adapter]] = {
    "twilio": Twilio,
    "telnyx": Telnyx,
    "bandwidth": Bandwidth,
    "bandwidth-dash": Dash,
    "core": Core,
}

_log = logging.getLogger(__name__)


class Connection(NamedTuple):
    """An adapter with the way to its provider. `secrets`: what no sentence may hold.

    `uptime`: seconds since a provider started that forgets all when it restarts; None: it forgets nothing.
    """

    adapter: Adapter
    send: Send
    secrets: tuple[str, ...] = ()
    uptime: Callable[[], float] | None = None


class Pace:
    """Keeps requests to one provider so many a second apart. `clock`: seconds; `sleep` waits."""

    def __init__(
        self, send: Send, per_second: float, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._send, self._apart = send, 1.0 / per_second
        self._clock, self._sleep = clock, sleep
        self._next = 0.0

    def send(self, request: wire.Request) -> wire.Reply:
        """As the `send` that it was made with, later if need be."""
        now = self._clock()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._apart
        return self._send(request)


def connect(
    provider: Provider,
    secret: ProviderSecret | None,
    state: StateDir,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Connection:
    """The adapter of a provider's account. Raises OperatorError for a URL that it must not have."""
    user, password = (secret.user, secret.password) if secret else ("", "")
    adapter = ADAPTERS[provider.api](Account(provider.account, user, password))
    if provider.api == "core":
        control = Control(lambda call, args: ipc.ask(state.socket("core"), call, args))
        return Connection(adapter, control.send, (), control.uptime)
    send = Client(provider.url or adapter.url).send
    secrets = (password, f"{user}:{password}")
    return Connection(adapter, Pace(send, adapter.abilities.per_second, clock, sleep).send, secrets)


def numbers_of(connection: Connection) -> list[wire.Owned]:
    """All numbers of the account. Raises OperatorError."""
    try:
        return wire.drive(connection.adapter.numbers(), connection.send)
    except wire.WireError as error:
        raise OperatorError(_scrubbed(str(error), connection), "then try again") from None


class Registrar:
    """One for the appliance. `busy`: whether a call is up that a number without an address would endanger."""

    def __init__(
        self,
        inventory: Inventory,
        connect: Callable[[Provider, ProviderSecret | None], Connection],
        now: Callable[[], float] = time.time,
        rng: Random | None = None,
        busy: Callable[[str], bool] = lambda _number: False,
    ) -> None:
        self._inventory = inventory
        self._connect = connect
        self._now = now
        self._rng = rng or Random()  # noqa: S311 - spreads load
        self._busy = busy
        self._connections: dict[str, tuple[object, Connection]] = {}
        self._quiet: dict[str, float] = {}  # until when a provider is not asked, for whatever number
        self._revision = -1
        self._held: list[Registration] = []  # at that revision
        self._registered: set[str] = set()
        self._watched = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`."""
        told = ""
        while not stop.is_set():
            try:
                pause, told = 0.0 if self.turn() else LOOK, ""
            except Exception as error:  # this thread is the only one that keeps addresses registered
                pause = BROKEN_STORE
                if (words := _unexpected(error)) != told:
                    told = words
                    _log.error("emergency addresses wait: %s", mask(told))
            stop.wait(pause)

    def turn(self) -> int:
        """Bring the records up to date with the inventory, and do one step of each number that is due; how many."""
        if self._inventory.snapshot_revision() != self._revision:
            self._synchronise()
            self._held = self._inventory.all(Registration)
            self._registered = {
                each.id for each in self._inventory.all(Number) if each.address_status == "registered"
            }
        now = self._now()
        due = [held for held in self._held if self._is_due(held, now)]
        for held in sorted(due, key=lambda held: (held.due, held.id)):
            if self._is_due(held, now):  # one before it may have been told to wait
                self._step(held.id)
        if not due:
            self._age(now)
        if abs(now - self._watched) >= WATCH:
            self._watched = now
            self._watch(now)
        return len(due)

    def _is_due(self, held: Registration, now: float) -> bool:
        return bool(held.step) and held.due <= now and self._quiet.get(held.provider, 0.0) <= now

    # what the inventory wants

    def _synchronise(self) -> None:
        snapshot = self._inventory.snapshot()
        fresh = {held.id: held for held in self._fresh(snapshot)}
        gone = [name for name in snapshot.registrations if name not in fresh]
        changed = [held for name, held in fresh.items() if held != snapshot.registrations.get(name)]
        self._revision = snapshot.revision
        if gone or changed:
            with self._inventory.change(who=WHO) as change:
                for name in gone:
                    change.delete(Registration, name)
                for held in changed:
                    self._put(change, held)
                self._revision = change.revision

    def _fresh(self, snapshot: Snapshot) -> list[Registration]:
        """The registration that each number with a provider should have now."""
        now, found = self._now(), []
        for number in snapshot.numbers.values():
            provider = snapshot.providers.get(number.provider)
            if provider is None:
                continue
            place = snapshot.place(number.location)
            wanted = registration.wanted(number, place.civic if place else None, snapshot.practice.name)
            held = snapshot.registrations.get(number.id)
            if held is None or held.provider != provider.id:
                fresh = registration.begin(number.id, provider.id, wanted, now)
            else:
                fresh = registration.want(held, wanted, now)
            if held is None or held.wanted != fresh.wanted:
                fresh = registration.judged(fresh, _abilities(provider), now)
            found.append(fresh)
        return found

    # one step

    def _step(self, number: str) -> None:
        stored = self._inventory.get(Registration, number)
        held = stored[0] if stored else None
        provider = self._inventory.get(Provider, held.provider) if held else None
        if held is None or provider is None:
            return
        if held.sent:
            reason = "The appliance was stopped in the middle of a change"
            self._apply(number, registration.Doubtful(reason), provider[0])
            return
        if registration.opens_gap(held) and self._busy(number):
            self._store(registration.postponed(held, self._now()))
            return
        sending = registration.sending(held)
        if sending != held:
            self._store(sending)
        self._apply(number, self._perform(sending), provider[0])

    def _connection(self, name: str) -> Connection | None:
        """The connection to a provider, made anew when its record or secret changed."""
        provider, secret = self._inventory.get(Provider, name), self._inventory.get(ProviderSecret, name)
        if provider is None:
            return None
        known = (provider, secret)
        kept = self._connections.get(name)
        if kept is None or kept[0] != known:
            kept = known, self._connect(provider[0], secret[0] if secret else None)
            self._connections[name] = kept
        return kept[1]

    def _perform(self, held: Registration) -> Event:
        """Do the step that is due, and say what came of it."""
        try:
            connection = self._connection(held.provider)
            assert connection is not None
        except ProvisionerError as error:
            return registration.Refused(str(error), "account")
        writes = held.step in registration.WRITES
        try:
            return _do(held, connection)
        except wire.Denied as error:
            return registration.Refused(_scrubbed(str(error), connection), error.about)
        except wire.Forgotten as error:
            return registration.Forgotten(_scrubbed(str(error), connection))
        except (wire.Unreachable, wire.Throttled) as error:
            self._quiet[held.provider] = self._now() + (error.after or QUIET)
            return registration.Trouble(_scrubbed(str(error), connection), error.after)
        except wire.WireError as error:
            kind = registration.Doubtful if writes else registration.Trouble
            return kind(_scrubbed(str(error), connection), error.after)
        except Exception as error:  # an answer that nobody thought of: that number's trouble alone
            kind = registration.Doubtful if writes else registration.Trouble
            return kind(f"The provider's answer could not be used ({_unexpected(error)})")

    def _apply(self, number: str, event: Event, provider: Provider) -> None:
        with self._inventory.change(who=WHO) as change:
            stored = change.get(Registration, number)
            if stored is None:
                return
            context = Context(self._now(), _abilities(provider), self._night())
            held = registration.on(stored[0], event, context)
            self._put(change, held)
        if held.state != stored[0].state:
            _log.info("the address of %s: %s, then %s", mask(number), stored[0].state, held.state)

    def _store(self, held: Registration) -> None:
        with self._inventory.change(who=WHO) as change:
            self._put(change, held)

    def _put(self, change: Change, held: Registration) -> None:
        """Write the record, and what the number's own says of it, in one transaction."""
        change.put(held)
        number = change.get(Number, held.id)
        if number and (held.reading or held.wanted is None or held.error):
            change.put(replace(number[0], address_status=registration.status(held, self._now())))

    def _age(self, now: float) -> None:
        """What was read too long ago is registered no more."""
        for held in self._held:
            known = held.id in self._registered and held.reading
            if known and registration.status(held, now) == "stale":
                self._store(held)

    def _watch(self, now: float) -> None:
        """What was read before a provider that forgets restarted is due at once."""
        for provider in self._inventory.all(Provider):
            try:
                connection = self._connection(provider.id)
                if connection is None or connection.uptime is None:
                    continue
                started = now - connection.uptime()
            except ProvisionerError:
                continue  # it is away; what it says when it is back will tell
            for held in self._inventory.all(Registration):
                fresh = registration.restarted(held, started, now)
                if held.provider == provider.id and fresh != held:
                    self._store(fresh)

    def _night(self) -> float:
        now, practice = self._now(), self._inventory.get(Practice, "practice")
        try:
            zone = ZoneInfo(practice[0].time_zone if practice else "UTC")
            offset = datetime.fromtimestamp(now, zone).utcoffset()
        except (ZoneInfoNotFoundError, ValueError):
            offset = None
        return registration.night(now, offset.total_seconds() if offset else 0.0, self._rng.random())


def _abilities(provider: Provider) -> registration.Abilities:
    return ADAPTERS[provider.api](Account("", "", "")).abilities


def _unexpected(error: Exception) -> str:
    """An error in words: of one that is not ours only its kind, for it may hold what a provider said."""
    return str(error) if isinstance(error, ProvisionerError) else type(error).__name__


def _do(held: Registration, connection: Connection) -> Event:
    adapter, send = connection.adapter, connection.send
    address = held.accepted or held.wanted
    if held.step == "read" or (address is None and held.step not in ("release", "discard")):
        return wire.drive(adapter.read(held.id, held), send)
    if held.step == "release":
        return registration.Written(wire.drive(adapter.release(held.id, held), send))
    if held.step == "discard":
        wire.drive(adapter.discard(held.old_ids[0]), send)
        return registration.Written()
    assert address is not None
    if held.step == "validate":
        return wire.drive(adapter.validate(held.id, address), send)
    if held.step == "prepare":
        return wire.drive(adapter.prepare(held.id, address, held.as_typed), send)
    return registration.Written(wire.drive(adapter.assign(held.id, held), send))


def _scrubbed(reason: str, connection: Connection) -> str:
    """A sentence without the credentials, should the provider have said them back."""
    for secret in connection.secrets:
        for form in (secret, wire.encoded(secret)) if secret else ():
            reason = reason.replace(form, "…")
    return reason


def _idle(held: Registration, event: Event) -> tuple[str, str] | None:
    """Why what a person decided would change nothing, and what to do; None when it does something."""
    if isinstance(event, registration.Approved) and not 0 <= event.choice < len(held.choices):
        return "the provider offers no such address", "look at its choices again"
    if isinstance(event, registration.Removed) and held.wanted:
        return f"{held.id} has a location, whose address is registered", "take the location from it first"
    if isinstance(event, registration.Insisted) and not held.wanted:
        return f"{held.id} has no location, so there is no address to register", "give it one"
    return None


def act(inventory: Inventory, number: str, event: Event, who: str, now: float) -> Registration:
    """What a person decided about a number's address. Raises OperatorError when there is nothing to decide."""
    with inventory.change(who=who) as change:
        stored, record = change.get(Registration, number), change.get(Number, number)
        provider = change.get(Provider, stored[0].provider) if stored else None
        if stored is None or record is None or provider is None:
            raise OperatorError(
                f"{number} has no provider", "import it from its provider, or name one for it"
            )
        if problem := _idle(stored[0], event):
            raise OperatorError(*problem)
        held = registration.on(stored[0], event, Context(now, _abilities(provider[0]), now))
        held = replace(held, sent=stored[0].sent)
        change.put(held)
        change.put(replace(record[0], address_status=registration.status(held, now)))
    return held
