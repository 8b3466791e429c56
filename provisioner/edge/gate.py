"""The gate before the edge: what is dropped, refused, challenged or let in, before anything is kept of it."""

from __future__ import annotations

import hmac
import logging
import re
from typing import TYPE_CHECKING, Any

from provisioner.dialing.classify import classify
from provisioner.edge.guard import Ban, Guard, Networks, Reason, signature
from provisioner.edge.overload import Overload
from provisioner.errors import OperatorError, PeerError
from provisioner.sip.headers import NameAddr, Uri, Via, split_list
from provisioner.sip.message import Request, Response, has_tag
from provisioner.sip.transaction import DROPPED, PASSED, Admission, Flow, server_key

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge

EMERGENCY = ("emergency", "emergency-test", "crisis")
_CALLBACK = ("psap-callback", "emergency")  # Priority of a call that overload must not refuse (RFC 7090)
# credentials that a method needs, and how they are asked for (RFC 3261 22.1)
_CHALLENGE = {
    "REGISTER": (401, "authorization", "www-authenticate"),
    "INVITE": (407, "proxy-authorization", "proxy-authenticate"),
    "SUBSCRIBE": (401, "authorization", "www-authenticate"),  # RFC 6665 4.2.1.3
    "MESSAGE": (401, "authorization", "www-authenticate"),
}
_NEEDS_READING = re.compile(rb"(?:SIP/2\.0|INVITE|ACK|BYE|CANCEL|PRACK|UPDATE|INFO) ")
MAX_CREDENTIALS = 3  # that one request is checked for
_POINTS = {"scanner": 5.0, "flood": 0.125, "junk": 0.5}
_log = logging.getLogger(__name__)


