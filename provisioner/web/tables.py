"""Phones as a table: upload, preview with every problem, then all at once; and the same table back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from flask import Blueprint, Response, make_response, request
from msgspec import Meta

from provisioner.phones.bulk import COLUMNS, MAX_BYTES, Preview, corrected, export, parse, preview
from provisioner.phones.catalogue import Model
from provisioner.phones.importing import apply
from provisioner.web import api, contract, jobs, shapes, staff, uploads
from provisioner.web.contract import Body
from provisioner.web.jobs import Progress
from provisioner.web.session import sources, who
from provisioner.web.work import begun

SHOWN = 1000  # rows of a preview; all are judged, and those with a problem come first

pages = Blueprint("tables", __name__, url_prefix="/staff")
calls = Blueprint("tables_api", __name__, url_prefix="/api/v1")

uploads.limit(MAX_BYTES + uploads.FORM, pages, calls)
pages.before_request(staff.guard)
calls.before_request(api.guard)


@pages.get("/phones/import")
def form() -> Response:
    """Where a table is chosen."""
    return staff.page("import.html", sources().world(), found=None)


@pages.post("/phones/import")
def show() -> Response:
    """What would come of the table that was uploaded."""
    file = request.files.get("table")
    data = file.read() if file else b""
    return _preview(data)


def _preview(data: bytes) -> Response:
    """What would come of a table, which is kept to be imported, or corrected where it can be."""
    read = parse(data)
    found = preview(read, sources().snapshot(), sources().catalogue(), sources().now())
    name = uploads.keep(data, "csv") if found.good or (found.count("wrong") and not found.problems) else ""
    rows = sorted(found.rows, key=lambda row: (not row.problems, row.line))
    return staff.page(
        "import.html",
        sources().world(),
        found=found,
        rows=rows[:SHOWN],
        name=name,
        cells=dict(read.rows),
        columns=COLUMNS,
        models=[f"{maker.capitalize()} {model.name}" for maker, model in _models()] if name else (),
    )


def _models() -> Iterator[tuple[str, Model]]:
    for maker, about in sources().catalogue().vendors.items():
        for model in about.models:
            yield maker, model


@pages.post("/phones/import/<name>/correct")
def correct(name: str) -> Response:
    """The table with what was typed in the place of what is wrong, and without the lines that are left out."""
    path = uploads.kept(name, "csv")
    read, form = parse(path.read_bytes()), request.form
    typed = {
        line: {column: form[key] for column in COLUMNS if (key := f"{column}-{line}") in form}
        for line, _cells in read.rows
    }
    left_out = {line for line, _cells in read.rows if f"leave-{line}" in form}
    data = corrected(read, typed, left_out)
    path.unlink(missing_ok=True)
    return _preview(data)


@pages.post("/phones/import/<name>")
def confirm(name: str) -> Response:
    """Begin to import the table that was shown; it is judged anew, for things may have changed since."""
    path = uploads.kept(name, "csv")
    held, table, by = sources(), parse(path.read_bytes()), who()

    def work(progress: Progress) -> dict[str, int]:
        done = apply(held.inventory, table, by, held.catalogue(), now=held.now, tell=progress)
        path.unlink(missing_ok=True)
        held.reload()
        return {action: done.count(action) for action in ("new", "change")}

    return begun(jobs.current().begin("import", by, work))


@pages.get("/phones.csv")
@calls.get("/phones.csv")
@contract.call(gives="text/csv")
def table() -> Response:
    """All phones as a table."""
    response = make_response(export(sources().snapshot().phones.values()))
    response.mimetype = "text/csv"
    response.headers["Content-Disposition"] = 'attachment; filename="phones.csv"'
    return response


class Import(Body, frozen=True):
    """How."""

    dry_run: Annotated[bool, Meta(description="Only say what would come of it.")] = False


@calls.post("/phones/import")
@contract.call(takes="text/csv", refuses="Nothing was imported")
def api_import(query: Import) -> shapes.Imported:
    """Import the CSV file in the body, all of it or nothing."""
    table, held = parse(request.get_data()), sources()
    if query.dry_run:
        return _told(preview(table, held.snapshot(), held.catalogue(), held.now()))
    done = apply(held.inventory, table, who(), held.catalogue(), now=held.now)
    held.reload()
    return _told(done)


def _told(found: Preview) -> shapes.Imported:
    return shapes.Imported(rows=found.rows, problems=found.problems, notes=found.notes, good=found.good)
