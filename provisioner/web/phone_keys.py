"""The keys of one phone, drawn as beside its display and changed one by one, or all as a table; page and API."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response, abort, make_response, redirect, request, url_for

from provisioner.errors import ProvisionerError, UsageError
from provisioner.phones import editing, key_plan
from provisioner.phones.key_plan import Block, Place
from provisioner.store.records import Key, Phone
from provisioner.web import contract, forms, phone
from provisioner.web.contract import Body
from provisioner.web.language import gettext as _
from provisioner.web.phone import calls, pages, record
from provisioner.web.session import sources, who


def where(place: Place, blocks: list[Block]) -> str:
    """What is printed beside a place: its number, and of which module."""
    if not place.module:
        return _("Key {number}").format(number=place.number)
    name = next(block.name for block in blocks if block.module == place.module)
    return _("{module} {count}, key {number}").format(module=name, count=place.module, number=place.number)


@pages.get("/keys")
def keys(mac: str) -> Response:
    """What each of its keys does."""
    return _keys(mac, record(mac).keys)


def _keys(mac: str, held: tuple[Key, ...], status: int = 200, error: str = "") -> Response:
    held_by, snapshot = record(mac), sources().snapshot()
    blocks = key_plan.blocks(snapshot, held_by, held, sources().catalogue())
    places = list(key_plan.each(blocks))
    wanted = request.values.get("key", "")
    chosen = next((place for place in places if str(place.position) == wanted), None)
    return phone.page(
        "phone_keys.html",
        mac,
        status,
        blocks=blocks,
        places=places,
        placeless=key_plan.placeless(blocks, held),
        where=lambda place: where(place, blocks),
        chosen=chosen,
        table=request.values.get("view") == "table",
        group=snapshot.phone_groups.get(held_by.group),
        functions=editing.FUNCTIONS,
        names=sorted((line.extension, line.name) for each in snapshot.phones.values() for line in each.lines),
        error=error,
        saved="saved" in request.args,
    )


def typed_keys(form: Any) -> tuple[Key, ...]:
    """The keys of a form that has `function-N`, `value-N` and `label-N` for each position. Raises UsageError."""
    found = []
    for name, function in form.items():
        position = name.removeprefix("function-")
        at = forms.whole(position, 3)
        if name == position or not function or at is None:
            continue
        value, label = form.get(f"value-{position}", ""), form.get(f"label-{position}", "")
        found.append(_typed(at, function, value, label))
    return tuple(found)


def _typed(position: int, function: str, value: str, label: str) -> Key:
    if function not in editing.FUNCTIONS:
        raise UsageError(f"Key {position}: {function!r} is nothing that a key does")
    return Key(position=position, function=function, value=value.strip(), label=label.strip())  # type: ignore[arg-type]


@pages.post("/keys")
def save_keys(mac: str) -> Response:
    """Make these its keys."""
    typed: tuple[Key, ...] = ()
    try:
        typed = typed_keys(request.form)
        editing.set_keys(sources().inventory, record(mac).id, typed, who(), sources().catalogue())
    except ProvisionerError as error:
        return _keys(mac, typed, 409, str(error))
    sources().reload()
    view = request.form.get("view") or None
    return make_response(redirect(url_for("phone.keys", mac=mac, saved=1, view=view), 303))


def _with(held: Phone, position: int, key: Key | None) -> tuple[Key, ...]:
    """The phone's keys with this one in its place, or without it."""
    others = tuple(each for each in held.keys if each.position != position)
    return (*others, key) if key else others


@pages.post("/keys/<int:position>")
def save_key(mac: str, position: int) -> Response:
    """Make this one of its keys; an empty function takes it back to what its group says, or the phone does."""
    held, form, typed = record(mac), request.form, None
    try:
        if function := form.get("function", "") if "clear" not in form else "":
            typed = _typed(position, function, form.get("value", ""), form.get("label", ""))
        keys = _with(held, position, typed)
        editing.set_keys(sources().inventory, held.id, keys, who(), sources().catalogue())
    except ProvisionerError as error:
        return _keys(mac, _with(held, position, typed) if typed else held.keys, 409, str(error))
    sources().reload()
    there = url_for("phone.keys", mac=mac, key=position, saved=1, _anchor=f"key-{position}")
    return make_response(redirect(there, 303))


# API


class KeyPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One place for a key. `column`, `page`: where it lies; `shown`: beside it on the display; `source`: whose."""

    position: int
    module: int
    index: int
    page: int
    column: str
    shown: str
    source: str
    key: Key | None


class OneKey(Body, frozen=True):
    """What a key does: `line` (value: its number), `blf` (an extension) or `speed_dial` (what it dials)."""

    function: str
    value: str
    label: str = ""


@calls.get("/keys")
@contract.call(record=Phone)
def api_plan(mac: str) -> list[KeyPlace]:
    """Its keys as they lie beside its display, with what each shows and does."""
    held = record(mac)
    blocks = key_plan.blocks(sources().snapshot(), held, held.keys, sources().catalogue())
    return [
        KeyPlace(
            position=place.position, module=place.module, index=place.number, page=number, column=column,
            shown=place.shown, source=place.source, key=place.acts,
        )
        for block in blocks
        for number, sheet in enumerate(block.sheets, 1)
        for column, places in zip(("left", "right"), sheet, strict=True)
        for place in places
    ]  # fmt: skip


@calls.put("/keys")
@contract.call(record=Phone, refuses="The keys were not changed")
def api_keys(mac: str, body: list[Key]) -> tuple[Key, ...]:
    """Make the list in the body the keys of the phone."""
    edited = editing.set_keys(sources().inventory, record(mac).id, body, who(), sources().catalogue())
    sources().reload()
    return edited.keys


@calls.put("/keys/<position>")
@contract.call(refuses="The key was not changed")
def api_key(mac: str, position: str, body: OneKey) -> tuple[Key, ...]:
    """Make this the key in one place; all keys of the phone then."""
    held, number = record(mac), _position(position)
    typed = _typed(number, body.function, body.value, body.label)
    edited = editing.set_keys(
        sources().inventory, held.id, _with(held, number, typed), who(), sources().catalogue()
    )
    sources().reload()
    return edited.keys


@calls.delete("/keys/<position>")
@contract.call(refuses="The key was not changed")
def api_clear(mac: str, position: str) -> None:
    """Take the phone's own key away in one place; its group's acts there again."""
    held, number = record(mac), _position(position)
    editing.set_keys(sources().inventory, held.id, _with(held, number, None), who(), sources().catalogue())
    sources().reload()


def _position(text: str) -> int:
    found = forms.whole(text, 3)
    if found is None:
        abort(404, "There is no such key.")
    return found
