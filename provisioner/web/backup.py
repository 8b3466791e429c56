"""Pages of backups: made now or each day, downloaded, uploaded again, looked into, restored and undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    redirect,
    request,
    send_file,
    url_for,
)

from provisioner.errors import Invalid, OperatorError, ProvisionerError
from provisioner.keeping import kept, making, restoring
from provisioner.keeping.contents import PARTS
from provisioner.keeping.kept import Kept
from provisioner.keeping.making import Wanted
from provisioner.store.records import BackupPlan, User
from provisioner.web import forms, jobs, restores, staff
from provisioner.web.backup_words import KIND_WORDS, OCCASIONS, OPTIONAL, PART_WORDS, WARNINGS
from provisioner.web.jobs import Job, Progress
from provisioner.web.language import gettext as _
from provisioner.web.restores import Restores
from provisioner.web.session import sources, who
from provisioner.web.work import begun

MAX_UPLOAD = 4 << 30  # bytes; with the firmware of three makers

pages = Blueprint("backup", __name__, url_prefix="/staff/backup")


@pages.before_request
def _allow_an_upload() -> None:
    if request.endpoint == "backup.upload":
        request.max_content_length = MAX_UPLOAD  # before the form is read for its token


pages.before_request(staff.guard)


def uploads() -> Restores:
    """What waits to be restored."""
    return Restores(sources().state, sources().now)


def places() -> list[Path]:
    """Where backups lie: the appliance's own folder, and that of the plan."""
    own, other = kept.folder(sources().state), kept.plan(sources().inventory).folder
    return [own, Path(other)] if other and Path(other) != own else [own]


def listing() -> list[Kept]:
    """All backups that are to be had, the newest first."""
    found = [each for place in places() for each in kept.listing(place)]
    return sorted(found, key=lambda each: -each.at)


def path_of(name: str) -> Path:
    """The file of a backup; 404 when there is none."""
    found = next((path for place in places() if (path := kept.path_of(place, name))), None)
    if found is None:
        abort(404, _("There is no such backup (any more)."))
    return found


def begin(passphrase: str, optional: frozenset[str]) -> Job:
    """Begin to make a backup. Raises OperatorError."""
    making.check_passphrase(passphrase)
    held, wanted = sources(), Wanted(passphrase, optional, who())

    def work(progress: Progress) -> dict[str, Any]:
        path = kept.by_hand(held.state, wanted, progress, held.now)
        return {"name": path.name, "bytes": path.stat().st_size, "sealed": bool(wanted.passphrase)}

    return jobs.current().begin("backup", wanted.who, work)


def begin_restore(name: str, parts: frozenset[str], typed: str) -> Job:
    """Begin to restore. Raises OperatorError when the name of the practice was not typed, or nothing is chosen."""
    cover = uploads().cover(name)
    if cover is None or not uploads().is_open(name):
        raise OperatorError(_("that upload is gone or was not opened"), _("upload the backup again"))
    if typed.strip() != cover.practice:
        raise OperatorError(
            _("that is not the name of the practice in the backup"),
            _("type {name}, so that nothing is restored by mistake").format(name=cover.practice),
        )
    if not parts:
        raise OperatorError(_("nothing is ticked"), _("choose what to restore"))
    return jobs.current().begin("restore", who(), restores.work(sources(), uploads(), name, parts, who()))


# pages


@pages.get("")
def show() -> Response:
    """Backup now, those that are here, the plan, and where to restore."""
    return _page()


def _page(status: int = 200, error: str = "", errors: dict[str, str] | None = None) -> Response:
    inventory = sources().inventory
    return staff.page(
        "backup.html",
        sources().world(),
        status,
        rows=listing(),
        plan=kept.plan(inventory),
        sealed_plan=kept.has_passphrase(inventory),
        last=kept.last(sources().state),
        error=error,
        errors=errors or {},
        optional=OPTIONAL,
        occasions=OCCASIONS,
        saved="saved" in request.args,
        minimum=making.MIN_PASSPHRASE,
    )


def _optional() -> frozenset[str]:
    return frozenset(request.form.getlist("optional")) & OPTIONAL.keys()


@pages.post("")
def make() -> Response:
    """Make a backup now."""
    passphrase = request.form.get("passphrase", "")
    try:
        if passphrase != request.form.get("again", ""):
            raise OperatorError(_("the passphrase was typed in two ways"), _("type it again, twice"))
        return begun(begin(passphrase, _optional()))
    except ProvisionerError as error:
        return _page(422, str(error))


