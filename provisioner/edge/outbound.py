"""Calls that leave the building: one way out, with a calling number of the practice and within its limits."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.dialing.classify import Destination, Origin, classify
from provisioner.edge import routes
from provisioner.edge.leg import Attempt

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge

_KEYS = re.compile(r"[0-9*#+().\- ]{1,32}")  # other text may be anything, a name too


def destination(edge: Edge, dialled: str, origin: Origin, station: Station | None) -> Destination:
    """Where `dialled` goes from a line now: by the dial plan, then by the limits. None: no line dials.

    When refused, `number` is what the log shows as dialled.
    """
    found = classify(dialled, origin, edge.directory.plan(station))
    if found.kind == "refused":
        return replace(found, number=dialled if _KEYS.fullmatch(dialled) else "")
    refusal = edge.limits.refusal(found, station.extension if station else "")
    if refusal is None:
        return found
    edge.limits.refused(refusal)
    return replace(refusal, number=found.number)


def attempts(
    edge: Edge, number: str, station: Station | None, calling: str = "", mailbox: bool = True
) -> list[Attempt]:
    """How to reach `number` outside, counted against the limits; none when they, or the dial plan, forbid it.

    All ways out come through here: dialled, transferred, forwarded, by click or through. `calling`: the number to
    show instead of the line's own, if it is one of the practice.
    """
    found = destination(edge, number, "software", station)
    if found.kind not in ("outbound", "service"):
        return []
    directory = edge.directory
    own = directory.outside_number(station) if station else directory.number_shown("")
    shown = calling if directory.number(calling) else own
    line = station.extension if station else ""
    ways = routes.through_trunks(edge, found.number, shown, mailbox, line)
    if ways:
        edge.limits.placed(found, line)
    return ways


def busy(edge: Edge, line: str | None) -> int:
    """Outside calls that a line has now; of all lines for None."""
    payers = [leg.payer for leg in edge.media_owners.values()]
    return sum(payer is not None if line is None else payer == line for payer in payers)
