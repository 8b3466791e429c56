"""The audit log: every change with who, what, when, before and after; a record's history; undo. Pages and API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.errors import ProvisionerError
from provisioner.store.audit import SHORTEST, Audit, Wanted
from provisioner.web import api, changes, contract, forms, shapes, staff, undo, words
from provisioner.web.changes import Change
from provisioner.web.contract import Body, Page
from provisioner.web.language import gettext as _
from provisioner.web.session import sources, who

ROWS = 50
MAX_ROWS = 200
LARGEST = 2**53

pages = Blueprint("audit", __name__, url_prefix="/staff/audit")
pages.before_request(staff.guard)
calls = Blueprint("audit_api", __name__, url_prefix="/api/v1/audit")
calls.before_request(api.guard)


def _day(text: str, after: bool = False) -> float:
    """The begin of a day of the practice (or its end) in seconds since 1970; 0 for what is no day."""
    zone = words.zone(sources().snapshot().practice.time_zone)
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        return 0.0
    return (day + timedelta(days=1) if after else day).timestamp()


def _wanted() -> Wanted:
    asked = request.args
    before = asked.get("before", "")
    return Wanted(
        who=asked.get("who", ""),
        kind=asked.get("kind", ""),
        name=asked.get("id", ""),
        since=_day(asked.get("since", "")),
        until=_day(asked.get("until", ""), after=True),
        before=forms.whole(before) or 0,
        text=" ".join(word for word in asked.get("q", "").split()[:5] if len(word) >= SHORTEST),
    )


@pages.get("")
def page() -> Response:
    """The newest changes that are wanted."""
    world, wanted = sources().world(), _wanted()
    found = sources().inventory.trail(ROWS + 1, wanted)
    shown = changes.grouped(found[:ROWS], world.snapshot)
    asked = {name: value for name, value in request.args.items() if name != "before" and value}
    return staff.page(
        "audit.html",
        world,
        changes=[(each, can(each)) for each in shown],
        people=sources().inventory.names_in_audit(),
        kinds=sorted(((kind, _(word)) for kind, word in changes.WORDS.items()), key=lambda each: each[1]),
        asked=asked,
        record=changes.told(found[0], world.snapshot) if wanted.name and found else None,
        older=found[ROWS - 1].seq if len(found) > ROWS else 0,
    )


def can(change: Change) -> bool:
    """Whether a change is of a kind that has an undo."""
    return change.record and not undo.why_not(each.audit for each in change.entries)


@pages.get("/<int:revision>")
def one(revision: int) -> Response:
    """One change, all of it, and its undo."""
    return _one(revision)


def _one(revision: int, status: int = 200, error: str = "", later: int = 0) -> Response:
    world, found = sources().world(), _entries(revision)
    change = changes.grouped(list(reversed(found)), world.snapshot)[0]
    return staff.page(
        "audit_change.html",
        world,
        status,
        change=change,
        why_not=undo.why_not(found),
        error=error,
        later=later,
        undone=request.args.get("undone", ""),
    )


def _entries(revision: int) -> list[Audit]:
    found = undo.entries(sources().inventory, min(revision, LARGEST))
    if not found:
        abort(404, _("There is no such change."))
    return found


@pages.post("/<int:revision>/undo")
def take_back(revision: int) -> Response:
    """Put back what was before."""
    _entries(revision)
    try:
        made = undo.undo(sources(), revision, who())
    except undo.Changed as error:
        return _one(revision, 409, str(error), error.later)
    except ProvisionerError as error:
        return _one(revision, 409, str(error))
    return make_response(redirect(url_for("audit.one", revision=made, undone=revision), 303))


# API


class WantedEntries(Body, frozen=True):
    """Which entries, the newest first. `before`: older than that `seq`; `kind` and `id` of one record."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ROWS, description="So many entries at most.")] = ROWS
    before: Annotated[int, Meta(ge=0, le=LARGEST, description="Older than this `seq`; 0: the newest.")] = 0
    who: Annotated[
        str, Meta(max_length=200, description="Made by: a user, `console link`, `token NAME`.")
    ] = ""
    kind: Annotated[str, Meta(max_length=60, description="Of this kind of record, as `phone`.")] = ""
    id: Annotated[str, Meta(max_length=200, description="Of the record with this id.")] = ""
    since: Annotated[float, Meta(ge=0, le=LARGEST, description="Seconds since 1970.")] = 0.0
    until: Annotated[float, Meta(ge=0, le=LARGEST, description="Seconds since 1970.")] = 0.0
    q: Annotated[
        str, Meta(max_length=100, description="Any part of a name or value, three letters or more.")
    ] = ""


class ShownField(shapes.Shape, frozen=True):
    """A field that changed, in words."""

    field: str
    before: str
    after: str


class ShownEntry(shapes.Shape, frozen=True):
    """An entry. `change`: all entries with this number were made at once; `before`, `after`: the record, or null."""

    seq: int
    change: int
    at: float
    who: str
    kind: str
    id: str
    act: str
    fields: list[ShownField]
    before: Any
    after: Any


class Undone(shapes.Shape, frozen=True):
    """The number of the change that an undo is; it can be undone like any other."""

    change: int


def shown(entry: Audit) -> ShownEntry:
    """An entry for programs."""
    told = changes.told(entry, sources().snapshot())
    before, after = ((msgspec.json.decode(text) if text else None) for text in (entry.before, entry.after))
    return ShownEntry(
        seq=entry.seq,
        change=entry.revision,
        at=entry.at,
        who=entry.who,
        kind=entry.kind,
        id=entry.id,
        act=told.act,
        fields=[ShownField(field=each.label, before=each.before, after=each.after) for each in told.fields],
        before=before,
        after=after,
    )


@calls.get("")
@contract.call()
def api_list(query: WantedEntries) -> Page[ShownEntry]:
    """The audit log, the newest first; secrets stand in it as `changed`."""
    text = " ".join(word for word in query.q.split() if len(word) >= SHORTEST)
    wanted = Wanted(
        who=query.who, kind=query.kind, name=query.id, since=query.since, until=query.until,
        before=query.before, text=text,
    )  # fmt: skip
    found = sources().inventory.trail(query.limit + 1, wanted)
    following = None
    if len(found) > query.limit:
        asked: dict[str, Any] = {**request.args.to_dict(), "before": found[query.limit - 1].seq}
        following = url_for("audit_api.api_list", **asked)
    return Page(items=[shown(each) for each in found[: query.limit]], next=following)


def _number(change: str) -> int:
    return forms.whole(change) or 0


@calls.get("/<change>")
@contract.call()
def api_one(change: str) -> list[ShownEntry]:
    """All entries of one change, in their order."""
    return [shown(each) for each in _entries(_number(change))]


@calls.post("/<change>/undo")
@contract.call(refuses="It was not undone")
def api_undo(change: str) -> Undone:
    """Put back what was before, as a change of its own; refused when a record was changed since."""
    _entries(_number(change))
    return Undone(change=undo.undo(sources(), _number(change), who()))
