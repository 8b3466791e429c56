"""Streams on real sockets: keep-alives, the way from UDP to TCP for large requests, IPv6, other protocols."""

from __future__ import annotations

import asyncio
import socket

import pytest

from provisioner.sip import tls, transport
from provisioner.sip.headers import NameAddr, Uri, Via
from provisioner.sip.message import Request, Response, parse
from provisioner.sip.transaction import Flow, ServerTransaction
from tests.sip.lone import request
from tests.sip.test_transport import (
    ANYONE,
    HOST,
    OPTIONS,
    Station,
    _both_loops,  # noqa: F401
    played,
)

NAME = "core.example"


class Peer(asyncio.Protocol):
    """A server that notes what it gets and answers pings while it is told to."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()
        self.up, self.lost = asyncio.Event(), asyncio.Event()
        self.pongs = True
        self.transport: asyncio.Transport

    async def open(self) -> int:
        self._server = await asyncio.get_running_loop().create_server(lambda: self, HOST, 0)
        return self._server.sockets[0].getsockname()[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.up.set()

    def data_received(self, data: bytes) -> None:
        self.got.put_nowait(data)
        if self.pongs and not data.strip():
            self.transport.write(b"\r\n" * (len(data) // 4))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def close(self) -> None:
        self._server.close()


def kept_alive(station: Station, seconds: float) -> None:
    station.transport.policies[NAME] = tls.Policy(tls.client_context(), keep_alive=seconds)


async def connected(station: Station, seconds: float, pongs: bool = True) -> tuple[Peer, Flow]:
    """A peer that we are connected to, and that we ping every `seconds`."""
    peer = Peer()
    peer.pongs = pongs
    kept_alive(station, seconds)
    return peer, station.agent.connect("TCP", (HOST, await peer.open()), NAME)


# where connections come from


def test_a_connection_of_ours_comes_from_the_address_that_was_bound() -> None:
    seen: list[str] = []

    async def scene(a: Station, _b: Station) -> None:
        peer = Peer()
        a.agent.connect("TCP", (HOST, await peer.open()), NAME)
        await peer.up.wait()
        seen.append(peer.transport.get_extra_info("peername")[0])
        peer.close()

    played(scene, "127.0.0.7")
    assert seen == ["127.0.0.7"]


# keep-alives


def test_t10_a_connection_of_ours_is_kept_alive_and_pongs_are_no_pings() -> None:
    async def scene(a: Station, b: Station) -> None:
        peer, _flow = await connected(a, 0.001)
        for _ in range(5):
            assert await peer.got.get() == b"\r\n\r\n"
        peer.close()

    played(scene)


def test_t12_a_peer_that_stops_to_answer_pings_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PONG_SECONDS", 0.05)

    async def scene(a: Station, b: Station) -> None:
        peer, flow = await connected(a, 0.001)
        await peer.got.get()
        await peer.got.get()
        peer.pongs = False
        await peer.lost.wait()
        assert a.lost == [flow]
        peer.close()

    played(scene)


def test_a_peer_that_never_answers_pings_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PONG_SECONDS", 0.001)

    async def scene(a: Station, b: Station) -> None:
        peer, _flow = await connected(a, 0.002, pongs=False)
        for _ in range(20):
            await peer.got.get()
        assert not peer.lost.is_set()
        assert a.lost == []
        peer.close()

    played(scene)


def test_a_message_right_behind_a_pong_is_read() -> None:
    async def scene(a: Station, b: Station) -> None:
        peer, _flow = await connected(a, 0.001, pongs=False)
        await peer.got.get()
        peer.transport.write(b"\r\n" + OPTIONS)
        while not (answer := (await peer.got.get()).strip()):
            pass
        assert answer.startswith(b"SIP/2.0 200")
        peer.close()

    played(scene)


def test_a_message_that_is_split_at_a_line_end_while_a_pong_is_awaited() -> None:
    """What begins with CRLF is a pong between messages only, not in one."""
    head, tail = OPTIONS[: OPTIONS.index(b"\r\n")], OPTIONS[OPTIONS.index(b"\r\n") :]

    async def scene(a: Station, b: Station) -> None:
        peer, _flow = await connected(a, 0.001, pongs=False)
        await peer.got.get()
        peer.transport.write(head)
        for _ in range(3):  # the first half is read by now, for we pinged since
            await peer.got.get()
        peer.transport.write(tail)
        while not (answer := (await peer.got.get()).strip()):
            pass
        assert answer.startswith(b"SIP/2.0 200")
        peer.close()

    played(scene)


def test_a_pong_right_behind_a_message_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PONG_SECONDS", 0.05)

    async def scene(a: Station, b: Station) -> None:
        peer, _flow = await connected(a, 0.01)
        await peer.got.get()
        await peer.got.get()  # it has seen that we answer pings
        peer.pongs = False
        for _ in range(30):
            if not (await peer.got.get()).strip():
                peer.transport.write(OPTIONS + b"\r\n")
        assert not peer.lost.is_set()
        assert a.lost == []
        peer.close()

    played(scene)


# large requests


class Counted(Station):
    """Keeps the transports that requests came by."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[str] = []

    def on_request(self, transaction: ServerTransaction) -> None:
        self.came.append(Via.parse(transaction.request.get("via")).transport)
        transaction.reply(200)


