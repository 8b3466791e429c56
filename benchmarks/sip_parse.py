"""SIP messages: what an ordinary INVITE costs, and the dearest of the hostile ones.

Run: .venv/bin/python benchmarks/sip_parse.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from provisioner.sip.message import parse
from tests.sip.lone import OFFER, request
from tests.sip.test_cost import HOSTILE, agent

INVITE = request(
    "INVITE",
    "Max-Forwards: 70",
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY, REFER, SUBSCRIBE, MESSAGE, PRACK",
    "Supported: replaces, timer, 100rel",
    "User-Agent: Example Desk Phone 66.86.0.15",
    "Session-Expires: 1800;refresher=uac",
    "Allow-Events: talk, hold, conference, refer, check-sync",
    "P-Preferred-Identity: <sip:101@10.0.0.1>",
    "Accept: application/sdp",
    body=OFFER,
)


def best(call: Callable[[], object], times: int, rounds: int = 15) -> float:
    """Seconds of CPU of one call, the best of some rounds."""
    found = []
    for _ in range(rounds):
        before = time.thread_time()
        for _ in range(times):
            call()
        found.append((time.thread_time() - before) / times)
    return min(found)


def hostile(data: bytes) -> float:
    """Seconds of CPU that an agent spends on a message, the best of five fresh agents."""
    found = []
    for _ in range(5):
        lone = agent()
        before = time.thread_time()
        lone.hear(data)
        found.append(time.thread_time() - before)
    return min(found)


def main() -> None:
    """Print the figures."""
    message = parse(INVITE)
    figures = {
        "parse": best(lambda: parse(INVITE), 2000),
        "180": best(lambda: message.response(180, "", "0123456789abcdef").encode(), 2000),
        "parse + 180": best(lambda: parse(INVITE).response(180, "", "0123456789abcdef").encode(), 2000),
    }
    print(f"INVITE of {len(INVITE)} bytes, {len(message.headers)} headers")
    for name, cost in figures.items():
        print(f"  {name:12} {cost * 1e6:7.1f} us")
    costs = sorted(((hostile(data), name, len(data)) for name, data in HOSTILE.items()), reverse=True)
    print("Agent.receive, the dearest hostile messages")
    for cost, name, size in costs[:8]:
        print(f"  {name:24} {size:6} bytes {cost * 1e3:6.2f} ms")


if __name__ == "__main__":
    main()
