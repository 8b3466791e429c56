"""Settings of phones in layers: what a layer sets, and changing it; pages and API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from zoneinfo import available_timezones

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.errors import ProvisionerError
from provisioner.ipc import Json
from provisioner.phones import editing
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.identity import normal_mac
from provisioner.phones.reach import Reach, layers_of, reach
from provisioner.phones.vocabulary import SETTINGS, Setting, as_text, from_text, shown
from provisioner.store.audit import Audit
from provisioner.store.inventory import Conflict
from provisioner.store.records import PhoneSettings, Snapshot
from provisioner.web import api, contract, forms, staff, words
from provisioner.web.contract import Page, Paging, Text
from provisioner.web.language import gettext as _
from provisioner.web.session import sources, who
from provisioner.web.setting_groups import CHOICES, GROUPS
from provisioner.web.shapes import LayerValues, Shape

CHANGES = 10  # the last ones of a layer
OWN = frozenset({"registrar_host", "registrar_port", "provisioning_host", "provisioning_port"})

pages = Blueprint("layers", __name__, url_prefix="/staff/settings")
pages.before_request(staff.guard)
calls = Blueprint("layers_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class Row(NamedTuple):
    """One setting as a layer sees it. `here`: its own value, None for none; else `value` comes from `layer`."""

    setting: Setting
    here: object
    value: object
    layer: str
    overridden: int


class Changed(NamedTuple):
    """One setting's change in the audit log."""

    at: float
    who: str
    name: str
    before: str
    after: str


def choices(snapshot: Snapshot, catalogue: Catalogue) -> dict[str, list[tuple[str, str]]]:
    """The layers to choose from, by kind: id and words. Single phones only where they have a layer."""
    models = sorted({layers_of(phone, catalogue)[1] for phone in snapshot.phones.values()})
    stored = sorted(snapshot.phone_settings)
    models += [layer for layer in stored if layer.startswith("model:") and layer not in models]
    return {
        "": [("site", words.layer("site", snapshot))],
        "Groups": [
            (layer, words.layer(layer, snapshot)) for layer in (f"group:{g}" for g in snapshot.phone_groups)
        ],
        "Makers": [
            (layer, words.layer(layer, snapshot)) for layer in (f"vendor:{v}" for v in catalogue.vendors)
        ],
        "Models": [(layer, words.layer(layer, snapshot)) for layer in models],
        "Phones": [(layer, words.layer(layer, snapshot)) for layer in stored if layer.startswith("phone:")],
    }


