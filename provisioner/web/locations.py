"""Where phones are: locations are kept and phones placed and confirmed, on the page and by the API."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.emergency import locations
from provisioner.emergency.moved import Whereabouts
from provisioner.errors import UsageError
from provisioner.store.records import Location, Phone, Placement
from provisioner.web import api, contract, staff
from provisioner.web.contract import Body, Page, Paging, Text
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


class Shown(Location, frozen=True, tag="location"):
    """A location with its whole address as `civic`, and what of it is its `own`."""

    own: dict[str, str] = {}


class Confirm(Body, frozen=True):
    """Where the phone is; "": where it is placed."""

    location: Text = ""


def _shown(name: str) -> Shown:
    snapshot = sources().snapshot()
    place = snapshot.place(name)
    if place is None:
        abort(404, "There is no such location.")
    return Shown(**msgspec.structs.asdict(place), own=snapshot.locations[name].civic)


@calls.get("/locations")
@contract.call()
def listing(query: Paging) -> Page[Shown]:
    """The practice's locations, each with its whole address as `civic` and what of it is its own as `own`."""
    return contract.listed([_shown(name) for name in sources().snapshot().locations], query)


@calls.get("/locations/<name>")
@contract.call(record=Location)
def api_one(name: str) -> Shown:
    """One location."""
    return _shown(name)


@calls.put("/locations/<name>")
@contract.call(
    record=Location,
    body=contract.whole(Location, "LocationBody"),
    refuses="The location was not kept",
    refusal=422,
)
def keep(name: str, body: msgspec.Struct) -> Location:
    """Make or change a location; `civic` has only what is its own."""
    location = locations.keep(sources().inventory, name, contract.given(body), who())
    sources().reload()
    return location


@calls.delete("/locations/<name>")
@contract.call(record=Location, refuses="The location is in use")
def delete(name: str) -> None:
    """Forget a location that nothing is at, and nothing is a part of."""
    snapshot = sources().snapshot()
    if name not in snapshot.locations:
        abort(404, "There is no such location.")
    users = [each.id for each in snapshot.locations.values() if each.parent == name]
    users += [each.id for each in snapshot.phones.values() if each.location == name]
    users += [each.id for each in snapshot.numbers.values() if each.location == name]
    if users:
        raise UsageError(f"{', '.join(users[:4])} would be nowhere. Give them another location first.")
    with sources().inventory.change(who()) as change:
        change.delete(Location, name)
    sources().reload()


@calls.post("/phones/<mac>/location")
@contract.call(record=Phone, refuses="The phone was not placed")
def confirm(mac: str, body: Confirm = Confirm()) -> Placement:  # noqa: B008 - it is frozen
    """A person says that the phone is where it is placed, or at another location."""
    if sources().inventory.get(Phone, mac) is None:
        abort(404, "There is no such phone.")
    return _place(mac, body.location, who())


@pages.post("/phones/<mac>/location")
def confirm_form(mac: str) -> Response:
    """The same from the phone's page."""
    _place(mac, request.form.get("location", ""), who())
    return make_response(redirect(url_for("staff.phone", mac=mac), 303))
