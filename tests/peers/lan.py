"""A network of hosts with MACs of our choice: a bridge here, a namespace and a veth pair for each host."""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.conftest import needs, without

_PROGRAM = shutil.which("ip") or "ip"
_numbers = itertools.count(1)
CLIENT = Path(__file__).with_name("lan_client.py")


def needs_lan() -> None:
    """Skip where nobody may make namespaces and bridges."""
    needs("ip")
    if (
        os.geteuid() != 0
        or subprocess.run([_PROGRAM, "link", "add", "lantest", "type", "bridge"], check=False).returncode
    ):
        without("root, and a kernel with bridges and veth")
    _ip("link", "del", "lantest")


def _ip(*arguments: str) -> None:
    subprocess.run([_PROGRAM, *arguments], check=True, capture_output=True, text=True)


class Host:
    """One host of a Lan: `address`, `mac` (twelve hex digits), `device` (in its namespace)."""

    def __init__(self, lan: "Lan", mac: str, address: str) -> None:
        self.mac, self.address, self._lan = mac, address, lan
        number = next(_numbers)
        self.name = f"lan{os.getpid()}-{number}"
        here, there = f"lan{os.getpid()}h{number}"[:15], f"lan{os.getpid()}t{number}"[:15]
        colons = ":".join(mac[at : at + 2] for at in range(0, 12, 2))
        _ip("netns", "add", self.name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there)
        _ip("link", "set", here, "master", lan.here, "up")
        _ip("link", "set", there, "netns", self.name)
        _ip("-n", self.name, "link", "set", there, "address", colons, "up")
        self.device = there
        self.take(address)

    def take(self, address: str) -> None:
        """Ask from this address from now on."""
        _ip("-n", self.name, "addr", "flush", "dev", self.device)
        _ip("-n", self.name, "addr", "add", f"{address}/24", "dev", self.device)
        self.address = address

    def start(self, server: str, asks: list[dict[str, Any]]) -> "Asking":
        """Begin to send requests, one after the other (lan_client.py)."""
        command = [_PROGRAM, "netns", "exec", self.name, sys.executable, str(CLIENT), server]
        return Asking(command, json.dumps(asks))

    def ask(self, server: str, asks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send requests to `server`, and return the answers: `status` and `body`."""
        return self.start(server, asks).answers()


class Asking:
    """Requests under way."""

    def __init__(self, command: list[str], asks: str) -> None:
        self._file = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe would hold the client up
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self._file, text=True)
        assert self._process.stdin
        with self._process.stdin as pipe:
            pipe.write(asks)

    def ended(self) -> bool:
        """Whether all were answered."""
        return self._process.poll() is not None

    def answers(self) -> list[dict[str, Any]]:
        """Wait for the end; `status` and `body` of each."""
        with self._file:
            assert self._process.wait(60) == 0
            self._file.seek(0)
            answers: list[dict[str, Any]] = json.load(self._file)
        return answers


class Lan:
    """`<network>.1` is here, on the bridge `here`; programs that are started with `enter` are here, too."""

    def __init__(self) -> None:
        self.network = f"10.{random.randrange(64, 192)}.{random.randrange(1, 255)}"
        self.here = f"lan{os.getpid()}b{next(_numbers)}"[:15]
        self.enter = ()
        self.hosts: list[Host] = []
        # A bridge without a MAC of its own takes the lowest of its ports', another one with each host that comes.
        _ip("link", "add", self.here, "address", "02:00:00:00:00:01", "type", "bridge")
        _ip("addr", "add", f"{self.network}.1/24", "dev", self.here)
        _ip("link", "set", self.here, "up")

    def host(self, mac: str) -> Host:
        """One more host."""
        self.hosts.append(Host(self, mac, f"{self.network}.{11 + len(self.hosts)}"))
        return self.hosts[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for name in [host.name for host in self.hosts]:
            subprocess.run([_PROGRAM, "netns", "del", name], capture_output=True, check=False)
        subprocess.run([_PROGRAM, "link", "del", self.here], capture_output=True, check=False)
