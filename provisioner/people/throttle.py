"""How often somebody may try to sign in: growing waits by where tries come from, which never shut an owner out.

A user name alone is never throttled, or anybody could lock its owner out. Tries count for the pair of user and source,
and for the source; a browser that its user signed in with before has a budget of its own (OWASP, "device cookies").
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

from provisioner.store.tries import Failed

MAX_KEYS = 20_000
FORGET = 86_400.0  # seconds after the last failure


class Budget(NamedTuple):
    """So many failures cost nothing; each more doubles the wait, from `first` to `most` seconds."""

    free: int
    first: float
    most: float


BUDGETS = {
    "pair": Budget(free=5, first=2.0, most=900.0),  # one user from one place
    "source": Budget(
        free=20, first=2.0, most=3600.0
    ),  # anybody from one place: a practice's whole network may be one
    "device": Budget(free=10, first=1.0, most=300.0),  # a browser that this user signed in with before
}


class Memory(Protocol):
    """What is remembered when the process is not; `provisioner.store.tries.Tries` is one."""

    def read(self, name: str) -> Failed | None: ...

    def write(self, name: str, failed: Failed | None) -> None: ...


class _Record:
    __slots__ = ("failures", "last", "until")

    def __init__(self, held: Failed | None = None) -> None:
        self.failures, self.last, self.until = held or (0, 0.0, 0.0)

    def set_back(self, now: float) -> None:
        """A clock that went back must not make a wait of years out of one of seconds."""
        ahead = self.last - now
        if ahead > 0:
            self.last, self.until = now, self.until - ahead


def network(address: str) -> str:
    """What counts as one source: an IPv4 address, the /64 of an IPv6 one (a host has all of it)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)


class Throttle:
    """Counts failures. `clock`: seconds since 1970. Safe to use from all threads."""

    def __init__(self, clock: Callable[[], float], memory: Memory | None = None) -> None:
        self._clock = clock
        self._memory = memory
        self._lock = threading.Lock()
        self._records: OrderedDict[tuple[str, ...], _Record] = OrderedDict()

    @staticmethod
    def _keys(user: str, address: str, device: str) -> list[tuple[str, ...]]:
        if device:
            return [("device", user, device)]
        source = network(address)
        return [("pair", user, source), ("source", source)]

    def begin(self, user: str, address: str, device: str = "") -> float:
        """Seconds until the next try is heard; 0: now, and it counts as failed until `good` says otherwise.

        Counted before the password is looked at, so that many tries at once are not all heard.
        """
        with self._lock:
            now = self._clock()
            records = [(key, self._record(key, now)) for key in self._keys(user, address, device)]
            wait = max(record.until - now for _, record in records)
            if wait > 0:
                return wait
            for key, record in records:
                budget = BUDGETS[key[0]]
                record.failures += 1
                record.last = now
                over = record.failures - budget.free
                if over >= 0:
                    record.until = now + min(budget.first * 2.0 ** min(over, 32), budget.most)
                self._keep(key, record)
            return 0.0

    def good(self, user: str, address: str, device: str = "") -> None:
        """The try that `begin` let in was good: the user's own failures there are forgotten, the source's one less."""
        self.unheard(user, address, device)
        with self._lock:
            own = self._keys(user, address, device)[0]
            self._records.pop(own, None)
            self._keep(own, None)

    def unheard(self, user: str, address: str, device: str = "") -> None:
        """The try that `begin` let in was not looked at after all."""
        with self._lock:
            for key in self._keys(user, address, device):
                record = self._records.get(key)
                if record and record.failures:
                    record.failures -= 1
                    record.until = 0.0  # it was over when the try began
                    self._keep(key, record)

    def _record(self, key: tuple[str, ...], now: float) -> _Record:
        found = self._records.get(key)
        if found is None and self._memory:
            found = self._records[key] = _Record(self._memory.read(_name(key)))
        if found is None or now - found.last > FORGET:
            found = self._records[key] = _Record()
        found.set_back(now)
        self._records.move_to_end(key)
        while len(self._records) > MAX_KEYS:
            self._records.popitem(last=False)
        return found

    def _keep(self, key: tuple[str, ...], record: _Record | None) -> None:
        if self._memory:
            held = Failed(record.failures, record.last, record.until) if record else None
            self._memory.write(_name(key), held)


def _name(key: tuple[str, ...]) -> str:
    return "\0".join(key)
