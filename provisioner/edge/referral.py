"""A phone's own transfer and pickup keys: REFER and Replaces, carried out here (RFC 3515, 3891, 5589)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.edge import outbound
from provisioner.edge.call import Call
from provisioner.errors import PeerError
from provisioner.sip.refer import Referral, Replaces

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.leg import Leg
    from provisioner.sip.session import Session


def refer(edge: Edge, leg: Leg, referral: Referral) -> None:
    """A phone asks that whom it talks to be connected elsewhere. Never relayed."""
    call = leg.owner
    if not isinstance(call, Call) or not call.may_refer(leg):
        referral.refuse(603)
    elif referral.replaces:
        _attended(edge, call, leg, referral, referral.replaces)
    else:
        _blind(edge, call, leg, referral, referral.target.dialled)


def _blind(edge: Edge, call: Call, leg: Leg, referral: Referral, dialled: str) -> bool:
    """By the rules of the transfer menu: what it may not dial, this may not either."""
    desk = edge.directory.stations.get(leg.extension)
    destination = outbound.destination(edge, dialled, "transfer", desk)
    if destination.kind == "refused":
        referral.refuse(destination.status)
        return False
    referral.accept()
    call.refer(leg, destination, referral)
    return True


def _attended(edge: Edge, call: Call, leg: Leg, referral: Referral, replaces: Replaces) -> None:
    """The phone talks to both: the far ends of its two calls are put together."""
    other = _find(edge, replaces)
    if other is None:
        referral.accept()
        referral.report(481)
        return
    second = other.owner
    mine = _same_phone(edge, leg.extension, other.extension)
    if not mine or not isinstance(second, Call) or second is call:
        referral.refuse(603)
    elif second.may_refer(other):
        referral.accept()
        far, name = second.give_up(other)
        call.join(leg, far, name, referral)
    elif other.session.state == "incoming":  # it still rings there: as if it had not been called at all
        if _blind(edge, call, leg, referral, second.called):
            second.hangup("transferred")
    else:
        referral.refuse(603)


def replace(edge: Edge, session: Session, station: Station, replaces: Replaces) -> None:
    """An INVITE that takes a call over: of the same phone, or one that still rings (pickup; RFC 3891 3)."""
    old = _find(edge, replaces)
    if old is None:
        session.reject(481)
        return
    status = _refusal(edge, old, station, replaces)
    if status:
        session.reject(status)
        return
    leg = edge.new_leg(session, station.extension)
    if leg:
        assert isinstance(old.owner, Call)
        leg.owner = old.owner
        old.owner.replace(old, leg)


def _refusal(edge: Edge, old: Leg, station: Station, replaces: Replaces) -> int:
    """The status that refuses to replace `old`, 0 when it may be."""
    call = old.owner
    if old.over or not isinstance(call, Call):
        return 603
    if old.session.state == "up":
        if replaces.early_only:
            return 486
        if not _same_phone(edge, old.extension, station.extension):
            return 403
        return 0 if call.may_refer(old) else 603
    return 481 if old.session.incoming else 0  # an early dialog that the phone began is not ours to end


def _find(edge: Edge, replaces: Replaces) -> Leg | None:
    sessions = [edge.agent.sessions.get(key) for key in replaces.keys]
    return next(
        (leg for leg in edge.media_owners.values() if leg.session in sessions and leg.extension), None
    )


def _same_phone(edge: Edge, one: str, other: str) -> bool:
    stations = edge.directory.stations
    return one in stations and other in stations and stations[one].phone.id == stations[other].phone.id


def replaces_of(session: Session) -> Replaces | None:
    """What an INVITE replaces; None when it does not, or was refused here (400)."""
    try:
        return Replaces.of(session.invite)
    except PeerError as error:
        session.reject(error.status)
        return None
