"""The event stream: who may have it, what it carries, and that nobody can fill our memory with it."""

from __future__ import annotations

import json
import socket

import pytest

from provisioner.front import events
from tests.front.harness import Front, RawWeb, read_all, read_until
from tests.front.test_proxy import Web, ask, web  # noqa: F401 - a fixture
from tests.phones.samples import AGENTS, MODELS

POLYCOM = next(iter(MODELS))


def listen(front: Front, cookie: str = "session=good") -> socket.socket:
    sock = front.connect()
    sock.sendall(f"GET /staff/events HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n".encode())
    return sock


def test_events_reach_who_is_signed_in(front: Front, web: Web) -> None:  # noqa: F811
    with listen(front) as one, listen(front) as two:
        for each in (one, two):
            head = read_until(each, b"retry: 2000\n\n")
            assert b"\r\nContent-Type: text/event-stream; charset=utf-8\r\n" in head
            assert b"Content-Length" not in head
        assert [seen["PATH_INFO"] for seen in web.seen] == ["/staff/session"] * 2
        front.call(lambda: front.hub.publish("call", {"id": "c1", "from": "line\nbreak"}))
        for each in (one, two):
            data = read_until(each, b"\n\n")
            assert data == b'event: call\ndata: {"id":"c1","from":"line\\nbreak"}\n\n'
        ask(front, "GET", f"/{POLYCOM}.cfg", headers={"User-Agent": AGENTS[POLYCOM]})
        name, body = read_until(one, b"\n\n").decode().split("\n", 1)
        assert name == "event: request"
        assert json.loads(body.removeprefix("data: "))["rule"] == "adopted"


@pytest.mark.parametrize("cookie", ["", "session=bad"])
def test_nobody_else(front: Front, web: Web, cookie: str) -> None:  # noqa: F811
    with listen(front, cookie) as sock:
        assert read_until(sock, b"</html>").startswith(b"HTTP/1.1 401")
    assert len(front.hub) == 0


def test_while_web_is_down(front: Front) -> None:
    with listen(front) as sock:
        assert read_until(sock, b"</html>").startswith(b"HTTP/1.1 502")
    odd = RawWeb(front.web_path, b"nonsense\r\n\r\n")
    try:
        with listen(front) as sock:
            assert read_until(sock, b"</html>").startswith(b"HTTP/1.1 502")
    finally:
        odd.stop()


def test_events_can_only_be_read(front: Front, web: Web) -> None:  # noqa: F811
    assert ask(front, "POST", "/staff/events", b"", {"Cookie": "session=good"})[0].status == 405


def test_streams_have_a_limit(front: Front, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(events, "MAX_STREAMS", 1)
    with listen(front) as one, listen(front) as two:
        heads = [read_until(each, b"\r\n") for each in (one, two)]
        assert sorted(head.split()[1] for head in heads) == [b"200", b"503"]


def test_a_comment_every_15_seconds(front: Front, web: Web) -> None:  # noqa: F811
    front.later(0)
    with listen(front) as sock:
        read_until(sock, b"retry: 2000\n\n")
        front.later(14)
        front.call(lambda: front.hub.publish("call", {}))
        assert read_until(sock, b"\n\n") == b"event: call\ndata: {}\n\n"
        front.later(1)
        assert read_until(sock, b"\n\n") == b":\n\n"
        front.later(3600)
        assert read_until(sock, b"\n\n") == b":\n\n"


def test_a_browser_that_does_not_read_is_dropped(front: Front, web: Web) -> None:  # noqa: F811
    with listen(front) as sock:
        read_until(sock, b"retry: 2000\n\n")
        filler = {"text": "x" * 100_000}
        for _ in range(1000):
            front.call(lambda: front.hub.publish("call", filler))
            if len(front.hub) == 0:
                break
        assert len(front.hub) == 0
        read_all(sock)  # it ends


def test_a_stream_ends_with_its_connection(front: Front, web: Web) -> None:  # noqa: F811
    with listen(front) as sock:
        read_until(sock, b"retry: 2000\n\n")
        assert front.call(lambda: len(front.hub)) == 1
    while front.call(lambda: len(front.server._connections)):
        pass
    front.call(lambda: front.hub.publish("call", {}))
    assert len(front.hub) == 0


def test_a_stream_ends_with_its_session(front: Front, web: Web) -> None:  # noqa: F811
    web.good.add("session=other")
    front.later(0)
    with listen(front) as one, listen(front, "session=other") as two:
        for each in (one, two):
            read_until(each, b"retry: 2000\n\n")
        web.good.remove("session=good")
        front.later(16)
        assert read_all(one) in (b":\n\n", b"")
        front.call(lambda: front.hub.publish("call", {}))
        assert read_until(two, b"data: {}\n\n") == b":\n\nevent: call\ndata: {}\n\n"
