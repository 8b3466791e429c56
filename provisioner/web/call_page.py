"""One call, live or past: what happened in words and as a picture, its legs with how each sounded, who was told."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint, Response, abort
from markupsafe import Markup
from msgspec import Meta

from provisioner.ipc import Json
from provisioner.store.records import Snapshot
from provisioner.web import api, call_words, charts, contract, finding, staff, views, words
from provisioner.web.language import gettext as _
from provisioner.web.session import sources
from provisioner.web.shapes import Shape
from provisioner.web.sources import World

pages = Blueprint("call_page", __name__, url_prefix="/staff")
calls = Blueprint("call_page_api", __name__, url_prefix="/api/v1")
pages.before_request(staff.guard)
calls.before_request(api.guard)

contract.PATH["call"] = ("^[0-9A-Za-z-]{1,64}$", "The id of a call.")


class LegRow(Shape, frozen=True):
    """One party of a call: who, how it was reached, and how it was heard here. Times: seconds after the call began."""

    who: views.Party
    extension: str = ""
    mac: str = ""
    trunk: str = ""
    called: bool = False
    codec: str = ""
    srtp: bool = False
    transport: str = ""
    address: str = ""
    start: float = 0.0
    answered: float | None = None
    end: float | None = None
    status: Annotated[int, Meta(description="SIP status with which it failed; 0: it did not.")] = 0
    why: str = ""
    mos: float | None = None
    loss: float | None = None
    jitter_ms: float | None = None
    quality: str = ""
    level: str = ""


class Notice(Shape, frozen=True):
    """Who was told of an emergency call."""

    at: float
    channel: str
    target: str
    state: str
    problem: str


class CallDetail(Shape, frozen=True):
    """All that is known of one call."""

    call: views.CallRow
    legs: list[LegRow]
    notices: list[Notice]


def _found(world: World, name: str) -> Json | None:
    """The call as a view, live or past, with its legs."""
    live = next((call for call in views.live_calls(world) if str(call["id"]) == name), None)
    if live:
        told, _error = sources().ask("edge", "legs", {"call": name})
        return {**live, "legs": (told or {}).get("legs", [])}
    row = sources().journal.call(name)
    return views.past_call(row) if row else None


def _legs(snapshot: Snapshot, call: Json) -> list[LegRow]:
    return [_leg(snapshot, call, leg) for leg in call.get("legs") or []]


def _leg(snapshot: Snapshot, call: Json, leg: Json) -> LegRow:
    called = bool(leg.get("called"))
    who = str(leg.get("extension") or (leg.get("number") if called else call.get("from")) or "")
    mos, status, answered = leg.get("mos"), int(leg.get("status", 0)), leg.get("answered")
    level, word = call_words.quality(mos)
    why = call_words.refusal(status) if status >= 300 else ""
    if called and answered is None and not why:
        why = _not_answered(call)
    return LegRow(
        who=views.party(snapshot, who),
        mac=str(leg.get("mac", "")) if leg.get("mac") in snapshot.phones else "",
        called=called, start=float(leg.get("from", 0)), answered=answered, end=leg.get("to"), status=status, why=why,
        mos=mos, loss=leg.get("loss"), jitter_ms=leg.get("jitter_ms"), quality=word if mos else "", level=level,
        srtp=bool(leg.get("srtp")),
        **{name: str(leg.get(name, "")) for name in ("extension", "trunk", "codec", "transport", "address")},
    )  # fmt: skip


def _not_answered(call: Json) -> str:
    """Why a phone that rang has no more to say."""
    if call.get("answered"):
        return _("another phone took it")
    return _("did not answer") if call["state"] == "ended" else _("it rings")


def _notices(name: str) -> list[Notice]:
    rows = sources().journal.notices_of(name)
    fields = ("channel", "target", "state", "problem")
    return [Notice(at=row["at"], **{field: str(row[field] or "") for field in fields}) for row in rows]


def _length(world: World, call: Json) -> float:
    return max(0.0, float(call.get("ended") or world.now) - float(call["started"]))


def picture(snapshot: Snapshot, call: Json, length: float) -> Markup:
    """Who heard what, from when to when."""

    def name(value: str) -> str:
        return views.party(snapshot, value).name

    def label(value: str) -> str:
        found = views.party(snapshot, value)
        return f"{found.detail} {found.name}" if found.detail and value.isdecimal() else found.name

    rows = call_words.lanes(call, length, name, label)
    used = {span.level for _label, spans in rows for span in spans}
    return charts.lanes(
        "lanes",
        _("Who heard whom in this call, over its {length}").format(length=words.duration(length)),
        rows,
        length,
        [(_(text), level) for text, level in call_words.LEGEND if level in used],
        [(at, words.duration(at)) for at in call_words.ticks(length)],
    )


@pages.get("/calls/<call>")
def show(call: str) -> Response:
    """One call."""
    world = sources().world()
    found = _found(world, call)
    if found is None:
        abort(404, _("No call has this address; the log keeps calls for a set number of days."))
    row, length = views.call_row(world.snapshot, found), _length(world, found)
    return staff.page(
        "call.html",
        world,
        call=row,
        legs=_legs(world.snapshot, found),
        notices=_notices(call) if row.direction == "emergency" else [],
        picture=picture(world.snapshot, found, length) if row.answered or row.steps else "",
        quality=call_words.quality(row.mos),
        with_caller=finding.seal(str(found["from"])) if str(found["from"]).startswith("+") else "",
        with_callee=finding.seal(str(found["to"])) if str(found["to"]).startswith("+") else "",
        phone=world.snapshot.line(row.desk),
    )


@calls.get("/calls/<call>")
@contract.call(answer=CallDetail, problems=(404,))
def one(call: str) -> CallDetail | Any:
    """One call, live or past: what happened, its legs, and who was told of it."""
    world = sources().world()
    found = _found(world, call)
    if found is None:
        abort(404, "No call has this id; the log keeps calls for a set number of days.")
    row = views.call_row(world.snapshot, found)
    return CallDetail(call=row, legs=_legs(world.snapshot, found), notices=_notices(call))
