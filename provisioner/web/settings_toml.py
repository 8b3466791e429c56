"""The settings as one TOML file, by page and API: fetched, looked into, imported."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, make_response, request

from provisioner.errors import OperatorError
from provisioner.keeping import settings_file, telling
from provisioner.keeping.settings_file import Faulty, Plan
from provisioner.web import api, contract, jobs, staff, uploads
from provisioner.web.backup_words import KIND_WORDS
from provisioner.web.contract import Body
from provisioner.web.jobs import Progress
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who
from provisioner.web.work import begun

SHOWN = 100  # faults

pages = Blueprint("settings_toml", __name__, url_prefix="/staff")
calls = Blueprint("settings_toml_api", __name__, url_prefix="/api/v1")

uploads.limit(settings_file.MAX_BYTES + uploads.FORM, pages, calls)
pages.before_request(staff.guard)
calls.before_request(api.guard)


def _plan(data: bytes) -> Plan:
    """What the file would change, or what is wrong with it."""
    try:
        wanted = settings_file.parse(data)
    except Faulty as error:
        return Plan(counts=[], faults=error.faults)
    return settings_file.plan(sources().inventory, wanted, sources().catalogue())


@pages.get("/settings.toml")
@calls.get("/settings.toml")
@contract.call(gives="application/toml")
def export() -> Response:
    """All settings as one file, without secrets and users."""
    response = make_response(settings_file.export(sources().inventory))
    response.mimetype = "application/toml"
    response.headers["Content-Disposition"] = 'attachment; filename="settings.toml"'
    return response


@pages.get("/settings-file")
def form() -> Response:
    """Where a file is fetched and chosen."""
    return _page(None)


def _page(found: Plan | None, name: str = "", status: int = 200, error: str = "") -> Response:
    return staff.page(
        "settings_toml.html",
        sources().world(),
        status,
        found=found,
        name=name,
        error=error,
        kinds=KIND_WORDS,
        shown=SHOWN,
    )


@pages.post("/settings-file")
def look() -> Response:
    """What would come of a file; nothing is changed yet."""
    file = request.files.get("settings")
    data = file.read() if file else b""
    found = _plan(data)
    if found.faults or not found.counts:
        return _page(found, status=422 if found.faults else 200)
    return _page(found, uploads.keep(data, "toml"))


@pages.post("/settings-file/<name>")
def confirm(name: str) -> Response:
    """Begin to import the file that was shown; it is judged anew."""
    path = uploads.kept(name, "toml")
    held, by, data = sources(), who(), path.read_bytes()

    def work(progress: Progress) -> dict[str, Any]:
        wanted = settings_file.parse(data)
        counts = settings_file.apply(held.inventory, wanted, by, held.catalogue(), held.now, progress)
        path.unlink(missing_ok=True)
        telling.take_up(held.state, frozenset())
        return {"records": sum(each.added + each.changed + each.removed for each in counts)}

    try:
        return begun(jobs.current().begin("settings", by, work))
    except OperatorError as error:
        return _page(_plan(data), name, 409, str(error))


class DryRun(Body, frozen=True):
    """`dry_run`: only say what would change."""

    dry_run: Annotated[bool, msgspec.Meta(description="Only say what would change.")] = False


@calls.post("/settings.toml")
@contract.call(takes="application/toml", answer=Plan, refuses=N_("Nothing was imported"))
def api_import(query: DryRun) -> Plan:
    """Import the file in the body, all of it or nothing; with `dry_run` what would change, or is wrong with it."""
    data = request.get_data()
    if query.dry_run:
        return _plan(data)
    held = sources()
    counts = settings_file.apply(held.inventory, settings_file.parse(data), who(), held.catalogue(), held.now)
    telling.take_up(held.state, frozenset())
    return Plan(counts=counts, faults=[])
