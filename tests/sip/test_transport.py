"""Real sockets on the loopback: calls, lost connections, junk (RFC 3261 section 18)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import cast

import pytest
import uvloop

from provisioner.errors import OperatorError
from provisioner.sip.agent import Agent
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import parse
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import Event, Failed, Session
from provisioner.sip.transaction import Flow, ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport
from tests.sip.lone import request

HOST = "127.0.0.1"
ANYONE = NameAddr(Uri("sip", HOST, user="x"))
OPTIONS = request("OPTIONS", transport="TCP")


class Station:
    """An agent on its own sockets that takes every call."""

    def __init__(self) -> None:
        self.lost: list[Flow] = []
        self.transport = SipTransport(self.lost.append)
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.sessions: list[Session] = []
        self.media = MediaSession(HOST, 4000, 1)
        self.agent: Agent

    async def open(self, host: str = HOST) -> Station:
        await self.transport.open(host, 0)
        timers = LoopTimers(asyncio.get_running_loop())
        send, connect = self.transport.send, self.transport.connect
        self.agent = Agent(self, timers, random.Random(self.transport.address[1]), send, connect, "test")
        self.transport.agent = self.agent
        return self

    def on_invite(self, session: Session) -> None:
        session.listener = self.listen
        self.sessions.append(session)
        session.progress(180)
        session.accept(self.media.answer(session.invite.body))

    def on_request(self, transaction: ServerTransaction) -> None:
        transaction.reply(200)

    def listen(self, session: Session, event: Event) -> None:
        self.events.put_nowait(event)

    async def next(self) -> str:
        return type(await self.events.get()).__name__

    def call(self, transport: str, port: int) -> Session:
        flow = self.agent.connect(transport, (HOST, port))
        return self.agent.invite(
            f"sip:x@{HOST}:{port}", flow, ANYONE, ANYONE, self.media.offer(), self.listen
        )

    @property
    def port(self) -> int:
        return self.transport.address[1]


def played(scene: Callable[[Station, Station], Coroutine], host: str = HOST) -> None:
    """Run a scene between two stations; no exception may be left over in a callback."""

    async def play() -> None:
        left: list[dict] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: left.append(context))
        a, b = await Station().open(host), await Station().open(host)
        async with asyncio.timeout(20):
            await scene(a, b)
        for station in (a, b):
            station.transport.close()
        await asyncio.sleep(0)
        assert left == []

    with asyncio.Runner(loop_factory=_loop[0]) as runner:
        runner.run(play())


_loop: list[Callable[[], asyncio.AbstractEventLoop]] = []


@pytest.fixture(
    autouse=True, params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def _both_loops(request: pytest.FixtureRequest) -> None:
    """Every scene on both: they differ in what they raise and which classes they use."""
    _loop[:] = [request.param]


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("host", [HOST, "0.0.0.0"])
def test_a_call(transport: str, host: str) -> None:
    async def scene(a: Station, b: Station) -> None:
        session = a.call(transport, b.port)
        assert [await a.next() for _ in range(2)] == ["Progress", "Answered"]
        assert await b.next() == "Confirmed"
        assert session.dialog.target == f"sip:{HOST}:{b.port}" + (
            ";transport=tcp" if transport == "TCP" else ""
        )
        b.sessions[0].hangup()  # over the connection that the call came on
        assert await a.next() == "Ended"
        if transport == "TCP":
            assert (len(a.transport._connections), len(b.transport._connections)) == (1, 1)

    played(scene, host)


def test_t17_nobody_listens_on_tcp() -> None:
    async def scene(a: Station, b: Station) -> None:
        port = b.port
        b.transport.close()
        a.call("TCP", port)
        assert await a.events.get() == Failed(503, "Not delivered")
        assert [flow.remote for flow in a.lost] == [(HOST, port)]

    played(scene)


def test_an_address_of_the_other_family_cannot_be_reached() -> None:
    async def scene(a: Station, b: Station) -> None:
        flow = a.agent.connect("UDP", ("::1", b.port))
        a.agent.invite("sip:x@[::1]", flow, ANYONE, ANYONE, a.media.offer(), a.listen)
        if _loop == [uvloop.new_event_loop]:
            assert await a.events.get() == Failed(503, "Not delivered")

    played(scene)


def test_t12_a_lost_connection_fails_what_waits_on_it() -> None:
    async def scene(a: Station, b: Station) -> None:
        closing = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            closing.set()

        server = await asyncio.start_server(accept, HOST, 0)
        a.call("TCP", server.sockets[0].getsockname()[1])
        await closing.wait()
        assert await a.events.get() == Failed(503, "Not delivered")
        assert len(a.lost) == 1
        assert a.transport._connections == {}
        flow = a.lost[0]
        a.transport.send(flow, b"x")  # what comes too late is lost, and told again
        await asyncio.sleep(0)
        assert a.lost == [flow, flow]
        server.close()

    played(scene)


async def spoken(station: Station, *pieces: bytes, until: bytes = b"") -> bytes:
    """What a raw TCP client hears until `until`, or until the station closes."""
    reader, writer = await asyncio.open_connection(HOST, station.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    heard = b""
    while (not until or until not in heard) and (data := await reader.read(4096)):
        heard += data
    writer.close()
    return heard


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\xa5", b"\0" * 50, b"\r\n\r\nEHLO x\r\n"]
)
def test_t11_a_probe_is_closed_without_a_word(junk: bytes) -> None:
    async def scene(a: Station, b: Station) -> None:
        assert (await spoken(b, junk)).strip() == b""
        assert b.agent.transactions.malformed == 1

    played(scene)


def test_t10_missing_content_length_is_400_and_closed() -> None:
    async def scene(a: Station, b: Station) -> None:
        heard = await spoken(
            b, OPTIONS + OPTIONS.replace(b"Content-Length: 0\r\n", b"").replace(b"b1", b"b2")
        )
        assert [line for line in heard.split(b"\r\n") if line.startswith(b"SIP/2.0 ")] == [
            b"SIP/2.0 200 OK",
            b"SIP/2.0 400 No Content-Length on a stream",
        ]

    played(scene)


def test_a_bad_message_does_not_cost_the_connection() -> None:
    async def scene(a: Station, b: Station) -> None:
        bad = OPTIONS.replace(b"CSeq: 1", b"CSeq: x").replace(b"b1", b"b2")
        heard = await spoken(b, bad + OPTIONS, until=b"200 OK")
        assert heard.startswith(b"SIP/2.0 400 Bad CSeq")

    played(scene)


def test_t10_keep_alive_gets_its_pong() -> None:
    async def scene(a: Station, b: Station) -> None:
        assert await spoken(b, b"\r\n\r\n", until=b"\r\n") == b"\r\n"

    played(scene)


def test_messages_cut_anywhere() -> None:
    async def scene(a: Station, b: Station) -> None:
        pieces = [OPTIONS[at : at + 1] for at in range(len(OPTIONS))]
        assert parse(await spoken(b, *pieces, until=b"\r\n\r\n")).status == 200

    played(scene)


@pytest.mark.parametrize(
    "quiet", [b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0", b"\r\n" * 5, b"hello world\r\n\r\n"]
)
def test_n01_keep_alives_and_junk_on_udp_are_quiet(quiet: bytes) -> None:
    async def scene(a: Station, b: Station) -> None:
        answers: asyncio.Queue[bytes] = asyncio.Queue()

        class Peer(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple) -> None:
                answers.put_nowait(data)

        loop = asyncio.get_running_loop()
        udp, _ = await loop.create_datagram_endpoint(Peer, remote_addr=(HOST, b.port))
        udp.sendto(quiet)
        udp.sendto(request("OPTIONS"))
        assert parse(await answers.get()).status == 200
        assert answers.empty()
        udp.close()

    played(scene)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of uvloop, for a failed bind
def test_a_taken_port_is_said_so() -> None:
    async def scene(a: Station, b: Station) -> None:
        with pytest.raises(OperatorError, match=f"cannot listen for SIP on {HOST}:{a.port} .*--sip-port"):
            await SipTransport().open(HOST, a.port)

    played(scene)


def test_a_taken_tcp_port_is_said_so() -> None:
    async def scene(a: Station, b: Station) -> None:
        server = await asyncio.start_server(lambda r, w: None, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OperatorError):
            await SipTransport().open(HOST, port)
        server.close()

    played(scene)


class Said(logging.Handler):
    """Log records as a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.records: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.put_nowait(record.getMessage())


