"""No bytes may raise or loop, and how they are cut must not change what they mean."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.errors import PeerError
from provisioner.sip import sdp
from provisioner.sip.digest import Authenticator, answer, parse_credentials
from provisioner.sip.headers import NameAddr, Uri, Via, split_list
from provisioner.sip.message import MessageError, Request, Stream, parse
from tests.sip.lone import ANSWER, OFFER, Lone, request
from tests.sip.lone import answer as respond

few = settings(max_examples=300, deadline=None, derandomize=True)

SEEDS = [
    request(
        "INVITE", 'Authorization: Digest username="a", nonce="b"', "Route: <sip:a;lr>, <sip:b>", body=OFFER
    ),
    request(
        "INVITE",
        'Content-Type: multipart/mixed;boundary="b"',
        body=b"--b\r\nContent-Type: application/sdp\r\n\r\nx",
    ),
    request("REGISTER", "Contact: *", "Expires: 0"),
    request("BYE", to_tag="x"),
    request("ACK", to_tag="x"),
    request("CANCEL"),
    request("INFO", "Content-Type: application/dtmf-relay", to_tag="x", body=b"Signal=5"),
    request("OPTIONS").replace(b"OPTIONS sip:alice@10.0.0.1 SIP/2.0", b"SIP/2.0 200 OK"),
]
PIECES = [
    b"", b"\r\n", b"\n", b" ", b"\t", b";", b",", b"<", b">", b'"', b"\\", b":", b"@", b"?", b"=", b"%00",
    b"[", b"]",
    b"\0", b"\xff", b"sip:", b"SIP/2.0", b"9" * 5000, b";tag=", b"\r\n ", b"m=audio ",
    b"urn:", "\u0660".encode(),
    b"INVITE", b"CSeq: 1 ", b"Content-Length: 5",
]  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A message with a few pieces put in, taken out or doubled."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 12))
        data = data[:at] + draw(st.sampled_from([*PIECES, data[at : at + length] * 2])) + data[at + length :]
    return data


anything = st.one_of(st.binary(max_size=300), mangled())


@few
@given(anything)
def test_m09_parse_raises_only_its_own_error(data: bytes) -> None:
    try:
        message = parse(data)
    except MessageError:
        return
    again = parse(message.encode())
    kept = [header for header in message.headers if header[0] != "content-length"]
    assert again.start_line == message.start_line
    assert again.headers == [*kept, ("content-length", str(len(message.body)))]
    assert again.body == message.body


@few
@given(st.lists(anything, max_size=5), st.booleans())
def test_m09_nothing_that_is_received_raises(datagrams: list[bytes], dialled: bool) -> None:
    lone = Lone()
    lone.party.on_call = lambda session: session.accept(ANSWER)
    lone.hear(SEEDS[0])
    if dialled:
        lone.call()
        ours = lone.last("INVITE")
        tag = re.search(b"tag=([0-9a-f]+)", lone.sent[-1][1])[1]
        datagrams = [
            data.replace(b"Call-ID: one", b"Call-ID: " + ours.call_id.encode()) for data in datagrams
        ]
        datagrams = [data.replace(b"tag=x", b"tag=" + tag) for data in datagrams]
    else:
        tag = lone.party.sessions[0].dialog.local.tag.encode()
        datagrams = [data.replace(b"tag=x", b"tag=" + tag) for data in datagrams]
    for data in datagrams:
        lone.hear(data)
    lone.run_until(400)
    for session in lone.party.sessions:
        session.hangup()
    lone.run_until(900)


@few
@given(st.sampled_from([100, 180, 183, 200, 401, 486]), st.data())
def test_m09_no_mangled_answer_raises(status: int, data: st.DataObject) -> None:
    lone = Lone()
    session = lone.call(credentials=lambda realm: ("u", "p"))
    more = [("www-authenticate", 'Digest realm="r", nonce="n"'), ("record-route", "<sip:r;lr>")]
    whole = respond(lone.last(), status, "far", ANSWER, *more).encode()
    at = data.draw(st.integers(whole.index(b"From"), len(whole)))
    lone.hear(whole[:at] + data.draw(st.sampled_from(PIECES)) + whole[at + data.draw(st.integers(0, 9)) :])
    session.hangup()
    lone.run_until(400)


@few
@given(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=12))
def test_t10_a_stream_means_the_same_however_it_is_cut(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(messages)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    stream = Stream()
    pieces = [data[a:b] for a, b in pairwise(edges)]
    found = [message.encode() for piece in pieces for message in stream.feed(piece)]
    assert found == [parse(message).encode() for message in messages]


@few
@given(st.lists(anything, max_size=4), st.integers(1, 50))
def test_m09_a_stream_raises_only_its_own_error(messages: list[bytes], size: int) -> None:
    """And says the same of junk in one piece and in many."""

    def outcome(step: int) -> list[object]:
        stream, seen = Stream(), []
        data = b"".join(messages)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            while True:
                try:
                    found = stream.feed(piece)
                except MessageError as error:
                    seen.append(error.reason)
                    if not error.framed:
                        return seen
                else:
                    if not found:
                        break
                    seen += [message and message.encode() for message in found]
                piece = b""
        return seen

    assert outcome(size) == outcome(1 << 20)


text = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from([piece.decode("latin-1") for piece in PIECES] + ["a", "1", "h"]), max_size=12
    ).map("".join),
)


@few
@given(text)
def test_m09_header_values(value: str) -> None:
    split_list(value)
    parse_credentials(value)
    answer(f"Digest {value}", "u", "p", "BYE", "sip:h", "c")
    Authenticator("r", b"s", lambda: 0.0).check(f"Digest {value}", "BYE", "h", {"u": "p"}.get)
    for kind in (Uri, NameAddr, Via):
        try:
            found = kind.parse(value)
        except PeerError:
            continue
        assert str(kind.parse(str(found))) == str(found)


@few
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([*OFFER.split(b"\r\n"), *PIECES]), max_size=15).map(b"\r\n".join),
    )
)
def test_m09_sdp(body: bytes) -> None:
    for judge in (sdp.MediaSession.answer, sdp.MediaSession.accept):
        try:
            judge(sdp.MediaSession("10.0.0.1", 5000, 1), b"v=0\r\n" + body)
        except PeerError:
            continue
    sdp.audio_part("multipart/mixed;boundary=b", body)


names = st.sampled_from(["subject", "x-a", "x_b.c", "reason", "www-authenticate", "x-'d'", "%"])
values = st.text('aZ \t,;"<>:\0\x0b\u2028\u0436\udcff\\', max_size=20)


@few
@given(st.lists(st.tuples(names, values), max_size=8), st.binary(max_size=50))
def test_what_we_encode_is_what_is_parsed(headers: list[tuple[str, str]], body: bytes) -> None:
    whole = parse(SEEDS[3])
    kept = [header for header in whole.headers if header[0] != "content-length"]
    headers = [(name, value.strip(" \t")) for name, value in headers]
    message = Request("BYE", "sip:a", [*kept, *headers], body)
    again = parse(message.encode())
    assert again.headers == [*message.headers, ("content-length", str(len(body)))]
    assert again.body == body
