"""Trunks to cloud cores: where they are, whether they answer, and which requests come from them."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from provisioner.edge.gateway import Gateway, for_emergencies, in_order
from provisioner.edge.registration import Registration
from provisioner.errors import OperatorError, PeerError
from provisioner.sip.digest import Account
from provisioner.sip.headers import NameAddr, Uri, Via, numeric, split_list
from provisioner.sip.message import Request, Response
from provisioner.sip.resolve import DnsDeadError, Located, Target
from provisioner.sip.transaction import Flow
from provisioner.store.records import Trunk, TrunkSecret
from provisioner.trunks.profile import Profile, profile_of, profiles

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge

TICK_SECONDS = 1.0
PROBE_SECONDS = 9.0  # with the next two, an outage is seen within 15 s (docs/calls.md)
ANSWER_SECONDS = 2.0  # for the answer to a probe
AGAIN_SECONDS = 1.0  # between the probes that confirm what one has said
STREAM_SECONDS = 300.0  # between tries to open a stream to a UDP gateway, for large requests
RESOLVE_AGAIN_SECONDS = 10.0
MAX_SOURCES = 256
MAX_FORMER = 4
_log = logging.getLogger(__name__)


class Locator(Protocol):
    """Finds targets: `sip.resolve.Resolver`."""

    async def locate(self, uri: Uri, transports: Sequence[str], families: Sequence[str] = ...) -> Located: ...


class Peer:
    """One trunk as the edge uses it. `up` is None until one of its gateways was heard of."""

    def __init__(self, trunk: Trunk, secret: TrunkSecret | None, clock: Callable[[], float]) -> None:
        self.trunk = trunk
        self.secret = secret
        self.profile = _profile(trunk)
        self.uri = _uri(trunk, trunk.uri)
        self.next_hop = _uri(trunk, trunk.proxy) if trunk.proxy else self.uri
        self.account = Account(secret.user, secret.password, secret.realm) if secret else None
        self.token = _token(trunk, secret)
        self.gateways: list[Gateway] = []
        self.former: list[
            Gateway
        ] = []  # answered once, and DNS names them no more: a lie costs no emergency call
        self.clear: list[Gateway] = []  # of a TLS trunk: where an emergency call goes when TLS fails
        self.up: bool | None = None
        self.stale = False  # DNS is dead, and the gateways are from before
        self.resolve_at = float("-inf")
        self.resolving = False
        self.registration: Registration | None = None
        self._clock = clock
        self._sources: set[str] = {self.uri.host, self.next_hop.host}
        self._networks = _networks(trunk)
        if numeric(self.next_hop.host):
            self.resolve_at = float("inf")
            self.take([_numeric_target(self.next_hop, self.profile.transports)], False)

    @property
    def domain(self) -> str:
        """The name that certificates must be good for: never that of an SRV target (RFC 5922 4)."""
        return self.next_hop.host

    def take(self, targets: Iterable[Target], stale: bool) -> None:
        """Where the trunk is from now on; without any target, what was known stays. Health is kept."""
        found = list(targets)
        self.stale = stale or not found
        if not found:
            return
        known = {gateway.target: gateway for gateway in self.gateways}
        former = [*(gateway for gateway in self.gateways if gateway.up), *self.former]
        self.former = [gateway for gateway in former if gateway.target not in found][:MAX_FORMER]
        self.gateways = [known.get(target) or Gateway(self, target, self._clock) for target in found]
        if len(self._sources) < MAX_SOURCES:
            self._sources |= {target.host for target in found}
        if any(target.transport == "TLS" for target in found) and not self.clear:
            hosts = dict.fromkeys(target.host for target in found)
            self.take_clear([Target("UDP", host, 5060) for host in hosts])

    def take_clear(self, targets: Iterable[Target]) -> None:
        """Where emergency calls go in the clear when TLS fails."""
        self.clear = [Gateway(self, target, self._clock) for target in targets] or self.clear

    def comes_from(self, host: str) -> bool:
        """Whether an address is one of this trunk's."""
        if host in self._sources:
            return True
        if not self._networks or not numeric(host):
            return False
        address = ipaddress.ip_address(host)
        return any(address in network for network in self._networks)

    def listens_at(self, address: tuple[str, int]) -> bool:
        return any(gateway.address == address for gateway in self.gateways)

    def listens_on(self, port: int) -> bool:
        return any(gateway.target.port == port for gateway in (*self.gateways, *self.clear))

    @property
    def in_use(self) -> Gateway | None:
        """The gateway that the next call goes to."""
        return next(iter(in_order(self.gateways) or self.gateways), None)

    def judge(self) -> bool:
        """Set `up` by the gateways; True when that is news."""
        states = [gateway.up for gateway in self.gateways]
        up = True if True in states else (None if None in states else False)
        if any(gateway.usable for gateway in self.gateways) and not self.profile.options:
            up = up or None
        changed, self.up = up != self.up, up
        return changed


