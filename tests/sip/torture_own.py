"""Torture messages of our own: the traps of RFC 4475 and RFC 5118 and some more, each with its outcome."""

from __future__ import annotations

from tests.sip.lone import OFFER, request

_ASK = request("OPTIONS", "Max-Forwards: 70")
_CALL = request("INVITE", body=OFFER)
_BIND = request("REGISTER", "Expires: 60")
_LF = b"\r\n"


def _with(old: str, new: str, data: bytes = _ASK) -> bytes:
    assert old.encode() in data, old
    return data.replace(old.encode(), new.encode("utf-8", "surrogateescape"), 1)


def _add(*lines: str, data: bytes = _ASK) -> bytes:
    return _with("\r\nContent-Length", "".join(f"\r\n{line}" for line in lines) + "\r\nContent-Length", data)


def _answered(line: str, *lines: str) -> bytes:
    head = _ASK.split(_LF)[1:-2]
    return _LF.join([line.encode(), *head, *(each.encode() for each in lines), b"", b""])


OWN: dict[str, tuple[bytes, str]] = {
    # well formed, and odd
    "folded everywhere": (
        _with("Via: SIP/2.0/UDP 10.0.0.2", "v\t:\r\n SIP /\r\n\t2.0 /\r\n UDP\r\n  10.0.0.2")
        .replace(b"CSeq: 1 O", b"cSeQ :\r\n 0001\r\n\tO")
        .replace(b"From: <sip", b'f:\r\n "\\"A\\" \\\\"\r\n <sip'),
        "200",
    ),
    "blanks around every semicolon": (_with(";tag=far", " \t; \t tag = far ; x ; y = 1"), "200"),
    "short names": (
        _with("Call-ID", "I").replace(b"From", b"F").replace(b"Contact", b"M").replace(b"To:", b"T:"),
        "200",
    ),
    "every character of a token": (_with("OPTIONS", "A-.!%*_+`'~9").replace(b"OPTIONS", b"A-.!%*_+`'~9"), "501"),
    "percent in a method is no escape": (_with("OPTIONS", "%4FPTIONS").replace(b"1 OPTIONS", b"1 %4FPTIONS"), "501"),
    "methods have a case": (_with("OPTIONS", "options").replace(b"1 OPTIONS", b"1 options"), "501"),
    "escaped user": (_with("sip:alice", "sip:%61l%69ce%20%00", _CALL), "180"),
    "parameters in the user": (_with("sip:alice", "sip:alice;x=%40y;z?q"), "200"),
    "password in the user": (_with("sip:alice", "sip:alice:pa$s"), "200"),
    "no blank before the bracket": (_with("From: <", "From: Bob<"), "200"),
    "brackets in a display name": (_with("From: <", 'From: "<a> ,;\\"" <'), "200"),
    "name not in ASCII": (_with("From: <", 'From: "\u0416\u0443\u0436" <'), "200"),
    "bytes that are no text": (_with("From: <", 'From: "\udcff\udcfe" <'), "200"),
    "a name like a header": (_with("From: <", 'From: "To: x" <'), "200"),
    "control characters in quotes": (_with("From: <", 'From: "\\\x07\\\x00\x7f" <'), "200"),
    "call-id with every bracket": (_with("Call-ID: one", "Call-ID: a()<>:\\\"/[]?{}b@c"), "200"),
    "unknown header with any value": (_add("X-Y.!%*_+`'~: ;;,,<\"("), "200"),
    "empty headers": (_add("Subject:", "Organization: ", "s:"), "200"),
    "fifty vias": (_add(*(f"vIA: SIP/2.0/SCTP h{i}.example" for i in range(50))), "200"),
    "vias in one line": (_with(";rport", ";rport , SIP/2.0/TLS [::1]:1;branch=x"), "200"),
    "unknown transport": (_with("SIP/2.0/UDP", "SIP/2.0/PIGEON"), "200"),
    "branch without its cookie": (_with("z9hG4bKb1", "1"), "200"),
    "branch of nothing but the cookie": (_with("z9hG4bKb1", "z9hG4bK"), "200"),
    "no branch": (_with(";branch=z9hG4bKb1", ""), "200"),
    "no tag in From": (_with(";tag=far", "", _CALL), "180"),
    "more behind the body": (_ASK + _CALL, "200"),
    "line ends before the message": (b"\r\n\r\n\r\n" + _ASK, "200"),
    "length with zeros": (_with("Content-Length: 0", "l : 000"), "200"),
    "the same length twice": (_add("Content-Length: 0"), "200"),
    "no length": (_with("\r\nContent-Length: 0", ""), "200"),
    "date in no zone": (_add("Date: Mon, 32 Foo 2010 25:00:00 EST"), "200"),
    "odd numbers": (_add("Expires: 99999999999999999999", "Timestamp: -1", data=_BIND), "200"),
    "headers in a contact": (_with("<sip:bob@10.0.0.2:5060>", "<sip:b@c?Route=%3Csip:d%3E>", _BIND), "200"),
    "no hops left for an OPTIONS": (_with("Max-Forwards: 70", "Max-Forwards: 0"), "200"),
    "multipart with binary": (
        request(
            "INVITE", "Content-Type: multipart/mixed;boundary=b",
            body=b"--b\r\nContent-Type: a/b\r\n\r\n\0\r\n\r\n\xff\r\n--b\r\nContent-Type: application/sdp\r\n\r\n"
            + OFFER + b"\r\n--b--",
        ),
        "180",
    ),
    "optional body of unknown type": (
        request("INVITE", "Content-Type: x/y", "Content-Disposition: a; handling = optional", body=b"?"), "180",
    ),
    "IPv6 everywhere": (
        _with("sip:alice@10.0.0.1", "sip:alice@[2001:db8::1]:5070", _CALL)
        .replace(b"UDP 10.0.0.2:5060", b"UDP [2001:db8::2]:5061")
        .replace(b"<sip:bob@10.0.0.2:5060>", b"<sip:bob@[::ffff:192.0.2.1]>"),
        "180",
    ),
    "received in brackets": (_with(";rport", ";rport;received=[2001:db8::9]"), "200"),
    "received without brackets": (_with(";rport", ";rport;received=2001:db8::9"), "200"),
    "one colon too many": (_with("sip:alice@10.0.0.1", "sip:[2001:db8:::192.0.2.1]"), "200"),
    "tel": (_with("sip:alice@10.0.0.1", "tel:+1-555-0100;phone-context=x", _CALL), "180"),
    "an emergency by name": (_with("sip:alice@10.0.0.1", "urn:service:sos", _CALL), "180"),
    "a tag of no dialog of ours": (request("INVITE", to_tag="gone", body=OFFER), "481"),
    # refused, with a word
    "port inside no brackets": (_with("sip:alice@10.0.0.1", "sip:2001:db8::1"), "400"),
    "port too large": (_with("sip:alice@10.0.0.1", "sip:alice@10.0.0.1:70000"), "400"),
    "brackets around the Request-URI": (_with("sip:alice@10.0.0.1 ", "<sip:alice@10.0.0.1> "), "400"),
    "blank in the Request-URI": (_with("sip:alice@10.0.0.1", "sip:alice@10.0.0.1; lr"), "400"),
    "two blanks in the request line": (_with("OPTIONS ", "OPTIONS  "), "400"),
    "blank behind the version": (_with("SIP/2.0\r\n", "SIP/2.0 \r\n"), "400"),
    "bare line feed": (_with("Call-ID: one", "Call-ID: one\nX: y"), "400"),
    "bare carriage return": (_with("Call-ID: one", "Call-ID: one\rX: y"), "400"),
    "a line without a colon": (_add("Nonsense"), "400"),
    "a blank inside a header name": (_add("Max Forwards: 70"), "400"),
    "open quote in To": (_with("To: <", 'To: "Alice <'), "400"),
    "open bracket in To": (_with("alice@10.0.0.1>", "alice@10.0.0.1"), "400"),
    "no From": (_with("From:", "X-From:"), "400"),
    "two To": (_add("t: <sip:b@c>"), "400"),
    "two CSeq": (_add("CSeq: 2 OPTIONS"), "400"),
    "two Max-Forwards": (_add("Max-Forwards: 71"), "400"),
    "CSeq of another method": (_with("1 OPTIONS", "1 INVITE"), "400"),
    "CSeq too large": (_with("CSeq: 1 ", "CSeq: 36893488147419103232 "), "400"),
    "CSeq in other digits": (_with("CSeq: 1 ", "CSeq: \u0661 "), "400"),
    "length below zero": (_with("Content-Length: 0", "Content-Length: -1"), "400"),
    "length beyond the datagram": (_with("Content-Length: 0", "Content-Length: 9999"), "400"),
    "two lengths": (_add("Content-Length: 7"), "400"),
    "To of an unknown scheme": (_with("To: <sip:alice@10.0.0.1>", "To: isbn:2983792873"), "400"),
    "unknown scheme": (_with("sip:alice@10.0.0.1", "soap.beep://10.0.0.1:3002"), "416"),
    "later version": (_with("SIP/2.0\r\n", "SIP/3.0\r\n"), "505"),
    "unknown extension": (_add("Require: nothing-we-know, nor-this"), "420"),
    "unknown body": (request("INVITE", "Content-Type: x/y", body=b"?"), "415"),
    "coded body": (request("INVITE", "Content-Encoding: gzip", body=OFFER), "415"),
    "no hops left": (request("INVITE", "Max-Forwards: 00", body=OFFER), "483"),
    "BYE to nothing": (request("BYE", to_tag="gone"), "481"),
    "CANCEL of nothing": (request("CANCEL"), "481"),
    "a thousand headers": (_add(*["X: y"] * 1000), "513"),
    "a header without end": (_add("X: " + "y" * 9000), "513"),
    "a thousand foldings": (_add("X: y" + "\r\n z" * 1000), "513"),
    "a thousand parameters": (_with(";tag=far", ";tag=far" + ";x" * 1000), "400"),
    # dropped
    "status too large": (_answered("SIP/2.0 4294967301 no"), "dropped"),
    "status below 100": (_answered("SIP/2.0 099 no"), "dropped"),
    "answer to nothing": (_answered("SIP/2.0 200 = 2**3 \u0436"), "dropped"),
    "answer without a reason": (_answered("SIP/2.0 100 "), "dropped"),
    "answer with a large CSeq": (_answered("SIP/2.0 503 x").replace(b"CSeq: 1", b"CSeq: 9" + b"9" * 30), "dropped"),
    "ACK of nothing": (request("ACK", to_tag="gone"), "dropped"),
    "faulty ACK": (_with("Call-ID: one", "X: y", request("ACK")), "dropped"),
    "no Via": (_with("Via:", "X-Via:"), "dropped"),
    "no end of the head": (_ASK[:-2], "dropped"),
    "line feeds only": (_ASK.replace(b"\r\n", b"\n"), "dropped"),
    "a web request": (b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", "dropped"),
    "nothing": (b"", "dropped"),
}  # fmt: skip
