"""Who may speak to the edge: rates, scores and bans by source. Sans-I/O; the clock and randomness come in."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice
from typing import Literal

import msgspec

from provisioner.sip.message import Request

Reason = Literal["scanner", "many-targets", "wrong-passwords", "flood", "junk"]
Where = Literal["user-agent", "from", "session"]
Network = IPv4Network | IPv6Network

# Where scanners name themselves when nobody changed their source: facts of public honeypots. Whole words only,
# for "sipcli" is a scanner and "MySipClient" a phone.
SIGNATURES: tuple[tuple[Where, str], ...] = (
    ("user-agent", "friendly-scanner"),
    ("user-agent", "friendly-request"),
    ("user-agent", "sipvicious"),
    ("user-agent", "sip-scan"),
    ("user-agent", "sipcli"),
    ("user-agent", "sundayddr"),
    ("user-agent", "pplsip"),
    ("user-agent", "vaxsipuseragent"),
    ("user-agent", "vaxasip"),
    ("user-agent", "iwar"),
    ("user-agent", "smap"),
    ("user-agent", "sivus"),
    ("user-agent", "gulp"),
    ("from", "sipvicious"),
    ("session", "sipcli"),
    ("session", "sipvicious"),
    ("session", "pplsip"),
    ("session", "vaxsip"),
)
_MARKS = {
    where: re.compile(
        rf"(?<![a-z0-9])(?:{'|'.join(re.escape(word) for place, word in SIGNATURES if place == where)})(?![a-z])",
        re.I,
    )
    for where in ("user-agent", "from", "session")
}
MAX_USER = 64  # of a user name that is remembered
MAX_RETURNS = 20  # of a banned source, that make its next ban longer
_SESSION = re.compile(rb"^s=([^\r\n]{0,80})", re.M)

LOCAL = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How much is too much. Rates in requests a second, times in seconds."""

    rate: float = 25.0
    burst: float = 120.0  # a NAT with 200 phones after a power cut: what proves itself is given back
    storm_rate: float = 150.0  # of all sources in the phone networks together, for a source is easily forged
    storm_burst: float = 500.0  # 200 phones that come back within 5 s, twice over
    outside_rate: float = 20.0  # of all others together
    outside_burst: float = 100.0
    quiet: float = 5.0  # after a 503 nothing more is said to that source for so long
    retry_after: tuple[int, int] = (5, 30)
    sources: int = 2048
    bans: int = 1024
    targets: int = 40  # that one source asks for without being anybody
    users: int = 16  # that one source is remembered to have given wrong passwords for
    wrong: int = 5  # wrong passwords of one user at one source, before that pair is ignored
    pair_seconds: float = 60.0
    pair_longest: float = 900.0
    score: float = 10.0
    forgiven: float = 1 / 60  # of the score, each second
    ban_seconds: float = 300.0
    ban_growth: float = 4.0
    ban_longest: float = 86400.0


class Bucket:
    """A token bucket."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._tokens, self._at = rate, burst, burst, now

    def take(self, now: float) -> bool:
        """One token, if there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def give(self, tokens: float) -> None:
        """Tokens back, for what was no nuisance after all."""
        self._tokens = min(self._burst, self._tokens + tokens)


@dataclass(slots=True)
class Pair:
    """One user name at one source that gave wrong passwords."""

    wrong: int = 0
    bans: int = 0
    until: float = 0.0


@dataclass(slots=True)
class _Source:
    bucket: Bucket
    score: float = 0.0
    scored: float = 0.0
    told: float = float("-inf")  # when it last got a 503
    targets: set[int] = field(default_factory=set)
    pairs: OrderedDict[str, Pair] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class Ban:
    """A source that is not listened to until `until` (monotonic); kept on afterwards to count its returns."""

    reason: Reason
    until: float
    count: int = 1
    hits: int = 0


Rate = Literal["ok", "tell", "silent"]


