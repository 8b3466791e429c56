"""Whole HTTP answers as bytes: exact length, one write, no chunks, no compression (phones need it so)."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

REASONS = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {code: f"HTTP/1.1 {code} {reason}\r\n".encode() for code, reason in REASONS.items()}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Clock:
    """The Date header of the current second, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def date(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._line = b"Date: " + formatdate(now, usegmt=True).encode() + b"\r\n"
        return self._line


_clock = Clock()


def head(status: int, headers: Iterable[tuple[str, str]], keep_alive: bool) -> bytes:
    """Status line and headers, with Date and Connection, up to the empty line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    connection = b"Connection: keep-alive\r\n\r\n" if keep_alive else b"Connection: close\r\n\r\n"
    first = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    return b"".join((first, _clock.date(), lines.encode("latin-1"), connection))


def whole(
    status: int,
    body: bytes,
    content_type: str = "text/plain; charset=utf-8",
    *,
    keep_alive: bool = True,
    only_head: bool = False,
    extra: Iterable[tuple[str, str]] = (),
) -> bytes:
    """A complete answer; `only_head` leaves the body out but not its length (HEAD)."""
    headers = (
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        *extra,
    )
    start = head(status, headers, keep_alive)
    return start if only_head else start + body


def sentence(status: int, words: str) -> bytes:
    """The body of a page that says one thing, for a browser."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>'
        f"{html.escape(REASONS[status])}</title><p>{html.escape(words)}</p></html>\n"
    ).encode()


def told(status: int, words: str, target: str) -> tuple[bytes, str]:
    """What says one thing to who asked for `target`: its body and media type. Programs get a problem (RFC 9457)."""
    if not target.startswith("/api/"):
        return sentence(status, words), "text/html; charset=utf-8"
    problem = {"type": "about:blank", "title": REASONS[status], "status": status, "detail": words}
    return json.dumps(problem).encode() + b"\n", "application/problem+json"


def ranged(value: str, size: int) -> tuple[int, int] | None:
    """The bytes that a Range header asks for, as (first, last + 1); the first is `size` when there are none (416).

    None: answer with the whole (no range, several, or none that we understand; RFC 9110, section 14.2).
    """
    found = _RANGE.fullmatch(value.strip())
    if not found or found[1] == found[2] == "" or len(value) > 64:
        return None
    if found[1] == "":
        return max(0, size - int(found[2])), size
    first = min(int(found[1]), size)
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < int(found[1]):
        return None
    return first, max(first, last + 1)
