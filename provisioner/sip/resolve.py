"""Where a SIP URI leads: server location by RFC 3263, without I/O, and the resolver that asks for it."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.resolver

from provisioner.errors import ProvisionerError
from provisioner.sip.headers import Uri, default_port, numeric

if TYPE_CHECKING:
    from provisioner.sip.agent import Random

MAX_TARGETS = 32
MAX_QUESTIONS = 48  # a lying server may not keep us busy
MAX_CACHED = 1024
MIN_SECONDS, MAX_SECONDS = 10.0, 86_400.0  # for how long an answer is kept, whatever its TTL
MAX_NEGATIVE_SECONDS = 300.0
DEAD_SECONDS = 5.0  # after a failure what is stale is taken without asking again
_SERVICES = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}
_PREFIXES = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}


@dataclass(frozen=True, slots=True)
class Naptr:
    """A NAPTR record (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Target:
    """One place to send a request to: "UDP", "TCP" or "TLS", a numeric address and a port."""

    transport: str
    host: str
    port: int


Question = tuple[str, str]
"""Name, and NAPTR, SRV, A or AAAA."""
Records = Sequence[Naptr | Srv | str]
"""Naptr, Srv or addresses, by the question's type; empty when there is no such record."""
T = TypeVar("T")
Locating = Generator[Question, Records, T]


def locate(
    uri: Uri, transports: Sequence[str], rng: Random, families: Sequence[str] = ("A", "AAAA")
) -> Locating[list[Target]]:
    """Targets of `uri` in the order to try them (RFC 3263 4): yields questions, is sent their records.

    `transports`: those that may be used, the dearest first; the URI's scheme and its transport parameter narrow
    them. `families`: the address records to ask for, in the order in which they are tried (RFC 7984).
    """
    host = uri.params.get("maddr") or uri.host
    allowed = _allowed(uri, transports)
    if not allowed:
        return []
    if numeric(host) or uri.port:
        port = uri.port or default_port(allowed[0])
        return [Target(allowed[0], found, port) for found in (yield from _addresses(host, families))]
    services = [] if uri.params.get("transport") else (yield from _naptr(host, allowed))
    targets: list[Target] = []
    denied = False
    for transport, name in services or [(transport, _PREFIXES[transport] + host) for transport in allowed]:
        records = [record for record in (yield (name, "SRV")) if isinstance(record, Srv)]
        denied = denied or bool(records)
        for record in ordered(records, rng):
            for found in (yield from _addresses(record.target, families)):
                targets.append(Target(transport, found, record.port))
    if not denied:
        port = default_port(allowed[0])
        targets = [Target(allowed[0], found, port) for found in (yield from _addresses(host, families))]
    return list(dict.fromkeys(targets))[:MAX_TARGETS]


def _allowed(uri: Uri, transports: Sequence[str]) -> list[str]:
    """What the URI leaves of `transports`; its own parameter beats them."""
    named = (uri.params.get("transport") or "").upper()
    if uri.scheme == "sips":
        return ["TLS"] if named in ("", "TCP", "TLS") else []
    if named:
        return [named] if named in _PREFIXES else []
    return [transport for transport in transports if transport in _PREFIXES]


def _naptr(host: str, allowed: Sequence[str]) -> Locating[list[tuple[str, str]]]:
    records = [record for record in (yield (host, "NAPTR")) if isinstance(record, Naptr)]
    usable = [
        (record.order, record.preference, _SERVICES[record.service.upper()], record.replacement)
        for record in records
        if record.flags.lower() == "s" and _SERVICES.get(record.service.upper()) in allowed
    ]
    return [(transport, name) for _, _, transport, name in sorted(usable)]


def _addresses(host: str, families: Sequence[str]) -> Locating[list[str]]:
    if numeric(host):
        return [host] if _usable(host) else []
    found: list[str] = []
    for family in families:
        records = yield (host, family)
        found += [record for record in records if isinstance(record, str) and _usable(record)]
    return found


def _usable(address: str) -> bool:
    """Whether one host can be meant: no lies like 0.0.0.0 or a group."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_unspecified or parsed.is_multicast or address == "255.255.255.255")


def ordered(records: Sequence[Srv], rng: Random) -> Iterator[Srv]:
    """SRV records in the order to try them: priority, then chance by weight (RFC 2782, "Usage rules").

    Records that name no service (target ".", port 0) are left out.
    """
    left = sorted(
        (record for record in records if record.port and record.target.strip(".")),
        key=lambda record: (record.priority, record.weight > 0),
    )
    while left:
        group = [record for record in left if record.priority == left[0].priority]
        point = rng.randrange(sum(record.weight for record in group) + 1)
        for record in group:
            point -= record.weight
            if point <= 0:
                left.remove(record)
                yield record
                break


class DnsDeadError(ProvisionerError):
    """No server answers, and nothing is known from before."""


@dataclass(frozen=True)
class Located:
    """Targets, whether DNS was dead and they are from before, and until when (by the clock) they are good."""

    targets: tuple[Target, ...]
    stale: bool
    until: float


@dataclass(frozen=True)
class _Kept:
    records: Records
    until: float


class Resolver:
    """RFC 3263 look-ups over dnspython, with a cache by TTL that outlives dead servers.

    `nameservers`: addresses, None: those of the system. `deadline`: seconds for one question.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        rng: Random,
        nameservers: Sequence[str] | None = None,
        port: int = 53,
        deadline: float = 3.0,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._nameservers = nameservers
        self._port = port
        self._deadline = deadline
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()
        self._dead_until = float("-inf")
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def locate(
        self, uri: Uri, transports: Sequence[str], families: Sequence[str] = ("A", "AAAA")
    ) -> Located:
        """Targets of `uri`, in order. Raises DnsDeadError when nothing can be said."""
        steps = locate(uri, transports, self._rng, families)
        records: Records | None = None
        stale, until = False, self._clock() + MAX_SECONDS
        try:
            for _ in range(MAX_QUESTIONS):
                question = next(steps) if records is None else steps.send(records)
                records, known_until = await self._ask(question)
                stale = stale or known_until <= self._clock()
                until = min(until, known_until)
        except StopIteration as done:
            return Located(tuple(done.value), stale, max(until, self._clock() + DEAD_SECONDS))
        raise DnsDeadError(f"too many DNS records stand behind {uri.host}")

    async def _ask(self, question: Question) -> tuple[Records, float]:
        """Records, and until when they are good: a time in the past says that they are stale."""
        kept, now = self._kept.get(question), self._clock()
        if kept and (kept.until > now or now < self._dead_until):
            return kept.records, kept.until
        try:
            if now < self._dead_until:
                raise DnsDeadError("the name servers do not answer")
            kept = await self._fetch(question)
        except DnsDeadError:
            if kept is None and question[1] != "NAPTR":  # some servers fail on this type only
                raise
            return (kept.records, kept.until) if kept else ((), now)
        self._kept[question] = kept
        self._kept.move_to_end(question)
        if len(self._kept) > MAX_CACHED:
            self._kept.popitem(last=False)
        return kept.records, kept.until

    async def _fetch(self, question: Question) -> _Kept:
        """Ask the name servers. Raises DnsDeadError."""
        name, kind = question
        try:
            full = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError):
            return self._keep((), MAX_NEGATIVE_SECONDS)  # a name that cannot be one
        try:
            resolver = self._resolver = self._resolver or self._configured()
            async with asyncio.timeout(self._deadline):
                answer = await resolver.resolve(full, kind, raise_on_no_answer=False, lifetime=self._deadline)
        except dns.resolver.NXDOMAIN as error:
            return self._keep((), _ttl(error.response(full)))  # type: ignore[no-untyped-call]
        except (dns.exception.DNSException, OSError, TimeoutError) as error:
            self._resolver = None  # the system may have got other servers meanwhile
            if not isinstance(error, dns.resolver.NoNameservers) or kind != "NAPTR":
                self._dead_until = self._clock() + DEAD_SECONDS
            raise DnsDeadError(f"no answer from DNS for {name}") from None
        records = tuple(_record(kind, data) for data in answer.rrset or ())
        return self._keep(records, _ttl(answer.response))

    def _configured(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=self._nameservers is None)
        if self._nameservers is not None:
            resolver.nameservers = list(self._nameservers)
            resolver.port = self._port
        resolver.timeout = self._deadline / 2  # a second server gets its chance
        return resolver

    def _keep(self, records: Records, ttl: float) -> _Kept:
        longest = MAX_SECONDS if records else MAX_NEGATIVE_SECONDS
        return _Kept(records, self._clock() + min(max(ttl, MIN_SECONDS), longest))


def _ttl(response: dns.message.QueryMessage) -> float:
    """The lowest TTL of the answer; of a negative one that of its SOA (RFC 2308 5)."""
    return float(response.resolve_chaining().minimum_ttl)


def _record(kind: str, data: Any) -> Naptr | Srv | str:
    if kind == "SRV":
        return Srv(data.priority, data.weight, data.port, data.target.to_text())
    if kind == "NAPTR":
        flags, service = (text.decode("ascii", "replace") for text in (data.flags, data.service))
        return Naptr(data.order, data.preference, flags, service, data.replacement.to_text())
    return str(data)
