"""The control protocol over real Unix sockets: round trips, restarts, junk, slow readers."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from provisioner import ipc
from provisioner.errors import PeerError, ProvisionerError
from provisioner.ipc import Client, Gone, Json, Lines, Refused, Server, ask, connect_unix, encode, listen_unix


def run(scene: Callable[[], Coroutine]) -> None:
    """Run a scene; it may take 20 s, and may leave no exception in a callback."""

    async def play() -> None:
        left: list[dict] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: left.append(context))
        async with asyncio.timeout(20):
            await scene()
        assert left == []

    asyncio.run(play())


async def later(args: Json) -> Json:
    await asyncio.sleep(0)
    return {"later": args}


def broken(_args: Json) -> Json:
    raise ValueError("inside")


def refused(_args: Json) -> Json:
    raise ProvisionerError("no such phone: adopt it first")


METHODS = {
    "echo": lambda args: args,
    "hang": lambda args: asyncio.Event().wait(),
    "later": later,
    "broken": broken,
    "refused": refused,
    "odd": lambda args: {"x": object()},
    "torn": lambda args: {"name": "B\udcffb"},
}


async def served(path: Path) -> Server:
    server = Server(METHODS)
    await server.start(path)
    return server


async def connected(path: Path, **more: Callable) -> Client:
    client = Client(path, retry=0.001, **more)
    client.start()
    await client.connected.wait()
    return client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edge.sock"


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A path far longer than sockaddr_un takes (108 bytes)."""
    directory = tmp_path.joinpath(*["x" * 60] * 4)
    directory.mkdir(parents=True)
    return directory / "edge.sock"


@pytest.mark.parametrize("name", ["path", "deep"])
def test_round_trips(name: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(name)

    async def scene() -> None:
        server = await served(path)
        client = await connected(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await client.ask("echo", {"a": [1, "ж"]}) == {"a": [1, "ж"]}
        assert await client.ask("later", {"a": 1}) == {"later": {"a": 1}}
        assert await client.ask("echo") == {}
        answers = await asyncio.gather(*(client.ask("echo", {"n": n}) for n in range(50)))
        assert answers == [{"n": n} for n in range(50)]
        await client.close()
        await server.close()

    run(scene)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("refused", "no such phone: adopt it first"),
        ("broken", "broken failed (ValueError); see the log"),
        ("nothing", "there is no call 'nothing' here"),
        ("odd", "the reply could not be written as JSON; see the log"),
    ],
)
def test_errors_are_one_line(path: Path, call: str, said: str) -> None:
    async def scene() -> None:
        server = await served(path)
        client = await connected(path)
        with pytest.raises(Refused) as caught:
            await client.ask(call)
        assert str(caught.value) == said
        assert await client.ask("echo") == {}  # the connection lives on
        await client.close()
        await server.close()

    run(scene)


def test_text_that_is_not_utf8_gets_through(path: Path) -> None:
    """A peer's display name, as the SIP parser keeps it."""

    async def scene() -> None:
        server = await served(path)
        events: asyncio.Queue[Json] = asyncio.Queue()
        client = await connected(path, on_event=lambda event, data: events.put_nowait(data))
        assert await client.ask("torn") == {"name": "B?b"}
        server.publish("call", {"from": "\udc80"})
        assert await events.get() == {"from": "?"}
        await client.close()
        await server.close()

    run(scene)


def test_events_go_to_subscribers_in_order(path: Path) -> None:
    async def scene() -> None:
        server = await served(path)
        server.publish("nobody", {"hears": "this"})
        events: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()
        listening = await connected(path, on_event=lambda event, data: events.put_nowait((event, data)))
        other = await connected(path)
        await asyncio.gather(listening.ask("echo"), other.ask("echo"))  # behind its subscription
        for number in range(3):
            server.publish("call", {"n": number})
        assert [await events.get() for _ in range(3)] == [("call", {"n": n}) for n in range(3)]
        assert len(server._subscribers) == 1
        await listening.close()
        await other.close()
        await server.close()

    run(scene)


