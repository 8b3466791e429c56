"""Staff pages and the API: each request is passed on to the web process, bodies as streams."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections import deque
from pathlib import Path
from typing import NamedTuple

import httptools

from provisioner.errors import PeerError
from provisioner.front import answers
from provisioner.front.connection import Request
from provisioner.ipc import Gone, connect_unix

MAX_REQUEST_BODY = 8 << 20  # an import of a large practice is under 1 MiB
MAX_BACKUP = 4 << 30  # with the firmware of three makers
MAX_RECORDING = 65 << 20  # ten minutes at 48 kHz, and its form
_RECORDINGS = ("/staff/audio/", "/api/v1/recordings/")
_BACKUPS = frozenset({"/staff/backup/restore", "/api/v1/restores"})  # where they are uploaded
MAX_ANSWER_HEAD = 64 << 10
ANSWER_SECONDS = 60.0  # for web to begin an answer, and between two pieces of it
RETRY_SECONDS = "2"  # the supervisor begins a process again within one
_PIECE = 64 << 10

# About one connection only (RFC 9110, section 7.6.1), or ours alone to say.
_HOP_BY_HOP = "connection keep-alive proxy-connection te trailer transfer-encoding upgrade content-length"
_OURS = """expect proxy-authorization forwarded x-forwarded-for x-forwarded-proto x-forwarded-host
x-forwarded-port x-forwarded-by x-request-id"""
_NOT_PASSED_ON = frozenset(f"{_HOP_BY_HOP} {_OURS}".split())
_NOT_PASSED_BACK = frozenset(f"{_HOP_BY_HOP} date".split())

_log = logging.getLogger(__name__)


class Head(NamedTuple):
    """The head of web's answer; `length` None: not said; `to_the_end`: its body ends with the connection."""

    status: int
    headers: tuple[tuple[str, str], ...]
    length: int | None
    to_the_end: bool


