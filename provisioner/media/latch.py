"""Where a party's media goes, and whose packets are the party's: latching (RFC 7362), guarded. No I/O."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

Address = tuple[str, int]
Network = IPv4Network | IPv6Network

QUIET = 2.0  # seconds without a packet after which a party may have moved


class Latch:
    """Begins at the address that signalling named, and moves to an observed one only

    - when nothing was heard yet from the party (it sits behind address translation), or
    - when the party was silent for 2 s and the packet comes from its IP address (its mapping changed).

    The named address itself always wins back, so that a stranger who was first cannot keep a call. Where the
    party's `networks` are known, nothing but the named address and what lies in them is ever moved to.
    """

    __slots__ = ("_left", "_left_at", "last", "named", "networks", "target")

    def __init__(self) -> None:
        self.named: Address | None = None
        self.target: Address | None = None
        self.last: float | None = None  # when the party was last heard since it was named
        self._left: Address | None = None
        self._left_at = 0.0
        self.networks: tuple[Network, ...] = ()

    def restrict(self, networks: tuple[Network, ...]) -> None:
        """Only `networks` may hold the party, () any; whoever is there against that is left."""
        self.networks = networks
        if self.target and self.target != self.named and not self._allowed(self.target):
            self.target, self.last = self.named, None

    def _allowed(self, source: Address) -> bool:
        return not self.networks or any(ip_address(source[0]) in network for network in self.networks)

    def name(self, address: Address | None, now: float) -> None:
        """Signalling names `address`; the same one again changes nothing."""
        if address == self.named:
            return
        self.named = address
        if address == self.target:
            return
        self._left, self._left_at = self.target, now
        self.target, self.last = address, None

    def admit(self, source: Address, now: float) -> bool:
        """Whether a packet from `source` is the party's; moves there if the rules allow."""
        if source == self.target:
            self.last = now
            return True
        if self.target is None:
            return False
        if source != self.named:
            if not self._allowed(source):
                return False
            if self.last is None:
                # what is still under way from the address before must not take the call back there
                if source == self._left and now - self._left_at < QUIET:
                    return False
            elif now - self.last < QUIET or source[0] != self.target[0]:
                return False
        self.target, self.last = source, now
        return True
