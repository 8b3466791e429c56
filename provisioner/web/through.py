"""The page of dial-through numbers: the pool, who has which now, and a form that hands one out."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, make_response, redirect, request, url_for

from provisioner.errors import ProvisionerError
from provisioner.store import dial_through
from provisioner.web import api, staff
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

SECONDS = {
    "900": N_("for 15 minutes"),
    "3600": N_("for an hour"),
    "28800": N_("for 8 hours"),
    "86400": N_("for a day"),
    "604800": N_("for a week"),
}

pages = Blueprint("through", __name__, url_prefix="/staff/dial-through")
pages.before_request(staff.guard)
calls = Blueprint("through_api", __name__, url_prefix="/api/v1")  # its calls are in calling.py
calls.before_request(api.guard)


@pages.get("")
def show() -> Response:
    """The pool, and the numbers that are handed out."""
    return _page()


def _page(status: int = 200, error: str = "") -> Response:
    world = sources().world()
    numbers = world.snapshot.numbers.values()
    return staff.page(
        "through.html",
        world,
        status,
        rows=dial_through.live(world.snapshot, world.now),
        pool=[each for each in numbers if each.dial_through],
        shown=[each for each in numbers if not each.dial_through],
        seconds=SECONDS,
        typed=request.form,
        error=error,
        made=request.args.get("made", ""),
        main=world.snapshot.practice.main_number,
    )


@pages.post("")
def hand_out() -> Response:
    """Hand a number out to somebody's phone."""
    form, seconds = request.form, request.form.get("seconds", "")
    phone, target = form.get("phone", ""), form.get("target", "")
    good = float(seconds) if seconds in SECONDS else 3600.0
    inventory, once, name = sources().inventory, "once" in form, secrets.token_hex(8)
    try:
        made = dial_through.allocate(
            inventory, phone, target, form.get("calling", ""), good, once,
            who=who(), now=sources().now(), name=name,
        )  # fmt: skip
    except ProvisionerError as error:
        return _page(409, str(error))
    sources().reload()
    return make_response(redirect(url_for("through.show", made=made.number), 303))


@pages.post("/<name>/end")
def end(name: str) -> Response:
    """End one before its time."""
    try:
        dial_through.release(sources().inventory, name, who())
    except ProvisionerError:
        return _page(409, _("It has ended already"))
    sources().reload()
    return make_response(redirect(url_for("through.show"), 303))
