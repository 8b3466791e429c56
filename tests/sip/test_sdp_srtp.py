"""SDES-SRTP in offers and answers (RFC 4568, RFC 8643)."""

from __future__ import annotations

import pytest

from provisioner.errors import PeerError
from provisioner.sip.description import Crypto, read_crypto
from provisioner.sip.sdp import MediaSession, Srtp

HEAD = ("v=0", "o=- 1 1 IN IP4 10.0.0.2", "s=-", "c=IN IP4 10.0.0.2", "t=0 0")
LONG, SHORT = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
THEIRS = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"  # of RFC 4568 appendix A
KEY = b"=-n@%^x!Bjufr9)?,#5h\\`=&]{qiPQ"
INLINE = f"inline:{THEIRS}"
OURS = {1: "AAAA" * 10, 2: "AQEB" * 10}


def sdp(*lines: str) -> bytes:
    return "\r\n".join((*HEAD, *lines, "")).encode()


def ours(secure: bool = False) -> MediaSession:
    """A session whose first key is all 0, the next all 1."""
    keys = iter(range(256))
    return MediaSession("10.0.0.1", 5000, 7, random=lambda n: bytes([next(keys)]) * n, secure=secure)


def media(body: bytes) -> list[str]:
    """m= and a=crypto lines."""
    return [line for line in body.decode().splitlines() if line.startswith(("m=", "a=crypto"))]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (f"1 {LONG} {INLINE}", (1, LONG)),
        (f"7  {SHORT}  {INLINE}|2^20", (7, SHORT)),
        (f"1 {LONG} {INLINE}|1048576", (1, LONG)),
        (f"1 {LONG} {INLINE}|2^48 WSH=64", (1, LONG)),
        (f"1 {LONG} {INLINE}|2^19", None),
        (f"1 {LONG} {INLINE}|1000", None),
        (f"1 {LONG} {INLINE}|2^20|1:4", None),  # MKI
        (f"1 {LONG} {INLINE}|1:4", None),
        (f"1 {LONG} {INLINE} UNENCRYPTED_SRTP", None),
        (f"1 {LONG} {INLINE} UNENCRYPTED_SRTCP", None),
        (f"1 {LONG} {INLINE} UNAUTHENTICATED_SRTP", None),
        (f"1 {LONG} {INLINE} KDR=1", None),
        (f"1 {LONG} {INLINE};{INLINE}", None),
        (f"1 AES_256_CM_HMAC_SHA1_80 {INLINE}", None),
        (f"1 {LONG} inline:{THEIRS[:36]}", None),
        (f"1 {LONG} inline:{THEIRS}AAAA", None),
        (f"1 {LONG} inline:AAA", None),
        (f"x {LONG} {INLINE}", None),
        (f"1 {LONG} clear:{THEIRS}", None),
        ("", None),
    ],
)
def test_crypto_lines(value: str, wanted: tuple[int, str] | None) -> None:
    assert read_crypto(value) == (Crypto(*wanted, KEY) if wanted else None)


def test_a_key_is_not_shown() -> None:
    crypto = Crypto(1, LONG, KEY)
    assert "qiPQ" not in repr(crypto) + repr(Srtp(LONG, KEY, KEY))
    assert str(crypto) == f"a=crypto:1 {LONG} {INLINE}"


def test_g08_an_offer() -> None:
    session = ours(secure=True)
    assert media(session.offer()) == [
        "m=audio 5000 RTP/SAVP 0 8 101",
        f"a=crypto:1 {LONG} inline:{OURS[1]}",
        f"a=crypto:2 {SHORT} inline:{OURS[2]}",
    ]
    agreed = session.accept(sdp("m=audio 4000 RTP/SAVP 0", f"a=crypto:2 {SHORT} {INLINE}"))
    assert agreed.srtp == Srtp(SHORT, KEY, b"\1" * 30)
    assert media(session.offer())[1:] == [
        f"a=crypto:1 {LONG} inline:{OURS[1]}",
        f"a=crypto:2 {SHORT} inline:{OURS[2]}",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("m=audio 4000 RTP/AVP 0", f"a=crypto:1 {LONG} {INLINE}"),
        ("m=audio 4000 RTP/AVP 0",),
        ("m=audio 4000 RTP/SAVP 0",),
        ("m=audio 4000 RTP/SAVP 0", f"a=crypto:1 {SHORT} {INLINE}"),
        ("m=audio 4000 RTP/SAVP 0", f"a=crypto:3 {LONG} {INLINE}"),
    ],
)
def test_an_answer_that_is_not_to_our_offer(lines: tuple[str, ...]) -> None:
    session = ours(secure=True)
    session.offer()
    with pytest.raises(PeerError):
        session.accept(sdp(*lines))
    assert session.negotiated is None


def test_srtp_in_an_answer_to_an_offer_in_the_clear_is_none() -> None:
    session = ours()
    session.offer()
    with pytest.raises(PeerError):
        session.accept(sdp("m=audio 4000 RTP/SAVP 0", f"a=crypto:1 {LONG} {INLINE}"))
    assert session.accept(sdp("m=audio 4000 RTP/AVP 0", f"a=crypto:1 {LONG} {INLINE}")).srtp is None


CRYPTO = f"a=crypto:4 {LONG} {INLINE}"
UNUSABLE = f"a=crypto:3 AES_256_CM_HMAC_SHA1_80 inline:{'A' * 64}"
SAVP, AVP = "m=audio 4000 RTP/SAVP 0", "m=audio 4000 RTP/AVP 0"
ANSWER = f"a=crypto:4 {LONG} inline:{OURS[1]}"


@pytest.mark.parametrize(
    ("lines", "answered"),
    [
        ((SAVP, CRYPTO), ["m=audio 5000 RTP/SAVP 0", ANSWER]),
        ((SAVP, UNUSABLE, CRYPTO), ["m=audio 5000 RTP/SAVP 0", ANSWER]),
        ((SAVP, CRYPTO, AVP), ["m=audio 5000 RTP/SAVP 0", ANSWER, "m=audio 0 RTP/AVP 0"]),
        ((AVP, SAVP, CRYPTO), ["m=audio 5000 RTP/AVP 0", "m=audio 0 RTP/SAVP 0"]),
        ((SAVP, UNUSABLE, AVP), ["m=audio 0 RTP/SAVP 0", "m=audio 5000 RTP/AVP 0"]),
        ((AVP, CRYPTO), ["m=audio 5000 RTP/AVP 0", ANSWER]),
    ],
)
def test_s07_offers_with_keys(lines: tuple[str, ...], answered: list[str]) -> None:
    session = ours()
    assert media(session.answer(sdp(*lines))) == answered
    assert session.negotiated
    assert session.negotiated.srtp == (Srtp(LONG, KEY, bytes(30)) if ANSWER in answered else None)


def test_s07_without_a_source_of_keys_there_is_no_srtp() -> None:
    session = MediaSession("10.0.0.1", 5000, 7)
    assert media(session.answer(sdp(AVP, CRYPTO))) == ["m=audio 5000 RTP/AVP 0"]
    with pytest.raises(PeerError):
        session.answer(sdp(SAVP, CRYPTO))


def test_g08_our_key_stays_and_theirs_may_change() -> None:
    session = ours()
    session.answer(sdp(SAVP, CRYPTO))
    other = CRYPTO.replace(THEIRS, "A" * 40)
    assert media(session.answer(sdp(SAVP, other)))[1] == ANSWER
    assert session.negotiated
    assert session.negotiated.srtp == Srtp(LONG, bytes(30), bytes(30))
    assert media(session.offer())[0] == "m=audio 5000 RTP/SAVP 0 8 101"