def test_a_failing_application_does_not_stop_the_sockets() -> None:
    said = Said()

    async def scene(a: Station, b: Station) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("broken")

        b.on_request = fail
        b.agent.timers.after(0, fail)
        assert await said.records.get() == "a timer failed"
        for transport, what in (("UDP", "a datagram"), ("TCP", "a message")):
            answers: asyncio.Queue = asyncio.Queue()
            message = a.agent.new_request("MESSAGE", f"sip:x@{HOST}", ANYONE, ANYONE, [])
            a.agent.request(message, a.agent.connect(transport, (HOST, b.port)), answers.put_nowait)
            assert await said.records.get() == f"{what} could not be handled"
            assert (await answers.get()).status == 500
        a.call("UDP", b.port)
        assert [await a.next() for _ in range(2)] == ["Progress", "Answered"]

    logger = logging.getLogger("provisioner.sip.transport")
    logger.addHandler(said)
    try:
        played(scene)
    finally:
        logger.removeHandler(said)


class StandingLoop:
    """A loop whose clock the test moves; `due` are (time, callback)."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., None], *args: object) -> StandingLoop:
        self.due = [(when, partial(callback, *args))]  # there is one at a time
        return self

    def cancel(self) -> None:
        self.due.clear()

    def call_later(self, seconds: float, callback: Callable[..., None]) -> StandingLoop:
        return self.call_at(self.now + seconds, callback)

    def turn(self, now: float) -> None:
        self.now = now
        for when, callback in list(self.due):
            assert when <= now
            self.due.clear()
            callback()


def test_what_came_while_the_loop_stood_still_goes_before_what_ran_out() -> None:
    loop, fired = StandingLoop(), []
    timers = LoopTimers(cast(asyncio.AbstractEventLoop, loop))
    timers.after(1.0, lambda: fired.append("in time"))
    loop.turn(1.05)
    assert fired == ["in time"]
    interdigit = timers.after(1.0, lambda: fired.append("interdigit"))
    timers.after(1.5, lambda: fired.append("transaction"))
    loop.turn(9.0)
    assert fired == ["in time"]
    interdigit.cancel()  # the key is read now
    timers.after(1.0, lambda: fired.append("next digit"))
    loop.turn(9.05)
    assert fired == ["in time", "transaction"]
    loop.turn(10.02)
    assert fired == ["in time", "transaction", "next digit"]
