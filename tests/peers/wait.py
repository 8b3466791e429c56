"""Waiting for a condition with a deadline: the one way in which these tests wait."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL = 0.02  # seconds


def until(condition: Callable[[], T], what: str, seconds: float = 10.0, tail: Callable[[], str] = str) -> T:
    """The first true value of `condition`. Fails with `what` and the `tail` of a log after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}\n{tail()}")
        time.sleep(POLL)
    return value
