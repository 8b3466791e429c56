"""The relay plane of media inside the demo core's own process: its audio ports, on asyncio."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from provisioner.media.plane import Plane
from provisioner.media.process import MAX_PACKET, Pair

PORTS = range(30000, 32768, 2)  # above those of the media process, below the kernel's own
TRIES = 50

Listener = Callable[[str, dict[str, Any]], None]
"""Hears `digit`, `press` and `played` of one port (docs/internals.md, media)."""


class Port:
    """One party's audio. `put` changes what its document says."""

    def __init__(self, audio: Audio, leg: str, pair: Pair, listener: Listener) -> None:
        self.id, self.number, self.listener = leg, pair.port, listener
        self._audio, self._pair = audio, pair
        self._document: dict[str, Any] = {"leg": leg}

    def put(self, **changes: Any) -> None:
        self._document.update(changes)
        self._audio.put(self._document)

    def press(self, digit: str, milliseconds: int) -> None:
        """The party pressed a key, as SIP INFO said."""
        self._audio.press(self.id, digit, milliseconds)

    def close(self) -> None:
        self._audio.drop(self)

    @property
    def sockets(self) -> tuple[socket.socket, socket.socket]:
        return self._pair.media, self._pair.control


class Audio:
    """All ports of the core."""

    def __init__(self, rng: Random) -> None:
        self._loop = asyncio.get_running_loop()
        self._rng = rng
        self._plane = Plane(self._report, rng, self._loop.time())
        self._ports: dict[str, Port] = {}
        self._timer: asyncio.TimerHandle | None = None

    def open(self, leg: str, host: str, listener: Listener) -> Port:
        """A port for the party `leg`. Raises OSError when none is free."""
        pair = self._bind(host)
        port = self._ports[leg] = Port(self, leg, pair, listener)
        plane, now = self._plane, self._loop.time
        opened = plane.open(leg, _sender(pair.media), _sender(pair.control), now())
        receivers = (
            lambda data, source: plane.receive(opened, data, source, now()),
            lambda data, source: plane.receive_control(opened, data, source),
        )
        for sock, receive in zip(port.sockets, receivers, strict=True):
            self._loop.add_reader(sock, self._read, sock, receive)
        return port

    def _bind(self, host: str) -> Pair:
        problem = OSError("no audio port is free")
        for _ in range(TRIES):
            try:
                return Pair(host, self._rng.choice(PORTS))
            except OSError as error:
                problem = error
        raise problem

    def _read(self, sock: socket.socket, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        with suppress(OSError):  # ICMP errors come up here
            data, source = sock.recvfrom(MAX_PACKET)
            receive(data, source[:2])
            self._schedule()

    def put(self, document: dict[str, Any]) -> None:
        self._plane.put(document, self._loop.time())
        self._schedule()

    def press(self, leg: str, digit: str, milliseconds: int) -> None:
        self._plane.press(self._plane.leg(leg), digit, milliseconds, self._loop.time())
        self._schedule()

    def drop(self, port: Port) -> None:
        if self._ports.pop(port.id, None):
            self._plane.drop(port.id, self._loop.time())
            for sock in port.sockets:
                self._loop.remove_reader(sock)
                sock.close()

    def close(self) -> None:
        """Free all ports."""
        for port in list(self._ports.values()):
            self.drop(port)
        if self._timer:
            self._timer.cancel()

    def _schedule(self) -> None:
        """Wake up in time; a timer that comes too early does no harm, and packets come more often than timers."""
        when = self._plane.deadline()
        if self._timer and self._timer.when() <= when:
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._advance)

    def _advance(self) -> None:
        self._timer = None
        self._plane.advance(self._loop.time())
        self._schedule()

    def _report(self, event: str, data: dict[str, Any]) -> None:
        port = self._ports.get(data["leg"])
        if port:  # in its own turn: what it leads to changes the plane, which is at work here
            self._loop.call_soon(self._tell, port, event, data)

    def _tell(self, port: Port, event: str, data: dict[str, Any]) -> None:
        if port.id in self._ports:
            port.listener(event, data)


def _sender(sock: socket.socket) -> Callable[[bytes, tuple[str, int]], None]:
    def send(data: bytes, to: tuple[str, int]) -> None:
        with suppress(OSError):
            sock.sendto(data, to)

    return send
