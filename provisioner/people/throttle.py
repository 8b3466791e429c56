"""How often somebody may try to sign in: growing waits by where tries come from, which never shut an owner out.

A user name alone is never throttled, or anybody could lock its owner out. Tries count for the pair of user and source,
and for the source; a browser that its user signed in with before has a budget of its own (OWASP, "device cookies").
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

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


class _Record:
    __slots__ = ("failures", "last", "until")

    def __init__(self) -> None:
        self.failures, self.last, self.until = 0, 0.0, 0.0


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
    """Counts failures. `clock`: seconds. Safe to use from all threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
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
            records = [(key[0], self._record(key, now)) for key in self._keys(user, address, device)]
            wait = max(record.until - now for _, record in records)
            if wait > 0:
                return wait
            for kind, record in records:
                budget = BUDGETS[kind]
                record.failures += 1
                record.last = now
                over = record.failures - budget.free
                if over >= 0:
                    record.until = now + min(budget.first * 2.0 ** min(over, 32), budget.most)
            return 0.0

    def good(self, user: str, address: str, device: str = "") -> None:
        """The try that `begin` let in was good: the user's own failures there are forgotten, the source's one less."""
        self.unheard(user, address, device)
        with self._lock:
            self._records.pop(self._keys(user, address, device)[0], None)

    def unheard(self, user: str, address: str, device: str = "") -> None:
        """The try that `begin` let in was not looked at after all."""
        with self._lock:
            for key in self._keys(user, address, device):
                record = self._records.get(key)
                if record and record.failures:
                    record.failures -= 1
                    record.until = 0.0  # it was over when the try began

    def _record(self, key: tuple[str, ...], now: float) -> _Record:
        found = self._records.get(key)
        if found is None or now - found.last > FORGET:
            found = self._records[key] = _Record()
        self._records.move_to_end(key)
        while len(self._records) > MAX_KEYS:
            self._records.popitem(last=False)
        return found
