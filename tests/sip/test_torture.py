"""Torture messages: those of RFC 4475 and RFC 5118 against the table in docs/sip.md, and our own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.sip import sdp
from provisioner.sip.headers import NameAddr, Uri, Via, split_list
from provisioner.sip.message import Message, parse
from tests.sip import torture
from tests.sip.torture_own import OWN

DOCS = (Path(__file__).parents[2] / "docs/sip.md").read_text()
ROW = re.compile(r"\| ([\w-]+) \| ([\w ]+) \| (\w+) \| (.*?) ?\|$")


def table(number: int) -> dict[str, tuple[str, str, str]]:
    """Rows of the table of one RFC: what is expected, ours, why."""
    part = DOCS.partition(f"\n### RFC {number}\n")[2].partition("\n#")[0]
    rows = [ROW.match(line) for line in part.splitlines() if line.startswith("| ")]
    return {row[1]: (row[2], row[3], row[4]) for row in rows if row and row[1] != "message"}


@pytest.mark.parametrize("number", torture.SIZES)
def test_m06_every_difference_is_argued(number: int) -> None:
    rows = table(number)
    assert len(rows) == torture.SIZES[number]
    for name, (expected, ours, why) in rows.items():
        allowed = (
            {"180", "200"} if ours in ("180", "200") and "taken" in expected else set(expected.split(" or "))
        )
        assert ours in allowed or len(why) > 30, name


@pytest.mark.peer
@pytest.mark.parametrize("number", torture.SIZES)
def test_m06_messages_of_the_rfcs(number: int) -> None:
    found = torture.messages(number)
    ours = {name: torture.outcome(torture.on_the_wire(data)) for name, data in found.items()}
    assert ours == {name: row[1] for name, row in table(number).items()}
    lost = {name for name, data in found.items() if torture.on_the_wire(data) != data}
    assert lost == ({"baddn"} if number == 4475 else set(found))
    assert {torture.outcome(found[name]) for name in lost} == {"dropped"}


def values(message: Message, name: str) -> list[str]:
    return [item for value in message.all(name) for item in split_list(value)]


def streams(message: Message) -> list[tuple[str, str]]:
    return [(stream.kind, stream.address) for stream in sdp.parse(message.body)]


READ: list[tuple[int, str, Callable[[Message], object], object]] = [
    (4475, "wsinv", lambda m: (m.cseq, int(m.get("max-forwards")), len(m.body)), ((9, "INVITE"), 68, 150)),
    (4475, "wsinv", lambda m: NameAddr.parse(m.get("from")).display, 'J Rosenberg \\"'),
    (4475, "wsinv", lambda m: NameAddr.parse(m.get("to")).tag, "1918181833n"),
    (4475, "wsinv", lambda m: [Via.parse(v).host for v in values(m, "via")],
     ["192.0.2.2", "spindle.example.com", "192.168.255.111"]),
    (4475, "wsinv", lambda m: NameAddr.parse(m.get("contact")).params,
     {"newparam": "newvalue", "secondparam": None, "q": "0.33"}),
    (4475, "wsinv", lambda m: (m.get("subject", "?"), m.get("unknownheaderwithunusualvalue")), ("", ";;,,;;,;")),
    (4475, "intmeth", lambda m: NameAddr.parse(m.get("to")).display, "BEL:\x07 NUL:\0 DEL:\x7f"),
    (4475, "intmeth", lambda m: NameAddr.parse(m.get("from")).tag, "_token~1'+`*%!-."),
    (4475, "intmeth", lambda m: m.call_id, "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"),
    (4475, "esc01", lambda m: Uri.parse(m.uri).dialled, "sips:user@example.com"),
    (4475, "esc01", lambda m: NameAddr.parse(m.get("to")).uri.dialled, "user"),
    (4475, "esc01", lambda m: NameAddr.parse(m.get("contact")).uri.params,
     {"%6c%72": None, "n%61me": "v%61lue%25%34%31"}),
    (4475, "escnull", lambda m: NameAddr.parse(m.get("to")).uri.dialled, "null-\0-null"),
    (4475, "escnull", lambda m: [NameAddr.parse(v).uri.dialled for v in values(m, "contact")], ["\0", "\0\0"]),
    (4475, "esc02", lambda m: (len(values(m, "contact")), NameAddr.parse(m.get("to")).display), (2, "%Z%45")),
    (4475, "lwsdisp", lambda m: NameAddr.parse(m.get("from")).display, "caller"),
    (4475, "longreq", lambda m: (len(values(m, "via")), len(NameAddr.parse(m.get("from")).tag)), (34, 155)),
    (4475, "dblreq", lambda m: m.body, b""),
    (4475, "semiuri", lambda m: (Uri.parse(m.uri).user, Uri.parse(m.uri).host),
     ("user;par=u%40example.net", "example.com")),
    (4475, "transports", lambda m: [Via.parse(v).transport for v in values(m, "via")],
     ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]),
    (4475, "mpart01", lambda m: (len(m.body), b"\0" in m.body), (553, True)),
    (4475, "unreason", lambda m: (m.status, m.reason[:15]), (200, "= 2**3 * 5**2 \u043d")),
    (4475, "noreason", lambda m: (m.status, m.reason), (100, "")),
    (4475, "baddn", lambda m: str(NameAddr.parse(m.get("from"))),
     '"Bell, Alexander" <sip:a.g.bell@example.com>;tag=43'),
    (4475, "badaspec", lambda m: str(NameAddr.parse(m.get("to"))), '"Watson, Thomas" <sip:t.watson@example.org>'),
    (4475, "cparam01", lambda m: NameAddr.parse(m.get("contact")).params, {"unknownparam": None}),
    (4475, "cparam02", lambda m: NameAddr.parse(m.get("contact")).uri.params, {"unknownparam": None}),
    (4475, "regescrt", lambda m: NameAddr.parse(m.get("contact")).uri.headers, "Route=%3Csip:sip.example.com%3E"),
    (4475, "inv2543", lambda m: len(m.body), 105),
    (5118, "ipv6-good", lambda m: (Uri.parse(m.uri).host, Uri.parse(m.uri).port), ("2001:db8::10", None)),
    (5118, "port-ambiguous", lambda m: (Uri.parse(m.uri).host, Uri.parse(m.uri).port),
     ("2001:db8::10:5070", None)),
    (5118, "port-unambiguous", lambda m: (Uri.parse(m.uri).host, Uri.parse(m.uri).port), ("2001:db8::10", 5070)),
    (5118, "via-received-param-with-delim", lambda m: Via.parse(m.get("via")).params["received"],
     "[2001:db8::9:255]"),
    (5118, "via-received-param-no-delim", lambda m: Via.parse(m.get("via")).params["received"], "2001:db8::9:255"),
    (5118, "mult-ip-in-header", lambda m: [Via.parse(v).host for v in values(m, "via")],
     ["2001:db8::9:1", "192.0.2.1", "2001:db8::9:255"]),
    (5118, "mult-ip-in-sdp", streams, [("audio", "192.0.2.1"), ("video", "2001:db8::1")]),
    (5118, "ipv4-mapped-ipv6", lambda m: (Via.parse(m.get("via")).host, Via.parse(m.get("via")).port),
     ("::ffff:192.0.2.10", 19823)),
    (5118, "ipv4-mapped-ipv6", streams, [("audio", "::ffff:192.0.2.2"), ("video", "::ffff:192.0.2.2")]),
    (5118, "ipv6-bug-abnf-3-colons", lambda m: Uri.parse(m.uri).host, "2001:db8:::192.0.2.1"),
    (5118, "ipv6-correct-abnf-2-colons", lambda m: Uri.parse(m.uri).host, "2001:db8::192.0.2.1"),
]  # fmt: skip


@pytest.mark.peer
@pytest.mark.parametrize(("number", "name", "read", "meant"), READ, ids=[f"{name}" for _, name, _, _ in READ])
def test_m06_they_say_what_the_rfcs_say(
    number: int, name: str, read: Callable[[Message], object], meant: object
) -> None:
    assert read(parse(torture.on_the_wire(torture.messages(number)[name]))) == meant


@pytest.mark.peer
def test_m06_with_the_right_length_it_rings() -> None:
    data = torture.on_the_wire(torture.messages(5118)["ipv6-in-sdp"])
    length = len(data.partition(b"\r\n\r\n")[2])
    right = data.replace(b"Content-Length: 268", b"Content-Length: %d" % length)
    assert torture.outcome(right) == "180"
    assert streams(parse(right)) == [("audio", "2001:db8::20"), ("video", "2001:db8::20")]


@pytest.mark.peer
def test_m06_a_420_names_what_is_not_known() -> None:
    lone = torture.play(torture.messages(4475)["bext01"])
    assert lone.last().all("unsupported") == ["nothingSupportsThis, nothingSupportsThisEither"]


@pytest.mark.parametrize("name", OWN)
def test_m06_our_own_messages(name: str) -> None:
    data, outcome = OWN[name]
    assert torture.outcome(data) == outcome


@pytest.mark.peer
def test_the_script_writes_them_all(tmp_path: Path) -> None:
    torture.main(str(tmp_path))
    assert {len(list((tmp_path / f"rfc{number}").iterdir())) for number in torture.SIZES} == {50, 12}