@pages.post("/plan")
def plan() -> Response:
    """Change when backups are made by themselves."""
    form = request.form
    given = form.get("passphrase", "")
    keep = form.get("keep", "")
    new = BackupPlan(
        id=kept.PLAN,
        daily="daily" in form,
        at=form.get("at", "").strip(),
        keep=forms.whole(keep, 4) or 0,
        folder=form.get("folder", "").strip(),
        optional=tuple(sorted(_optional())),
    )
    try:
        kept.set_plan(sources().inventory, new, "" if "open" in form else given or None, who())
    except Invalid as error:
        return _page(422, errors=error.errors)
    return make_response(redirect(url_for("backup.show", saved=1) + "#plan", 303))


@pages.get("/files/<name>")
def download(name: str) -> Response:
    """The file."""
    return send_file(path_of(name), mimetype="application/zip", as_attachment=True, download_name=name)


@pages.post("/files/<name>/delete")
def delete(name: str) -> Response:
    """Delete one."""
    path_of(name).unlink(missing_ok=True)
    return make_response(redirect(url_for("backup.show"), 303))


@pages.post("/files/<name>/restore")
def again(name: str) -> Response:
    """Look into one that is here."""
    path = path_of(name)
    own = next((each.own for each in listing() if each.name == name), False)
    try:
        return _look(uploads().take_kept(path, own))
    except ProvisionerError as error:
        return _page(409, str(error))


def _look(name: str) -> Response:
    return make_response(redirect(url_for("backup.look", name=name), 303))


@pages.get("/restore")
def upload_form() -> Response:
    """Where a backup is chosen."""
    return _upload_page()


def _upload_page(status: int = 200, error: str = "") -> Response:
    return staff.page("restore_upload.html", sources().world(), status, error=error)


@pages.post("/restore")
def upload() -> Response:
    """Keep a backup that is uploaded; nothing is changed yet."""
    file = request.files.get("backup")
    try:
        if file is None or not file.filename:
            raise OperatorError(_("no file was chosen"), _("choose the backup first"))
        return _look(uploads().take(file.stream))
    except ProvisionerError as error:
        return _upload_page(422, str(error))


@pages.get("/restore/<name>")
def look(name: str) -> Response:
    """What an upload would change, or where its passphrase is typed."""
    return _preview(name)


def _preview(name: str, status: int = 200, error: str = "", ticked: frozenset[str] | None = None) -> Response:
    cover = uploads().cover(name)
    if cover is None:
        abort(410, _("That upload is gone: it is kept for an hour. Upload the backup again."))
    found = None
    try:
        if uploads().is_open(name) or cover.lock is None:
            backup = uploads().open(name)
            try:
                held = sources()
                found = restoring.preview(held.state, backup, held.now(), held.inventory)
                users = [user.name or user.id for user in backup.records(User).values()]  # type: ignore[attr-defined]
            finally:
                backup.close()
    except OperatorError as problem:
        uploads().drop(name)
        return _upload_page(422, str(problem))
    return staff.page(
        "restore.html",
        sources().world(),
        status,
        name=name,
        cover=cover,
        found=found,
        users=users if found else [],
        parts_here=[(part, PART_WORDS[part]) for part in PARTS if found and part in found.manifest.parts],
        kinds=KIND_WORDS,
        warnings=WARNINGS,
        error=error,
        ticked=ticked,
    )


@pages.post("/restore/<name>/open")
def unseal(name: str) -> Response:
    """Open an upload by its passphrase."""
    if uploads().cover(name) is None:
        return _preview(name)
    try:
        uploads().open(name, request.form.get("passphrase", "")).close()
    except ProvisionerError as error:
        return _preview(name, 422, str(error))
    return _look(name)


@pages.post("/restore/<name>")
def restore(name: str) -> Response:
    """Restore what was ticked."""
    ticked = frozenset(request.form.getlist("part"))
    try:
        return begun(begin_restore(name, ticked, request.form.get("practice", "")))
    except ProvisionerError as error:
        return _preview(name, 422, str(error), ticked)


@pages.post("/restore/<name>/drop")
def drop(name: str) -> Response:
    """Leave everything as it is."""
    uploads().drop(name)
    return make_response(redirect(url_for("backup.show"), 303))
