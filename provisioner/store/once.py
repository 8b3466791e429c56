"""What is worked out of a snapshot once and kept with it: pages and calls ask for the same of many phones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

S = TypeVar("S")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def once(work: Callable[[S, *Ts], T]) -> Callable[[S, *Ts], T]:
    """Keep what `work(snapshot, …)` gives with that snapshot, by what else it was given (hashable).

    The snapshot is immutable, and what comes out must be too. Safe to use from all threads: at worst two work it out.
    """
    name = f"{work.__module__}.{work.__qualname__}"

    @functools.wraps(work)
    def kept(snapshot: S, *given: *Ts) -> T:
        held: dict[Any, T] = vars(snapshot).setdefault(name, {})
        try:
            return held[given]
        except KeyError:
            found = held[given] = work(snapshot, *given)
            return found

    return kept
