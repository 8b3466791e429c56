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
MAX_LINES = 512  # of a head: foldings count too, so that no head costs more than its size

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
_SPELLING = {  # by our names; others are written as title() does
    spelt.lower(): spelt
    for spelt in (
        "Accept Alert-Info Allow Allow-Events Authorization CSeq Call-ID Call-Info Contact Content-Encoding "
        "Content-Disposition Content-ID Content-Length Content-Type Date Diversion Event Expires From "
        "Geolocation History-Info MIME-Version Max-Forwards Min-Expires Min-SE P-Asserted-Identity "
        "P-Preferred-Identity Path Privacy Proxy-Authenticate Proxy-Authorization RAck RSeq Reason "
        "Record-Route Refer-To Referred-By Replaces Require Retry-After Route Server Session-Expires "
        "Subscription-State Supported Timestamp To Unsupported User-Agent Via WWW-Authenticate Warning"
    ).split()
}
_NAMES = {  # as they are usually written → our names: spares most lines the look at their grammar
    **{spelt: name for name, spelt in _SPELLING.items()},
    **{name.title(): name for name in _SPELLING},
    **_COMPACT,
}
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_STATUS = re.compile(r"[1-6][0-9][0-9]\Z")
_CSEQ = re.compile(r"([0-9]{1,10})\s+([A-Za-z0-9\-.!%*_+`'~]+)\Z")
_NUMBER = re.compile(r"[0-9]{1,10}(?!\S)")
_TAG = re.compile(r";\s*tag\s*=", re.I)
_START = re.compile(rb"SIP/2\.0 |[A-Za-z0-9\-.!%*_+`'~]+ .*SIP/\d+\.\d+\s*\Z", re.S | re.I)
_PINGS = re.compile(rb"(?:\r\n\r\n)+")
_START_BYTE = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]")
_NEEDED = ("via", "from", "to", "call-id", "cseq")
_ONCE = (*_NEEDED[1:], "max-forwards")
_COPIED = frozenset(_NEEDED[1:])

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
    """What requests and responses share: headers (lower-case names, in order) and a body.

    `size`: the bytes of the datagram that it came in; 0 on a stream, and for one of our own.
    """

    __slots__ = ("body", "headers", "size")

    def __init__(self, headers: Iterable[Header], body: bytes = b"") -> None:
        self.headers = list(headers)
        self.body = body
        self.size = 0

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
        value = self.get("cseq")
        found = _CSEQ.match(value)
        if found and (number := int(found[1])) < 1 << 31:
            return number, found[2]
        raise MessageError("bad CSeq method" if _NUMBER.match(value) and not found else "bad CSeq")

    @property
    def call_id(self) -> str:
        return self.get("call-id")

    def encode(self) -> bytes:
        """The message as bytes; Content-Length is always ours."""
        spelling = _SPELLING.get
        lines = [
            f"{spelling(name) or name.title()}: {value}"
            for name, value in self.headers
            if name != "content-length"
        ]
        head = "\r\n".join((self.start_line, *lines, f"Content-Length: {len(self.body)}\r\n\r\n"))
        return head.encode("utf-8", "surrogateescape") + self.body


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
        also = "timestamp" if status == 100 else "record-route" if status < 300 else ""
        headers: list[Header] = []
        more: list[Header] = []
        once: dict[str, str] = {}  # one may be what was missing
        for header in self.headers:
            name = header[0]
            if name == "via":
                headers.append(header)
            elif name in _COPIED:
                once.setdefault(*header)
            elif name == also:
                more.append(header)
        to = once.get("to")
        if to and to_tag and status > 100 and not has_tag(to):
            once["to"] = f"{to};tag={to_tag}"
        headers += [(name, once[name]) for name in _NEEDED if once.get(name)]
        headers += more
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


def _headers(lines: list[str], large: bool) -> tuple[list[Header], MessageError | None]:
    """All that can be read of the header lines, and the first fault; only a `large` head has a long one."""
    found: list[Header] = []
    fault: MessageError | None = None
    for line in lines:
        name, colon, value = line.partition(":")
        known = _NAMES.get(name) if colon else None
        if known:
            found.append((known, value.strip(" \t")))
        elif line[:1] in (" ", "\t") and found:  # folding, RFC 3261 7.3.1
            name, value = found[-1]
            found[-1] = (name, f"{value} {line.strip()}".strip())
        elif colon and _TOKEN.match(name := name.rstrip(" \t").lower()):
            found.append((_COMPACT.get(name, name), value.strip(" \t")))
        else:
            fault = fault or MessageError("a line that is not a header")
        if large and (len(line) > MAX_HEADER or (found and len(found[-1][1]) > MAX_HEADER)):
            del found[-1:]
            return found, MessageError("too many or too long headers", 513)
    if len(found) > MAX_HEADERS:
        return found[:MAX_HEADERS], MessageError("too many or too long headers", 513)
    return found, fault


def _start(line: str, headers: list[Header]) -> Request | Response:
    """The message that a start line begins, still without a body."""
    if line.startswith("SIP/2.0 "):
        status, _, reason = line[8:].partition(" ")
        if not _STATUS.match(status) or _broken(reason):
            raise MessageError("bad status line")
        return Response(int(status), reason, headers)
    parts = line.split(" ", 3)
    version = (line.rsplit(None, 1) or [""])[-1].upper()
    if not version.startswith("SIP/") or not _TOKEN.match(parts[0]):
        raise MessageError("not a SIP message")
    if len(parts) != 3 or not parts[1] or _broken(line):
        raise MessageError("bad request line", 400, Request(parts[0], "", headers))
    request = Request(parts[0], parts[1], headers)
    if version != "SIP/2.0":
        raise MessageError("only SIP/2.0 is spoken here", 505, request)
    return request


