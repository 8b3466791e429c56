"""A SIP dialog: its identifiers, sequence numbers, route set and target (RFC 3261 section 12)."""

from __future__ import annotations

from dataclasses import dataclass, field

from provisioner.errors import PeerError
from provisioner.sip.headers import NameAddr, split_list
from provisioner.sip.message import Header, Message, Request, Response
from provisioner.sip.transaction import Flow

MAX_ROUTES = 70  # as many as a request may hop (RFC 3261 8.1.1.6)


@dataclass
class Dialog:
    """One dialog. `local` and `remote` carry the tags; `target` is the peer's Contact URI.

    `pinned`: requests go over `flow` whatever the target says (phones, which may sit behind a NAT).
    """

    call_id: str
    local: NameAddr
    remote: NameAddr
    target: str
    flow: Flow
    local_seq: int
    remote_seq: int = -1
    routes: list[str] = field(default_factory=list)
    pinned: bool = True

    @classmethod
    def of_response(cls, request: Request, response: Response, flow: Flow, pinned: bool) -> Dialog:
        """As UAC (12.1.2): the route set is Record-Route reversed."""
        routes = _routes(response)[::-1]
        local = NameAddr.parse(request.get("from"))
        remote = NameAddr.parse(response.get("to"))
        target = contact(response) or request.uri
        return cls(
            request.call_id, local, remote, target, flow, request.cseq[0], routes=routes, pinned=pinned
        )

    @classmethod
    def of_request(cls, request: Request, tag: str, flow: Flow, pinned: bool) -> Dialog:
        """As UAS (12.1.1): the route set is Record-Route as received."""
        remote = NameAddr.parse(request.get("from"))
        local = NameAddr.parse(request.get("to")).with_tag(tag)
        target = contact(request) or str(remote.uri)
        seq = request.cseq[0]
        return cls(request.call_id, local, remote, target, flow, 0, seq, _routes(request), pinned)

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.call_id, self.local.tag, self.remote.tag)

    def request(self, method: str, seq: int | None = None) -> Request:
        """A request in this dialog (12.2.1.1) without Via and Contact; `seq` for ACK, else the next one."""
        if seq is None:
            self.local_seq += 1
            seq = self.local_seq
        uri, routes = self.target, self.routes
        if (
            routes and "lr" not in NameAddr.parse(routes[0]).uri.params
        ):  # a strict router takes the Request-URI's place
            uri, routes = str(NameAddr.parse(routes[0]).uri), [*routes[1:], f"<{self.target}>"]
        headers: list[Header] = [("max-forwards", "70"), *(("route", route) for route in routes)]
        headers += [("from", str(self.local)), ("to", str(self.remote)), ("call-id", self.call_id)]
        headers += [("cseq", f"{seq} {method}")]
        return Request(method, uri, headers)

    def refresh_target(self, message: Message) -> None:
        """Take a new remote target from a target refresh request or its 2xx (12.2.1.2, 12.2.2)."""
        self.target = contact(message) or self.target


def _routes(message: Message) -> list[str]:
    routes = [route for value in message.all("record-route") for route in split_list(value)]
    if len(routes) > MAX_ROUTES:
        raise PeerError("too many routes")
    for route in routes:
        NameAddr.parse(route)  # raises now, while there is someone to tell
    return routes


def contact(message: Message) -> str:
    """URI of the first Contact, "" without one. Raises PeerError when it is malformed."""
    values = split_list(message.get("contact"))
    return str(NameAddr.parse(values[0]).uri) if values and values[0] != "*" else ""
