"""The appliance under test: started by its command, watched through its control sockets and files only."""

import http.client
import itertools
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

from tests.peers.link import Link
from tests.peers.wait import until

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "provisioner" / "media" / "audio"
READY_SECONDS = 30.0

AGENTS = {  # by the first six digits of a MAC address: what such a phone calls itself
    "0004f2": "FileTransport PolycomVVX-VVX_411-UA/5.9.6.2327 Type/Application",
    "001565": "Yealink SIP-T46S 66.85.0.5 {colons}",
    "000b82": "Grandstream Model HW GXP2170 SW 1.0.11.64 DevId {mac}",
}
DEMO = {"101": "0004f2000101", "102": "001565000102", "103": "000b82000103"}

_networks = (f"127.{random.randrange(64, 192)}.{number}" for number in itertools.count(1))


@dataclass(frozen=True)
class Account:
    """What a phone registers with, as its file says."""

    user: str
    auth_user: str
    password: str
    server: str
    port: int


class Control:
    """A control socket (docs/internals.md); `events` holds all that it told since `subscribe`."""

    def __init__(self, path: Path) -> None:
        self.events: list[dict[str, Any]] = []
        self._replies: dict[int, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._gone = False
        self._ids = itertools.count(1)
        self._socket = socket.socket(socket.AF_UNIX)
        directory = os.open(path.parent, os.O_RDONLY)  # the path itself may be too long for a socket's name
        try:
            self._socket.connect(f"/proc/self/fd/{directory}/{path.name}")
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(directory)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(ConnectionResetError), self._socket.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                with self._news:
                    if "event" in message:
                        self.events.append({**message, "at": time.time()})
                    else:
                        self._replies[message["id"]] = message
                    self._news.notify_all()
        with self._news:
            self._gone = True
            self._news.notify_all()

    def call(self, name: str, **args: Any) -> dict[str, Any]:
        """Ask, and return what came back."""
        number = next(self._ids)
        line = json.dumps({"id": number, "call": name, "args": args}) + "\n"
        with self._news:
            self._socket.sendall(line.encode())
            self._news.wait_for(lambda: number in self._replies or self._gone, 10)
            assert number in self._replies, f"no reply to {name}"
            reply = self._replies.pop(number)
        assert "ok" in reply, reply
        return reply["ok"]

    def wait(
        self, condition: Callable[[dict[str, Any]], bool], what: str, after: int = 0, seconds: float = 10.0
    ) -> int:
        """The place in `events` of the first from `after` on that fits, past or to come."""

        def found() -> bool:
            return any(condition(event) for event in self.events[after:])

        with self._news:
            came = self._news.wait_for(found, seconds)
            events = list(self.events)
        assert came, f"no event within {seconds:g} s: {what}"
        return next(place for place in range(after, len(events)) if condition(events[place]))

    def close(self) -> None:
        with suppress(OSError):  # the far end may have closed it already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(5)
        self._socket.close()


class Appliance:
    """`provisioner run --demo --no-life` on `directory`, with a network of its own: below 127.0.0.0/8, or a link's."""

    def __init__(self, directory: Path, *args: str, core: str = "", link: Link | None = None) -> None:
        self.network = link.network if link else next(_networks)
        self.device = link.here if link else "lo"
        self.enter = link.enter if link else ()  # what starts a program where the phones are
        self.host = f"{self.network}.1"
        self.core_host = f"{self.network}.2"
        self.state = directory / "state"
        self._hosts = itertools.count(11)
        self._controls: list[Control] = []
        self._log = directory / "appliance.log"
        ready = directory / "ready.json"
        command = [sys.executable, "-m", "provisioner", "run", "--demo", "--no-life"]
        command += ["--state", str(self.state), "--bind", self.host, "--ready-file", str(ready)]
        command += ["--http-port", "0", "--https-port", "0", "--sip-port", "0", "--sips-port", "0", *args]
        if core:
            command += ["--core", core.format(core=self.core_host)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            until(
                lambda: ready.exists() or self._process.poll() is not None, "ready", READY_SECONDS, self.tail
            )
            assert self._process.poll() is None, self.tail()
        except BaseException:
            self.stop()
            raise
        self.info: dict[str, Any] = json.loads(ready.read_text())
        sip = self.info["sip"]
        address = re.search(r"([\d.]+):(\d+)", sip if isinstance(sip, str) else sip[0])
        assert address, sip
        self.port = int(address.group(2))
        self.tls_port = int(self.info["sips"].rpartition(":")[2])
        self.authority = self.state / "tls" / "ca.pem"
        self.edge = self.control("edge")
        self.edge.call("subscribe")

    def kill_edge(self) -> None:
        """SIGKILL to the edge alone; waits until another one serves."""
        before = self.edge.call("ping")["pid"]
        os.kill(before, signal.SIGKILL)

        def again() -> Control | None:
            try:
                edge = self.control("edge")
                return edge if edge.call("ping")["pid"] != before else None
            except (OSError, AssertionError):
                return None

        self.edge = until(again, "the edge is started again", tail=self.tail)
        self.port = int(self.edge.call("status")["sip"].rpartition(":")[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def tail(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-3000:]

    def stop(self) -> int | None:
        """SIGTERM; the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(5)
        for control in self._controls:
            control.close()
        return self._process.returncode

    def control(self, process: str) -> Control:
        """The control socket of one of its processes."""
        self._controls.append(Control(self.state / "run" / f"{process}.sock"))
        return self._controls[-1]

    def new_host(self) -> str:
        """An address for one more phone."""
        return f"{self.network}.{next(self._hosts)}"

    # files

    def _request(self, path: str, headers: dict[str, str], body: bytes | None = None) -> bytes:
        scheme = "https" if path.startswith("/api/") else "http"  # no token in the clear, but to loopback
        request = urllib.request.Request(self.info[scheme].rstrip("/") + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self._trust()) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read()[:300]!r}\n{self.tail()}") from None
        except (OSError, http.client.HTTPException) as error:
            raise AssertionError(f"{path}: {error!r}\n{self.tail()}") from None

    def _trust(self) -> ssl.SSLContext:
        """Its own authority, and no other."""
        return ssl.create_default_context(cafile=str(self.authority))

    def fetch(self, name: str, mac: str) -> str:
        """A file as the phone with that MAC address asks for it."""
        colons = ":".join(mac[at : at + 2] for at in range(0, 12, 2))
        agent = AGENTS[mac[:6]].format(mac=mac, colons=colons)
        return self._request(f"/{name}", {"User-Agent": agent}).decode()

    def adopt(self, mac: str) -> str:
        """Boot a new phone, adopt it through the API, and return its extension."""
        self.fetch(f"{mac}.cfg", mac)
        return self.adopt_seen(mac)

    def adopt_seen(self, mac: str) -> str:
        """Adopt a phone that has asked for its files, and return its extension."""

        def seen() -> bool:
            return mac in str(self.api("phones"))

        until(seen, f"{mac} waits for adoption", tail=self.tail)
        return self.api(f"phones/{mac}/adopt", b"")["lines"][0]["extension"]

    def api(self, path: str, body: bytes | None = None) -> Any:
        """GET, or POST of `body`, at /api/v1."""
        headers = {"Authorization": f"Bearer {self.info['api_token']}"}
        if body:
            headers["Content-Type"] = "application/json"
        return json.loads(self._request(f"/api/v1/{path}", headers, body))

    def account(self, mac: str) -> Account:
        """Line 1, taken out of the files that this phone reads."""
        return {"0004f2": self._polycom, "001565": self._yealink, "000b82": self._grandstream}[mac[:6]](mac)

    def _polycom(self, mac: str) -> Account:
        master = ElementTree.fromstring(self.fetch(f"{mac}.cfg", mac))
        names = next(
            element.get("CONFIG_FILES", "") for element in master.iter() if "CONFIG_FILES" in element.attrib
        )
        values: dict[str, str] = {}
        for name in reversed([name.strip() for name in names.split(",")]):  # what is named first wins
            for element in ElementTree.fromstring(self.fetch(name, mac)).iter():
                values |= element.attrib
        server = values["reg.1.server.1.address"], int(values["reg.1.server.1.port"])
        return Account(
            values["reg.1.address"], values["reg.1.auth.userId"], values["reg.1.auth.password"], *server
        )

    def _yealink(self, mac: str) -> Account:
        text = self.fetch(f"{mac}.cfg", mac)
        values = dict(re.findall(r"^account\.1\.(\S+) *= *(.*?) *$", text, re.M))
        server = values["sip_server.1.address"], int(values["sip_server.1.port"])
        return Account(values["user_name"], values["auth_name"], values["password"], *server)

    def _grandstream(self, mac: str) -> Account:
        root = ElementTree.fromstring(self.fetch(f"cfg{mac}.xml", mac))
        values = {element.tag: element.text or "" for element in root.iter()}
        host, _, port = values["P47"].partition(":")
        return Account(values["P35"], values["P36"], values["P34"], host, int(port))

    # calls

    def calls(self) -> list[dict[str, Any]]:
        """The calls that are up."""
        return self.edge.call("status")["calls"]

    def count(self, name: str) -> int:
        """A counter of the edge."""
        return int(self.edge.call("status")["counters"].get(name, 0))

    def registered(self, host: str) -> list[str]:
        """Extensions that hold a contact at `host`."""
        rows = self.edge.call("status")["registrations"]
        return [row["extension"] for row in rows if f"@{host}:" in row["contact"]]
