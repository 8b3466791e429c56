"""Values of headers: URIs, addresses, Via, lists and parameters (RFC 3261 19.1, 20, 25; RFC 5118)."""

from __future__ import annotations

import pytest

from provisioner.errors import PeerError
from provisioner.sip.headers import (
    MAX_PARAMS,
    NameAddr,
    Uri,
    Via,
    format_params,
    join_host,
    parse_params,
    split_host,
    split_list,
)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ("", []),
        (" , ,", []),
        ('"a,b" <sip:x,y>, c', ['"a,b" <sip:x,y>', "c"]),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        ('<sip:a>,<sip:b;x="1,2">', ["<sip:a>", '<sip:b;x="1,2">']),
        ('"open, c', ['"open, c']),
        ("<open, c", ["<open, c"]),
    ],
)
def test_m02_lists(text: str, items: list[str]) -> None:
    assert split_list(text) == items


@pytest.mark.parametrize(
    ("text", "params", "again"),
    [
        (";a=b;LR", {"a": "b", "lr": None}, ";a=b;lr"),
        (" ; a = b ; c", {"a": "b", "c": None}, ";a=b;c"),
        (';a="x;y"', {"a": "x;y"}, ';a="x;y"'),
        (r';a="q\"\\"', {"a": 'q"\\'}, r';a="q\"\\"'),
        (";a=", {"a": ""}, ';a=""'),
        (';a="b"', {"a": "b"}, ";a=b"),
        (";received=2001:db8::1", {"received": "2001:db8::1"}, ";received=2001:db8::1"),
        (";maddr=[2001:db8::1]", {"maddr": "[2001:db8::1]"}, ";maddr=[2001:db8::1]"),
        (
            ';+sip.instance="<urn:uuid:1>"',
            {"+sip.instance": "<urn:uuid:1>"},
            ';+sip.instance="<urn:uuid:1>"',
        ),
        (';b"ranch=x;rport', {}, ""),  # the quote is open to the end
        (';a b=c;<;="";tag=1', {}, ""),
        (";a b=c;=d;tag=1", {"tag": "1"}, ";tag=1"),
    ],
)
def test_params(text: str, params: dict, again: str) -> None:
    assert parse_params(text) == params
    assert format_params(params) == again


@pytest.mark.parametrize("kind", [Uri, NameAddr, Via])
def test_parameters_are_counted(kind: type[Uri] | type[NameAddr] | type[Via]) -> None:
    start = {Uri: "sip:a@b", NameAddr: "<sip:a@b>", Via: "SIP/2.0/UDP b"}[kind]
    assert len(kind.parse(start + "".join(f";p{i}" for i in range(MAX_PARAMS))).params) == MAX_PARAMS
    with pytest.raises(PeerError, match="too many parameters"):
        kind.parse(start + ";p" * (MAX_PARAMS + 1))


