"""How parties are reached: what an INVITE to a desk phone, to the trunk or to an emergency centre says."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.edge.carriage import URNS, Carriage, Located, carriage, headers
from provisioner.edge.leg import Attempt
from provisioner.errors import PeerError
from provisioner.sip.headers import NameAddr, Params, Uri, split_list
from provisioner.sip.message import Request
from provisioner.trunks.profile import formatted

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.gateway import Gateway
    from provisioner.edge.registrar import Binding
    from provisioner.edge.trunk import Peer

GATEWAY_SECONDS = 4.0  # for any answer at all, a 100; then the next gateway is tried
LAST_SECONDS = 12.0  # when there is none left: an outage is told within 15 s
EMERGENCY_TRAIL = (
    "emergency"  # of our own emergency calls: one that comes back by a lying DNS goes no second round
)
_IDENTITY = {"pai": "p-asserted-identity", "ppi": "p-preferred-identity", "rpid": "remote-party-id"}
_TAIL = {"rpid": ";party=calling;screen=yes;privacy=off"}
_WRITTEN = re.compile(r"\+?[0-9().-]*[0-9][0-9().-]*")
_SEPARATORS = re.compile(r"[().-]")
_log = logging.getLogger(__name__)


def to_phone(edge: Edge, binding: Binding, user: str, name: str) -> Attempt:
    """An INVITE to a registered contact, over the flow that it registered on (RFC 5626 5.3)."""
    host = binding.flow.local[0]
    from_ = NameAddr(Uri("sip", host, edge.port, user), name)
    to = NameAddr(Uri("sip", host, edge.port, binding.extension))
    return Attempt(binding.contact, binding.flow, from_, to, extension=binding.extension)


def to_trunk(
    edge: Edge, gateway: Gateway, dialled: str, calling_number: str, mailbox: bool = True
) -> Attempt:
    """An INVITE to the core, as its profile wants it. The calling number is one of the practice; nothing else
    gets out. Without `mailbox` the core is asked to let no voicemail answer."""
    peer, profile, flow = gateway.peer, gateway.peer.profile, edge.trunks.flow(gateway)
    by_domain = profile.request_host == "domain"
    host, port = (peer.uri.host, peer.uri.port) if by_domain else gateway.address
    named = peer.uri.params.get("transport")
    scheme = peer.uri.scheme
    params: Params = {"transport": named} if named else {}
    secret = scheme == "sips" or (named or "").lower() == "tls"
    if secret and gateway.target.transport != "TLS":  # in the clear: TLS has failed an emergency call
        scheme, params, port = "sip", {}, None if by_domain else port
    uri = Uri(scheme, host, port, formatted(dialled, profile.number_format), params)
    number = formatted(calling_number, profile.number_format)
    own = flow.local if profile.from_host == "own" else (peer.uri.host, None)
    account = peer.secret.user if peer.secret and profile.from_user == "account" else number
    from_ = NameAddr(Uri(scheme, own[0], own[1], account))
    party = str(NameAddr(Uri(scheme, own[0], None, number)))
    identity = tuple((_IDENTITY[style], party + _TAIL.get(style, "")) for style in profile.identities)
    wishes = {**profile.headers, **({} if mailbox else profile.no_voicemail)}
    headers = (*identity, *((name.lower(), value) for name, value in wishes.items()))
    return Attempt(
        str(uri),
        flow,
        from_,
        NameAddr(uri),
        headers,
        pinned=False,
        credentials=peer.account,
        gateway=gateway,
        srtp=profile.srtp,
        timed=profile.session_timers,
    )


def through_trunks(
    edge: Edge, dialled: str, calling_number: str, mailbox: bool = True, payer: str = ""
) -> list[Attempt]:
    """One attempt at the first gateway that is not known to be down; the next ones follow when it fails.

    `payer`: the line whose limits it counts against. All calls but emergencies come here by `outbound.attempts`.
    """
    gateways = edge.trunks.for_calls()

    def at(index: int) -> Attempt:
        attempt = to_trunk(edge, gateways[index], dialled, calling_number, mailbox)
        last = index + 1 == len(gateways)
        after = None if last else (lambda: at(index + 1))
        patience = LAST_SECONDS if last else GATEWAY_SECONDS
        return replace(attempt, payer=payer, patience=patience, after=after)

    return [at(0)] if gateways else []


def to_emergency(
    edge: Edge, gateway: Gateway, code: str, number: str, located: Located | None = None
) -> Attempt:
    """As to_trunk, with the location of the phone as the core takes it; `plain` is the same call without it."""
    profile = gateway.peer.profile
    wanted = located if located and gateway.peer.trunk.pidf_lo else None
    plain = _emergency(edge, gateway, code, number, Carriage(headers(profile, {"number": number})))
    if wanted is None or code not in URNS:
        return plain
    try:
        carried = carriage(profile, wanted, number, edge.new_id)
        attempt = _emergency(edge, gateway, code, number, carried)
    except Exception:
        _log.exception("the location of an emergency call cannot be carried")
        return plain
    return replace(attempt, plain=plain) if carried.says_where else attempt


def _emergency(edge: Edge, gateway: Gateway, code: str, number: str, carried: Carriage) -> Attempt:
    profile = gateway.peer.profile
    attempt = to_trunk(edge, gateway, code, carried.user or number)
    urn = URNS.get(code) if profile.emergency_uri == "urn" else None
    if urn:
        attempt = replace(attempt, uri=urn, to=NameAddr(Uri.parse(urn)))
    extra = carried.headers if code in URNS else ()
    return replace(
        attempt,
        headers=(*attempt.headers, ("priority", "emergency"), *extra),
        # a call without a secret is better than none
        srtp="off" if profile.srtp == "off" else "optional",
        document=carried.document,
        content_id=carried.content_id,
        unlimited=True,
        trail=edge.agent.trail(EMERGENCY_TRAIL),
    )


def caller_of(request: Request) -> tuple[str, str]:
    """Number or user, and display name, of who calls: P-Asserted-Identity beats From (RFC 3325)."""
    for value in (*request.all("p-asserted-identity"), request.get("from")):
        try:
            party = NameAddr.parse(value)
        except PeerError:
            continue
        return party.uri.dialled, party.display
    return "", ""


def called_number(dialled: str) -> str:
    """What the core called: without visual separators (RFC 3966 section 5.1.1), a NANP number as E.164."""
    if _WRITTEN.fullmatch(dialled):
        dialled = _SEPARATORS.sub("", dialled)
    digits = dialled.removeprefix("+")
    if digits.isdecimal() and len(digits) == 11 and digits.startswith("1"):
        return f"+{digits}"
    if dialled.isdecimal() and len(dialled) == 10:
        return f"+1{dialled}"
    return dialled


def called_through(peer: Peer, request: Request, known: Callable[[str], bool]) -> str:
    """What the core called: the first place of the trunk's profile that names somebody of ours (RFC 5503, 5806)."""
    found = [number for place in peer.profile.called for number in _called_at(place, request)]
    numbers = [called_number(number) for number in found if number and number != peer.token]
    return next((number for number in numbers if known(number)), numbers[0] if numbers else "")


def _called_at(place: str, request: Request) -> list[str]:
    """Users named at one place; Diversion holds the last diverter first (RFC 5806 4)."""
    if place == "request-uri":
        return [Uri.parse(request.uri).dialled]
    found = []
    for value in (item for line in request.all(place) for item in split_list(line)):
        try:
            found.append(NameAddr.parse(value).uri.dialled)
        except PeerError:
            continue
    return found


def written(number: str) -> str:
    """An E.164 number of North America as people write it; anything else unchanged."""
    plain = number.startswith("+1") and len(number) == 12
    return f"({number[2:5]}) {number[5:8]}-{number[8:]}" if plain else number


def label_of(station: Station) -> str:
    """What another desk phone shows when this line calls."""
    return station.line.name or station.extension
