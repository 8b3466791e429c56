"""More than G.711 in SDP: codecs passed through, events per clock, payload types of each side, RTCP, IPv6."""

from __future__ import annotations

import pytest

from provisioner.errors import PeerError
from provisioner.sip.sdp import CODECS, MAX_OFFER, AudioOffer, Format, MediaSession, Negotiated, offered

HEAD = ("v=0", "o=- 1 1 IN IP4 10.0.0.2", "s=-", "c=IN IP4 10.0.0.2", "t=0 0")
REMOTE = ("10.0.0.2", 4000)
WIDE = (
    "m=audio 4000 RTP/AVP 96 9 18 8 0 97 98",
    "a=rtpmap:96 opus/48000/2",
    "a=fmtp:96 useinbandfec=1; maxplaybackrate=16000",
    "a=fmtp:18 annexb=no",
    "a=rtpmap:97 telephone-event/48000",
    "a=rtpmap:98 telephone-event/8000",
    "a=fmtp:98 0-16",
)
FORMATS = (
    Format("opus", 96, "useinbandfec=1; maxplaybackrate=16000"),
    Format("G722", 9),
    Format("G729", 18, "annexb=no"),
    Format("PCMA", 8),
    Format("PCMU", 0),
)


def sdp(*lines: str) -> bytes:
    return "\r\n".join((*HEAD, *lines, "")).encode()


def ours(*codecs: str, **more) -> MediaSession:
    return MediaSession("10.0.0.1", 5000, 7, codecs or tuple(CODECS), **more)


def media(body: bytes) -> list[str]:
    return body.decode().partition("t=0 0\r\n")[2].splitlines()


def test_s04_what_was_offered_in_the_order_of_the_offerer() -> None:
    assert offered(sdp(*WIDE, "a=ptime:30")) == AudioOffer(FORMATS, 30)


@pytest.mark.parametrize("ptime", ["0", "5", "60", "abc", "20.5"])
def test_s09_a_packet_time_that_we_do_not_take_is_20(ptime: str) -> None:
    assert offered(sdp(*WIDE, f"a=ptime:{ptime}")).ptime == 20


@pytest.mark.parametrize(
    "lines",
    [
        ("m=audio 4000 RTP/AVP 3 13",),
        ("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000"),  # RFC 7587: always two channels
        ("m=audio 4000 RTP/AVP 9", "a=rtpmap:9 G722/16000"),
        ("m=audio 4000 RTP/AVP 18", "a=fmtp:18 " + "x" * 201),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0",),
        ("m=audio 0 RTP/AVP 0",),
        ("m=audio 4000 RTP/AVP 0", "c=IN IP4 host.example"),
    ],
)
def test_what_holds_no_codec_of_ours(lines: tuple[str, ...]) -> None:
    with pytest.raises(PeerError) as caught:
        offered(sdp(*lines))
    assert caught.value.status == 488


def test_s10_an_address_of_the_other_version_is_no_offer() -> None:
    assert offered(sdp(*WIDE), "10.0.0.1").formats == FORMATS
    with pytest.raises(PeerError):
        offered(sdp(*WIDE), "2001:db8::1")


def test_a_bare_return_in_fmtp_goes_nowhere() -> None:
    found = offered(sdp("m=audio 4000 RTP/AVP 18", "a=fmtp:18 annexb=no\ra=sendonly"))
    assert found.formats == (Format("G729", 18),)


def test_an_offer_made_from_another_offer() -> None:
    session = ours()
    assert media(session.offer(codecs=FORMATS, ptime=30)) == [
        "m=audio 5000 RTP/AVP 96 9 18 8 0 101 97",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 useinbandfec=1; maxplaybackrate=16000",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:18 G729/8000",
        "a=fmtp:18 annexb=no",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=rtpmap:97 telephone-event/48000",
        "a=fmtp:97 0-15",
        "a=ptime:30",
        "a=sendrecv",
    ]


def test_a_dynamic_number_that_is_ours_already_is_not_taken() -> None:
    body = ours().offer(codecs=(Format("opus", 101),))
    assert media(body)[0] == "m=audio 5000 RTP/AVP 96 101 97"


def test_the_number_of_events_may_be_chosen() -> None:
    session = ours("PCMU", event_payload=127)
    assert media(session.offer())[0] == "m=audio 5000 RTP/AVP 0 127"
    answer = sdp("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000")
    assert session.accept(answer) == Negotiated(REMOTE, "PCMU", 127, 96, True, True)


def test_s11_the_last_codecs_are_left_out_of_a_long_offer() -> None:
    long = (
        Format("opus", 96, "x" * 200),
        Format("PCMU", 0),
        Format("G729", 18, "y" * 200),
        Format("PCMA", 8),
    )
    body = ours().offer(codecs=long)
    assert media(body)[0] == "m=audio 5000 RTP/AVP 96 0 8 101 97"
    assert len(body) <= MAX_OFFER


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (
            (
                "m=audio 4000 RTP/AVP 110 111",
                "a=rtpmap:110 OPUS/48000/2",
                "a=rtpmap:111 telephone-event/48000",
            ),
            Negotiated(REMOTE, "opus", 97, 111, True, True, 96, 110, 48000),
        ),
        (
            ("m=audio 4000 RTP/AVP 96 111", "a=rtpmap:96 opus/48000/2", "a=rtpmap:111 telephone-event/8000"),
            Negotiated(REMOTE, "opus", 101, 111, True, True, 96, 96, 8000),
        ),
        (
            ("m=audio 4000 RTP/AVP 9 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:40"),
            Negotiated(REMOTE, "G722", 101, 101, True, True, ptime=40),
        ),
        (
            ("m=audio 4000 RTP/AVP 18", "a=fmtp:18 annexb=yes"),
            Negotiated(REMOTE, "G729", None, None, True, True, fmtp="annexb=yes"),
        ),
    ],
)
def test_s04_s05_answers_to_our_offer(answer: tuple[str, ...], wanted: Negotiated) -> None:
    session = ours()
    session.offer(codecs=FORMATS)
    assert session.accept(sdp(*answer)) == wanted


