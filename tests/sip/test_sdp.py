"""Offer and answer of one audio stream: holds, refused streams, payload types, junk (RFC 3264, RFC 8866)."""

from __future__ import annotations

import pytest

from provisioner.errors import PeerError
from provisioner.sip.sdp import MAX_LINES, MAX_SDP, MediaSession, Negotiated, audio_part, parse

HEAD = ("v=0", "o=- 1 1 IN IP4 10.0.0.2", "s=-", "c=IN IP4 10.0.0.2", "t=0 0")
AUDIO = "m=audio 4000 RTP/AVP 0 8 101"
EVENT = "a=rtpmap:101 telephone-event/8000"


def sdp(*lines: str, head: tuple[str, ...] = HEAD) -> bytes:
    return "\r\n".join((*head, *lines, "")).encode()


def ours(**more) -> MediaSession:
    return MediaSession("10.0.0.1", 5000, 7, **more)


def media(body: bytes) -> list[str]:
    """What stands behind t= in an answer."""
    return body.decode().partition("t=0 0\r\n")[2].splitlines()


def test_s05_offer() -> None:
    assert ours().offer().decode().splitlines() == [
        "v=0",
        "o=- 7 1 IN IP4 10.0.0.1",
        "s=-",
        "c=IN IP4 10.0.0.1",
        "t=0 0",
        "m=audio 5000 RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_s01_the_version_grows_with_each_change_only() -> None:
    session = ours()
    ways = ("sendrecv", "sendrecv", "sendonly", "sendonly", "sendrecv")
    assert [session.offer(way).split()[3] for way in ways] == [b"1", b"1", b"2", b"2", b"3"]


HOLDS = [
    ((AUDIO, EVENT), HEAD, "sendrecv", True, True),
    ((AUDIO, EVENT, "a=sendrecv"), HEAD, "sendrecv", True, True),
    ((AUDIO, EVENT, "a=sendonly"), HEAD, "recvonly", False, True),
    ((AUDIO, EVENT, "a=recvonly"), HEAD, "sendonly", True, False),
    ((AUDIO, EVENT, "a=inactive"), HEAD, "inactive", False, False),
    (("a=sendonly", AUDIO, EVENT), HEAD, "recvonly", False, True),
    (("a=inactive", AUDIO, EVENT), HEAD, "inactive", False, False),
    (("a=inactive", AUDIO, EVENT, "a=sendrecv"), HEAD, "sendrecv", True, True),
    ((AUDIO, EVENT, "a=sendonly", "m=video 0 RTP/AVP 99", "a=sendrecv"), HEAD, "recvonly", False, True),
    ((AUDIO, "c=IN IP4 0.0.0.0", EVENT), HEAD, "sendrecv", False, True),
    ((AUDIO, EVENT), (*HEAD[:3], "c=IN IP4 0.0.0.0", "t=0 0"), "sendrecv", False, True),
    ((AUDIO, "c=IN IP4 0.0.0.0", EVENT, "a=inactive"), HEAD, "inactive", False, False),
    ((AUDIO, "c=IN IP6 ::", EVENT), HEAD, "sendrecv", False, True),
]


@pytest.mark.parametrize(("lines", "head", "direction", "send", "receive"), HOLDS)
def test_s02_s03_holds(lines: tuple, head: tuple, direction: str, send: bool, receive: bool) -> None:
    session = ours()
    answer = session.answer(sdp(*lines, head=head))
    assert f"a={direction}" in media(answer)
    assert (session.negotiated.send, session.negotiated.receive) == (send, receive)


def test_s02_the_last_line_counts_without_its_end() -> None:
    session = ours()
    session.answer(sdp(AUDIO, "a=sendonly").removesuffix(b"\r\n"))
    assert not session.negotiated.send


def test_s03_hold_and_resume() -> None:
    session = ours()
    for direction, send in (("sendrecv", True), ("sendonly", False), ("sendrecv", True)):
        session.answer(sdp(AUDIO, EVENT, f"a={direction}"))
        assert session.negotiated.send is send


@pytest.mark.parametrize("payload", [96, 97, 98, 100, 101, 127])
def test_v06_telephone_event_has_any_number(payload: int) -> None:
    offer = sdp(f"m=audio 4000 RTP/AVP 0 {payload}", f"a=rtpmap:{payload} telephone-event/8000")
    session = ours()
    answer = session.answer(offer)
    assert session.negotiated == Negotiated(("10.0.0.2", 4000), "PCMU", payload, payload, True, True)
    assert media(answer)[:4] == [
        f"m=audio 5000 RTP/AVP 0 {payload}",
        "a=rtpmap:0 PCMU/8000",
        f"a=rtpmap:{payload} telephone-event/8000",
        f"a=fmtp:{payload} 0-15",
    ]
    assert f" {payload}\r\n".encode() in session.offer()  # a later offer of ours keeps the number


@pytest.mark.parametrize("payload", [96, 101, 127])
def test_s04_payload_types_belong_to_the_receiver(payload: int) -> None:
    session = ours()
    session.offer()
    answer = sdp(f"m=audio 4000 RTP/AVP 8 {payload}", f"a=rtpmap:{payload} TELEPHONE-EVENT/8000")
    assert session.accept(answer) == Negotiated(("10.0.0.2", 4000), "PCMA", 101, payload, True, True)


@pytest.mark.parametrize(
    ("line", "attributes", "codec", "event"),
    [
        ("0", (), "PCMU", None),
        ("8 0", (), "PCMA", None),
        ("9 18 8", (), "PCMA", None),
        ("96 0 101", ("a=rtpmap:96 opus/48000/2", EVENT), "PCMU", 101),
        ("0 110 101", ("a=rtpmap:110 telephone-event/48000", EVENT), "PCMU", 101),
        ("0 110", ("a=rtpmap:110 telephone-event/48000",), "PCMU", 110),
        (
            "0 110 111",
            ("a=rtpmap:111 telephone-event/48000", "a=rtpmap:110 telephone-event/16000"),
            "PCMU",
            110,
        ),
        ("0 101", (), "PCMU", None),
        ("0 8", ("a=rtpmap:0 PCMU/16000",), "PCMA", None),
        ("8", ("a=rtpmap:8 pcma/8000/1",), "PCMA", None),
        (f"0 {'9' * 5000}", (), "PCMU", None),
        ("0 \u0660", (), "PCMU", None),
    ],
)
def test_s04_codecs(line: str, attributes: tuple, codec: str, event: int | None) -> None:
    session = ours()
    session.answer(sdp(f"m=audio 4000 RTP/AVP {line}", *attributes))
    assert (session.negotiated.codec, session.negotiated.event_in) == (codec, event)


@pytest.mark.parametrize(("prefer", "codec"), [("", "PCMU"), ("PCMA", "PCMA"), ("G722", "PCMU")])
def test_the_codec_of_the_other_leg_is_preferred(prefer: str, codec: str) -> None:
    session = ours()
    answer = session.answer(sdp(AUDIO, EVENT), prefer)
    assert session.negotiated.codec == codec
    assert media(answer)[0] == f"m=audio 5000 RTP/AVP {0 if codec == 'PCMU' else 8} 101"


SAVP = ("m=audio 4000 RTP/SAVP 0", "a=crypto:8 AES_CM_128_HMAC_SHA1_80 inline:x")


@pytest.mark.parametrize(
    ("lines", "answered"),
    [
        (("m=video 4002 RTP/AVP 99", AUDIO), ["m=video 0 RTP/AVP 99", "m=audio 5000 RTP/AVP 0"]),
        ((AUDIO, "m=image 4002 udptl t38"), ["m=audio 5000 RTP/AVP 0", "m=image 0 udptl t38"]),
        ((*SAVP, AUDIO), ["m=audio 0 RTP/SAVP 0", "m=audio 5000 RTP/AVP 0"]),
        ((AUDIO, *SAVP), ["m=audio 5000 RTP/AVP 0", "m=audio 0 RTP/SAVP 0"]),
        (("m=audio 0 RTP/AVP 0", AUDIO), ["m=audio 0 RTP/AVP 0", "m=audio 5000 RTP/AVP 0"]),
        (("m=audio 4004 RTP/AVP 9", AUDIO), ["m=audio 0 RTP/AVP 9", "m=audio 5000 RTP/AVP 0"]),
        (("m=audio 4000/2 RTP/AVP 0",), ["m=audio 5000 RTP/AVP 0"]),
        (("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", AUDIO), [
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "m=audio 5000 RTP/AVP 0"]),
    ],
)  # fmt: skip
def test_s01_s07_s08_every_stream_is_answered_in_order(lines: tuple, answered: list[str]) -> None:
    answer = ours().answer(sdp(*lines))
    assert [line for line in media(answer) if line.startswith("m=")] == answered


@pytest.mark.parametrize(
    ("lines", "remote"),
    [
        ((AUDIO,), ("10.0.0.2", 4000)),
        ((AUDIO, "c=IN IP4 10.0.0.9"), ("10.0.0.9", 4000)),
        ((AUDIO, "c=IN IP4 10.0.0.9/127"), ("10.0.0.9", 4000)),
        (("m=video 1 RTP/AVP 9", "c=IN IP4 10.0.0.9", AUDIO), ("10.0.0.2", 4000)),
    ],
)
def test_s10_where_the_audio_goes(lines: tuple, remote: tuple[str, int]) -> None:
    session = ours()
    session.answer(sdp(*lines))
    assert session.negotiated.remote == remote


def test_s10_ipv6_of_ours() -> None:
    session = MediaSession("2001:db8::1", 5000, 7)
    assert b"o=- 7 1 IN IP6 2001:db8::1\r\n" in session.offer()
    assert b"c=IN IP6 2001:db8::1\r\n" in session.offer()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"\xff\xfe\x00",
        b"v=1\r\n",
        sdp("m=audio x RTP/AVP 0"),
        sdp("m=audio 70000 RTP/AVP 0"),
        sdp(f"m=audio {'9' * 5000} RTP/AVP 0"),
        sdp("m=audio 4000 RTP/AVP"),
        sdp("m="),
        sdp(),
        sdp("m=audio 0 RTP/AVP 0"),
        sdp("m=audio 4000 RTP/AVP 9 18"),
        sdp(*SAVP),
        sdp("m=audio 4000 UDP/TLS/RTP/SAVPF 0"),
        sdp("m=video 4000 RTP/AVP 0"),
        sdp(AUDIO, head=HEAD[:3]),
        sdp(AUDIO, "c=IN IP4 media.example.com"),
        sdp(AUDIO, "c=IN IP6 2001:db8::2"),
        sdp(AUDIO, "c="),
        sdp(AUDIO, *["a=x"] * MAX_LINES),
        sdp(AUDIO, "a=" + "x" * MAX_SDP),
    ],
)
def test_junk_is_488_and_changes_nothing(body: bytes) -> None:
    for judge in (MediaSession.answer, MediaSession.accept):
        session = ours()
        before = session.offer()
        with pytest.raises(PeerError) as caught:
            judge(session, body)
        assert caught.value.status == 488
        assert session.negotiated is None
        assert session.offer() == before


