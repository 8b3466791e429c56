"""The JSON API, /api/v1: an API token or a staff session; errors are problem documents (RFC 9457)."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, abort, request, url_for

from provisioner.errors import ProvisionerError
from provisioner.web import adoption, findings, session, views
from provisioner.web.session import sources

PAGE = 100  # entries without a limit
MAX_PAGE = 1000
T = TypeVar("T")

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


def answer(body: object, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(msgspec.json.encode(body), status, mimetype="application/json")


def problem(status: int, title: str, detail: str) -> Response:
    """An error as RFC 9457 section 3 says."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(msgspec.json.encode(body), status, mimetype="application/problem+json")


@blueprint.before_request
def guard() -> None:
    """Who shows no good token or session gets no further."""
    if session.bearer_role() is not None:
        return
    if session.current() is None:
        abort(401, "Send an API token as 'Authorization: Bearer …', or sign in to the staff page.")
    session.check_csrf()


def window() -> tuple[int, int]:
    """The `limit` and `offset` asked for."""
    try:
        limit, offset = int(request.args.get("limit", PAGE)), int(request.args.get("offset", 0))
    except ValueError:
        limit = offset = -1
    if not 1 <= limit <= MAX_PAGE or offset < 0:
        abort(400, f"limit must be 1 to {MAX_PAGE}, offset 0 or more.")
    return limit, offset


def listed(rows: list[T], limit: int, offset: int) -> Response:
    """One page of `rows` and the address of the next, null on the last."""
    more = len(rows) > offset + limit
    here = {**request.args.to_dict(), **(request.view_args or {}), "limit": limit, "offset": offset + limit}
    following = url_for(str(request.endpoint), **here) if more else None
    return answer({"items": rows[offset : offset + limit], "next": following})


@blueprint.get("/phones")
def phones() -> Response:
    """All phones, waiting and adopted."""
    return listed(views.phones(sources().world()), *window())


@blueprint.post("/phones/<mac>/adopt")
def adopt(mac: str) -> Response:
    """Adopt a waiting phone; the body may name an `extension`."""
    body: Any = request.get_json(silent=True) if request.content_length else {}
    extension = body.get("extension", "") if isinstance(body, dict) else None
    if not isinstance(extension, str):
        abort(400, 'The body must be a JSON object such as {"extension": "104"}, or empty.')
    try:
        return answer(adoption.adopt(sources(), mac, "api", extension), 201)
    except ProvisionerError as error:
        return problem(409, "The phone was not adopted", str(error))


@blueprint.get("/status")
def status() -> Response:
    """What runs, what is wrong, and the counts of the overview."""
    world = sources().world()
    rows = views.phones(world)
    edge = world.edge or {}
    return answer(
        {
            "revision": world.snapshot.revision,
            "processes": {name: name not in world.away for name in ("edge", "front")},
            "trunks": edge.get("trunks", []),
            "phones": {name: sum(row.status == name for row in rows) for name in views.PHONE_STATUS},
            "calls": len(views.live_calls(world)),
            "counters": edge.get("counters", {}),
            "findings": findings.findings(world, rows),
        }
    )


@blueprint.get("/numbers")
def numbers() -> Response:
    """The practice's numbers."""
    return listed(list(sources().snapshot().numbers.values()), *window())


@blueprint.get("/locations")
def locations() -> Response:
    """The practice's locations, each with its whole address as `civic` and what of it is its own as `own`."""
    snapshot = sources().snapshot()
    rows = [
        {**msgspec.to_builtins(snapshot.place(name)), "own": held.civic}
        for name, held in snapshot.locations.items()
    ]
    return listed(rows, *window())
