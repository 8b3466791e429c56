"""Two parties always agree on the same thing, seen from two sides, or on nothing."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.errors import PeerError
from provisioner.sip.sdp import CODECS, MAX_OFFER, Format, MediaSession, Negotiated

subsets = st.lists(st.sampled_from(list(CODECS)), min_size=1, unique=True)
directions = st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])


@st.composite
def sessions(draw: st.DrawFn, host: str) -> MediaSession:
    return MediaSession(
        host,
        4000,
        1,
        draw(subsets),
        draw(st.integers(96, 127)),
        draw(st.sampled_from([None, Random(draw(st.integers(0, 99))).randbytes])),
    )


def mirrored(one: Negotiated, other: Negotiated) -> None:
    """What one sends is what the other receives."""
    assert (one.codec, one.send, one.receive) == (other.codec, other.receive, other.send)
    assert (one.payload_out, one.event_out, one.event_clock) == (
        other.payload_in,
        other.event_in,
        other.event_clock,
    )
    assert (one.payload_in, one.event_in) == (other.payload_out, other.event_out)
    if one.srtp or other.srtp:
        assert one.srtp
        assert other.srtp
        assert one.srtp.suite == other.srtp.suite
        assert (one.srtp.key_in, one.srtp.key_out) == (other.srtp.key_out, other.srtp.key_in)


@settings(max_examples=200, deadline=None)
@given(
    sessions("192.0.2.1"),
    sessions("192.0.2.2"),
    st.booleans(),
    st.lists(directions, min_size=1, max_size=4),
    st.randoms(),
)
def test_offer_and_answer(one, other, secure, ways, rng):
    if secure and one._random:
        one.secure, one._protocol = True, "RTP/SAVP"
    for direction in ways:
        offerer, answerer = (one, other) if rng.random() < 0.5 else (other, one)
        body = offerer.offer(direction)
        try:
            answer = answerer.answer(body)
        except PeerError:
            common = set(offerer.codecs) & set(answerer.codecs)
            assert not common or (offerer.secure and answerer._random is None)
            return
        mirrored(offerer.accept(answer), answerer.negotiated)
        assert "RTP/AVP" in body.decode() or offerer.negotiated.srtp


formats = st.builds(
    Format,
    st.sampled_from(list(CODECS)),
    st.integers(96, 127),
    st.text("abc=;0 ", max_size=200).map(str.strip),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(formats, min_size=1, max_size=5, unique_by=lambda form: form.codec))
def test_s11_an_offer_is_never_too_long_and_names_each_number_once(forms):
    body = MediaSession("192.0.2.1", 4000, 1).offer(codecs=forms)
    numbers = body.decode().partition("RTP/AVP ")[2].partition("\r\n")[0].split()
    assert len(set(numbers)) == len(numbers)
    kept = [form for form in forms if form.codec in ("PCMU", "PCMA")]
    assert len(body) <= MAX_OFFER + sum(len(form.fmtp) for form in kept)