def _broken(text: str) -> bool:
    """Whether it holds what could pass for a line end at a peer that reads less strictly."""
    return "\r" in text or "\n" in text


class _Head:
    """Start line and headers of one message; `length` of its body is None when it does not say.

    The first `fault` waits for the body, `endless` is that of Content-Length; `message` is what could be
    read, None when not even a start line.
    """

    __slots__ = ("endless", "fault", "length", "message")

    def __init__(self, data: bytes) -> None:
        lines = data.decode("utf-8", "surrogateescape").split("\r\n", MAX_LINES)
        rest = lines.pop() if len(lines) > MAX_LINES else None
        headers, fault = _headers(lines[1:], len(data) > MAX_HEADER)
        if rest is not None:
            fault = MessageError("too many or too long headers", 513)
        elif not fault and not data.count(b"\r") == data.count(b"\n") == len(lines) - 1:
            fault = MessageError("a line break inside a header")
        self.length: int | None = None
        self.endless: MessageError | None = None
        self.message: Request | Response | None
        try:
            self.message = _start(lines[0], headers)
        except MessageError as error:
            self.message, fault = error.message, error
        try:
            self.length = content_length(headers)
        except MessageError as error:
            self.endless = error
        self.fault = fault or self.endless

    def refusal(self, error: MessageError) -> MessageError:
        """`error` with the request that it is the answer to."""
        error.message = self.message if isinstance(self.message, Request) else None
        return error

    def whole(self, body: bytes) -> Request | Response:
        """The message with its body. Raises MessageError."""
        length, message = self.length, self.message
        try:
            if self.fault:
                raise self.fault
            assert message is not None  # or there is a fault
            if length is not None and length > len(body):
                raise MessageError("the body is shorter than Content-Length")
            message.body = body if length is None else body[:length]
            _check(message)
        except MessageError as error:
            raise self.refusal(error) from None
        return message


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
    found = dict(message.headers)
    for name in _NEEDED:
        if name not in found:
            raise MessageError(f"no {_SPELLING[name]} header")
    if len(found) < len(message.headers):
        names = [name for name, _ in message.headers]
        for name in _ONCE:
            if names.count(name) > 1:
                raise MessageError(f"more than one {_SPELLING[name]} header")
    _, method = message.cseq
    if isinstance(message, Request) and method != message.method:
        raise MessageError("CSeq names another method")


def parse(data: bytes) -> Request | Response:
    """One whole message out of a datagram (RFC 3261 18.3). Raises MessageError, and nothing else."""
    head, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        raise MessageError("no end of the headers")
    read = _Head(head)
    if read.message:
        read.message.size = len(data)
    return read.whole(body)


class Stream:
    """Framing of a stream connection by Content-Length (RFC 3261 18.3; keep-alives RFC 5626 4.4.1)."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0  # so far there is no end of a head; what came before is not looked at again
        self._head: _Head | None = None
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

    @property
    def between(self) -> bool:
        """No message has begun: a line end that comes now belongs to none."""
        return not self._held.strip(b"\r\n")

    def _complete(self) -> Iterator[Request | Response | None]:
        held = self._held
        while len(held) >= self._needed:
            if self._head is None:
                if pings := _PINGS.match(held):
                    length = pings.end()
                    del pings  # it holds the buffer
                    del held[:length]
                    yield from [None] * (length // 4)
                    continue
                if not self._read_head():
                    return
            if len(held) >= self._needed and self._head:
                head, body = self._head, bytes(held[self._needed - (self._head.length or 0) : self._needed])
                del held[: self._needed]
                self._head, self._searched, self._needed = None, 0, 1
                yield _framed(head, body)

    def _read_head(self) -> bool:
        """Read the head if all of it is here; tell what can never become a message."""
        held = self._held
        start = len(held) - len(held.lstrip(b"\r\n")) if held[0] in b"\r\n" else 0
        if self._searched <= start:
            line = held.find(b"\r\n", start)
            if (line if line >= 0 else len(held)) - start > MAX_HEADER:
                raise MessageError("start line too long", 414)
            if len(held) > start and not (
                _START_BYTE.match(held, start) if line < 0 else _START.match(held[start:line])
            ):
                raise MessageError("not a SIP message")
        end = held.find(b"\r\n\r\n", max(start, self._searched - 3))
        if end < 0:
            if len(held) > MAX_MESSAGE:
                raise MessageError("message too large", 513)
            self._searched = len(held) if held.find(b"\r\n", start) >= 0 else 0
            return False
        head = _Head(bytes(held[start:end]))
        if head.length is None:
            raise head.refusal(head.endless or MessageError("no Content-Length on a stream"))
        self._needed = end + 4 + head.length
        if self._needed > MAX_MESSAGE:
            raise head.refusal(MessageError("message too large", 513))
        self._head = head
        return True


def _framed(head: _Head, body: bytes) -> Request | Response:
    try:
        return head.whole(body)
    except MessageError as error:
        error.framed = True
        raise
