"""A front on real sockets of 127.0.0.1, in a thread, with a clock that a test turns by hand."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from provisioner import certificates as tls
from provisioner.front.connection import Connection
from provisioner.front.door import Door
from provisioner.front.events import Hub
from provisioner.front.firmware import Firmware
from provisioner.front.locations import Locations
from provisioner.front.lookup import Lookup
from provisioner.front.neighbours import Neighbours
from provisioner.front.phone_files import PhoneFiles
from provisioner.front.proxy import Proxy
from provisioner.front.record import Recorder
from provisioner.front.server import Server
from provisioner.front.tftp_server import TftpServer
from provisioner.front.tls import TlsListener, asking, legacy
from provisioner.front.uploads import Uploads
from provisioner.ipc import connect_unix, listen_unix
from tests.phones.samples import renderer


class Rows:
    """A journal that keeps its rows in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict[str, Any]]] = []

    def write(self, table: str, row: dict[str, Any]) -> None:
        self.rows.append((table, row))

    def of(self, table: str) -> list[dict[str, Any]]:
        return [row for name, row in self.rows if name == table]


class Front:
    """Server, files, proxy and TFTP as the process puts them together, without a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.time = 1000.0
        self.journal = Rows()
        self.events: list[dict[str, Any]] = []
        self.hub = Hub()
        self.recorder = Recorder(
            self._publish,
            self.journal,
            clock=lambda: 1_700_000_000.5,
            model=lambda who: self.lookup.model(who),
        )
        self.uploads = Uploads(folder / "uploads", lambda mac: self.lookup.owned(mac))
        self.firmware = Firmware(folder / "firmware")
        self.door = Door(
            folder,
            Neighbours(),
            self._publish,
            clock=lambda: self.time,
            kept=self.uploads.read,
        )
        self.lookup = Lookup(self.door)
        self.lookup.renderer = renderer()
        self.files = PhoneFiles(self.lookup, self.recorder, self.firmware, self.uploads)
        self.web_path = folder / "web.http"
        self.locations = Locations(self.lookup, self.recorder, lambda: self.time)
        proxy = Proxy(self.web_path)
        self.server = Server(self.files, proxy, self.hub, self.recorder, lambda: self.time, self.locations)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def _publish(self, event: str, data: dict[str, Any]) -> None:
        self.events.append(data)
        self.hub.publish(event, data)

    def start(self) -> None:
        self._thread.start()
        self.run(self._open())

    async def _open(self) -> None:
        listener = await self.loop.create_server(self.server.http, "127.0.0.1", 0)
        self.http = listener.sockets[0].getsockname()[1]
        self._listeners: list[asyncio.Server | TlsListener] = [listener]
        self.lookup.authority = tls.authority(self.folder / "tls")
        self.https = self._tls(self.server.https, lambda context: context)
        self.legacy = self._tls(self.server.legacy, legacy)
        self.server.https_port = self.https
        self.tftp = TftpServer(self.lookup, self.recorder, self.firmware, self.uploads)
        transport, _ = await self.loop.create_datagram_endpoint(lambda: self.tftp, ("127.0.0.1", 0))
        self.tftp_port = transport.get_extra_info("sockname")[1]

    def _tls(self, make: Callable[[], Connection], change: Callable[[ssl.SSLContext], ssl.SSLContext]) -> int:
        """A TLS port as the process opens it."""
        contexts = [change(tls.context(self.folder / "tls", ["127.0.0.1"])) for _ in range(2)]
        asks = asking(contexts[1], self.folder / "makers")
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        pair = (contexts[0], contexts[1] if asks else None)
        refused = self.server.refused_certificate
        self._listeners.append(TlsListener(sock, make, pair, refused, lambda: self.time))
        return int(sock.getsockname()[1])

    def stop(self) -> None:
        self.run(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self.tftp.close()
        await self.server.close()
        await asyncio.sleep(0)
        await self.loop.shutdown_default_executor()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the front's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function on the front's loop and wait for it."""

        async def work() -> Any:
            return function()

        return self.run(work())

    def later(self, seconds: float) -> None:
        """Turn the clock, and let the front look at it."""
        self.time += seconds
        self.call(self.server.sweep)

    def client(self) -> ssl.SSLContext:
        """A client's context that trusts this front's authority only."""
        return ssl.create_default_context(cafile=str(self.folder / "tls" / "ca.pem"))

    def connect(self, port: int | None = None) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.http), timeout=10)


class RawWeb:
    """A web process that answers every connection with fixed bytes, and keeps what it was sent."""

    def __init__(self, path: Path, answer: bytes, wait_for: bytes = b"\r\n\r\n", close: bool = True) -> None:
        self._path = path
        self._socket = listen_unix(path)
        self._socket.setblocking(True)
        self._answer, self._wait_for, self._close = answer, wait_for, close
        self.received: list[bytes] = []
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._stopping = False
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._stopping:
                connection.close()
                return
            connection.settimeout(10)
            self._held.append(connection)
            data = bytearray()
            with suppress(OSError):
                while self._wait_for not in data[-100:] and (piece := connection.recv(65536)):
                    data += piece
                self.received.append(bytes(data))
                connection.sendall(self._answer)
                if self._close:
                    connection.close()

    def stop(self) -> None:
        self._stopping = True
        connect_unix(self._path).close()
        self._thread.join()
        self._socket.close()
        for connection in self._held:
            connection.close()


def read_all(sock: socket.socket) -> bytes:
    """Everything until the peer closes."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def read_until(sock: socket.socket, mark: bytes, data: bytes = b"") -> bytes:
    """Everything up to `mark` and what came with it."""
    while mark not in data:
        piece = sock.recv(65536)
        assert piece, f"closed before {mark!r}: {data!r}"
        data += piece
    return data