def test_an_answer_with_what_was_not_offered_is_none() -> None:
    session = ours()
    session.offer(codecs=(Format("PCMU", 0),))
    with pytest.raises(PeerError):
        session.accept(sdp("m=audio 4000 RTP/AVP 9"))


@pytest.mark.parametrize(
    ("prefer", "fmtp", "answered", "wanted"),
    [
        (
            "opus",
            "stereo=0",
            ["m=audio 5000 RTP/AVP 96 97", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 stereo=0",
             "a=rtpmap:97 telephone-event/48000", "a=fmtp:97 0-15"],
            Negotiated(REMOTE, "opus", 97, 97, True, True, 96, 96, 48000, FORMATS[0].fmtp),
        ),
        (
            "G729",
            "",
            ["m=audio 5000 RTP/AVP 18 98", "a=rtpmap:18 G729/8000", "a=fmtp:18 annexb=no",
             "a=rtpmap:98 telephone-event/8000", "a=fmtp:98 0-16"],
            Negotiated(REMOTE, "G729", 98, 98, True, True, fmtp="annexb=no"),
        ),
        (
            "",
            "",
            ["m=audio 5000 RTP/AVP 8 98", "a=rtpmap:8 PCMA/8000",
             "a=rtpmap:98 telephone-event/8000", "a=fmtp:98 0-16"],
            Negotiated(REMOTE, "PCMA", 98, 98, True, True),
        ),
    ],
)  # fmt: skip
def test_s04_answers_of_ours(prefer: str, fmtp: str, answered: list[str], wanted: Negotiated) -> None:
    session = ours()
    assert media(session.answer(sdp(*WIDE), prefer, fmtp)) == [*answered, "a=ptime:20", "a=sendrecv"]
    assert session.negotiated == wanted


def test_a_later_offer_of_ours_says_the_same_of_each_codec() -> None:
    session = ours()
    session.answer(sdp(*WIDE), "opus", "stereo=0")
    session.codecs = ("opus",)
    assert media(session.offer())[:6] == [
        "m=audio 5000 RTP/AVP 96 101 97",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 stereo=0",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=rtpmap:97 telephone-event/48000",
    ]


def test_a_number_that_the_peer_uses_for_something_else_is_given_up() -> None:
    session = ours("opus")
    session.answer(sdp("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 opus/48000/2"))
    assert media(session.offer())[0] == "m=audio 5000 RTP/AVP 101 96 97"


@pytest.mark.parametrize(
    ("fmtp", "flash"),
    [
        ("", 15),
        ("0-15", 15),
        ("0-16", 16),
        ("0-11,16", 16),
        ("0-11, 16", 16),
        ("16", 16),
        ("x-16", 15),
        ("0-", 15),
    ],
)
def test_v07_the_hook_flash_only_where_it_is_offered(fmtp: str, flash: int) -> None:
    said = [f"a=fmtp:96 {fmtp}"] if fmtp else []
    lines = ["m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000", *said]
    assert f"a=fmtp:96 0-{flash}" in media(ours().answer(sdp(*lines)))


@pytest.mark.parametrize(
    ("lines", "rtcp", "mux"),
    [
        ((), None, False),
        (("a=rtcp:4005",), ("10.0.0.2", 4005), False),
        (("a=rtcp:4005 IN IP4 10.0.0.3",), ("10.0.0.3", 4005), False),
        (("a=rtcp:4005 IN IP4 host.example",), None, False),
        (("a=rtcp:0",), None, False),
        (("a=rtcp:99999",), None, False),
        (("a=rtcp-mux",), None, True),
        (("a=rtcp-mux", "a=rtcp:4000"), ("10.0.0.2", 4000), True),
    ],
)
def test_s09_where_rtcp_goes(lines: tuple[str, ...], rtcp: tuple[str, int] | None, mux: bool) -> None:
    session = ours()
    answer = session.answer(sdp("m=audio 4000 RTP/AVP 0", *lines))
    assert session.negotiated
    assert (session.negotiated.rtcp, session.negotiated.mux) == (rtcp, mux)
    assert ("a=rtcp-mux" in media(answer)) is mux
    assert b"a=rtcp:" not in answer


def test_s10_ipv6() -> None:
    session = MediaSession("2001:db8::1", 5000, 7)
    session.answer(sdp("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:DB8:0::2"))
    assert session.negotiated
    assert session.negotiated.remote == ("2001:db8::2", 4000)
    with pytest.raises(PeerError):
        session.answer(sdp("m=audio 4000 RTP/AVP 0"))


def test_s03_a_hold_by_address_keeps_the_address_of_before() -> None:
    session = ours()
    session.answer(sdp("m=audio 4000 RTP/AVP 0"))
    session.answer(sdp("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"))
    assert session.negotiated == Negotiated(REMOTE, "PCMU", None, None, False, True)
    session.answer(sdp("m=audio 4010 RTP/AVP 0"))
    assert session.negotiated == Negotiated(("10.0.0.2", 4010), "PCMU", None, None, True, True)
