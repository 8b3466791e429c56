"""The log of requests: what phones asked for, what they were told, and why; on the page, as CSV and by the API."""

from __future__ import annotations

from flask import Blueprint, Response, request

from provisioner.phones.trust import RULES
from provisioner.web import api, staff, views
from provisioner.web.session import sources

REQUESTS = 500

pages = Blueprint("request_log", __name__, url_prefix="/staff/requests")
pages.before_request(staff.guard)
calls = Blueprint("request_log_api", __name__, url_prefix="/api/v1/requests")
calls.before_request(api.guard)


@staff.blueprint.get("/requests", endpoint="requests")
def requests() -> Response:
    """What phones asked for, what they were told, and by which rule."""
    query, wanted = request.args.get("q", "").strip(), views.wanted_requests(request.args)
    rows = sources().journal.requests(REQUESTS, **wanted)
    return staff.page(
        "requests.html",
        sources().world(),
        requests=[row for row in rows if views.matches_request(row, query)],
        query=query,
        limit=REQUESTS,
        rules=RULES,
        statuses=sorted({status for status, _words in RULES.values()} | {206, 304, 416}),
        wanted=wanted,
    )
