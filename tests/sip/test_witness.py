"""An independent reader of what we write: tshark must read what we meant, and find nothing malformed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from provisioner.sip.digest import Authenticator, parse_credentials
from provisioner.sip.headers import NameAddr, Uri, Via
from provisioner.sip.message import Request, parse
from provisioner.sip.session import Session
from tests.sip.pair import Wire

ODD = NameAddr(Uri("sip", "10.0.0.1", user="a%20b"), 'Dr. "X", \u0416')
YOU = NameAddr(Uri("sip", "10.0.0.2", user="bob"), "Bob")


def talk(wire: Wire, session: Session) -> None:
    """Requests inside a call: hold, a digit, a transfer that is refused."""
    for method, kind, body in (
        ("UPDATE", "application/sdp", wire.a.media.offer("sendonly")),
        ("INFO", "application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"),
        ("REFER", "text/plain", b""),
    ):
        message = session.dialog.request(method)
        message.headers += [("content-type", kind)]
        message.body = body
        wire.a.agent.request_in(session.dialog, message)
        wire.run()


def conversation() -> Wire:
    """A challenged and refused call, one with hold and digits, one that is cancelled."""
    wire = Wire()
    guard = Authenticator("a practice, ours", b"s", wire.clock, ("SHA-256", "MD5"))
    flow = wire.a.connect("UDP", wire.b.address)

    def challenge(session: Session) -> None:
        headers = [("proxy-authenticate", value) for value in guard.challenges("10.0.0.1")]
        session.reject(486 if session.invite.get("proxy-authorization") else 407, "", headers)

    def call(on_call, **more) -> Session:
        wire.b.on_call = on_call
        more["headers"] = [
            ("alert-info", "<http://10.0.0.1/ring>;info=alert-internal"),
            ("subject", "\u0416"),
        ]
        session = wire.a.agent.invite(
            "sip:bob@10.0.0.2", flow, ODD, YOU, wire.a.media.offer(), wire.a.listen, **more
        )
        wire.run()
        return session

    call(challenge, credentials=lambda realm: ('u"x', "p"))
    session = call(lambda session: (session.progress(183, wire.b.media.answer(session.invite.body)),
                                    session.accept(wire.b.media.answer(session.invite.body))))  # fmt: skip
    talk(wire, session)
    wire.b.sessions[-1].hangup(reason='SIP;cause=200;text="done"')
    wire.run()
    cancelled = call(lambda session: session.progress(180))
    cancelled.hangup(reason="SIP;cause=200")
    wire.run()
    wire.pass_time(40)
    return wire


@pytest.mark.peer("tshark")
@pytest.mark.filterwarnings("ignore")  # of scapy's own imports
def test_tshark_reads_all_that_we_write(tmp_path: Path) -> None:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw
    from scapy.utils import wrpcap

    messages = conversation().log
    file = tmp_path / "sip.pcap"
    head = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2")
    wrpcap(str(file), [head / UDP(sport=5060, dport=5060) / Raw(data) for data in messages])
    command = ["tshark", "-r", str(file), "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    command += [part for field in FIELDS for part in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [tuple(line.split("|")) for line in done.stdout.splitlines()]
    assert rows == [meant(data) for data in messages]
    kinds = {row[0] or row[1] for row in rows}
    assert {"INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "REFER", "407", "183", "487", "603"} <= kinds


FIELDS = (
    "sip.Method", "sip.Status-Code", "sip.CSeq.seq", "sip.CSeq.method", "sip.Call-ID", "sip.Content-Length",
    "sip.from.user", "sip.from.tag", "sip.to.user", "sip.to.tag", "sip.Via.sent-by.address", "sip.Via.branch",
    "sip.Via.received", "sip.auth.realm", "sip.auth.nonce", "sip.auth.algorithm", "sip.auth.digest.response",
    "sdp.connection_info.address", "sdp.media.port", "_ws.malformed", "_ws.expert.message",
)  # fmt: skip


def meant(data: bytes) -> tuple[str, ...]:
    """What we meant to say, in the order of FIELDS; the last two must be empty."""
    message = parse(data)
    asked = isinstance(message, Request)
    from_, to = NameAddr.parse(message.get("from")), NameAddr.parse(message.get("to"))
    via = Via.parse(message.get("via"))
    names = ("proxy-authenticate", "proxy-authorization")
    auth = parse_credentials(next((value for name, value in message.headers if name in names), ""))
    sdp = re.search(rb"c=IN IP4 (\S+)(?s:.*)m=audio (\d+)", message.body)
    quote = '"{}"'.format
    return (
        message.method if asked else "",
        "" if asked else str(message.status),
        str(message.cseq[0]),
        message.cseq[1],
        message.call_id,
        str(len(message.body)),
        from_.uri.user,
        from_.tag,
        to.uri.user,
        to.tag,
        via.host,
        via.branch,
        via.params.get("received", ""),
        *(quote(auth[name]) if name in auth else "" for name in ("realm", "nonce")),
        auth.get("algorithm", ""),
        quote(auth["response"]) if "response" in auth else "",
        *((part.decode() for part in sdp.groups()) if sdp else ("", "")),
        "",
        "",
    )
