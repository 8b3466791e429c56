"""One agent that faces bytes written by hand, on a virtual clock."""

from __future__ import annotations

from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Request, Response, parse
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import Session
from tests.sip.pair import Clock, Party

US = ("10.0.0.1", 5060)
PEER = ("10.0.0.2", 5060)
ME = NameAddr(Uri("sip", US[0], user="alice"))
YOU = NameAddr(Uri("sip", PEER[0], user="bob"))
OFFER = MediaSession(PEER[0], 4000, 1).offer()
ANSWER = MediaSession(PEER[0], 4000, 1).answer(MediaSession(US[0], 5000, 1).offer())


class Lone:
    """`sent` holds what the agent sent, and when (seconds since the beginning)."""

    def __init__(self, reliable: bool = False) -> None:
        self.clock = Clock()
        self.sent: list[tuple[float, bytes]] = []
        self._zero = self.clock.now
        self.party = Party(self, US, reliable)
        self.agent = self.party.agent
        self.flow = self.party.connect(self.party.transport, PEER)

    def carry(self, sender: Party, remote: tuple[str, int], data: bytes) -> None:
        assert remote == PEER
        self.sent.append((round(self.clock.now - self._zero, 6), data))

    def hear(self, data: bytes | Request | Response) -> None:
        data = data if isinstance(data, bytes) else data.encode()
        self.agent.receive(data, self.flow)

    def call(self, **more: object) -> Session:
        offer = self.party.media.offer()
        return self.agent.invite("sip:bob@10.0.0.2", self.flow, ME, YOU, offer, self.party.listen, **more)

    def run_until(self, when: float) -> None:
        """Let the clock run to `when`, firing each timer at its own time."""
        end = self._zero + when
        while (due := self.party.timers.deadline()) is not None and due <= end:
            self.clock.now = due
            self.party.timers.fire()
        self.clock.now = end

    def instants(self, start: str) -> list[float]:
        """When messages whose start line begins so went out."""
        return [when for when, data in self.sent if data.startswith(start.encode())]

    def lines(self) -> list[str]:
        """Start lines of all that went out."""
        return [data.split(b"\r\n")[0].decode() for _, data in self.sent]

    def last(self, start: str = "") -> Request | Response:
        """The last message whose start line begins so."""
        return parse(next(data for _, data in reversed(self.sent) if data.startswith(start.encode())))

    def idle(self) -> bool:
        """Nothing is kept, nothing will happen any more."""
        layer = self.agent.transactions
        return not (layer.clients or layer.servers or self.agent.sessions or self.party.timers.pending())


def request(
    method: str,
    *lines: str,
    branch: str = "z9hG4bKb1",
    seq: int = 1,
    to_tag: str = "",
    body: bytes = b"",
    from_tag: str = "far",
    transport: str = "UDP",
    named: str = "",
) -> bytes:
    """A request of the peer; `named` is the method in CSeq where it differs."""
    head = [
        f"{method} sip:alice@10.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/{transport} 10.0.0.2:5060;branch={branch};rport",
        f"From: <sip:bob@10.0.0.2>;tag={from_tag}",
        "To: <sip:alice@10.0.0.1>" + (f";tag={to_tag}" if to_tag else ""),
        "Call-ID: one",
        f"CSeq: {seq} {named or method}",
        "Contact: <sip:bob@10.0.0.2:5060>",
        *lines,
        *(["Content-Type: application/sdp"] if body and not any("Content-Type" in x for x in lines) else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def answer(
    to: Request, status: int, tag: str = "far", body: bytes = b"", *lines: tuple[str, str]
) -> Response:
    """The peer's response to a request of ours."""
    response = to.response(status, "", tag)
    response.headers += [("contact", "<sip:bob@10.0.0.2:5060>"), *lines]
    if body:
        response.headers.append(("content-type", "application/sdp"))
        response.body = body
    return response
