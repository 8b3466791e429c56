"""Which phones get anything: the policy, the routers, the adoption window; pages and API."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from flask import Blueprint, Response, make_response, redirect, request, url_for
from msgspec import UNSET, Meta, UnsetType

from provisioner.errors import ProvisionerError
from provisioner.phones import editing
from provisioner.phones.proof import window_open
from provisioner.store.records import Practice
from provisioner.web import api, contract, staff
from provisioner.web.contract import Body, Text
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape

ADOPTION = {
    "open": (
        N_("Open"),
        N_(
            "Phones that nobody adopted show up as waiting and get a file without an account. Adopted phones may "
            "have their first files without any proof, once."
        ),
    ),
    "adopted": (
        N_("Adopted phones only"),
        N_(
            "Other phones are refused, but shown to you, and you can adopt them. An adopted phone proves that it is "
            "that phone; without a proof it may have its first files for a day after its adoption."
        ),
    ),
    "certificate": (
        N_("With the maker's certificate only"),
        N_(
            "Phones ask over HTTPS and show the certificate that their maker put into them. The makers' authorities "
            "have to be installed here."
        ),
    ),
}
WINDOWS = {
    "15": N_("for 15 minutes"),
    "60": N_("for an hour"),
    "480": N_("for 8 hours"),
    "1440": N_("for a day"),
    "": N_("until I close it"),
}

pages = Blueprint("trust", __name__, url_prefix="/staff/trust")
pages.before_request(staff.guard)
calls = Blueprint("trust_api", __name__, url_prefix="/api/v1/trust")
calls.before_request(api.guard)


@pages.get("")
def show() -> Response:
    """The policy, and until when."""
    return _page()


def _page(status: int = 200, error: str = "") -> Response:
    world = sources().world()
    practice = world.snapshot.practice
    return staff.page(
        "trust.html",
        world,
        status,
        practice=practice,
        open_now=window_open(practice, world.now),
        policies=ADOPTION,
        windows=WINDOWS,
        error=error,
        saved="saved" in request.args,
    )


@pages.post("")
def save() -> Response:
    """Change the policy; a window begins now."""
    form, held = request.form, sources().snapshot().practice
    adoption, minutes = form.get("adoption", ""), form.get("minutes", "keep")
    until = held.adoption_until if adoption == "open" else 0.0
    if adoption == "open" and minutes in WINDOWS:
        until = sources().now() + 60 * int(minutes) if minutes else 0.0
    routers = [each for each in re.split(r"[\s,;]+", form.get("routers", "")) if each]
    try:
        editing.set_policy(
            sources().inventory, who(), adoption=adoption, adoption_until=until, routers=routers
        )
    except ProvisionerError as error:
        return _page(409, str(error))
    sources().reload()
    return make_response(redirect(url_for("trust.show", saved=1), 303))


# API


class Policy(Shape, frozen=True):
    """Which phones get anything. `adoption_until`: seconds since 1970, 0: no end; `open` now."""

    adoption: Literal["open", "adopted", "certificate"]
    adoption_until: float
    open: bool
    routers: tuple[str, ...]


class Change(Body, frozen=True):
    """What is to be changed. `routers`: MACs and addresses."""

    adoption: Literal["open", "adopted", "certificate"] | UnsetType = UNSET
    adoption_until: Annotated[float, Meta(ge=0, le=1e11)] | UnsetType = UNSET
    routers: list[Text] | UnsetType = UNSET


def _told(practice: Practice) -> Policy:
    return Policy(
        adoption=practice.adoption,
        adoption_until=practice.adoption_until,
        open=window_open(practice, sources().now()),
        routers=practice.routers,
    )


@calls.get("")
@contract.call(record=Practice, name="practice")
def api_show() -> Policy:
    """Which phones get anything: the policy, until when, and the routers that phones are behind."""
    return _told(sources().snapshot().practice)


@calls.patch("")
@contract.call(record=Practice, name="practice", refuses="The policy was not changed")
def api_save(body: Change) -> Policy:
    """Change the policy."""
    practice = editing.set_policy(sources().inventory, who(), **contract.changes(body))
    sources().reload()
    return _told(practice)
