"""TFTP on its sockets: one port takes requests, each transfer has a port of its own (RFC 1350, section 4)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, cast

from provisioner.errors import PeerError
from provisioner.front import tftp
from provisioner.front.firmware import Firmware
from provisioner.front.lookup import Lookup
from provisioner.front.record import Recorder
from provisioner.front.uploads import MAX_FILE, Uploads
from provisioner.phones.trust import Verdict

MAX_TRANSFERS = 256
MAX_TRANSFERS_OF_ONE = 8  # address: whoever forges a sender's address cannot flood it through us
_CODES = {404: tftp.NOT_FOUND, 413: tftp.FULL, 507: tftp.FULL}

_log = logging.getLogger(__name__)
Address = tuple[Any, ...]


class TftpServer(asyncio.DatagramProtocol):
    """Answers from the same look-up as HTTP, and takes what may be uploaded."""

    def __init__(self, lookup: Lookup, recorder: Recorder, firmware: Firmware, uploads: Uploads) -> None:
        self._lookup = lookup
        self._recorder = recorder
        self._firmware = firmware
        self._uploads = uploads
        self._transfers: set[_Transfer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def close(self) -> None:
        """Stop at once."""
        if self._transport:
            self._transport.close()
        for task in list(self._tasks):
            task.cancel()
        for transfer in list(self._transfers):
            transfer.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        try:
            request = tftp.parse_request(data)
        except PeerError as error:
            self._refuse(addr, error.status, error.reason)
            return
        if self._crowded(str(addr[0])):
            self._refuse(addr, tftp.UNDEFINED, "too many transfers, try again")
        elif request.operation == tftp.WRQ:
            self._write(request, addr)
        else:
            self._read(request, addr)

    # -- reading ----------------------------------------

    def _read(self, request: tftp.Request, addr: Address) -> None:
        verdict = self._judge(request, addr)
        if verdict.rule == "firmware":
            self._later(self._image(request, addr, verdict))
        elif verdict.body is None:
            self._answer(request, addr, verdict)
        else:
            body = tftp.to_netascii(verdict.body) if request.mode == tftp.NETASCII else verdict.body
            self._record(request, addr, verdict, 200, len(body))
            self._send(request, tftp.Memory(body), addr)

    async def _image(self, request: tftp.Request, addr: Address, verdict: Verdict) -> None:
        image = await self._firmware.find(verdict)
        if image is None:
            self._answer(request, addr, verdict.because("not-there"))
        elif request.mode == tftp.NETASCII:
            image.close()
            self._refuse(addr, tftp.ILLEGAL, "ask for firmware in octet mode")
        else:
            self._record(request, addr, verdict, 200, image.size)
            self._send(request, image, addr, image.close)

    def _send(
        self,
        request: tftp.Request,
        source: tftp.Source,
        addr: Address,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        machine = tftp.Sending(source, request.options, asyncio.get_running_loop().time())
        _Transfer(self, machine, on_end).open(addr)

    # -- writing ----------------------------------------

    def _write(self, request: tftp.Request, addr: Address) -> None:
        verdict = self._judge(request, addr)
        if verdict.rule != "upload" or verdict.asked is None:
            self._answer(request, addr, verdict)
            return
        machine = tftp.Receiving(request.options, MAX_FILE, asyncio.get_running_loop().time())

        def whole(transfer: _Transfer, data: bytes) -> None:
            self._later(self._keep(request, addr, verdict, transfer, data))

        _Transfer(self, machine, on_data=whole).open(addr)

    async def _keep(
        self, request: tftp.Request, addr: Address, verdict: Verdict, transfer: _Transfer, data: bytes
    ) -> None:
        body = tftp.from_netascii(data) if request.mode == tftp.NETASCII else data
        verdict = await self._uploads.keep(verdict, body)
        self._record(request, addr, verdict, verdict.status, len(body))
        transfer.kept(verdict)

    # -- the rest ----------------------------------------

    def _judge(self, request: tftp.Request, addr: Address) -> Verdict:
        method = "GET" if request.operation == tftp.RRQ else "PUT"
        return self._lookup.judge(
            self._lookup.door.asker(_path(request), str(addr[0]), method=method, scheme="tftp")
        )

    def _answer(self, request: tftp.Request, addr: Address, verdict: Verdict) -> None:
        """Refuse by the rule."""
        self._record(request, addr, verdict, verdict.status, 0)
        self._refuse(addr, error_code(verdict), verdict.words.decode().strip())

    def _record(self, request: tftp.Request, addr: Address, verdict: Verdict, status: int, size: int) -> None:
        method = "TFTP" if request.operation == tftp.RRQ else "TFTP PUT"
        self._recorder.answered(verdict, str(addr[0]), method, _path(request), status, size, "")

    def _refuse(self, addr: Address, code: int, words: str) -> None:
        assert self._transport
        self._transport.sendto(tftp.error(code, words), addr)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _crowded(self, address: str) -> bool:
        of_one = Counter(transfer.address for transfer in self._transfers)[address]
        return len(self._transfers) >= MAX_TRANSFERS or of_one >= MAX_TRANSFERS_OF_ONE

    def local(self) -> str:
        """The address to answer from."""
        assert self._transport
        return str(self._transport.get_extra_info("sockname")[0])

    def begun(self, transfer: _Transfer) -> None:
        """A transfer runs."""
        self._transfers.add(transfer)

    def ended(self, transfer: _Transfer) -> None:
        """A transfer is over."""
        self._transfers.discard(transfer)


def error_code(verdict: Verdict) -> int:
    """The TFTP error code of a refusal."""
    return _CODES.get(verdict.status, tftp.DENIED)


def _path(request: tftp.Request) -> str:
    return request.name if request.name.startswith("/") else f"/{request.name}"


class _Transfer:
    """One transfer on its own socket, connected to the client, so that nobody else is heard."""

    def __init__(
        self,
        server: TftpServer,
        machine: tftp.Sending | tftp.Receiving,
        on_end: Callable[[], None] = lambda: None,
        on_data: Callable[[_Transfer, bytes], None] | None = None,
    ) -> None:
        self.address = ""
        self._server = server
        self._machine = machine
        self._on_end = on_end
        self._on_data = on_data
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self, addr: Address) -> None:
        """Bind, connect and send the first packets."""
        local = self._server.local()
        sock = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.bind((local, 0))
            sock.connect(addr)
        except OSError as error:
            sock.close()
            self._on_end()
            _log.warning("cannot answer a TFTP request: %s", error.strerror)
            return
        self.address = str(addr[0])
        self._socket = sock
        self._server.begun(self)
        self._loop.add_reader(sock, self._readable)
        self._after(self._machine.start(self._loop.time()))

    def close(self) -> None:
        """End, whether or not all was sent."""
        if self._socket is None:
            return
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        if self._timer:
            self._timer.cancel()
        self._server.ended(self)
        self._on_end()

    def kept(self, verdict: Verdict) -> None:
        """What was received is kept, or cannot be."""
        assert isinstance(self._machine, tftp.Receiving)
        if verdict.rule == "upload":
            self._after(self._machine.stored(self._loop.time()))
        else:
            self._after(self._machine.failed(error_code(verdict), verdict.words.decode().strip()))

    def _readable(self) -> None:
        assert self._socket
        try:
            packet = self._socket.recv(2048)
        except BlockingIOError:
            return
        except OSError:  # the client's port is closed
            self.close()
            return
        self._after(self._machine.receive(packet, self._loop.time()))

    def _expired(self) -> None:
        self._timer = None
        self._after(self._machine.expired(self._loop.time()))

    def _after(self, packets: list[bytes]) -> None:
        machine = self._machine
        for packet in packets:
            if self._socket:
                with suppress(OSError):  # lost is lost: it is sent again
                    self._socket.send(packet)
        if self._on_data and isinstance(machine, tftp.Receiving) and machine.data is not None:
            on_data, self._on_data = self._on_data, None
            on_data(self, machine.data)
        if machine.done:
            self.close()
        elif self._socket and (self._timer is None or packets):
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_at(machine.deadline, self._expired)
