"""Odd heads of old phones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.front.mend import mended
from tests.front.harness import Front, read_all
from tests.phones.samples import AGENTS, MODELS

POLYCOM = next(iter(MODELS))
AGENT = AGENTS[POLYCOM]
HEADS = [
    "GET /{0}-line.cfg HTTP/1.0\nUser-Agent: {1}\n\n",
    "GET {0}-line.cfg HTTP/1.0\r\nUser-Agent: {1}\r\n\r\n",
    "get /{0}-line.cfg http/1.0\r\nuser-agent: {1}\r\n\r\n",
    "GET  /{0}-line.cfg HTTP/1.0\r\nUser-Agent : {1}\r\n\r\n",
    "GET /My Files/{0}-line.cfg HTTP/1.1\r\nHost: a\r\nUser-Agent: {1}\r\n\r\n",
    "GET /{0}-line.cfg HTTP/1.1 \r\nUser-Agent: {1}\r\n\r\n",
    "GET /{0}-line.cfg HTTP/1.1\r\nUser-Agent:\r\n {1}\r\n\r\n",
    "\r\n\r\nGET //provisioning//{0}-line.cfg HTTP/1.1\r\nUser-Agent: {1}\r\nConnection: close\r\n\r\n",
    "GET http://appliance/Grandstream/{0}-line.cfg HTTP/1.1\r\nUser-Agent: {1}\r\nConnection: close\r\n\r\n",
    "GET HTTP://192.0.2.1:8080//{0}-line.cfg HTTP/1.0\r\nUser-Agent: {1}\r\n\r\n",
]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("split", [False, True])
def test_an_odd_request_gets_its_file(front: Front, head: str, split: bool) -> None:
    data = head.format(POLYCOM, AGENT).encode()
    with front.connect() as sock:
        for at in range(0, len(data), 7 if split else len(data)):
            sock.sendall(data[at : at + (7 if split else len(data))])
        answer = read_all(sock)
    start, _, body = answer.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 200 OK")
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in start
    assert body.endswith(b"</phone>\n")


def test_no_version_at_all(front: Front) -> None:
    with front.connect() as sock:
        sock.sendall(b"GET /ca.pem\r\n\r\n")
        assert read_all(sock).endswith(b"-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    "data",
    [
        b"PUT /a HTTP/1.0\nContent-Length: 3\n\nabc",
        b"GET\r\n\r\n",
        b"GET /a\x00b HTTP/1.0\n\n",
        b"GET /a HTTP/1.0\nA b\n\n",
        b"GET /a HTTP/1.0\nA: \x01\n\n",
        b"\x16\x03\x01",
        b"geht /a",
        b"SUBSCRIBE sip:a SIP/2.0\r\n\r\n",
    ],
)
def test_what_is_past_help(data: bytes) -> None:
    assert mended(data) is None


def test_nothing_tells_of_a_body_or_of_more(front: Front) -> None:
    head = mended(
        b"GET /a HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 9\nConnection: keep-alive\nX: y\n\n"
    )
    assert head == b"GET /a HTTP/1.0\r\nX: y\r\nConnection: close\r\n\r\n"
    with front.connect() as sock:
        sock.sendall(b"GET /a HTTP/1.0\n\nGET /b HTTP/1.0\n\n")
        assert read_all(sock).count(b"HTTP/1.1 404") == 1


@given(st.binary(max_size=200))
def test_anything_is_mended_to_one_head_or_to_none(data: bytes) -> None:
    head = mended(data)
    if head:
        assert head.endswith(b"\r\n\r\n")
        assert head.count(b"\r\n\r\n") == 1
        assert head.startswith((b"GET ", b"HEAD "))
        assert mended(head) == head


def test_a_long_odd_head_is_refused(front: Front) -> None:
    with front.connect() as sock:
        sock.sendall(b"GET /a HTTP/1.0\nX: ")
        try:
            for _ in range(40):
                sock.sendall(b"a" * 1000)
        except ConnectionError:
            pass
        assert read_all(sock).startswith(b"HTTP/1.1 431")
