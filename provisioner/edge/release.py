"""The end of a transfer when a trunk's `release` is "refer": the core is asked to connect caller and target itself.

The edge bridges the two until the core says that it has done so, and goes on when it refuses, fails or is
silent: nobody is lost (RFC 5589 7.3).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from provisioner.sip.refer import OutgoingReferral, replacing

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge
    from provisioner.edge.leg import Leg

REFER_SECONDS = 30.0  # for the core to tell what became of it; it is not waited for any longer
AFTER_SECONDS = 2.0  # one leg ended: the core may have just taken the other one over, and be about to say so

_log = logging.getLogger(__name__)


def possible(caller: Leg, target: Leg) -> bool:
    """Both are calls of one core, which is set and known to take REFER."""
    peer = caller.peer
    if peer is None or target.peer is None or peer.trunk.id != target.peer.trunk.id:
        return False
    return peer.trunk.release == "refer" and peer.profile.refer


class Release:
    """One attempt. `done` is called when the edge is out of the call: both of its legs are to end."""

    def __init__(self, edge: Edge, caller: Leg, target: Leg, done: Callable[[], None]) -> None:
        self._edge, self._done = edge, done
        self.pending = True
        assert target.session.dialog
        self._referral = OutgoingReferral(caller.session, replacing(target.session.dialog), self._result)
        self._timer = edge.timers.after(REFER_SECONDS, lambda: self._failed("it says nothing"))

    def stop(self) -> None:
        """The call is over."""
        self.pending = False
        self._timer.cancel()
        self._referral.stop()

    def ended(self) -> bool:
        """One of the two legs ended; False when that ends the call, else `done` will be called within 2 s."""
        if self.pending:
            self._timer.cancel()
            self._timer = self._edge.timers.after(AFTER_SECONDS, self._out)
        return self.pending

    def _result(self, status: int) -> None:
        if status < 300:
            self._edge.count("released-by-refer")
            self._out()
        elif self.pending:
            self._failed(f"it answers {status}")

    def _out(self) -> None:
        self.stop()
        self._done()

    def _failed(self, why: str) -> None:
        self.pending = False
        self._timer.cancel()
        self._edge.count("refer-failed")
        _log.info("the core did not take a transfer over (%s): it stays in the edge", why)
