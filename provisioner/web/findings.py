"""What is wrong at the practice, worst first, each with what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from provisioner.keeping import kept
from provisioner.phones.numbers import in_service, warnings
from provisioner.web import words
from provisioner.web.language import gettext as _
from provisioner.web.sources import World
from provisioner.web.views import Finding, PhoneRow

CERTIFICATE_SECONDS = 21 * 86_400.0  # before its end, when there is time to get another
_ORDER = {"bad": 0, "warn": 1}


class TrunkRow(NamedTuple):
    """One connection to a calling service; `up` is None when the edge has not said."""

    id: str
    name: str
    up: bool | None


def findings(world: World, rows: list[PhoneRow]) -> list[Finding]:
    """All that needs a person, the bad before the merely unfinished."""
    found = [*_processes(world), *_trunks(world), *_bans(world), *_limits(world)]
    found += [*_phones(rows), *_numbers(world, rows), *_backups(world), *_certificate(world)]
    return sorted(found, key=lambda finding: _ORDER[finding.level])


def _processes(world: World) -> Iterator[Finding]:
    if "edge" in world.away:
        yield Finding(
            level="bad",
            what="The call process does not answer; which phones are ready and which calls run is not known",
            remedy="It is started again by itself. If this stays for a minute, look at the appliance's log.",
        )
    if "front" in world.away:
        yield Finding(
            level="bad",
            what="The process that serves the phones their files does not answer",
            remedy="Phones that restart now get no settings. If this stays, look at the appliance's log.",
        )


def _trunks(world: World) -> Iterator[Finding]:
    if not world.snapshot.trunks:
        yield Finding(
            level="bad",
            what="No connection to a calling service is set up",
            remedy="Only calls between extensions work; 911 does not. Add a trunk to the inventory.",
        )
    for trunk in (world.edge or {}).get("trunks", []):
        if not trunk["up"]:
            yield Finding(
                level="bad",
                what=f"The calling service at {trunk_name(world, str(trunk['id']))} does not answer",
                remedy="Calls outside fail until it does. Check the internet connection and the firewall, "
                "then the provider's status.",
            )
    refused = int((world.edge or {}).get("counters", {}).get("location-refused", 0))
    if refused:
        yield Finding(
            level="bad",
            what=f"{words.plural(refused, 'emergency call')} went out without a location: the core refused it",
            remedy="Set the trunk's location to what its provider takes, then call 933 (docs/trunks.md).",
        )


def _backups(world: World) -> Iterator[Finding]:
    plan, last = world.backups or (None, None)
    if plan is None or not plan.daily or last is None:
        return
    if last.error:
        why = last.error
        yield Finding(
            level="bad",
            what=_("The backup of each day failed: {why}").format(why=why),
            remedy=_("It is tried again each hour. Mend that, or choose another folder."),
            link="/staff/backup",
        )
    elif world.now - last.good > kept.LATE_SECONDS:
        yield Finding(
            level="warn",
            what=_("The last backup is {days} days old").format(days=int((world.now - last.good) / 86_400)),
            remedy=_(
                "One is to be made each day. Make one now; if that does not go, look at the appliance's log."
            ),
            link="/staff/backup",
        )


def _certificate(world: World) -> Iterator[Finding]:
    held = world.given
    if held is None or world.now < held.until - CERTIFICATE_SECONDS:
        return
    good, name = held.good(world.now), held.names[0] if held.names else ""
    ends = _("The certificate of {name} ends in {days} days")
    ended = _("The certificate of {name} has ended; browsers are shown the appliance's own, and warn")
    days = int((held.until - world.now) // 86_400)
    yield Finding(
        level="warn" if good else "bad",
        what=(ends if good else ended).format(name=name, days=days),
        remedy=_("Ask who made it for a new one, and put it in."),
        link="/staff/https",
    )


def _bans(world: World) -> Iterator[Finding]:
    count = len((world.edge or {}).get("bans", []))
    if count:
        yield Finding(
            level="warn",
            what=f"{words.plural(count, 'address is', 'addresses are')} shut out of the phone service",
            remedy="Each behaved like an attacker. If one is a phone of yours, let it in again.",
            link="/staff/protection",
        )
    held = (world.front or {}).get("quarantine", [])
    if held:
        yield Finding(
            level="warn",
            what=f"{words.plural(len(held), 'host')} in quarantine asked for phones' files",
            remedy="Find out what each is, by its address and MAC. If it is yours, release it.",
            link="/staff/protection",
        )


def _limits(world: World) -> Iterator[Finding]:
    for reason, count in (world.edge or {}).get("limits", {}).get("refused", {}).items():
        yield Finding(
            level="warn",
            what=f"{words.plural(count, 'outside call was', 'outside calls were')} refused today: {reason}",
            remedy="If nobody here placed them, somebody may be calling at your cost: look at the calls. "
            "Else raise the limit of the practice.",
            link="/staff/calls",
        )


def trunks(world: World) -> list[TrunkRow]:
    """The connections to calling services, in the order in which they are tried."""
    known = {str(trunk["id"]): bool(trunk["up"]) for trunk in (world.edge or {}).get("trunks", [])}
    ordered = sorted(world.snapshot.trunks.values(), key=lambda trunk: (trunk.order, trunk.id))
    return [TrunkRow(trunk.id, trunk_name(world, trunk.id), known.get(trunk.id)) for trunk in ordered]


def trunk_name(world: World, trunk: str) -> str:
    """A trunk as staff know it: its address, else its id."""
    held = world.snapshot.trunks.get(trunk)
    return held.uri.removeprefix("sips:").removeprefix("sip:") if held else trunk


def _phones(rows: list[PhoneRow]) -> Iterator[Finding]:
    offline = [row for row in rows if row.status == "offline"]
    if offline:
        yield Finding(
            level="bad",
            what=f"{words.plural(len(offline), 'phone')} offline: {_names(offline)}",
            remedy="Check power and network cable of each, then restart it.",
            link="/staff/phones?status=offline",
        )
    placeless = [row for row in rows if row.adopted and not row.location]
    if placeless:
        yield Finding(
            level="bad",
            what=f"{words.plural(len(placeless), 'phone')} without a location: {_names(placeless)}",
            remedy="After a 911 call from there, nobody can be sent to the right room. Give each a location.",
            link="/staff/phones?status=attention",
        )
    moved = [row for row in rows if row.doubt]
    if moved:
        yield Finding(
            level="bad",
            what=f"{words.plural(len(moved), 'phone')} may have been moved: {_names(moved)}",
            remedy="Their 911 calls still say the old place. Go and see where each is, then confirm it on its page.",
            link="/staff/phones?status=attention",
        )
    waiting = [row for row in rows if row.status == "waiting"]
    if waiting:
        yield Finding(
            level="warn",
            what=f"{words.plural(len(waiting), 'phone')} waiting for adoption",
            remedy="Adopt those that are yours; the others get no account here.",
            link="/staff/phones?status=waiting",
        )


def _numbers(world: World, rows: list[PhoneRow]) -> Iterator[Finding]:
    shown = sorted({line.number for row in rows for line in row.lines if line.number})
    for number in shown:
        held = world.snapshot.numbers.get(number)
        if held is None or held.address_status != "registered":
            yield Finding(
                level="bad",
                what=f"{words.number(number)} has no registered emergency address",
                remedy="911 still goes out, but an operator will have to ask where the caller is, "
                "and a fee is likely. Register the address with the provider.",
                link="/staff/addresses",
            )
    for warned in warnings(world.snapshot):
        if in_service(world.snapshot.numbers.get(warned.number)):
            yield Finding(level="bad", what=warned.what, remedy=warned.remedy, link="/staff/numbers")
    for held in world.snapshot.numbers.values():
        if not held.extension and not held.ring_group:
            yield Finding(
                level="warn",
                what=f"Nobody answers {words.number(held.id)}",
                remedy="Callers reach voicemail at once. Give the number an extension or a ring group.",
            )


def _names(rows: list[PhoneRow]) -> str:
    names = [(row.lines[0].extension + " " if row.lines else "") + row.label for row in rows[:4]]
    return ", ".join(names) + (f" and {len(rows) - 4} more" if len(rows) > 4 else "")
