"""Where phones are: locations are kept and phones placed and confirmed, on the page and by the API."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.emergency import locations
from provisioner.emergency.moved import Whereabouts
from provisioner.errors import UsageError
from provisioner.store.records import Location, Phone, Placement
from provisioner.web import api, staff
from provisioner.web.session import sources, who

pages = Blueprint("locations", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("locations_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


def _seen(mac: str) -> Whereabouts | None:
    """What the edge has last heard of a phone's whereabouts."""
    row = next((row for row in sources().journal.whereabouts() if row["mac"] == mac), None)
    return msgspec.convert(row["body"], Whereabouts) if row else None


def _place(mac: str, location: str, who: str) -> Placement:
    placement = locations.place(sources().inventory, mac, location, who, sources().now(), _seen(mac))
    sources().reload()
    return placement


@calls.get("/locations")
def listing() -> Response:
    """The practice's locations, each with its whole address as `civic` and what of it is its own as `own`."""
    snapshot = sources().snapshot()
    rows = [
        {**msgspec.to_builtins(snapshot.place(name)), "own": held.civic}
        for name, held in snapshot.locations.items()
    ]
    return api.listed(rows, *api.window())


@calls.put("/locations/<name>")
def keep(name: str) -> Response:
    """Make or change a location; the body has its fields, `civic` only what is its own."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        abort(
            400,
            'The body must be a JSON object such as {"name": "Exam 3", "parent": "floor-2", "level": "room"}.',
        )
    try:
        location = locations.keep(sources().inventory, name, body, who())
    except UsageError as error:
        return api.problem(422, "The location was not kept", str(error))
    sources().reload()
    return api.answer(location)


@calls.delete("/locations/<name>")
def delete(name: str) -> Response:
    """Forget a location that nothing is at, and nothing is a part of."""
    snapshot = sources().snapshot()
    if name not in snapshot.locations:
        abort(404, "There is no such location.")
    users = [each.id for each in snapshot.locations.values() if each.parent == name]
    users += [each.id for each in snapshot.phones.values() if each.location == name]
    users += [each.id for each in snapshot.numbers.values() if each.location == name]
    if users:
        detail = f"{', '.join(users[:4])} would be nowhere. Give them another location first."
        return api.problem(409, "The location is in use", detail)
    with sources().inventory.change(who()) as change:
        change.delete(Location, name)
    sources().reload()
    return Response(status=204)


@calls.post("/phones/<mac>/location")
def confirm(mac: str) -> Response:
    """A person says that the phone is where it is placed, or at the `location` that the body names."""
    body = request.get_json(silent=True) if request.content_length else {}
    location = body.get("location", "") if isinstance(body, dict) else None
    if not isinstance(location, str):
        abort(400, 'The body must be a JSON object such as {"location": "exam-3"}, or empty.')
    if sources().inventory.get(Phone, mac) is None:
        abort(404, "There is no such phone.")
    return api.answer(_place(mac, location, who()))


@pages.post("/phones/<mac>/location")
def confirm_form(mac: str) -> Response:
    """The same from the phone's page."""
    _place(mac, request.form.get("location", ""), who())
    return make_response(redirect(url_for("staff.phone", mac=mac), 303))
