"""The choice of the pages' language, with a session or without."""

from __future__ import annotations

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.people import users
from provisioner.web import language, session
from provisioner.web.language import gettext as _

COOKIE_SECONDS = 400 * 86_400  # the longest that browsers keep one

pages = Blueprint("language", __name__, url_prefix="/staff")
pages.before_request(session.check_csrf)


@pages.post("/language")
def choose() -> Response:
    """Show the pages in the language that was chosen, from now on in this browser."""
    wanted, back = request.form.get("language", ""), request.form.get("back", "")
    if wanted not in language.LANGUAGES:
        abort(400, _("There is no such language."))
    here = session.current()
    if here and here.user:
        users.edit(session.sources().inventory, here.user, here.who, {"language": wanted})
    response = make_response(redirect(back if back.startswith("/staff/") else url_for("staff.overview"), 303))
    response.set_cookie(
        language.COOKIE,
        wanted,
        max_age=COOKIE_SECONDS,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response
