"""One HTTP connection: bytes to requests (httptools), answers in order, limits on size and time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import httptools

from provisioner.front import answers
from provisioner.front.mend import mended

if TYPE_CHECKING:
    from provisioner.front.server import Server

MAX_HEAD = 16 << 10  # the longest head of a phone or a browser is under 4 KiB
MAX_HELD = 64 << 10  # of a body that nobody has read yet; then the sender waits
REQUEST_SECONDS = 30.0  # for a whole head, and for each PROGRESS bytes of a body
PROGRESS = 32 << 10
IDLE_SECONDS = 75.0  # between the requests of one connection
LEAVING_SECONDS = 2.0  # for a refused peer to stop sending
STALLED_SECONDS = 60.0  # for a receiver that takes nothing
PIPELINED = 32  # requests that may wait behind the one being answered


@lru_cache(maxsize=512)
def _name(name: bytes) -> str:
    return name.decode("latin-1").lower()


class Body:
    """A request's body as it arrives; `read` waits for more. `limit` bytes at most, None: not decided yet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held: deque[bytes] = deque()
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self.complete = False
        self.total = 0
        self.lost = False

    def feed(self, data: bytes) -> None:
        """What has come."""
        self._held.append(data)
        self._size += len(data)
        self.total += len(data)
        if self._size > MAX_HELD:
            self._connection.hold()
        self._wake()

    def end(self, lost: bool = False) -> None:
        """Nothing more will come; `lost`: because the connection went."""
        self.complete = not lost or self.complete
        self.lost = lost and not self.complete
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """The next piece, b"" at the end. Raises ConnectionError when the sender went away."""
        while not self._held:
            if self.lost:
                raise ConnectionResetError("the sender of a request went away")
            if self.complete:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = self._held.popleft()
        self._size -= len(data)
        if self._size <= MAX_HELD:
            self._connection.unhold()
        return data


class Request:
    """One request: method, target as sent, headers with lower-case names, and what the answer must mind."""

    __slots__ = ("_first", "body", "connection", "headers", "keep_alive", "method", "target", "version")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.method = ""
        self.target = ""
        self.version = "1.1"
        self.headers: list[tuple[str, str]] = []
        self._first: dict[str, str] = {}
        self.keep_alive = False
        self.body = Body(connection)

    def header(self, name: str) -> str:
        """The first header called `name` (lower case), or ""."""
        return self._first.get(name, "")

    def add(self, name: str, value: str) -> None:
        """One header more."""
        self.headers.append((name, value))
        self._first.setdefault(name, value)

    @property
    def body_length(self) -> int | None:
        """What Content-Length says; None for a chunked body."""
        if self.header("transfer-encoding"):
            return None
        length = self.header("content-length")
        return int(length) if length.isdigit() else 0


