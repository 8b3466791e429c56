"""Trunks to cloud cores: where they are, whether they answer, and which requests come from them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provisioner.errors import PeerError
from provisioner.sip.headers import NameAddr, Uri, Via, split_list
from provisioner.sip.message import Request, Response
from provisioner.sip.transaction import Flow
from provisioner.store.records import Trunk

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge

PROBE_SECONDS = 10.0  # an outage is seen within 15 s (docs/calls.md)
ANSWER_SECONDS = 4.0  # three repeats of the probe have gone out by then
RESOLVE_SECONDS = 3.0
_log = logging.getLogger(__name__)


@dataclass
class Peer:
    """One trunk as the edge uses it. `up` is None until the first probe came back."""

    trunk: Trunk
    uri: Uri
    address: tuple[str, int] | None = None
    up: bool | None = None
    sources: frozenset[str] = field(default_factory=frozenset)

    @property
    def transport(self) -> str:
        return (self.uri.params.get("transport") or "udp").upper()


class Trunks:
    """All trunks, by order. Names are resolved ahead of any call, so that no call waits for a resolver."""

    def __init__(self, edge: Edge, on_change: Callable[[Peer], None]) -> None:
        self._edge = edge
        self._on_change = on_change
        self.peers: list[Peer] = []

    def update(self, trunks: list[Trunk]) -> None:
        """Take the trunks of a new snapshot; what is known of those that stay is kept."""
        known = {peer.trunk: peer for peer in self.peers}
        self.peers = [known.get(trunk) or self._new(trunk) for trunk in trunks]

    def _new(self, trunk: Trunk) -> Peer:
        try:
            uri = Uri.parse(trunk.uri)
        except PeerError:
            _log.error("trunk %s has no valid SIP URI; it is not used", trunk.id)
            return Peer(trunk, Uri("sip", "invalid.invalid"))
        peer = Peer(trunk, uri)
        if uri.host.replace(".", "").isdigit() or ":" in uri.host:
            peer.address = (uri.host, uri.port or 5060)
        peer.sources = frozenset((*trunk.sources, uri.host))
        return peer

    def by_preference(self) -> list[Peer]:
        """Trunks to try, in their order; those known to be down come last but are not left out."""
        usable = [peer for peer in self.peers if peer.address]
        return sorted(usable, key=lambda peer: peer.up is False)

    def flow(self, peer: Peer) -> Flow:
        """The way to a trunk that has an address."""
        assert peer.address
        return self._edge.agent.connect(peer.transport, peer.address)

    def source(self, request: Request, flow: Flow) -> Peer | None:
        """The trunk that a request came from: by address, and by port where a phone shares the address."""
        host, port = flow.remote
        for peer in self.peers:
            if peer.address and host in (peer.address[0], *peer.sources):
                if port == peer.address[1] or not self._edge.phones_at(host):
                    return peer
                sent_by = Via.parse(split_list(request.get("via"))[0])
                if flow.reliable and (sent_by.port or 5060) == peer.address[1]:
                    return peer
        return None

    async def watch(self) -> None:
        """Resolve and probe for ever."""
        while True:
            for peer in self.peers:
                await self._resolve(peer)
                if peer.address:
                    self._probe(peer)
            await asyncio.sleep(PROBE_SECONDS)

    async def _resolve(self, peer: Peer) -> None:
        """Look a name up; the old address stays when that fails."""
        host = peer.uri.host
        if host.replace(".", "").isdigit() or ":" in host or host.endswith(".invalid"):
            return
        loop = asyncio.get_running_loop()
        look_up = loop.getaddrinfo(host, peer.uri.port or 5060, type=socket.SOCK_DGRAM)
        try:
            found = await asyncio.wait_for(look_up, RESOLVE_SECONDS)
            peer.address = (str(found[0][4][0]), int(found[0][4][1]))
            peer.sources |= {str(entry[4][0]) for entry in found}
        except (OSError, TimeoutError, UnicodeError):  # a label of more than 63 characters is the last
            _log.warning("the name of trunk %s cannot be resolved", peer.trunk.id)

    def _probe(self, peer: Peer) -> None:
        """OPTIONS: any answer but 503 means alive (RFC 3261 11; facts of the field)."""
        me = NameAddr(Uri("sip", "provisioner.invalid", user="ping"))
        agent = self._edge.agent
        request = agent.new_request("OPTIONS", str(peer.uri), me, NameAddr(peer.uri), [])

        late = self._edge.timers.after(ANSWER_SECONDS, lambda: self._set(peer, False))

        def answered(response: Response | None) -> None:
            late.cancel()
            up = response is not None and response.status != 503
            if response is None or response.status >= 200:
                self._set(peer, up)

        agent.request(request, self.flow(peer), answered)

    def _set(self, peer: Peer, up: bool) -> None:
        if peer.up != up and peer in self.peers:
            peer.up = up
            _log.log(
                logging.INFO if up else logging.ERROR, "trunk %s is %s", peer.trunk.id, "up" if up else "down"
            )
            self._on_change(peer)
