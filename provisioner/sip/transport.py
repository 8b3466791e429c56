"""SIP over UDP, TCP and TLS with asyncio: the sockets of the SIP room (RFC 3261 section 18)."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from cryptography import x509

from provisioner.errors import OperatorError
from provisioner.sip import tls
from provisioner.sip.agent import Agent
from provisioner.sip.headers import join_host
from provisioner.sip.message import MessageError, Stream
from provisioner.sip.timers import Timers
from provisioner.sip.transaction import Flow

_log = logging.getLogger(__name__)

MAX_QUEUED = 1 << 20  # bytes to a TCP peer that does not read; then its connection is dropped
CONNECT_SECONDS = 4.0
PONG_SECONDS = 10.0  # RFC 5626 4.4.1
PING, PONG = b"\r\n\r\n", b"\r\n"
MAX_CONNECTIONS = 2000
MAX_CONNECTIONS_FROM = 256  # one host; phones behind a NAT share one
WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104
DSCP_CS3 = 0x60  # RFC 4594: call signalling

Address = tuple[str, int]


LATE = 0.1  # seconds after its time that a timer shows that the loop stood still
READING = 0.01  # seconds in which what came meanwhile is read


class LoopTimers(Timers):
    """Timers that an asyncio loop fires.

    After the loop stood still (a busy machine), what came meanwhile goes first: an answer or a key that was in
    time must not find that its time had run out.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop.time, self._arm)
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def _arm(self, when: float) -> None:
        if self._handle:
            self._handle.cancel()
        self._handle = self._loop.call_at(when, self._due, when)

    def _due(self, when: float) -> None:
        if self._loop.time() - when > LATE:
            self._handle = self._loop.call_later(READING, self._fire)
        else:
            self._fire()

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


class _Stream(asyncio.Protocol):
    """One stream connection, TCP or TLS; `flow` is given for those that we begin."""

    def __init__(self, owner: SipTransport, kind: str, flow: Flow | None = None) -> None:
        self.owner = owner
        self.kind = kind
        self.flow = flow
        self.stream = Stream()
        self.transport: asyncio.Transport | None = None
        self.queued: list[bytes] = []
        self.greeted = False  # a first message came, or at least a ping
        self._policy = owner.policies.get(flow.name) if flow else None
        self._ponged = False  # the peer answers pings: when it stops to, it is dead
        self._ping: asyncio.TimerHandle | None = None
        self._pong: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = stream = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        if self.flow is None:
            host, port = stream.get_extra_info("peername")[:2]
            if not self.owner.admits(host):
                stream.abort()
                return
            self.flow = self.owner.accepted(self, (host, port))
        elif self.kind == "TLS" and not self.owner.trusted(self.flow, stream, self._policy):
            stream.abort()
            return
        for data in self.queued:
            stream.write(data)
        self.queued.clear()
        self._keep_alive()

    def data_received(self, data: bytes) -> None:
        assert self.flow
        assert self.transport
        if self._pong:
            self._pong.cancel()  # whatever it sent: it lives
            self._pong = None
            if self.stream.between and data.startswith(PONG):
                self._ponged, data = True, data[len(PONG) :]
        while not self.transport.is_closing():
            try:
                messages = self.stream.feed(data)
            except MessageError as error:
                self._refuse(error)
            else:
                if not messages:
                    return
                self.greeted = True
                for message in messages:
                    if message is None:
                        self.transport.write(PONG)
                    else:
                        self.owner.message(message, self.flow)
            data = b""

    def _refuse(self, error: MessageError) -> None:
        assert self.flow
        assert self.transport
        if not self.greeted and error.message is None and not error.framed:
            self.owner.probes += 1  # a scanner, or another protocol: no word to it
        self.owner.refuse(error, self.flow)
        if not error.framed:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._ping, self._pong):
            if timer:
                timer.cancel()
        if self.flow:
            self.owner.lost(self.flow)

    def send(self, data: bytes) -> None:
        if self.transport is None:
            self.queued.append(data)
        elif self.transport.get_write_buffer_size() > MAX_QUEUED:
            self.transport.abort()
        else:
            self.transport.write(data)

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def _keep_alive(self) -> None:
        """Ping every now and then, on a connection that we began (RFC 5626 4.4.1)."""
        if self._policy and self._policy.keep_alive:
            loop = asyncio.get_running_loop()
            self._ping = loop.call_later(self._policy.keep_alive, self.ping)

    def ping(self) -> None:
        """Ask for a sign of life; a peer that gave one before and now does not is gone."""
        if not self.open:
            return
        self.send(PING)
        if self._pong is None:
            self._pong = asyncio.get_running_loop().call_later(PONG_SECONDS, self._no_pong)
        self._keep_alive()

    def _no_pong(self) -> None:
        self._pong = None
        if self._ponged and self.transport:
            self.transport.abort()


