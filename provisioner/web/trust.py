"""Which phones get anything: the policy, the routers, the adoption window; pages and API."""

from __future__ import annotations

import re

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.errors import ProvisionerError
from provisioner.phones import editing
from provisioner.phones.proof import window_open
from provisioner.store.records import Practice
from provisioner.web import api, staff
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

ADOPTION = {
    "open": (
        N_("Open"),
        N_(
            "Phones that nobody adopted show up as waiting and get a file without an account. Adopted phones may "
            "have their first files without any proof, once."
        ),
    ),
    "adopted": (
        N_("Adopted phones only"),
        N_(
            "Other phones are refused, but shown to you, and you can adopt them. An adopted phone proves that it is "
            "that phone; without a proof it may have its first files for a day after its adoption."
        ),
    ),
    "certificate": (
        N_("With the maker's certificate only"),
        N_(
            "Phones ask over HTTPS and show the certificate that their maker put into them. The makers' authorities "
            "have to be installed here."
        ),
    ),
}
WINDOWS = {
    "15": N_("for 15 minutes"),
    "60": N_("for an hour"),
    "480": N_("for 8 hours"),
    "1440": N_("for a day"),
    "": N_("until I close it"),
}

pages = Blueprint("trust", __name__, url_prefix="/staff/trust")
pages.before_request(staff.guard)
calls = Blueprint("trust_api", __name__, url_prefix="/api/v1/trust")
calls.before_request(api.guard)


@pages.get("")
def show() -> Response:
    """The policy, and until when."""
    return _page()


def _page(status: int = 200, error: str = "") -> Response:
    world = sources().world()
    practice = world.snapshot.practice
    return staff.page(
        "trust.html",
        world,
        status,
        practice=practice,
        open_now=window_open(practice, world.now),
        policies=ADOPTION,
        windows=WINDOWS,
        error=error,
        saved="saved" in request.args,
    )


@pages.post("")
def save() -> Response:
    """Change the policy; a window begins now."""
    form, held = request.form, sources().snapshot().practice
    adoption, minutes = form.get("adoption", ""), form.get("minutes", "keep")
    until = held.adoption_until if adoption == "open" else 0.0
    if adoption == "open" and minutes in WINDOWS:
        until = sources().now() + 60 * int(minutes) if minutes else 0.0
    routers = [each for each in re.split(r"[\s,;]+", form.get("routers", "")) if each]
    try:
        editing.set_policy(
            sources().inventory, who(), adoption=adoption, adoption_until=until, routers=routers
        )
    except ProvisionerError as error:
        return _page(409, str(error))
    sources().reload()
    return make_response(redirect(url_for("trust.show", saved=1), 303))


# API


def _told(practice: Practice) -> Response:
    return api.answer(
        {
            "adoption": practice.adoption,
            "adoption_until": practice.adoption_until,
            "open": window_open(practice, sources().now()),
            "routers": practice.routers,
        }
    )


@calls.get("")
def api_show() -> Response:
    """The policy; `adoption_until` in seconds since 1970, 0: no end."""
    return _told(sources().snapshot().practice)


@calls.patch("")
@api.refusing("The policy was not changed")
def api_save() -> Response:
    """Change `adoption`, `adoption_until` or `routers`."""
    changes = api.body("adoption", "adoption_until", "routers")
    until, routers = changes.get("adoption_until", 0), changes.get("routers", [])
    if isinstance(until, bool) or not isinstance(until, int | float) or until < 0:
        abort(400, "adoption_until must be seconds since 1970, 0 for no end.")
    if not isinstance(routers, list) or not all(isinstance(each, str) for each in routers):
        abort(400, "routers must be a list of MACs and addresses.")
    if "adoption_until" in changes:
        changes["adoption_until"] = float(until)
    practice = editing.set_policy(sources().inventory, who(), **changes)
    sources().reload()
    return _told(practice)
