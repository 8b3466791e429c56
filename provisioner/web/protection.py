"""Who is shut out of the phone service, who gets no files, why, and letting them in again; pages and API."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.errors import OperatorError
from provisioner.phones.identity import normal_mac
from provisioner.web import api, contract, shapes, staff, words
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.language import later as N_
from provisioner.web.session import sources
from provisioner.web.sources import World

pages = Blueprint("protection", __name__, url_prefix="/staff/protection")
pages.before_request(staff.guard)
calls = Blueprint("protection_api", __name__, url_prefix="/api/v1/protection")
calls.before_request(api.guard)


class Ban(shapes.Shape, frozen=True):
    """An address, or IPv6 /64, that the edge does not answer. `hits`: what was dropped; `until`: when it ends."""

    source: str
    reason: str
    why: str
    until: float
    hits: int


class Held(Ban, frozen=True):
    """A host (a MAC on the link, else an address or IPv6 /64) that gets no files without proof."""

    address: str
    mac: str


class Source(Body, frozen=True):
    """Whom to let in again, as the list names it."""

    source: Text


def bans(world: World) -> list[Ban]:
    """Who is shut out, the first to be let in again first."""
    rows = [{**row, "why": words.ban(row["reason"])} for row in (world.edge or {}).get("bans", [])]
    return msgspec.convert(sorted(rows, key=lambda row: (row["until"], row["source"])), list[Ban])


def held(world: World) -> list[Held]:
    """Who is in quarantine, the first to be let go first."""
    rows = [
        {**row, "why": words.quarantine(row["reason"])} for row in (world.front or {}).get("quarantine", [])
    ]
    return msgspec.convert(sorted(rows, key=lambda row: (row["until"], row["source"])), list[Held])


# pages


@pages.get("")
def show() -> Response:
    """Who is shut out, why, and until when."""
    return _page()


def _page(status: int = 200, error: str = "") -> Response:
    world = sources().world()
    return staff.page("protection.html", world, status, bans=bans(world), quarantine=held(world), error=error)


def _asked(process: str, call: str) -> Response:
    """Have `process` let in the source of the form."""
    _answer, error = sources().ask(process, call, {"source": request.form.get("source", "")})
    return _page(409, error) if error else make_response(redirect(url_for("protection.show"), 303))


@pages.post("/unban")
def unban() -> Response:
    """Let an address in again."""
    return _asked("edge", "unban")


@pages.post("/release")
def release() -> Response:
    """Take who asked for phones' files out of quarantine."""
    return _asked("front", "release")


# API


def _here(world: World, process: str) -> None:
    """Abort with 503 when the process that knows does not answer: an empty list would be a lie."""
    if process in world.away:
        abort(503, world.away[process])


def _told(process: str, call: str, source: str) -> None:
    _answer, error = sources().ask(process, call, {"source": source})
    if error:
        what, _, remedy = error.partition(": ")
        raise OperatorError(what, remedy)


@calls.get("/bans")
@contract.call(problems=(503,))
def api_bans(query: Paging) -> Page[Ban]:
    """Addresses that the phone service does not answer."""
    world = sources().world()
    _here(world, "edge")
    return contract.listed(bans(world), query)


@calls.post("/unban")
@contract.call(refuses=N_("It was not let in again"))
def api_unban(body: Source) -> None:
    """Let an address in again."""
    _told("edge", "unban", body.source)


@calls.get("/quarantine")
@contract.call(problems=(503,))
def api_quarantine(query: Paging) -> Page[Held]:
    """Hosts that get no files unless they prove which phone they are."""
    world = sources().world()
    _here(world, "front")
    return contract.listed(held(world), query)


@calls.post("/release")
@contract.call(refuses=N_("It was not released"))
def api_release(body: Source) -> None:
    """Take a host out of quarantine."""
    _told("front", "release", normal_mac(body.source) or body.source)
