"""Phones in a network namespace of their own, behind a link that loses, delays, reorders and repeats packets.

The link is two TAP devices, one here and one in the namespace, with a thread that carries the frames between
them. It does what the queueing discipline netem does to a veth pair. Many kernels are built without that one
(CONFIG_NET_SCH_NETEM is off in those of small virtual machines, `tc` says "qdisc kind is unknown"); nftables can
lose and copy packets, but not delay them. Two gains: the dice are seeded, and it says what it did to how many packets.
"""

import fcntl
import heapq
import itertools
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Self

from tests.conftest import needs, without

TUNSETIFF = 0x400454CA  # linux/if_tun.h
TAP_WITHOUT_HEADER = 0x0002 | 0x1000  # IFF_TAP, IFF_NO_PI
IPV4 = b"\x08\x00"
HOSTS = range(11, 60)

_numbers = itertools.count(1)


def needs_link() -> None:
    """Skip where nobody may make network namespaces and TAP devices."""
    needs("ip")
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        without("root, and /dev/net/tun")


@dataclass(frozen=True)
class Impairment:
    """What happens to IPv4 packets, in both directions. Shares of all packets, times in seconds.

    A packet takes `delay` ± `jitter`, evenly spread; one that is `reordered` takes none, and so overtakes others, as
    in netem.
    """

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    reordered: float = 0.0
    duplicated: float = 0.0


class Link:
    """A namespace `name` with the addresses `<network>.11` and up; `<network>.1` is here, on the device `here`."""

    def __init__(self, impairment: Impairment, seed: int = 1) -> None:
        number = next(_numbers)
        self.name = f"phones{os.getpid()}-{number}"
        self.here, there = f"tap{os.getpid()}h{number}"[:15], f"tap{os.getpid()}t{number}"[:15]
        self.network = f"10.{random.randrange(64, 192)}.{random.randrange(1, 255)}"
        self.enter = ("ip", "netns", "exec", self.name)
        self.seen: Counter[str] = Counter()  # packets, lost, duplicated, overtaken
        self._impairment, self._random = impairment, random.Random(seed)
        self._stopped, self._stop = os.pipe()
        self._devices: list[int] = []
        self._thread = threading.Thread(target=self._carry, daemon=True)
        try:
            _ip("netns", "add", self.name)
            self._devices = [_tap(self.here), _tap(there)]
            _ip("link", "set", there, "netns", self.name)
            _ip("addr", "add", f"{self.network}.1/24", "dev", self.here)
            _ip("link", "set", self.here, "up")
            for host in HOSTS:
                _ip("-n", self.name, "addr", "add", f"{self.network}.{host}/24", "dev", there)
            for device in ("lo", there):
                _ip("-n", self.name, "link", "set", device, "up")
            _ip("-n", self.name, "route", "add", "default", "via", f"{self.network}.1")
        except BaseException:
            self.close()
            raise
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take it all down."""
        os.write(self._stop, b"x")
        if self._thread.is_alive():
            self._thread.join(5)
        for descriptor in (*self._devices, self._stop, self._stopped):
            os.close(descriptor)
        subprocess.run([_PROGRAM, "netns", "del", self.name], capture_output=True, check=False)

    def _carry(self) -> None:
        """Frames that are under way lie in a heap by the time of their arrival."""
        way: list[tuple[float, int, int, bytes]] = []
        numbers = itertools.count()
        latest = dict.fromkeys(
            self._devices, -1
        )  # by where it arrived: the number of the latest frame so far
        poll = select.poll()
        for descriptor in (*self._devices, self._stopped):
            poll.register(descriptor, select.POLLIN)
        while True:
            wait = max(0.0, way[0][0] - time.monotonic()) * 1000 if way else None
            ready = [descriptor for descriptor, _ in poll.poll(wait)]
            if self._stopped in ready:
                return
            for source, target in (self._devices, self._devices[::-1]):
                if source in ready:
                    frame = os.read(source, 65536)
                    for delay in self._delays(frame):
                        heapq.heappush(way, (time.monotonic() + delay, next(numbers), target, frame))
            while way and way[0][0] <= time.monotonic():
                _, number, target, frame = heapq.heappop(way)
                self.seen["overtaken"] += number < latest[target]
                latest[target] = max(latest[target], number)
                os.write(target, frame)

    def _delays(self, frame: bytes) -> list[float]:
        """When a frame arrives, for each time that it does. What is no IPv4 (ARP) arrives at once."""
        how, dice = self._impairment, self._random
        if frame[12:14] != IPV4:
            return [0.0]
        self.seen["packets"] += 1
        if dice.random() < how.loss:
            self.seen["lost"] += 1
            return []
        copies = 1 + (dice.random() < how.duplicated)
        self.seen["duplicated"] += copies - 1
        return [
            0.0 if dice.random() < how.reordered else how.delay + dice.uniform(-how.jitter, how.jitter)
            for _ in range(copies)
        ]


_PROGRAM = shutil.which("ip") or "ip"


def _ip(*arguments: str) -> None:
    subprocess.run([_PROGRAM, *arguments], check=True, capture_output=True, text=True)


def _tap(name: str) -> int:
    """A new TAP device; it lives as long as the descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP_WITHOUT_HEADER))
    return descriptor