class Guard:
    """All that is known of who speaks to us; bounded, whatever is thrown at it."""

    def __init__(self, clock: Callable[[], float], limits: Limits | None = None) -> None:
        self._clock = clock
        self.limits = limits or Limits()
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._bans: OrderedDict[str, Ban] = OrderedDict()
        self.changed = False  # whether there is a ban, or an end of one, that was not kept yet
        self._inside = Bucket(self.limits.storm_rate, self.limits.storm_burst, clock())
        self._outside = Bucket(self.limits.outside_rate, self.limits.outside_burst, clock())

    # bans

    def banned(self, host: str) -> bool:
        """Whether nothing of `host` is listened to."""
        ban = self._bans.get(_key(host)) if self._bans else None
        return ban is not None and ban.until > self._clock()

    def hit(self, host: str) -> None:
        """Something of a banned source was dropped."""
        ban = self._bans.get(_key(host))
        if ban:
            ban.hits += 1

    def bans(self) -> Iterator[tuple[str, Ban]]:
        """Those in force, the source first."""
        now = self._clock()
        return ((source, ban) for source, ban in self._bans.items() if ban.until > now)

    def unban(self, host: str) -> bool:
        """Forget all that is held against a source; False when it was not banned."""
        key = _key(host)
        self._sources.pop(key, None)
        ban = self._bans.pop(key, None)
        self.changed |= ban is not None
        return ban is not None and ban.until > self._clock()

    def remember(self, ahead: float) -> dict[str, Ban]:
        """The bans, for a file. `ahead`: seconds that the wall clock (since 1970) is ahead of the guard's own."""
        self.changed = False
        return {source: replace(ban, until=ban.until + ahead) for source, ban in self._bans.items()}

    def recall(self, kept: object, ahead: float) -> None:
        """Take what `remember` gave before a restart; anything else is left."""
        try:
            bans = msgspec.convert(kept, dict[str, Ban])
        except msgspec.ValidationError:
            return
        latest = self._clock() + self.limits.ban_longest  # whatever the wall clock did meanwhile
        for source, ban in islice(bans.items(), self.limits.bans):
            self._bans[source] = replace(ban, until=min(ban.until - ahead, latest))

    def _ban(self, key: str, reason: Reason) -> None:
        now, limits = self._clock(), self.limits
        old = self._bans.pop(key, None)
        count = min(old.count, MAX_RETURNS) + 1 if old and now - old.until < limits.ban_longest else 1
        seconds = min(limits.ban_seconds * limits.ban_growth ** (count - 1), limits.ban_longest)
        self._bans[key] = Ban(reason, now + seconds, count, old.hits if old else 0)
        if len(self._bans) > limits.bans:
            self._bans.popitem(last=False)
        self._sources.pop(key, None)
        self.changed = True

    # scores

    def blame(self, host: str, reason: Reason, points: float) -> bool:
        """Hold something against a source; whether that bans it."""
        key, now = _key(host), self._clock()
        source = self._source(key)
        forgiven = (now - source.scored) * self.limits.forgiven
        source.score = max(0.0, source.score - forgiven) + points
        source.scored = now
        if source.score < self.limits.score:
            return False
        self._ban(key, reason)
        return True

    def _source(self, key: str) -> _Source:
        source = self._sources.get(key)
        if source is None:
            now = self._clock()
            source = self._sources[key] = _Source(Bucket(self.limits.rate, self.limits.burst, now))
            if len(self._sources) > self.limits.sources:
                self._sources.popitem(last=False)
        else:
            self._sources.move_to_end(key)
        return source

    # rates

    def rate(self, host: str, inside: bool, known: bool = False) -> Rate:
        """Take a request of a source that proved nothing yet: let in, refused aloud once, or in silence.

        `inside`: from a phone network; `known`: a phone is registered there, which a storm of others cannot hurt.
        """
        now = self._clock()
        source = self._source(_key(host))
        if source.bucket.take(now):
            if known or (self._inside if inside else self._outside).take(now):
                return "ok"
            source.bucket.give(1)
        if not inside or now - source.told < self.limits.quiet:
            return "silent"
        source.told = now
        return "tell"

    def proved(self, host: str, user: str, target: str) -> None:
        """A request carried good credentials: it and the challenge before it are no nuisance."""
        source = self._source(_key(host))
        source.bucket.give(2)
        self._inside.give(2)
        source.targets.discard(hash(target))
        source.pairs.pop(user[:MAX_USER], None)

    # enumeration

    def asked(self, host: str, target: str) -> bool:
        """Somebody without credentials asks for `target`; whether those are too many different ones."""
        source = self._source(_key(host))
        source.targets.add(hash(target))
        if len(source.targets) <= self.limits.targets:
            return False
        source.targets.clear()
        return self.blame(host, "many-targets", self.limits.score)

    def ignored(self, host: str, user: str) -> bool:
        """Whether this user name is not listened to at this source."""
        source = self._sources.get(_key(host))
        pair = source.pairs.get(user[:MAX_USER]) if source else None
        return pair is not None and pair.until > self._clock()

    def wrong(self, host: str, user: str) -> bool:
        """Wrong credentials of `user`, known or not; whether the source is banned for it.

        The pair is ignored first, for a phone with an old password is no attacker; many users are.
        """
        now, limits = self._clock(), self.limits
        user = user[:MAX_USER]
        pairs = self._source(_key(host)).pairs
        first = user not in pairs
        pair = pairs.setdefault(user, Pair())
        pair.wrong += 1
        if len(pairs) > limits.users:
            pairs.popitem(last=False)
        points = 1.0 if first and len(pairs) > 1 else 0.0
        if pair.wrong >= limits.wrong:
            pair.wrong, pair.bans = 0, pair.bans + 1
            pair.until = now + min(limits.pair_seconds * 2 ** (pair.bans - 1), limits.pair_longest)
            points += 1.0
        return bool(points) and self.blame(host, "wrong-passwords", points)


def _key(host: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 that one customer gets (RFC 6177)."""
    if ":" not in host:
        return host
    try:
        whole = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if whole.ipv4_mapped:
        return str(whole.ipv4_mapped)
    return str(IPv6Network((int(whole) >> 64 << 64, 64)))


def signature(request: Request) -> bool:
    """Whether a request says itself that a known scanner sent it."""
    if _MARKS["user-agent"].search(request.get("user-agent")) or _MARKS["from"].search(request.get("from")):
        return True
    found = _SESSION.search(request.body) if request.body else None
    return found is not None and _MARKS["session"].search(found[1].decode("utf-8", "replace")) is not None


class Networks:
    """The networks that phones are in."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.refused: list[str] = []  # what is no network
        own: list[Network] = []
        for text in texts:
            try:
                own.append(ip_network(text.strip(), strict=False))
            except ValueError:
                self.refused.append(text)
        self._networks = tuple(own) or LOCAL
        self._known: dict[str, bool] = {}

    def __contains__(self, host: str) -> bool:
        inside = self._known.get(host)
        if inside is None:
            inside = self._look(host)
            if len(self._known) >= 4096:
                self._known.clear()
            self._known[host] = inside
        return inside

    def _look(self, host: str) -> bool:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)