def test_tell_is_heard_and_not_answered(path: Path) -> None:
    async def scene() -> None:
        heard: asyncio.Queue[Json] = asyncio.Queue()
        server = Server({"note": lambda args: heard.put_nowait(args) or {}})
        client = Client(path, retry=0.001)
        assert not client.tell("note", {"n": 0})
        await server.start(path)
        client.start()
        await client.connected.wait()
        assert client.tell("note", {"n": 1})
        assert await heard.get() == {"n": 1}
        await client.close()
        await server.close()

    run(scene)


def test_the_client_comes_back_after_the_server_died(path: Path) -> None:
    async def scene() -> None:
        times = 0

        def connected_again() -> None:
            nonlocal times
            times += 1
            raise RuntimeError("what follows a connection may fail")

        server = await served(path)
        events: asyncio.Queue[str] = asyncio.Queue()
        client = await connected(
            path, on_connect=connected_again, on_event=lambda event, data: events.put_nowait(event)
        )
        waiting = asyncio.create_task(client.ask("hang"))
        await asyncio.sleep(0)  # it is written
        await server.close()
        with pytest.raises(Gone, match=r"^the edge process went away; try again$"):
            await waiting
        with pytest.raises(Gone, match=r"^the edge process does not answer; try again in a second$"):
            await client.ask("echo")
        server = await served(path)
        await client.connected.wait()
        await client.ask("echo")
        server.publish("call", {})  # subscribed again by itself
        assert await events.get() == "call"
        assert times == 2
        await client.close()
        await server.close()

    run(scene)


def test_a_failing_listener_does_not_cost_the_connection(path: Path) -> None:
    async def scene() -> None:
        server = await served(path)
        seen: list[Json] = []

        def listen(event: str, data: Json) -> None:
            seen.append(data)
            raise RuntimeError("broken")

        client = await connected(path, on_event=listen)
        await client.ask("echo")
        server.publish("call", {"n": 1})
        server.publish("call", {"n": 2})
        await client.ask("echo")
        assert seen == [{"n": 1}, {"n": 2}]
        await client.close()
        await server.close()

    run(scene)


def test_a_call_that_is_never_answered_times_out(path: Path) -> None:
    async def scene() -> None:
        server = await served(path)
        client = await connected(path)
        with pytest.raises(Gone, match=r"^the edge process did not answer in 0.01 s$"):
            await client.ask("hang", timeout=0.01)
        assert client._waiting == {}
        await client.close()
        await server.close()

    run(scene)


@pytest.mark.parametrize(
    "junk", [b"hello\n", b"[1]\n", b"\xff\xfe\n", b'{"a":"\xff"}\n', b'{"a":' + b"[" * 100_000 + b"\n"]
)
def test_junk_ends_that_connection_only(path: Path, junk: bytes) -> None:
    async def scene() -> None:
        server = await served(path)
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(encode({"id": 1, "call": "echo", "args": {}}) + junk)
        assert await reader.read() in (b"", b'{"id":1,"ok":{}}\n')
        writer.close()
        client = await connected(path)
        assert await client.ask("echo") == {}
        await client.close()
        await server.close()

    run(scene)


@pytest.mark.parametrize("args", [None, [], "x", 5])
def test_arguments_of_the_wrong_shape_are_refused(path: Path, args: object) -> None:
    async def scene() -> None:
        server = Server({"name": lambda args: {"name": args.get("name", "-")}})
        await server.start(path)
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(encode({"id": 1, "call": "name", "args": args}))
        line = await reader.readline()
        assert line == (
            b'{"id":1,"error":"name failed (AttributeError); see the log"}\n'
            if args
            else b'{"id":1,"ok":{"name":"-"}}\n'
        )
        writer.close()
        await server.close()

    run(scene)