def _wider(snapshot: Snapshot, layer: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The stored layers that this one's values lie over, for all phones that have it, the nearest first."""
    kind, _, name = layer.partition(":")
    phone = snapshot.phones.get(name) if kind == "phone" else None
    if phone:
        return tuple(reversed(layers_of(phone, catalogue)[:-1]))
    return {"model": (f"vendor:{name.partition('/')[0]}",), "group": ("site",)}.get(kind, ())


def rows(snapshot: Snapshot, layer: str, reached: Reach, catalogue: Catalogue) -> list[Row]:
    """Every setting as this layer sees it."""
    stored = snapshot.phone_settings
    own = stored[layer].values if layer in stored else {}
    wider = [name for name in _wider(snapshot, layer, catalogue) if name in stored]
    found = []
    for name, setting in SETTINGS.items():
        origin = next((each for each in wider if name in stored[each].values), "built-in")
        value: object = setting.default if origin == "built-in" else stored[origin].values[name]
        if origin == "built-in" and name in OWN:
            value = "this appliance's"
        if name == "time_zone" and origin == "built-in":
            origin, value = "practice", snapshot.practice.time_zone
        found.append(Row(setting, own.get(name), value, origin, reached.overridden[name]))
    return found


def changes(audit: list[Audit]) -> list[Changed]:
    """What changed, setting by setting, the newest first."""
    found = []
    for row in audit:
        before, after = (
            msgspec.json.decode(text)["values"] if text else {} for text in (row.before, row.after)
        )
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                told = [shown(each[name]) if name in each else "not set" for each in (before, after)]
                found.append(Changed(row.at, row.who, name, *told))
    return found[:CHANGES]


def _known(layer: str) -> str:
    """The id of a layer as it is written; a phone may be named by its extension. Aborts with 404."""
    kind, _, name = layer.partition(":")
    snapshot = sources().snapshot()
    if kind == "phone":
        held = snapshot.line(name.strip())
        mac = held[0].id if held else normal_mac(name) or ""
        if mac not in snapshot.phones:
            abort(404, "No phone with this extension or MAC is adopted.")
        return f"phone:{mac}"
    there = any(
        layer == each for rows in choices(snapshot, sources().catalogue()).values() for each, _ in rows
    )
    model = kind == "model" and sources().catalogue().model(*name.split("/", 1)) if "/" in name else None
    if not there and not model:
        abort(
            404, "There is no such layer: it is site, vendor:NAME, model:MAKER/MODEL, group:ID or phone:MAC."
        )
    return f"model:{name.partition('/')[0]}/{model.name}" if model else layer


NONE = (
    '""'  # how nothing at all is written, where a setting may be that; an empty field is the inherited value
)


class Shown(NamedTuple):
    """One setting on the page of a layer: what stands in its field, and what the field is without it."""

    row: Row
    text: str
    inherited: str
    error: str


class Listed(NamedTuple):
    """A group of settings on the page. `hidden`: how many more there are for who asks for all."""

    title: str
    settings: list[Shown]
    hidden: int


@pages.get("")
def show() -> Response:
    """One layer: every setting as it sees it, by groups."""
    named = request.args.get("phone", "").strip()
    return _show(_known(f"phone:{named}" if named else request.args.get("layer", "site")))


def _show(
    layer: str,
    status: int = 200,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    conflict: bool = False,
) -> Response:
    snapshot, catalogue = sources().snapshot(), sources().catalogue()
    reached = reach(snapshot, layer, catalogue)
    query, everything = request.values.get("q", "").strip(), bool(request.values.get("all"))
    found = {row.setting.name: row for row in rows(snapshot, layer, reached, catalogue)}
    stored = sources().inventory.get(PhoneSettings, layer)
    return staff.page(
        "settings.html", sources().world(), status,
        layer=layer, groups=_listed(found, query.lower(), everything, typed or {}, errors or {}),
        own=[row for row in found.values() if row.here is not None], reached=reached,
        choices=choices(snapshot, catalogue), query=query, everything=everything, errors=errors or {},
        changes=changes(sources().inventory.audit(CHANGES, "phone_setting", layer)), conflict=conflict,
        revision=stored[1] if stored else 0, saved=request.args.get("saved", ""), nothing=NONE, choice_words=CHOICES,
        zones=sorted(available_timezones()),
    )  # fmt: skip


def _listed(
    found: Mapping[str, Row],
    query: str,
    everything: bool,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
) -> list[Listed]:
    """The groups: all settings that fit a query; without one the basic ones, and those that are set or wrong."""
    listed = []
    for group in GROUPS:
        names = [name for name in (*group.basic, *group.expert) if _matches(found[name], query)]
        wanted = [
            name
            for name in names
            if query or everything or name in group.basic or found[name].here is not None or name in errors
        ]
        if names:
            made = [_shown(found[name], typed.get(name), errors.get(name, "")) for name in wanted]
            listed.append(Listed(group.title, made, len(names) - len(wanted)))
    return listed


def _shown(row: Row, typed: str | None, error: str) -> Shown:
    own = "" if row.here is None else as_text(row.here) or NONE
    inherited = row.value if row.layer == "built-in" and row.setting.name in OWN else as_text(row.value)
    return Shown(row, own if typed is None else typed, str(inherited) or NONE, error)


def _matches(row: Row, query: str) -> bool:
    name = row.setting.name
    words_of = f"{name} {name.replace('_', ' ')} {row.setting.help} {_(row.setting.help)}"
    return query in words_of.lower()


@pages.post("")
def save_all() -> Response:
    """Keep every field of the form; an empty one is inherited, and that which `reset` names."""
    layer, form = _known(request.form.get("layer", "")), request.form
    typed = {name: form[f"s-{name}"].strip() for name in SETTINGS if f"s-{name}" in form}
    typed |= {form["reset"]: ""} if form.get("reset", "") in typed else {}
    wanted, errors = {}, {}
    for name, text in typed.items():
        try:
            wanted[name] = None if text == "" else from_text(name, "" if text == NONE else text)
        except ProvisionerError as error:
            errors[name] = f"{error}."
    if errors:
        return _show(layer, 422, typed, errors)
    seen = forms.whole(form.get("revision", ""))
    try:
        editing.set_layer(sources().inventory, layer, wanted, who(), seen)
    except Conflict:
        return _show(layer, 409, typed, conflict=True)
    sources().reload()
    q, everything = form.get("q") or None, form.get("all") or None
    return make_response(redirect(url_for("layers.show", layer=layer, saved="all", q=q, all=everything), 303))


@pages.get("/<name>")
def setting(name: str) -> Response:
    """One setting of one layer, to be changed."""
    return _setting(name)


def _setting(name: str, status: int = 200, error: str = "", typed: str | None = None) -> Response:
    layer = _known(request.values.get("layer", "site"))
    snapshot, catalogue = sources().snapshot(), sources().catalogue()
    reached = reach(snapshot, layer, catalogue)
    row = next((row for row in rows(snapshot, layer, reached, catalogue) if row.setting.name == name), None)
    if row is None:
        abort(404, "There is no such setting.")
    known = row.setting.default if name in OWN and row.layer == "built-in" else row.value
    text = as_text(known if row.here is None else row.here) if typed is None else typed
    return staff.page(
        "setting.html",
        sources().world(),
        status,
        layer=layer,
        row=row,
        reached=reached,
        text=text,
        error=error,
        zones=sorted(available_timezones()) if row.setting.type == "zone" else (),
        choice_words=CHOICES,
    )


@pages.post("/<name>")
def save(name: str) -> Response:
    """Set it in this layer, or take it back."""
    layer, typed = _known(request.form.get("layer", "")), request.form.get("value", "")
    try:
        value = None if "remove" in request.form else from_text(name, typed)
        editing.set_layer(sources().inventory, layer, {name: value}, who())
    except ProvisionerError as error:
        return _setting(name, 409, str(error), typed)
    sources().reload()
    return make_response(redirect(url_for("layers.show", layer=layer, saved=name), 303))


# API


class Vocable(Shape, frozen=True):
    """One setting of phones. `allowed`: what it takes, in words; `low`, `high`: of an int, both allowed."""

    name: str
    type: str
    default: Any
    help: str
    unit: str
    low: int
    high: int
    choices: tuple[str, ...]
    pattern: str
    optional: bool
    allowed: str


Values = dict[Text, bool | int | str | list[str] | dict[str, str] | None]


@calls.get("/settings")
@contract.call(answer=Page[Vocable])
def api_settings(query: Paging) -> Page[Json]:
    """The vocabulary: every setting, what it takes, its default and what it is for."""
    told = [{**msgspec.structs.asdict(row), "allowed": row.allowed} for row in SETTINGS.values()]
    return contract.listed(told, query)


@calls.get("/layers")
@contract.call()
def api_layers(query: Paging) -> Page[LayerValues]:
    """The layers that set something."""
    snapshot, catalogue = sources().snapshot(), sources().catalogue()
    rows = [_told(record, snapshot, catalogue) for record in snapshot.phone_settings.values()]
    return contract.listed(rows, query)


def _told(record: PhoneSettings, snapshot: Snapshot, catalogue: Catalogue) -> LayerValues:
    reached = reach(snapshot, record.id, catalogue)
    overridden = {name: reached.overridden[name] for name in record.values if reached.overridden[name]}
    return LayerValues(layer=record.id, values=record.values, phones=reached.phones, overridden=overridden)


@calls.get("/layers/<path:layer>")
@contract.call(record=PhoneSettings)
def api_layer(layer: str) -> LayerValues:
    """What one layer sets, and how many phones have it."""
    layer, snapshot = _known(layer), sources().snapshot()
    record = snapshot.phone_settings.get(layer) or PhoneSettings(id=layer, values={})
    return _told(record, snapshot, sources().catalogue())


@calls.patch("/layers/<path:layer>")
@contract.call(record=PhoneSettings, refuses="The settings were not changed")
def api_change(layer: str, body: Values) -> LayerValues:
    """Set what the body names; null takes a setting back."""
    record = editing.set_layer(sources().inventory, _known(layer), body, who())
    sources().reload()
    return _told(record, sources().snapshot(), sources().catalogue())
