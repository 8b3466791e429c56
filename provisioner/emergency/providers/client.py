"""The one place that talks to providers: HTTP by the standard library, with an end to every exchange.

Each exchange is a connection of its own, verified by the system's certificate authorities, with no redirects followed
and no proxy taken from the environment: credentials go to the host that was named, or nowhere.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from provisioner import __version__
from provisioner.emergency.providers.wire import Broken, Lost, Reply, Request, Unreachable
from provisioner.errors import OperatorError

SECONDS = 15.0  # from the first packet to the last, whatever the provider drips
MAX_BODY = 4 << 20  # bytes; a page of a thousand numbers is a tenth of it
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Client:
    """Sends Requests below `url`. Raises OperatorError for a URL that credentials must not go to."""

    def __init__(self, url: str, seconds: float = SECONDS, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        plain = parts.scheme == "http" and host in _LOOPBACK
        if parts.username or parts.query or not host or not (plain or parts.scheme == "https"):
            raise OperatorError(
                "this is no address for a provider", "give it as https://host/path, without a password"
            )
        self._host, self._port = host, parts.port
        self._secure, self._seconds = not plain, seconds
        self._base = parts.path.rstrip("/")
        self._context = context

    def _connection(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
        context = self._context or ssl.create_default_context()
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._seconds, context=context)

    def send(self, request: Request) -> Reply:
        """One exchange. Raises Unreachable, Lost or Broken."""
        connection = self._connection()
        late = threading.Event()
        watch = threading.Timer(self._seconds, _cut, [connection, late])
        watch.daemon = True
        watch.start()
        try:
            try:
                connection.connect()
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"{self._host} cannot be reached ({_kind(error)})") from None
            reply = self._exchange(connection, request)
            if late.is_set():  # a header that was cut off looks like a whole one
                raise Lost(f"{self._host} gave no whole answer (no answer in time)")
            return reply
        finally:
            watch.cancel()
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Reply:
        headers = {"User-Agent": f"provisioner/{__version__}", "Connection": "close", **request.headers}
        body = request.body if request.writes else None
        try:
            connection.request(request.method, self._base + request.target, body, headers)
            response = connection.getresponse()
            data = response.read(MAX_BODY + 1)
            if len(data) < (response.length or 0):
                raise http.client.IncompleteRead(data)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Lost(f"{self._host} gave no whole answer ({_kind(error)})") from None
        if len(data) > MAX_BODY:
            raise Broken(f"{self._host} answered with more than {MAX_BODY >> 20} MiB")
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, data)


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """End an exchange that lasts too long, wherever it hangs."""
    late.set()
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(2)


def _kind(error: Exception) -> str:
    """An error without what was sent or received."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
