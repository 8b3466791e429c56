"""Staff pages through the front: a real waitress on a Unix socket, and web processes that misbehave."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import waitress.server

from provisioner.front import proxy
from provisioner.front.proxy import MAX_REQUEST_BODY
from tests.front.harness import Front, RawWeb, read_all, read_until

Environment = dict[str, Any]


class Web:
    """What web is, for these tests: it tells what it was sent."""

    def __init__(self) -> None:
        self.seen: list[Environment] = []
        self.good = {"session=good"}

    def __call__(self, environ: Environment, start: Callable[..., Any]) -> Any:
        body = environ["wsgi.input"].read()
        self.seen.append({**environ, "body": body})
        path = environ["PATH_INFO"]
        if path == "/staff/session":
            signed_in = environ.get("HTTP_COOKIE") in self.good
            start(
                "204 No Content" if signed_in else "401 Unauthorized", [("Content-Length", "0")][signed_in:]
            )
            return []
        if path == "/staff/large":
            start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5000000")])
            return [b"x" * 50_000] * 100
        if path == "/staff/unknown-length":
            start("200 OK", [("Content-Type", "text/plain")])
            return (piece for piece in (b"one ", b"two ", b"three"))
        if path == "/staff/not-modified":
            start("304 Not Modified", [("ETag", '"a"')])
            return []
        start("200 OK", [("Content-Type", "text/html"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return [b"<p>hello</p>"]


@pytest.fixture
def web(front: Front) -> Iterator[Web]:
    app = Web()
    server = waitress.server.create_server(
        app,
        unix_socket=str(front.web_path),
        threads=2,
        clear_untrusted_proxy_headers=False,
        inbuf_overflow=1 << 24,  # its temporary files are left to the garbage collector
        outbuf_overflow=1 << 24,
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    yield app
    server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
    thread.join()
    server.task_dispatcher.shutdown()


def ask(
    front: Front,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    tls: bool = False,
) -> tuple[http.client.HTTPResponse, bytes]:
    connection: http.client.HTTPConnection
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", front.https, timeout=10, context=front.client())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", front.http, timeout=10)
    try:
        connection.request(
            method, path, body, headers or {}, encode_chunked=not isinstance(body, bytes | None)
        )
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path", ["/staff/", "/staff", "/staff/phones?q=1", "/api/v1/phones", "/metrics", "/readyz"]
)
@pytest.mark.parametrize("tls", [False, True])
def test_pages_are_passed_on(front: Front, web: Web, path: str, tls: bool) -> None:
    answer, body = ask(
        front, "GET", path, headers={"X-Forwarded-For": "6.6.6.6", "X_Forwarded_For": "7.7.7.7"}, tls=tls
    )
    assert (answer.status, body) == (200, b"<p>hello</p>")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    (seen,) = web.seen
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert seen["HTTP_X_FORWARDED_PROTO"] == ("https" if tls else "http")
    assert seen["PATH_INFO"] + (f"?{seen['QUERY_STRING']}" if seen["QUERY_STRING"] else "") == path


def test_each_request_has_a_name_of_ours(front: Front, web: Web) -> None:
    for _ in range(2):
        ask(front, "GET", "/staff/", headers={"X-Request-Id": "f" * 16})
    names = [seen["HTTP_X_REQUEST_ID"] for seen in web.seen]
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)
    assert len({*names, "f" * 16}) == 3


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/staff/x", (8 << 20) + 1, 413),
        ("/staff/audio/music", (65 << 20) + 1, 413),
        ("/api/v1/recordings/music", (65 << 20) + 1, 413),
        ("/staff/backup/restore", (4 << 30) + 1, 413),
        ("/api/v1/restores", 3 << 30, 507),
    ],
)
def test_bodies_that_are_too_large_are_refused_at_once(
    front: Front, web: Web, monkeypatch: pytest.MonkeyPatch, path: str, length: int, status: int
) -> None:
    monkeypatch.setattr(proxy.shutil, "disk_usage", lambda _: SimpleNamespace(free=8 << 30))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    with front.connect() as sock:
        sock.sendall(head.encode())
        assert read_all(sock).startswith(b"HTTP/1.1 %d" % status)
    assert web.seen == []


@pytest.mark.parametrize("tls", [False, True])
def test_who_sends_too_much_reads_why(front: Front, web: Web, tls: bool) -> None:
    body = bytes(MAX_REQUEST_BODY + 1)  # sent whole before anything is read, as programs do
    assert ask(front, "POST", "/staff/x", body, tls=tls)[0].status == 413


def test_a_recording_may_be_large(front: Front, web: Web) -> None:
    body = bytes(MAX_REQUEST_BODY + 1)
    assert ask(front, "PUT", "/api/v1/recordings/music", body)[0].status == 200
    assert len(web.seen[0]["body"]) == len(body)


@pytest.mark.parametrize("sent", [False, True])
def test_web_may_wait_for_the_end_of_a_long_body(sent: bool) -> None:
    class Reader:
        waited = False

        async def read(self, _size: int) -> bytes:
            if not self.waited:
                self.waited = True
                raise TimeoutError
            return b"HTTP/1.1 204 No Content\r\n\r\n"

    async def status() -> int:
        sending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if sent:
            sending.set_result(None)
        answer = proxy._Answer(only_head=False)
        await proxy.Proxy(Path("x"))._until_head(answer, Reader(), sending)  # type: ignore[arg-type]
        assert answer.head
        return answer.head.status

    if sent:
        with pytest.raises(TimeoutError):
            asyncio.run(status())
    else:
        assert asyncio.run(status()) == 204


@pytest.mark.parametrize("path", ["//staff/", "/x/staff/", "/staffing", "/apis", "/Staff/"])
def test_other_paths_are_not(front: Front, web: Web, path: str) -> None:
    assert ask(front, "GET", path)[0].status == 404
    assert web.seen == []


def test_an_absolute_target(front: Front, web: Web) -> None:
    with front.connect() as sock:
        sock.sendall(
            b"GET http://appliance/staff/a?b=c HTTP/1.1\r\nHost: appliance\r\nConnection: close\r\n\r\n"
        )
        assert read_all(sock).startswith(b"HTTP/1.1 200")
    assert (web.seen[0]["PATH_INFO"], web.seen[0]["QUERY_STRING"]) == ("/staff/a", "b=c")


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_are_streamed(front: Front, web: Web, chunked: bool) -> None:
    data = bytes(range(256)) * 8000
    body = (data[at : at + 100_000] for at in range(0, len(data), 100_000)) if chunked else data
    answer, _ = ask(front, "POST", "/api/v1/import", body, {"Content-Type": "application/toml"})
    assert answer.status == 200
    assert web.seen[0]["body"] == data
    answer, large = ask(front, "GET", "/staff/large")
    assert (answer.headers["Content-Length"], len(large)) == ("5000000", 5_000_000)


def test_a_body_of_unknown_length(front: Front, web: Web) -> None:
    answer, body = ask(front, "GET", "/staff/unknown-length")
    assert (answer.headers["Transfer-Encoding"], body) == ("chunked", b"one two three")
    with front.connect() as sock:
        sock.sendall(b"GET /staff/unknown-length HTTP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"\r\n\r\none two three")


def test_answers_without_a_body(front: Front, web: Web) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.http, timeout=10)
    for method, path, status in (
        ("HEAD", "/staff/large", 200),
        ("GET", "/staff/not-modified", 304),
        ("GET", "/staff/", 200),
    ):
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status == status
        answer.read()
    connection.close()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_methods(front: Front, web: Web, method: str) -> None:
    assert ask(front, method, "/api/v1/phones/1", b"{}")[0].status == 200
    assert (web.seen[0]["REQUEST_METHOD"], web.seen[0]["body"]) == (method, b"{}")


def test_expect_continue(front: Front, web: Web) -> None:
    with front.connect() as sock:
        sock.sendall(
            b"POST /api/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert read_until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert read_all(sock).startswith(b"HTTP/1.1 200")
    assert web.seen[0]["body"] == b"abc"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(front: Front, chunked: bool) -> None:
    web = RawWeb(front.web_path, b"", wait_for=b"never")
    with front.connect() as sock:
        length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (MAX_REQUEST_BODY + 1)
        sock.sendall(b"POST /api/a HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n")
        if chunked:
            piece = b"80000\r\n" + b"x" * 0x80000 + b"\r\n"
            for _ in range(MAX_REQUEST_BODY // 0x80000):
                sock.sendall(piece)
            sock.sendall(b"1\r\nx\r\n")
        said = read_until(sock, b"}")
        assert said.startswith(b"HTTP/1.1 413")
        assert b"Content-Type: application/problem+json" in said
    web.stop()
    assert all(len(data) < MAX_REQUEST_BODY + 100_000 for data in web.received)


def test_web_is_down(front: Front) -> None:
    answer, body = ask(front, "GET", "/staff/")
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert b"The staff pages are restarting; phones and calls go on." in body
    assert answer.headers["Retry-After"] == "2"
    assert front.journal.rows == []


def test_programs_are_told_so_in_their_own_form(front: Front) -> None:
    answer, body = ask(front, "GET", "/api/v1/phones")
    assert (answer.status, answer.headers["Content-Type"]) == (502, "application/problem+json")
    told = json.loads(body)
    assert (told["status"], told["title"]) == (502, "Bad Gateway")
    assert "Try again in a few seconds" in told["detail"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    ],
)
def test_web_answers_nonsense(front: Front, answer: bytes) -> None:
    web = RawWeb(front.web_path, answer)
    try:
        assert ask(front, "GET", "/staff/")[0].status == 502
    finally:
        web.stop()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_web_dies_in_the_middle_of_an_answer(front: Front, answer: bytes) -> None:
    web = RawWeb(front.web_path, answer)
    try:
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            ask(front, "GET", "/staff/")
    finally:
        web.stop()


def test_web_sends_an_interim_answer_and_an_unusual_status(front: Front) -> None:
    web = RawWeb(
        front.web_path, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 299 Odd\r\nX: y\r\n\r\nbody"
    )
    try:
        answer, body = ask(front, "GET", "/staff/")
        assert (answer.status, answer.headers["X"], answer.headers["Link"], body) == (299, "y", None, b"body")
    finally:
        web.stop()


def test_web_never_answers(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "ANSWER_SECONDS", 0)
    web = RawWeb(front.web_path, b"", close=False)
    try:
        answer, body = ask(front, "GET", "/staff/")
        assert (answer.status, b"take too long" in body) == (504, True)
    finally:
        web.stop()


def test_who_goes_away_in_the_middle(front: Front, web: Web) -> None:
    with front.connect() as sock:
        sock.sendall(b"POST /api/a HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nabc")
    with front.connect() as sock:
        sock.sendall(b"GET /staff/large HTTP/1.1\r\nHost: a\r\n\r\n")
        read_until(sock, b"\r\n\r\n")
    assert ask(front, "GET", "/staff/")[0].status == 200


def test_the_root_leads_to_the_pages(front: Front) -> None:
    answer, _ = ask(front, "GET", "/")
    assert (answer.status, answer.headers["Location"]) == (302, "/staff/")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("clinic.example:80", "clinic.example"),
        ("clinic.example", "clinic.example"),
        ("[::1]:80", "[::1]"),
        ("a/b", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("evil.example/x?", "127.0.0.1"),
    ],
)
def test_pages_come_over_tls_only_from_afar(
    front: Front, web: Web, monkeypatch: pytest.MonkeyPatch, host: str, name: str
) -> None:
    monkeypatch.setattr("provisioner.front.server._is_loopback", lambda _address: False)
    with front.connect() as sock:
        sock.sendall(f"GET /staff/a?b=c HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        data = read_all(sock).decode()
    assert data.startswith("HTTP/1.1 308 ")
    assert f"\r\nLocation: https://{name}:{front.https}/staff/a?b=c\r\n" in data
    assert ask(front, "GET", "/staff/", tls=True)[0].status == 200
    assert len(web.seen) == 1