def test_a_reply_to_nobody_is_ignored(path: Path) -> None:
    async def scene() -> None:
        async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.readline()
            for line in (b'{"id":99,"ok":{}}\n', b'{"id":[],"ok":{}}\n', b'{"x":1}\n', b'{"event":"e"}\n'):
                writer.write(line)
            writer.write(asked.replace(b"call", b"was").replace(b"args", b"ok"))
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(odd, sock=listen_unix(path))
        client = await connected(path)
        assert await client.ask("echo", {"a": 1}) == {"a": 1}
        await client.close()
        server.close()

    run(scene)


def test_a_subscriber_that_does_not_read_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipc, "MAX_BACKLOG", 1 << 16)

    async def scene() -> None:
        server = await served(path)
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(encode({"id": 1, "call": "subscribe", "args": {}}))
        await reader.readline()
        writer.transport.pause_reading()
        for _ in range(1000):
            server.publish("call", {"text": "x" * 10_000})
            if not server._subscribers:
                break
        assert not server._subscribers
        client = await connected(path)
        assert await client.ask("echo") == {}
        await client.close()
        writer.close()
        await server.close()

    run(scene)


def test_a_server_that_does_not_read_is_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipc, "MAX_BACKLOG", 1 << 16)

    async def scene() -> None:
        listening = listen_unix(path)
        client = await connected(path)
        for _ in range(1000):
            if not client.tell("note", {"text": "x" * 10_000}):
                break
            await asyncio.sleep(0)
        assert not client.tell("note", {})
        await client.close()
        listening.close()

    run(scene)


# the blocking side


def blocking(path: Path, *lines: bytes) -> Json:
    """ask() against a server that says `lines` and hangs up."""

    async def scene() -> Json:
        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"".join(lines))
            writer.close()

        server = await asyncio.start_unix_server(say, sock=listen_unix(path))
        try:
            return await asyncio.to_thread(ask, path, "echo")
        finally:
            server.close()

    return asyncio.run(scene())


def test_ask(path: Path) -> None:
    assert blocking(path, b'{"event":"x","data":{}}\n', b'{"id":1,', b'"ok":{"a":1}}\n') == {"a": 1}
    with pytest.raises(Refused, match=r"^no$"):
        blocking(path, b'{"id":1,"error":"no"}\n')


@pytest.mark.parametrize("line", [b"", b"junk\n", b'{"id":1', b'{"id":1,"ok":[1]}\n'])
def test_ask_a_server_that_breaks_off(path: Path, line: bytes) -> None:
    with pytest.raises(Gone, match=r"^the edge process did not answer; try again in a second$"):
        blocking(path, line)


@pytest.mark.parametrize("name", ["edge.sock", "no/such/directory/edge.sock"])
def test_ask_when_nobody_is_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(Gone) as caught:
        ask(tmp_path / name, "status")
    assert str(caught.value) == "the edge process does not answer; it may be starting, try again in a second"


def test_ask_at_a_socket_that_was_left_behind(path: Path) -> None:
    listen_unix(path).close()
    assert path.is_socket()
    with pytest.raises(Gone):
        ask(path, "status")
    listen_unix(path).close()  # a new server takes its place


def test_another_users_socket(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "connect", denied)
    with pytest.raises(Gone, match=r"^the edge process is another user's; ask as the user that started it$"):
        connect_unix(path)


def test_listening_in_a_missing_directory_fails_and_leaks_nothing(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No such file"):
        listen_unix(tmp_path / "no" / "edge.sock")
    with pytest.raises(OSError, match="too long"):
        listen_unix(tmp_path / ("x" * 120))
    assert len(os.listdir("/proc/self/fd")) == before


# lines


def test_lines_in_pieces() -> None:
    data = encode({"a": 1}) + b"\n" + encode({"b": "ж"})
    lines = Lines()
    found = [message for at in range(len(data)) for message in lines.feed(data[at : at + 1])]
    assert found == [{"a": 1}, {"b": "ж"}]


def test_a_line_without_end_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipc, "MAX_LINE", 100)
    lines = Lines()
    assert lines.feed(b"x" * 100) == []
    with pytest.raises(PeerError, match="too long"):
        lines.feed(b"x")
