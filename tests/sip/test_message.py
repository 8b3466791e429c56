"""Bytes to messages: tolerance, faults and their answers, framing on streams (RFC 3261 7, 18.3; RFC 4475)."""

from __future__ import annotations

import re

import pytest

from provisioner.sip import message
from provisioner.sip.message import (
    MAX_HEADER,
    MAX_HEADERS,
    MAX_MESSAGE,
    MessageError,
    Request,
    Response,
    Stream,
    content_length,
    parse,
)  # fmt: skip
from tests.sip.lone import Lone, request

BASE = request("OPTIONS")
HEAD = BASE.removesuffix(b"\r\n\r\n").removesuffix(b"\r\nContent-Length: 0")


def with_lines(*lines: str) -> bytes:
    return "\r\n".join((HEAD.decode(), *lines)).encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("i", "call-id"), ("m", "contact"), ("e", "content-encoding"), ("l", "content-length"),
        ("c", "content-type"), ("f", "from"), ("s", "subject"), ("k", "supported"), ("t", "to"), ("v", "via"),
        ("r", "refer-to"), ("b", "referred-by"), ("o", "event"), ("u", "allow-events"),
        ("x", "session-expires"),
        ("a", "accept-contact"), ("j", "reject-contact"), ("d", "request-disposition"), ("y", "identity"),
    ],
)  # fmt: skip
def test_m01_compact_forms(short: str, long: str) -> None:
    data = BASE if long in BASE.decode().lower() else with_lines(f"{long}: x")
    data = re.sub(rf"(?im)^{long}:".encode(), f"{short.upper()} :".encode(), data, count=1)
    assert parse(data).get(long)


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (("Xy: a",), ["a"]),
        (("xY\t :\t a  b ",), ["a  b"]),
        (("Xy:",), [""]),
        (("Xy: a", " b", "\tc"), ["a b c"]),
        (("Xy:", " b"), ["b"]),
        (("Xy: a", "Y: 1", "xy: b, c"), ["a", "b, c"]),
        (('Xy: "a,b" <sip:c;d>',), ['"a,b" <sip:c;d>']),
        (("Xy: \u0436\u00fc",), ["\u0436\u00fc"]),
        (("Xy: a:b:c",), ["a:b:c"]),
    ],
)
def test_m02_header_lines(lines: tuple[str, ...], values: list[str]) -> None:
    assert parse(with_lines(*lines)).all("xy") == values


def test_bytes_that_are_not_utf8_survive() -> None:
    data = BASE.replace(b"Call-ID: one", b"Call-ID: \xff\xfe")
    assert b"Call-ID: \xff\xfe\r\n" in parse(data).encode()


