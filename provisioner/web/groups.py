"""Groups of phones: their name, their keys and who is in them; pages and API."""

from __future__ import annotations

import re
from collections import Counter

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import UNSET, UnsetType

from provisioner.errors import ProvisionerError, UsageError
from provisioner.phones import editing
from provisioner.store.records import Key, PhoneGroup
from provisioner.web import api, contract, staff, views
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.phone_keys import typed_keys
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape

SPARE_KEYS = 8  # empty places after the last key that is set

pages = Blueprint("groups", __name__, url_prefix="/staff/groups")
pages.before_request(staff.guard)
calls = Blueprint("groups_api", __name__, url_prefix="/api/v1/phone-groups")
calls.before_request(api.guard)


def _record(group: str) -> PhoneGroup:
    found = sources().snapshot().phone_groups.get(group)
    if found is None:
        abort(404, "There is no such group.")
    return found


def _members(group: str) -> list[str]:
    return [phone.id for phone in sources().snapshot().phones.values() if phone.group == group]


@pages.get("")
def groups() -> Response:
    """All groups."""
    return _groups()


def _groups(status: int = 200, error: str = "") -> Response:
    snapshot = sources().snapshot()
    query, members = request.args.get("q", "").strip(), Counter(p.group for p in snapshot.phones.values())
    rows = [
        (group, members[group.id], len(layer.values) if layer else 0)
        for group in sorted(snapshot.phone_groups.values(), key=lambda group: group.name.lower())
        if query.lower() in group.name.lower()
        for layer in [snapshot.phone_settings.get(f"group:{group.id}")]
    ]
    return staff.page("groups.html", sources().world(), status, groups=rows, query=query, error=error)


@pages.post("")
def make() -> Response:
    """Make a group."""
    try:
        made = editing.put_group(sources().inventory, request.form.get("name", ""), who())
    except ProvisionerError as error:
        return _groups(409, str(error))
    return _done(made.id)


def _done(group: str) -> Response:
    sources().reload()
    return make_response(redirect(url_for("groups.group", group=group, saved=1), 303))


@pages.get("/<group>")
def group(group: str) -> Response:
    """One group: its phones and keys."""
    return _group(_record(group))


def _group(record: PhoneGroup, status: int = 200, error: str = "") -> Response:
    world = sources().world()
    members = set(_members(record.id))
    last = max((key.position for key in record.keys), default=0)
    keys: dict[int, Key] = {key.position: key for key in record.keys}
    return staff.page(
        "group.html",
        world,
        status,
        group=record,
        members=[row for row in views.phones(world) if row.mac in members],
        places=[(position, keys.get(position)) for position in range(1, last + SPARE_KEYS + 1)],
        functions=editing.FUNCTIONS,
        error=error,
        saved="saved" in request.args,
    )


@pages.post("/<group>")
def save(group: str) -> Response:
    """Change its name and keys."""
    record = _record(group)
    try:
        keys = typed_keys(request.form)
        editing.put_group(sources().inventory, request.form.get("name", ""), who(), record.id, keys)
    except ProvisionerError as error:
        return _group(record, 409, str(error))
    return _done(group)


@pages.post("/<group>/join")
def join(group: str) -> Response:
    """Put phones in, by extension or MAC."""
    named = re.split(r"[\s,;]+", request.form.get("phones", "").strip())
    try:
        if named == [""]:
            raise UsageError("Give extensions or MACs")
        editing.join(sources().inventory, named, _record(group).id, who())
    except ProvisionerError as error:
        return _group(_record(group), 409, str(error))
    return _done(group)


@pages.post("/<group>/leave")
def leave(group: str) -> Response:
    """Take the phones that were ticked out."""
    here = set(_members(_record(group).id))
    editing.join(sources().inventory, [mac for mac in request.form.getlist("mac") if mac in here], "", who())
    return _done(group)


@pages.post("/<group>/delete")
def delete(group: str) -> Response:
    """Delete it; its phones stay."""
    editing.delete_group(sources().inventory, _record(group).id, who())
    sources().reload()
    return make_response(redirect(url_for("groups.groups"), 303))


# API


class Group(Shape, frozen=True):
    """A group with its phones (MACs)."""

    id: str
    name: str
    keys: tuple[Key, ...]
    members: list[str]


class Make(Body, frozen=True):
    """A new group."""

    name: Text
    keys: list[Key] = []


class Change(Body, frozen=True):
    """What is to be changed. `members`: all of them, as MACs or extensions."""

    name: Text | UnsetType = UNSET
    keys: list[Key] | UnsetType = UNSET
    members: list[Text] | UnsetType = UNSET


def _told(record: PhoneGroup) -> Group:
    return Group(id=record.id, name=record.name, keys=record.keys, members=_members(record.id))


@calls.get("")
@contract.call()
def api_groups(query: Paging) -> Page[Group]:
    """All groups, with their phones."""
    return contract.listed([_told(group) for group in sources().snapshot().phone_groups.values()], query)


@calls.post("")
@contract.call(status=201, refuses="The group was not made")
def api_make(body: Make) -> Group:
    """Make a group."""
    made = editing.put_group(sources().inventory, body.name, who(), keys=body.keys)
    sources().reload()
    return _told(made)


@calls.get("/<group>")
@contract.call(record=PhoneGroup)
def api_group(group: str) -> Group:
    """One group."""
    return _told(_record(group))


@calls.put("/<group>")
@contract.call(record=PhoneGroup, refuses="The group was not changed")
def api_change(group: str, body: Change) -> Group:
    """Change what the body names."""
    record, given = _record(group), contract.changes(body)
    changed = editing.put_group(
        sources().inventory, given.get("name", record.name), who(), group, given.get("keys")
    )
    if "members" in given:
        editing.join(sources().inventory, _members(group), "", who())
        editing.join(sources().inventory, given["members"], group, who())
    sources().reload()
    return _told(changed)


@calls.delete("/<group>")
@contract.call(record=PhoneGroup, refuses="The group was not deleted")
def api_delete(group: str) -> None:
    """Delete it; its phones stay."""
    editing.delete_group(sources().inventory, _record(group).id, who())
    sources().reload()
