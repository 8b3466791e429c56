"""The call log on the page and in the API: live and past calls, searches, CSV."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated

from flask import Blueprint, Response, abort, request
from msgspec import Meta

from provisioner.store import call_log, dial_through
from provisioner.store.call_log import Search
from provisioner.web import api, contract, staff, views, words
from provisioner.web.contract import Body, Page
from provisioner.web.session import sources

CALLS = 500  # on a page

pages = Blueprint("call_log", __name__, url_prefix="/staff")
calls = Blueprint("call_log_api", __name__, url_prefix="/api/v1")
pages.before_request(staff.guard)
calls.before_request(api.guard)


def _moment(name: str) -> float | None:
    """A date, or a date and time, of the practice's zone."""
    text = request.args.get(name, "").strip()
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        abort(422, f"{name} must be a date such as 2026-03-31, or a date and time such as 2026-03-31T14:00.")
    zone = words.zone(sources().snapshot().practice.time_zone)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()


def asked() -> Search:
    """What the address asks for: `q`, `since`, `until`."""
    query = request.args.get("q", "")[:100]
    return Search(query, call_log.named(sources().snapshot(), query), _moment("since"), _moment("until"))


@staff.blueprint.get("/calls", endpoint="calls")
def now_and_past() -> Response:
    """Live and past calls with their transfer steps."""
    return page()


def page(status: int = 200, error: str = "", asked_for: Mapping[str, str] = MappingProxyType({})) -> Response:
    """The page of calls; `asked_for`: what its form was filled with, `error` why that was not done."""
    world, search = sources().world(), asked()
    query = search.text
    return staff.page(
        "calls.html",
        world,
        status,
        calls=[row for row in views.calls_now(world) if views.matches_call(row, query)],
        past=views.past(world, sources().journal.calls(CALLS, search)),
        query=query,
        export=request.query_string.decode(),
        limit=CALLS,
        error=error,
        asked_for=asked_for,
        lines=sorted(
            (line.extension, line.name) for phone in world.snapshot.phones.values() for line in phone.lines
        ),
        through=dial_through.live(world.snapshot, world.now),
    )


class Export(Body, frozen=True):
    """Which calls."""

    q: Annotated[str, Meta(max_length=100, description="A name, extension, number or outcome.")] = ""
    since: Annotated[
        str, Meta(max_length=40, description="From then on: as 2026-03-31, or 2026-03-31T14:00.")
    ] = ""
    until: Annotated[str, Meta(max_length=40, description="Before that.")] = ""


class Wanted(Export, frozen=True):
    """Which calls, and which part of them."""

    limit: contract.Limit = contract.PAGE
    offset: contract.Offset = 0


@pages.get("/calls.csv")
def export_page() -> Response:
    """The calls that are shown, as a table."""
    return _export()


@calls.get("/calls.csv")
@contract.call(gives="text/csv")
def export(query: Export) -> Response:
    """All calls that are asked for as a table, oldest first."""
    return _export()


def _export() -> Response:
    zone = words.zone(sources().snapshot().practice.time_zone)
    text = call_log.lines(sources().journal.walk_calls(asked()), zone)
    response = Response(text, mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="calls.csv"'
    return response


@calls.get("/calls")
@contract.call()
def list_calls(query: Wanted) -> Page[views.CallRow]:
    """Calls that are asked for: live first, then the newest past ones."""
    world, search = sources().world(), asked()
    live = [] if search.since or search.until else views.calls_now(world)
    live = [row for row in live if views.matches_call(row, search.text)]
    rows = sources().journal.calls(query.limit + query.offset + 1, search)
    return contract.listed(live + views.past(world, rows), query, None)
