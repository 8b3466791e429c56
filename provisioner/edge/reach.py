"""How a member is reached that is to be rung: a desk phone by its contacts, all else through the core."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.edge import outbound, routes
from provisioner.edge.leads import MAX_DIVERSIONS
from provisioner.edge.leg import Attempt
from provisioner.edge.ringing import Diversion, Member, Why
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Header

if TYPE_CHECKING:
    from provisioner.edge.call import Call
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge

_CAUSE: dict[Why, int] = {  # RFC 4458 section 2
    "unconditional": 302, "user-busy": 486, "no-answer": 408, "do-not-disturb": 480, "follow-me": 302,
}  # fmt: skip


def for_caller(edge: Edge, call: Call, member: Member) -> list[Attempt]:
    """In the name of who called: shown to a desk phone as it may be, and outside as a number of the practice."""
    if member.target in edge.directory.stations:
        name, user = edge.shown_caller(call)
        return _diverted(edge, edge.phone_attempts(member.target, user, name), member, call.diversions)
    calling = number_of(edge, member.diverted[-1].by if member.diverted else call.called)
    circling = call.caller_number == calling and any(
        leg.diverted == calling for leg in edge.media_owners.values()
    )
    if circling or call.diversions + len(member.diverted) > MAX_DIVERSIONS:
        edge.count("diverted-too-often")
        return []
    staff = not member.diverted or member.diverted[-1].why == "follow-me"
    attempts = outbound.attempts(edge, member.target, _payer(edge, member), calling, mailbox=not staff)
    if staff:
        attempts = [replace(attempt, outside=member.target) for attempt in attempts]
    return _diverted(edge, attempts, member, call.diversions, calling)


def for_target(edge: Edge, desk: str, member: Member) -> list[Attempt]:
    """In the name of the desk phone that transfers."""
    station = edge.directory.stations.get(desk)
    if member.target in edge.directory.stations:
        attempts = edge.phone_attempts(member.target, desk, routes.label_of(station) if station else desk)
    elif member.diverted:
        payer = _payer(edge, member)
        attempts = outbound.attempts(
            edge, member.target, payer, number_of(edge, member.diverted[-1].by), False
        )
    else:
        attempts = outbound.attempts(edge, member.target, station, mailbox=False)
    return _diverted(edge, attempts, member, 0)


def _payer(edge: Edge, member: Member) -> Station | None:
    """The line whose outside call it is: that which sent the call on."""
    return edge.directory.stations.get(member.diverted[-1].by) if member.diverted else None


def number_of(edge: Edge, by: str) -> str:
    """The number of the practice that stands for who sent a call on: its own, else the main number."""
    directory = edge.directory
    if by in directory.stations:
        return directory.outside_number(directory.stations[by])
    return by if directory.number(by) else directory.snapshot.practice.main_number


def _diverted(
    edge: Edge, attempts: list[Attempt], member: Member, before: int, calling: str = ""
) -> list[Attempt]:
    """With who sent the call on: the last one first (RFC 5806 4), and as a history (RFC 7044 5)."""
    if not member.diverted:
        return attempts

    def marked(attempt: Attempt) -> Attempt:
        more, after = headers(edge, member.diverted, attempt, before), attempt.after
        follow = after and (lambda: marked(after()))
        return replace(attempt, headers=(*attempt.headers, *more), diverted=calling, after=follow)

    return [marked(attempt) for attempt in attempts]


def headers(edge: Edge, diverted: tuple[Diversion, ...], attempt: Attempt, before: int) -> list[Header]:
    """Diversion and History-Info of a call that was sent on; extensions are named towards desk phones only."""
    host = attempt.from_.uri.host
    users = [each.by if attempt.extension else number_of(edge, each.by) for each in diverted]
    parties = [NameAddr(Uri("sip", host, None, user)) for user in users]
    found: list[Header] = []
    for number, (each, party) in reversed([*enumerate(zip(diverted, parties, strict=True))]):
        counter = before + 1 if number + 1 == len(diverted) else 1
        found.append(("diversion", f"{party};reason={each.why};counter={counter};privacy=off"))
    entries = [f"{parties[0]};index=1"]
    index = "1"
    targets = [*parties[1:], NameAddr(Uri("sip", host, None, attempt.to.uri.user or ""))]
    for each, party in zip(diverted, targets, strict=True):
        entries.append(f"{_with_cause(party, each.why)};index={index}.1;mp={index}")
        index += ".1"
    return [*found, ("history-info", ", ".join(entries))]


def _with_cause(party: NameAddr, why: Why) -> str:
    uri = replace(party.uri, params={**party.uri.params, "cause": str(_CAUSE[why])})
    return str(NameAddr(uri))