async def ask(station: Station, port: int, size: int) -> Response | None:
    """MESSAGE with a body over UDP; its answer."""
    answered: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
    message: Request = station.agent.new_request("MESSAGE", f"sip:x@{HOST}:{port}", ANYONE, ANYONE, [])
    message.body = b"x" * size
    flow = station.agent.connect("UDP", (HOST, port))
    station.agent.request(message, flow, answered.set_result)
    return await answered


def switched(size: int, stream: bool, came: str, refuse: bool = False) -> None:
    async def scene(a: Station, b: Station) -> None:
        core = Counted()
        await core.open()
        a.agent.stream_to = a.transport.stream_to
        if stream:
            flow = a.agent.connect("TCP", (HOST, core.port), NAME)
            ready: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            hello = a.agent.new_request("OPTIONS", f"sip:{HOST}", ANYONE, ANYONE, [])
            a.agent.request(hello, flow, ready.set_result)
            await ready
            core.came.clear()
            if refuse:
                send = a.agent.send

                def lose(flow, data: bytes) -> None:
                    if flow.reliable:
                        asyncio.get_running_loop().call_soon(a.transport.lost, flow)
                    else:
                        send(flow, data)

                a.agent.transactions.send = lose
        answer = await ask(a, core.port, size)
        assert answer
        assert answer.status == 200
        assert core.came == [came]
        core.transport.close()

    played(scene)


@pytest.mark.parametrize(
    ("size", "stream", "came"),
    [(100, True, "UDP"), (1300, True, "TCP"), (1300, False, "UDP"), (9000, True, "TCP")],
)
def test_t09_a_large_request_goes_by_tcp_where_a_connection_is_open(
    size: int, stream: bool, came: str
) -> None:
    switched(size, stream, came)


def test_t09_back_to_udp_when_tcp_is_refused() -> None:
    switched(1300, True, "UDP", refuse=True)


def test_t09_a_large_invite_its_ack_and_its_bye() -> None:
    async def scene(a: Station, b: Station) -> None:
        a.agent.stream_to = a.transport.stream_to
        flow = a.agent.connect("TCP", (HOST, b.port), NAME)
        ready: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        a.agent.request(
            a.agent.new_request("OPTIONS", f"sip:{HOST}", ANYONE, ANYONE, []), flow, ready.set_result
        )
        await ready
        session = a.agent.invite(
            f"sip:x@{HOST}:{b.port}",
            a.agent.connect("UDP", (HOST, b.port)),
            ANYONE,
            ANYONE,
            a.media.offer(),
            a.listen,
            [("x-large", "x" * 1300)],
        )
        assert [await a.next() for _ in range(2)] == ["Progress", "Answered"]
        assert await b.next() == "Confirmed"
        invite = b.sessions[0].invite
        assert Via.parse(invite.get("via")).transport == "TCP"
        assert "transport" not in invite.get("contact")
        session.hangup()
        assert await b.next() == "Ended"

    played(scene)


