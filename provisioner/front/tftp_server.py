"""TFTP on its sockets: one port takes requests, each transfer has a port of its own (RFC 1350, section 4)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from provisioner.errors import PeerError
from provisioner.front import tftp
from provisioner.front.door import Door
from provisioner.front.record import Recorder
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Verdict

MAX_TRANSFERS = 256
MAX_TRANSFERS_OF_ONE = 8  # address: whoever forges a sender's address cannot flood it through us

_log = logging.getLogger(__name__)


class TftpServer(asyncio.DatagramProtocol):
    """Answers read requests from the same look-up as HTTP."""

    def __init__(self, find: Callable[[], Renderer | None], recorder: Recorder, door: Door) -> None:
        self._find = find
        self._recorder = recorder
        self._door = door
        self._transfers: set[_Sender] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def close(self) -> None:
        """Stop at once."""
        if self._transport:
            self._transport.close()
        for sender in list(self._transfers):
            sender.close()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        assert self._transport
        try:
            request = tftp.parse_request(data)
            path = request.name if request.name.startswith("/") else f"/{request.name}"
            verdict, body = self._look_up(path, str(addr[0]))
        except PeerError as error:
            self._transport.sendto(tftp.error(error.status, error.reason), addr)
            return
        self._recorder.answered(
            verdict,
            str(addr[0]),
            "TFTP",
            path,
            200 if body is not None else verdict.status,
            len(body or b""),
            "",
        )
        if body is None:
            code = tftp.NOT_FOUND if verdict.status == 404 else tftp.DENIED
            self._transport.sendto(tftp.error(code, verdict.words.decode().strip()), addr)
        elif self._crowded(str(addr[0])):
            self._transport.sendto(tftp.error(tftp.UNDEFINED, "too many transfers, try again"), addr)
        else:
            self._send(tftp.Transfer(body, request.options, asyncio.get_running_loop().time()), addr)

    def _look_up(self, path: str, address: str) -> tuple[Verdict, bytes | None]:
        renderer = self._find()
        if renderer is None:
            return Verdict.unready(), None
        verdict = self._door.judge(renderer, self._door.asker(path, address, scheme="tftp"))
        return verdict, verdict.body

    def _crowded(self, address: str) -> bool:
        of_one = Counter(sender.address for sender in self._transfers)[address]
        return len(self._transfers) >= MAX_TRANSFERS or of_one >= MAX_TRANSFERS_OF_ONE

    def _send(self, transfer: tftp.Transfer, addr: tuple[Any, ...]) -> None:
        assert self._transport
        local = self._transport.get_extra_info("sockname")[0]
        sender = _Sender(transfer, str(addr[0]), self._transfers.discard)
        try:
            sender.open(local, addr)
        except OSError as error:
            _log.warning("cannot answer a TFTP request: %s", error.strerror)
            return
        self._transfers.add(sender)


class _Sender:
    """One transfer on its own socket, connected to the client, so that nobody else is heard."""

    def __init__(self, transfer: tftp.Transfer, address: str, on_end: Callable[[_Sender], None]) -> None:
        self.address = address
        self._transfer = transfer
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self, local: str, addr: tuple[Any, ...]) -> None:
        """Bind, connect and send the first packet. Raises OSError."""
        family = socket.AF_INET6 if ":" in local else socket.AF_INET
        self._socket = sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.bind((local, 0))
            sock.connect(addr)
        except OSError:
            sock.close()
            raise
        self._loop.add_reader(sock, self._readable)
        self._after(self._transfer.start(self._loop.time()))

    def close(self) -> None:
        """End, whether or not all was sent."""
        if self._socket is None:
            return
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        if self._timer:
            self._timer.cancel()
        self._on_end(self)

    def _readable(self) -> None:
        assert self._socket
        try:
            packet = self._socket.recv(2048)
        except BlockingIOError:
            return
        except OSError:  # the client's port is closed
            self.close()
            return
        self._after(self._transfer.receive(packet, self._loop.time()))

    def _expired(self) -> None:
        self._timer = None
        self._after(self._transfer.expired(self._loop.time()))

    def _after(self, packet: bytes | None) -> None:
        if packet and self._socket:
            with suppress(OSError):  # lost is lost: it is sent again
                self._socket.send(packet)
        if self._transfer.done:
            self.close()
        elif self._timer is None or packet:
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._transfer.deadline, self._expired)