class _Answer:
    """Parses web's answer, piece by piece."""

    def __init__(self, only_head: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[str, str]] = []
        self._only_head = only_head
        self._size = 0
        self.head: Head | None = None
        self.pieces: deque[bytes] = deque()
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Raises PeerError when it is no answer, or its head is too long."""
        if self.head is None:
            self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise PeerError("web sent no proper answer", 502) from None
        if self.head is None and self._size > MAX_ANSWER_HEAD:
            raise PeerError("web's answer has too long a head", 502)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._headers.clear()
            return
        lengths = [value for name, value in self._headers if name.lower() == "content-length"]
        kept = tuple(pair for pair in self._headers if pair[0].lower() not in _NOT_PASSED_BACK)
        length = int(lengths[0]) if lengths and lengths[0].isdigit() else None
        if status in (204, 304):
            length = None
        chunked = any(name.lower() == "transfer-encoding" for name, _ in self._headers)
        self.head = Head(status, kept, length, length is None and not chunked)
        if self._only_head or status in (204, 304):
            self.complete = True

    def on_body(self, body: bytes) -> None:
        if not self.complete:  # else it is an answer to HEAD, which has none
            self.pieces.append(body)

    def on_message_complete(self) -> None:
        self.complete = self.head is not None


class Proxy:
    """Passes requests on to the HTTP server that listens on the Unix socket `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def pass_on(self, request: Request) -> None:
        """Answer `request` with what web answers, or a page that says why not. Never raises."""
        connection, name = request.connection, secrets.token_hex(8)
        try:
            self._check_room(request)
            reader, writer = await self._open()
            try:
                await self._exchange(request, reader, writer, name)
            finally:
                writer.close()
        except (Gone, OSError, EOFError, PeerError, TimeoutError) as error:
            if isinstance(error, ConnectionError) and connection.is_closing():
                return
            why = error or type(error).__name__
            _log.warning("no answer from the web process: %s", why, extra={"fields": {"request": name}})
            if connection.is_writing(request):
                connection.abort()  # a part has gone out: only a cut tells the browser that it is not whole
                return
            self._explain(request, error)
        connection.done(request)

    def _check_room(self, request: Request) -> None:
        length = request.body_length or 0
        if length > _most(request):
            raise PeerError("this is too large to be sent here", 413)
        # It lies on the disk three times for a moment: as it came, as it is kept, and opened.
        if length > MAX_REQUEST_BODY and length * 3 > shutil.disk_usage(self._path.parent).free:
            raise PeerError(
                "there is no room on the appliance's disk for this: free space, then try again", 507
            )

    async def session(self, cookie: str, forwarded: tuple[str, str]) -> int:
        """The status of `GET /staff/session` with this Cookie header: 204 is signed in, 502 web is down."""
        head = _request_head("GET", "/staff/session", [("Cookie", cookie), ("Host", "localhost")], forwarded)
        try:
            reader, writer = await self._open()
            try:
                writer.write(head + b"\r\n")
                answer = _Answer(only_head=False)
                await self._until_head(answer, reader)
            finally:
                writer.close()
        except (Gone, OSError, EOFError, PeerError, TimeoutError):
            return 502
        return answer.head.status if answer.head else 502

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # In a thread: with a full backlog even a Unix socket's connect waits.
        sock = await asyncio.to_thread(connect_unix, self._path, 5.0)
        sock.setblocking(False)
        return await asyncio.open_unix_connection(sock=sock, limit=_PIECE)

    async def _exchange(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
    ) -> None:
        sending = asyncio.create_task(self._send(request, writer, name))
        answer = _Answer(only_head=request.method == "HEAD")
        try:
            await self._until_head(answer, reader, sending)
            await self._return(request, answer, reader)
        except (OSError, EOFError):
            if sending.done() and not sending.cancelled() and (fault := sending.exception()):
                raise fault from None
            raise
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, request: Request, writer: asyncio.StreamWriter, name: str) -> None:
        connection = request.connection
        length = request.body_length
        passed = [
            (key, value)
            for key, value in request.headers
            # WSGI cannot tell "-" from "_" in a name: X_Forwarded_For must not pass for ours.
            if key not in _NOT_PASSED_ON and "_" not in key
        ]
        passed.append(("X-Request-Id", name))
        head = _request_head(request.method, request.target, passed, (connection.address, connection.scheme))
        if length is None:
            head += b"Transfer-Encoding: chunked\r\n"
        elif length or request.method in ("POST", "PUT", "PATCH"):
            head += b"Content-Length: %d\r\n" % length
        writer.write(head + b"\r\n")
        if request.header("expect").lower() == "100-continue":
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            while piece := await request.body.read():
                if request.body.total > _most(request):
                    raise PeerError("this is too large to be sent here", 413)
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if length is None else piece)
                await writer.drain()
        except (PeerError, OSError):
            writer.close()  # so that web, and who waits for its answer, need not wait for the rest
            raise
        if length is None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _until_head(
        self, answer: _Answer, reader: asyncio.StreamReader, sending: asyncio.Future[None] | None = None
    ) -> None:
        while answer.head is None:
            try:
                await self._more(answer, reader)
            except TimeoutError:
                if sending is None or sending.done():  # a backup takes long to send; web waits for its end
                    raise

    async def _more(self, answer: _Answer, reader: asyncio.StreamReader) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            data = await reader.read(_PIECE)
        if data:
            answer.feed(data)
        elif answer.head is not None and answer.head.to_the_end:
            answer.complete = True
        else:
            raise EOFError("it ended in the middle of an answer")

    async def _return(self, request: Request, answer: _Answer, reader: asyncio.StreamReader) -> None:
        connection, head = request.connection, answer.head
        assert head
        bodiless = request.method == "HEAD" or head.status in (204, 304)
        chunked = not bodiless and head.length is None and request.version == "1.1"
        headers = list(head.headers)
        if head.length is not None:
            headers.append(("Content-Length", str(head.length)))
        elif chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif not bodiless:
            request.keep_alive = False
        if not request.body.complete:
            request.keep_alive = False
        await connection.drain()
        connection.begin(request)
        connection.transport.write(answers.head(head.status, headers, request.keep_alive))
        while True:
            while answer.pieces:
                piece = answer.pieces.popleft()
                connection.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if answer.complete:
                break
            await connection.drain()
            await self._more(answer, reader)
        if chunked:
            connection.transport.write(b"0\r\n\r\n")
        await connection.drain()

    def _explain(self, request: Request, error: BaseException) -> None:
        if isinstance(error, PeerError) and error.status in (413, 507):
            status, words = error.status, f"{error.reason[0].upper()}{error.reason[1:]}."
        elif isinstance(error, TimeoutError):
            status, words = 504, "The staff pages take too long to answer; phones and calls go on. Try again."
        else:
            status, words = (
                502,
                "The staff pages are restarting; phones and calls go on. Try again in a few seconds.",
            )
        request.keep_alive = False
        body, media = answers.told(status, words, request.target)
        head = request.method == "HEAD"
        extra = (("Retry-After", RETRY_SECONDS),) if status == 502 else ()
        request.connection.transport.write(
            answers.whole(status, body, media, keep_alive=False, only_head=head, extra=extra)
        )


def _most(request: Request) -> int:
    """How long a request's body may be, in bytes."""
    path = request.target.partition("?")[0]
    if path in _BACKUPS:
        return MAX_BACKUP
    return MAX_RECORDING if path.startswith(_RECORDINGS) else MAX_REQUEST_BODY


def _request_head(
    method: str, target: str, headers: list[tuple[str, str]], forwarded: tuple[str, str]
) -> bytes:
    """A request's head without its last empty line; `forwarded` is the client's address and scheme."""
    address, scheme = forwarded
    lines = [f"{method} {target} HTTP/1.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"X-Forwarded-For: {address}", f"X-Forwarded-Proto: {scheme}", ""]
    return "\r\n".join(lines).encode("latin-1")
