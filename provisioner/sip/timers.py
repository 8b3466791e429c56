"""Deadlines of the sans-I/O machines: a heap of callbacks against an injected clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """One pending callback; `cancel` makes it a no-op."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never fire."""
        self.callback = None


class Timers:
    """All timers of one process.

    `clock` is monotonic, in seconds; `wake` is told of each new earliest deadline.
    """

    def __init__(self, clock: Callable[[], float], wake: Callable[[float], None] | None = None) -> None:
        self.clock = clock
        self.wake = wake
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` in `seconds`."""
        timer = Timer(self.clock() + seconds, callback)
        self._count += 1
        heapq.heappush(self._heap, (timer.when, self._count, timer))
        if self.wake and self._heap[0][2] is timer:
            self.wake(timer.when)
        return timer

    def deadline(self) -> float | None:
        """When `fire` has next to be called, or None."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def fire(self) -> None:
        """Run every callback that is due by the clock, earliest first."""
        now = self.clock()
        while (when := self.deadline()) is not None and when <= now:
            timer = heapq.heappop(self._heap)[2]
            callback, timer.callback = timer.callback, None
            if callback:
                callback()

    def pending(self) -> int:
        """How many timers are still to fire (tests look for leaks with it)."""
        return sum(1 for _, _, timer in self._heap if timer.callback is not None)