class SipTransport:
    """The sockets of one agent: `open`, then build an Agent with `send` and `connect`, then set `agent`.

    `policies`: how servers that we open a stream to are treated, by the name that the flow is for.
    """

    def __init__(
        self,
        on_lost: Callable[[Flow], None] | None = None,
        connects: Callable[[str], bool] = lambda _host: True,
    ) -> None:
        """`connects`: whether a stream connection from a host is accepted."""
        self.agent: Agent
        self._connects = connects
        self.address: Address = ("", 0)
        self.tls_port = 0  # 0 while there is no TLS
        self.policies: dict[str, tls.Policy] = {}
        self.problems: dict[Address, str] = {}  # why the last connection to an address failed
        self.probes = 0  # connections whose first line was no SIP
        self._on_lost = on_lost
        self._udp: dict[bool, asyncio.DatagramTransport] = {}  # by whether it is IPv6
        self._servers: list[asyncio.AbstractServer] = []
        self._connections: dict[int, _Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._local: dict[str, str] = {}

    async def open(self, host: str, port: int) -> Address:
        """Bind UDP and TCP to one port (0: a free one), `::` means IPv4 too. Raises OperatorError when taken."""
        for attempt in range(20):
            try:
                bound = await self._open_udp(host, port)
            except OSError as error:
                self._close_udp()
                raise _taken(host, port, error) from None
            try:
                await self._listen(host, bound, "TCP", None)
            except OSError as error:
                self._close_udp()
                if port or attempt == 19:
                    raise _taken(host, bound, error) from None
                continue
            self.address = (host, bound)
            break
        return self.address

    async def open_tls(self, port: int, context: ssl.SSLContext) -> int:
        """Listen for TLS beside the rest, for phones; returns the port. Raises OperatorError when it is taken."""
        try:
            self.tls_port = await self._listen(self.address[0], port, "TLS", context)
        except OSError as error:
            raise _taken(self.address[0], port, error, "--sips-port") from None
        return self.tls_port

    async def _open_udp(self, host: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        for address in _both(host):
            sock = _socket(address, port, socket.SOCK_DGRAM)
            udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=sock)
            self._udp[":" in address] = udp
            port = sock.getsockname()[1]
        return port

    async def _listen(self, host: str, port: int, kind: str, context: ssl.SSLContext | None) -> int:
        loop = asyncio.get_running_loop()
        begun: list[asyncio.AbstractServer] = []
        handshake: dict[str, Any] = {"ssl": context, "ssl_handshake_timeout": 10.0} if context else {}
        try:
            for address in _both(host):
                sock = _socket(address, port, socket.SOCK_STREAM)
                port = sock.getsockname()[1]
                factory = partial(_Stream, self, kind)
                begun.append(await loop.create_server(factory, sock=sock, backlog=256, **handshake))
        except OSError:
            for server in begun:
                server.close()
            raise
        self._servers += begun
        return port

    def _close_udp(self) -> None:
        for udp in self._udp.values():
            udp.close()
        self._udp.clear()

    def close(self) -> None:
        """Close all sockets."""
        self._close_udp()
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            if connection.transport:
                connection.transport.close()
        for task in self._tasks:
            task.cancel()

    # out

    def _sent_by(self, transport: str, remote: str) -> Address:
        port = self.tls_port if transport == "TLS" and self.tls_port else self.address[1]
        return self.local_host(remote), port

    def connect(self, transport: str, remote: Address, name: str = "") -> Flow:
        """A flow to `remote`; a stream that is open to it for `name` is used again, else one is begun."""
        local = self._sent_by(transport, remote[0])
        if transport == "UDP":
            return Flow("UDP", local, remote)
        for connection in self._connections.values():
            flow = connection.flow
            if flow and (flow.transport, flow.remote, flow.name) == (transport, remote, name):
                return flow
        self._count += 1
        flow = Flow(transport, local, remote, self._count, name)
        connection = self._connections[self._count] = _Stream(self, transport, flow)
        task = asyncio.get_running_loop().create_task(self._begin(connection, flow))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return flow

    async def _begin(self, connection: _Stream, flow: Flow) -> None:
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {}
        if flow.transport == "TLS":
            policy = self.policies.get(flow.name) or self.policies.setdefault(
                flow.name, tls.Policy(tls.client_context())
            )
            options = {"ssl": policy.context, "server_hostname": flow.name or flow.remote[0]}
        host = self.address[0]
        if host not in WILDCARDS and (":" in host) == (":" in flow.remote[0]):
            options["local_addr"] = (host, 0)  # some know us by the address that UDP comes from
        try:
            begun = loop.create_connection(lambda: connection, *flow.remote, **options)
            await asyncio.wait_for(begun, CONNECT_SECONDS)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            self._problem(flow, tls.words(error))
            self.lost(flow)

    def trusted(self, flow: Flow, stream: asyncio.Transport, policy: tls.Policy | None) -> bool:
        """Whether the server at the other end is who the flow is for; says why not, and when it soon ends."""
        der = stream.get_extra_info("ssl_object").getpeercert(True)
        certificate = x509.load_der_x509_certificate(der)
        domain = flow.name or flow.remote[0]
        reason = tls.refusal(certificate, domain, bool(policy and policy.wildcards))
        if reason:
            self._problem(flow, reason)
            return False
        self.problems.pop(flow.remote, None)
        left = tls.days_left(certificate, datetime.now(UTC))
        if left < tls.ALARM_DAYS:
            _log.error("the certificate of %s ends in %.0f days", domain, left)
        return True

    def _problem(self, flow: Flow, reason: str) -> None:
        """Log why a connection failed, once until something else is wrong."""
        if self.problems.get(flow.remote) != reason:
            where = join_host(*flow.remote)
            whose = f" ({flow.name})" if flow.name else ""
            level = logging.WARNING if flow.transport == "TLS" else logging.INFO
            _log.log(level, "no %s to %s%s: %s", flow.transport, where, whose, reason)
            if len(self.problems) > 256:
                self.problems.clear()
        self.problems[flow.remote] = reason

    def stream_to(self, flow: Flow) -> Flow | None:
        """The TCP connection of ours that is open to where a UDP flow leads, for what is too large for UDP."""
        for connection in self._connections.values():
            other = connection.flow
            if other and (other.transport, other.remote) == ("TCP", flow.remote) and connection.open:
                return other
        return None

    def stream_is_open(self, flow: Flow) -> bool:
        """Whether the stream connection of a flow is up."""
        connection = self._connections.get(flow.connection)
        return connection is not None and connection.open

    def send(self, flow: Flow, data: bytes) -> None:
        """Put bytes on a flow; what cannot be sent is lost, and the transactions find out."""
        if flow.transport == "UDP":
            udp = self._udp.get(":" in flow.remote[0])
            if udp is None:  # an address of the other family
                asyncio.get_running_loop().call_soon(self.lost, flow)
            elif not udp.is_closing():
                udp.sendto(data, flow.remote)
            return
        connection = self._connections.get(flow.connection)
        if connection:
            connection.send(data)
        else:
            asyncio.get_running_loop().call_soon(self.lost, flow)

    def local_host(self, remote: str) -> str:
        """Our address as `remote` sees it: the bound one, or the one that the route to it uses."""
        host = self.address[0]
        if host not in WILDCARDS:
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
                    return "::1" if family == socket.AF_INET6 else "127.0.0.1"
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

    def admits(self, host: str) -> bool:
        """Whether a connection from `host` is taken: not from the unwelcome, and not without number."""
        held = [connection.flow.remote[0] for connection in self._connections.values() if connection.flow]
        full = len(held) >= MAX_CONNECTIONS or held.count(host) >= MAX_CONNECTIONS_FROM
        return not full and self._connects(host)

    def accepted(self, connection: _Stream, remote: Address) -> Flow:
        """A peer connected to us."""
        self._count += 1
        self._connections[self._count] = connection
        local = self._sent_by(connection.kind, remote[0])
        return Flow(connection.kind, local, (remote[0], remote[1]), self._count)

    def lost(self, flow: Flow) -> None:
        """A stream connection is gone, with everything that waited for it."""
        self._connections.pop(flow.connection, None)
        self.agent.transactions.transport_failed(flow)
        if self._on_lost:
            self._on_lost(flow)


_IP_MULTICAST_ALL = 49  # linux/in.h; `socket` has no name for it


def _both(host: str) -> tuple[str, ...]:
    """The addresses to bind: `::` stands for both families, a socket for each keeps IPv4 addresses plain."""
    return ("::", "0.0.0.0") if host == "::" else (host,)  # noqa: S104


def _socket(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A bound socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            if host == "0.0.0.0" and port:  # noqa: S104 - compared
                # What answers plug-and-play has this port in its multicast group, whose packets are not for us. A
                # second SIP server is still found out: by the TCP port.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, DSCP_CS3)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, DSCP_CS3)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _taken(host: str, port: int, error: OSError, option: str = "--sip-port") -> OperatorError:
    return OperatorError(
        f"cannot listen for SIP on {join_host(host, port)} ({error.strerror})",
        f"choose another with {option}",
    )
