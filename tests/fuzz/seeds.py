"""Seed messages and the mutator: valid messages cut, spliced and bent at the level of headers, then of bytes."""

from __future__ import annotations

import random
import re

from tests.sip.lone import ANSWER, OFFER, request

# placeholders that a harness fills in, so that a message reaches its dialog and is no repeat
BRANCH, SEQ, OURS, CALL = b"z9hG4bKb1", b"4242", b"ourtag", b"callid"

_MULTIPART = b"\r\n".join([
    b"--b", b"Content-Type: application/pidf+xml", b"", b"<presence/>",
    b"--b", b"Content-Type: application/sdp", b"", OFFER, b"--b--", b"",
])  # fmt: skip
_CREDENTIALS = (
    'Digest username="alice", realm="r", nonce="0123456789abcdef0123", uri="sip:10.0.0.1", qop=auth, '
    'nc=00000001, cnonce="c", response="d41d8cd98f00b204e9800998ecf8427e", algorithm=MD5'
)
_CHALLENGE = 'Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256, opaque="o", stale=true'
_RICH = (
    "Max-Forwards: 70",
    "Record-Route: <sip:r1.example;lr>, <sip:r2.example;lr;x=y>",
    "Route: <sip:10.0.0.1;lr>",
    "Allow: INVITE, ACK, BYE",
    "Supported: replaces, timer, 100rel",
    "Session-Expires: 1800;refresher=uac",
    "Min-SE: 90",
    'P-Asserted-Identity: "Dr. X" <sip:+15551230000@core.example>, <tel:+15551230000>',
    'Reason: SIP;cause=200;text="done"',
    f"Authorization: {_CREDENTIALS}",
)


def _in_dialog(method: str, *lines: str, body: bytes = b"") -> bytes:
    data = request(method, *lines, seq=4242, to_tag="ourtag", body=body)
    return data.replace(b"Call-ID: one", b"Call-ID: callid")


