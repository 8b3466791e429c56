"""A phone's HTTP client: requests one after the other on one connection, and one retry with credentials when asked."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httptools

from provisioner.errors import UsageError
from provisioner.simulate.vendors.base import IMAGE_HEAD, Ask, Reply, UnreachableError, version_of
from provisioner.sip import digest

TIMEOUT = 10.0  # seconds a phone waits for its server
MAX_FILE = 4 << 20  # of settings; phones keep far less
SCHEMES = ("http", "https")
_PIECE = 1 << 16


def check_url(url: str) -> str:
    """`url` with a slash at its end. Raises UsageError when a phone could not be given it."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise UsageError(f"{url!r} is no server for simulated phones; give --server http://HOST:PORT/")
    return url.rstrip("/") + "/"


@dataclass
class _Answer:
    """What a parser found of one response."""

    image: str | None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    begun: bool = False
    complete: bool = False
    enough: bool = False  # the rest of an image is not wanted

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.begun = True

    def on_body(self, piece: bytes) -> None:
        self.size += len(piece)
        limit = MAX_FILE if self.image is None else IMAGE_HEAD
        self.body += piece[: limit - len(self.body)]
        if self.image is not None and self.size >= IMAGE_HEAD:
            self.enough = version_of(bytes(self.body)) in ("", self.image)
        elif self.size > MAX_FILE:
            self.enough = True

    def on_message_complete(self) -> None:
        self.complete = True


class Client:
    """One phone's connection; it is kept while the server keeps it. `context` of https."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._where: tuple[str, str, int] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def close(self) -> None:
        """Hang up."""
        streams, self._streams, self._where = self._streams, None, None
        if streams:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def send(self, url: str, ask: Ask, authorization: str | None) -> tuple[Reply, str]:
        """One request; the reply and the challenge in it. Raises OSError or TimeoutError."""
        parts = urlsplit(url)
        async with asyncio.timeout(TIMEOUT):
            kept = await self._connect(parts)
            try:
                return await self._exchange(parts, ask, authorization)
            except (ConnectionError, asyncio.IncompleteReadError):
                await self.close()
                if not kept:
                    raise
            await self._connect(parts)  # the server had closed a connection that was kept
            return await self._exchange(parts, ask, authorization)

    async def _connect(self, parts: SplitResult) -> bool:
        """Whether the connection that is there serves."""
        where = (parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme])
        if self._where == where:
            return True
        await self.close()
        context = (self._context or ssl.create_default_context()) if parts.scheme == "https" else None
        self._streams = await asyncio.open_connection(where[1], where[2], ssl=context)
        self._where = where
        return False

    async def _exchange(self, parts: SplitResult, ask: Ask, authorization: str | None) -> tuple[Reply, str]:
        assert self._streams
        reader, writer = self._streams
        writer.write(_request(parts, ask, authorization))
        answer = _Answer(ask.running)
        parser = httptools.HttpResponseParser(answer)
        while not (answer.complete or answer.enough or (answer.begun and ask.method == "HEAD")):
            piece = await reader.read(_PIECE)
            if not piece:
                raise ConnectionResetError("the server hung up")
            try:
                parser.feed_data(piece)
            except httptools.HttpParserError:
                raise ConnectionResetError("the server does not speak HTTP") from None
        if not parser.should_keep_alive() or not answer.complete:
            await self.close()
        return Reply(parser.get_status_code(), bytes(answer.body), answer.size), answer.headers.get(
            "www-authenticate", ""
        )


def _request(parts: SplitResult, ask: Ask, authorization: str | None) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    lines = [f"{ask.method} {target} HTTP/1.1", f"Host: {host}", f"User-Agent: {ask.agent}", "Accept: */*"]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    if ask.method == "PUT":
        lines.append(f"Content-Length: {len(ask.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + ask.body


def _credentials(challenge: str, url: str, method: str, cnonce: str, user: str, password: str) -> str | None:
    """Value of Authorization for the user and password, those in the URL first; None without any that fit."""
    parts = urlsplit(url)
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
    if not user:
        return None
    if challenge.lower().startswith("basic"):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return digest.answer(challenge, user, password, method, parts.path or "/", cnonce)


async def fetch(
    client: Client, server: str, ask: Ask, new_cnonce: Callable[[], str], user: str = "", password: str = ""
) -> Reply:
    """Send `ask` to `server` (a URL that ends with a slash), wait for the answer. Raises UnreachableError.

    A 401 is answered once (facts 10.9).
    """
    url = urljoin(server, ask.path)
    host = urlsplit(url).netloc.rpartition("@")[2]
    if urlsplit(url).scheme not in SCHEMES:
        raise UnreachableError(
            f"{host} is to be asked by {urlsplit(url).scheme}, which simulated phones do not speak"
        )
    try:
        reply, challenge = await client.send(url, ask, None)
        if reply.status == 401:
            value = _credentials(challenge, url, ask.method, new_cnonce(), user, password)
            if value:
                reply, _ = await client.send(url, ask, value)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ssl.SSLError) as error:
        await client.close()
        reason = type(error).__name__
        raise UnreachableError(f"{host} does not answer ({reason}); is the appliance running?") from None
    return reply
