"""Changes that phones have not fetched yet: the banner of every page, the list, and one button that tells them."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import msgspec
from flask import Blueprint, Flask, Response, current_app, make_response, redirect, request, url_for

from provisioner.errors import ProvisionerError, UsageError
from provisioner.phones import remote
from provisioner.phones.pending import KINDS, Behind, Change, Changes
from provisioner.store.records import Snapshot
from provisioner.web import api, contract, paging, staff, words
from provisioner.web.language import gettext as _
from provisioner.web.session import current, sources, who

FRESH_SECONDS = 3.0  # for so long every page tells the same

pages = Blueprint("pending", __name__, url_prefix="/staff/pending")
pages.before_request(staff.guard)
calls = Blueprint("pending_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class Watch:
    """Keeps what was found for a moment. Safe to use from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes = Changes()
        self._found: tuple[int, float, list[Behind]] | None = None

    def behind(self, fresh: bool = False) -> list[Behind]:
        """The phones that have not fetched since a change. Raises OperatorError."""
        snapshot, now = sources().snapshot(), sources().now()
        with self._lock:
            held = self._found
            same = held and held[0] == snapshot.revision and 0 <= now - held[1] < FRESH_SECONDS
            if held is None or not same or fresh:
                self._changes.heard(sources().inventory.audit_after(self._changes.seq, KINDS))
                found = self._changes.behind(snapshot, sources().journal.fetched(), sources().catalogue())
                held = self._found = (snapshot.revision, now, found)
            return held[2]


def watch() -> Watch:
    """The running app's Watch."""
    found = current_app.extensions["pending"]
    assert isinstance(found, Watch)
    return found


def _count() -> int:
    """How many phones have not fetched since a change; 0 for who is not signed in, and where it cannot be told."""
    try:
        return len(watch().behind()) if current() else 0
    except ProvisionerError:
        return 0


def install(app: Flask) -> None:
    """Give the templates `not_fetched()`."""
    app.extensions["pending"] = Watch()
    app.jinja_env.globals.update(not_fetched=_count)


class Row(NamedTuple):
    """One phone of the list."""

    mac: str
    extension: str
    name: str
    model: str
    changes: list[tuple[str, Change]]


def told(snapshot: Snapshot, change: Change) -> str:
    """What has changed, in words."""
    if change.kind == "phone_setting":
        return _("Settings: {layer}").format(layer=words.layer(change.id, snapshot))
    if change.kind == "phone_group":
        group = snapshot.phone_groups.get(change.id)
        return _("Keys of the group {name}").format(name=group.name if group else change.id)
    return _("Time zone of the practice") if change.kind == "practice" else _("Its lines, keys or group")


def _row(snapshot: Snapshot, found: Behind) -> Row:
    phone = snapshot.phones[found.mac]
    line = phone.lines[0] if phone.lines else None
    return Row(
        phone.id,
        line.extension if line else "",
        line.name if line else "",
        f"{phone.vendor.capitalize()} {phone.model}",
        [(told(snapshot, each), each) for each in found.changes],
    )


@pages.get("")
def page() -> Response:
    """The phones that have not fetched since a change, and since which."""
    return _page()


def _page(status: int = 200, error: str = "") -> Response:
    world = sources().world()
    rows = [
        _row(world.snapshot, each) for each in watch().behind(fresh=True) if each.mac in world.snapshot.phones
    ]
    query = request.args.get("q", "").strip().lower()
    found = [row for row in rows if query in f"{row.extension} {row.name} {row.mac} {row.model}".lower()]
    found.sort(key=lambda row: row.extension)
    return staff.page(
        "pending.html", world, status,
        window=paging.window(found), link=paging.linker(), query=query, total=len(rows), error=error,
    )  # fmt: skip


@pages.post("")
def tell() -> Response:
    """Tell all of them to fetch their files now."""
    try:
        macs = [each.mac for each in watch().behind(fresh=True)]
        if not macs:
            raise UsageError(_("All phones have fetched their files meanwhile"))
        begun = remote.tell(sources().state, sources().inventory, macs, "resync", who())
    except ProvisionerError as error:
        return _page(409, str(error))
    return make_response(redirect(url_for("orders.job", name=begun["job"]), 303))


class Waiting(msgspec.Struct, frozen=True):
    """A phone that has not fetched since these changes."""

    mac: str
    changes: list[dict[str, Any]]


@calls.get("/phones/behind")
@contract.call()
def api_behind(query: contract.Paging) -> contract.Page[Waiting]:
    """The phones that have not fetched their files since something in them changed."""
    found = [
        Waiting(each.mac, [change._asdict() for change in each.changes]) for each in watch().behind(True)
    ]
    return contract.listed(found, query)