# IPv6


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on the loopback")
@pytest.mark.parametrize("kind", ["UDP", "TCP"])
@pytest.mark.parametrize("host", ["::1", "::"])
def test_a_call_over_ipv6(kind: str, host: str) -> None:
    async def scene(a: Station, b: Station) -> None:
        flow = a.agent.connect(kind, ("::1", b.port))
        me = NameAddr(Uri("sip", "::1", user="x"))
        session = a.agent.invite(f"sip:x@[::1]:{b.port}", flow, me, me, a.media.offer(), a.listen)
        assert [await a.next() for _ in range(2)] == ["Progress", "Answered"]
        assert await b.next() == "Confirmed"
        assert session.dialog
        assert session.dialog.target.startswith(f"sip:[::1]:{b.port}")
        via = Via.parse(b.sessions[0].invite.get("via"))
        assert (via.host, via.port, via.params["received"]) == ("::1", a.port, "::1")
        b.sessions[0].hangup()
        assert await a.next() == "Ended"

    played(scene, host)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on the loopback")
@pytest.mark.parametrize("kind", ["UDP", "TCP"])
def test_both_families_on_one_port_with_plain_addresses(kind: str) -> None:
    async def scene(a: Station, b: Station) -> None:
        flow = a.agent.connect(kind, (HOST, b.port))
        a.agent.invite(f"sip:x@{HOST}:{b.port}", flow, ANYONE, ANYONE, a.media.offer(), a.listen)
        assert [await a.next() for _ in range(2)] == ["Progress", "Answered"]
        assert b.sessions[0].flow.remote[0] == HOST
        assert b.sessions[0].flow.local == (HOST, b.port)

    played(scene, "::")


# NAT, and what is no SIP


@pytest.mark.parametrize("kind", ["UDP", "TCP"])
def test_t08_answers_go_to_where_a_request_came_from_whatever_it_claims(kind: str) -> None:
    async def scene(a: Station, b: Station) -> None:
        loop = asyncio.get_running_loop()
        claimed = request("OPTIONS", transport=kind).replace(b";rport", b"")
        with socket.socket(
            socket.AF_INET, socket.SOCK_STREAM if kind == "TCP" else socket.SOCK_DGRAM
        ) as sock:
            sock.setblocking(False)
            sock.bind((HOST, 0))
            await loop.sock_connect(sock, (HOST, b.port))
            await loop.sock_sendall(sock, claimed)
            answer = parse(await loop.sock_recv(sock, 65536))
        assert Via.parse(answer.get("via")).params["received"] == HOST

    played(scene)


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01", b"SSH-2.0-x\r\n"])
def test_t11_another_protocol_is_closed_without_a_word_and_counted(junk: bytes) -> None:
    async def scene(a: Station, b: Station) -> None:
        reader, writer = await asyncio.open_connection(HOST, b.port)
        writer.write(junk)
        assert await reader.read() == b""
        writer.close()
        assert b.transport.probes == 1

    played(scene)


def test_t11_a_peer_that_spoke_sip_before_is_no_probe() -> None:
    async def scene(a: Station, b: Station) -> None:
        reader, writer = await asyncio.open_connection(HOST, b.port)
        writer.write(OPTIONS + b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"SIP/2.0 200")
        writer.close()
        assert b.transport.probes == 0
        assert b.agent.transactions.malformed == 1

    played(scene)
