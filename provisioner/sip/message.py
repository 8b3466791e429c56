"""SIP messages: bytes to requests and responses and back (RFC 3261 sections 7, 18.3 and 25).

Headers are kept as text in the order received; their values are parsed only by who needs them (`headers.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from provisioner.errors import PeerError

MAX_MESSAGE = 65535  # the largest datagram, and our limit on streams
MAX_HEADERS = 128  # phones send about 20, cores about 30
MAX_HEADER = 8192

Header = tuple[str, str]

_COMPACT = {
    "i": "call-id",
    "m": "contact",
    "e": "content-encoding",
    "l": "content-length",
    "c": "content-type",
    "f": "from",
    "s": "subject",
    "k": "supported",
    "t": "to",
    "v": "via",
    "r": "refer-to",
    "b": "referred-by",
    "o": "event",
    "u": "allow-events",
    "x": "session-expires",
    "a": "accept-contact",
    "j": "reject-contact",
    "d": "request-disposition",
    "y": "identity",
}
_SPELLING = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "www-authenticate": "WWW-Authenticate",
    "min-se": "Min-SE",
    "mime-version": "MIME-Version",
    "rseq": "RSeq",
    "rack": "RAck",
    "content-id": "Content-ID",
}
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_STATUS = re.compile(r"[1-6][0-9][0-9]\Z")
_BREAK = re.compile("[\r\n]")  # what could pass for a line end at a peer that reads less strictly
_TAG = re.compile(r";\s*tag\s*=", re.I)
_START = re.compile(rb"SIP/2\.0 |[A-Za-z0-9\-.!%*_+`'~]+ .*SIP/\d+\.\d+\s*\Z", re.S | re.I)
_START_BYTE = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]")
_NEEDED = ("via", "from", "to", "call-id", "cseq")
_ONCE = (*_NEEDED[1:], "max-forwards")

REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    200: "OK", 202: "Accepted",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    407: "Proxy Authentication Required", 408: "Request Timeout", 413: "Request Entity Too Large",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension",
    422: "Session Interval Too Small", 423: "Interval Too Brief", 424: "Bad Location Information",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
    484: "Address Incomplete", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    489: "Bad Event", 491: "Request Pending",
    500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable",
    504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
    600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip


class MessageError(PeerError):
    """A message that cannot be used; `message` is what could be read of it, to answer with `status`.

    `framed`: on a stream, the next message begins where it should; else the connection is of no more use.
    """

    def __init__(self, reason: str, status: int = 400, message: Request | None = None) -> None:
        super().__init__(reason, status)
        self.message = message
        self.framed = False


class Message:
    """What requests and responses share: headers (lower-case names, in order) and a body."""

    __slots__ = ("body", "headers")

    def __init__(self, headers: Iterable[Header], body: bytes = b"") -> None:
        self.headers = list(headers)
        self.body = body

    def get(self, name: str, default: str = "") -> str:
        """First value of header `name` (lower case), or `default`."""
        for key, value in self.headers:
            if key == name:
                return value
        return default

    def all(self, name: str) -> list[str]:
        """All values of header `name`, one a header line."""
        return [value for key, value in self.headers if key == name]

    def set(self, name: str, value: str) -> None:
        """Replace all headers `name` by one, at the place of the first."""
        for index, (key, _) in enumerate(self.headers):
            if key == name:
                self.headers[index : index + 1] = [(name, value)]
                tail = [header for header in self.headers[index + 1 :] if header[0] != name]
                self.headers[index + 1 :] = tail
                return
        self.headers.append((name, value))

    def remove(self, name: str) -> None:
        """Drop all headers `name`."""
        self.headers = [header for header in self.headers if header[0] != name]

    @property
    def start_line(self) -> str:
        raise NotImplementedError

    @property
    def cseq(self) -> tuple[int, str]:
        """CSeq number and method. Raises MessageError when there is none that RFC 3261 20.16 allows."""
        number, method = (*self.get("cseq").split(None, 1), "", "")[:2]
        if not number.isdecimal() or not number.isascii() or len(number) > 10 or int(number) >= 1 << 31:
            raise MessageError("bad CSeq")
        if not _TOKEN.match(method):
            raise MessageError("bad CSeq method")
        return int(number), method

    @property
    def call_id(self) -> str:
        return self.get("call-id")

    def encode(self) -> bytes:
        """The message as bytes; Content-Length is always ours."""
        lines = [self.start_line]
        lines += [
            f"{_SPELLING.get(name) or name.title()}: {value}"
            for name, value in self.headers
            if name != "content-length"
        ]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


class Request(Message):
    """A SIP request."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Iterable[Header], body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def response(self, status: int, reason: str = "", to_tag: str = "") -> Response:
        """A response with the headers that RFC 3261 8.2.6 copies; `to_tag` is added when To has none."""
        to = self.get("to")
        if to_tag and status > 100 and not has_tag(to):
            to = f"{to};tag={to_tag}"
        headers = [(name, value) for name, value in self.headers if name == "via"]
        copied = [("from", self.get("from")), ("to", to)]
        copied += [("call-id", self.call_id), ("cseq", self.get("cseq"))]
        headers += [(name, value) for name, value in copied if value]  # one may be what was missing
        if status == 100:
            headers += [(name, value) for name, value in self.headers if name == "timestamp"]
        elif status < 300:
            headers += [(name, value) for name, value in self.headers if name == "record-route"]
        return Response(status, reason or REASONS.get(status, "Unknown"), headers)


