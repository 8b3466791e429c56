"""Who is there: phones that asked and are not adopted, and those on the network that never asked; pages and API."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, make_response, redirect, request, url_for

from provisioner.phones import editing, extensions
from provisioner.phones.identity import vendor_of_mac
from provisioner.store.request_log import Asked
from provisioner.web import api, contract, staff, views
from provisioner.web.contract import Page, Paging
from provisioner.web.request_log import REMEDIES
from provisioner.web.session import sources, who
from provisioner.web.sources import World

SHOWN = 100  # phones; those that asked last come first
LAST = 20  # requests of each that are looked at

pages = Blueprint("discovery", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("discovery_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class Found(msgspec.Struct, kw_only=True):
    """A phone that asked. `ways`: how; `why`: what it was told last, with what to do; `port`: its switch port by LLDP.

    `near`: its address has this MAC on the network: True, False, or null where the network does not tell.
    """

    phone: views.PhoneRow
    first_seen: float | None
    ways: list[str]
    rule: str
    why: str
    remedy: str
    port: str = ""
    near: bool | None = None


class Silent(msgspec.Struct, kw_only=True):
    """A phone of a maker whose phones are known here, on the network, that never asked."""

    mac: str
    address: str
    vendor: str


class Seen(msgspec.Struct, kw_only=True):
    """All of it."""

    found: list[Found]
    silent: list[Silent]
    more: int = 0


def seen(world: World, ignored: bool = False) -> Seen:
    """Who waits (or is ignored), with what each was told, and who is on the network and silent."""
    wanted = "ignored" if ignored else "waiting"
    rows = [row for row in views.waiting(world, ignored=True) if row.status == wanted]
    rows.sort(key=lambda row: -(row.last_seen or 0.0))
    sightings = {str(row["mac"]): row for row in world.sightings}
    near = _neighbours()
    ports = {
        str(row["mac"]): str((row["body"] or {}).get("port", "")) for row in sources().journal.whereabouts()
    }
    known = {*sightings, *world.snapshot.phones, *world.snapshot.ignored_phones}
    silent = [
        Silent(mac=mac, address=address, vendor=vendor)
        for address, mac in sorted(near.items())
        if mac not in known and (vendor := vendor_of_mac(mac))
    ]
    found = [_found(row, sightings[row.mac], near, ports.get(row.mac, "")) for row in rows[:SHOWN]]
    return Seen(found=found, silent=silent, more=max(0, len(rows) - SHOWN))


def _found(row: views.PhoneRow, sighting: dict[str, Any], near: dict[str, str], port: str) -> Found:
    last = sources().journal.requests(LAST, Asked(mac=row.mac))
    rule = str((last[0] if last else sighting)["rule"] or "")
    at = near.get(row.address)
    return Found(
        phone=row,
        first_seen=sighting["first_seen"],
        ways=sorted({str(each["method"]) for each in last}),
        rule=rule,
        why=views.why(rule),
        remedy=REMEDIES.get(rule, ""),
        port=port,
        near=None if at is None else at == row.mac,
    )


def _neighbours() -> dict[str, str]:
    """MACs by address, as the front's host knows its link; none when it does not answer."""
    told, _error = sources().ask("front", "neighbours")
    return {str(each["address"]): str(each["mac"]) for each in (told or {}).get("neighbours", [])}


@pages.get("/discovery")
def show() -> Response:
    """Who asked, what each was told and why; who is silent; who is ignored."""
    world, ignored = sources().world(), "ignored" in request.args
    proposed = (
        extensions.proposed(world.snapshot, world.now, count=1) if world.snapshot.practice.main_number else []
    )
    return staff.page(
        "discovery.html",
        world,
        seen=seen(world, ignored),
        ignored=ignored,
        hidden=len(world.snapshot.ignored_phones),
        proposed=next(iter(proposed), ""),
    )


@pages.post("/phones/<mac>/ignore")
def ignore(mac: str) -> Response:
    """Leave a phone out of those that wait; with `back`, take it back."""
    back = "back" in request.form
    editing.ignore(sources().inventory, mac, who(), sources().now(), ignored=not back)
    sources().reload()
    return make_response(redirect(url_for("discovery.show"), 303))


@calls.get("/discovery")
@contract.call()
def api_show() -> Seen:
    """Phones that wait for adoption, with what each was told and why; and those on the network that never asked."""
    return seen(sources().world())


@calls.get("/phones/ignored")
@contract.call()
def api_ignored(query: Paging) -> Page[str]:
    """The MACs of phones that are left out of those that wait."""
    return contract.listed(sorted(sources().snapshot().ignored_phones), query)


@calls.put("/phones/<mac>/ignored")
@contract.call(refuses="The phone is not ignored")
def api_ignore(mac: str) -> None:
    """Leave a phone out of those that wait."""
    editing.ignore(sources().inventory, mac, who(), sources().now())
    sources().reload()


@calls.delete("/phones/<mac>/ignored")
@contract.call(refuses="The phone is ignored still")
def api_back(mac: str) -> None:
    """Show a phone among those that wait again."""
    editing.ignore(sources().inventory, mac, who(), sources().now(), ignored=False)
    sources().reload()
