"""A phone's HTTP client against servers that are not as they should be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from provisioner.simulate.files import Client, fetch
from provisioner.simulate.vendors.base import Ask, Reply, UnreachableError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asked_of(serve: Serve, asks: list[Ask]) -> list[Reply]:
    """Ask one after the other on one client."""

    async def scene() -> list[Reply]:
        writers: list[asyncio.StreamWriter] = []

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await serve(reader, writer)

        server = await asyncio.start_server(one, "127.0.0.1", 0)
        client = Client()
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            return [await fetch(client, url, ask, lambda: "c") for ask in asks]
        finally:
            await client.close()
            server.close()
            for writer in writers:
                writer.transport.abort()
                with suppress(OSError):
                    await writer.wait_closed()

    return asyncio.run(asyncio.wait_for(scene(), 10))


def answering(answer: bytes, close: bool = True) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if close:
            writer.close()

    return serve


GET = Ask("GET", "a.cfg", "phone")


def test_a_connection_that_the_server_dropped_is_made_again() -> None:
    assert asked_of(answering(OK), [GET, GET]) == [Reply(200, b"hi", 2)] * 2


def test_a_head_has_no_body_to_wait_for() -> None:
    head = Ask("HEAD", "a.log", "phone")
    assert asked_of(answering(OK.removesuffix(b"hi"), close=False), [head]) == [Reply(200)]


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n\r\n", OK.removesuffix(b"i")])
def test_what_is_no_answer_is_one_line(answer: bytes) -> None:
    with pytest.raises(UnreachableError, match="does not answer"):
        asked_of(answering(answer), [GET])


def test_a_file_without_end_is_cut_off() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        try:
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()
        except ConnectionError:
            writer.close()

    (reply,) = asked_of(serve, [GET])
    assert len(reply.body) == 4 << 20
