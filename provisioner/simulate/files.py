"""A phone's HTTP client: plain requests one by one, and one retry with credentials when asked for them."""

from __future__ import annotations

import asyncio
import base64
import http.client
from collections.abc import Callable
from urllib.parse import unquote, urljoin, urlsplit

from provisioner.errors import ProvisionerError, UsageError
from provisioner.simulate.vendors.base import Ask, Boot, Reply, Settings
from provisioner.sip import digest

TIMEOUT = 10.0  # seconds a phone waits for its server
MAX_FILE = 4 << 20  # of settings; phones keep far less
MAX_IMAGE = 4096  # of a firmware image a phone reads the header, compares versions, and hangs up
IMAGES = (".ld", ".rom", "fw.bin")


class UnreachableError(ProvisionerError):
    """The provisioning server did not answer."""


def check_url(url: str) -> str:
    """`url` with a slash at its end. Raises UsageError when a phone could not be given it."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise UsageError(f"{url!r} is no server for simulated phones; give --server http://HOST:PORT/")
    return url.rstrip("/") + "/"


def _credentials(challenge: str, url: str, method: str, cnonce: str) -> str | None:
    """Value of Authorization for the user and password in the server's URL; None without any that fit."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user:
        return None
    if challenge.lower().startswith("basic"):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return digest.answer(challenge, user, password, method, parts.path or "/", cnonce)


def _once(url: str, ask: Ask, authorization: str | None) -> tuple[Reply, str]:
    parts = urlsplit(url)
    headers = {"User-Agent": ask.agent, "Accept": "*/*"}
    if authorization:
        headers["Authorization"] = authorization
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(ask.method, target or "/", ask.body or None, headers)
        response = connection.getresponse()
        body = response.read(MAX_IMAGE if parts.path.endswith(IMAGES) else MAX_FILE)
        return Reply(response.status, body), response.getheader("WWW-Authenticate", "")
    finally:
        connection.close()


def fetch(server: str, ask: Ask, cnonce: str) -> Reply:
    """Send `ask` to `server` (a URL that ends with a slash), wait for the answer. Raises UnreachableError."""
    url = urljoin(server, ask.path)
    try:
        reply, challenge = _once(url, ask, None)
        if reply.status == 401 and (value := _credentials(challenge, url, ask.method, cnonce)):
            reply, _ = _once(url, ask, value)
    except (OSError, http.client.HTTPException) as error:
        host = urlsplit(url).netloc.rpartition("@")[2]
        reason = type(error).__name__
        raise UnreachableError(f"{host} does not answer ({reason}); is the appliance running?") from None
    return reply


async def run(boot: Boot, server: str, new_cnonce: Callable[[], str]) -> Settings:
    """Play a boot against `server`; each request waits in a thread. Raises UnreachableError."""
    try:
        ask = next(boot)
        while True:
            ask = boot.send(await asyncio.to_thread(fetch, server, ask, new_cnonce()))
    except StopIteration as done:
        settings: Settings = done.value
        return settings
