"""One phone: its settings with their layers, its files, its keys, and what staff may change of it; pages and API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import UNSET, UnsetType

from provisioner import ipc
from provisioner.errors import ProvisionerError, UsageError
from provisioner.ipc import Json
from provisioner.phones import editing
from provisioner.phones.adopt import WELCOME_SECONDS, welcome
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.store.records import Key, Phone
from provisioner.store.request_log import Asked
from provisioner.web import api, contract, staff, views
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.session import sources, who
from provisioner.web.shapes import Explained, FileText, PhoneFile, Shape, Sighting
from provisioner.web.sources import World

LAST_REQUESTS = 20
PATIENCE = 5.0  # seconds: a phone of a model that nobody asked for before takes the longest

pages = Blueprint("phone", __name__, url_prefix="/staff/phones/<mac>")
pages.before_request(staff.guard)
calls = Blueprint("phone_api", __name__, url_prefix="/api/v1/phones/<mac>")
calls.before_request(api.guard)


class Place(NamedTuple):
    """One place for a key: what is printed beside it, the phone's own key, and its group's in that place."""

    position: int
    where: str
    key: Key | None
    group: Key | None


class Image(NamedTuple):
    """A firmware file that a model asks for, and whether it is in its folder."""

    name: str
    there: bool


def record(mac: str) -> Phone:
    """The adopted phone; 404 without one."""
    found = sources().snapshot().phones.get(mac)
    if found is None:
        abort(404, "No phone with this address is adopted.")
    return found


def ask(call: str, args: Json) -> Json:
    """What the front answers. Raises Gone without a front, and Refused."""
    return ipc.ask(sources().state.socket("front"), call, args, timeout=PATIENCE)


def _page(template: str, mac: str, status: int = 200, **values: object) -> Response:
    world, phone = sources().world(), record(mac)
    row = next(row for row in views.phones(world) if row.mac == mac)
    catalogue = sources().catalogue()
    model = catalogue.model(phone.vendor, phone.model)
    return staff.page(
        template, world, status, phone=row, record=phone, model=model, catalogue=catalogue, **values
    )


@staff.blueprint.get("/phones/<mac>", endpoint="phone")
def overview(mac: str) -> Response:
    """One phone."""
    world = sources().world()
    row = next((row for row in views.phones(world, ignored=True) if row.mac == mac), None)
    if row is None:
        abort(404, "No phone with this address has asked for anything, and none is in the inventory.")
    return staff.page(
        "phone.html",
        world,
        phone=row,
        record=world.snapshot.phones.get(mac),
        seen=next((seen for seen in world.sightings if seen["mac"] == mac), None),
        requests=sources().journal.requests(LAST_REQUESTS, Asked(mac=mac)),
        adopted_now="adopted" in request.args,
        welcomed="welcome" in request.args,
    )


def _done(page: str, mac: str) -> Response:
    sources().reload()
    return make_response(redirect(url_for(f"phone.{page}", mac=mac, saved=1), 303))


# settings and files


@pages.get("/settings")
def settings(mac: str) -> Response:
    """Every setting: its value, its layer, what it overrides, and what the phone still has."""
    told = ask("explain", {"mac": record(mac).id})
    query = request.args.get("q", "").strip().lower()
    rows = [row for row in told["settings"] if query in row["name"].replace("_", " ") or query in row["name"]]
    if changed := "changed" in request.args:
        rows = [row for row in rows if row["layer"] != "built-in" or "fetched" in row]
    return _page("phone_settings.html", mac, told=told, rows=rows, query=query, changed=changed)


@pages.get("/files")
def files(mac: str) -> Response:
    """The files that it would get, what differs from what it has, and the firmware that it asks for."""
    phone = record(mac)
    told = ask("explain", {"mac": phone.id})
    model = sources().catalogue().model(phone.vendor, phone.model)
    folder = sources().state.root / "firmware" / phone.vendor
    images = list(_images(phone.vendor, model))
    return _page("phone_files.html", mac, told=told, images=images, folder=folder)


def _images(vendor: str, model: Model | None) -> Iterator[Image]:
    folder = sources().state.root / "firmware" / vendor
    there = {path.name.lower() for path in folder.iterdir()} if folder.is_dir() else set()
    named = model.images if model else ()
    if model and model.part and not named:
        named = (f"{model.part}.sip.ld",)
    for name in named:
        yield Image(name, name.lower() in there)


@pages.get("/files/<name>")
def file(mac: str, name: str) -> Response:
    """One file as the phone gets it, with masks for its secrets."""
    told = ask("view", {"mac": record(mac).id, "name": name})
    return _page("phone_file.html", mac, file=told)


# what staff may change


@pages.get("/edit")
def edit(mac: str) -> Response:
    """Its group, location, expansion modules and the names of its lines."""
    return _edit(mac)


def _edit(mac: str, status: int = 200, error: str = "") -> Response:
    return _page("phone_edit.html", mac, status, error=error, saved="saved" in request.args)


@pages.post("/edit")
def save(mac: str) -> Response:
    """Change what was typed."""
    form = request.form
    names = {key.removeprefix("name-"): value for key, value in form.items() if key.startswith("name-")}
    changes = {
        "group": form.get("group", ""),
        "location": form.get("location", ""),
        "modules": [module for module in form.getlist("module") if module],
        "names": names,
    }
    try:
        editing.edit_phone(sources().inventory, record(mac).id, changes, who(), sources().catalogue())
    except ProvisionerError as error:
        return _edit(mac, 409, str(error))
    return _done("edit", mac)


@pages.get("/keys")
def keys(mac: str) -> Response:
    """What each of its keys does."""
    return _keys(mac, record(mac).keys)


def _keys(mac: str, held: tuple[Key, ...], status: int = 200, error: str = "") -> Response:
    phone, snapshot = record(mac), sources().snapshot()
    group = snapshot.phone_groups.get(phone.group)
    return _page(
        "phone_keys.html",
        mac,
        status,
        places=list(key_places(phone, held, group.keys if group else (), sources().catalogue())),
        group=group,
        functions=editing.FUNCTIONS,
        error=error,
        saved="saved" in request.args,
    )


def key_places(
    phone: Phone, held: tuple[Key, ...], group: tuple[Key, ...], catalogue: Catalogue
) -> Iterator[Place]:
    """Each place for a key, the phone's own first, then those of its modules; keys without a place at the end."""
    own = {key.position: key for key in held}
    shared = {key.position: key for key in group}
    model = catalogue.model(phone.vendor, phone.model)
    sizes = [("", model.keys if model else 0)]
    sizes += [(module, catalogue.module_keys(phone.vendor, module)) for module in phone.modules]
    position = 0
    for number, (module, size) in enumerate(sizes):
        for index in range(1, size + 1):
            position += 1
            where = f"{module} {number}, key {index}" if module else f"Key {index}"
            yield Place(position, where, own.get(position), shared.get(position))
    for key in held:
        if key.position > position:
            yield Place(key.position, f"{key.position}: no such key", key, None)


