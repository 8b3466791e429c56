"""Waiting for a condition with a deadline: the one way in which these tests wait."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
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


def bound(host: str, port: int, pid: int | str = "self") -> bool:
    """Whether a UDP socket is bound to this IPv4 address and port, in the network namespace of `pid` (Linux)."""
    where = f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"
    return any(line.split()[1] == where for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:])
