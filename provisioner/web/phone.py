"""One phone: its settings with their layers, its files, its keys, and what staff may change of it; pages and API."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import UNSET, UnsetType

from provisioner import ipc
from provisioner.emergency import locations
from provisioner.errors import ProvisionerError
from provisioner.ipc import Json
from provisioner.phones import editing
from provisioner.phones.adopt import WELCOME_SECONDS, welcome
from provisioner.store.records import Phone
from provisioner.store.request_log import Asked
from provisioner.web import api, contract, staff, views
from provisioner.web.contract import Body, Text
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape, Sighting
from provisioner.web.sources import World

LAST_REQUESTS = 20
PATIENCE = 5.0  # seconds: a phone of a model that nobody asked for before takes the longest

pages = Blueprint("phone", __name__, url_prefix="/staff/phones/<mac>")
pages.before_request(staff.guard)
calls = Blueprint("phone_api", __name__, url_prefix="/api/v1/phones/<mac>")
calls.before_request(api.guard)


def record(mac: str) -> Phone:
    """The adopted phone; 404 without one."""
    found = sources().snapshot().phones.get(mac)
    if found is None:
        abort(404, "No phone with this address is adopted.")
    return found


def ask(call: str, args: Json) -> Json:
    """What the front answers. Raises Gone without a front, and Refused."""
    return ipc.ask(sources().state.socket("front"), call, args, timeout=PATIENCE)


def page(template: str, mac: str, status: int = 200, **values: object) -> Response:
    """A page of one adopted phone, with what each of them shows."""
    world, phone = sources().world(), record(mac)
    row = _row(world, mac)
    catalogue = sources().catalogue()
    model = catalogue.model(phone.vendor, phone.model)
    return staff.page(
        template, world, status, phone=row, record=phone, model=model, catalogue=catalogue, **values
    )


@staff.blueprint.get("/phones/<mac>", endpoint="phone")
def overview(mac: str) -> Response:
    """One phone: how it is, its lines, what a 911 call of it tells, and what can be done."""
    world = sources().world()
    row = views.phone(world, mac, ignored=True)
    if row is None:
        abort(404, "No phone with this address has asked for anything, and none is in the inventory.")
    held, journal = world.snapshot.phones.get(mac), sources().journal
    registrations: list[Json] = (world.edge or {}).get("registrations", [])
    registered = next((each for each in registrations if each["mac"] == mac), None)
    row.newest = sources().newest().of(row.vendor, row.model, row.version)
    return staff.page(
        "phone.html",
        world,
        phone=row,
        record=held,
        registered=registered,
        told=locations.told(world.snapshot, held) if held else [],
        fetched=next(iter(journal.requests(1, Asked(mac=mac, status=200))), None),
        seen=next((seen for seen in world.sightings if seen["mac"] == mac), None),
        requests=journal.requests(LAST_REQUESTS, Asked(mac=mac)),
        adopted_now="adopted" in request.args,
        welcomed="welcome" in request.args,
        replaced=request.args.get("replaced", ""),
    )


def done(tab: str, mac: str) -> Response:
    """After a change: let edge and front know, and lead back to the tab."""
    sources().reload()
    return make_response(redirect(url_for(f"phone.{tab}", mac=mac, saved=1), 303))


# what staff may change


@pages.get("/edit")
def edit(mac: str) -> Response:
    """Its group, location, expansion modules and the names of its lines."""
    return _edit(mac)


def _edit(mac: str, status: int = 200, error: str = "") -> Response:
    return page("phone_edit.html", mac, status, error=error, saved="saved" in request.args)


@pages.post("/edit")
def save(mac: str) -> Response:
    """Change what was typed."""
    form = request.form
    names = {key.removeprefix("name-"): value for key, value in form.items() if key.startswith("name-")}
    changes: dict[str, Any] = {
        "group": form.get("group", ""),
        "modules": [module for module in form.getlist("module") if module],
        "names": names,
    }
    if "location" in form:
        changes["location"] = form["location"]
    try:
        editing.edit_phone(sources().inventory, record(mac).id, changes, who(), sources().catalogue())
    except ProvisionerError as error:
        return _edit(mac, 409, str(error))
    return done("edit", mac)


@pages.post("/welcome")
def welcome_again(mac: str) -> Response:
    """Let it have its files once more without proof."""
    welcome(sources().inventory, record(mac).id, who(), now=sources().now)
    sources().reload()
    return make_response(redirect(url_for("staff.phone", mac=mac, welcome=1), 303))


# API


def _row(world: World, mac: str) -> views.PhoneRow:
    row = views.phone(world, mac)
    if row is None:
        abort(404, "No phone with this address has asked for anything, and none is in the inventory.")
    return row


class View(Shape, frozen=True):
    """One phone: its state, what is in the inventory of it (null when it waits), and when it was seen."""

    phone: views.PhoneRow
    record: Phone | None
    sighting: Sighting | None


class Edit(Body, frozen=True):
    """What is to be changed. `names`: of its lines, by extension; `modules`: as the catalogue names them."""

    group: Text | UnsetType = UNSET
    location: Text | UnsetType = UNSET
    modules: list[Text] | UnsetType = UNSET
    names: dict[str, Text] | UnsetType = UNSET


class Welcome(Shape, frozen=True):
    """Until when it may have its files without proof."""

    welcome_until: float


@calls.get("")
@contract.call(record=Phone, answer=View)
def api_phone(mac: str) -> dict[str, object]:
    """One phone: its state, what is in the inventory of it (null when it waits), and when it was seen."""
    world = sources().world()
    row = _row(world, mac)
    seen = next((seen for seen in world.sightings if seen["mac"] == mac), None)
    return {"phone": row, "record": world.snapshot.phones.get(mac), "sighting": seen}


@calls.patch("")
@contract.call(record=Phone, refuses="The phone was not changed")
def api_edit(mac: str, body: Edit) -> Phone:
    """Change its group, location, expansion modules, or the names of its lines."""
    wanted = contract.changes(body)
    edited = editing.edit_phone(sources().inventory, record(mac).id, wanted, who(), sources().catalogue())
    sources().reload()
    return edited


@calls.post("/welcome")
@contract.call(refuses="The phone was not welcomed")
def api_welcome(mac: str) -> Welcome:
    """Let it have its files once more without proof; until when."""
    welcome(sources().inventory, record(mac).id, who(), now=sources().now)
    sources().reload()
    return Welcome(welcome_until=sources().now() + WELCOME_SECONDS)