def typed_keys(form: Any) -> tuple[Key, ...]:
    """The keys of a form that has `function-N`, `value-N` and `label-N` for each position. Raises UsageError."""
    found = []
    for name, function in form.items():
        position = name.removeprefix("function-")
        if name == position or not function or not position.isdecimal():
            continue
        if function not in editing.FUNCTIONS:
            raise UsageError(f"Key {position}: {function!r} is nothing that a key does")
        value, label = form.get(f"value-{position}", ""), form.get(f"label-{position}", "")
        key = Key(position=int(position), function=function, value=value.strip(), label=label.strip())
        found.append(key)
    return tuple(found)


@pages.post("/keys")
def save_keys(mac: str) -> Response:
    """Make these its keys."""
    typed: tuple[Key, ...] = ()
    try:
        typed = typed_keys(request.form)
        editing.set_keys(sources().inventory, record(mac).id, typed, who(), sources().catalogue())
    except ProvisionerError as error:
        return _keys(mac, typed, 409, str(error))
    return _done("keys", mac)


@pages.post("/welcome")
def welcome_again(mac: str) -> Response:
    """Let it have its files once more without proof."""
    welcome(sources().inventory, record(mac).id, who(), now=sources().now)
    sources().reload()
    return make_response(redirect(url_for("staff.phone", mac=mac, welcome=1), 303))


# API


def _row(world: World, mac: str) -> views.PhoneRow:
    row = next((row for row in views.phones(world) if row.mac == mac), None)
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


@calls.put("/keys")
@contract.call(record=Phone, refuses="The keys were not changed")
def api_keys(mac: str, body: list[Key]) -> tuple[Key, ...]:
    """Make the list in the body the keys of the phone."""
    edited = editing.set_keys(sources().inventory, record(mac).id, body, who(), sources().catalogue())
    sources().reload()
    return edited.keys


@calls.get("/settings")
@contract.call(answer=Explained, refuses="The settings are not known")
def api_settings(mac: str) -> Json:
    """Every setting: its value, the layer it comes from, what that overrides, and what the phone still has."""
    return ask("explain", {"mac": record(mac).id})


@calls.get("/files")
@contract.call(answer=Page[PhoneFile], refuses="The files are not known")
def api_files(mac: str, query: Paging) -> Page[Json]:
    """The files that it would be given, and what differs from what it fetched last."""
    return contract.listed(ask("files", {"mac": record(mac).id})["files"], query)


@calls.get("/files/<name>")
@contract.call(answer=FileText, refuses="The file cannot be shown")
def api_file(mac: str, name: str) -> Json:
    """One file, with masks for its secrets."""
    return ask("view", {"mac": record(mac).id, "name": name})


@calls.post("/welcome")
@contract.call(refuses="The phone was not welcomed")
def api_welcome(mac: str) -> Welcome:
    """Let it have its files once more without proof; until when."""
    welcome(sources().inventory, record(mac).id, who(), now=sources().now)
    sources().reload()
    return Welcome(welcome_until=sources().now() + WELCOME_SECONDS)