class Trunks:
    """All trunks, by order. Names are resolved ahead of any call, so that no call waits for a resolver."""

    def __init__(self, edge: Edge, on_change: Callable[[Peer], None]) -> None:
        self._edge = edge
        self._on_change = on_change
        self.peers: list[Peer] = []
        self.trust: Callable[[Peer], None] = lambda _peer: None  # tells the sockets what to check
        self._kept: dict[str, Any] = {}
        self._streams: dict[tuple[str, int], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def update(self, trunks: Sequence[Trunk], secrets: Mapping[str, TrunkSecret] | None = None) -> None:
        """Take the trunks of a new snapshot; what is known of those that stay is kept."""
        known = {peer.trunk.id: peer for peer in self.peers}
        peers = []
        for trunk in trunks:
            secret, peer = (secrets or {}).get(trunk.id), known.get(trunk.id)
            same = peer and (peer.trunk, peer.secret) == (trunk, secret)
            peers.append(known.pop(trunk.id) if same else self._new(trunk, secret))
        for peer in known.values():
            if peer.registration:
                peer.registration.stop()
        self.peers = peers

    def _new(self, trunk: Trunk, secret: TrunkSecret | None) -> Peer:
        peer = Peer(trunk, secret, self._edge.timers.clock)
        if not peer.gateways:
            peer.take(self._remembered(trunk), True)
        try:
            self.trust(peer)
        except OperatorError as error:
            _log.error("trunk %s: %s", trunk.id, error)
        if peer.profile.authentication == "register" and secret:
            peer.registration = Registration(self._edge, peer, secret.user)
        return peer

    # what calls ask

    def by_preference(self) -> list[Peer]:
        """Trunks to try, in their order; those known to be down come last but are not left out."""
        return sorted((peer for peer in self.peers if peer.gateways), key=lambda peer: peer.up is False)

    def for_calls(self) -> list[Gateway]:
        """The gateways that an ordinary call tries, one after the other; none while all is down."""
        usable = [peer for peer in self.by_preference() if peer.up is not False]
        return [gateway for peer in usable for gateway in in_order(peer.gateways)]

    def for_emergencies(self) -> list[Gateway]:
        """All gateways of all trunks, the best first; then where they once were, and TLS trunks in the clear."""
        peers = self.by_preference()
        found = for_emergencies(gateway for peer in peers for gateway in peer.gateways)
        found += [gateway for peer in peers for gateway in peer.former]
        return found + [gateway for peer in peers for gateway in peer.clear]

    def flow(self, gateway: Gateway) -> Flow:
        """The way to a gateway."""
        target, agent = gateway.target, self._edge.agent
        if target.transport == "UDP":
            return agent.connect("UDP", gateway.address)
        return agent.connect(target.transport, gateway.address, gateway.peer.domain)

    def report(self, gateway: Gateway, response: Response | None) -> bool:
        """What came of a request: None for no answer at all. False when another gateway is to be tried."""
        good = response is not None and response.status != 503
        if good:
            gateway.succeeded()
        else:
            gateway.failed(_retry_after(response))
        self._judge(gateway.peer)
        return good

    def _judge(self, peer: Peer) -> None:
        if peer.judge() and peer in self.peers:
            level, words = (logging.ERROR, "down") if peer.up is False else (logging.INFO, "up")
            _log.log(level, "trunk %s is %s", peer.trunk.id, words)
            self._on_change(peer)
        if peer.registration:
            peer.registration.check_gateway()

    def source(self, request: Request, flow: Flow) -> Peer | None:
        """The trunk that a request came from: by our own connection to it, the Contact that we registered there,
        its address, and by its port too where a phone shares the address."""
        host, port = flow.remote
        for peer in self.peers:
            if flow.name and flow.name == peer.domain:
                return peer
            if peer.registration and peer.token == _user(request.uri):
                return peer
        for peer in self.peers:
            if peer.gateways and peer.comes_from(host):
                if peer.listens_on(port) or not self._edge.phones_at(host):
                    return peer
                sent_by = Via.parse(split_list(request.get("via"))[0])
                if flow.reliable and peer.listens_on(sent_by.port or 5060):
                    return peer
        return None

    def flow_lost(self, flow: Flow) -> None:
        """A connection is gone; who registered over it does so again."""
        for peer in self.peers:
            if peer.registration:
                peer.registration.flow_lost(flow)

    # health

    def tick(self) -> None:
        """What is due now; call it every second."""
        now = self._edge.timers.clock()
        for peer in self.peers:
            current = peer.in_use
            shaky = current is not None and (current.up is not True or current.failures > 0)
            for gateway in peer.gateways:
                unknown_or_due = gateway.up is None or now >= gateway.quarantined_until
                wanted = gateway is current or (gateway.up is not True and shaky and unknown_or_due)
                if wanted and peer.profile.options and now - gateway.probed >= PROBE_SECONDS:
                    self.probe(gateway)
            if peer.registration and current:
                peer.registration.start()

    def _probe(self, peer: Peer) -> None:
        """Probe the gateway in use."""
        if peer.in_use:
            self.probe(peer.in_use)

    def probe(self, gateway: Gateway) -> None:
        """OPTIONS: any final answer but 503 means alive. What speaks against its state is confirmed by more."""
        gateway.probed = begun = self._edge.timers.clock()
        agent, peer = self._edge.agent, gateway.peer
        me = NameAddr(Uri("sip", "provisioner.invalid", user="ping"))
        request = agent.new_request("OPTIONS", str(peer.uri), me, NameAddr(peer.uri), [])

        open_ = True

        def done(response: Response | None) -> None:
            nonlocal open_
            if not open_ or (response is not None and response.status < 200):
                return
            open_ = False
            limit.cancel()
            self.report(gateway, response)
            if response is not None and response.status != 503:
                self._open_stream(gateway)
            if gateway.undecided and gateway in peer.gateways and peer in self.peers:
                passed = self._edge.timers.clock() - begun
                self._edge.timers.after(max(0.0, AGAIN_SECONDS - passed), lambda: self.probe(gateway))

        seconds = AGAIN_SECONDS if gateway.undecided else ANSWER_SECONDS
        limit = self._edge.timers.after(seconds, lambda: done(None))
        agent.request(request, self.flow(gateway), done)

    def _open_stream(self, gateway: Gateway) -> None:
        """Have a TCP connection ready to a UDP gateway that takes TCP (RFC 3261 18.1.1)."""
        now = self._edge.timers.clock()
        takes_tcp = gateway.target.transport == "UDP" and "TCP" in gateway.peer.profile.transports
        if takes_tcp and now >= self._streams.get(gateway.address, 0.0):
            self._streams[gateway.address] = now + STREAM_SECONDS
            self._edge.agent.connect("TCP", gateway.address, gateway.peer.domain)

    # names

    async def watch(self, resolver: Locator | None = None) -> None:
        """Resolve, probe and register for ever."""
        while True:
            for peer in self.peers:
                if resolver and not peer.resolving and self._edge.timers.clock() >= peer.resolve_at:
                    peer.resolving = True
                    task = asyncio.get_running_loop().create_task(self.resolve(peer, resolver))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            try:
                self.tick()
            except Exception:
                _log.exception("the trunks could not be looked after")
            await asyncio.sleep(TICK_SECONDS)

    async def resolve(self, peer: Peer, resolver: Locator) -> None:
        """Look a trunk's name up; the last good answer stays when that fails."""
        now, was = self._edge.timers.clock(), peer.stale
        peer.resolve_at = now + RESOLVE_AGAIN_SECONDS
        try:
            found = await resolver.locate(peer.next_hop, peer.profile.transports)
            peer.take(found.targets, found.stale)
            if found.targets and not found.stale:
                peer.resolve_at = max(found.until, now + RESOLVE_AGAIN_SECONDS)
            if peer.clear:
                plain = {name: value for name, value in peer.next_hop.params.items() if name != "transport"}
                uri = replace(peer.next_hop, scheme="sip", port=None, params=plain)
                peer.take_clear((await resolver.locate(uri, ("UDP", "TCP"))).targets)
        except DnsDeadError:
            peer.take((), True)
        finally:
            peer.resolving = False
        if peer.stale and not (was and peer.gateways):
            words = "its last addresses are used" if peer.gateways else "it cannot be used"
            _log.error("the name of trunk %s cannot be resolved; %s", peer.trunk.id, words)

    def remember(self) -> dict[str, Any]:
        """Where the trunks were last seen, for a start with DNS dead: to be kept in a file."""
        return {
            peer.trunk.id: {
                "uri": str(peer.next_hop),
                "targets": [
                    [t.transport, t.host, t.port] for t in (gateway.target for gateway in peer.gateways)
                ],
            }
            for peer in self.peers
            if peer.gateways and not numeric(peer.next_hop.host)
        }

    def recall(self, kept: object) -> None:
        """Take what `remember` gave; call it before `update`. Anything odd in it is left out."""
        self._kept = kept if isinstance(kept, dict) else {}

    def _remembered(self, trunk: Trunk) -> list[Target]:
        try:
            kept = self._kept[trunk.id]
            if kept["uri"] != str(Uri.parse(trunk.proxy or trunk.uri)):
                return []
            return [Target(str(kind), str(host), int(port)) for kind, host, port in kept["targets"]]
        except (KeyError, TypeError, ValueError, PeerError):
            return []


def _profile(trunk: Trunk) -> Profile:
    """The trunk's profile; calls go on by the generic one when something in it is wrong."""
    try:
        return profile_of(trunk)
    except OperatorError as error:
        _log.error("%s; until then it is treated as generic", error)
        return profiles()["generic"]


def _uri(trunk: Trunk, text: str) -> Uri:
    try:
        uri = Uri.parse(text)
    except PeerError:
        uri = Uri("tel")
    if uri.host:
        return uri
    _log.error("trunk %s has no valid SIP URI; it is not used", trunk.id)
    return Uri("sip", "invalid.invalid")


def _numeric_target(uri: Uri, transports: Sequence[str]) -> Target:
    secure = uri.scheme == "sips"
    transport = (
        "TLS" if secure else (uri.params.get("transport") or transports[0] if transports else "UDP").upper()
    )
    return Target(transport, uri.host, uri.port or (5061 if transport == "TLS" else 5060))


def _token(trunk: Trunk, secret: TrunkSecret | None) -> str:
    """User part of the Contact that we register: the same after a restart, and nobody else's to guess."""
    if secret is None:
        return ""
    return "p" + hashlib.sha256(f"{trunk.id}\n{secret.user}\n{secret.password}".encode()).hexdigest()[:20]


def _networks(trunk: Trunk) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for text in trunk.sources:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            _log.error("trunk %s: the source %s is no address and no network; it is left out", trunk.id, text)
    return found


def _user(uri: str) -> str:
    try:
        return Uri.parse(uri).dialled
    except PeerError:
        return ""


def _retry_after(response: Response | None) -> float:
    value = response.get("retry-after").partition("(")[0].partition(";")[0].strip() if response else ""
    return float(value) if value.isdecimal() and len(value) < 8 else 0.0
