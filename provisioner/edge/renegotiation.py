"""A call in a codec that media does not speak, of which somebody wants the menu: both parties are asked for G.711."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from provisioner.edge.offers import PLAIN, kept
from provisioner.sip.sdp import SPOKEN

if TYPE_CHECKING:
    from provisioner.edge.leg import Leg


class Renegotiation:
    """Asks one leg after the other by re-INVITE. When the second one refuses, the first gets its codec back.

    `keys`: what the desk user pressed meanwhile, to be counted once it is over. `done` hears whether all agreed.
    """

    def __init__(self, legs: tuple[Leg, Leg], done: Callable[[bool], None]) -> None:
        self.keys = ""
        self._legs = legs
        self._done = done
        agreed = legs[0].sdp.negotiated
        self._before = kept(agreed) if agreed else PLAIN

    def begin(self) -> None:
        """Ask the first leg."""
        self._legs[0].ask(PLAIN, self._first)

    def _first(self, agreed: bool) -> None:
        if not agreed:
            self._done(False)
        elif self._legs[1].codec in SPOKEN:
            self._done(True)
        else:
            self._legs[1].ask(PLAIN, self._second)

    def _second(self, agreed: bool) -> None:
        if agreed:
            self._done(True)
        else:
            self._legs[0].ask(self._before, lambda _agreed: self._done(False))
