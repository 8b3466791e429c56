"""/healthz and /readyz, for whoever watches the appliance; they tell nothing but good or not."""

from __future__ import annotations

from flask import Blueprint

from provisioner.errors import ProvisionerError
from provisioner.web.session import sources

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> tuple[str, int, dict[str, str]]:
    """200 whenever this process runs."""
    return "ok\n", 200, {"Content-Type": "text/plain"}


@blueprint.get("/readyz")
def readyz() -> tuple[str, int, dict[str, str]]:
    """200 when the store can be read and the edge answers, else 503."""
    try:
        sources().inventory.snapshot_revision()
        ready = sources().ask("edge", "ping")[0] is not None
    except ProvisionerError:
        ready = False
    return (
        ("ok\n", 200, {"Content-Type": "text/plain"})
        if ready
        else ("not ready\n", 503, {"Content-Type": "text/plain"})
    )
