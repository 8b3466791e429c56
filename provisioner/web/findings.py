"""What is wrong at the practice, worst first, each with what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from provisioner.keeping import kept
from provisioner.phones.numbers import in_service, warnings
from provisioner.web import words
from provisioner.web.disk import Disk
from provisioner.web.language import gettext as _
from provisioner.web.language import ngettext
from provisioner.web.sources import World
from provisioner.web.told import tell
from provisioner.web.views import Finding, Level, PhoneRow

CERTIFICATE_SECONDS = 21 * 86_400.0  # before its end, when there is time to get another
EACH = 3  # numbers with one thing wrong that are named each by itself
_ORDER = {"bad": 0, "warn": 1}


class TrunkRow(NamedTuple):
    """One connection to a calling service; `up` is None when the edge has not said."""

    id: str
    name: str
    up: bool | None


def findings(world: World, rows: list[PhoneRow]) -> list[Finding]:
    """All that needs a person, the bad before the merely unfinished."""
    found = [
        *_processes(world),
        *_trunks(world),
        *_emergencies(world),
        *_disk(world.disk),
        *_bans(world),
        *_limits(world),
    ]
    found += [*_phones(rows), *_numbers(world, rows), *_backups(world), *_certificate(world)]
    return sorted(found, key=lambda finding: _ORDER[finding.level])


def _processes(world: World) -> Iterator[Finding]:
    if "edge" in world.away:
        yield Finding(
            level="bad",
            what=_(
                "The call process does not answer; which phones are ready and which calls run is not known"
            ),
            remedy=_(
                "It is started again by itself. If this stays for a minute, look at the appliance's log."
            ),
        )
    if "front" in world.away:
        yield Finding(
            level="bad",
            what=_("The process that serves the phones their files does not answer"),
            remedy=_("Phones that restart now get no settings. If this stays, look at the appliance's log."),
        )


def _trunks(world: World) -> Iterator[Finding]:
    if not world.snapshot.trunks:
        yield Finding(
            level="bad",
            what=_("No connection to a calling service is set up"),
            remedy=_("Only calls between extensions work; 911 does not. Add a trunk."),
            link="/staff/trunks/new",
        )
    for trunk in (world.edge or {}).get("trunks", []):
        name = trunk_name(world, str(trunk["id"]))
        if trunk["up"] is False:
            yield Finding(
                level="bad",
                what=_("The calling service at {name} does not answer").format(name=name),
                remedy=_(
                    "Calls outside fail until it does. Check the internet connection and the firewall, "
                    "then the provider's status."
                ),
                link="/staff/trunks",
            )
        elif trunk["up"] and trunk.get("registered") is False:
            yield Finding(
                level="bad",
                what=_("The calling service at {name} does not let this appliance sign in").format(name=name),
                remedy=_("Nobody can call in until it does. Test the trunk: it says why."),
                link=f"/staff/trunks/{trunk['id']}",
            )


def _emergencies(world: World) -> Iterator[Finding]:
    """What went wrong at calls to and from an emergency centre since the edge began."""
    counters = (world.edge or {}).get("counters", {})
    if refused := int(counters.get("location-refused", 0)):
        yield Finding(
            level="bad",
            what=ngettext(
                "{count} emergency call went out without a location: the core refused it",
                "{count} emergency calls went out without a location: the core refused it",
                refused,
            ).format(count=refused),
            remedy=_("Set the trunk's location to what its provider takes, then call 933 (docs/trunks.md)."),
            link="/staff/trunks",
        )
    if declined := int(counters.get("callback-refused", 0)):
        yield Finding(
            level="bad",
            what=ngettext(
                "{count} call back of an emergency centre was turned away by a phone; the others rang",
                "{count} calls back of an emergency centre were turned away by a phone; the others rang",
                declined,
            ).format(count=declined),
            remedy=_(
                "Switch do-not-disturb and forwarding off in the phone itself; the appliance has its own."
            ),
            link="/staff/emergency/log",
        )


def _disk(held: Disk | None) -> Iterator[Finding]:
    if held is None or held.level == "good":
        return
    yield Finding(
        level="bad" if held.level == "bad" else "warn",
        what=_("The disk is nearly full: {free} are free").format(free=words.size(held.free)),
        remedy=_(
            "Without room no change is kept, and the call log ends; calls go on. Delete what is not needed, or "
            "keep the call log for fewer days."
        ),
        link="/staff/practice",
    )


def _backups(world: World) -> Iterator[Finding]:
    plan, last = world.backups
    if not plan.daily or last is None:
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
            what=ngettext(
                "{count} address is shut out of the phone service",
                "{count} addresses are shut out of the phone service",
                count,
            ).format(count=count),
            remedy=_("Each behaved like an attacker. If one is a phone of yours, let it in again."),
            link="/staff/protection",
        )
    held = len((world.front or {}).get("quarantine", []))
    if held:
        yield Finding(
            level="warn",
            what=ngettext(
                "{count} host in quarantine asked for phones' files",
                "{count} hosts in quarantine asked for phones' files",
                held,
            ).format(count=held),
            remedy=_("Find out what each is, by its address and MAC. If it is yours, release it."),
            link="/staff/protection",
        )


def _limits(world: World) -> Iterator[Finding]:
    for reason, count in (world.edge or {}).get("limits", {}).get("refused", {}).items():
        yield Finding(
            level="warn",
            what=ngettext(
                "{count} outside call was refused today: {reason}",
                "{count} outside calls were refused today: {reason}",
                count,
            ).format(count=count, reason=tell(reason)),
            remedy=_(
                "If nobody here placed them, somebody may be calling at your cost: look at the calls. "
                "Else raise the limit of the practice."
            ),
            link="/staff/calls",
        )


def trunks(world: World) -> list[TrunkRow]:
    """The connections to calling services, in the order in which they are tried."""
    known = {str(trunk["id"]): trunk["up"] for trunk in (world.edge or {}).get("trunks", [])}
    ordered = sorted(world.snapshot.trunks.values(), key=lambda trunk: (trunk.order, trunk.id))
    return [TrunkRow(trunk.id, trunk_name(world, trunk.id), known.get(trunk.id)) for trunk in ordered]


def trunk_name(world: World, trunk: str) -> str:
    """A trunk as staff know it: its address, else its id."""
    held = world.snapshot.trunks.get(trunk)
    return held.uri.removeprefix("sips:").removeprefix("sip:") if held else trunk


def _phones(rows: list[PhoneRow]) -> Iterator[Finding]:
    if not rows:
        yield Finding(
            level="warn",
            what=_("No phone has asked for its files yet"),
            remedy=_(
                "Connect one to the network and start it; the page shows how phones find this appliance."
            ),
            link="/staff/discovery",
        )
    offline = [row for row in rows if row.status == "offline"]
    placeless = [row for row in rows if row.adopted and not row.location]
    moved = [row for row in rows if row.doubt]
    waiting = [row for row in rows if row.status == "waiting"]
    kinds: tuple[tuple[Level, list[PhoneRow], str, str, str], ...] = (
        (
            "bad", offline,
            ngettext("{count} phone offline: {names}", "{count} phones offline: {names}", len(offline)),
            _("Check power and network cable of each, then restart it."), "offline",
        ),
        (
            "bad", placeless,
            ngettext("{count} phone without a location: {names}", "{count} phones without a location: {names}",
                     len(placeless)),
            _("After a 911 call from there, nobody can be sent to the right room. Give each a location."), "attention",
        ),
        (
            "bad", moved,
            ngettext("{count} phone may have been moved: {names}", "{count} phones may have been moved: {names}",
                     len(moved)),
            _("Their 911 calls still say the old place. Go and see where each is, then confirm it on its page."),
            "attention",
        ),
        (
            "warn", waiting,
            ngettext("{count} phone waiting for adoption", "{count} phones waiting for adoption", len(waiting)),
            _("Adopt those that are yours; the others get no account here."), "waiting",
        ),
    )  # fmt: skip
    for level, some, what, remedy, status in kinds:
        if some:
            told = what.format(count=len(some), names=_names(some))
            yield Finding(level=level, what=told, remedy=remedy, link=f"/staff/phones?status={status}")


def _numbers(world: World, rows: list[PhoneRow]) -> Iterator[Finding]:
    shown = sorted({line.number for row in rows for line in row.lines if line.number})
    bare = [number for number in shown if not in_service(world.snapshot.numbers.get(number))]
    remedy = _(
        "911 still goes out, but an operator will have to ask where the caller is, and a fee is likely. "
        "Register the address with the provider."
    )
    if len(bare) > EACH:
        what = _("{count} numbers have no registered emergency address").format(count=len(bare))
        yield Finding(level="bad", what=what, remedy=remedy, link="/staff/addresses")
    else:
        for number in bare:
            what = _("{number} has no registered emergency address").format(number=words.number(number))
            yield Finding(level="bad", what=what, remedy=remedy, link="/staff/addresses")
    odd = [each for each in warnings(world.snapshot) if in_service(world.snapshot.numbers.get(each.number))]
    for warned in odd[:EACH]:
        yield Finding(level="bad", what=tell(warned.what), remedy=tell(warned.remedy), link="/staff/numbers")
    if len(odd) > EACH:
        what = _("{count} more numbers are registered for another place than their phone's").format(
            count=len(odd) - EACH
        )
        remedy = _("Give each line a number of its own place, or register its number for it.")
        yield Finding(level="bad", what=what, remedy=remedy, link="/staff/numbers")
    yield from _unanswered(world)


def _unanswered(world: World) -> Iterator[Finding]:
    """Numbers that lead nowhere."""
    idle = [
        held
        for held in world.snapshot.numbers.values()
        if not (held.extension or held.ring_group or held.dial_through)
    ]
    remedy = _("Callers reach voicemail at once. Give the number an extension or a ring group.")
    if len(idle) > EACH:
        what = _("Nobody answers {count} of the numbers").format(count=len(idle))
        yield Finding(level="warn", what=what, remedy=remedy, link="/staff/numbers")
        return
    for held in idle:
        what = _("Nobody answers {number}").format(number=words.number(held.id))
        yield Finding(level="warn", what=what, remedy=remedy, link="/staff/numbers")


def _names(rows: list[PhoneRow]) -> str:
    names = [(row.lines[0].extension + " " if row.lines else "") + row.label for row in rows[:4]]
    if len(rows) <= 4:
        return ", ".join(names)
    return _("{names} and {count} more").format(names=", ".join(names), count=len(rows) - 4)