def test_lines_that_mean_nothing_to_us_are_passed_over() -> None:
    noise = ("b=AS:64", "a=rtpmap:x", "a=rtpmap:0", "a=candidate:1 1 UDP 1 10.0.0.9 9 typ host", "=", "x")
    (stream,) = parse(sdp(AUDIO, *noise, EVENT))
    assert (stream.address, stream.port, stream.names) == ("10.0.0.2", 4000, {101: "telephone-event/8000"})


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends(end: str) -> None:
    assert len(parse(sdp(AUDIO).decode().replace("\r\n", end).encode())) == 1


PART = b"v=0\r\n--not-the-end\r\n"
MIXED = (
    b"preamble --b\r\n--b\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n"
    b"--b\r\nContent-Disposition: session\r\ncontent-type:  Application/SDP\r\n\r\n" + PART + b"\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        ("application/sdp", b"v=0", b"v=0"),
        ("Application/SDP ; charset=utf-8", b"v=0", b"v=0"),
        ("multipart/mixed;boundary=b", MIXED, PART),
        ('multipart/mixed; Boundary = "b"; x=y', MIXED, PART),
        ("multipart/mixed", MIXED, b""),
        ("multipart/mixed;boundary=c", MIXED, b""),
        ("multipart/mixed;boundary=\udcff", MIXED, b""),
        ("text/plain", b"v=0", b""),
        ("", b"", b""),
    ],
)
def test_m07_the_sdp_in_a_body(kind: str, body: bytes, found: bytes) -> None:
    assert audio_part(kind, body) == found
