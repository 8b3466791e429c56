"""SIP plug-and-play on its sockets: one in the multicast group, beside the edge's on the same port, one of its own."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from provisioner.front.pnp import GROUP, PORT, Ask, Responder, Send
from provisioner.front.record import Recorder
from provisioner.interfaces import interfaces
from provisioner.phones.trust import Verdict

_log = logging.getLogger(__name__)


class PnpServer:
    """Tells phones `url(ask)`, "" for those that may not be told; each once a boot, and each a row of the journal.

    `host`: an address of this machine that phones can answer to. `hosts`: those of the networks to listen in.
    """

    def __init__(self, recorder: Recorder, url: Callable[[Ask], str]) -> None:
        self._recorder = recorder
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._group: socket.socket | None = None
        self._own: socket.socket | None = None
        self._responder: Responder | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self, host: str, hosts: list[str]) -> None:
        """Join the group. Raises OSError."""
        self._own = _bound((host, 0), reuse=False)
        self._group = _bound((GROUP, PORT), reuse=True)
        for each in hosts:
            membership = socket.inet_aton(GROUP) + socket.inet_aton(each)
            with suppress(OSError):  # an interface without multicast
                self._group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        local = (host, int(self._own.getsockname()[1]))
        self._responder = Responder(local, self._decide, lambda: secrets.token_hex(8), _confirmed)
        self._loop.add_reader(self._group, self._asked)
        self._loop.add_reader(self._own, self._answered)

    def close(self) -> None:
        """Leave the group."""
        if self._timer:
            self._timer.cancel()
        for sock in (self._group, self._own):
            if sock:
                self._loop.remove_reader(sock)
                sock.close()
        self._group = self._own = None

    def _decide(self, ask: Ask) -> str:
        url = self._url(ask)
        verdict = Verdict("pnp" if url else "pnp-refused", ask.identity)
        self._recorder.answered(verdict, ask.source[0], "PNP", ask.uri, verdict.status, len(url), ask.agent)
        return url

    def _asked(self) -> None:
        data, source = _receive(self._group)
        if data and self._responder:
            self._send(self._responder.asked(data, source, self._loop.time()))

    def _answered(self) -> None:
        data, source = _receive(self._own)
        if data and self._responder:
            self._responder.answered(data, source)

    def _expired(self) -> None:
        self._timer = None
        if self._responder:
            self._send(self._responder.expired(self._loop.time()))

    def _send(self, packets: list[Send]) -> None:
        for packet in packets:
            # The group's socket sends from port 5060: where a phone sent to is where its answer comes from.
            sock = self._group if packet.answer else self._own
            with suppress(OSError):  # lost is lost: it is sent again
                if sock:
                    sock.sendto(packet.data, packet.to)
        due = self._responder.deadline if self._responder else None
        if due is not None and (self._timer is None or due < self._timer.when()):
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._expired)


def networks(bind: str, wildcard: bool) -> list[str]:
    """The addresses of the interfaces to listen on: all but loopback, or the one that is bound."""
    if not wildcard:
        return [] if bind.startswith("127.") or ":" in bind else [bind]
    found = (address for interface in interfaces() for address in interface.ipv4)
    return [address for address in found if not address.startswith("127.")]


def _bound(address: tuple[str, int], reuse: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _receive(sock: socket.socket | None) -> tuple[bytes, Any]:
    try:
        return sock.recvfrom(8192) if sock else (b"", None)
    except OSError:
        return b"", None


def _confirmed(mac: str, took: bool) -> None:
    if took:
        _log.info("the phone %s took the address of its files", mac)
    else:
        _log.warning("the phone %s asked where its files are, and did not take the answer", mac)
