"""The page "911 readiness" and its API: whether 911 would work now from each phone, red first."""

from __future__ import annotations

from flask import Blueprint, Response

from provisioner.emergency import readiness
from provisioner.web import api, contract, paging, staff
from provisioner.web.language import later as N_
from provisioner.web.session import sources
from provisioner.web.sources import World

WORDS = {
    "bad": N_("Not ready"),
    "warn": N_("Works; something is to be done"),
    "good": N_("Ready"),
}


pages = Blueprint("readiness", __name__, url_prefix="/staff/emergency")
pages.before_request(staff.guard)
calls = Blueprint("readiness_api", __name__, url_prefix="/api/v1/emergency")
calls.before_request(api.guard)


def report(world: World) -> readiness.Report:
    """Of the practice as it is now."""
    waiting = [str(row["mac"]) for row in world.sightings]
    return readiness.report(world.snapshot, world.edge, waiting, sources().journal.tests(1), world.now)


@pages.get("/readiness")
def page() -> Response:
    """Each phone, the worst first."""
    world = sources().world()
    found = report(world)
    window = paging.window(found.phones)
    return staff.page("readiness.html", world, report=found, window=window, link=paging.linker(), words=WORDS)


@calls.get("/readiness")
@contract.call()
def api_page() -> readiness.Report:
    """Whether 911 would work now from each phone, the worst first; `level`: bad, warn or good."""
    return report(sources().world())
