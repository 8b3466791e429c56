"""Who is rung for whom: a number of the practice, an extension with its features, a ring group (docs/calls.md)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from provisioner.dialing.classify import Destination
from provisioner.dialing.forwarding import forward_target
from provisioner.edge.directory import Directory
from provisioner.edge.ringing import Diversion, Member, Plan, Why
from provisioner.store.records import (
    EXTENSION_SECONDS,
    GROUP_SECONDS,
    MEMBER_SECONDS,
    LineFeatures,
    RingGroup,
)
from provisioner.store.records import Member as Named

MAX_DIVERSIONS = 5  # of one call, ours and those before us
_log = logging.getLogger(__name__)


def of_number(
    directory: Directory, called: str, first: Mapping[str, str], urgent: bool = False
) -> Plan | None:
    """Who is rung for what the core called; None: nobody of ours. `first`: who was first in each group last time.

    An urgent call (an emergency centre calls back) rings past do-not-disturb, forwarding and screening.
    """
    number = directory.number(called)
    group = directory.group(number.ring_group) if number and number.ring_group else None
    if group:
        return of_group(directory, group, called, first, urgent)
    extension = number.extension if number and number.extension else called
    if not (number and number.extension) and extension not in directory.stations:
        return None
    return Plan(of_extension(directory, extension, urgent))


def of_extension(
    directory: Directory,
    extension: str,
    urgent: bool = False,
    trail: tuple[str, ...] = (),
    diverted: tuple[Diversion, ...] = (),
) -> tuple[Member, ...]:
    """Who is rung for an extension: its phone, or where it is forwarded; none while it does not want to be disturbed.

    `trail`: the extensions that are not to be rung for it, as the caller's own and those that forwarded to it.
    """
    features = directory.features(extension)
    if urgent:
        return (Member(extension, EXTENSION_SECONDS),)
    trail = (*trail, extension)

    def forward(target: str, why: Why) -> tuple[Member, ...] | None:
        """None when there is no such forward, or it leads in a circle: then it is as if it were not set."""
        return _forward(directory, features, target, trail, (*diverted, Diversion(extension, why)))

    always = forward(features.forward_always, "unconditional")
    if always is not None:
        return always
    late = forward(features.forward_no_answer, "no-answer")
    if features.do_not_disturb:
        return forward(features.forward_busy, "do-not-disturb") or late or ()
    seconds = float(features.forward_no_answer_seconds) if late else EXTENSION_SECONDS
    busy = forward(features.forward_busy, "user-busy") or ()
    return (Member(extension, seconds, features.screening, busy, late or (), diverted),)


def of_target(directory: Directory, destination: Destination, desk: str) -> Plan:
    """Who is rung for the target of a transfer; how long, the desk phone's user decides."""
    if destination.kind != "extension":
        return Plan((Member(destination.number),))
    members = of_extension(directory, destination.number, trail=(desk,))
    if len(members) == 1 and not members[0].late:
        members = (
            replace(members[0], seconds=None, screened=bool(members[0].diverted) and members[0].screened),
        )
    return Plan(members)


def _forward(
    directory: Directory,
    features: LineFeatures,
    target: str,
    trail: tuple[str, ...],
    diverted: tuple[Diversion, ...],
) -> tuple[Member, ...] | None:
    where = inside(directory, target) if target else ""
    if not where or where in trail or len(diverted) > MAX_DIVERSIONS:
        return None
    if where in directory.stations:
        return of_extension(directory, where, False, trail, diverted)
    number = directory.number(where)
    group = directory.group(number.ring_group) if number else None
    if group:
        found = of_group(directory, group, where, {})
        return tuple(
            replace(member, seconds=member.seconds or found.seconds, diverted=diverted)
            for member in found.members
            if member.target not in trail
        )
    return (Member(where, EXTENSION_SECONDS, features.screening, diverted=diverted),)


def inside(directory: Directory, target: str) -> str:
    """A target as we reach it: a number of the practice is its extension; "" for what may not be a target."""
    destination = forward_target(target, directory.practice_plan)
    if destination.kind == "refused":
        _log.warning("a forward or a member of a ring group cannot be reached: %s", destination.reason)
        return ""
    number = directory.number(destination.number)
    return number.extension if number and number.extension else destination.number


def of_group(
    directory: Directory, group: RingGroup, called: str, first: Mapping[str, str], urgent: bool = False
) -> Plan:
    """Who is rung for a ring group, in which order.

    Passed over: who does not want to be disturbed, or has all calls forwarded. The other forwards of members are not
    followed: a call to the group stays with the group. Outside members are always asked: their own voicemail would
    take the call, and cannot press a key.
    """
    one_by_one = group.mode == "sequential"
    each = [(inside(directory, named.target), named) for named in group.each]
    if one_by_one:
        each = _after(each, first.get(group.id, ""))
    members: list[Member] = []
    for target, named in each:
        member = _member(directory, target, named, group, called, urgent)
        if member and member.target not in [other.target for other in members]:
            members.append(member)
    seconds = float(group.seconds) if group.seconds else None if one_by_one else GROUP_SECONDS
    return Plan(tuple(members), one_by_one, seconds, group.id)


def _after(each: list[tuple[str, Named]], last: str) -> list[tuple[str, Named]]:
    """The order that begins behind `last`."""
    targets = [target for target, _named in each]
    begin = targets.index(last) + 1 if last and last in targets else 0  # who cannot be reached is ""
    return each[begin:] + each[:begin]


def _member(
    directory: Directory, target: str, named: Named, group: RingGroup, called: str, urgent: bool
) -> Member | None:
    default = MEMBER_SECONDS if group.mode == "sequential" else None
    seconds = float(named.seconds) if named.seconds else default
    if target in directory.stations:
        features = directory.features(target)
        if urgent:
            return Member(target, seconds)
        if features.do_not_disturb or features.forward_always:
            return None
        return Member(target, seconds, group.screening or features.screening)
    if not target or target in directory.snapshot.numbers:
        return None
    return Member(target, seconds, True, diverted=(Diversion(called, "follow-me"),))
