"""SIP over UDP and TCP with asyncio: the sockets of the SIP room (RFC 3261 section 18)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

from provisioner.errors import OperatorError
from provisioner.sip.agent import Agent
from provisioner.sip.message import MessageError, Stream
from provisioner.sip.timers import Timers
from provisioner.sip.transaction import Flow

_log = logging.getLogger(__name__)

MAX_QUEUED = 1 << 20  # bytes to a TCP peer that does not read; then its connection is dropped
CONNECT_SECONDS = 4.0
DSCP_CS3 = 0x60  # RFC 4594: call signalling

Address = tuple[str, int]


class LoopTimers(Timers):
    """Timers that an asyncio loop fires."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop.time, self._arm)
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def _arm(self, when: float) -> None:
        if self._handle:
            self._handle.cancel()
        self._handle = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._handle = None
        try:
            self.fire()
        except Exception:
            _log.exception("a timer failed")
        deadline = self.deadline()
        if deadline is not None:
            self._arm(deadline)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, owner: SipTransport) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._owner.datagram(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """ICMP errors come without the peer's address on an unconnected socket: the timers decide."""


class _Tcp(asyncio.Protocol):
    """One stream connection."""

    def __init__(self, owner: SipTransport, flow: Flow | None = None) -> None:
        self.owner = owner
        self.flow = flow
        self.stream = Stream()
        self.transport: asyncio.Transport | None = None
        self.queued: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # those of uvloop are not of that class
        if self.flow is None:
            self.flow = self.owner.accepted(self, transport.get_extra_info("peername")[:2])
        for data in self.queued:
            self.transport.write(data)
        self.queued.clear()

    def data_received(self, data: bytes) -> None:
        assert self.flow
        assert self.transport
        while not self.transport.is_closing():
            try:
                messages = self.stream.feed(data)
            except MessageError as error:
                self.owner.refuse(error, self.flow)
                if not error.framed:
                    self.transport.close()
            else:
                if not messages:
                    return
                for message in messages:
                    if message is None:
                        self.transport.write(b"\r\n")
                    else:
                        self.owner.message(message, self.flow)
            data = b""

    def connection_lost(self, exc: Exception | None) -> None:
        if self.flow:
            self.owner.lost(self.flow)

    def send(self, data: bytes) -> None:
        if self.transport is None:
            self.queued.append(data)
        elif self.transport.get_write_buffer_size() > MAX_QUEUED:
            self.transport.abort()
        else:
            self.transport.write(data)


class SipTransport:
    """The sockets of one agent: `open`, then build an Agent with `send` and `connect`, then set `agent`."""

    def __init__(self, on_lost: Callable[[Flow], None] | None = None) -> None:
        self.agent: Agent
        self.address: Address = ("", 0)
        self._on_lost = on_lost
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.AbstractServer | None = None
        self._connections: dict[int, _Tcp] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._local: dict[str, str] = {}

    async def open(self, host: str, port: int) -> Address:
        """Bind UDP and TCP to one port (0: a free one). Raises OperatorError when it is taken."""
        loop = asyncio.get_running_loop()
        for attempt in range(20):
            try:
                udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(host, port))
            except OSError as error:
                raise _taken(host, port, error) from None
            bound = udp.get_extra_info("sockname")[1]
            try:
                self._tcp = await loop.create_server(lambda: _Tcp(self), host, bound, backlog=256)
            except OSError as error:
                udp.close()
                if port or attempt == 19:
                    raise _taken(host, bound, error) from None
                continue
            sock = udp.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, DSCP_CS3)
            self._udp = udp
            self.address = (host, bound)
            break
        return self.address

    def close(self) -> None:
        """Close all sockets."""
        if self._udp:
            self._udp.close()
        if self._tcp:
            self._tcp.close()
        for connection in list(self._connections.values()):
            if connection.transport:
                connection.transport.close()
        for task in self._tasks:
            task.cancel()

    # out

    def connect(self, transport: str, remote: Address) -> Flow:
        """A flow to `remote`; on TCP a connection that is open to it is used again, else one is begun."""
        local = (self.local_host(remote[0]), self.address[1])
        if transport == "UDP":
            return Flow("UDP", local, remote)
        for connection in self._connections.values():
            if connection.flow and connection.flow.remote == remote:
                return connection.flow
        self._count += 1
        flow = Flow("TCP", local, remote, self._count)
        connection = self._connections[self._count] = _Tcp(self, flow)
        task = asyncio.get_running_loop().create_task(self._begin(connection, remote))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return flow

    async def _begin(self, connection: _Tcp, remote: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.create_connection(lambda: connection, *remote), CONNECT_SECONDS)
        except (OSError, TimeoutError):
            assert connection.flow
            self.lost(connection.flow)

    def send(self, flow: Flow, data: bytes) -> None:
        """Put bytes on a flow; what cannot be sent is lost, and the transactions find out."""
        if flow.transport == "UDP":
            if self._udp and not self._udp.is_closing():
                try:
                    self._udp.sendto(data, flow.remote)
                except ValueError:  # uvloop, for an address of the other family
                    asyncio.get_running_loop().call_soon(self.lost, flow)
            return
        connection = self._connections.get(flow.connection)
        if connection:
            connection.send(data)
        else:
            asyncio.get_running_loop().call_soon(self.lost, flow)

    def local_host(self, remote: str) -> str:
        """Our address as `remote` sees it: the bound one, or the one that the route to it uses."""
        host = self.address[0]
        if host not in ("0.0.0.0", "::", ""):  # noqa: S104
            return host
        if remote not in self._local:
            if len(self._local) > 4096:
                self._local.clear()
            family = socket.AF_INET6 if ":" in remote else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                try:
                    probe.connect((remote, 9))
                    self._local[remote] = probe.getsockname()[0]
                except OSError:
                    return "127.0.0.1"
        return self._local[remote]

    # in

    def datagram(self, data: bytes, remote: Address) -> None:
        """A datagram; keep-alives (CRLF, zero bytes, empty) are dropped in silence."""
        if len(data) < 8 or not data.strip(b"\r\n\0"):
            return
        flow = Flow("UDP", (self.local_host(remote[0]), self.address[1]), remote)
        try:
            self.agent.receive(data, flow)
        except Exception:
            _log.exception("a datagram could not be handled")

    def message(self, message: Any, flow: Flow) -> None:
        """A message of a stream."""
        try:
            self.agent.receive_message(message, flow)
        except Exception:
            _log.exception("a message could not be handled")

    def refuse(self, error: MessageError, flow: Flow) -> None:
        """Count what a stream could not be read as, and answer it if it was a request."""
        self.agent.transactions.malformed += 1
        self.agent.transactions.refuse(error, flow)

    def accepted(self, connection: _Tcp, remote: Address) -> Flow:
        """A peer connected to us."""
        self._count += 1
        self._connections[self._count] = connection
        return Flow("TCP", (self.local_host(remote[0]), self.address[1]), (remote[0], remote[1]), self._count)

    def lost(self, flow: Flow) -> None:
        """A stream connection is gone, with everything that waited for it."""
        self._connections.pop(flow.connection, None)
        self.agent.transactions.transport_failed(flow)
        if self._on_lost:
            self._on_lost(flow)


def _taken(host: str, port: int, error: OSError) -> OperatorError:
    return OperatorError(
        f"cannot listen for SIP on {host}:{port} ({error.strerror})", "choose another with --sip-port"
    )
