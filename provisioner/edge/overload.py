"""Overload control: when new work is refused, so that the calls that are on keep their answers (RFC 6357)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Capacity:
    """Where overload begins and ends. `delay`, `relief`: seconds that work waits in our queue."""

    delay: float = 0.25
    relief: float = 0.1
    weight: float = 0.3  # of the newest measurement
    transactions: int = 5000  # about 15 MB; a call takes four


class Overload:
    """Takes measurements, says whether new work is too much. A change of mind needs a margin."""

    def __init__(self, capacity: Capacity | None = None) -> None:
        self.capacity = capacity or Capacity()
        self.delay = 0.0
        self._late = False

    def measured(self, seconds: float) -> None:
        """A piece of work waited `seconds` for its turn."""
        weight = self.capacity.weight
        self.delay += weight * (max(0.0, seconds) - self.delay)
        if self.delay > self.capacity.delay:
            self._late = True
        elif self.delay < self.capacity.relief:
            self._late = False

    def refuses(self, transactions: int) -> bool:
        """Whether a new request is refused, with so many transactions held."""
        return self._late or transactions >= self.capacity.transactions
