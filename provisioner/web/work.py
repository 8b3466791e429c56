"""Pages and API of the appliance's long work: what goes on, how far it is, what came of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, abort, make_response, redirect, render_template, url_for

from provisioner.errors import UsageError
from provisioner.ipc import Json
from provisioner.web import api, contract, jobs, orders, shapes, staff
from provisioner.web.contract import Page, Paging
from provisioner.web.jobs import Job, Jobs
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources
from provisioner.web.views import Level

ORDERS = 5  # of phones, on the page of all work


class Kind(NamedTuple):
    """What a kind of job is called, before and after, and the template that shows its result (None: nothing)."""

    name: str
    done: str
    template: str | None = None


KINDS = {
    "import": Kind(N_("Import phones"), N_("Phones imported"), "work_import.html"),
    "backup": Kind(N_("Backup"), N_("The backup is made"), "work_backup.html"),
    "restore": Kind(N_("Restore a backup"), N_("The backup is restored"), "work_restore.html"),
    "provider": Kind(N_("Numbers of a provider"), N_("The provider has answered"), "work_provider.html"),
    "numbers": Kind(N_("Import numbers"), N_("The numbers are imported"), "work_numbers.html"),
    "settings": Kind(N_("Import settings"), N_("The settings are imported"), "work_settings.html"),
    "daily": Kind(N_("Backup of each day"), N_("The backup is made")),
}
STATES: dict[str, tuple[str, Level]] = {
    "running": (N_("Under way"), "busy"),
    "done": (N_("Done"), "good"),
    "failed": (N_("Failed"), "bad"),
    "cancelled": (N_("Cancelled"), "none"),
    "broken-off": (N_("Broken off"), "bad"),
}

pages = Blueprint("work", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("work_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


def install(app: Flask) -> None:
    """Give the app its jobs."""
    found = app.extensions["provisioner"]
    app.extensions["provisioner.jobs"] = Jobs(found.state.root / "jobs", found.now)


def begun(job: Job) -> Response:
    """Where a form that began `job` leads."""
    return make_response(redirect(url_for("work.one", name=job.id), 303))


def told(job: Job) -> dict[str, Any]:
    """A job as the API shows it."""
    names = (
        "id",
        "kind",
        "who",
        "at",
        "state",
        "done",
        "total",
        "what",
        "result",
        "error",
        "ended",
        "stoppable",
    )
    return {name: getattr(job, name) for name in names}


def _found(name: str) -> Job:
    job = jobs.current().get(name)
    if job is None:
        abort(404, _("There is no such job, or it was long ago."))
    return job


# pages


@pages.get("/tasks")
def everything() -> Response:
    """The appliance's own work, and what phones were told lately."""
    rows = [orders.summary(row) for row in sources().journal.resync_jobs(ORDERS)]
    return staff.page(
        "work.html", sources().world(), jobs=jobs.current().all(), kinds=KINDS, states=STATES, orders=rows
    )


@pages.get("/tasks/<name>")
def one(name: str) -> Response:
    """One job: how far it is, or what came of it."""
    return staff.page("work_one.html", sources().world(), job=_found(name), kinds=KINDS, states=STATES)


@pages.get("/tasks/<name>/part")
def part(name: str) -> str:
    """What of that page changes while the job goes on."""
    return render_template("work_part.html", job=_found(name), kinds=KINDS, states=STATES)


@pages.post("/tasks/<name>/cancel")
def cancel(name: str) -> Response:
    """Stop a job at its next step."""
    jobs.current().cancel(_found(name).id)
    return begun(_found(name))


# API


@calls.get("/jobs")
@contract.call(answer=Page[shapes.Work])
def api_jobs(query: Paging) -> Page[Json]:
    """The appliance's own work, the newest first."""
    return contract.listed([told(job) for job in jobs.current().all()], query)


@calls.get("/jobs/<name>")
@contract.call(answer=shapes.Work)
def api_job(name: str) -> Json:
    """One job."""
    return told(_found(name))


@calls.delete("/jobs/<name>")
@contract.call(status=202, answer=shapes.Work, refuses=N_("It cannot be cancelled"))
def api_cancel(name: str) -> Json:
    """Cancel a job, at its next step."""
    if not jobs.current().cancel(_found(name).id):
        raise UsageError(_("It has ended, or is past the point."))
    return told(_found(name))
