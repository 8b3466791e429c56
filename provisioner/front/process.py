"""The process `front`: opens its ports, keeps the inventory in memory, answers on `run/front.sock`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from provisioner import certificates
from provisioner.errors import OperatorError
from provisioner.front.door import Door
from provisioner.front.events import Hub
from provisioner.front.inspect import Inspector
from provisioner.front.neighbours import Neighbours
from provisioner.front.phone_files import PhoneFiles
from provisioner.front.proxy import Proxy
from provisioner.front.record import HANDED_OVER_EVERY, Recorder
from provisioner.front.server import Server
from provisioner.front.tftp_server import TftpServer
from provisioner.front.watch import Watch
from provisioner.ipc import Client, Json
from provisioner.ipc import Server as ControlServer
from provisioner.paths import StateDir
from provisioner.phones.render import Renderer
from provisioner.phones.settings import Addresses

if TYPE_CHECKING:
    from provisioner.store.journal import Journal

_log = logging.getLogger(__name__)
_EDGE_EVENTS = frozenset({"call", "registration", "emergency", "resync"})


@dataclass(frozen=True)
class Options:
    """Where the front listens, and where phones reach it and the edge. Port 0: any free one.

    `phone_host`: the address by which phones reach the HTTP port; "" means `bind`, or `sip_host` when
    `bind` is a wildcard.
    """

    bind: str = "0.0.0.0"  # noqa: S104 - phones are on every network of the practice
    http_port: int = 80
    https_port: int = 443
    tftp_port: int = 69
    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    phone_host: str = ""

    @property
    def reached_at(self) -> str:
        """The host in the addresses that phones are given."""
        return self.phone_host or (self.sip_host if self.wildcard else self.bind)

    @property
    def wildcard(self) -> bool:
        """Whether it listens on every address."""
        return self.bind in ("", "0.0.0.0", "::")  # noqa: S104


class Front:
    """Everything of the process, put together. `start`, then `wait`."""

    def __init__(self, state: StateDir, options: Options) -> None:
        self._state = state
        self._options = options
        self._started = time.monotonic()
        self._hub = Hub()
        inspector = Inspector(lambda: self._files.renderer, lambda: self._journal)
        self._control = ControlServer(
            {
                "ping": self._ping,
                "status": self._status,
                "reload": self._reload,
                "quarantine": self._quarantine,
                "release": self._release,
                **inspector.methods,
            }
        )
        self._neighbours = Neighbours()
        self._door = Door(state.root / "contacts.json", self._neighbours, self._publish)
        loop = asyncio.get_running_loop()
        self._recorder = Recorder(self._publish, later=partial(loop.call_later, HANDED_OVER_EVERY))
        self._files = PhoneFiles(self._recorder, state.root / "uploads", self._door)
        proxy = Proxy(state.run / "web.http")
        self._server = Server(self._files, proxy, self._hub, self._recorder, loop.time)
        self._edge = Client(state.socket("edge"), on_event=self._of_edge)
        self._listeners: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._tftp: TftpServer | None = None
        self._watch: Watch | None = None
        self._journal: Journal | None = None
        self.http: tuple[str, int] = ("", 0)
        self.https: tuple[str, int] = ("", 0)
        self.tftp: tuple[str, int] = ("", 0)

    async def start(self) -> None:
        """Open all ports and read the inventory. Raises OperatorError."""
        from provisioner.store.journal import Journal

        options = self._options
        self._neighbours.open()
        self._door.load()
        self.http = await self._listen(options.http_port, None)
        context = await asyncio.to_thread(certificates.context, self._state.root / "tls", _names(options))
        self.https = await self._listen(options.https_port, context)
        self._server.https_port = self.https[1]
        self._journal = await asyncio.to_thread(Journal.open, self._state.journal)
        self._recorder.journal = self._journal
        await self._listen_tftp()
        addresses = Addresses(
            options.sip_host,
            options.sip_port,
            options.reached_at,
            self.http[1],
            https_port=self.https[1],
            tftp_port=self.tftp[1],
        )
        versions = self._recorder.versions
        versions |= await asyncio.to_thread(self._journal.versions)
        self._watch = Watch(self._state, addresses, self._swap, versions)
        await self._watch.reload()
        self._edge.start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch.run()), loop.create_task(self._sweep())]
        await self._control.start(self._state.socket("front"))

    async def close(self) -> None:
        """Stop listening and drop everything."""
        for listener in self._listeners:
            listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tftp:
            self._tftp.close()
        await self._server.close()
        await self._edge.close()
        await self._control.close()
        await self._door.tick(self._files.renderer)
        self._neighbours.close()
        self._recorder.hand_over()
        if self._journal:
            await asyncio.to_thread(self._journal.close)

    async def _listen(self, port: int, context: Any) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        bind = self._options.bind
        factory = self._server.https if context else self._server.http
        handshake = {"ssl": context, "ssl_handshake_timeout": 30.0} if context else {}
        try:
            listener = await loop.create_server(factory, bind, port, backlog=1024, **handshake)
        except OSError as error:
            raise _cannot_listen("TCP", bind, port, error) from None
        self._listeners.append(listener)
        host, bound = listener.sockets[0].getsockname()[:2]
        return str(host), int(bound)

    async def _listen_tftp(self) -> None:
        loop = asyncio.get_running_loop()
        bind, port = self._options.bind, self._options.tftp_port
        self._tftp = tftp = TftpServer(lambda: self._files.renderer, self._recorder, self._door)
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.bind((bind, port))
        except OSError as error:
            sock.close()
            raise _cannot_listen("UDP", bind, port, error) from None
        transport, _ = await loop.create_datagram_endpoint(lambda: tftp, sock=sock)
        host, bound = transport.get_extra_info("sockname")[:2]
        self.tftp = (str(host), int(bound))

    def _swap(self, renderer: Renderer) -> None:
        self._files.renderer = renderer
        # The records of all phones live long: no need to search them for garbage again and again.
        gc.freeze()

    def _publish(self, event: str, data: Json) -> None:
        self._control.publish(event, data)
        self._hub.publish(event, data)

    def _of_edge(self, event: str, data: Json) -> None:
        if event in _EDGE_EVENTS:
            self._hub.publish(event, data)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._server.sweep()
            await self._door.tick(self._files.renderer)

    def _ping(self, _args: Json) -> Json:
        return {"pid": os.getpid(), "uptime": time.monotonic() - self._started}

    def _status(self, _args: Json) -> Json:
        return {
            "pid": os.getpid(),
            "revision": self._watch.revision if self._watch else -1,
            "phones": f"http://{_authority((self._options.reached_at, self.http[1]))}",
            "http": f"http://{_authority(self.http)}",
            "https": f"https://{_authority(self.https)}",
            "tftp": _authority(self.tftp),
            "requests": self._recorder.count,
            "streams": len(self._hub),
            "quarantine": self._door.quarantine(),
        }

    def _quarantine(self, _args: Json) -> Json:
        return {"quarantine": self._door.quarantine()}

    def _release(self, args: Json) -> Json:
        source = str(args.get("source", ""))
        if not self._door.release(source):
            raise OperatorError(f"{source} is not in quarantine", "name a source as the list shows it")
        return {"source": source}

    async def _reload(self, _args: Json) -> Json:
        assert self._watch
        return {"revision": await self._watch.reload()}


def _authority(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _names(options: Options) -> set[str]:
    """What the certificate is to be good for."""
    if not options.wildcard:
        return {socket.gethostname(), options.reached_at, options.bind}
    from provisioner.interfaces import local_addresses

    return {socket.gethostname(), options.reached_at, *local_addresses()}


def _cannot_listen(kind: str, bind: str, port: int, error: OSError) -> OperatorError:
    return OperatorError(
        f"cannot listen on {kind} {bind}:{port} ({error.strerror})",
        "choose another port or address, or stop the program that has it",
    )


async def _run(state: StateDir, options: Options) -> None:
    front = Front(state, options)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await front.start()
        await stop.wait()
    finally:
        await front.close()


def main(
    state: StateDir,
    bind: str = Options.bind,
    http_port: int = Options.http_port,
    https_port: int = Options.https_port,
    sip_host: str = Options.sip_host,
    sip_port: int = Options.sip_port,
    tftp_port: int = Options.tftp_port,
    phone_host: str = "",
) -> None:
    """Run until SIGTERM; arguments as in Options. Raises OperatorError when a port cannot be opened."""
    options = Options(bind, http_port, https_port, tftp_port, sip_host, sip_port, phone_host)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_run(state, options))
    else:
        uvloop.run(_run(state, options))
