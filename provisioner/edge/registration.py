"""Registering with a core, so that it knows where we are (RFC 3261 10.2; back-off as in RFC 5626 4.5)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from provisioner.errors import PeerError
from provisioner.sip.headers import NameAddr, Uri, join_host, split_list
from provisioner.sip.message import Response
from provisioner.sip.timers import Timer
from provisioner.sip.transaction import Flow

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge
    from provisioner.edge.gateway import Gateway
    from provisioner.edge.trunk import Peer
    from provisioner.sip.agent import Exchange

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 1800.0
SHORTEST, LONGEST = 30, 86_400  # seconds that a registration may last
_log = logging.getLogger(__name__)


class Registration:
    """One binding of ours at a core, kept alive until `stop`. `registered`: the core has it now."""

    def __init__(self, edge: Edge, peer: Peer, user: str) -> None:
        self._edge = edge
        self._peer = peer
        self._aor = NameAddr(Uri("sip", peer.uri.host, None, user))
        self._expires = peer.profile.expires
        self._call_id = ""
        self._seq = 0
        self._failures = 0
        self._timer: Timer | None = None
        self._gateway: Gateway | None = None
        self._flow: Flow | None = None
        self._tried: set[Gateway] = set()  # gateways that failed since the last pause
        self._exchange: Exchange
        self._busy = False
        self._begun = False
        self._stopped = False
        self.registered = False

    def start(self) -> None:
        """Register, unless that was begun before."""
        if not self._begun:
            self._begun = True
            self._register()

    def stop(self) -> None:
        """Do no more; the binding at the core runs out."""
        self._begun = self._stopped = True
        self.registered = False
        if self._timer:
            self._timer.cancel()

    def flow_lost(self, flow: Flow) -> None:
        """The core can reach us no longer over this connection: register over a new one (RFC 5626 4.2.3)."""
        if self.registered and flow == self._flow and not self._busy:
            self.registered = False
            self._again(1.0)

    def check_gateway(self) -> None:
        """Follow the calls: when the gateway that we are registered at is no longer usable, take the next."""
        if self._busy or not self.registered or self._gateway is None or self._gateway.usable:
            return
        if any(gateway.usable for gateway in self._peer.gateways):
            self.registered = False
            self._again(0.0)

    def _again(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._edge.timers.after(seconds, self._register)

    def _register(self) -> None:
        """Send a REGISTER to the gateway in use."""
        gateway = next(
            (g for g in self._peer.gateways if g.usable and g not in self._tried), self._peer.in_use
        )
        if gateway is None:
            self._failed("it has no address")
            return
        agent = self._edge.agent
        self._busy, self._gateway = True, gateway
        flow = self._flow = self._edge.trunks.flow(gateway)
        self._call_id = self._call_id or agent.new_tag()
        self._seq += 1
        request = agent.new_request(
            "REGISTER", f"{self._peer.uri.scheme}:{self._domain}", self._aor, self._aor, []
        )
        request.set("call-id", self._call_id)
        request.set("cseq", f"{self._seq} REGISTER")
        contact = agent.contact(flow).replace("<sip:", f"<sip:{self._peer.token}@", 1)
        request.headers += [("contact", contact), ("expires", str(self._expires))]
        self._exchange = agent.request(
            request, flow, lambda response: self._answered(gateway, response), self._peer.account
        )

    @property
    def _domain(self) -> str:
        return join_host(self._peer.uri.host)

    def _answered(self, gateway: Gateway, response: Response | None) -> None:
        if self._stopped or (response is not None and response.status < 200):
            return
        self._busy = False
        self._seq = self._exchange.request.cseq[0]
        if not self._edge.trunks.report(gateway, response):
            self._tried.add(gateway)
            left = [g for g in self._peer.gateways if g.usable and g not in self._tried]
            self._failed("no answer" if response is None else str(response.status), 0.0 if left else None)
        elif response is not None and response.status == 423:
            self._too_brief(response)
        elif response is not None and response.status < 300:
            self._succeeded(response)
        else:
            self._failed(f"{response.status}" if response else "no answer")

    def _too_brief(self, response: Response) -> None:
        """The core wants longer ones (10.3 step 7): as long as it says, at once, but never for ever."""
        text = response.get("min-expires").strip()
        wanted = int(text) if text.isdecimal() and len(text) < 8 else 0
        if self._expires < wanted <= LONGEST:
            self._expires = wanted
            self._again(0.0)
        else:
            self._failed("423 without a Min-Expires of use")

    def _succeeded(self, response: Response) -> None:
        if not self.registered:
            _log.info("trunk %s: registered", self._peer.trunk.id)
        self.registered = True
        self._failures = 0
        self._tried.clear()
        seconds = min(max(self._granted(response), SHORTEST), LONGEST)
        self._again(seconds * (500 + self._edge.rng.randrange(301)) / 1000)  # at 50 to 80 %

    def _granted(self, response: Response) -> int:
        """Seconds that the core gave to our own Contact; else what Expires says, else what we asked for."""
        for value in (item for line in response.all("contact") for item in split_list(line)):
            try:
                contact = NameAddr.parse(value)
            except PeerError:
                continue
            text = contact.params.get("expires") or ""
            if contact.uri.user == self._peer.token and text.isdecimal() and len(text) < 8:
                return int(text)
        text = response.get("expires").strip()
        return int(text) if text.isdecimal() and len(text) < 8 else self._expires

    def _failed(self, reason: str, pause: float | None = None) -> None:
        """Try again after 30 s, each time twice as long, up to 30 min; half of it is chance."""
        if self._failures == 0:
            _log.error("trunk %s: it cannot be registered with (%s)", self._peer.trunk.id, reason)
        self.registered = False
        self._busy = False
        if pause is None:
            whole = min(FIRST_PAUSE * 2 ** min(self._failures, 10), LONGEST_PAUSE)
            self._failures += 1
            self._tried.clear()
            pause = whole * (500 + self._edge.rng.randrange(501)) / 1000
        self._again(pause)
