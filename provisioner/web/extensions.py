"""Pages and API of the extension plan: who has which, reserved ones, ranges, another length, where a call would go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.dialing.classify import Origin, classify
from provisioner.dialing.extensions import LENGTHS
from provisioner.errors import ProvisionerError
from provisioner.phones import extensions as plan
from provisioner.phones import renumber
from provisioner.web import api, staff
from provisioner.web.session import sources, who
from provisioner.web.sources import World
from provisioner.web.views import Level

PROPOSED = 10
FILTERS = {"": "All", "in use": "In use", "reserved": "Reserved", "quarantine": "In quarantine"}
STATES: dict[str, tuple[str, Level]] = {
    "in use": ("In use", "good"),
    "reserved": ("Reserved", "busy"),
    "quarantine": ("In quarantine", "warn"),
    "free": ("Free again", "none"),
}
GOES = {
    "emergency": "An emergency call",
    "emergency-test": "An emergency test call",
    "crisis": "A call to the crisis line",
    "extension": "A call inside, to extension",
    "service": "A call to the service",
    "outbound": "An outside call to",
}

pages = Blueprint("extensions", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("extensions_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


def _rows(query: str, state: str) -> list[plan.Row]:
    wanted = query.strip().lower()
    return [
        row
        for row in plan.rows(sources().snapshot(), sources().now())
        if (not state or row.state == state)
        and any(wanted in text.lower() for text in (row.extension, row.name, row.phone, row.range, row.state))
    ]


def _where(dialled: str, origin: Origin, extension: str = "") -> dict[str, object]:
    """Where `dialled` would go from the line with `extension`, "" for one that is like any."""
    found = classify(dialled, origin, plan.dial_plan(sources().snapshot(), extension))
    return {"kind": found.kind, "destination": found.number, "reason": found.reason, "prompt": found.prompt,
            "status": found.status, "international": found.international}  # fmt: skip


# pages


@pages.get("/extensions")
def page() -> Response:
    """All extensions, what could be given next, the ranges."""
    return _page(sources().world())


def _page(world: World, status: int = 200, error: str = "") -> Response:
    query, state = request.args.get("q", ""), request.args.get("show", "")
    dialled = request.args.get("dialled", "").strip()
    return staff.page(
        "extensions.html", world, status,
        rows=_rows(query, state), states=STATES, query=query, wanted=state, filters=FILTERS, error=error,
        problems=plan.problems(world.snapshot), free=plan.proposed(world.snapshot, world.now, count=PROPOSED),
        ranges=list(world.snapshot.extension_ranges.values()), locations=world.snapshot.locations,
        groups=world.snapshot.phone_groups, lengths=[each for each in LENGTHS if each != _length(world)],
        dialled=dialled, goes=GOES, found=_where(dialled, "software") if dialled else None,
    )  # fmt: skip


def _length(world: World) -> int:
    return world.snapshot.practice.extension_length


def _done(work: Callable[[], object]) -> Response:
    """Do what a form asks, then show the list again; with what is wrong about it when it cannot be done."""
    try:
        work()
    except ProvisionerError as error:
        return _page(sources().world(), 409, str(error))
    sources().reload()
    return make_response(redirect(url_for("extensions.page"), 303))


def _field(name: str) -> str:
    return request.form.get(name, "").strip()


@pages.post("/extensions/reserve")
def reserve() -> Response:
    """Keep an extension for somebody."""
    what = (_field("extension"), _field("name"), who(), sources().now)
    return _done(lambda: plan.reserve(sources().inventory, *what))


@pages.post("/extensions/release")
def release() -> Response:
    """Let an extension be given again."""
    return _done(lambda: plan.release(sources().inventory, _field("extension"), who()))


@pages.post("/extensions/ranges")
def add_range() -> Response:
    """A new range."""
    return _done(
        lambda: plan.add_range(
            sources().inventory, _field("first"), _field("last"), _field("name"), who(),
            _field("location"), _field("group"),
        )
    )  # fmt: skip


@pages.post("/extensions/ranges/remove")
def remove_range() -> Response:
    """A range less; nobody loses an extension by that."""
    return _done(lambda: plan.remove_range(sources().inventory, _field("range"), who()))


@pages.get("/extensions/length")
def length() -> Response:
    """What another length would do to each extension."""
    wanted = request.args.get("length", "")
    if wanted not in map(str, LENGTHS):
        abort(400, f"Extensions have {' or '.join(map(str, LENGTHS))} digits.")
    return _length_page(int(wanted))


def _length_page(wanted: int, status: int = 200, error: str = "") -> Response:
    world = sources().world()
    made = renumber.plan(world.snapshot, wanted)
    return staff.page("extension_length.html", world, status, plan=made, error=error)


@pages.post("/extensions/length")
def change_length() -> Response:
    """Do what was shown, if nothing has changed since."""
    wanted, revision = request.form.get("length", ""), request.form.get("revision", "")
    if wanted not in map(str, LENGTHS) or not revision.isdecimal():
        abort(400, "Look at the plan first.")
    try:
        renumber.apply(sources().inventory, int(wanted), who(), int(revision), sources().now)
    except ProvisionerError as error:
        return _length_page(int(wanted), 409, str(error))
    sources().reload()
    return make_response(redirect(url_for("extensions.page"), 303))


# API


def _body() -> dict[str, Any]:
    body: Any = request.get_json(silent=True) if request.content_length else {}
    if not isinstance(body, dict):
        abort(400, 'The body must be a JSON object such as {"name": "Dr. Adams"}.')
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        abort(400, f"{name} must be text.")
    return value


def _told(title: str, work: Callable[[], object], status: int = 200) -> Response:
    try:
        done = work()
    except ProvisionerError as error:
        return api.problem(409, title, str(error))
    sources().reload()
    return api.answer(done, status)


@calls.get("/extensions")
def api_list() -> Response:
    """All extensions that are in use, reserved or in quarantine."""
    return api.listed(_rows(request.args.get("q", ""), request.args.get("state", "")), *api.window())


@calls.get("/extensions/next")
def api_next() -> Response:
    """The next free ones for a phone at `location` in `group`."""
    count = request.args.get("count", "1")
    if not count.isdecimal() or not 1 <= int(count) <= api.MAX_PAGE:
        abort(400, f"count must be 1 to {api.MAX_PAGE}.")
    where = (request.args.get("location", ""), request.args.get("group", ""))
    return api.answer(
        {"extensions": plan.proposed(sources().snapshot(), sources().now(), *where, int(count))}
    )


@calls.get("/extensions/<extension>")
def api_one(extension: str) -> Response:
    """One extension: who has it, and whether it could be given."""
    row, why = plan.one(sources().snapshot(), extension, sources().now())
    return api.answer({**msgspec.to_builtins(row), "usable": not why, "why": why})


@calls.post("/extensions/<extension>/reserve")
def api_reserve(extension: str) -> Response:
    """Keep an extension for `name`."""
    name = _text(_body(), "name")
    work = lambda: plan.reserve(sources().inventory, extension, name, who(), sources().now)  # noqa: E731
    return _told("The extension was not reserved", work, 201)


@calls.post("/extensions/<extension>/release")
def api_release(extension: str) -> Response:
    """Let an extension be given again."""
    return _told("Nothing was released", lambda: plan.release(sources().inventory, extension, who()))


@calls.get("/extension-ranges")
def api_ranges() -> Response:
    """The ranges."""
    return api.listed(list(sources().snapshot().extension_ranges.values()), *api.window())


@calls.post("/extension-ranges")
def api_add_range() -> Response:
    """A new range: `first`, `last`, `name`, and `location` or `group`."""
    body = _body()
    first, last, name, location, group = (
        _text(body, each) for each in ("first", "last", "name", "location", "group")
    )
    return _told(
        "The range was not made",
        lambda: plan.add_range(sources().inventory, first, last, name, who(), location, group), 201,
    )  # fmt: skip


@calls.delete("/extension-ranges/<name>")
def api_remove_range(name: str) -> Response:
    """A range less."""
    return _told("The range was not removed", lambda: plan.remove_range(sources().inventory, name, who()))


@calls.post("/extensions/length")
def api_length() -> Response:
    """Give all extensions `length` digits; with `dry_run=1` only the plan. `revision`: of the plan looked at."""
    body = _body()
    wanted, revision = body.get("length"), body.get("revision", 0)
    if not isinstance(wanted, int) or not isinstance(revision, int):
        abort(400, 'The body must be a JSON object such as {"length": 4}.')
    if request.args.get("dry_run", "") not in ("", "0"):
        return api.answer(renumber.plan(sources().snapshot(), wanted))
    work = lambda: renumber.apply(sources().inventory, wanted, who(), revision, sources().now)  # noqa: E731
    return _told("Nothing was changed", work)


@calls.get("/dial")
def api_dial() -> Response:
    """Where `digits` would go from the line `from`; `origin` as for `provisioner dial`, else `software`."""
    origin = request.args.get("origin", "software")
    if origin not in get_args(Origin):
        abort(400, f"origin must be one of {', '.join(get_args(Origin))}.")
    return api.answer(_where(request.args.get("digits", ""), origin, request.args.get("from", "")))  # type: ignore[arg-type]
