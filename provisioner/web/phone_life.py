"""What happened to one phone, its calls, and another phone in its place; pages and API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from flask import Response, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.errors import ProvisionerError
from provisioner.phones import swap
from provisioner.phones.identity import normal_mac, vendor_of_mac
from provisioner.phones.swap import Swap
from provisioner.phones.vocabulary import shown
from provisioner.store.call_log import Search
from provisioner.store.inventory import Audit
from provisioner.store.records import Phone
from provisioner.web import audit, changes, contract, phone, views
from provisioner.web.contract import Body, Page, Paging
from provisioner.web.phone import calls, pages, record
from provisioner.web.session import sources, who

CALLS = 20  # of each line
CHANGES = 100
KINDS = ("phone", "phone_setting", "placement", "credential", "retired_phone")
UNTOLD = frozenset({"kind", "id"})


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what is known of a phone: who made it, of what, and each value `before` and `after`."""

    seq: int
    at: float
    who: str
    what: str
    values: list[tuple[str, str, str]]


class Offer(NamedTuple):
    """A phone that could take the place: it waits, and said what it is."""

    mac: str
    vendor: str
    model: str


def _trail(mac: str) -> list[Audit]:
    """The last changes of all records of one phone, the newest first."""
    inventory = sources().inventory
    names = {"phone_setting": f"phone:{mac}"}
    rows = [row for kind in KINDS for row in inventory.audit(CHANGES, kind, names.get(kind, mac))]
    return sorted(rows, key=lambda row: -row.seq)[:CHANGES]


def _change(row: Audit) -> Changed:
    before, after = (_fields(text) for text in (row.before, row.after))
    values = [
        (name, _named(name, before.get(name)), _named(name, after.get(name)))
        for name in sorted({*before, *after} - UNTOLD)
        if before.get(name) != after.get(name)
    ]
    return Changed(seq=row.seq, at=row.at, who=row.who, what=row.kind, values=values)


def _fields(text: str | None) -> dict[str, Any]:
    """A record's fields; those of settings one by one; none for secrets, which the log does not hold."""
    held = msgspec.json.decode(text) if text else {}
    if not isinstance(held, dict):
        return {}
    return {**{name: value for name, value in held.items() if name != "values"}, **held.get("values", {})}


def _named(field: str, value: Any) -> str:
    """A value in words; groups and locations by their names, where they are still there."""
    snapshot = sources().snapshot()
    known: dict[str, Mapping[str, Any]] = {"group": snapshot.phone_groups, "location": snapshot.locations}
    held = known[field].get(value) if field in known and isinstance(value, str) else None
    return str(held.name) if held else _word(value)


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_word(each) for each in value)
    if isinstance(value, dict):
        return " ".join(str(each) for each in value.values() if each not in ("", None))
    return "" if value is None or value == "" else str(shown(value))


@pages.get("/history")
def show_history(mac: str) -> Response:
    """What was changed of it, by whom."""
    found = changes.grouped(_trail(record(mac).id), sources().snapshot())
    return phone.page("phone_history.html", mac, changes=[(each, audit.can(each)) for each in found])


@pages.get("/calls")
def show_calls(mac: str) -> Response:
    """The last calls of its lines."""
    lines = record(mac).lines
    journal = sources().journal
    found = {
        row["id"]: row
        for line in lines
        for row in journal.calls(CALLS, search=Search(extension=line.extension))
    }
    rows = sorted(found.values(), key=lambda row: -row["started"])[:CALLS]
    world = sources().world()
    ours = {line.extension for line in lines}
    return phone.page(
        "phone_calls.html",
        mac,
        past=views.past(world, rows),
        live=[row for row in views.calls_now(world) if row.desk in ours],
    )


# another phone in its place


def _offers() -> list[Offer]:
    rows = views.waiting(sources().world())
    return [Offer(row.mac, row.vendor, row.model) for row in rows if row.model]


def _new(values: Any) -> tuple[str, str, str]:
    """The MAC, maker and model that were chosen or typed; what a waiting phone said of itself wins."""
    mac = normal_mac(values.get("by", "") or values.get("other", "")) or values.get("other", "").strip()
    for offer in _offers():
        if offer.mac == mac:
            return offer
    vendor, _, model = values.get("model", "").partition("/")
    return mac, vendor or vendor_of_mac(mac), model


@pages.get("/replace")
def choose_other(mac: str) -> Response:
    """Which phone is to take its place, and what would come of it."""
    return _replace(mac)


def _replace(mac: str, status: int = 200, error: str = "") -> Response:
    found: Swap | None = None
    by, vendor, model = _new(request.values)
    if by and not error:
        try:
            found = swap.plan(sources().snapshot(), mac, by, vendor, model, sources().catalogue())
        except ProvisionerError as problem:
            status, error = 409, str(problem)
    return phone.page(
        "phone_replace.html",
        mac,
        status,
        offers=_offers(),
        swap=found,
        by=by,
        chosen=f"{vendor}/{model}" if model else "",
        error=error,
    )


@pages.post("/replace")
def replace(mac: str) -> Response:
    """Put the other phone in its place."""
    by, vendor, model = _new(request.form)
    try:
        done = swap.replace(
            sources().inventory,
            record(mac).id,
            by,
            vendor,
            model,
            who(),
            sources().catalogue(),
            now=sources().now,
        )
    except ProvisionerError as problem:
        return _replace(mac, 409, str(problem))
    sources().reload()
    return make_response(redirect(url_for("staff.phone", mac=done.phone.id, replaced=mac), 303))


# API


class Replace(Body, frozen=True):
    """Which phone takes the place; `vendor` and `model` where it did not say so itself. `dry_run`: only tell."""

    by: Annotated[str, Meta(max_length=40, description="Its MAC, in any spelling.")]
    vendor: Annotated[str, Meta(max_length=40)] = ""
    model: Annotated[str, Meta(max_length=60)] = ""
    dry_run: bool = False


@calls.post("/replace")
@contract.call(record=Phone, refuses="The phone was not replaced")
def api_replace(mac: str, body: Replace) -> Swap:
    """Put another phone in its place: it gets all that this one had, and this one is retired."""
    given = _new({"other": body.by, "model": f"{body.vendor}/{body.model}" if body.model else ""})
    catalogue = sources().catalogue()
    if body.dry_run:
        return swap.plan(sources().snapshot(), record(mac).id, *given, catalogue)
    done = swap.replace(sources().inventory, record(mac).id, *given, who(), catalogue, now=sources().now)
    sources().reload()
    return done


@calls.get("/history")
@contract.call()
def api_history(mac: str, query: Paging) -> Page[Changed]:
    """What was changed of it, by whom, the newest first."""
    return contract.listed([_change(row) for row in _trail(mac)], query)
