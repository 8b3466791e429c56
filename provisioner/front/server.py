"""Which request goes where: phones' files here, staff pages to web, events to browsers."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable, Coroutine
from typing import Any

import httptools

from provisioner.front import answers
from provisioner.front.connection import Connection, Request
from provisioner.front.events import Hub
from provisioner.front.locations import Locations
from provisioner.front.phone_files import PhoneFiles
from provisioner.front.proxy import Proxy
from provisioner.front.record import Recorder
from provisioner.phones.identity import of_agent
from provisioner.phones.trust import Verdict

MAX_CONNECTIONS = 4000  # a roll-out to 800 slow phones takes 800
LEGACY = "legacy"
_STAFF = ("/staff/", "/api/")
_STAFF_EXACT = frozenset({"/staff", "/api", "/metrics", "/healthz", "/readyz"})
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d+)?")


class Server:
    """All connections of the front. `now` is a monotonic clock in seconds."""

    def __init__(
        self,
        files: PhoneFiles,
        proxy: Proxy,
        hub: Hub,
        recorder: Recorder,
        now: Callable[[], float],
        locations: Locations,
    ) -> None:
        self.now = now
        self.https_port = 0
        self._files = files
        self._locations = locations
        self._proxy = proxy
        self._hub = hub
        self._recorder = recorder
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def http(self) -> Connection:
        """A protocol for a plain connection."""
        return Connection(self, "http")

    def https(self) -> Connection:
        """A protocol for a TLS connection."""
        return Connection(self, "https")

    def legacy(self) -> Connection:
        """A protocol for a connection with TLS of old: phones' files only."""
        return Connection(self, LEGACY)

    def add(self, connection: Connection) -> None:
        """A connection was made; one too many is dropped."""
        if len(self._connections) >= MAX_CONNECTIONS:
            connection.abort()
        else:
            self._connections.add(connection)

    def remove(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    def sweep(self) -> None:
        """About once a second: drop who keeps us waiting, keep event streams alive, end those of ended sessions."""
        now = self.now()
        for connection in list(self._connections):
            connection.check(now)
        for request in self._hub.tick(now):
            self._later(self._still_signed_in(request))

    async def close(self) -> None:
        """Drop all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._connections):
            connection.abort()

    def handle(self, request: Request) -> None:
        """Answer `request`, now or later; `connection.done` when it has been answered."""
        if request.target.lower().startswith(("http://", "https://")):
            request.target = _origin_form(request.target)
        path = request.target.partition("?")[0]
        if request.connection.scheme == LEGACY:
            self._files.handle(request)
        elif path == "/":
            self._redirect(request, 302, "/staff/")
        elif self._locations.owns(path):
            self._later(self._locations.answer(request))
        elif not path.startswith(_STAFF) and path not in _STAFF_EXACT:
            self._files.handle(request)
        elif request.connection.scheme == "http" and not _is_loopback(request.connection.address):
            self._to_https(request)
        elif path == "/staff/events":
            self._later(self._events(request))
        else:
            self._later(self._proxy.pass_on(request))

    def refused(self, connection: Connection, status: int, words: str) -> None:
        """A request was refused before it was complete."""
        verdict = Verdict("bad-request", of_agent(""))
        self._recorder.answered(verdict, connection.address, "", "", status, 0, "")

    def refused_certificate(self, address: str) -> None:
        """A client certificate ended its handshake."""
        verdict = Verdict("unknown-certificate", of_agent(""))
        self._recorder.answered(verdict, address, "TLS", "", verdict.status, 0, "")

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _session(self, request: Request) -> int:
        connection = request.connection
        cookie = "; ".join(value for name, value in request.headers if name == "cookie")
        return await self._proxy.session(cookie, (connection.address, connection.scheme))

    async def _still_signed_in(self, request: Request) -> None:
        if await self._session(request) == 401:  # a web process that is away ends nothing
            self._hub.end(request)

    async def _events(self, request: Request) -> None:
        connection = request.connection
        status = await self._session(request)
        if connection.is_closing():
            return
        if status == 204 and request.method == "GET" and not self._hub.full:
            self._hub.open(request)
            return
        status, words = _no_stream(status, request.method)
        body = answers.sentence(status, words)
        connection.transport.write(
            answers.whole(status, body, "text/html; charset=utf-8", keep_alive=request.keep_alive)
        )
        connection.done(request)

    def _to_https(self, request: Request) -> None:
        host = request.header("host")
        if not _HOST.fullmatch(host):
            host = str(request.connection.transport.get_extra_info("sockname")[0])
        name = re.sub(r":\d+$", "", host) if host.count(":") == 1 or host.startswith("[") else host
        self._redirect(request, 308, f"https://{name}:{self.https_port}{request.target}")

    def _redirect(self, request: Request, status: int, where: str) -> None:
        only_head = request.method == "HEAD"
        request.connection.transport.write(
            answers.whole(
                status,
                b"",
                keep_alive=request.keep_alive and request.body.complete,
                only_head=only_head,
                extra=(("Location", where),),
            )
        )
        request.connection.done(request)


def _no_stream(status: int, method: str) -> tuple[int, str]:
    """Status and words for a browser that gets no event stream; `status` is web's word on its session."""
    if status == 502:
        return 502, "The staff pages are restarting. Try again in a few seconds."
    if status != 204:
        return 401, "Sign in first."
    if method != "GET":
        return 405, "Events can only be read."
    return 503, "Too many pages are open. Close some of them."


def _origin_form(target: str) -> str:
    """The path and query of an absolute target (RFC 9112, section 3.2.2)."""
    try:
        parts = httptools.parse_url(target.encode("latin-1"))
    except httptools.HttpParserInvalidURLError:
        return "/"
    path = (parts.path or b"/").decode("latin-1")
    return path + (f"?{parts.query.decode('latin-1')}" if parts.query else "")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