@pytest.mark.parametrize(
    ("old", "new", "status", "reason"),
    [
        (b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia", 505, "only SIP/2.0 is spoken here"),
        (b"OPTIONS sip:alice", b"OPTIONS  sip:alice", 400, "bad request line"),
        (b"SIP/2.0\r\nVia", b"SIP/2.0 \r\nVia", 400, "bad request line"),
        (b"From: ", b"From", 400, "a line that is not a header"),
        (b"From: ", b"Fr\xc3\xb6m: ", 400, "a line that is not a header"),
        (b"Call-ID: one\r\n", b"", 400, "no Call-ID header"),
        (b"To: ", b"X-To: ", 400, "no To header"),
        (b"From: ", b"From: a\r\nFrom: ", 400, "more than one From header"),
        (b"CSeq: 1", b"CSeq: 2147483648", 400, "bad CSeq"),
        (b"CSeq: 1", b"CSeq: -1", 400, "bad CSeq"),
        (b"CSeq: 1", b"CSeq: \xd9\xa1", 400, "bad CSeq"),
        (b"CSeq: 1 OPTIONS", b"CSeq: 1", 400, "bad CSeq method"),
        (b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE", 400, "CSeq names another method"),
        (b"CSeq: 1 OPTIONS", b"CSeq:", 400, "bad CSeq"),
        (b"Content-Length: 0", b"Content-Length: 1", 400, "the body is shorter than Content-Length"),
        (b"Content-Length: 0", b"Content-Length: -1", 400, "bad Content-Length"),
        (b"Content-Length: 0", b"Content-Length: 0\r\nl: 1", 400, "bad Content-Length"),
        (b"Content-Length: 0", b"Content-Length: 99999999", 400, "bad Content-Length"),
        (b"Call-ID: one", b"Call-ID: one\rX: y", 400, "a line break inside a header"),
        (b"Call-ID: one", b"Call-ID: one\nX: y", 400, "a line break inside a header"),
        (b"Call-ID: one", b"Call-ID: " + b"x" * (MAX_HEADER + 1), 513, "too many or too long headers"),
        (b"Call-ID: one", b"X: y\r\n" * MAX_HEADERS + b"Call-ID: one", 513, "too many or too long headers"),
        (b"Call-ID: one", b"Call-ID: one" + b"\r\n xy" * 4000, 513, "too many or too long headers"),
    ],
)  # fmt: skip
def test_m05_faults_that_can_be_answered(old: bytes, new: bytes, status: int, reason: str) -> None:
    assert old in BASE
    with pytest.raises(MessageError, match=f"^{re.escape(reason)}$") as caught:
        parse(BASE.replace(old, new, 1))
    assert caught.value.status == status
    lone = Lone()
    lone.hear(BASE.replace(old, new, 1))
    assert lone.lines() == [f"SIP/2.0 {status} {reason[0].upper()}{reason[1:]}"]
    assert lone.agent.transactions.malformed == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        BASE.removesuffix(b"\r\n"),
        BASE.replace(b"\r\n", b"\n"),
        BASE.replace(b"Via: ", b"X-Via: "),
        BASE.replace(b"OPTIONS", b"ACK").replace(b"Call-ID: one\r\n", b""),
        b"SIP/2.0 4294967301 better not break\r\n\r\n",
        b"SIP/2.0 099 x\r\n\r\n",
        "SIP/2.0 1\u0660\u0660 x\r\n\r\n".encode(),
        b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n",
    ],
)
def test_m05_framing_faults_responses_and_acks_are_silent(data: bytes) -> None:
    with pytest.raises(MessageError):
        parse(data)
    lone = Lone()
    lone.hear(data)
    assert lone.sent == []
    assert lone.agent.transactions.malformed == 1


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (BASE.replace(b"Content-Length: 0", b"l: 2") + b"abcd", b"ab"),
        (BASE.replace(b"Content-Length: 0", b"Content-Length: 0002") + b"ab", b"ab"),
        (BASE.replace(b"Content-Length: 0", b"l: 2\r\nContent-Length: 2") + b"ab", b"ab"),
        (BASE.replace(b"Content-Length: 0", b"X: y") + b"abcd", b"abcd"),
        (b"\r\n\r\n" + BASE, b""),
    ],
)
def test_t10_body_of_a_datagram(data: bytes, body: bytes) -> None:
    assert parse(data).body == body


@pytest.mark.parametrize("reason", ["OK", "", "= 2**3 * 5**2 \u043d\u043e", "two  blanks"])
def test_status_line(reason: str) -> None:
    data = f"SIP/2.0 200 {reason}".encode() + BASE[BASE.index(b"\r\n") :]
    found = parse(data)
    assert isinstance(found, Response)
    assert (found.status, found.reason) == (200, reason)


def test_status_line_without_the_blank() -> None:
    assert parse(b"SIP/2.0 200" + BASE[BASE.index(b"\r\n") :]).start_line == "SIP/2.0 200 "


def test_a_strange_method_is_kept() -> None:
    odd = "!interesting-Method0123456789_*+`.%indeed'~"
    assert parse(request(odd)).method == odd


@pytest.mark.parametrize(
    ("value", "tagged"),
    [
        ("<sip:a@b>;tag=1", True), ("sip:a@b;tag=1", True), ("<sip:a@b> ; TAG = 1", True),
        ("<sip:a@b;tag=1>", False),
        ('"x;tag=1" <sip:a@b>', False), ("<sip:a@b>;mytag=1", False), ("<sip:a@b>;x=tag=", False),
    ],
)  # fmt: skip
def test_m08_to_tag_is_added_once(value: str, tagged: bool) -> None:
    found = Request("OPTIONS", "sip:a", [("to", value), ("via", "x")]).response(200, "", "new")
    assert found.get("to") == (value if tagged else f"{value};tag=new")


