"""Calls that a line of the practice places: inside, outside, or a spoken refusal."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from provisioner.dialing.classify import Destination
from provisioner.edge import features, leads, outbound
from provisioner.edge.announce import UNREACHABLE, Announcement
from provisioner.edge.call import Call
from provisioner.edge.ringing import Plan

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.leg import Leg
    from provisioner.sip.session import Session

OUTBOUND_SECONDS = 180.0  # Timer C's lower bound (RFC 3261 16.6)
MAX_DIALOGS = 20  # call legs of one line
_log = logging.getLogger(__name__)


def from_phone(edge: Edge, session: Session, station: Station, dialled: str, trail: str) -> None:
    """A desk phone calls; nothing that it says of itself goes any further."""
    if edge.dialogs(station.extension) >= MAX_DIALOGS:
        session.reject(403, "Too many calls from this phone")
        return
    leg = edge.new_leg(session, station.extension)
    if leg is None:
        return
    if code := features.asked(dialled):
        features.FeatureCall(edge, leg, station, *code).begin()
    else:
        place(edge, leg, station, outbound.destination(edge, dialled, "keypad", station), trail=trail)


def place(
    edge: Edge,
    leg: Leg,
    station: Station,
    destination: Destination,
    calling: str = "",
    trail: str = "",
    known: tuple[str, float] | None = None,
) -> None:
    """Connect `leg`, of that line, with where it goes.

    `calling`: the number of the practice to show outside; `known`: id and start of the call that it already is.
    """
    inside = destination.kind == "extension"
    attempts = outbound.attempts(edge, destination.number, station, calling) if _outside(destination) else []
    if not inside and not attempts:
        _refuse(edge, leg, station, destination, known)
        return
    call = Call(edge, "internal" if inside else "outbound", station.extension, destination.number)
    call.id, call.started = known or (call.id, call.started)
    call.station, call.trail = station, trail
    leg.owner = call
    if inside:
        rung = leads.of_extension(edge.directory, destination.number, trail=(station.extension,))
        call.begin_plan(leg, Plan(rung))
    else:
        call.begin(leg, attempts, OUTBOUND_SECONDS)


def _outside(destination: Destination) -> bool:
    return destination.kind in ("outbound", "service")


def _refuse(
    edge: Edge, leg: Leg, station: Station, destination: Destination, known: tuple[str, float] | None
) -> None:
    refusal = destination if destination.kind == "refused" else UNREACHABLE
    _log.info("extension %s dialled what is refused: %s", station.extension, refusal.reason)
    announcement = Announcement(edge, leg, refusal, station.extension, destination.number)
    if known:
        announcement.known_as(*known)
    announcement.begin()
