"""SIP plug-and-play without I/O: phones ask by multicast where their files are (RFC 3265, as three makers use it)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from provisioner.errors import PeerError
from provisioner.phones.boot import VENDORS
from provisioner.phones.identity import Identity, normal_mac, vendor_of_mac
from provisioner.sip.headers import join_host, parse_params
from provisioner.sip.message import MessageError, Request, Response, parse

GROUP, PORT = "224.0.1.75", 5060
T1, T2, TIMEOUT = 0.5, 4.0, 32.0  # seconds; RFC 3261, section 17.1.2.2
REMEMBERED_SECONDS = 60.0  # a Call-ID: one boot; a phone repeats its request for 32 s
MAX_ASKED = 4096
MAX_CLAIM = 40  # letters of a model or a version
MAX_WAITING = 1000  # NOTIFY requests that are not answered yet: a site whose phones all have power again

_USER = re.compile(r"sips?:(?:mac(?:%3a|:))?((?:[0-9a-f]{2}(?:%3a|[:.-])?){5}[0-9a-f]{2})@", re.I)
_TYPE = re.compile(r"application/[\w.+-]{1,40}")
_RPORT = re.compile(r";\s*rport\b[^;,]*", re.I)
DEFAULT_TYPE = "application/url"

Address = tuple[str, int]


class Ask(NamedTuple):
    """What a phone asks: who it says to be, and from where."""

    identity: Identity
    agent: str
    uri: str
    source: Address


class Send(NamedTuple):
    """A datagram to send: an answer goes out of the multicast socket, a request of ours from our own."""

    data: bytes
    to: Address
    answer: bool


@dataclass
class _Notify:
    data: bytes
    to: Address
    due: float
    wait: float
    until: float
    mac: str
    done: bool = False


class Responder:
    """Answers SUBSCRIBE with 200 and a NOTIFY of the URL that `decide` gives; "" is no answer at all.

    `decide` is asked once for each Call-ID. `local`: where answers to our NOTIFY come to. `deadline` is when `expired`
    is to be called, None when never. `confirmed` hears the MAC of a phone that was told, and whether it took it.
    """

    def __init__(
        self,
        local: Address,
        decide: Callable[[Ask], str],
        token: Callable[[], str],
        confirmed: Callable[[str, bool], None] = lambda _mac, _took: None,
    ) -> None:
        self._local = local
        self._decide = decide
        self._token = token
        self._confirmed = confirmed
        self._asked: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._notifies: OrderedDict[str, _Notify] = OrderedDict()  # by Call-ID

    @property
    def deadline(self) -> float | None:
        """When `expired` is to be called."""
        return min((each.due for each in self._notifies.values()), default=None)

    def asked(self, data: bytes, source: Address, now: float) -> list[Send]:
        """What to send after a datagram to the multicast group."""
        try:
            request = parse(data)
        except MessageError:
            return []
        if not isinstance(request, Request) or request.method != "SUBSCRIBE":
            return []
        if len(self._notifies) >= MAX_WAITING:
            return []
        mac = _mac(request)
        if mac is None or not request.get("event").lower().startswith("ua-profile"):
            return []
        key = (source[0], request.call_id)
        self._forget(now)
        if key in self._asked:
            answer = self._asked[key][1]
            return [Send(answer, source, True)] if answer else []
        who = _identity(mac, request.get("event"))
        url = self._decide(Ask(who, request.get("user-agent"), request.uri, source))
        if not url:
            self._asked[key] = (now, b"")
            return []
        accepted = self._accepted(request, source)
        answer = accepted.encode()
        self._asked[key] = (now, answer)
        data = self._notify(request, accepted.get("to"), url)
        self._notifies[request.call_id] = _Notify(data, source, now + T1, T1, now + TIMEOUT, mac)
        return [Send(answer, source, True), Send(data, source, False)]

    def answered(self, data: bytes, source: Address) -> None:
        """A datagram to the socket that the NOTIFY went out of."""
        try:
            response = parse(data)
        except MessageError:
            return
        if not isinstance(response, Response) or response.status < 200:
            return
        notify = self._notifies.get(response.call_id)
        if notify and notify.to[0] == source[0]:
            del self._notifies[response.call_id]
            self._confirmed(notify.mac, response.status < 300)

    def expired(self, now: float) -> list[Send]:
        """What to send again."""
        again = []
        for call_id, notify in list(self._notifies.items()):
            if now >= notify.until:
                del self._notifies[call_id]
                self._confirmed(notify.mac, False)
            elif now >= notify.due:
                notify.wait = min(2 * notify.wait, T2)
                notify.due = min(now + notify.wait, notify.until)
                again.append(Send(notify.data, notify.to, False))
        return again

    def _forget(self, now: float) -> None:
        while self._asked:
            at, _ = next(iter(self._asked.values()))
            if now - at < REMEMBERED_SECONDS and len(self._asked) < MAX_ASKED:
                return
            self._asked.popitem(last=False)

    def _accepted(self, request: Request, source: Address) -> Response:
        response = request.response(200, "OK", self._token())
        via = _RPORT.sub(f";rport={source[1]};received={source[0]}", response.get("via"), count=1)  # RFC 3581
        response.headers[0] = ("via", via)
        response.headers += [("contact", f"<sip:{join_host(*self._local)}>"), ("expires", "0")]
        return response

    def _notify(self, request: Request, ours: str, url: str) -> bytes:
        target = re.search(r"<([^<>\s]+)>|^([^<>\s;]+)", request.get("contact"))
        uri = (target[1] or target[2]) if target else request.uri
        headers = [
            ("via", f"SIP/2.0/UDP {join_host(*self._local)};branch=z9hG4bK{self._token()};rport"),
            ("max-forwards", "70"),
            ("from", ours),
            ("to", request.get("from")),
            ("call-id", request.call_id),
            ("cseq", f"{request.cseq[0] + 1} NOTIFY"),
            ("contact", f"<sip:{join_host(*self._local)}>"),
            ("event", request.get("event")),
            ("subscription-state", "terminated;reason=timeout"),
            ("content-type", _content_type(request.get("accept"))),
        ]
        return Request("NOTIFY", uri, headers, url.encode()).encode()


def _mac(request: Request) -> str | None:
    """The MAC in the user part of the request URI, or of From."""
    for text in (request.uri, request.get("from")):
        if found := _USER.search(text):
            return normal_mac(unquote(found[1]))
    return None


def _identity(mac: str, event: str) -> Identity:
    """What the parameters of the Event header claim."""
    try:
        claims = parse_params(event.partition(";")[1] + event.partition(";")[2])
    except PeerError:
        claims = {}
    vendor = (claims.get("vendor") or "").lower()
    vendor = vendor if vendor in VENDORS else vendor_of_mac(mac)
    model, version = claims.get("model") or "", claims.get("version") or ""
    return Identity(vendor, model[:MAX_CLAIM], version[:MAX_CLAIM], mac, agent="phone" if vendor else "other")


def _content_type(accept: str) -> str:
    """The first that the phone takes (some Grandstreams ask for `application/x-gs-ucm-url`)."""
    found = _TYPE.search(accept)
    return found[0] if found else DEFAULT_TYPE
