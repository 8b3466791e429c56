"""The evidence of one emergency, test or crisis call: a row of the journal's `emergencies` (docs/internals.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provisioner.emergency.calling import calling_number
from provisioner.emergency.matrix import matters, network_of
from provisioner.emergency.notices import place_words

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.emergency import EmergencyCall
    from provisioner.edge.leg import Attempt

Row = dict[str, Any]


def route(attempt: Attempt, at: float) -> Row:
    """A route that is asked; `at`: seconds after the call began."""
    gateway = attempt.gateway
    target = f"{attempt.flow.remote[0]}:{attempt.flow.remote[1]}"
    return {
        "at": round(at, 1),
        "trunk": gateway.peer.trunk.id if gateway else "",
        "address": target,
        "transport": attempt.flow.transport,
        "location": "value" if attempt.document else "named" if attempt.plain else "none",
        "result": "",
    }


def of(edge: Edge, call: EmergencyCall) -> Row:
    """The row of `call` as it is now. Of a crisis call only that there was one, and by which route."""
    crisis = call.kind == "crisis"
    station = None if crisis else call.station
    body: Row = {"called": call.code, "routes": [dict(each) for each in call.tried], "origin": call.origin}
    if not crisis:
        body |= _where(edge, station)
    return {
        "id": call.id,
        "kind": call.kind,
        "at": call.started,
        "mac": station.phone.id if station else "",
        "extension": station.extension if station else "",
        "number": "" if crisis else call.number,
        "answered": call.answered,
        "ended": call.ended,
        "outcome": call.outcome,
        "body": body,
    }


def note(edge: Edge, call: EmergencyCall, outcome: str) -> None:
    """Write the evidence of a call as it is now, and tell of it; the phones last."""
    row = of(edge, call)
    edge.record("emergencies", row)
    real = call.kind == "emergency"
    told = real or (call.kind == "emergency-test" and edge.directory.snapshot.notifying.tests)
    if told:
        edge.publish("emergency-row", row)
    if real and (outcome in ("placed", "answered") or not call.answered):
        _publish(edge, call, outcome)
    if told:
        edge.front_desk.tell(row)


def _publish(edge: Edge, call: EmergencyCall, outcome: str) -> None:
    """The event `emergency` of docs/internals.md."""
    station = call.station
    edge.callbacks.note(station.extension if station else "", call.number)
    data = {
        "extension": station.extension if station else "",
        "mac": station.phone.id if station else "",
        "number": call.number,
        "location": station.location.name if station and station.location else "unknown",
        "doubt": edge.moves.doubt(station.phone.id) if station else "",
        "at": call.started,
        "outcome": outcome,
    }
    edge.publish("emergency", data)


def _where(edge: Edge, station: Station | None) -> Row:
    """Who and where, and what the result of a test rests on."""
    if station is None:
        known = calling_number(edge.directory.snapshot, None, "").known
        return {
            "name": "",
            "location": "",
            "place": "",
            "civic": {},
            "known": known,
            "doubt": "",
            "matters": {},
        }
    snapshot, location = edge.directory.snapshot, station.location
    contacts = edge.registrar.contacts(station.extension)
    network = network_of(contacts[0].flow.remote[0]) if contacts else ""
    return {
        "name": station.line.name,
        "location": place_words(location),
        "place": location.id if location else "",
        "civic": dict(location.civic) if location else {},
        "known": calling_number(snapshot, station.phone, station.line.number).known,
        "doubt": edge.moves.doubt(station.phone.id),
        "matters": matters(snapshot, station.phone, station.line, network),
    }