LONG_USER = "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sip:a", ("sip", "", "a", None, {}, "")),
        ("SIP:Bob@Host:5070", ("sip", "Bob", "Host", 5070, {}, "")),
        ("sips:b@h;transport=TLS", ("sips", "b", "h", None, {"transport": "TLS"}, "")),
        ("sip:b:pass@h", ("sip", "b", "h", None, {}, "")),
        ("sip:+1415;phone-context=x@h;user=phone", (
            "sip", "+1415;phone-context=x", "h", None, {"user": "phone"}, "")),
        ("sip:%61%00b@h", ("sip", "%61%00b", "h", None, {}, "")),
        ("sip:b@h;x=a:b/c;ob?Replaces=a%40b%3Bto-tag%3D1", (
            "sip", "b", "h", None, {"x": "a:b/c", "ob": None}, "Replaces=a%40b%3Bto-tag%3D1")),
        ("sip:b@h;lr=?a=x@y", ("sip", "b", "h", None, {"lr": ""}, "a=x@y")),
        (f"sip:{LONG_USER}:pw@example.com", ("sip", LONG_USER, "example.com", None, {}, "")),
        ("sip:b@[2001:db8::9:1]:5080", ("sip", "b", "2001:db8::9:1", 5080, {}, "")),
        ("sip:[::1]", ("sip", "", "::1", None, {}, "")),
        ("sip:@h", ("sip", "", "h", None, {}, "")),
    ],
)  # fmt: skip
def test_sip_uri(text: str, parts: tuple) -> None:
    uri = Uri.parse(text)
    assert (uri.scheme, uri.user, uri.host, uri.port, uri.params, uri.headers) == parts
    assert Uri.parse(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "sip:bob@10.0.0.5:5062;line=a:b/c&d;ob;transport=tcp",
        "sip:b@[::1]:5060",
        "tel:+1-415;x=y",
        "urn:service:sos",
    ],
)
def test_n07_a_uri_goes_back_as_it_came(text: str) -> None:
    assert str(Uri.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "dialled"),
    [
        ("sip:911@h;user=phone", "911"),
        ("sip:%2B1415@h", "+1415"),
        ("sip:1415;phone-context=+1@h", "1415"),
        ("tel:911;phone-context=x", "911"),
        ("tel:+1-415-555", "+1-415-555"),
        ("URN:Service:SOS.fire", "urn:service:sos.fire"),
        ("sip:h", ""),
    ],
)
def test_dialled(text: str, dialled: str) -> None:
    assert Uri.parse(text).dialled == dialled


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400), ("sip", 400), ("sip:", 400), ("sip:a b", 400), ("sip:a@b@c", 400), ("sip:a@", 400),
        ("<sip:a>", 400),
        ("sip:a:70000", 400), ("sip:a:x", 400), ("sip:[::1", 400), ("sip:a:\u0661", 400), ("http://a", 416),
        ("soap.beep://a", 416), ("mailto:a@b", 416), ("9a:b", 400), ("urn:a>", 400),
        ("tel:1<2", 400), ('sip:"a"@b', 400), ("sip:a\x00b@c", 400),
    ],
)  # fmt: skip
def test_bad_uri(text: str, status: int) -> None:
    with pytest.raises(PeerError) as caught:
        Uri.parse(text)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("text", "display", "uri", "params", "again"),
    [
        ("sip:a@b;tag=1", "", "sip:a@b", {"tag": "1"}, "<sip:a@b>;tag=1"),
        ("<sip:a@b;x>;tag=1", "", "sip:a@b;x", {"tag": "1"}, "<sip:a@b;x>;tag=1"),
        ("Bob <sip:a@b>", "Bob", "sip:a@b", {}, "Bob <sip:a@b>"),
        ("Bob B. Bob <sip:a@b>", "Bob B. Bob", "sip:a@b", {}, "Bob B. Bob <sip:a@b>"),
        ("Dr. Bob, MD <sip:a@b>", "Dr. Bob, MD", "sip:a@b", {}, '"Dr. Bob, MD" <sip:a@b>'),
        ('"Bob <x>, \\"y\\"" <sip:a@b> ; q=1', 'Bob <x>, "y"', "sip:a@b", {"q": "1"},
         '"Bob <x>, \\"y\\"" <sip:a@b>;q=1'),
        ('""<sip:a@b>', "", "sip:a@b", {}, "<sip:a@b>"),
        ("\u0416 <sip:a@b>", "\u0416", "sip:a@b", {}, '"\u0416" <sip:a@b>'),
        ("<tel:+1415>;tag=1", "", "tel:+1415", {"tag": "1"}, "<tel:+1415>;tag=1"),
        ("urn:service:sos", "", "urn:service:sos", {}, "<urn:service:sos>"),
        ("<sip:a,b@c>", "", "sip:a,b@c", {}, "<sip:a,b@c>"),
    ],
)  # fmt: skip
def test_m04_name_addr(text: str, display: str, uri: str, params: dict, again: str) -> None:
    found = NameAddr.parse(text)
    assert (found.display, str(found.uri), found.params) == (display, uri, params)
    assert str(found) == again
    assert NameAddr.parse(again) == found


@pytest.mark.parametrize("text", ["", "<sip:a", '"a <sip:b>', '"a" sip:b', "<>", "Bob", "*"])
def test_bad_name_addr(text: str) -> None:
    with pytest.raises(PeerError):
        NameAddr.parse(text)


def test_tags() -> None:
    plain = NameAddr.parse("<sip:a>;x;tag=1")
    assert (plain.tag, plain.with_tag("2").tag, str(plain.with_tag(""))) == ("1", "2", "<sip:a>;x")


@pytest.mark.parametrize(
    ("text", "parts", "again"),
    [
        ("SIP/2.0/UDP h;branch=z9", ("UDP", "h", None, "z9"), "SIP/2.0/UDP h;branch=z9"),
        ("SIP / 2.0 / tcp  h : 5070 ; Branch = z9", ("TCP", "h", 5070, "z9"), "SIP/2.0/TCP h:5070;branch=z9"),
        ("sip/2.0/UDP\t[2001:db8::9:1]:5080;rport", ("UDP", "2001:db8::9:1", 5080, ""),
         "SIP/2.0/UDP [2001:db8::9:1]:5080;rport"),
        ("SIP/2.0/TLS-SCTP h", ("TLS-SCTP", "h", None, ""), "SIP/2.0/TLS-SCTP h"),
    ],
)  # fmt: skip
def test_via(text: str, parts: tuple, again: str) -> None:
    via = Via.parse(text)
    assert (via.transport, via.host, via.port, via.branch) == parts
    assert str(via) == again


@pytest.mark.parametrize(
    "text", ["", "h", "SIP/2.0/UDP", "SIP/3.0/UDP h", "SIP/2.0 h", "HTTP/2.0/UDP h", "SIP/2.0/UDP a b"]
)
def test_bad_via(text: str) -> None:
    with pytest.raises(PeerError):
        Via.parse(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("h", "h", None), ("h:1", "h", 1), ("[::1]:2", "::1", 2), ("10.0.0.1", "10.0.0.1", None)],
)
def test_hosts(text: str, host: str, port: int | None) -> None:
    assert split_host(text) == (host, port)
    assert join_host(host, port) == text
    assert split_host(text, 9) == (host, port or 9)