def _response(status: str, method: str, *lines: str, body: bytes = b"") -> bytes:
    head = [
        f"SIP/2.0 {status}",
        "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKb1;rport=5060;received=10.0.0.1",
        "From: <sip:alice@10.0.0.1>;tag=ourtag",
        "To: <sip:bob@10.0.0.2>;tag=far",
        "Call-ID: callid",
        f"CSeq: 1 {method}",
        "Contact: <sip:bob@10.0.0.2:5060>",
        *lines,
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


SEEDS = [
    request("INVITE", *_RICH, body=OFFER),
    request("INVITE", 'Content-Type: multipart/mixed;boundary="b"', body=_MULTIPART),
    request("REGISTER", "Contact: *", "Expires: 0"),
    request("REGISTER", 'Contact: "A, B" <sip:a@b>;expires=60;+sip.instance="<urn:uuid:1>", <sip:c>'),
    request("OPTIONS", "Accept: application/sdp"),
    request("MESSAGE", "Content-Type: text/plain", body=b"hello"),
    request("SUBSCRIBE", "Event: dialog;id=1", "Expires: 600"),
    request("CANCEL", 'Reason: SIP;cause=200;text="x"'),
    _in_dialog("ACK", body=ANSWER),
    _in_dialog("BYE", "Reason: Q.850;cause=16"),
    _in_dialog("INVITE", *_RICH, body=OFFER.replace(b"sendrecv", b"sendonly")),
    _in_dialog("UPDATE", "Session-Expires: 90;refresher=uas", body=OFFER),
    _in_dialog("INFO", "Content-Type: application/dtmf-relay", body=b"Signal=5\r\nDuration=160\r\n"),
    _in_dialog("PRACK", "RAck: 1 1 INVITE"),
    _in_dialog("REFER", "Refer-To: <sip:x@y?Replaces=a%3Bto-tag%3Db>", "Referred-By: <sip:z@y>"),
    _in_dialog("NOTIFY", "Event: refer", "Subscription-State: active;expires=60",
               "Content-Type: message/sipfrag", body=b"SIP/2.0 200 OK\r\n"),
    _response("180 Ringing", "INVITE", "Require: 100rel", "RSeq: 1"),
    _response("183 Session Progress", "INVITE", body=ANSWER),
    _response("200 OK", "INVITE", "Record-Route: <sip:r2.example;lr>, <sip:r1.example>", body=ANSWER),
    _response("401 Unauthorized", "INVITE", f"WWW-Authenticate: {_CHALLENGE}"),
    _response("503 Service Unavailable", "INVITE", "Retry-After: 5 (busy);duration=3"),
    _response("200 OK", "BYE"),
]  # fmt: skip

PIECES = [
    b"", b"\r\n", b"\n", b"\r", b" ", b"\t", b";", b",", b"<", b">", b'"', b"\\", b":", b"@", b"?", b"=", b"%00",
    b"%", b"[", b"]", b"(", b")", b"\0", b"\xff", b"\xc3\xa9", b"sip:", b"sips:", b"tel:", b"urn:", b"SIP/2.0",
    b"SIP/2.0/UDP ", b";tag=", b";branch=", b";rport", b";received=", b";lr", b"\r\n ", b"\r\n\t", b"--b",
    b"m=audio 0 RTP/AVP 0", b"c=IN IP4 0.0.0.0", b"a=rtpmap:0 PCMU/8000", b"[::1]", b"[2001:db8::9:1]:5060",
    b"0", b"-1", b"1", b"65536", b"2147483648", b"4294967296", b"99999999999999999999", b"1e9", b"*",
    "\u0660".encode(), "\u2028".encode(), b"INVITE", b"ACK", b"BYE", b"CANCEL", b"handling=optional",
    b"identity", b"Digest ", b"auth", b"nonce=", b"boundary=b",
]  # fmt: skip

_NAMES = {
    b"Call-ID": b"i",
    b"Contact": b"m",
    b"Content-Length": b"l",
    b"From": b"f",
    b"To": b"t",
    b"Via": b"v",
}
_EXTRA = [
    b"Require: x", b"Require: 100rel", b"Proxy-Require: y", b"Content-Encoding: gzip", b"Expires: -1",
    b"Content-Disposition: session;handling=optional", b"Max-Forwards: 0", b"Timestamp: 5 .3",
    b"Replaces: callid;to-tag=ourtag;from-tag=far", b"Event: dialog", b"Accept: a/b", b"Subject: \xe2\x80\xae",
    b"Geolocation: <cid:x>", b"Identity: \"x\"", b"Date: Sat, 13 Nov 2010 23:29:00 GMT",
]  # fmt: skip

_HEADS = [data.partition(b"\r\n\r\n")[0].split(b"\r\n") for data in SEEDS]
_BODIES = [b"", OFFER, ANSWER, _MULTIPART, b"v=0\r\n", b"Signal=*\r\n"]
_LINES = [line for head in _HEADS for line in head[1:]] + _EXTRA
_LENGTH = re.compile(rb"(?i)^Content-Length *: *\d+$", re.M)


def mutate(rng: random.Random, large: float = 0.002) -> bytes:
    """One message made of the seeds; with the chance `large` blown up towards the limits."""
    chance = rng.random
    lines = list(rng.choice(_HEADS))
    body = rng.choice(_BODIES) if chance() < 0.3 else None
    if body is None:
        body = OFFER if any(b"sdp" in line for line in lines) else b""
    for _ in range(int(chance() * 4)):
        _bend(rng, lines)
    if chance() < 0.15:
        body = scramble(rng, body)
    data = b"\r\n".join(lines) + b"\r\n\r\n" + body
    if chance() < 0.7:
        data = _LENGTH.sub(b"Content-Length: %d" % len(body), data)
    if chance() < 0.4:
        data = scramble(rng, data)
    if chance() < large:
        data = blow_up(rng, data)
    return data


def _bend(rng: random.Random, lines: list[bytes]) -> None:
    """One change to the head: in place."""
    at = rng.randrange(len(lines))
    line = lines[at]
    name, colon, value = line.partition(b":")
    match rng.randrange(10):
        case 0:
            del lines[at]
            lines or lines.append(b"")
        case 1:
            lines.insert(at, rng.choice(_LINES))
        case 2:
            lines.insert(rng.randrange(len(lines) + 1), line)
        case 3:
            lines[at] = name + colon + rng.choice(_LINES).partition(b":")[2]
        case 4:
            lines[at] = _NAMES.get(name, name.swapcase()) + b" \t:" + value
        case 5:
            cut = rng.randrange(len(line) + 1)
            lines[at] = line[:cut] + b"\r\n " + line[cut:]
        case 6:
            lines[at] = line + rng.choice((b", ", b";", b" ")) + rng.choice(_LINES).partition(b":")[2]
        case 7:
            lines[at : at + 1] = rng.choice(_HEADS)[1:]
        case 8:
            lines[0] = rng.choice(_HEADS)[0]
        case _:
            lines[at] = name + colon + scramble(rng, value)


def scramble(rng: random.Random, data: bytes) -> bytes:
    """One to four pieces put in, taken out or doubled; or a flipped byte."""
    for _ in range(1 + int(rng.random() * 3)):
        at, length = rng.randrange(len(data) + 1), int(rng.random() * 12)
        match rng.randrange(4):
            case 0:
                piece = rng.choice(PIECES)
            case 1:
                piece = data[at : at + length] * 2
            case 2:
                piece = bytes([rng.randrange(256)])
                length = 1
            case _:
                piece = rng.choice(PIECES)
                length = 0
        data = data[:at] + piece + data[at + length :]
    return data


def blow_up(rng: random.Random, data: bytes) -> bytes:
    """A piece of the message, or a nasty one, repeated until the message nears 64 kB."""
    at = rng.randrange(len(data) + 1)
    piece = rng.choice(PIECES) or b"x"
    match rng.randrange(5):
        case 0:
            piece = data[at : at + 1 + int(rng.random() * 30)] or b"x"
        case 4:  # inside the last header or the body: it stays a message
            at = data.rfind(b"\r\n", 0, data.find(b"\r\n\r\n") if rng.random() < 0.5 else -2)
            at = max(at, 0)
            piece = rng.choice((b" 0", b" 1", b",a", b";a", b'"', b"<sip:a>,", b"\\x", b"--b\r\n\r\n"))
        case 1:
            piece = rng.choice(_LINES) + b"\r\n"
            at = data.find(b"\r\n") + 2
        case 2:
            piece += rng.choice(PIECES)
        case _:
            pass
    most = rng.choice((8000, 8190, 30000, 64900))
    return (data[:at] + piece * ((most - len(data)) // len(piece) if len(data) < most else 1) + data[at:])[
        :65535
    ]
