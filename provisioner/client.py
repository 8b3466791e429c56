"""Calls of the API, of the appliance in a state directory (nothing needs to run) or of one elsewhere by HTTPS."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from provisioner.errors import OperatorError, UsageError
from provisioner.paths import StateDir

ROOT = "/api/v1"
SECONDS = 60.0
WRONG_USE = frozenset(
    {400, 404, 405, 413, 415, 422}
)  # of who calls; with the others something has to be mended
MAX_ANSWER = 512 << 20  # bytes


class Answer(NamedTuple):
    """What came back. `body` is as the API gave it."""

    status: int
    media: str
    body: bytes

    def json(self) -> Any:
        """The body, read. Raises OperatorError when it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            raise OperatorError(
                "the answer is none of the API's", "check the address that --url names"
            ) from None


class Client(Protocol):
    """Who can make calls of the API."""

    def send(self, method: str, path: str, body: bytes | None, media: str) -> Answer:
        """One request; `path` with its query. Raises OperatorError when there is no answer."""


class _Unix(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        """Connect. Raises OSError when nobody listens."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


class Here:
    """The appliance in a state directory, as its administrator; the audit log says `console`.

    The web process makes the call where it runs, for what is under way is known to it alone; else this process does.
    """

    def __init__(self, state: StateDir) -> None:
        self._state = state

    def send(self, method: str, path: str, body: bytes | None, media: str) -> Answer:
        """One request."""
        web = _Unix(self._state.run / "web.http")
        try:
            web.connect()
        except OSError:
            web.close()
            return self._inside(method, path, body, media)
        try:
            return self._asked(web, method, path, body, media)
        finally:
            web.close()

    def _asked(self, web: _Unix, method: str, path: str, body: bytes | None, media: str) -> Answer:
        """The web process's answer to who shows a token that only this user can have made; it ends with the call."""
        from provisioner.store.inventory import Inventory
        from provisioner.store.tokens import AT_CONSOLE

        inventory = Inventory.open(self._state.inventory)
        token = inventory.new_token("api", SECONDS, "administrator", agent=AT_CONSOLE)
        headers = {"Authorization": f"Bearer {token}", **({"Content-Type": media} if media else {})}
        try:
            web.request(method, path, body, headers)
            response = web.getresponse()
            return Answer(response.status, response.headers.get_content_type(), _all(response))
        except (OSError, HTTPException) as error:
            raise OperatorError(f"the web process does not answer ({error})", "try again") from None
        finally:
            inventory.revoke_token("api", token)
            inventory.close()

    def _inside(self, method: str, path: str, body: bytes | None, media: str) -> Answer:
        from werkzeug.test import Client as Inside

        from provisioner.store.tokens import AT_CONSOLE
        from provisioner.web.app import create_app

        app = create_app(self._state, patience=SECONDS)
        try:
            response = Inside(app).open(
                path,
                method=method,
                data=body,
                content_type=media or None,
                environ_overrides={AT_CONSOLE: True},
            )
            return Answer(response.status_code, response.mimetype or "", response.get_data())
        finally:
            app.extensions["provisioner"].close()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: the token goes to nobody whom the user has not named."""

    def redirect_request(self, *_args: object) -> None:
        """Follow none."""


class There:
    """An appliance elsewhere. `token`: of its API; `authority`: a PEM file in the place of the system's."""

    def __init__(self, url: str, token: str, authority: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url!r} is no address of an appliance: give --url https://HOST")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise UsageError(
                "over plain HTTP everybody on the way would read the token: give --url https://HOST"
            )
        self._base, self._token = f"{parts.scheme}://{parts.netloc}", token
        try:
            context = ssl.create_default_context(cafile=str(authority) if authority else None)
        except (OSError, ssl.SSLError):
            raise UsageError(f"{authority} is no certificate in PEM: give the appliance's ca.pem") from None
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect)

    def send(self, method: str, path: str, body: bytes | None, media: str) -> Answer:
        """One request over the network."""
        headers = {"Authorization": f"Bearer {self._token}", **({"Content-Type": media} if media else {})}
        request = urllib.request.Request(  # noqa: S310 - http or https, as was checked
            self._base + path, data=body, headers=headers, method=method
        )
        try:
            with self._opener.open(request, timeout=SECONDS) as response:
                return Answer(response.status, response.headers.get_content_type(), _all(response))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers.get_content_type(), error.read(MAX_ANSWER))
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise OperatorError(f"{self._base} does not answer ({reason})", "check --url and --ca") from None


def _all(response: HTTPResponse) -> bytes:
    """The whole body. Raises OperatorError for one that is too long: a backup without its end is none."""
    body = response.read(MAX_ANSWER + 1)
    if len(body) > MAX_ANSWER:
        raise OperatorError("the answer is larger than 512 MiB", "fetch it on the page")
    return body


def call(
    client: Client,
    method: str,
    path: str,
    query: Mapping[str, Any] | None = None,
    body: object = None,
    raw: bytes | None = None,
    media: str = "application/json",
) -> Answer:
    """One call; `path` below /api/v1 or whole. Raises UsageError or OperatorError with what a problem document says."""
    whole = path if path.startswith(f"{ROOT}/") else ROOT + "/" + path.lstrip("/")
    asked = urlencode({name: _text(value) for name, value in (query or {}).items()})
    data = raw if raw is not None else None if body is None else msgspec.json.encode(body)
    answer = client.send(
        method, f"{whole}?{asked}" if asked else whole, data, media if data is not None else ""
    )
    if answer.status >= 300:
        raise _error(answer)
    return answer


def entries(client: Client, page: Any) -> Iterator[Any]:
    """The entries of a list from its first `page` on. Raises as `call` does."""
    yield from page["items"]
    while page["next"]:
        page = call(client, "GET", page["next"]).json()
        yield from page["items"]


def path_of(template: str, names: Mapping[str, str]) -> str:
    """`/phones/{mac}` with what is given in the place of the names."""
    return template.format_map({name: quote(value, safe=":") for name, value in names.items()})


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _error(answer: Answer) -> UsageError | OperatorError:
    try:
        told = msgspec.json.decode(answer.body)
        title, detail = str(told["title"]), str(told["detail"]).rstrip(".")
    except (msgspec.DecodeError, KeyError, TypeError):
        return OperatorError(f"the answer was {answer.status}", "check the address that --url names")
    if answer.status in WRONG_USE:
        return UsageError(f"{title}: {detail}")
    return OperatorError(title, detail)
