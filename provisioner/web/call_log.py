"""The call log on the page and in the API: live and past calls, searches and filters, CSV."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Literal
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.store import call_log, dial_through
from provisioner.store.call_log import MARKS, MAX_NUMBERS, Search
from provisioner.web import api, contract, finding, forms, staff, views, words
from provisioner.web.contract import Body, Page
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources
from provisioner.web.sources import World

CALLS = 50  # on a page
LIVE = 24
NEWEST = (1 << 62) - 1  # a position after all calls
FILTERS = {  # of `show`: a mark of the log, in words
    "": N_("All"),
    "missed": N_("Missed"),
    "transferred": N_("Transferred"),
    "poor": N_("Poor quality"),
    "emergency": N_("Emergency"),
    "answered": N_("Answered"),
    "unanswered": N_("Not answered"),
    "busy": N_("Busy"),
    "refused": N_("Refused"),
}
KEPT = ("show", "direction", "extension", "since", "until")  # of a search, in addresses; its text is sealed

pages = Blueprint("call_log", __name__, url_prefix="/staff")
calls = Blueprint("call_log_api", __name__, url_prefix="/api/v1")
pages.before_request(staff.guard)
calls.before_request(api.guard)


def _moment(name: str, text: str, days: int = 0) -> float | None:
    """A date, or a date and time, of the practice's zone; a bare date `days` later."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        at += timedelta(days=days if len(text.strip()) == len("2026-03-31") else 0)
        zone = words.zone(sources().snapshot().practice.time_zone)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        abort(422, f"{name} must be a date such as 2026-03-31, or a date and time such as 2026-03-31T14:00.")


def asked(given: Mapping[str, str], days: int = 0) -> Search:
    """The search that an address or a body asks for. `days`: to be added to `until`, for people say the last day."""
    text = finding.opened(given.get("find", "")) or given.get("q", "")[: finding.MAX_TEXT]
    show, direction, extension = (given.get(name, "") for name in ("show", "direction", "extension"))
    if show and show not in MARKS:
        abort(400, f"show must be one of {', '.join(MARKS)}.")
    return Search(
        text,
        call_log.named(sources().snapshot(), text),
        _moment("since", given.get("since", "")),
        _moment("until", given.get("until", ""), days),
        (show,) if show else (),
        direction if direction in views.DIRECTION else "",
        extension if extension.isascii() and extension.isdecimal() else "",
    )


def _live(world: World, search: Search) -> list[views.CallRow]:
    """Live calls that fit: what is known only at the end finds none of them."""
    if search.since or search.until or set(search.marks) - {"emergency"}:
        return []
    wanted = "emergency" if search.marks else search.direction
    return [
        row
        for row in views.calls_now(world)
        if views.matches_call(row, search.text)
        and wanted in ("", row.direction)
        and search.extension in ("", row.desk, row.caller.detail, row.callee.detail)
    ]


def _before() -> int:
    text = request.args.get("before", "")
    return forms.whole(text, 18) or 0


@staff.blueprint.get("/calls", endpoint="calls")
def now_and_past() -> Response:
    """Live and past calls."""
    return page()


def page(status: int = 200, error: str = "", asked_for: Mapping[str, str] = MappingProxyType({})) -> Response:
    """The page of calls; `asked_for`: what its form was filled with, `error` why that was not done."""
    world, search, before = sources().world(), asked(request.args, days=1), _before()
    rows = sources().journal.calls(CALLS + 1, search, before)
    kept = {name: request.args[name] for name in KEPT if request.args.get(name)}
    kept |= {"find": finding.seal(search.text)} if search.text.strip() else {}
    return staff.page(
        "calls.html",
        world,
        status,
        calls=_live(world, search) if not before else [],
        past=views.past(world, rows[:CALLS]),
        older={**kept, "before": rows[CALLS - 1]["position"]} if len(rows) > CALLS else None,
        before=before,
        most_live=LIVE,
        query=search.text,
        search=search,
        kept=kept,
        many=len(sources().journal.fragments(search)) > MAX_NUMBERS,
        most=MAX_NUMBERS,
        filters={name: _(text) for name, text in FILTERS.items()},
        directions={name: _(text) for name, text in views.DIRECTION.items()},
        error=error,
        asked_for=asked_for,
        lines=sorted(
            (line.extension, line.name) for phone in world.snapshot.phones.values() for line in phone.lines
        ),
        through=dial_through.live(world.snapshot, world.now),
    )


