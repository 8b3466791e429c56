"""The JSON API, /api/v1: an API token or a staff session; errors are problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import msgspec
from flask import Blueprint, Response, abort, request, url_for

from provisioner.errors import ProvisionerError
from provisioner.web import adoption, findings, roles, session, views
from provisioner.web.session import sources, who

PAGE = 100  # entries without a limit
MAX_PAGE = 1000
T = TypeVar("T")
P = ParamSpec("P")

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


def answer(body: object, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(msgspec.json.encode(body), status, mimetype="application/json")


def problem(status: int, title: str, detail: str) -> Response:
    """An error as RFC 9457 section 3 says."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(msgspec.json.encode(body), status, mimetype="application/problem+json")


def body(*names: str) -> dict[str, Any]:
    """The JSON object in the body; aborts with 400 when it is none, or (where `names` are given) has other names."""
    found: Any = request.get_json(silent=True)
    if not isinstance(found, dict):
        abort(400, "The body must be a JSON object.")
    if names and (strange := sorted(found.keys() - set(names))):
        abort(400, f"{strange[0]!r} is not known: give {', '.join(names)}.")
    return found


def refusing(title: str) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
    """What a call may not do is a problem document with status 409 and this title."""

    def wrap(call: Callable[P, Response]) -> Callable[P, Response]:
        @wraps(call)
        def inner(*args: P.args, **named: P.kwargs) -> Response:
            try:
                return call(*args, **named)
            except ProvisionerError as error:
                return problem(409, title, str(error))

        return inner

    return wrap


@blueprint.before_request
def guard() -> None:
    """Who shows no good token or session gets no further."""
    token = session.bearer()
    if token is not None:
        roles.check(token.role)
        return
    signed_in = session.current()
    if signed_in is None:
        abort(401, "Send an API token as 'Authorization: Bearer …', or sign in to the staff page.")
    session.check_csrf()
    roles.check(signed_in.role)


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
    here = dict(request.view_args or {})
    asked = {**request.args.to_dict(), **here, "limit": limit, "offset": offset + limit}
    following = url_for(str(request.endpoint), **asked) if more else None
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
        return answer(adoption.adopt(sources(), mac, who(), extension), 201)
    except ProvisionerError as error:
        return problem(409, "The phone was not adopted", str(error))


@blueprint.get("/requests")
def requests() -> Response:
    """What phones asked for, the newest first; `mac`, `rule` and `status` choose. With the rule in words."""
    limit, offset = window()
    found = sources().journal.requests(limit + offset + 1, **views.wanted_requests(request.args))
    return listed([{**row, "why": views.why(row["rule"])} for row in found], limit, offset)


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