def test_headers_can_be_set_and_removed() -> None:
    found = Request("OPTIONS", "sip:a", [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")])
    found.set("a", "9")
    found.set("d", "5")
    found.remove("b")
    assert found.headers == [("a", "9"), ("c", "4"), ("d", "5")]
    assert (found.get("b", "x"), found.all("a")) == ("x", ["9"])


def test_encode() -> None:
    headers = [
        ("via", "v"),
        ("call-id", "c"),
        ("cseq", "1 X"),
        ("content-length", "99"),
        ("x-some-thing", ""),
    ]
    assert Request("X", "sip:a", headers, b"body").encode() == (
        b"X sip:a SIP/2.0\r\nVia: v\r\nCall-ID: c\r\nCSeq: 1 X\r\n"
        b"X-Some-Thing: \r\nContent-Length: 4\r\n\r\nbody"
    )


def test_response_copies_what_8_2_6_says() -> None:
    lines = ("Record-Route: <sip:r>", "Timestamp: 54", "X: y", "Via: SIP/2.0/UDP second")
    asked = parse(with_lines(*lines))
    names = ["via", "via", "from", "to", "call-id", "cseq"]
    for status, more in ((100, ["timestamp"]), (180, ["record-route"]), (200, ["record-route"]), (404, [])):
        assert [name for name, _ in asked.response(status, "", "t").headers] == names + more


# streams

BODY = b"v=0\r\n\r\nx"
MESSAGE = request("MESSAGE", "Content-Type: text/plain", body=BODY)


def shown(found: list) -> list[bytes | None]:
    return [each and each.encode() for each in found]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10000])
def test_t10_stream_in_pieces(size: int) -> None:
    data = BASE + b"\r\n\r\n" + MESSAGE + b"\r\n" + BASE + b"\r\n\r\n\r\n\r\n" + MESSAGE
    stream = Stream()
    found = [x for at in range(0, len(data), size) for x in stream.feed(data[at : at + size])]
    base, text = parse(BASE).encode(), parse(MESSAGE).encode()
    assert shown(found) == [base, None, text, base, None, None, text]


@pytest.mark.parametrize(
    ("data", "framed", "answered"),
    [
        (HEAD + b"\r\n\r\n", False, True),
        (BASE.replace(b"Content-Length: 0", b"Content-Length: x"), False, True),
        (BASE.replace(b"Content-Length: 0", b"Content-Length: 70000"), False, True),
        (b"GET / HTTP/1.1\r\n", False, False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", False, False),
        (b"\x16\x03\x01\x02\x00", False, False),
        (b"\r\n\0", False, False),
        (b"OPTIONS " + b"x" * MAX_MESSAGE, False, False),
        (BASE.replace(b"CSeq: 1", b"CSeq: x"), True, True),
        (BASE.replace(b"OPTIONS sip:alice@10.0.0.1", b"OPTIONS"), True, True),
    ],
)
def test_t10_t11_faults_on_a_stream(data: bytes, framed: bool, answered: bool) -> None:
    """`framed`: the connection can go on; a probe gets no answer."""
    stream = Stream()
    assert len(stream.feed(BASE + data)) == 1
    with pytest.raises(MessageError) as caught:
        stream.feed(b"")
    assert (caught.value.framed, caught.value.message is not None) == (framed, answered)
    if framed:
        assert len(stream.feed(BASE)) == 1


def test_the_head_before_a_large_body_is_not_read_at_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(message, "content_length", lambda headers: looks.append(1) or content_length(headers))
    stream = Stream()
    data = request("MESSAGE", "Content-Type: text/plain", body=b"x" * 60000)
    found = [x for at in range(0, len(data), 100) for x in stream.feed(data[at : at + 100])]
    assert [len(each.body) for each in found] == [60000]
    assert len(looks) == 1
