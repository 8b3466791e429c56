"""How parties are reached: what an INVITE to a desk phone, to the trunk or to an emergency centre says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.edge.leg import Attempt
from provisioner.errors import PeerError
from provisioner.sip.headers import NameAddr, Uri, join_host
from provisioner.sip.message import Header, Request

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.registrar import Binding
    from provisioner.edge.trunk import Peer


def to_phone(edge: Edge, binding: Binding, user: str, name: str) -> Attempt:
    """An INVITE to a registered contact, over the flow that it registered on (RFC 5626 5.3)."""
    host = binding.flow.local[0]
    from_ = NameAddr(Uri("sip", host, edge.port, user), name)
    to = NameAddr(Uri("sip", host, edge.port, binding.extension))
    return Attempt(binding.contact, binding.flow, from_, to, extension=binding.extension)


def to_trunk(edge: Edge, peer: Peer, dialled: str, calling_number: str) -> Attempt:
    """An INVITE to the core. The calling number is a number of the practice, and nothing else gets out."""
    flow = edge.trunks.flow(peer)
    uri = Uri("sip", peer.uri.host, peer.uri.port, dialled)
    host = flow.local[0]
    from_ = NameAddr(Uri("sip", host, flow.local[1], calling_number))
    asserted = NameAddr(Uri("sip", join_host(host), None, calling_number))
    headers: tuple[Header, ...] = (("p-asserted-identity", str(asserted)),)
    return Attempt(str(uri), flow, from_, NameAddr(uri), headers, pinned=False)


def to_emergency(edge: Edge, peer: Peer, code: str, number: str, location: bytes) -> Attempt:
    """As to_trunk, with the location of the phone where the trunk takes it (RFC 6442)."""
    attempt = to_trunk(edge, peer, code, number)
    headers = (*attempt.headers, ("priority", "emergency"))
    carried = location if peer.trunk.pidf_lo else b""
    return replace(attempt, headers=headers, location=carried, unlimited=True)


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
    """What the core called, as E.164 where it is a NANP number without its plus."""
    digits = dialled.removeprefix("+")
    if digits.isdecimal() and len(digits) == 11 and digits.startswith("1"):
        return f"+{digits}"
    if dialled.isdecimal() and len(dialled) == 10:
        return f"+1{dialled}"
    return dialled


def label_of(station: Station) -> str:
    """What another desk phone shows when this line calls."""
    return station.line.name or station.extension
