"""Order, limits and time of one connection, on a transport that only keeps what is done to it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from provisioner.front import connection as module
from provisioner.front.connection import Connection, Request


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.halves = False
        self.done: list[str] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.7", 1234) if name == "peername" else default

    def write(self, data: Any) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return self.halves

    def write_eof(self) -> None:
        self.done.append("eof")

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")


class Server:
    """Keeps the requests that it is given, and answers none by itself."""

    def __init__(self) -> None:
        self.time = 0.0
        self.requests: list[Request] = []
        self.statuses: list[int] = []

    def now(self) -> float:
        return self.time

    def add(self, _connection: Connection) -> None: ...

    def remove(self, _connection: Connection) -> None: ...

    def handle(self, request: Request) -> None:
        self.requests.append(request)

    def refused(self, _connection: Connection, status: int, _words: str) -> None:
        self.statuses.append(status)


class Played:
    def __init__(self, scheme: str = "http") -> None:
        self.server = Server()
        self.transport = Transport()
        self.connection = Connection(self.server, scheme)  # type: ignore[arg-type]
        self.connection.connection_made(self.transport)

    def at(self, time: float) -> Played:
        self.server.time = time
        self.connection.check(time)
        return self

    def get(self, target: str = "/") -> None:
        self.connection.data_received(f"GET {target} HTTP/1.1\r\n\r\n".encode())


PUT = b"PUT /a HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"


def test_a_request_is_whole() -> None:
    played = Played()
    played.connection.data_received(b"GET /a?b HTTP/1.0\r\nUser-Agent: x\r\nuser-agent: y\r\n\r\n")
    (request,) = played.server.requests
    assert (request.method, request.target, request.version, request.keep_alive) == (
        "GET",
        "/a?b",
        "1.0",
        False,
    )
    assert (request.header("user-agent"), request.header("host")) == ("x", "")
    assert (request.body.complete, request.body_length) == (True, 0)


def test_the_next_request_waits_for_the_answer() -> None:
    played = Played()
    played.get("/1")
    played.get("/2")
    played.get("/3")
    assert [each.target for each in played.server.requests] == ["/1"]
    assert played.transport.done == ["pause"]
    played.connection.done(played.server.requests[0])
    assert [each.target for each in played.server.requests] == ["/1", "/2"]
    played.connection.done(played.server.requests[1])
    played.connection.done(played.server.requests[2])
    assert played.transport.done == ["pause", "resume"]


def test_too_many_requests_at_once() -> None:
    played = Played()
    played.connection.data_received(b"GET / HTTP/1.1\r\n\r\n" * (module.PIPELINED + 2))
    assert len(played.server.requests) == 1
    assert played.server.statuses == [400]
    assert played.transport.written == b""  # the one that is being answered owns the wire
    assert "close" not in played.transport.done
    played.connection.done(played.server.requests[0])
    assert played.transport.done[-1] == "close"


def test_an_answer_under_way_goes_out_before_what_cannot_be_taken_ends_the_connection() -> None:
    played = Played()
    played.transport.halves = True
    played.connection.data_received(b"PUT /a HTTP/1.0\r\n\r\nno length was told")
    assert [each.target for each in played.server.requests] == ["/a"]
    assert (played.server.statuses, played.transport.written, played.transport.done) == ([400], b"", [])
    played.connection.data_received(b"GET /b HTTP/1.1\r\n\r\n")
    played.connection.done(played.server.requests[0])
    assert len(played.server.requests) == 1
    assert played.transport.done == ["eof"]
    assert played.at(3).transport.done == ["eof", "abort"]


def test_a_body_that_cannot_be_read_is_answered() -> None:
    played = Played()
    played.connection.data_received(b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert played.transport.written.startswith(b"HTTP/1.1 400")
    assert played.connection.is_closing()


def test_who_closes_in_the_middle_of_a_body_is_not_waited_for() -> None:
    played = Played()
    played.connection.data_received(PUT + b"x")
    assert played.connection.eof_received() is False
    whole = Played()
    whole.get()
    assert whole.connection.eof_received() is True


def test_a_head_has_30_seconds() -> None:
    played = Played()
    played.connection.data_received(b"GET / HTTP/1.1\r\n")
    assert played.at(30).server.statuses == []
    assert played.at(31).server.statuses == [408]
    assert played.transport.written.startswith(b"HTTP/1.1 408")
    assert played.transport.done == ["close"]


def test_who_is_refused_may_send_on_for_two_seconds_so_that_the_answer_is_not_lost() -> None:
    played = Played()
    played.transport.halves = True
    played.connection.data_received(b"GET / HTTP/1.1\r\n")
    played.at(31).connection.data_received(b"A: b\r\n")
    assert played.transport.done == ["eof"]
    assert played.at(33).transport.done == ["eof"]
    assert played.at(34).transport.done == ["eof", "abort"]


def test_a_head_that_drips_has_30_seconds_too() -> None:
    played = Played()
    for second in range(0, 32, 4):
        played.at(second).connection.data_received(b"GET / HTTP/1.1\r\n" if second == 0 else b"A: b\r\n")
    assert played.at(31).server.statuses == [408]


def test_a_body_has_more_time_the_more_has_come() -> None:
    played = Played()
    played.connection.data_received(PUT + b"x" * module.PROGRESS)
    assert played.at(60).server.statuses == []
    assert played.at(61).server.statuses == [408]
    assert played.transport.written.startswith(b"HTTP/1.1 408")
    begun = Played()
    begun.connection.data_received(PUT)
    begun.connection.begin(begun.server.requests[0])
    assert begun.at(31).transport.written == b""  # a part of an answer has gone out: no second one
    assert played.transport.done == ["close"]


def test_an_idle_connection_is_closed() -> None:
    played = Played()
    played.get()
    assert played.at(1000).transport.done == []  # being answered
    played.connection.done(played.server.requests[0])
    assert played.at(1075).transport.done == []
    assert played.at(1076).transport.done == ["close"]


def test_who_does_not_read_is_dropped() -> None:
    played = Played()
    played.get()
    played.connection.pause_writing()
    assert played.at(60).transport.done == []
    assert played.at(61).transport.done == ["abort"]


def test_who_reads_again_in_time_stays() -> None:
    played = Played()
    played.get()
    played.connection.pause_writing()
    played.at(59).connection.resume_writing()
    assert played.at(1000).transport.done == []


def test_a_half_close_ends_after_the_answer() -> None:
    played = Played()
    played.get()
    assert played.connection.eof_received() is True
    played.connection.done(played.server.requests[0])
    assert played.transport.done == ["close"]
    assert Played().connection.eof_received() is False
    tls = Played("https")
    tls.get()
    assert tls.connection.eof_received() is False  # TLS has no half-close


def test_a_body_that_is_not_read_holds_its_sender() -> None:
    played = Played()
    played.connection.data_received(PUT + b"x" * 70_000)
    assert played.transport.done == ["pause"]
    assert played.at(1000).server.statuses == []  # it is us that it waits for
    request = played.server.requests[0]

    async def read() -> bytes:
        return await request.body.read()

    assert asyncio.run(read()) == b"x" * 70_000
    assert played.transport.done == ["pause", "resume"]


@pytest.mark.parametrize("lost", [True, False])
def test_a_body_ends(lost: bool) -> None:
    played = Played()
    played.connection.data_received(PUT)
    request = played.server.requests[0]

    async def read() -> bytes:
        reading = asyncio.ensure_future(request.body.read())
        await asyncio.sleep(0)
        if lost:
            played.connection.connection_lost(None)
        else:
            played.connection.data_received(b"x" * 100_000)
        first = await reading
        return first + await request.body.read()

    if lost:
        with pytest.raises(ConnectionError):
            asyncio.run(read())
    else:
        assert asyncio.run(read()) == b"x" * 100_000


@pytest.mark.parametrize("halves", [True, False])
def test_an_answer_before_the_end_of_the_body_ends_the_connection(halves: bool) -> None:
    played = Played()
    played.transport.halves = halves  # TLS has none
    played.connection.data_received(PUT)
    played.connection.done(played.server.requests[0])
    said = ["eof"] if halves else []
    assert played.transport.done == said  # what is unread would turn a close into a reset
    played.connection.data_received(b"x" * 10)  # what still comes is not looked at
    played.connection.done(played.server.requests[0])
    played.connection.check(played.server.now() + module.LEAVING_SECONDS)
    assert played.transport.done == said
    played.connection.check(played.server.now() + module.LEAVING_SECONDS + 0.1)
    assert played.transport.done == [*said, "abort"]


def test_nothing_is_drained_into_a_lost_connection() -> None:
    played = Played()
    played.get()

    async def drain() -> None:
        played.connection.pause_writing()
        draining = asyncio.ensure_future(played.connection.drain())
        await asyncio.sleep(0)
        played.connection.connection_lost(None)
        await draining

    with pytest.raises(ConnectionError):
        asyncio.run(drain())
