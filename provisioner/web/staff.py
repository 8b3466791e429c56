"""The staff pages. Every page works without script; with it, parts are fetched again when events come."""

from __future__ import annotations

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from provisioner.phones import first_start
from provisioner.web import roles, session, signing, views, words
from provisioner.web.language import gettext as _
from provisioner.web.session import sources
from provisioner.web.sources import World

blueprint = Blueprint("staff", __name__, url_prefix="/staff")
_BEFORE = frozenset(
    {"wizard", "account", "signing", "language", "trunks.test_part", "backup", "work"}
)  # the first start uses them
_OPEN = frozenset({"staff.sign_in", "staff.signed_out", "staff.session_state"})


@blueprint.before_request
def guard() -> ResponseReturnValue | None:
    """Who is not signed in, or sends an old form, gets no further."""
    if request.endpoint in _OPEN:
        return None
    signed_in = session.current()
    if signed_in is None:
        response = signing.page(401, "none")
        response.headers["HX-Refresh"] = "true"  # a page left open past its session must not look alive
        return response
    session.check_csrf()
    roles.check(signed_in.role)
    return _first_start()


def _first_start() -> ResponseReturnValue | None:
    """Every page of an appliance that is not set up leads to its first start."""
    own = request.blueprint in _BEFORE or request.endpoint in _BEFORE
    if own or request.method != "GET" or not first_start.pending(sources().snapshot()):
        return None
    if not roles.may("wizard.begin"):
        abort(403, _("This appliance is not set up yet. An administrator does that."))
    return redirect(url_for("wizard.begin"), 303)


@blueprint.get("/session")
def session_state() -> tuple[str, int]:
    """204 for a good session, else 401; the front asks before it opens an event stream."""
    return "", 204 if session.current() else 401


@blueprint.get("/sign-in/<token>")
def sign_in(token: str) -> ResponseReturnValue:
    """Use up a one-time link and begin a session."""
    if request.method == "HEAD":
        return ""  # link previews must not use the link up
    role = sources().inventory.check_token("sign-in", token)
    if role is None:
        if session.current():
            return redirect(url_for("staff.overview"), 303)  # the link was opened twice in one browser
        return signing.page(410, "used")
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        # From a link on another site a redirect would go out without the new SameSite=Strict cookie.
        response = signing.page(200, "done")
    else:
        response = make_response(redirect(url_for("staff.overview"), 303))
    session.begin(response, role)
    sources().inventory.note(
        session.CONSOLE,
        "sign_in",
        session.CONSOLE,
        {"result": "signed in", "address": request.remote_addr or ""},
    )
    return response


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session."""
    response = make_response(redirect(url_for("staff.signed_out"), 303))
    session.end(response)
    return response


@blueprint.get("/signed-out")
def signed_out() -> Response:
    """Where signing out leads."""
    return signing.page(200, "out")


def page(template: str, world: World, status: int = 200, **values: object) -> Response:
    """A page of the staff, with what each of them shows."""
    text = render_template(
        template,
        world=world,
        now=world.now,
        tz=words.zone(world.snapshot.practice.time_zone),
        emergencies=views.emergencies(world),
        **values,
    )
    return make_response(text, status)