class EdgeGate:
    """Joins the guard with what the edge knows: its trunks, registered phones, dialogs and accounts."""

    def __init__(self, edge: Edge, tag_key: bytes) -> None:
        self._edge = edge
        self._tag_key = tag_key
        self.guard = Guard(edge.timers.clock)
        self.overload = Overload()
        self._texts: tuple[str, ...] | None = None
        self._networks = Networks(())

    @property
    def networks(self) -> Networks:
        """The phone networks of the inventory now."""
        texts = self._edge.directory.snapshot.practice.phone_networks
        if texts != self._texts:
            self._texts, self._networks = texts, Networks(texts)
            for text in self._networks.refused:
                _log.error("%r in phone_networks is no network: write it as 192.168.1.0/24", text[:40])
        return self._networks

    # before anything is read

    def connects(self, host: str) -> bool:
        """Whether a stream connection of `host` is accepted."""
        return host in self.networks or not self._banned((host, 0))

    def admits(self, data: bytes, flow: Flow) -> bool:
        """Whether a datagram is read: of a banned source only what may belong to a 911 call from our networks."""
        if not self._banned(flow.remote):
            return True
        if flow.remote[0] in self.networks and _NEEDS_READING.match(data):
            return True
        self._drop_banned(flow)
        return False

    def malformed(self, flow: Flow) -> bool:
        """Something unreadable came; whether to answer it."""
        host = flow.remote[0]
        if self._trusted(flow.remote):
            return True
        if self._banned(flow.remote) or self._rate(flow) != "ok":
            return False
        self._blame(flow, "junk")
        return host in self.networks

    def _trusted(self, remote: tuple[str, int]) -> bool:
        """A trunk, or a phone that is registered at just this address and port: never banned."""
        if self._edge.registrar.extension_at(remote):
            return True
        peers = self._edge.trunks.peers
        return any(peer.gateways and peer.comes_from(remote[0]) for peer in peers)

    def _banned(self, remote: tuple[str, int]) -> bool:
        return self.guard.banned(remote[0]) and not self._trusted(remote)

    def _drop_banned(self, flow: Flow) -> None:
        self._edge.count("dropped-banned")
        self.guard.hit(flow.remote[0])

    def _blame(self, flow: Flow, reason: Reason) -> None:
        if not self._trusted(flow.remote):
            self._report(flow, self.guard.blame(flow.remote[0], reason, _POINTS[reason]))

    def _report(self, flow: Flow, banned: bool) -> None:
        if banned:
            self._edge.count("bans")
            _log.warning("%s is not listened to for a while; see the page Protection", flow.remote[0])

    # requests

    def judge(self, request: Request, flow: Flow) -> Admission:
        """Of a request that is no repetition: calls that are on and emergencies first, then all suspicion."""
        if self._belongs(request):
            return PASSED
        inside = flow.remote[0] in self.networks
        if inside and self._emergency(request):
            return PASSED
        if request.method != "REGISTER" and self._edge.trunks.source(request, flow):  # cores do not register
            return self._of_trunk(request)
        if self._unwanted(request, flow, inside):
            return DROPPED
        rate = self._rate(flow)
        loose = has_tag(request.get("to")) or request.method in ("BYE", "CANCEL")
        if rate != "ok":
            return self._refused(request, "over-rate") if rate == "tell" and not loose else DROPPED
        if loose:
            return self._answer(request, 481)
        if self._overloaded():
            return self._refused(request, "overload")
        return self._authenticated(request, flow) if request.method in _CHALLENGE else PASSED

    def _belongs(self, request: Request) -> bool:
        """Whether a dialog, or for CANCEL an INVITE, is known that this request is for."""
        if request.method == "CANCEL":
            via = Via.parse(split_list(request.get("via"))[0])
            return (*server_key(request, via)[:-1], "INVITE") in self._edge.agent.transactions.servers
        to = request.get("to")
        if not has_tag(to):
            return False
        key = (request.call_id, NameAddr.parse(to).tag, NameAddr.parse(request.get("from")).tag)
        agent = self._edge.agent
        return key in agent.sessions or key in agent.subscriptions

    def _emergency(self, request: Request) -> bool:
        if request.method != "INVITE" or has_tag(request.get("to")):
            return False
        dialled = Uri.parse(request.uri).dialled
        return classify(dialled, "keypad", self._edge.directory.plan(None)).kind in EMERGENCY

    def _of_trunk(self, request: Request) -> Admission:
        new = request.method == "INVITE" and request.get("priority").strip().lower() not in _CALLBACK
        return self._refused(request, "overload") if new and self._overloaded() else PASSED

    def _unwanted(self, request: Request, flow: Flow, inside: bool) -> bool:
        """What gets no answer: banned, outside of the phone networks, a scanner by its own words."""
        if self._banned(flow.remote):
            self._drop_banned(flow)
        elif signature(request):
            self._edge.count("dropped-scanner")
            self._blame(flow, "scanner")
        elif not inside and request.method in _CHALLENGE:
            self._edge.count("dropped-outside")
        else:
            return False
        return True

    def _rate(self, flow: Flow) -> str:
        source = self._source(flow)
        rate = self.guard.rate(source, flow.remote[0] in self.networks, source != flow.remote[0])
        if rate == "silent":
            self._edge.count("dropped-rate")
            self._blame(flow, "flood")
        return rate

    def _source(self, flow: Flow) -> str:
        """Whose rate a request counts against: a registered phone has its own, whoever shares its address."""
        host, port = flow.remote
        return f"{host} {port}" if self._edge.registrar.extension_at(flow.remote) else host

    def _overloaded(self) -> bool:
        edge = self._edge
        too_many = len(edge.calls) >= edge.directory.snapshot.practice.max_calls
        return too_many or self.overload.refuses(len(edge.agent.transactions.servers))

    # credentials

    def _authenticated(self, request: Request, flow: Flow) -> Admission:
        """Let in who proves to be an account; all others get the same challenge, and nothing is kept."""
        host, method = flow.remote[0], request.method
        target = f"{method} {_target(request)}"
        values = request.all(_CHALLENGE[method][1])[:MAX_CREDENTIALS]
        password = self._edge.directory.password
        verdicts = [self._edge.auth.check(value, method, host, password) for value in values]
        trusted = self._trusted(flow.remote)
        if not trusted and any(self.guard.ignored(host, verdict.user) for verdict in verdicts):
            self._edge.count("dropped-pair")
            self._blame(flow, "flood")
            return DROPPED
        for verdict in verdicts:
            if verdict.outcome == "ok":
                self.guard.proved(self._source(flow), verdict.user, target)
                return Admission(True, verdict.user)
        stale = any(verdict.outcome == "stale" for verdict in verdicts)
        if verdicts and not stale:
            self._wrong(flow, verdicts[0].user)
        elif not verdicts and not trusted and self.guard.asked(host, target):
            self._report(flow, True)
            return DROPPED
        return self._challenge(request, flow, stale)

    def _wrong(self, flow: Flow, user: str) -> None:
        self._edge.count("wrong-credentials")
        if not self._trusted(flow.remote):
            self._report(flow, self.guard.wrong(flow.remote[0], user))

    def _challenge(self, request: Request, flow: Flow, stale: bool) -> Admission:
        status, _header, name = _CHALLENGE[request.method]
        values = self._edge.auth.challenges(flow.remote[0], stale)
        self._edge.count("challenges")
        return self._answer(request, status, [(name, value) for value in values])

    # answers

    def _refused(self, request: Request, why: str) -> Admission:
        """503 with a Retry-After of its own for each, so that they do not all come back at once (T20)."""
        self._edge.count(f"refused-{why}")
        first, last = self.guard.limits.retry_after
        seconds = first + self._edge.rng.randrange(last - first + 1)
        return self._answer(request, 503, [("retry-after", str(seconds))])

    def _answer(
        self, request: Request, status: int, headers: list[tuple[str, str]] | None = None
    ) -> Admission:
        response: Response = request.response(status, "", self._tag(request))
        response.headers += headers or []
        return Admission(answer=response)

    def _tag(self, request: Request) -> str:
        """The same for each repetition, for nothing is kept of the first (RFC 3261 8.2.7)."""
        parts = f"{request.get('via')}|{request.call_id}|{request.get('cseq')}"
        return hmac.new(self._tag_key, parts.encode("utf-8", "surrogateescape"), "sha256").hexdigest()[:16]

    # for people

    def bans(self) -> list[dict[str, Any]]:
        """Rows of `bans` (docs/internals.md)."""
        ahead = self._ahead
        return [
            {"source": source, "reason": ban.reason, "until": round(ban.until + ahead), "hits": ban.hits}
            for source, ban in self.guard.bans()
        ]

    def remember(self) -> dict[str, Ban]:
        """The bans, for a file."""
        return self.guard.remember(self._ahead)

    def recall(self, kept: object) -> None:
        """Take what `remember` gave before a restart."""
        self.guard.recall(kept, self._ahead)

    @property
    def _ahead(self) -> float:
        """Seconds that the wall clock is ahead of the guard's."""
        return self._edge.wall_clock() - self._edge.timers.clock()

    def unban(self, source: str) -> dict[str, Any]:
        """Listen to a source again; it is shown without its ban. Raises OperatorError when it has none."""
        if not self.guard.unban(source):
            raise OperatorError("that address is not banned", "look at the list, the ban may have ended")
        _log.info("the ban of a source was lifted by hand")
        return {"source": source}


def _target(request: Request) -> str:
    """Whom a request is about: the account of a REGISTER, the called party of an INVITE."""
    try:
        uri = (
            NameAddr.parse(request.get("to")).uri if request.method == "REGISTER" else Uri.parse(request.uri)
        )
    except PeerError:
        return ""
    return uri.dialled
