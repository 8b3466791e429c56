"""Request heads of old phones that the parser refuses, written as they were meant; only of requests without a body."""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes

_END = re.compile(rb"\r?\n\r?\n")
_FIRST = re.compile(rb"(?i:(GET|HEAD)) +([^\s\x00-\x1f][^\x00-\x1f]*?)(?: +(?i:HTTP)/\d\.\d)? *")
_BEGINNING = re.compile(rb"(?i:g|ge|get|h|he|hea|head|(?:get|head) [^\x00-\x1f]*\r?)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_FOLD = re.compile(rb"\r?\n[ \t]+")
# What would change where the request ends, or what becomes of the connection.
_LEFT_OUT = frozenset({b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect", b"te"})
_SAFE = "/:?=&%+@~.,;!$'()*[]-_"


def mended(data: bytes) -> bytes | None:
    """The head in `data` as HTTP/1.0 has it; None: it is past help; b"": wait for the rest of it.

    Taken are lines that end in a bare LF, methods and `HTTP` in lower case, a target without its first slash or with
    spaces or bytes outside ASCII, no version, a space before a header's colon, and folded headers (RFC 9112, sections
    2.2, 3 and 5).
    """
    data = data.lstrip(b"\r\n")
    line, end, _ = data.partition(b"\n")
    if not (_FIRST.fullmatch(line.removesuffix(b"\r")) if end else _BEGINNING.fullmatch(line)):
        return None
    parts = _END.split(data, 1)
    if len(parts) < 2:
        return b""
    first, *lines = _FOLD.sub(b" ", parts[0]).replace(b"\r\n", b"\n").split(b"\n")
    found = _FIRST.fullmatch(first)
    fields = [_FIELD.fullmatch(line) for line in lines]
    if found is None or None in fields:
        return None
    kept = [each[1] + b": " + each[2] for each in fields if each and each[1].lower() not in _LEFT_OUT]
    start = b"%b %b HTTP/1.0" % (found[1].upper(), _target(found[2]))
    return b"\r\n".join((start, *kept, b"Connection: close", b"", b""))


def _target(target: bytes) -> bytes:
    whole = target.startswith(b"/") or b"://" in target[:10]
    return quote_from_bytes(target if whole else b"/" + target, safe=_SAFE).encode()
