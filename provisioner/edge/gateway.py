"""The gateways of a trunk: its targets, and what is known of their health. A pure machine by an injected clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from provisioner.sip.resolve import Target

if TYPE_CHECKING:
    from provisioner.edge.trunk import Peer

DOWN_AFTER = UP_AFTER = 3  # failures or successes in a row
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
LONGEST_BAR = 3600.0  # whatever Retry-After says


class Gateway:
    """One target of a trunk. `up` is None until it was heard of.

    A failure puts it behind the others for 5 s, a further one for twice as long, up to 5 min.
    """

    def __init__(self, peer: Peer, target: Target, clock: Callable[[], float]) -> None:
        self.peer = peer
        self.target = target
        self.up: bool | None = None
        self.failures = 0
        self.successes = 0
        self.probed = float("-inf")  # when the last probe began
        self.quarantined_until = float("-inf")
        self._barred_until = float("-inf")
        self._pause = FIRST_PAUSE
        self._clock = clock

    @property
    def address(self) -> tuple[str, int]:
        return (self.target.host, self.target.port)

    def failed(self, retry_after: float = 0.0) -> None:
        """No answer, or 503; `retry_after` in seconds where it was given (RFC 3261 21.5.4)."""
        now = self._clock()
        self.failures, self.successes = self.failures + 1, 0
        self.quarantined_until = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if retry_after > 0:
            self._barred_until = now + min(retry_after, LONGEST_BAR)
        if self.failures >= DOWN_AFTER:
            self.up = False

    def succeeded(self) -> None:
        """Any final answer but 503."""
        self.failures, self.successes = 0, self.successes + 1
        if self.up is None or self.successes >= UP_AFTER:
            if not self.up:
                self.quarantined_until = float("-inf")
            self.up = True
        if self.up and not self.quarantined:
            self._pause = FIRST_PAUSE

    @property
    def quarantined(self) -> bool:
        """Failed a while ago: the others are tried first."""
        return self._clock() < self.quarantined_until

    @property
    def barred(self) -> bool:
        """It asked for silence by Retry-After."""
        return self._clock() < self._barred_until

    @property
    def usable(self) -> bool:
        """Whether ordinary calls may try it; one that is never probed gets its chance after each quarantine."""
        known_down = self.up is False and (self.peer.profile.options or self.quarantined)
        return not known_down and not self.barred

    @property
    def undecided(self) -> bool:
        """One or two answers speak against its state."""
        return 0 < self.failures < DOWN_AFTER if self.up is not False else 0 < self.successes < UP_AFTER


def in_order(gateways: Iterable[Gateway]) -> list[Gateway]:
    """Those that ordinary calls try: in their order, the quarantined last."""
    return sorted(
        (gateway for gateway in gateways if gateway.usable), key=lambda gateway: gateway.quarantined
    )


def for_emergencies(gateways: Iterable[Gateway]) -> list[Gateway]:
    """All of them; those that are known to be bad come last, but none is left out (docs/calls.md)."""
    return sorted(
        gateways, key=lambda gateway: (not gateway.usable or gateway.peer.up is False, gateway.quarantined)
    )
