"""The client that talks to providers: an end to every exchange, nothing followed, nothing said of what was sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from provisioner.emergency.providers import wire
from provisioner.emergency.providers.client import MAX_BODY, Client
from provisioner.emergency.providers.wire import Broken, Denied, Lost, Reply, Request, Throttled, Unreachable
from provisioner.errors import OperatorError

SECRET = {"Authorization": "Bearer nobody-sees-this"}


class Raw:
    """A server that answers every connection with the same bytes, or drips them for ever."""

    def __init__(self, answer: bytes, drip: bool = False) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.got: list[bytes] = []
        self.over = threading.Event()
        self.answer, self.drip = answer, drip
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, suppress(OSError):
                    self.got.append(connection.recv(65536))
                    connection.sendall(self.answer)
                    while self.drip and not self.over.wait(0.02):
                        connection.sendall(b"x")

    @property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.listener.getsockname()[1]}/base/", 0.5)

    def close(self) -> None:
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@pytest.fixture
def raw() -> Iterator[list[Raw]]:
    made: list[Raw] = []
    yield made
    for each in made:
        each.close()


def serve(made: list[Raw], answer: bytes, drip: bool = False) -> Raw:
    made.append(Raw(answer, drip))
    return made[-1]


def test_an_exchange(raw: list[Raw]) -> None:
    server = serve(raw, b"HTTP/1.1 201 Created\r\nX-Kind: Good\r\nContent-Length: 2\r\n\r\nok")
    got = server.client.send(Request("POST", "/numbers", {"a b": "c&d"}, SECRET, b"body"))
    assert (got.status, got.headers["x-kind"], got.body) == (201, "Good", b"ok")
    assert server.got[0].startswith(b"POST /base/numbers?a+b=c%26d HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "drip", "error"),
    [
        (b"", False, Lost),
        (b"nonsense\r\n\r\n", False, Lost),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", False, Lost),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", False, Lost),
        (b"HTTP/1.1 200 OK\r\nX-Endless: ", True, Lost),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", True, Lost),
    ],
    ids=["nothing", "no HTTP", "half a body", "half a chunk", "a header for ever", "a body for ever"],
)
def test_no_whole_answer(raw: list[Raw], answer: bytes, drip: bool, error: type[Exception]) -> None:
    server = serve(raw, answer, drip)
    with pytest.raises(error) as caught:
        server.client.send(Request("POST", "/", {}, SECRET, b"secret-body"))
    assert "secret" not in str(caught.value)
    assert "nobody" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_too_much(raw: list[Raw]) -> None:
    size = MAX_BODY + 10
    server = serve(raw, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    with pytest.raises(Broken, match="more than 4 MiB"):
        server.client.send(Request("GET", "/"))


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="Connection refused"):
        Client(f"http://127.0.0.1:{port}", 0.5).send(Request("POST", "/", {}, SECRET))


def test_plain_words_on_an_encrypted_port_reach_nobody(raw: list[Raw]) -> None:
    server = serve(raw, b"HTTP/1.1 200 OK\r\n\r\n")
    port = server.listener.getsockname()[1]
    with pytest.raises(Unreachable):
        Client(f"https://127.0.0.1:{port}", 0.5).send(Request("GET", "/", {}, SECRET))
    assert b"nobody" not in b"".join(server.got)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "ftp://api.example",
        "https://user:word@api.example",
        "https://",
        "https://a/?x=1",
        "x",
    ],
)
def test_credentials_go_nowhere_else(url: str) -> None:
    with pytest.raises(OperatorError, match="no address for a provider"):
        Client(url)


def words(body: bytes) -> str:
    return body.decode()


@pytest.mark.parametrize(
    ("status", "headers", "error", "after"),
    [
        (401, {}, Denied, 0),
        (403, {}, Denied, 0),
        (429, {"retry-after": "7"}, Throttled, 7),
        (429, {"retry-after": "99999999"}, Throttled, 3600),
        (429, {"retry-after": "soon"}, Throttled, 0),
        (
            429,
            {"retry-after": "Thu, 01 Jan 1970 00:00:09 GMT", "date": "Thu, 01 Jan 1970 00:00:00 GMT"},
            Throttled,
            9,
        ),
        (429, {"retry-after": "Thu, 01 Jan 1970 00:00:09 GMT"}, Throttled, 0),
        (409, {}, Broken, 0),
        (500, {}, Broken, 0),
        (503, {"retry-after": "5"}, Broken, 5),
        (302, {"location": "https://elsewhere.example"}, Broken, 0),
        (100, {}, Broken, 0),
    ],
)
def test_how_refusals_are_told_apart(
    status: int, headers: dict[str, str], error: type[wire.WireError], after: float
) -> None:
    with pytest.raises(error) as caught:
        wire.checked(Reply(status, headers, b"<b>no</b>\x00"), "They", words)
    assert caught.value.after == after
    assert "<b>" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 201, 204, 400, 404, 422])
def test_what_is_left_to_the_adapter(status: int) -> None:
    reply = Reply(status)
    assert wire.checked(reply, "They", words) is reply


def test_no_secret_in_a_repr() -> None:
    shown = f"{Request('GET', '/', {}, SECRET, b'secret-body')} {wire.Account('a', 'u', 'secret')} {Reply(200, SECRET)}"
    assert "secret" not in shown
    assert "nobody" not in shown


def test_credentials_in_a_providers_words_are_cut() -> None:
    assert "abc" not in wire.plain("You sent Bearer abc and basic abc==, sorry")


def test_pace_keeps_requests_apart() -> None:
    from provisioner.emergency.registrar import Pace

    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(lambda request: Reply(200), 4.0, lambda: now[0], sleep)
    for _request in range(3):
        pace.send(Request("GET", "/"))
    now[0] += 10
    pace.send(Request("GET", "/"))
    assert slept == [0.25, 0.25]
