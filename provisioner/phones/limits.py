"""Who asks too much: rates, sweeps over MACs and the quarantine, by source. Sans-I/O; the clock comes in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, IPv6Network
from typing import Literal

import msgspec

MAX_RETURNS = 20  # of a source, that make its next quarantine longer
Reason = Literal["sweep", "flood"]


@dataclass(frozen=True)
class Limits:
    """How much is too much for who has not proved itself. Rates in requests a second, times in seconds."""

    rate: float = 50.0
    burst: float = 2000.0  # a router with 100 new phones behind it, 20 files each
    phone_rate: float = 10.0  # of one phone that proved itself
    phone_burst: float = 300.0
    strange: int = 8  # MACs asked for by who cannot be their phone: other MAC or agent, no proof
    strange_local: int = 50  # by a program on this host
    unknown: int = 500  # MACs that nobody adopted, while anybody may ask
    window: float = 3600.0  # in which MACs are counted
    refused: int = 1000  # requests over the rate within the window, before the source is not listened to
    seconds: float = 3600.0  # of a first quarantine; each further one is `growth` times longer
    growth: float = 4.0
    longest: float = 86400.0
    sources: int = 4096
    quarantined: int = 1024
    phones: int = 16384


class Bucket:
    """A token bucket."""

    __slots__ = ("_at", "_tokens")

    def __init__(self, burst: float, now: float) -> None:
        self._tokens, self._at = burst, now

    def take(self, now: float, rate: float, burst: float) -> bool:
        """One token, if there is one."""
        tokens = self._tokens + (now - self._at) * rate
        self._at = now
        self._tokens = tokens = tokens if tokens < burst else burst
        if tokens < 1:
            return False
        self._tokens = tokens - 1
        return True


@dataclass(slots=True)
class _Source:
    bucket: Bucket
    began: float
    strange: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    refused: int = 0


@dataclass(slots=True)
class Quarantine:
    """A source that gets nothing without proof until `until` (monotonic seconds). `hits`: requests refused since.

    `source` is its MAC on the link (twelve hex digits), or its address (IPv6: the /64); `address`: where it was last.
    """

    source: str
    address: str
    reason: Reason
    until: float
    count: int = 1
    hits: int = 0


def source_of(address: str, neighbour: str) -> str:
    """What counts as one source: a MAC on the link, else an address, or the /64 that one site gets (RFC 6177)."""
    if neighbour:
        return neighbour
    if ":" not in address:
        return address
    try:
        whole = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(whole.ipv4_mapped or IPv6Network((int(whole) >> 64 << 64, 64)))


class Sources:
    """All that is known of who asks; bounded, whatever is thrown at it. `tell` hears of each new quarantine."""

    def __init__(
        self,
        clock: Callable[[], float],
        tell: Callable[[Quarantine], None] = lambda _held: None,
        limits: Limits | None = None,
    ) -> None:
        self._clock = clock
        self._tell = tell
        self.limits = limits or Limits()
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._phones: OrderedDict[str, Bucket] = OrderedDict()
        self._quarantine: OrderedDict[str, Quarantine] = OrderedDict()
        self.changed = False  # whether there is a quarantine, or an end of one, that was not kept yet

    # admission

    def phone(self, mac: str) -> str:
        """A request of a phone that proved itself: "" or the rule that refuses it."""
        now, limits = self._clock(), self.limits
        bucket = self._phones.get(mac)
        if bucket is None:
            bucket = self._phones[mac] = Bucket(limits.phone_burst, now)
            if len(self._phones) > limits.phones:
                self._phones.popitem(last=False)
        return "" if bucket.take(now, limits.phone_rate, limits.phone_burst) else "too-many-requests"

    def admit(self, source: str, address: str, local: bool) -> str:
        """A request of who has not proved itself: "" or the rule that refuses it. `local`: of this host."""
        held = self._quarantine.get(source) if self._quarantine else None
        now = self._clock()
        if held and held.until > now:
            held.hits += 1
            held.address = address
            return "quarantined"
        if local:
            return ""
        known = self._source(source, now)
        if known.bucket.take(now, self.limits.rate, self.limits.burst):
            return ""
        known.refused += 1
        if known.refused > self.limits.refused:
            self._quarantined(source, address, "flood", now)
        return "too-many-requests"

    def asked(self, source: str, address: str, mac: str, strange: bool, local: bool) -> None:
        """Somebody without proof asked for a phone's file. `strange`: who cannot be that phone."""
        now, limits = self._clock(), self.limits
        known = self._source(source, now)
        macs, most = known.strange, limits.strange_local if local else limits.strange
        if not strange:
            if local:  # a whole simulated fleet
                return
            macs, most = known.unknown, limits.unknown
        macs.add(mac)
        if len(macs) > most:
            self._quarantined(source, address, "sweep", now)

    def _source(self, source: str, now: float) -> _Source:
        known = self._sources.get(source)
        if known is None:
            known = self._sources[source] = _Source(Bucket(self.limits.burst, now), now)
            if len(self._sources) > self.limits.sources:
                self._sources.popitem(last=False)
            return known
        self._sources.move_to_end(source)
        if now - known.began > self.limits.window:
            known.began, known.refused = now, 0
            known.strange.clear()
            known.unknown.clear()
        return known

    # quarantine

    def _quarantined(self, source: str, address: str, reason: Reason, now: float) -> None:
        limits = self.limits
        old = self._quarantine.pop(source, None)
        count = min(old.count, MAX_RETURNS) + 1 if old and now - old.until < limits.longest else 1
        seconds = min(limits.seconds * limits.growth ** (count - 1), limits.longest)
        held = Quarantine(source, address, reason, now + seconds, count, old.hits if old else 0)
        self._quarantine[source] = held
        if len(self._quarantine) > limits.quarantined:
            self._quarantine.popitem(last=False)
        self._sources.pop(source, None)
        self.changed = True
        self._tell(held)

    def quarantine(self) -> list[Quarantine]:
        """Those in force, oldest first."""
        now = self._clock()
        return [held for held in self._quarantine.values() if held.until > now]

    def release(self, source: str) -> bool:
        """Forget all that is held against a source (its MAC or address); False when it was not in quarantine."""
        names = [held.source for held in self.quarantine() if source in (held.source, held.address)]
        for name in names:
            del self._quarantine[name]
            self._sources.pop(name, None)
        self.changed |= bool(names)
        return bool(names)

    def dump(self, ahead: float) -> bytes:
        """The quarantine, for a file. `ahead`: seconds that the wall clock (since 1970) is ahead of our own."""
        self.changed = False
        held = self._quarantine.values()
        return msgspec.json.encode([replace(each, until=each.until + ahead) for each in held])

    def load(self, data: bytes, ahead: float) -> None:
        """Take what `dump` gave before a restart. Raises msgspec.MsgspecError."""
        latest = self._clock() + self.limits.longest  # whatever the wall clock did meanwhile
        for each in msgspec.json.decode(data, type=list[Quarantine])[-self.limits.quarantined :]:
            self._quarantine[each.source] = replace(each, until=min(each.until - ahead, latest))