@pages.post("/calls/find")
def find() -> Response:
    """A search: what was typed is sealed, for outside numbers have no place in an address."""
    kept = {name: request.form[name].strip() for name in KEPT if request.form.get(name, "").strip()}
    text = finding.seal(request.form.get("q", ""))
    kept |= {"find": text} if text else {}
    return make_response(redirect(f"{url_for('staff.calls')}?{urlencode(kept)}".rstrip("?"), 303))


class Export(Body, frozen=True):
    """Which calls."""

    q: Annotated[
        str,
        Meta(
            max_length=100,
            description="A name, extension, number or word; numbers of patients rather by POST.",
        ),
    ] = ""
    find: Annotated[
        str, Meta(max_length=400, description="A text as it stands in addresses of the appliance, sealed.")
    ] = ""
    since: Annotated[
        str, Meta(max_length=40, description="From then on: as 2026-03-31, or 2026-03-31T14:00.")
    ] = ""
    until: Annotated[str, Meta(max_length=40, description="Before that.")] = ""
    show: Annotated[
        Literal[
            "", "answered", "missed", "busy", "unanswered", "refused", "emergency", "transferred", "poor"
        ],
        Meta(description="Only those; `poor`: a mean opinion score under 3.6."),
    ] = ""
    direction: Annotated[
        Literal["", "internal", "inbound", "outbound", "emergency"], Meta(description="Only that way.")
    ] = ""
    extension: Annotated[str, Meta(pattern="^[0-9]{0,15}$", description="A line that was in the call.")] = ""


class Wanted(Export, frozen=True):
    """Which calls, and how many. `before`: of the page before this one, in its `next`."""

    limit: contract.Limit = contract.PAGE
    before: Annotated[
        int, Meta(ge=0, le=NEWEST, description="Only calls that began before this position.")
    ] = 0


@pages.get("/calls.csv")
def export_page() -> Response:
    """The calls that are shown, as a table."""
    return _export(asked(request.args, days=1))


@calls.get("/calls.csv")
@contract.call(gives="text/csv")
def export(query: Export) -> Response:
    """All calls that are asked for as a table, oldest first."""
    return _export(asked(contract.given(query)))


def _export(search: Search) -> Response:
    zone = words.zone(sources().snapshot().practice.time_zone)
    response = Response(call_log.lines(sources().journal.walk_calls(search), zone), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="calls.csv"'
    return response


@calls.get("/calls")
@contract.call()
def list_calls(query: Wanted) -> Page[views.CallRow]:
    """Calls that are asked for: live first, then the newest past ones."""
    return _list(query)


@calls.post("/calls/search")
@contract.call(problems=(422,))
def search_calls(body: Wanted) -> Page[views.CallRow]:
    """As GET of the list, but with nothing of what is searched in the address; `next` holds it sealed."""
    return _list(body)


def _list(wanted: Wanted) -> Page[views.CallRow]:
    given = contract.given(wanted)
    world, search = sources().world(), asked({name: str(value) for name, value in given.items()})
    live = [] if wanted.before else _live(world, search)[: wanted.limit]
    room = wanted.limit - len(live)
    rows = sources().journal.calls(room + 1, search, wanted.before)
    following = None
    if len(rows) > room:
        kept = {name: value for name, value in given.items() if value and name not in ("q", "find")}
        kept |= {"find": finding.seal(search.text)} if search.text.strip() else {}
        kept["before"] = rows[room - 1]["position"] if room else NEWEST
        following = url_for("call_log_api.list_calls", **kept)
    return Page(items=live + views.past(world, rows[:room]), next=following)