class Response(Message):
    """A SIP response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Iterable[Header], body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"


def has_tag(value: str) -> bool:
    """Whether a From or To value carries a tag parameter (outside the angle brackets)."""
    return _TAG.search(value.rpartition(">")[2]) is not None


def _headers(lines: list[str]) -> tuple[list[Header], MessageError | None]:
    """All that can be read of the header lines, and the first fault in them."""
    found: list[Header] = []
    fault: MessageError | None = None
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if line[:1] in (" ", "\t") and found:  # folding, RFC 3261 7.3.1
            name, value = found[-1]
            found[-1] = (name, f"{value} {line.strip()}".strip())
        elif colon and _TOKEN.match(name):
            name = name.lower()
            found.append((_COMPACT.get(name, name), value.strip(" \t")))
        else:
            fault = fault or MessageError("a line that is not a header")
        if _BREAK.search(line):
            fault = fault or MessageError("a line break inside a header")
        if found and (len(found) > MAX_HEADERS or len(found[-1][1]) > MAX_HEADER):
            del found[-1]
            return found, MessageError("too many or too long headers", 513)
    return found, fault


def _start(line: str, headers: list[Header], body: bytes) -> Request | Response:
    if line.startswith("SIP/2.0 "):
        status, _, reason = line[8:].partition(" ")
        if not _STATUS.match(status) or _BREAK.search(reason):
            raise MessageError("bad status line")
        return Response(int(status), reason, headers, body)
    parts = line.split(" ")
    version = (line.split() or [""])[-1].upper()
    if not version.startswith("SIP/") or not _TOKEN.match(parts[0]):
        raise MessageError("not a SIP message")
    if len(parts) != 3 or not parts[1] or _BREAK.search(line):
        raise MessageError("bad request line", 400, Request(parts[0], "", headers))
    request = Request(parts[0], parts[1], headers, body)
    if version != "SIP/2.0":
        raise MessageError("only SIP/2.0 is spoken here", 505, request)
    return request


def split(data: bytes) -> tuple[list[str], bytes]:
    """Head lines and the rest of a message. Raises MessageError when the head has no end."""
    head, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        raise MessageError("no end of the headers")
    return head.decode("utf-8", "surrogateescape").split("\r\n"), body


def content_length(headers: list[Header]) -> int | None:
    """Value of Content-Length, None without one. Raises MessageError when it is not a length."""
    values = {value for name, value in headers if name == "content-length"}
    if not values:
        return None
    value = values.pop()
    if values or not value.isdecimal() or not value.isascii() or len(value) > 7:
        raise MessageError("bad Content-Length")
    return int(value)


def _check(message: Request | Response) -> None:
    """Refuse a message that no transaction could carry (RFC 3261 7.3.1, 8.1.1)."""
    names = [name for name, _ in message.headers]
    for name in _NEEDED:
        if name not in names:
            raise MessageError(f"no {_SPELLING.get(name) or name.title()} header")
    for name in _ONCE:
        if names.count(name) > 1:
            raise MessageError(f"more than one {_SPELLING.get(name) or name.title()} header")
    _, method = message.cseq
    if isinstance(message, Request) and method != message.method:
        raise MessageError("CSeq names another method")


def parse(data: bytes) -> Request | Response:
    """One whole message out of a datagram (RFC 3261 18.3). Raises MessageError, and nothing else."""
    lines, body = split(data)
    headers, fault = _headers(lines[1:])
    message = _start(lines[0], headers, body)
    try:
        if fault:
            raise fault
        length = content_length(headers)
        if length is not None and length > len(body):
            raise MessageError("the body is shorter than Content-Length")
        message.body = body if length is None else body[:length]
        _check(message)
    except MessageError as error:
        error.message = message if isinstance(message, Request) else None
        raise
    return message


class Stream:
    """Framing of a stream connection by Content-Length (RFC 3261 18.3; keep-alives RFC 5626 4.4.1)."""

    def __init__(self) -> None:
        self._held = b""
        self._needed = 1  # bytes that must be there before another look is worth it
        self._error: MessageError | None = None

    def feed(self, data: bytes) -> list[Request | Response | None]:
        """Messages that `data` completes; None stands for a keep-alive ping.

        Raises MessageError; one that lies behind good messages is raised by the next call (`feed(b"")`).
        """
        if self._error:
            error, self._error = self._error, None
            raise error
        self._held += data
        found: list[Request | Response | None] = []
        try:
            for message in self._complete():
                found.append(message)
        except MessageError as error:
            if not found:
                raise
            self._error = error
        return found

    def _complete(self) -> Iterator[Request | Response | None]:
        while len(self._held) >= self._needed:
            if self._held.startswith(b"\r\n\r\n"):
                self._held = self._held[4:]
                yield None
                continue
            start = len(self._held) - len(self._held.lstrip(b"\r\n"))
            self._look_ahead(start)
            end = self._held.find(b"\r\n\r\n", start)
            if end < 0:
                return
            self._needed = end + 4 + self._body_length(start, end + 4)
            if self._needed > MAX_MESSAGE:
                raise MessageError("message too large", 513)
            if len(self._held) >= self._needed:
                whole, self._held = self._held[start : self._needed], self._held[self._needed :]
                self._needed = 1
                yield _framed(whole)

    def _look_ahead(self, start: int) -> None:
        """Tell what can never become a message from what is only not all here."""
        line, end, _ = self._held[start:].partition(b"\r\n")
        if line and not (_START if end else _START_BYTE).match(line):
            raise MessageError("not a SIP message")
        if len(self._held) > MAX_MESSAGE and b"\r\n\r\n" not in self._held:
            raise MessageError("message too large", 513)

    def _body_length(self, start: int, end: int) -> int:
        lines, _ = split(self._held[start:end])
        headers, _ = _headers(lines[1:])
        try:
            length = content_length(headers)
            if length is None:
                raise MessageError("no Content-Length on a stream")
        except MessageError as error:
            message = _start(lines[0], headers, b"")
            error.message = message if isinstance(message, Request) else None
            raise
        return length


def _framed(data: bytes) -> Request | Response:
    try:
        return parse(data)
    except MessageError as error:
        error.framed = True
        raise