class Connection(asyncio.Protocol):
    """Parses requests and hands them, one at a time and in order, to `server.handle`."""

    def __init__(self, server: Server, scheme: str) -> None:
        self.server = server
        self.scheme = scheme
        self.address = ""
        self.subject = ""  # the common name of a client certificate that a maker's authority has signed
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._parser = httptools.HttpRequestParser(self)
        self._receiving: Request | None = None
        self._in_head = False
        self._head_size = 0
        self._waiting: deque[Request] = deque()
        self._answering: Request | None = None
        self._spoilt = False  # what follows the request being answered cannot be taken
        self._closing = False
        self._left = False  # refused; the peer may still be sending
        self._held = False
        self._since = 0.0  # when the last answer was done
        self._stalled_at: float | None = None
        self._drained: asyncio.Event | None = None
        self._began = 0.0  # when the request being received began; a body's progress moves it on
        self._writing: Request | None = None
        self.streaming = False  # the answer has no end: it ends when the peer does
        self._ended = False  # the peer sends nothing more
        self._early: bytearray | None = bytearray()  # the first head, until it is complete
        self._mending = False

    # -- asyncio ----------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        if self.scheme != "http":
            self.subject = common_name(transport.get_extra_info("peercert"))
        self._since = self.server.now()
        self.server.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for request in ([self._receiving] if self._receiving else []) + list(self._waiting):
            request.body.end(lost=True)
        self._waiting.clear()
        if self._drained:
            self._drained.set()
        self.server.remove(self)

    def data_received(self, data: bytes) -> None:
        if self._closing or self._spoilt:
            return
        if self._early is not None:
            self._early += data
            if self._mending:
                self._mend()
                return
        if self._in_head:
            self._count(len(data))
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered as if nothing had been asked (RFC 9110, section 7.8), and closed
        except httptools.HttpParserError:
            if self._early is None:
                self._refuse(400, "this is not a request that can be understood")
            else:
                self._mending = True
                self._mend()

    def _mend(self) -> None:
        """What the parser does not take: a plain GET of an old phone may be meant."""
        assert self._early is not None
        if len(self._early) > MAX_HEAD:
            self._refuse(431, "the head of the request is too long")
            return
        head = mended(bytes(self._early))
        if head is None:
            self._refuse(400, "this is not a request that can be understood")
        elif head:
            self._early, self._mending = None, False
            self._parser = httptools.HttpRequestParser(self)
            self._receiving = None
            try:
                self._parser.feed_data(head)
            except httptools.HttpParserError:
                self._refuse(400, "this is not a request that can be understood")

    def eof_received(self) -> bool:
        self._ended = True
        # A phone may close its half and still wait for the answer, once its request is whole; TLS has no halves.
        whole = self._answering is not None and self._answering is not self._receiving
        return whole and self.scheme == "http" and not self.streaming

    def pause_writing(self) -> None:
        self._stalled_at = self.server.now()
        self._drained = asyncio.Event()

    def resume_writing(self) -> None:
        self._stalled_at = None
        if self._drained:
            self._drained.set()
            self._drained = None

    # -- httptools ----------------------------------------

    def on_message_begin(self) -> None:
        self._receiving = Request(self)
        self._in_head = True
        self._head_size = 0
        self._began = self.server.now()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        assert self._receiving
        self._receiving.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        assert self._receiving
        self._receiving.add(_name(name), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        request = self._receiving
        assert request
        self._in_head = False
        self._early = None
        request.method = self._parser.get_method().decode("latin-1")
        request.version = self._parser.get_http_version()
        request.keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        if len(self._waiting) >= PIPELINED:
            self._refuse(400, "too many requests wait on this connection")
            return
        length = request.body_length
        if length is None or length:
            self._next_or_wait(request)

    def on_body(self, body: bytes) -> None:
        if self._receiving and not self._closing:
            self._receiving.body.feed(body)
            self._began += REQUEST_SECONDS * len(body) / PROGRESS

    def on_message_complete(self) -> None:
        request, self._receiving = self._receiving, None
        if request is None or self._closing:
            return
        request.body.end()
        length = request.body_length
        if length is not None and not length:
            self._next_or_wait(request)

    # -- order, size and time ----------------------------------------

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            self._refuse(431, "the head of the request is too long")

    def _next_or_wait(self, request: Request) -> None:
        if self._closing:
            return
        if self._answering:
            self._waiting.append(request)
            self.hold()
        else:
            self._answering = request
            self.server.handle(request)

    def done(self, request: Request) -> None:
        """The answer to `request` has been written: close, or take the next request."""
        self._answering = None
        self._writing = None
        self._since = self.server.now()
        if self._closing:
            return
        if not request.body.complete or self._spoilt:
            self._leave(coming=not self._spoilt)
        elif not request.keep_alive or self._ended:
            self.close()
        elif self._waiting:
            self._answering = self._waiting.popleft()
            self.server.handle(self._answering)
        else:
            self.unhold()

    def hold(self) -> None:
        """Read nothing more for now."""
        if not self._held and not self._closing:
            self._held = True
            self.transport.pause_reading()

    def unhold(self) -> None:
        """Read on."""
        if self._held and not self._closing and not self._waiting:
            self._held = False
            self.transport.resume_reading()

    async def drain(self) -> None:
        """Wait until the receiver has taken most of what was written. Raises ConnectionError."""
        if self._drained:
            await self._drained.wait()
        if self._closing:
            raise ConnectionResetError("the receiver of an answer went away")

    def begin(self, request: Request) -> None:
        """The head of the answer to `request` goes out now."""
        self._writing = request

    def is_writing(self, request: Request) -> bool:
        """Whether a part of the answer to `request` has gone out."""
        return self._writing is request

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._closing

    def close(self) -> None:
        """Close when all that was written has gone out."""
        self._closing = True
        self.transport.close()

    def abort(self) -> None:
        """Drop the connection and what was not sent."""
        self._closing = True
        self.transport.abort()

    def _refuse(self, status: int, words: str) -> None:
        """Answer a request that cannot be taken, and close; before it goes the answer that is under way."""
        if self._closing or self._spoilt:
            return
        self.server.refused(self, status, words)
        if self._answering and self._answering is not self._receiving:
            self._spoilt = True
            return
        if self._writing is None:
            body = answers.sentence(status, words)
            self.transport.write(answers.whole(status, body, "text/html", keep_alive=False))
        self._leave()

    def _leave(self, coming: bool = False) -> None:
        """Close once the peer has: with something of it unread, the answer would be lost to a reset (RFC 9112 9.6).

        `coming`: it is in the middle of a body, and will read our answer before it looks for the end of TLS.
        """
        halves = self.transport.can_write_eof()  # TLS has none
        if not halves and not coming:
            self.close()
            return
        self._waiting.clear()
        self.unhold()
        self._closing, self._since = True, self.server.now()
        if halves:
            self.transport.write_eof()
        self._left = True

    def check(self, now: float) -> None:
        """Drop the connection if it keeps us waiting too long (called about once a second)."""
        stalled = self._stalled_at is not None and now - self._stalled_at > STALLED_SECONDS
        if stalled or (self._left and now - self._since > LEAVING_SECONDS):
            self.abort()
        elif self._receiving and not self._held and now - self._began > REQUEST_SECONDS:
            self._refuse(408, "the request took too long to arrive")
        elif not self._answering and not self._receiving and now - self._since > IDLE_SECONDS:
            self.close()


def common_name(certificate: Mapping[str, Any] | None) -> str:
    """The common name of a certificate as `ssl` shows a verified one; "" without it."""
    names = (pair for part in (certificate or {}).get("subject", ()) for pair in part)
    return next((str(value) for name, value in names if name == "commonName"), "")
