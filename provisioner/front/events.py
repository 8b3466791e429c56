"""The event stream for staff (`text/event-stream`): what edge and front report, to browsers."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from provisioner.front import answers
from provisioner.front.connection import Request

MAX_BACKLOG = 256 << 10  # a browser that does not read is dropped; it connects again by itself
MAX_STREAMS = 100
KEEP_ALIVE_SECONDS = 15.0
RECONNECT_MS = 2000

_log = logging.getLogger(__name__)


class Hub:
    """The open streams. `publish` never waits."""

    def __init__(self) -> None:
        self._streams: set[Request] = set()
        self._next_comment = 0.0

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def full(self) -> bool:
        return len(self._streams) >= MAX_STREAMS

    def open(self, request: Request) -> None:
        """Begin a stream as the answer to `request`; it ends with the connection."""
        headers = (
            ("Content-Type", "text/event-stream; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),
        )
        request.keep_alive = False
        start = answers.head(200, headers, keep_alive=False) + b"retry: %d\n\n" % RECONNECT_MS
        request.connection.streaming = True
        self._streams.add(request)
        request.connection.transport.write(start)

    def publish(self, event: str, data: dict[str, Any]) -> None:
        """Send an event to every stream."""
        if self._streams:
            self._send(b"event: %b\ndata: %b\n\n" % (event.encode(), msgspec.json.encode(data)))

    def tick(self, now: float) -> list[Request]:
        """Send a comment to every stream when it is time, so that nothing between takes it for dead; who got it."""
        if now < self._next_comment:
            return []
        self._next_comment = now + KEEP_ALIVE_SECONDS
        self._send(b":\n\n")
        return list(self._streams)

    def end(self, request: Request) -> None:
        """End a stream: whose session is over hears no more."""
        self._streams.discard(request)
        request.connection.abort()

    def _send(self, data: bytes) -> None:
        for request in list(self._streams):
            connection = request.connection
            if connection.is_closing():
                self._streams.discard(request)
            elif connection.transport.get_write_buffer_size() > MAX_BACKLOG:
                self._streams.discard(request)
                _log.info("dropped a browser at %s that does not read its events", connection.address)
                connection.abort()
            else:
                connection.transport.write(data)
