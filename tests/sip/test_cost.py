"""What a message may cost: hostile ones of up to 64 kB are bounded in operations, and by an ordinary INVITE."""

from __future__ import annotations

import sys
import time
from types import FrameType

import pytest

from provisioner.errors import PeerError
from provisioner.sip import message, sdp
from provisioner.sip.message import MAX_MESSAGE, MessageError, Stream
from provisioner.sip.session import Session
from tests.sip.lone import ANSWER, OFFER, Lone, request

INVITE = request("INVITE", body=OFFER)
SDP = OFFER[: OFFER.index(b"m=audio")] + b"m=audio 4000 RTP/AVP "
FULL = 7  # headers of nearly 8 kB fill a message


def _with(old: bytes, new: bytes) -> bytes:
    assert old in INVITE
    return INVITE.replace(old, new, 1)


HOSTILE = {
    "foldings": request("INVITE", "X: a" + "\r\n b" * 12000),
    "short headers": request("INVITE", *["a:"] * 15000),
    "lines of nothing": request("INVITE", *["a"] * 20000),
    "large headers": request("INVITE", *[f"x{i}: {'y' * 480}" for i in range(118)]),
    "vias in lists": request("INVITE", *["Via: " + "SIP/2.0/UDP a;branch=z9hG4bKx," * 260] * FULL),
    "routes": request("INVITE", *["Record-Route: " + "<sip:a>," * 1000] * FULL),
    "routes with parameters": request(
        "INVITE", *["Record-Route: <sip:a;" + ";".join(f"a{i}=b" for i in range(60)) + ">"] * 69
    ),
    "extensions": request("INVITE", *["Require: " + "a," * 4000] * FULL),
    "contacts": request("INVITE", *['Contact: "a\\\\"<sip:a>,' + '"a\\\\"<sip:a>,' * 560] * FULL),
    "boundaries": request(
        "INVITE", "Content-Type: multipart/mixed;" + "boundary " * 800 + "boundary=b",
        body=b"\r\n--b\r\n\r\n" * 5000,
    ),
    "credentials": request("REGISTER", *["Authorization: Digest " + 'a="\\x",' * 1100] * FULL),
    "bytes that are no text": request("INVITE", *["Via: @@"] * FULL).replace(b"@@", b"\xff" * 8000),
    "parameters": _with(b"tag=far", b"tag=far" + b";a" * 4000),
    "escapes": _with(b"tag=far", b'tag=far;a="' + b"\\x" * 3900 + b'"'),
    "escapes in a name": _with(b"From: <", b'From: "' + b"\\x" * 3900 + b'" <'),
    "open quotes": _with(b"From: <", b'From: "' + b'\\"' * 3900 + b" <"),
    "blanks in a name": _with(b"From: <", b'From: "a"' + b" " * 7900 + b" <"),
    "blanks in a To": _with(b"@10.0.0.1>\r\nCall", b"@10.0.0.1>" + (b"; " + b" " * 30) * 240 + b"\r\nCall"),
    "blanks in a Via": _with(b"UDP 10.0.0.2:", b"UDP " + b" " * 3900 + b"10.0.0.2" + b" " * 3900 + b":"),
    "blanks behind rport": _with(b";rport", (b";" + b" " * 100) * 60 + b";rport" + b" " * 1500 + b"x"),
    "parameters of the URI": _with(b"10.0.0.1 S", b"10.0.0.1" + b";a=b" * 15000 + b" S"),
    "a long host": _with(b"10.0.0.1 S", b"a" * 60000 + b" S"),
    "a long user": _with(b"sip:alice", b"sip:" + b"%41" * 20000),
    "a long number": _with(b"sip:alice@10.0.0.1 ", b"tel:" + b"1" * 60000 + b" "),
    "a long start line": _with(b" SIP/2.0\r", b" a" * 30000 + b" SIP/2.0\r"),
    "line ends": b"\r\n" * 32000,
    "blanks in CSeq": _with(b"CSeq: 1 ", b"CSeq: 1" + b" " * 8000),
    "digits": _with(b"Content-Length: ", b"Content-Length: " + b"9" * 8000),
    "formats": request("INVITE", body=SDP + b"1 " * 4000 + b"0 " * 3900),
    "streams": request("INVITE", body=SDP + b"0\r\n" + b"m=audio 4000 RTP/AVP 0\r\n" * 500),
    "names of formats": request("INVITE", body=SDP + b"0\r\n" + b"a=rtpmap:0 PCMU/8000\r\n" * 500),
}  # fmt: skip


def taking(session: Session) -> None:
    try:
        session.accept(session.agent.application.media.answer(session.offer) if session.offer else ANSWER)
    except PeerError as error:
        session.reject(error.status)


def agent() -> Lone:
    lone = Lone()
    lone.party.on_call = taking
    return lone


def operations(data: bytes) -> int:
    """Calls, of C functions too, until `data` is dealt with."""
    lone, count = agent(), 0

    def called(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        lone.hear(data)
    finally:
        sys.setprofile(None)
    return count


def seconds(data: bytes) -> float:
    """The shortest of five runs; of CPU."""
    found = []
    for _ in range(5):
        lone = agent()
        before = time.thread_time()
        lone.hear(data)
        found.append(time.thread_time() - before)
    return min(found)


@pytest.mark.parametrize("name", HOSTILE)
def test_m09_a_hostile_message_costs_little(name: str) -> None:
    """An ordinary INVITE takes some 100 us, so 50 of it are 5 ms; the dearest of these takes 12."""
    data = HOSTILE[name]
    assert len(data) <= MAX_MESSAGE
    assert operations(data) < 45 * operations(INVITE)
    assert seconds(data) < 50 * seconds(INVITE)


def test_m09_an_offer_of_one_format_a_thousand_times() -> None:
    body = SDP + b"0 " * 3900 + b"8 " * 3900
    assert [stream.formats for stream in sdp.parse(body)] == [["0", "8"]]
    with pytest.raises(PeerError, match="formats"):
        sdp.parse(SDP + b" ".join(b"%d" % number for number in range(200)))


def test_m09_a_stream_in_single_bytes_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the start line nor the head is looked at again for each byte."""
    looks: list[int] = []

    class Start:
        def match(self, data: bytes) -> bool:
            looks.append(len(data))
            return True

    monkeypatch.setattr(message, "_START", Start())
    stream, data = Stream(), request("MESSAGE", *["X: " + "y" * 90] * 100, body=b"x" * 5000)
    found = [each for at in range(len(data)) for each in stream.feed(data[at : at + 1])]
    assert [each.body for each in found] == [b"x" * 5000]
    assert len(looks) == 1


def test_m09_a_start_line_without_end_is_refused() -> None:
    stream = Stream()
    assert stream.feed(b"OPTIONS sip:" + b"a" * 8000) == []
    with pytest.raises(MessageError, match="start line too long"):
        stream.feed(b"a" * 1000)


def test_m09_keep_alives_without_end() -> None:
    stream = Stream()
    assert stream.feed(b"\r\n" * 40000) == [None] * 20000
    assert not stream._held


def test_m09_a_head_without_end_is_refused() -> None:
    stream = Stream()
    stream.feed(b"OPTIONS sip:a SIP/2.0\r\n" + b"X: y\r\n" * 10000)
    with pytest.raises(MessageError, match="too large"):
        stream.feed(b"X: y\r\n" * 10000)
