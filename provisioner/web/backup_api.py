"""Backups by API: made, fetched, planned, looked into and restored."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, abort, request, send_file
from msgspec import Meta

from provisioner.errors import UsageError
from provisioner.keeping import kept, restoring
from provisioner.keeping.kept import Kept
from provisioner.keeping.restoring import Count, Warned
from provisioner.store.records import BackupPlan
from provisioner.web import api, backup, contract, shapes
from provisioner.web.backup import MAX_UPLOAD
from provisioner.web.backup_words import OPTIONAL
from provisioner.web.contract import Body, Page, Paging
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who
from provisioner.web.work import told

calls = Blueprint("backup_api", __name__, url_prefix="/api/v1")


@calls.before_request
def _allow_an_upload() -> None:
    if request.endpoint == "backup_api.upload":
        request.max_content_length = MAX_UPLOAD


calls.before_request(api.guard)
Chosen = Annotated[
    list[str], Meta(description="Parts beside the usual ones: `calls`, `requests`, `firmware`.")
]


class NewBackup(Body, frozen=True):
    """A backup to be made. `passphrase`: of at least 8 characters; "": without passwords, users and certificates."""

    passphrase: str = ""
    optional: Chosen = []


class Plan(Body, frozen=True):
    """When backups are made by themselves. `passphrase` left out stays as it is; "" takes it away."""

    daily: bool
    at: str = "02:30"
    keep: int = 14
    folder: str = ""
    optional: Chosen = []
    passphrase: str | msgspec.UnsetType = msgspec.UNSET


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """The plan as it is: `sealed`: it has a passphrase; `last`: how the last one went, null before the first."""

    daily: bool
    at: str
    keep: int
    folder: str
    optional: tuple[str, ...]
    sealed: bool
    last: kept.Last | None


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was uploaded. `sealed`: it takes a passphrase to look into it."""

    id: str
    practice: str
    made: float
    product: str
    sealed: bool


class Opening(Body, frozen=True):
    """The passphrase of a backup that has one."""

    passphrase: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup would change here. `parts` that it has; `warnings`: kinds, with what they are about."""

    practice: str
    parts: tuple[str, ...]
    counts: list[Count]
    warnings: list[Warned]


class Restoring(Body, frozen=True):
    """What to restore; `practice`: the name of the practice in the backup, so that nothing is done by mistake."""

    parts: list[str]
    practice: str


@calls.get("/backups")
@contract.call(answer=Page[Kept])
def listing(query: Paging) -> Page[Kept]:
    """The backups that are here, the newest first."""
    return contract.listed(backup.listing(), query)


@calls.post("/backups")
@contract.call(status=202, answer=shapes.Work, refuses=N_("No backup was begun"))
def make(body: NewBackup) -> dict[str, Any]:
    """Begin a backup; its job says when it is done, and under which `name` it can be fetched."""
    if unknown := set(body.optional) - OPTIONAL.keys():
        raise UsageError(f"{sorted(unknown)[0]} is no part that can be chosen")
    return told(backup.begin(body.passphrase, frozenset(body.optional)))


@calls.get("/backups/plan")
@contract.call()
def plan() -> Planned:
    """When backups are made by themselves, and how the last one went."""
    return _planned()


def _planned() -> Planned:
    held, inventory = kept.plan(sources().inventory), sources().inventory
    return Planned(
        daily=held.daily,
        at=held.at,
        keep=held.keep,
        folder=held.folder,
        optional=held.optional,
        sealed=kept.has_passphrase(inventory),
        last=kept.last(sources().state),
    )


@calls.put("/backups/plan")
@contract.call(answer=Planned, refuses=N_("The plan was not changed"))
def set_plan(body: Plan) -> Planned:
    """Change when backups are made by themselves."""
    new = BackupPlan(
        id=kept.PLAN,
        daily=body.daily,
        at=body.at,
        keep=body.keep,
        folder=body.folder,
        optional=tuple(body.optional),
    )
    passphrase = None if body.passphrase is msgspec.UNSET else body.passphrase
    kept.set_plan(sources().inventory, new, passphrase, who())
    return _planned()


@calls.get("/backups/<name>")
@contract.call(gives="application/zip")
def fetch(name: str) -> Response:
    """The file of one backup."""
    return send_file(backup.path_of(name), mimetype="application/zip")


@calls.delete("/backups/<name>")
@contract.call()
def delete(name: str) -> None:
    """Delete one backup."""
    backup.path_of(name).unlink(missing_ok=True)


@calls.post("/restores")
@contract.call(status=201, takes="application/zip", answer=Upload, refuses=N_("The backup was not taken"))
def upload() -> Upload:
    """Upload a backup, to look into it and restore it within an hour; nothing is changed yet."""
    name = backup.uploads().take(request.stream)
    return _upload(name)


def _upload(name: str) -> Upload:
    cover = backup.uploads().cover(name)
    if cover is None:
        abort(404, "There is no such upload (any more): it is kept for an hour.")
    return Upload(
        id=name, practice=cover.practice, made=cover.made, product=cover.product, sealed=bool(cover.lock)
    )


@calls.post("/restores/<name>/preview")
@contract.call(answer=Change, refuses=N_("The backup was not opened"))
def preview(name: str, body: Opening = Opening()) -> Change:  # noqa: B008 - it cannot be changed
    """Open an upload, and say what it would change here."""
    _upload(name)
    opened, held = backup.uploads().open(name, body.passphrase), sources()
    try:
        found = restoring.preview(held.state, opened, held.now(), held.inventory)
    finally:
        opened.close()
    about = found.manifest
    return Change(practice=about.practice, parts=about.parts, counts=found.counts, warnings=found.warnings)


@calls.post("/restores/<name>")
@contract.call(status=202, answer=shapes.Work, refuses=N_("Nothing was restored"))
def restore(name: str, body: Restoring) -> dict[str, Any]:
    """Begin to restore the `parts` of an upload that was opened; what is here is kept in a backup first."""
    _upload(name)
    return told(backup.begin_restore(name, frozenset(body.parts), body.practice))


@calls.delete("/restores/<name>")
@contract.call()
def drop(name: str) -> None:
    """Forget an upload."""
    _upload(name)
    backup.uploads().drop(name)
