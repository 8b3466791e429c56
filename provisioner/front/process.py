"""The process `front`: opens its ports, keeps the inventory in memory, answers on `run/front.sock`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner import certificates
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.front import tls
from provisioner.front.connection import Connection
from provisioner.front.door import Door
from provisioner.front.events import Hub
from provisioner.front.firmware import Firmware
from provisioner.front.inspect import Inspector
from provisioner.front.locations import PATH, Locations
from provisioner.front.lookup import Lookup
from provisioner.front.neighbours import Neighbours
from provisioner.front.phone_files import PhoneFiles
from provisioner.front.pnp import Ask
from provisioner.front.pnp_server import PnpServer, networks
from provisioner.front.proxy import Proxy
from provisioner.front.record import HANDED_OVER_EVERY, Recorder
from provisioner.front.server import Server
from provisioner.front.tftp_server import TftpServer
from provisioner.front.uploads import Uploads
from provisioner.front.watch import Watch
from provisioner.given import Server as GivenCertificate
from provisioner.ipc import Client, Json, Method
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
    `bind` is a wildcard. `legacy_https_port`: TLS 1.0 and 1.1, for phones' files only; None: no such port.
    """

    bind: str = "0.0.0.0"  # noqa: S104 - phones are on every network of the practice
    http_port: int = 80
    https_port: int = 443
    tftp_port: int = 69
    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    phone_host: str = ""
    legacy_https_port: int | None = None

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
        inspector = Inspector(lambda: self._lookup.renderer, lambda: self._journal)
        own: dict[str, Method] = {
            "ping": self._ping, "status": self._status, "reload": self._reload, "metrics": self._metrics,
            "quarantine": self._quarantine, "release": self._release, "neighbours": self._who_is_near,
        }  # fmt: skip
        self._control = ControlServer({**own, **inspector.methods})
        self._neighbours = Neighbours()
        loop = asyncio.get_running_loop()
        self._recorder = Recorder(
            self._publish,
            later=partial(loop.call_later, HANDED_OVER_EVERY),
            model=lambda who: self._lookup.model(who),
        )
        self._uploads = Uploads(state.root / "uploads", lambda mac: self._lookup.owned(mac))
        self._firmware = Firmware(state.root / "firmware")
        door = Door(state.root, self._neighbours, self._publish, kept=self._uploads.read)
        self._door = door
        self._lookup = Lookup(door)
        self._files = PhoneFiles(self._lookup, self._recorder, self._firmware, self._uploads)
        proxy = Proxy(state.run / "web.http")
        self._locations = Locations(self._lookup, self._recorder)
        self._server = Server(self._files, proxy, self._hub, self._recorder, loop.time, self._locations)
        self._edge = Client(state.socket("edge"), on_event=self._of_edge, on_connect=self._edge_is_back)
        self._listeners: list[asyncio.Server | tls.TlsListener] = []
        self._makers: tls.Stamp = ()
        self._given = GivenCertificate(state.root / "tls")
        self._tasks: list[asyncio.Task[None]] = []
        self._tftp: TftpServer | None = None
        self._pnp: PnpServer | None = None
        self._watch: Watch | None = None
        self._journal: Journal | None = None
        self.http: tuple[str, int] = ("", 0)
        self.https: tuple[str, int] = ("", 0)
        self.legacy_https: tuple[str, int] = ("", 0)
        self.tftp: tuple[str, int] = ("", 0)

    async def start(self) -> None:
        """Open all ports and read the inventory. Raises OperatorError."""
        from provisioner.store.journal import Journal

        options = self._options
        self._neighbours.open()
        self._door.load()
        self.http = await self._listen(options.http_port)
        await self._listen_tls()
        self._journal = await asyncio.to_thread(Journal.open, self._state.journal)
        self._recorder.journal = self._journal
        await self._listen_tftp()
        self._listen_pnp()
        addresses = Addresses(
            options.sip_host,
            options.sip_port,
            options.reached_at,
            self.http[1],
            https_port=self.https[1],
            tftp_port=self.tftp[1],
            authority=self._lookup.authority["pem"].decode(),
        )
        versions = self._recorder.versions
        versions |= await asyncio.to_thread(self._journal.versions)
        self._watch = Watch(self._state, addresses, self._swap, versions)
        await self._watch.reload()
        self._locations.base = f"https://{options.reached_at}:{self.https[1]}{PATH}"
        self._locations.key = await asyncio.to_thread(self._watch.reference_key)
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
        if self._pnp:
            self._pnp.close()
        await self._server.close()
        await self._edge.close()
        await self._control.close()
        await self._door.tick(self._lookup.renderer)
        self._neighbours.close()
        self._recorder.hand_over()
        if self._journal:
            await asyncio.to_thread(self._journal.close)

    async def _listen(self, port: int) -> tuple[str, int]:
        sock = _listening(self._options.bind, port)
        self._listeners.append(
            await asyncio.get_running_loop().create_server(self._server.http, sock=sock, backlog=1024)
        )
        return _name(sock)

    async def _listen_tls(self) -> None:
        """HTTPS, and the port for old phones when there is to be one."""
        options, folder = self._options, self._state.root / "tls"

        def contexts() -> list[ssl.SSLContext]:
            self._given.load()
            own = [certificates.context(folder, _names(options)) for _ in range(4)]
            return [*map(self._given.choose, own[:2]), *own[2:]]

        plain, asking, old, old_asking = await asyncio.to_thread(contexts)
        self._lookup.authority = certificates.authority(folder)
        self.https = self._accept_tls(options.https_port, self._server.https, plain, asking)
        self._server.https_port = self.https[1]
        if options.legacy_https_port is not None:
            old_pair = tls.legacy(old), tls.legacy(old_asking)
            self.legacy_https = self._accept_tls(options.legacy_https_port, self._server.legacy, *old_pair)

    def _accept_tls(
        self, port: int, make: Callable[[], Connection], plain: ssl.SSLContext, asking: ssl.SSLContext
    ) -> tuple[str, int]:
        sock = _listening(self._options.bind, port)
        self._makers = tls.stamp(self._maker_folder)
        asks = tls.asking(asking, self._maker_folder)
        now = asyncio.get_running_loop().time
        refused = self._server.refused_certificate
        pair = (plain, asking if asks else None)
        self._listeners.append(tls.TlsListener(sock, make, pair, refused, now))
        return _name(sock)

    async def _ask_anew(self) -> None:
        """Ask phones for certificates of the makers whose authorities are there now."""
        stamp = await asyncio.to_thread(tls.stamp, self._maker_folder)
        if stamp == self._makers:
            return
        self._makers = stamp
        folder, names = self._state.root / "tls", _names(self._options)
        for listener in self._listeners:
            if isinstance(listener, tls.TlsListener):
                context = await asyncio.to_thread(certificates.context, folder, names)
                if listener.plain.sni_callback is not None:
                    self._given.choose(context)
                listener.ask(tls.alike(context, listener.plain), self._maker_folder)

    @property
    def _maker_folder(self) -> Path:
        return self._state.root / "tls" / "makers"

    async def _listen_tftp(self) -> None:
        loop = asyncio.get_running_loop()
        bind, port = self._options.bind, self._options.tftp_port
        self._tftp = tftp = TftpServer(self._lookup, self._recorder, self._firmware, self._uploads)
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

    def _listen_pnp(self) -> None:
        """Answer plug-and-play in the networks of the phones; the demo, on loopback, has none."""
        hosts = networks(self._options.bind, self._options.wildcard)
        if not hosts:
            return
        pnp = PnpServer(self._recorder, self._url)
        try:
            pnp.open("0.0.0.0" if self._options.wildcard else hosts[0], hosts)  # noqa: S104
            self._pnp = pnp
        except OSError as error:
            pnp.close()
            _log.warning("no answers to SIP plug-and-play (%s): stop what has that port", error.strerror)

    def _url(self, ask: Ask) -> str:
        return self._lookup.url(ask.identity.mac, _authority((self._options.reached_at, self.http[1])))

    def _swap(self, renderer: Renderer) -> None:
        self._lookup.renderer = renderer
        # The records of all phones live long: no need to search them for garbage again and again.
        gc.freeze()

    def _publish(self, event: str, data: Json) -> None:
        self._control.publish(event, data)
        self._hub.publish(event, data)

    def _of_edge(self, event: str, data: Json) -> None:
        if event == "registration":
            self._locations.registered.heard(data)
        if event in _EDGE_EVENTS:
            self._hub.publish(event, data)

    def _edge_is_back(self) -> None:
        task = asyncio.get_running_loop().create_task(self._hear_registrations())
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def _hear_registrations(self) -> None:
        """Who registers from where, of those that did before we listened."""
        with suppress(ProvisionerError):  # it is gone again: we hear when it is back
            status = await self._edge.ask("status")
            self._locations.registered.replace(status.get("registrations", []))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._server.sweep()
            await self._door.tick(self._lookup.renderer)

    def _ping(self, _args: Json) -> Json:
        return {"pid": os.getpid(), "uptime": time.monotonic() - self._started}

    def _status(self, _args: Json) -> Json:
        return {
            "pid": os.getpid(),
            "revision": self._watch.revision if self._watch else -1,
            "phones": f"http://{_authority((self._options.reached_at, self.http[1]))}",
            "http": f"http://{_authority(self.http)}",
            "https": f"https://{_authority(self.https)}",
            "legacy_https": f"https://{_authority(self.legacy_https)}" if self.legacy_https[1] else "",
            "tftp": _authority(self.tftp),
            "requests": self._recorder.count,
            "streams": len(self._hub),
            "quarantine": self._door.quarantine(),
        }

    def _metrics(self, _args: Json) -> Json:
        answers = [[*which, count] for which, count in self._recorder.answers.items()]
        return {"answers": answers, "dropped": self._journal.dropped if self._journal else 0}

    def _quarantine(self, _args: Json) -> Json:
        return {"quarantine": self._door.quarantine()}

    def _who_is_near(self, _args: Json) -> Json:
        return {"neighbours": [{"address": host, "mac": mac} for host, mac in self._neighbours.hosts()]}

    def _release(self, args: Json) -> Json:
        source = str(args.get("source", ""))
        if not self._door.release(source):
            raise OperatorError(f"{source} is not in quarantine", "name a source as the list shows it")
        return {"source": source}

    async def _reload(self, _args: Json) -> Json:
        assert self._watch
        await asyncio.to_thread(self._given.load)
        await self._ask_anew()
        return {"revision": await self._watch.reload()}


def _authority(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _name(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return str(host), int(port)


def _listening(bind: str, port: int) -> socket.socket:
    """A TCP socket that listens; `::` takes IPv4 too. Raises OperatorError."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        sock = socket.create_server((bind, port), family=family, backlog=1024, dualstack_ipv6=bind == "::")
    except OSError as error:
        raise _cannot_listen("TCP", bind, port, error) from None
    sock.setblocking(False)
    return sock


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
    legacy_https_port: int | None = None,
) -> None:
    """Run until SIGTERM; arguments as in Options. Raises OperatorError when a port cannot be opened."""
    options = Options(
        bind, http_port, https_port, tftp_port, sip_host, sip_port, phone_host, legacy_https_port
    )
    try:
        import uvloop
    except ImportError:
        asyncio.run(_run(state, options))
    else:
        uvloop.run(_run(state, options))
