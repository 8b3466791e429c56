"""/healthz and /readyz, for whoever watches the appliance; they tell nothing but which part is not good."""

from __future__ import annotations

from flask import Blueprint

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.web.session import sources

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> tuple[str, int, dict[str, str]]:
    """200 whenever this process runs."""
    return "ok\n", 200, {"Content-Type": "text/plain"}


WORDS = {
    "store": "settings",
    "edge": "calls",
    "front": "phones' files",
    "media": "audio",
    "notifier": "notices of emergency calls",
}
PARTS = ("edge", "front", "media", "notifier")


@blueprint.get("/readyz")
def readyz() -> tuple[str, int, dict[str, str]]:
    """A line for each part that calls and phones need: 200 when all are ready, else 503."""
    lines = [("store", _store())]
    lines += [(name, sources().ask(name, "ping")[1]) for name in PARTS]
    bad = any(why for name, why in lines if name != "notifier")
    told = "".join(f"{name} ({WORDS[name]}): {why or 'ok'}\n" for name, why in lines)
    return told, 503 if bad else 200, {"Content-Type": "text/plain; charset=utf-8"}


def _store() -> str:
    try:
        sources().inventory.snapshot_revision()
    except OperatorError as error:
        return error.remedy  # not where it lies: anybody may read this
    except ProvisionerError as error:
        return str(error)
    return ""
